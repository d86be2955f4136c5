/** naiveConvolve: the seed to the letter. Its results on NumPy are test/vectors/naive.json (conformance.test.ts). */
import { describe, expect, expectTypeOf, test } from 'vitest';
import { convolve, FaltungError, naiveConvolve } from '../src/index.ts';
import { given } from './call.ts';
import { DTYPES, type Dtype, isFloat } from './oracle/dtypes.ts';

test('the post’s own call, synchronously', () => {
	const h = naiveConvolve([[1, 1, 1]], [[1], [2], [1]]);
	expect(h.shape).toEqual([3, 3]);
	expect([...h.data]).toEqual([1, 1, 1, 2, 2, 2, 1, 1, 1]);
	expectTypeOf(h.data).toEqualTypeOf<Float64Array>();
});

test('… with NumPy’s integers', () => {
	const h = naiveConvolve({ data: BigInt64Array.of(1n, 1n, 1n), shape: [1, 3] }, { data: BigInt64Array.of(1n, 2n, 1n), shape: [3, 1] });
	expect({ shape: h.shape, dtype: h.dtype, data: [...h.data] }).toEqual({
		shape: [3, 3],
		dtype: 'int64',
		data: [1n, 1n, 1n, 2n, 2n, 2n, 1n, 1n, 1n],
	});
	expectTypeOf(h.data).toEqualTypeOf<BigInt64Array<ArrayBuffer>>();
});

test.each([
	[[[1, 1]]],
	[[[1], [1]]],
	[
		[
			[1, 1],
			[1, 1],
		],
	],
	[
		[
			[1, 1, 1],
			[1, 1, 1],
		],
	],
])('even sides are refused: %j', (kernel) => {
	const call = () => naiveConvolve([[1]], kernel);
	expect(call).toThrow(FaltungError);
	expect(call).toThrow(/^Only odd dimensions on filter supported$/);
	try {
		call();
	} catch (error) {
		expect((error as FaltungError).code).toBe('INVALID_ARGUMENT');
	}
});

describe('full size, not cropped; the dtype of f', () => {
	test.each([
		[
			[1, 1],
			[1, 1],
			[1, 1],
		],
		[
			[3, 4],
			[3, 5],
			[5, 8],
		],
		[
			[1, 1],
			[7, 9],
			[7, 9],
		],
		[
			[0, 3],
			[3, 3],
			[2, 5],
		],
	] as const)('%j by %j is %j', (image, kernel, result) => {
		const of = ([height, width]: readonly [number, number]) => ({ data: new Float32Array(height * width).fill(1), shape: [height, width] });
		expect(naiveConvolve(of(image), of(kernel)).shape).toEqual(result);
	});

	test.each(DTYPES.flatMap((f) => DTYPES.map((g) => [f, g] as const)))(
		'%s by %s: what convolve gives with overflow wrap and rounding truncate',
		async (f, g) => {
			const values = (dtype: Dtype, list: number[]) => (dtype.endsWith('int64') ? list.map(BigInt) : list);
			const image = given(f, [2, 3], values(f, [1, 2, 100, 30, 127, 6]));
			const kernel = given(g, [3, 1], values(g, [3, 2, 4]));
			const h = naiveConvolve(image, kernel);
			const c = await convolve(image, kernel, { overflow: 'wrap', rounding: 'truncate', backend: 'reference' });
			expect(h.dtype).toBe(f);
			expect({ data: h.data, shape: h.shape }).toEqual({ data: c.data, shape: c.shape });
		},
	);
});

test('views are read as they lie', () => {
	const view = given('int16', [2, 3], [1, 2, 3, 4, 5, 6], 'reversed');
	expect([...naiveConvolve(view, [[2]]).data]).toEqual([2, 4, 6, 8, 10, 12]);
});

test.each(DTYPES.filter((dtype) => !isFloat(dtype)))('%s wraps modulo 2^n', (dtype) => {
	const big = dtype.endsWith('int64');
	const bits = Number(dtype.replace(/\D+/, ''));
	const top = 1n << BigInt(bits - 2);
	const h = naiveConvolve(given(dtype, [1, 1], [big ? top : Number(top)]), [[5]]);
	const wrapped = dtype.startsWith('u') ? BigInt.asUintN(bits, 5n * top) : BigInt.asIntN(bits, 5n * top);
	expect(h.data[0]).toBe(big ? wrapped : Number(wrapped));
});

test('a bank or an image of rank 3 is refused', () => {
	expect(() => naiveConvolve([[1]], { data: new Float32Array(2), shape: [2, 1, 1] })).toThrow('rank 3');
	expect(() => naiveConvolve({ data: new Float32Array(2), shape: [2, 1, 1] }, [[1]])).toThrow(FaltungError);
});
