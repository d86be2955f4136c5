/** Running sums: windows of every shape against the oracle, and no trace of what has left the window. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { boxWork, runOf } from '../../src/backend/webgpu/box.ts';
import { boxStripBytes, boxStripOf } from '../../src/backend/webgpu/tiled.ts';
import { tuningOf } from '../../src/backend/webgpu/tuning.ts';
import { openWebGpu, type WebGpu } from '../../src/backend/webgpu/webgpu.ts';
import { guardedOut, judge } from './judge.ts';
import { imageOf, outOf, planOf, prepare, problemOf, type Spec } from './problems.ts';

const equal = (rows: number, cols: number, tap: number): number[][] =>
	Array.from({ length: rows }, () => new Array<number>(cols).fill(tap));

/** Windows of these sides as one bank, with zeros around them: one pipeline for all. */
function bankOf(sides: readonly (readonly [rows: number, cols: number])[], tap: (rows: number, cols: number) => number): number[][][] {
	const side = Math.max(...sides.flat());
	const within = (rows: number, cols: number, j: number, i: number) => (j < rows && i < cols ? tap(rows, cols) : 0);
	return sides.map(([rows, cols]) =>
		Array.from({ length: side }, (_, j) => Array.from({ length: side }, (_, i) => within(rows, cols, j, i))),
	);
}

const FLOAT = { dtype: 'float32', kernelDtype: 'float32', boundary: ['symmetric', 'symmetric'] } as const;
const mean = (rows: number, cols: number) => Math.fround(1 / (rows * cols));

describe('a row of equal taps', () => {
	it('is summed in little more than twice the root of its length', () => {
		for (let cols = 1; cols <= 500; cols++) {
			const run = runOf(cols);
			expect(run).toBeGreaterThanOrEqual(1);
			expect(run).toBeLessThanOrEqual(cols);
			expect(boxWork(cols) - boxWork(1)).toBeLessThanOrEqual(2.25 * Math.sqrt(cols) + 4);
		}
	});
});

describe('a strip', () => {
	const limits = { storage: 16384, threads: 256, tuning: tuningOf('') };
	const stripOf = (rows: number, cols: number) =>
		boxStripOf(problemOf({ ...FLOAT, sizes: [1, 1, 900, 900], taps: equal(rows, cols, 0.5) }), limits);

	it('fits the memory that every device has, wide where windows are small', () => {
		for (let k = 1; k <= 127; k += 2) {
			const strip = stripOf(k, k);
			if (strip === undefined) throw new Error(`none for ${k}`);
			expect(boxStripBytes(strip)).toBeLessThanOrEqual(limits.storage);
			expect(strip.rows).toBeGreaterThanOrEqual(k);
			expect(strip.columns, `${k}`).toBeGreaterThanOrEqual(k <= 31 ? 64 : k <= 63 ? 32 : 8);
		}
	});

	it('of too large a window is none', () => {
		expect(stripOf(600, 3)).toBeUndefined();
		expect(stripOf(3, 900)).toBeUndefined();
	});
});

