/** What TypeScript knows: the type of `data` from image and outputDtype, and which calls do not compile. */
import { describe, expectTypeOf, test } from 'vitest';
import {
	type ConvolveOptions,
	type ConvolveResult,
	convolve,
	correlate,
	createConvolver,
	type Dtype,
	type DtypeArrays,
	type ImageSource,
	kernels,
	type NdArray,
	naiveConvolve,
	type Report,
	type TypedArray,
} from '../src/index.ts';

declare const u8: NdArray<Uint8Array>;
declare const clamped: NdArray<Uint8ClampedArray>;
declare const i64: NdArray<BigInt64Array>;
declare const f32: NdArray<Float32Array>;
declare const some: NdArray;
declare const kernel: NdArray<Float32Array>;
declare const nested: number[][];
declare const dtype: Dtype;

describe('data', () => {
	test('is the image’s own type', async () => {
		expectTypeOf((await convolve(u8, kernel)).data).toEqualTypeOf<Uint8Array>();
		expectTypeOf((await convolve(i64, kernel)).data).toEqualTypeOf<BigInt64Array>();
		expectTypeOf((await convolve(f32, kernel, {})).data).toEqualTypeOf<Float32Array>();
		expectTypeOf((await correlate(u8, nested, { mode: 'same', boundary: ['edge', 'wrap'] })).data).toEqualTypeOf<Uint8Array>();
	});
	test('of a Uint8ClampedArray is a Uint8Array, of nested rows a Float64Array', async () => {
		expectTypeOf((await convolve(clamped, kernel)).data).toEqualTypeOf<Uint8Array>();
		expectTypeOf((await convolve(nested, kernel)).data).toEqualTypeOf<Float64Array>();
		expectTypeOf((await convolve([[1, 2, 1]], [[1]])).data).toEqualTypeOf<Float64Array>();
	});
	test('follows outputDtype, written in place', async () => {
		expectTypeOf((await convolve(u8, kernel, { outputDtype: 'float32' })).data).toEqualTypeOf<Float32Array>();
		expectTypeOf((await convolve(nested, kernel, { outputDtype: 'uint64' })).data).toEqualTypeOf<BigUint64Array>();
		expectTypeOf((await convolve(u8, kernel, { outputDtype: 'float16' })).data).toEqualTypeOf<Uint16Array>();
		expectTypeOf((await correlate(f32, kernel, { mode: 'valid', outputDtype: 'int16' })).data).toEqualTypeOf<Int16Array>();
	});
	test('is a union where only the run knows', async () => {
		expectTypeOf((await convolve(some, kernel)).data).toEqualTypeOf<Exclude<TypedArray, Uint8ClampedArray>>();
		expectTypeOf((await convolve(u8, kernel, { outputDtype: dtype })).data).toEqualTypeOf<DtypeArrays[Dtype]>();
	});
	test('of an image that a callback writes is that of its dtype, and so is the memory that it is handed', async () => {
		const shape = [2, 3];
		const made = await convolve({ shape, dtype: 'int16', fill: (memory) => expectTypeOf(memory).toEqualTypeOf<Int16Array>() }, kernel);
		expectTypeOf(made.data).toEqualTypeOf<Int16Array>();
		const big: ImageSource<'uint64'> = { shape, dtype: 'uint64', fill: (memory) => memory.fill(1n) };
		expectTypeOf((await convolve(big, kernel)).data).toEqualTypeOf<BigUint64Array>();
		expectTypeOf((await convolve(big, kernel, { outputDtype: 'uint8' })).data).toEqualTypeOf<Uint8Array>();
		expectTypeOf<{ shape: number[]; dtype: 'uint8'; fill(memory: Float64Array): void }>().not.toExtend<ImageSource>();
		expectTypeOf<{ shape: number[]; fill(): void }>().not.toExtend<Parameters<typeof convolve>[0]>();
	});
	test('of every dtype', async () => {
		expectTypeOf<DtypeArrays>().toEqualTypeOf<{
			uint8: Uint8Array;
			int8: Int8Array;
			uint16: Uint16Array;
			int16: Int16Array;
			uint32: Uint32Array;
			int32: Int32Array;
			uint64: BigUint64Array;
			int64: BigInt64Array;
			float16: Uint16Array;
			float32: Float32Array;
			float64: Float64Array;
		}>();
		expectTypeOf<Dtype>().toEqualTypeOf<keyof DtypeArrays>();
	});
	test('of naiveConvolve and of a convolver', async () => {
		expectTypeOf(naiveConvolve(u8, kernel).data).toEqualTypeOf<Uint8Array>();
		expectTypeOf(naiveConvolve(nested, nested).data).toEqualTypeOf<Float64Array>();
		const c = await createConvolver(kernel, { outputDtype: 'int32' });
		expectTypeOf((await c.run(u8)).data).toEqualTypeOf<Int32Array>();
		const plain = await createConvolver(kernel);
		expectTypeOf((await plain.run(i64)).data).toEqualTypeOf<BigInt64Array>();
		for await (const r of plain.batch([u8])) {
			expectTypeOf(r.data).toEqualTypeOf<Uint8Array>();
			expectTypeOf(r.index).toBeNumber();
		}
		for await (const r of plain.batch([u8], { onError: 'yield' })) {
			if (r.error === undefined) expectTypeOf(r.data).toEqualTypeOf<Uint8Array>();
		}
	});
	test('of a kernel from the library', () => {
		expectTypeOf(kernels.gaussian({ sigma: 1 })).toExtend<NdArray>();
		expectTypeOf(kernels.sobel).returns.toExtend<NdArray>();
	});
});

describe('results', () => {
	test('shape, dtype and report', () => {
		expectTypeOf<ConvolveResult['shape']>().toEqualTypeOf<readonly number[]>();
		expectTypeOf<ConvolveResult['dtype']>().toEqualTypeOf<Dtype>();
		expectTypeOf<ConvolveResult['report']>().toEqualTypeOf<Report>();
	});
	test('a result is an image again', async () => {
		const first = await convolve(u8, kernel, { outputDtype: 'float32' });
		expectTypeOf((await convolve(first, kernel)).data).toEqualTypeOf<Float32Array>();
	});
});

describe('calls that do not compile', () => {
	test('words and shapes', () => {
		expectTypeOf<'reflect'>().not.toExtend<ConvolveOptions['boundary']>();
		expectTypeOf<'crop'>().not.toExtend<ConvolveOptions['mode']>();
		expectTypeOf<'f32'>().not.toExtend<ConvolveOptions['outputDtype']>();
		expectTypeOf<true>().not.toExtend<ConvolveOptions['verify']>();
		expectTypeOf<number>().not.toExtend<ConvolveOptions['anchor']>();
		expectTypeOf<string>().not.toExtend<ConvolveOptions['scale']>();
		expectTypeOf<'opencl'>().not.toExtend<ConvolveOptions['backend']>();
		expectTypeOf<Uint8Array>().not.toExtend<Parameters<typeof convolve>[0]>();
		expectTypeOf<string>().not.toExtend<Parameters<typeof convolve>[1]>();
		expectTypeOf<undefined>().not.toExtend<Parameters<typeof convolve>[1]>();
	});
	test('words that do', () => {
		expectTypeOf<'replicate'>().toExtend<ConvolveOptions['boundary']>();
		expectTypeOf<readonly ['edge', 'periodic']>().toExtend<ConvolveOptions['boundary']>();
		expectTypeOf<readonly ['native', 'reference']>().toExtend<ConvolveOptions['backend']>();
		expectTypeOf<false>().toExtend<ConvolveOptions['verify']>();
	});
});
