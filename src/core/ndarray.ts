/**
 * Arrays as users hand them over, and the one canonical form that everything below the API reads: a stack of planes.
 */
import type { Dtype, TypedArray } from './dtype.ts';
import { type FaltungError, invalid } from './errors.ts';

/** A dense or strided array over a typed array. */
export interface NdArray<T extends TypedArray = TypedArray> {
	/** Row-major elements. A Uint8ClampedArray counts as uint8. */
	data: T;
	shape: readonly number[];
	/** Needed only for float16 held in a Uint16Array. */
	dtype?: Dtype;
	/** In elements, one per axis; may be negative or 0. Default: row-major. */
	strides?: readonly number[];
	/** Element of `data` at index 0, 0, …; default 0. */
	offset?: number;
}

/** Names the axes of an image: batch N, channel C, row H, column W. */
export type Layout = 'HW' | 'HWC' | 'CHW' | 'NHW' | 'NHWC' | 'NCHW';

export const LAYOUTS: readonly Layout[] = ['HW', 'HWC', 'CHW', 'NHW', 'NHWC', 'NCHW'];

/** One number per canonical axis, in this order: batch, channel, row, column. */
export type PerAxis = readonly [n: number, c: number, y: number, x: number];

const CANONICAL = 'NCHW';

/** A stack of planes over a typed array: pixel (n, c, y, x) is element offset + n·sn + c·sc + y·sy + x·sx. */
export interface PlaneView {
	readonly data: TypedArray;
	readonly dtype: Dtype;
	readonly sizes: PerAxis;
	/** In elements. */
	readonly strides: PerAxis;
	/** In elements. */
	readonly offset: number;
}

/** Row-major strides of a shape, in elements. */
export function rowMajorStrides(shape: readonly number[]): number[] {
	const strides = new Array<number>(shape.length);
	let step = 1;
	for (let axis = shape.length - 1; axis >= 0; axis--) {
		strides[axis] = step;
		step *= shape[axis] as number;
	}
	return strides;
}

export const elementCount = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

/** Reorders one number per axis of `layout` into canonical order; an absent axis takes `absent`. */
export function toCanonical(layout: Layout, perAxis: readonly number[], absent: number): PerAxis {
	const pick = (axis: string) => {
		const at = layout.indexOf(axis);
		return at < 0 ? absent : (perAxis[at] as number);
	};
	return [pick('N'), pick('C'), pick('H'), pick('W')];
}

/** Reorders canonical sizes into the order of `layout`, dropping axes that it does not have. */
export function fromCanonical(layout: Layout, canonical: readonly number[]): number[] {
	return [...layout].map((axis) => canonical[CANONICAL.indexOf(axis)] as number);
}

/** Lowest and highest element that a view touches; undefined for an empty view. */
export function extentOf(view: {
	sizes: readonly number[];
	strides: readonly number[];
	offset: number;
}): { low: number; high: number } | undefined {
	let low = view.offset;
	let high = view.offset;
	for (let axis = 0; axis < view.sizes.length; axis++) {
		const size = view.sizes[axis] as number;
		if (size === 0) return undefined;
		const reach = (size - 1) * (view.strides[axis] as number);
		if (reach < 0) low += reach;
		else high += reach;
	}
	return { low, high };
}

/** The error of a call whose memory the caller took away meanwhile. */
export const moved = (): FaltungError =>
	invalid(
		'image and out to stay where they are',
		'a pending call',
		'memory that was transferred, detached or resized',
		'Await the promise first.',
	);

/** @throws INVALID_ARGUMENT where a view lost its memory: Node-API cannot pin it, and what is gone reads as undefined pixels */
export function checkInPlace(...views: readonly PlaneView[]): void {
	if (views.some(({ data, sizes }) => data.length === 0 && elementCount(sizes) > 0)) throw moved();
}
