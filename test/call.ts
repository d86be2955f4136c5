/** From a request of the tests to a call of the library, and its answer as plain values. */
import { convolve, correlate, type ImageSource } from '../src/index.ts';
import type { Request, Value } from './oracle/definition.ts';
import { arrayOf, type Dtype, type Numbers, valuesOf } from './oracle/dtypes.ts';

export interface Given {
	data: Numbers;
	shape: readonly number[];
	dtype: Dtype;
	strides?: readonly number[];
	offset?: number;
}

/** How an array lies in memory. */
export interface View {
	readonly kind: 'dense' | 'reversed' | 'transposed' | 'gaps' | 'shared' | 'unaligned';
}

export const VIEW_KINDS = ['dense', 'reversed', 'transposed', 'gaps', 'shared', 'unaligned'] as const satisfies readonly View['kind'][];

/** Images also come from a callback. */
export const IMAGE_KINDS = [...VIEW_KINDS, 'source'] as const;

/** An image that a callback writes. */
export const sourceOf = (dtype: Dtype, shape: readonly number[], values: readonly Value[]): ImageSource =>
	({ dtype, shape, fill: (memory: Numbers) => (memory as Uint8Array).set(arrayOf(dtype, values) as Uint8Array) }) as ImageSource;

function rowMajor(shape: readonly number[]): number[] {
	return shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
}

/** Values laid out by strides and offset in an array of `length` elements, the rest filled with `filler`. */
function scatter(
	values: readonly Value[],
	{ shape, strides, offset, length }: { shape: readonly number[]; strides: readonly number[]; offset: number; length: number },
	filler: Value,
): Value[] {
	const laid = new Array<Value>(length).fill(filler);
	const dense = rowMajor(shape);
	for (let k = 0; k < values.length; k++) {
		const at = dense.reduce(
			(sum, step, axis) => sum + (Math.floor(k / step) % (shape[axis] as number)) * (strides[axis] as number),
			offset,
		);
		laid[at] = values[k] as Value;
	}
	return laid;
}

/**
 * An array that shows the same values in another layout of memory.
 *
 * @param values row-major in `shape`
 */
export function given(dtype: Dtype, shape: readonly number[], values: readonly Value[], kind: View['kind'] = 'dense'): Given {
	const count = values.length;
	const dense = rowMajor(shape);
	const filler = values[0] ?? 0;
	const laidOut = (strides: readonly number[], offset: number, length: number): Given => {
		const laid = scatter(values, { shape, strides, offset, length }, filler);
		return { data: arrayOf(dtype, laid), shape, dtype, strides, offset };
	};
	switch (kind) {
		case 'dense':
			return { data: arrayOf(dtype, values), shape, dtype };
		case 'reversed':
			return laidOut(
				dense.map((step) => (count === 0 ? 0 : -step)),
				Math.max(0, count - 1),
				count,
			);
		case 'transposed':
			return laidOut(rowMajor(shape.toReversed()).toReversed(), 0, count);
		case 'gaps':
			return laidOut(
				dense.map((step) => step * 3),
				2,
				Math.max(3, count * 3 + 2),
			);
		case 'shared': {
			const data = arrayOf(dtype, values);
			const shared = new SharedArrayBuffer(data.byteLength);
			new Uint8Array(shared).set(new Uint8Array(data.buffer));
			return { data: over(data, shared, 0, count), shape, dtype };
		}
		case 'unaligned': {
			const data = arrayOf(dtype, values);
			const start = data.BYTES_PER_ELEMENT; // as far from a vector boundary as a typed array can be
			const buffer = new ArrayBuffer(data.byteLength + 3 * start);
			new Uint8Array(buffer, start).set(new Uint8Array(data.buffer));
			return { data: over(data, buffer, start, count), shape, dtype };
		}
	}
}

/** A typed array of the same class over another buffer. */
function over(like: Numbers, buffer: ArrayBufferLike, byteOffset: number, length: number): Numbers {
	const type = like.constructor as unknown as new (buffer: ArrayBufferLike, byteOffset: number, length: number) => Numbers;
	return new type(buffer, byteOffset, length);
}

export interface Outcome {
	readonly values: readonly Value[];
	readonly shape: readonly number[];
	readonly dtype: string;
	readonly report: { readonly backend: string; readonly plan: string; readonly algorithm: string; readonly fallbacks: readonly unknown[] };
}

type Extra = NonNullable<Parameters<typeof convolve>[2]>;

/** Calls the library. */
export async function call(
	request: Request,
	extra: Extra,
	views: { image?: (typeof IMAGE_KINDS)[number]; kernel?: View['kind'] } = {},
): Promise<Outcome> {
	const { image, kernel, options, operation } = request;
	const run = operation === 'convolve' ? convolve : correlate;
	const result = await run(
		views.image === 'source'
			? sourceOf(image.dtype, image.shape, image.values)
			: given(image.dtype, image.shape, image.values, views.image),
		given(kernel.dtype, kernel.shape, kernel.values, views.kernel),
		{ ...(options as Extra), layout: image.layout, ...extra },
	);
	return { values: valuesOf(result.data, result.dtype), shape: result.shape, dtype: result.dtype, report: result.report };
}
