/** What an image, a kernel or an output may be: views, shared and resizable memory, dtypes by class, nested arrays, empty axes, layouts. */
import { describe, expect, expectTypeOf, test } from 'vitest';
import { type ConvolveOptions, convolve, correlate, type NdArray, type TypedArray } from '../src/index.ts';
import { tested } from './backends.ts';
import { call, given, VIEW_KINDS } from './call.ts';
import { answer, type Layout, type Request } from './oracle/definition.ts';
import { arrayOf, DTYPES, type Dtype, halfBits, valuesOf } from './oracle/dtypes.ts';
import { judgeAll } from './oracle/judge.ts';

const LAYOUTS: readonly Layout[] = ['HW', 'HWC', 'CHW', 'NHW', 'NHWC', 'NCHW'];
const SIZES = { N: 2, C: 3, H: 4, W: 5 } as const;

function requestFor(dtype: Dtype, layout: Layout, bank: boolean): Request {
	const shape = [...layout].map((axis) => SIZES[axis as keyof typeof SIZES]);
	const count = shape.reduce((a, b) => a * b, 1);
	const value = (k: number) => (dtype.endsWith('int64') ? BigInt((k * 7) % 23) : (k * 7) % 23);
	const kernelShape = bank ? [2, 2, 3] : [2, 3];
	const taps = Array.from({ length: bank ? 12 : 6 }, (_, k) => (k % 5) - 2);
	return {
		operation: 'convolve',
		image: { dtype, layout, shape, values: Array.from({ length: count }, (_, k) => value(k)) },
		kernel: { dtype: 'int8', shape: kernelShape, values: taps },
		options: { mode: 'same', boundary: 'symmetric', overflow: 'wrap' },
	};
}