describe('running sums', () => {
	let gpu: WebGpu;
	beforeAll(async () => {
		gpu = await openWebGpu({ limits: { storage: 16384, threads: 256 } });
	});
	afterAll(() => gpu.dispose());

	/** Every pixel against the oracle. */
	async function judged(spec: Spec): Promise<string | undefined> {
		const problem = problemOf(spec);
		const image = imageOf(problem);
		const executable = await prepare(gpu, problem, 'box');
		try {
			const out = guardedOut(problem);
			const outcome = await executable.run(image, out);
			return judge(problem, executable.plan, image, out, outcome);
		} finally {
			executable.dispose();
		}
	}

	const SIDES = [
		...[1, 2, 3, 4, 5, 7, 8, 9, 16, 17].map((k) => [k, k] as const),
		...([
			[1, 63],
			[63, 1],
			[3, 29],
			[40, 2],
			[31, 31],
			[63, 63],
		] as const),
	];

	it('of floats are within the bound for every window, also one larger than the image', async () => {
		const bank = bankOf(SIDES, mean);
		expect(await judged({ ...FLOAT, sizes: [1, 1, 67, 45], bank })).toBeUndefined();
		expect(
			await judged({ ...FLOAT, sizes: [1, 1, 9, 13], bank, mode: 'full', boundary: ['wrap', 'constant'], value: 0.5 }),
		).toBeUndefined();
	}, 120_000);

	it('of integers are exact for every window', async () => {
		const bank = bankOf([...SIDES.filter(([rows, cols]) => rows * cols < 500), [63, 63]], () => 3);
		expect(await judged({ sizes: [1, 1, 67, 15], bank, outputDtype: 'int32' })).toBeUndefined();
		expect(await judged({ sizes: [1, 1, 5, 40], bank, outputDtype: 'int32', boundary: ['constant', 'edge'], value: 255 })).toBeUndefined();
	}, 120_000);

	it('keep no trace of a NaN, an infinity or a large number that has left the window', async () => {
		const sides = [
			[5, 7],
			[1, 63],
			[31, 31],
			[63, 1],
			[63, 63],
		] as const;
		const problem = problemOf({ ...FLOAT, sizes: [1, 1, 150, 160], bank: bankOf(sides, mean), mode: 'valid', operation: 'correlate' });
		const plain = imageOf(problem);
		const odd = { ...plain, data: plain.data.slice() };
		const ODD = [
			[3, 150, Number.NaN],
			[70, 20, Number.POSITIVE_INFINITY],
			[75, 90, 1e20],
			[140, 60, Number.NEGATIVE_INFINITY],
		] as const;
		for (const [y, x, value] of ODD) odd.data[y * 160 + x] = value;
		const executable = await prepare(gpu, problem, 'box');
		const [clean, found] = [outOf(problem), outOf(problem)];
		await executable.run(plain, clean);
		await executable.run(odd, found);
		executable.dispose();
		const bits = (data: typeof clean.data) => new Uint32Array(data.buffer);
		const [, , height, width] = problem.output.sizes;
		let untouched = 0;
		for (const [m, [rows, cols]] of sides.entries()) {
			for (let y = 0; y < height; y++) {
				for (let x = 0; x < width; x++) {
					const inside = ODD.filter(([j, i]) => j >= y && j < y + rows && i >= x && i < x + cols).map(([, , value]) => value);
					const at = (m * height + y) * width + x;
					const value = Number(found.data[at]);
					if (inside.length === 0) {
						untouched++;
						if (bits(found.data)[at] !== bits(clean.data)[at]) expect.fail(`kernel ${m} [${y}, ${x}]: ${value} for ${clean.data[at]}`);
						continue;
					}
					const sum = inside.reduce((a, b) => a + b, 0);
					const right = Number.isFinite(sum) ? Math.abs(value / (1e20 * mean(rows, cols)) - 1) < 1e-5 : Object.is(value, sum);
					if (!right) expect.fail(`kernel ${m} [${y}, ${x}]: ${value} for a window of ${inside}`);
				}
			}
		}
		expect(untouched).toBeGreaterThan(20_000);
	}, 120_000);

	it('are offered with their cost, and refused with the reason', () => {
		const wish = { method: 'auto', accuracy: 'norm' } as const;
		const [height, width] = [512, 512];
		const offered = (spec: Spec) => {
			const found = gpu.candidates(problemOf({ ...FLOAT, sizes: [1, 1, height, width], ...spec }), wish);
			return found.find(({ algorithm }) => algorithm === 'box');
		};
		expect(offered({ taps: equal(31, 31, 0.5) })?.plan).toMatchObject({ name: 'box-f32-t512x512-r4x1@webgpu', accumulator: 'float32' });
		expect(offered({ taps: equal(31, 31, 0.5), stride: [2, 1] })?.why).toMatch(/stride and dilation are 1/);
		expect(offered({ taps: [[1, 2]] })?.why).toMatch(/taps of different values/);
		expect(offered({ taps: equal(400, 400, 0.5) })?.why).toMatch(/400x400 do not fit the 16384 bytes/);
		// nearly the same at any size
		const [small, large] = [3, 63].map((k) =>
			planOf(gpu, problemOf({ ...FLOAT, sizes: [1, 1, height, width], taps: equal(k, k, 1) }), 'box'),
		);
		expect((large?.predicted.milliseconds ?? 0) / (small?.predicted.milliseconds ?? 1)).toBeLessThan(2);
	});
});
