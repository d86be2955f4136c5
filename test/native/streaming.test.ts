/**
 * Results of 8 MiB and more are written with non-temporal stores from the first whole vector of a row on: every method, wherever `out`
 * begins, against plain sums.
 */
import { describe, expect, test } from 'vitest';
import { correlate } from '../../src/index.ts';
import { Random } from '../oracle/random.ts';

const [ROWS, COLS] = [1400, 1536]; // of the result: rows of whole vectors
const MOST = 15; // pixels 0 … 15: sums stay below 1000, and the rounding of factors below 1000·2^-20
const BOUND = 1e-3;

const KERNELS = {
	box: Array.from({ length: 5 }, () => [1, 1, 1, 1, 1]),
	separable: [1, 2, 3].map((a) => [1, -2, 1].map((b) => a * b)),
	lowrank: [1, 2, 1, 0, 1].map((a, j) => [1, 0, 1, 2, 1].map((b, i) => a * b + j * ([1, 1, -1, 0, 1][i] as number))),
	direct: [
		[1, 0, 2],
		[0, 3, 1],
	],
} as const;

function sums(image: Float32Array, width: number, kernel: readonly (readonly number[])[]): Float32Array {
	const out = new Float32Array(ROWS * COLS);
	for (const [j, row] of kernel.entries()) {
		for (const [i, tap] of row.entries()) {
			for (let y = 0; y < ROWS; y++) {
				const from = (y + j) * width + i;
				for (let x = 0; x < COLS; x++) out[y * COLS + x] = (out[y * COLS + x] as number) + tap * (image[from + x] as number);
			}
		}
	}
	return out;
}

describe.each(Object.entries(KERNELS))('%s', (method, kernel) => {
	const width = COLS + (kernel[0] as readonly number[]).length - 1;
	const height = ROWS + kernel.length - 1;
	const random = new Random(1);
	const image = { data: Float32Array.from({ length: height * width }, () => random.whole(0, MOST)), shape: [height, width] };
	const expected = sums(image.data, width, kernel);

	test.each([0, 1, 4, 9, 15])('a result that begins %i elements behind a vector', async (skew) => {
		const buffer = new ArrayBuffer(expected.byteLength + 64);
		const out = new Float32Array(buffer, skew * 4, expected.length);
		const options = {
			mode: 'valid',
			backend: 'native',
			method,
			out,
			verify: false,
			...(method === 'lowrank' ? { tolerance: 1e-6 } : {}),
		} as const;
		const { report } = await correlate(image, kernel as never, options as never);
		expect(report.algorithm).toBe(method);
		const wrong = expected.findIndex((value, k) => !(Math.abs(value - (out[k] as number)) <= BOUND));
		expect(wrong, `column ${wrong % COLS} of row ${Math.floor(wrong / COLS)}`).toBe(-1);
	});
});