describe.each(tested)('$name', ({ name: backend, arithmetic, mayRefuse }) => {
	async function check(request: Request, views: Parameters<typeof call>[2], message?: string): Promise<void> {
		const expected = answer(request);
		const { values, shape, report } = await call(request, { backend, verify: false }, views);
		expect(shape, message).toEqual(expected.shape);
		expect(judgeAll(values, request, expected, { ...arithmetic, algorithm: report.algorithm }), message).toEqual([]);
	}

	const refused = (dtype: Dtype, kernel: Dtype = 'int8') =>
		mayRefuse({ image: dtype, kernel, sum: dtype === 'float64' ? 'float64' : dtype.startsWith('float') ? 'float32' : 'integer' });

	describe('views', () => {
		describe.each(VIEW_KINDS)('%s', (kind) => {
			test.each(DTYPES.filter((dtype) => !refused(dtype)))('image %s', (dtype) => check(requestFor(dtype, 'NCHW', true), { image: kind }));
			test.each(DTYPES.filter((dtype) => !dtype.startsWith('float')))('kernel %s', async (dtype) => {
				const request = requestFor('uint8', 'HW', true);
				const taps = request.kernel.values.map((tap) => (dtype.startsWith('u') ? Math.abs(Number(tap)) : Number(tap)));
				await check(
					{ ...request, kernel: { ...request.kernel, dtype, values: dtype.endsWith('int64') ? taps.map(BigInt) : taps } },
					{ kernel: kind },
				);
			});
			test.each(LAYOUTS)('layout %s', (layout) => check(requestFor('uint16', layout, false), { image: kind }));
		});

		test('stride 0: one row shown five times', async () => {
			const row = Uint8Array.of(1, 2, 3);
			const { data, shape } = await convolve({ data: row, shape: [5, 3], strides: [0, 1] }, [[1], [1]], { mode: 'valid', backend });
			expect(shape).toEqual([4, 3]);
			expect([...data]).toEqual([2, 4, 6, 2, 4, 6, 2, 4, 6, 2, 4, 6]);
		});

		test('stride 0 on every axis: one pixel is the image', async () => {
			const { data } = await convolve(
				{ data: Uint8Array.of(7), shape: [3, 4], strides: [0, 0] },
				[
					[1, 1],
					[1, 1],
				],
				{ mode: 'valid', backend },
			);
			expect([...data]).toEqual(new Array(6).fill(28));
		});

		test('a region of interest: pixels around it are not seen', async () => {
			const whole = new Float32Array(100).fill(NaN);
			for (let y = 3; y < 6; y++) for (let x = 2; x < 6; x++) whole[y * 10 + x] = y * 10 + x;
			const roi = { data: whole, shape: [3, 4], strides: [10, 1], offset: 32 };
			const cut = { data: Float32Array.from({ length: 12 }, (_, k) => (3 + Math.floor(k / 4)) * 10 + 2 + (k % 4)), shape: [3, 4] };
			for (const boundary of ['constant', 'edge', 'symmetric', 'mirror', 'wrap'] as const) {
				const seen = await convolve(roi, [[1, 2, 3]], { mode: 'same', boundary, backend });
				const plain = await convolve(cut, [[1, 2, 3]], { mode: 'same', boundary, backend });
				expect(seen.data, boundary).toEqual(plain.data);
			}
		});

		test('two images that overlap in memory, and an image that is its own kernel', async () => {
			const data = Uint8Array.from({ length: 9 }, (_, k) => k);
			const image = { data, shape: [3, 3] };
			const { data: out } = await convolve(image, image, { mode: 'valid', backend });
			expect([...out]).toEqual([
				Math.min(
					255,
					data.reduce((sum, v, k) => sum + v * (data[8 - k] as number), 0),
				),
			]);
		});

		test("scijs ndarray's and zarrita's name for strides is read, too", async () => {
			const view = { data: Uint8Array.of(1, 2, 3, 4, 5, 6), shape: [3, 2], stride: [1, 3], offset: 0 };
			const { data } = await convolve(view, [[1]], { backend });
			expect([...data]).toEqual([1, 4, 2, 5, 3, 6]);
		});
	});

	describe('memory', () => {
		test('shared memory, image and kernel', async () => {
			const request = requestFor('int32', 'HWC', false);
			await check(request, { image: 'shared', kernel: 'shared' });
		});

		test.each(['image', 'kernel'] as const)('resizable buffer, %s', async (which) => {
			const Resizable = ArrayBuffer as unknown as new (
				length: number,
				options: { maxByteLength: number },
			) => ArrayBuffer & { resize(n: number): void };
			const buffer = new Resizable(4, { maxByteLength: 64 });
			const tracking = new Uint8Array(buffer); // follows the buffer's length
			buffer.resize(6);
			tracking.set([1, 2, 3, 4, 5, 6]);
			const array = { data: tracking, shape: [2, 3] };
			const other = { data: Uint8Array.of(1), shape: [1, 1] };
			const { data } = which === 'image' ? await convolve(array, other, { backend }) : await convolve(other, array, { backend });
			expect([...data]).toEqual([1, 2, 3, 4, 5, 6]);
			buffer.resize(5);
			const late = which === 'image' ? convolve(array, other, { backend }) : convolve(other, array, { backend });
			await expect(late).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
		});

		test('a growable shared buffer', async () => {
			const Growable = SharedArrayBuffer as unknown as new (length: number, options: { maxByteLength: number }) => SharedArrayBuffer;
			const data = new Uint8Array(new Growable(3, { maxByteLength: 8 }));
			data.set([1, 2, 3]);
			expect([...(await convolve({ data, shape: [1, 3] }, [[2]], { backend })).data]).toEqual([2, 4, 6]);
		});

		test.each(['image', 'kernel', 'out'] as const)('a detached buffer is refused: %s', async (which) => {
			const gone = new Uint8Array(4);
			structuredClone(gone.buffer, { transfer: [gone.buffer] });
			const fine = () => ({ data: new Uint8Array(4), shape: [2, 2] });
			const arrays = {
				image: fine(),
				kernel: { data: Uint8Array.of(1), shape: [1, 1] },
				out: fine(),
				[which]: { data: gone, shape: [2, 2] },
			};
			const { image, kernel, out } = arrays;
			await expect(convolve(image, kernel, { out, backend })).rejects.toMatchObject({
				code: 'INVALID_ARGUMENT',
				message: expect.stringContaining(which),
			});
		});

		test('the inputs are left as they were', async () => {
			const data = Float32Array.from({ length: 12 }, (_, k) => k);
			const taps = Float32Array.of(0, 1, 2, 0);
			const image = Object.freeze({ data, shape: Object.freeze([3, 4]) as readonly number[] });
			const kernel = Object.freeze({ data: taps, shape: Object.freeze([2, 2]) as readonly number[] });
			await convolve(image, kernel, Object.freeze({ mode: 'same' as const, boundary: 'wrap' as const, backend }));
			expect([...data]).toEqual(Array.from({ length: 12 }, (_, k) => k));
			expect([...taps]).toEqual([0, 1, 2, 0]);
		});

		test('writing into the image while the call is pending harms nobody', async () => {
			const data = new Uint8Array(64 * 64).fill(1);
			const pending = convolve({ data, shape: [64, 64] }, [[1, 1, 1]], { mode: 'same', backend, verify: false });
			data.fill(2);
			const { data: out } = await pending;
			expect(out.every((v) => v >= 2 && v <= 6)).toBe(true);
		});

		test('writing into kernel and shape after the call has begun changes nothing', async () => {
			const taps = Int32Array.of(1, 1, 1);
			const shape = [1, 3];
			const pending = convolve({ data: Uint8Array.of(1, 2, 3), shape: [1, 3] }, { data: taps, shape }, { backend });
			taps.fill(9);
			shape.fill(0);
			expect([...(await pending).data]).toEqual([1, 3, 6, 5, 3]);
		});
	});

	describe('dtypes by class', () => {
		test('Uint8ClampedArray is uint8, and the result is a Uint8Array', async () => {
			const { data, dtype } = await convolve({ data: Uint8ClampedArray.of(100, 200), shape: [1, 2] }, [[2]], { backend, overflow: 'wrap' });
			expect(dtype).toBe('uint8');
			expect(Object.prototype.toString.call(data)).toBe('[object Uint8Array]');
			expect([...data]).toEqual([200, 144]);
		});

		test('a Buffer is uint8', async () => {
			const { data, dtype } = await convolve({ data: Buffer.from([1, 2, 3]), shape: [1, 3] }, [[2]], { backend });
			expect({ dtype, data: [...data] }).toEqual({ dtype: 'uint8', data: [2, 4, 6] });
		});

		test('float16 in a Uint16Array: by dtype; without it the bits are uint16', async () => {
			const data = Uint16Array.from([1, 0.5, -2].map(halfBits));
			const half = await convolve({ data, shape: [1, 3], dtype: 'float16' }, [[0.5]], { backend });
			expect(half.dtype).toBe('float16');
			expect(half.data).toBeInstanceOf(Uint16Array);
			expect(valuesOf(half.data, 'float16')).toEqual([0.5, 0.25, -1]);
			const bits = await convolve({ data, shape: [1, 3] }, [[1]], { backend });
			expect({ dtype: bits.dtype, data: [...bits.data] }).toEqual({ dtype: 'uint16', data: [...data] });
		});

		test('a float16 kernel', async () => {
			const kernel = { data: Uint16Array.from([0.5, 0.25].map(halfBits)), shape: [1, 2], dtype: 'float16' as const };
			const { data } = await convolve({ data: Uint8Array.of(4, 8), shape: [1, 2] }, kernel, { backend });
			expect([...data]).toEqual([2, 5, 2]);
		});

		test('a typed array from another realm, and a subclass', async () => {
			const { runInNewContext } = await import('node:vm');
			const foreign = runInNewContext('Uint8Array.of(1, 2, 3)') as Uint8Array;
			class Pixels extends Uint8Array {}
			for (const data of [foreign, Pixels.of(1, 2, 3)]) {
				expect([...(await convolve({ data, shape: [1, 3] }, [[3]], { backend })).data]).toEqual([3, 6, 9]);
			}
		});

		test('a subclass whose length and buffer lie', async () => {
			class Liar extends Uint8Array {
				override get length(): number {
					return 1e9;
				}
				override get byteLength(): number {
					return 1e9;
				}
			}
			const { data } = await convolve({ data: Liar.of(1, 2, 3), shape: [1, 3] }, [[3]], { backend });
			expect([...data]).toEqual([3, 6, 9]);
			await expect(convolve({ data: Liar.of(1, 2, 3), shape: [1, 4] }, [[3]], { backend })).rejects.toMatchObject({
				code: 'INVALID_ARGUMENT',
			});
		});

		test.each(DTYPES)('a stated dtype must be that of the class: %s', async (dtype) => {
			const image = { data: new Float32Array(1), shape: [1, 1], dtype };
			if (dtype === 'float32') expect((await convolve(image, [[1]], { backend })).dtype).toBe('float32');
			else
				await expect(convolve(image, [[1]], { backend })).rejects.toMatchObject({
					code: 'INVALID_ARGUMENT',
					message: expect.stringContaining('image.dtype'),
				});
		});

		test('a DataView, an ArrayBuffer and a plain array are no typed arrays', async () => {
			for (const data of [new DataView(new ArrayBuffer(4)), new ArrayBuffer(4), [1, 2, 3, 4], 'abcd', null]) {
				await expect(convolve({ data, shape: [2, 2] } as unknown as NdArray, [[1]], { backend })).rejects.toMatchObject({
					code: 'INVALID_ARGUMENT',
					message: expect.stringContaining('image.data'),
				});
			}
		});
	});

	describe('nested arrays', () => {
		test('a nested image is float64', async () => {
			const run = convolve(
				[
					[0.1, 0.2],
					[0.3, 0.4],
				],
				[[1]],
				{ backend },
			);
			if (refused('float64', 'float64')) {
				await expect(run).rejects.toMatchObject({ code: 'UNSUPPORTED' });
				return;
			}
			const { data, dtype, shape } = await run;
			expect({ dtype, shape, data: [...data] }).toEqual({ dtype: 'float64', shape: [2, 2], data: [0.1, 0.2, 0.3, 0.4] });
			expect(data).toBeInstanceOf(Float64Array);
		});

		// 2^24 + 1 is no float32: a float32 kernel would lose it, an int32 kernel does not
		test('integers beside an integer image are int32', async () => {
			const { data } = await convolve({ data: Uint8Array.of(1), shape: [1, 1] }, [[2 ** 24 + 1]], { backend, outputDtype: 'int64' });
			expect(data[0]).toBe(16777217n);
		});

		test('integers beside an integer image: the ends of int32, and one beyond', async () => {
			const image = { data: Uint8Array.of(1), shape: [1, 1] };
			const { data } = await convolve(image, [[-(2 ** 31), 2 ** 31 - 1]], { backend, outputDtype: 'int32' });
			expect([...data]).toEqual([-(2 ** 31), 2 ** 31 - 1]);
			for (const tap of [2 ** 31, -(2 ** 31) - 1]) {
				await expect(convolve(image, [[tap]], { backend })).rejects.toMatchObject({
					code: 'INVALID_ARGUMENT',
					message: expect.stringContaining('BigInt64Array'),
				});
			}
		});

		test('integers beside a 64-bit image are int64, BigInts or not', async () => {
			const image = { data: BigInt64Array.of(1n), shape: [1, 1] };
			const { data } = await convolve(image, [[2n ** 62n + 1n, 2 ** 40, -(2n ** 63n)]], { backend });
			expect([...data]).toEqual([2n ** 62n + 1n, 2n ** 40n, -(2n ** 63n)]);
			for (const tap of [2n ** 63n, -(2n ** 63n) - 1n]) {
				await expect(convolve(image, [[tap]], { backend })).rejects.toMatchObject({
					code: 'INVALID_ARGUMENT',
					message: expect.stringContaining('BigInt64Array'),
				});
			}
		});

		test('any other nested kernel is float32: 0.1 is rounded to it', async () => {
			const { data } = await convolve({ data: Float32Array.of(1), shape: [1, 1] }, [[0.1]], { backend, outputDtype: 'float64' });
			expect(data[0]).toBe(Math.fround(0.1));
			const half = await convolve({ data: Uint8Array.of(10), shape: [1, 1] }, [[0.1]], { backend, outputDtype: 'float64' });
			expect(half.data[0]).toBeCloseTo(Math.fround(0.1) * 10, 6);
		});

		test.each(['float64', 'int32', 'uint32', 'int64', 'uint64'] as const)('… or float64 beside a %s image', async (dtype) => {
			const one = dtype.endsWith('int64') ? 1n : 1;
			const run = convolve({ data: arrayOf(dtype, [one]), shape: [1, 1] }, [[0.1]], { backend, outputDtype: 'float64' });
			if (mayRefuse({ image: dtype, kernel: 'float64', sum: 'float64' })) await expect(run).rejects.toMatchObject({ code: 'UNSUPPORTED' });
			else expect((await run).data[0]).toBe(0.1);
		});

		test.each([
			['rows of unequal length', [[1, 2], [3]], 'kernel[1]'],
			['a row that is a number', [1, 2, 3], 'kernel[0]'],
			['three levels', [[[1]]], 'kernel[0][0]'],
			['a string', [['1']], 'kernel[0][0]'],
			['a hole', [Object.assign([], { 0: 1, 2: 3 })], 'kernel[0][1]'],
			['null', [[null]], 'kernel[0][0]'],
			['NaN', [[NaN]], 'kernel[0][0]'],
			['nothing', [], 'kernel'],
			['empty rows', [[], []], 'kernel'],
		])('a nested kernel may not be: %s', async (_, kernel, where) => {
			const call = convolve({ data: Uint8Array.of(1), shape: [1, 1] }, kernel as unknown as number[][], { backend });
			await expect(call).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining(where) });
		});

		test('a BigInt in a nested image is refused, as is one beside a float image', async () => {
			await expect(convolve([[1n]] as unknown as number[][], [[1]], { backend })).rejects.toMatchObject({
				code: 'INVALID_ARGUMENT',
				message: expect.stringContaining('image[0][0]'),
			});
			await expect(convolve({ data: Float32Array.of(1), shape: [1, 1] }, [[1n]], { backend })).rejects.toMatchObject({
				code: 'INVALID_ARGUMENT',
				message: expect.stringContaining('kernel'),
			});
		});

		test('rows that are typed arrays are refused with a way out', async () => {
			await expect(convolve([Float32Array.of(1)] as unknown as number[][], [[1]], { backend })).rejects.toMatchObject({
				code: 'INVALID_ARGUMENT',
				message: expect.stringContaining('image[0]'),
			});
		});
	});

	describe('layouts', () => {
		test.each(LAYOUTS.flatMap((layout) => [false, true].map((bank) => ({ layout, bank }))))(
			'$layout, bank $bank',
			async ({ layout, bank }) => {
				await check(requestFor('int16', layout, bank), {});
			},
		);

		test.each([
			['HW', ['HWC', 'CHW', 'NHW'], 3],
			['NHWC', ['NHWC', 'NCHW'], 4],
		] as const)('rank %s must say its layout: one of %j', async (_, names, rank) => {
			const image = { data: new Uint8Array(1), shape: new Array(rank).fill(1) };
			const refusal = await convolve(image, [[1]], { backend }).catch((error: unknown) => error as Error);
			for (const name of names) expect((refusal as Error).message).toContain(name);
		});

		test.each([0, 1, 5, 6])('rank %i is refused', async (rank) => {
			const image = { data: new Uint8Array(1), shape: new Array(rank).fill(1) };
			await expect(convolve(image, [[1]], { backend })).rejects.toMatchObject({
				code: 'INVALID_ARGUMENT',
				message: expect.stringContaining('rank'),
			});
		});

		test('rank and layout must agree', async () => {
			const image = { data: new Uint8Array(1), shape: [1, 1] };
			await expect(convolve(image, [[1]], { layout: 'HWC', backend })).rejects.toMatchObject({
				code: 'INVALID_ARGUMENT',
				message: expect.stringContaining('layout'),
			});
			expect((await convolve(image, [[1]], { layout: 'HW', backend })).shape).toEqual([1, 1]);
		});
	});

	describe('empty axes', () => {
		const empty = (shape: number[]) => ({ data: new Uint8Array(0), shape });

		test.each([
			['NHW', [0, 2, 2], [0, 4, 4]],
			['NHWC', [0, 2, 2, 3], [0, 4, 4, 3]],
			['NHWC', [2, 2, 2, 0], [2, 4, 4, 0]],
			['CHW', [0, 2, 2], [0, 4, 4]],
		] as const)('%s %j gives %j', async (layout, shape, result) => {
			for (const boundary of ['constant', 'edge', 'mirror', 'wrap', 'symmetric'] as const) {
				const { data, shape: got } = await convolve(
					empty([...shape]),
					[
						[1, 1, 1],
						[1, 1, 1],
						[1, 1, 1],
					],
					{ layout, boundary, backend },
				);
				expect(got).toEqual(result);
				expect(data).toHaveLength(0);
			}
		});

		test('no rows: full gives kh − 1 rows of what the constant gives', async () => {
			const { data, shape } = await convolve(empty([0, 3]), [[1], [2], [4]], { value: 5, backend });
			expect(shape).toEqual([2, 3]);
			expect([...data]).toEqual([35, 35, 35, 35, 35, 35]);
		});

		test('no columns: same gives none, valid is an error', async () => {
			expect((await convolve(empty([3, 0]), [[1]], { mode: 'same', backend })).shape).toEqual([3, 0]);
			await expect(convolve(empty([3, 0]), [[1]], { mode: 'valid', backend })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
		});

		test.each(['edge', 'symmetric', 'mirror', 'wrap'] as const)('no rows, boundary %s: nothing to extend', async (boundary) => {
			await expect(convolve(empty([0, 3]), [[1]], { boundary, backend })).rejects.toMatchObject({
				code: 'INVALID_ARGUMENT',
				message: expect.stringContaining('height'),
			});
			await expect(convolve(empty([3, 0]), [[1]], { boundary, backend })).rejects.toMatchObject({
				code: 'INVALID_ARGUMENT',
				message: expect.stringContaining('width'),
			});
			const other = await convolve(empty([0, 3]), [[1]], { boundary: ['constant', boundary], backend });
			expect(other.shape).toEqual([0, 3]);
		});

		test.each([[[0, 3]], [[3, 0]], [[0, 1, 1]], [[2, 0, 1]]])('an empty kernel %j is an error', async (shape) => {
			const kernel = { data: new Float32Array(0), shape };
			await expect(convolve({ data: Uint8Array.of(1), shape: [1, 1] }, kernel, { backend })).rejects.toMatchObject({
				code: 'INVALID_ARGUMENT',
				message: expect.stringContaining('kernel'),
			});
		});
	});

	describe('out', () => {
		const image = { data: Uint8Array.of(1, 2, 3, 4, 5, 6), shape: [2, 3] };
		const kernel = [[1, 1]];
		const expected = [1, 3, 5, 3, 4, 9, 11, 6];

		test('a typed array: filled and given back', async () => {
			const out = new Uint8Array(8);
			const { data } = await convolve(image, kernel, { out, backend });
			expect(data).toBe(out);
			expect([...out]).toEqual(expected);
		});

		test('an NdArray with gaps: only its elements are written', async () => {
			const out = given('uint8', [2, 4], new Array(8).fill(7), 'gaps');
			const before = [...out.data];
			const result = await convolve(image, kernel, { out: out as NdArray, backend });
			expect(result.data).toBe(out.data);
			expect(result.strides).toEqual(out.strides);
			expect(result.offset).toBe(out.offset);
			const [sy, sx] = out.strides as [number, number];
			const written = new Set<number>();
			for (let y = 0; y < 2; y++) {
				for (let x = 0; x < 4; x++) {
					const at = (out.offset as number) + y * sy + x * sx;
					written.add(at);
					expect(out.data[at]).toBe(expected[y * 4 + x]);
				}
			}
			for (const [at, old] of before.entries()) if (!written.has(at)) expect(out.data[at]).toBe(old);
		});

		test('a result written backwards and transposed', async () => {
			const data = new Uint8Array(8);
			await convolve(image, kernel, { out: { data, shape: [2, 4], strides: [-1, -2], offset: 7 }, backend });
			expect([...data].reverse()).toEqual([1, 4, 3, 9, 5, 11, 3, 6]);
		});

		test('float16 into a bare Uint16Array', async () => {
			const out = new Uint16Array(1);
			await convolve({ data: Uint16Array.of(halfBits(0.5)), shape: [1, 1], dtype: 'float16' }, [[3]], { out, backend });
			expect(valuesOf(out, 'float16')).toEqual([1.5]);
		});

		test('the same buffer as the image, apart from it: allowed', async () => {
			const buffer = new ArrayBuffer(16);
			const source = new Uint8Array(buffer, 0, 6);
			source.set([1, 2, 3, 4, 5, 6]);
			const out = new Uint8Array(buffer, 6, 8);
			await convolve({ data: source, shape: [2, 3] }, kernel, { out, backend });
			expect([...out]).toEqual(expected);
			expect([...source]).toEqual([1, 2, 3, 4, 5, 6]);
		});

		const buffer = new ArrayBuffer(32);
		test.each<[string, TypedArray | NdArray, NdArray | undefined, string]>([
			['too small', new Uint8Array(7), undefined, '8 elements'],
			['too large', new Uint8Array(9), undefined, '8 elements'],
			['of another dtype', new Int8Array(8), undefined, 'uint8'],
			['of another shape', { data: new Uint8Array(8), shape: [4, 2] }, undefined, 'out.shape'],
			['shared', new Uint8Array(new SharedArrayBuffer(8)), undefined, 'shared'],
			['over the image', new Uint8Array(buffer, 5, 8), { data: new Uint8Array(buffer, 0, 6), shape: [2, 3] }, 'image'],
			['over itself', { data: new Uint8Array(8), shape: [2, 4], strides: [0, 1] }, undefined, 'out.strides'],
			['over itself, slantwise', { data: new Uint8Array(8), shape: [2, 4], strides: [2, 1] }, undefined, 'out.strides'],
			['a view beyond its memory', { data: new Uint8Array(8), shape: [2, 4], strides: [4, 1], offset: 1 }, undefined, 'out'],
		])('refused: %s', async (_, out, other, says) => {
			const copy = [...new Uint8Array('buffer' in out ? out.buffer : out.data.buffer)];
			await expect(convolve(other ?? image, kernel, { out, backend })).rejects.toMatchObject({
				code: 'INVALID_ARGUMENT',
				message: expect.stringContaining(says),
			});
			expect([...new Uint8Array('buffer' in out ? out.buffer : out.data.buffer)], 'nothing written').toEqual(copy);
		});

		test('refused: over the kernel', async () => {
			const memory = new ArrayBuffer(16);
			const taps = { data: new Uint8Array(memory, 0, 2), shape: [1, 2] };
			await expect(convolve(image, taps, { out: new Uint8Array(memory, 1, 8), backend })).rejects.toMatchObject({
				code: 'INVALID_ARGUMENT',
				message: expect.stringContaining('kernel'),
			});
		});
	});

	test('a result is never the caller’s memory unless asked for', async () => {
		const image = { data: Uint8Array.of(1, 2), shape: [1, 2] };
		const { data } = await correlate(image, [[1]], { backend });
		expect(data.buffer).not.toBe(image.data.buffer);
		expectTypeOf<ConvolveOptions['out']>().toEqualTypeOf<TypedArray | NdArray | undefined>();
	});
});
