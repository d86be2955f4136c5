/** What kernels are made of: found where it is there, denied with a reason where it is not. */
import { describe, expect, test } from 'vitest';
import { makeProblem, type Problem, type Request, type Taps } from '../src/core/problem.ts';
import { singularProducts } from '../src/core/singular.ts';
import { boxOf, productOf, productsOf } from '../src/core/structure.ts';
import { kernels } from '../src/index.ts';
import { Random } from './oracle/random.ts';

function problem(height: number, width: number, taps: readonly number[], what: { image?: string; kernel: string }): Problem {
	const request: Request = {
		operation: 'correlate',
		image: { dtype: (what.image ?? 'float32') as 'float32', layout: 'HW', sizes: [1, 1, 64, 64] },
		kernel: { dtype: what.kernel as 'float32', height, width, count: 1, bank: false, taps: Float64Array.from(taps) as Taps },
		mode: 'same',
		boundary: ['symmetric', 'symmetric'],
		value: 0,
		anchor: undefined,
		stride: [1, 1],
		dilation: [1, 1],
		outputDtype: 'float32',
		overflow: 'saturate',
		rounding: 'nearest-even',
		scale: [1],
		bias: [0],
		accumulate: 'auto',
	};
	return makeProblem(request);
}

const outer = (column: readonly number[], row: readonly number[]): number[] => column.flatMap((c) => row.map((r) => c * r + 0)); // no −0;

/** The window that products stand for. */
const rebuilt = (found: ReturnType<typeof productOf>): number[] => {
	const { products } = (found.each as NonNullable<typeof found.each>)[0] as {
		products: readonly { column: readonly number[]; row: readonly number[] }[];
	};
	const sum = new Array<number>((products[0]?.column.length ?? 0) * (products[0]?.row.length ?? 0)).fill(0);
	for (const { column, row } of products) {
		outer(column, row).forEach((tap, k) => {
			sum[k] = (sum[k] as number) + tap;
		});
	}
	return sum;
};

describe('one product', () => {
	const random = new Random(7);
	test('of integers is found exactly, whatever common divisors and signs there are', () => {
		for (let k = 0; k < 500; k++) {
			const draw = (n: number) => Array.from({ length: n }, () => random.whole(-9, 9) * random.pick([1, 1, 6]));
			const [column, row] = [draw(random.whole(1, 7)), draw(random.whole(1, 7))];
			if ([column.at(0), column.at(-1), row.at(0), row.at(-1)].includes(0)) continue; // outer zeros are cut off
			const taps = outer(column, row);
			const found = productOf(problem(column.length, row.length, taps, { image: 'uint8', kernel: 'int32' }));
			expect(rebuilt(found)).toEqual(taps);
		}
	});

	test('of integers is denied where one tap is off by one', () => {
		const taps = outer([1, 2, 1], [1, 4, 1]);
		taps[4] = 9;
		expect(productOf(problem(3, 3, taps, { image: 'uint8', kernel: 'int32' }))).toMatchObject({
			why: expect.stringContaining('no product'),
		});
	});

	test('every kernel of the library that is one by its formula is found, rounded taps and all', () => {
		for (const kernel of [
			kernels.gaussian({ sigma: 0.5 }),
			kernels.gaussian({ sigma: 3 }),
			kernels.gaussian({ sigma: 10 }),
			kernels.sobel(),
			kernels.box({ size: 31 }),
		]) {
			const [height, width] = kernel.shape as [number, number];
			const found = productOf(
				problem(height, width, Array.from(kernel.data), { kernel: kernel.data instanceof Float32Array ? 'float32' : 'int32' }),
			);
			expect(found.each, found.why).toHaveLength(1);
			expect(found.each?.[0]?.relative).toBeLessThanOrEqual(2 * 2 ** -24);
		}
	});

	test('of floats is denied where a tap is off by two units in its last place', () => {
		const gaussian = Array.from(kernels.gaussian({ sigma: 2 }).data as Float32Array);
		const side = Math.sqrt(gaussian.length);
		expect(productOf(problem(side, side, gaussian, { kernel: 'float32' })).each).toHaveLength(1);
		gaussian[side + 3] = (gaussian[side + 3] as number) * (1 + 2 ** -21);
		expect(productOf(problem(side, side, gaussian, { kernel: 'float32' })).each).toBeUndefined();
	});

	test('the row is scaled so that no sum over pixels leaves their range', () => {
		const found = productOf(problem(3, 3, outer([1e30, 2e30, 1e30], [1e-3, 5e4, 7]), { kernel: 'float64' }));
		const total = (found.each?.[0]?.products[0]?.row ?? []).reduce((sum, x) => sum + Math.abs(x), 0);
		expect(total).toBeGreaterThan(0.25);
		expect(total).toBeLessThanOrEqual(0.5);
	});

	test('random kernels, kernels of zeros and kernels with a hole have none', () => {
		const noise = Array.from({ length: 25 }, () => random.unit() + 0.1);
		expect(productOf(problem(5, 5, noise, { kernel: 'float32' })).each).toBeUndefined();
		expect(productOf(problem(3, 3, [1, 1, 1, 1, 0, 1, 1, 1, 1], { kernel: 'float32' })).each).toBeUndefined();
		expect(productOf(problem(3, 3, new Array(9).fill(0), { kernel: 'float32' })).each?.[0]?.products).toEqual([]);
	});
});

describe('several products', () => {
	test('a disk within its tolerance, and the residual is what the products miss', () => {
		const disk = kernels.disk({ radius: 7 });
		const [height, width] = disk.shape as [number, number];
		const taps = Array.from(disk.data as Float32Array);
		const total = taps.reduce((sum, tap) => sum + Math.abs(tap), 0);
		for (const tolerance of [0.3, 0.1, 0.01]) {
			const found = productsOf(problem(height, width, taps, { kernel: 'float32' }), tolerance);
			const split = found.each?.[0];
			expect(split, found.why).toBeDefined();
			const missed = rebuilt(found).reduce((sum, tap, k) => sum + Math.abs(tap - (taps[k] as number)), 0);
			expect(missed).toBeLessThanOrEqual(split?.residual as number);
			expect(split?.residual).toBeLessThanOrEqual(tolerance * total);
		}
	});

	test('singular values of a matrix of known rank', () => {
		const random = new Random(11);
		for (const [rows, cols] of [
			[9, 9],
			[5, 12],
			[12, 5],
		] as const) {
			const draw = (n: number) => Array.from({ length: n }, () => random.unit() * 2 - 1);
			const taps = new Float64Array(rows * cols);
			for (let k = 0; k < 3; k++) {
				const [column, row] = [draw(rows), draw(cols)];
				outer(column, row).forEach((tap, at) => {
					taps[at] = (taps[at] as number) + tap;
				});
			}
			const found = singularProducts({ rows, cols, taps, first: [0, 0] }, 1e-12);
			expect(found?.products).toHaveLength(3);
			expect(singularProducts({ rows, cols, taps, first: [0, 0] }, 1e-17)).toBeUndefined();
		}
	});
});

test('equal taps', () => {
	expect(boxOf(problem(3, 4, new Array(12).fill(0.25), { kernel: 'float32' })).each).toEqual([0.25]);
	expect(boxOf(problem(2, 2, [1, 1, 1, 2], { kernel: 'float32' })).each).toBeUndefined();
});
