/** Arrays as given → checked snapshots: images, kernels, outputs. The only place that blames the user for an array. */
import { DTYPE_NAMES, DTYPE_OF_TAG, DTYPES, type Dtype, reader, type TypedArray } from '../core/dtype.ts';
import { invalid, show } from '../core/errors.ts';
import {
	elementCount,
	extentOf,
	LAYOUTS,
	type Layout,
	type NdArray,
	type PlaneView,
	rowMajorStrides,
	toCanonical,
} from '../core/ndarray.ts';
import type { Taps } from '../core/problem.ts';
import { guarded, snapshotElements, snapshotList, whole, word } from './snapshot.ts';

/** A 2-D array as nested rows of numbers. */
export type NestedArray = readonly (readonly number[])[];
/** Kernels may also hold BigInts beside 64-bit images. */
export type NestedKernel = readonly (readonly (number | bigint)[])[];

export type ImageInput = NdArray | NestedArray;
export type KernelInput = NdArray | NestedKernel;

/** A strided view, every field read once. `data` is a plain view over the caller's memory: float16 as Uint16Array. */
export interface ArraySnapshot {
	readonly data: TypedArray;
	/** The caller's own object. */
	readonly given: TypedArray;
	readonly dtype: Dtype;
	readonly shape: readonly number[];
	readonly strides: readonly number[];
	readonly offset: number;
}

// The intrinsic getters see through subclasses and own properties, and say undefined for everything that is no typed array.
const intrinsic = Object.getPrototypeOf(Uint8Array.prototype) as object;
const getter = (key: PropertyKey) => Object.getOwnPropertyDescriptor(intrinsic, key)?.get as (this: unknown) => unknown;
const tagOf = getter(Symbol.toStringTag);
const lengthOf = getter('length');
const bufferOf = getter('buffer');
const byteOffsetOf = getter('byteOffset');

/** scijs ndarray's names that differ from ours. */
const DTYPE_SYNONYMS: Readonly<Record<string, Dtype>> = { uint8_clamped: 'uint8', bigint64: 'int64', biguint64: 'uint64' };

function isDetached(buffer: ArrayBufferLike): boolean {
	if (typeof SharedArrayBuffer !== 'undefined' && buffer instanceof SharedArrayBuffer) return false;
	try {
		new Uint8Array(buffer, 0, 0); // the one thing that Node 20 lets a detached buffer be told by
		return false;
	} catch {
		return true;
	}
}

/** A typed array's own dtype and a fresh fixed-length plain view of its memory. */
function plainView(data: unknown, stated: unknown, parameter: string): { data: TypedArray; dtype: Dtype } {
	const tag = tagOf.call(data) as string | undefined;
	const own = tag === undefined ? undefined : DTYPE_OF_TAG[tag];
	if (own === undefined)
		throw invalid('a typed array', `${parameter}.data`, show(data), 'Nested plain arrays are given directly: [[1, 2, 1]].');
	const buffer = bufferOf.call(data) as ArrayBuffer;
	if (isDetached(buffer)) throw invalid('live memory', `${parameter}.data`, `a ${tag} whose buffer is detached`);
	let dtype = own;
	if (stated !== undefined) {
		const name = typeof stated === 'string' && Object.hasOwn(DTYPE_SYNONYMS, stated) ? DTYPE_SYNONYMS[stated] : stated;
		dtype = word(name, DTYPE_NAMES, `${parameter}.dtype`);
		if (dtype !== own && !(dtype === 'float16' && own === 'uint16')) {
			const fits = own === 'uint16' ? '"uint16" or "float16"' : show(own);
			throw invalid(`${fits} for a ${tag}`, `${parameter}.dtype`, show(stated));
		}
	}
	const plain = DTYPES[own].array as unknown as new (b: ArrayBuffer, o: number, n: number) => TypedArray;
	return { data: new plain(buffer, byteOffsetOf.call(data) as number, lengthOf.call(data) as number), dtype };
}

function sizesOf(value: unknown, parameter: string, low: number): number[] {
	const list = snapshotList(value, parameter, 64);
	if (list === undefined) throw invalid('an array of whole numbers', parameter, show(value));
	return list.map((size, axis) => whole(size, low, Number.MAX_SAFE_INTEGER, `${parameter}[${axis}]`));
}

/** Reads an NdArray's fields once and checks that it lies within its memory. */
export function snapshotNdArray(value: unknown, parameter: string): ArraySnapshot {
	if (typeof value !== 'object' || value === null) {
		throw invalid('an array: { data, shape } or nested rows of numbers', parameter, show(value));
	}
	if (tagOf.call(value) !== undefined) {
		throw invalid('{ data, shape }', parameter, `a bare ${tagOf.call(value)}`, 'Wrap it: { data, shape: [height, width] }.');
	}
	const raw = guarded(parameter, () => {
		const { data, shape, dtype, strides, stride, offset } = value as Record<string, unknown>;
		return { data, shape, dtype, strides: strides ?? stride, offset }; // `stride` is what scijs ndarray and zarrita say
	});
	const { data, dtype } = plainView(raw.data, raw.dtype, parameter);
	const shape = sizesOf(raw.shape, `${parameter}.shape`, 0);
	const viewed = raw.strides !== undefined || raw.offset !== undefined;
	const strides =
		raw.strides === undefined ? rowMajorStrides(shape) : sizesOf(raw.strides, `${parameter}.strides`, Number.MIN_SAFE_INTEGER);
	if (strides.length !== shape.length) {
		throw invalid(`${shape.length} strides, one per axis`, `${parameter}.strides`, `${strides.length}`);
	}
	const offset = raw.offset === undefined ? 0 : whole(raw.offset, 0, Number.MAX_SAFE_INTEGER, `${parameter}.offset`);
	const count = elementCount(shape);
	if (!viewed && data.length !== count) {
		const next = data.length > count ? 'Give strides or offset to read a part of it.' : undefined;
		throw invalid(`${count} elements for shape [${shape.join(', ')}]`, `${parameter}.data`, `${data.length}`, next);
	}
	const extent = extentOf({ sizes: shape, strides, offset });
	if (extent !== undefined && (extent.low < 0 || extent.high >= data.length)) {
		throw invalid(
			`a view within its ${data.length} elements`,
			parameter,
			`shape [${shape.join(', ')}], strides [${strides.join(', ')}], offset ${offset}, which reaches from element ${extent.low} to ${extent.high}`,
		);
	}
	return { data, given: raw.data as TypedArray, dtype, shape, strides, offset };
}

/** Nested rows, every element read once. @returns undefined if the value is no array */
function snapshotRows<T>(
	value: unknown,
	parameter: string,
	check: (element: unknown, name: string) => T,
): { rows: T[][]; height: number; width: number } | undefined {
	let width = 0;
	const rows = snapshotElements(value, parameter, (row, y) => {
		const name = `${parameter}[${y}]`;
		const list = snapshotElements(row, name, (element, x) => check(element, `${name}[${x}]`));
		if (list === undefined) throw invalid('an array of numbers (a 2-D array is rows of numbers)', name, show(row));
		if (y === 0) width = list.length;
		if (list.length !== width) throw invalid(`${width} numbers, as in the first row`, name, `${list.length}`);
		return list;
	});
	return rows === undefined ? undefined : { rows, height: rows.length, width };
}

// ── images ───────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface ImageSnapshot extends ArraySnapshot {
	readonly layout: Layout;
	readonly view: PlaneView;
}

export function snapshotImage(value: unknown, layout: Layout | undefined): ImageSnapshot {
	const array = nestedImage(value) ?? snapshotNdArray(value, 'image');
	const named = layoutOf(array.shape.length, layout);
	const view: PlaneView = {
		data: array.data,
		dtype: array.dtype,
		sizes: toCanonical(named, array.shape, 1),
		strides: toCanonical(named, array.strides, 0),
		offset: array.offset,
	};
	return { ...array, layout: named, view };
}

function nestedImage(value: unknown): ArraySnapshot | undefined {
	const nested = snapshotRows(value, 'image', (pixel, name) => {
		if (typeof pixel === 'number') return pixel;
		throw invalid('a number', name, show(pixel), 'Use { data, shape } with a typed array for other dtypes.');
	});
	if (nested === undefined) return undefined;
	const { rows, height, width } = nested;
	const data = new Float64Array(height * width);
	for (const [y, row] of rows.entries()) data.set(row, y * width);
	return { data, given: data, dtype: 'float64', shape: [height, width], strides: [width, 1], offset: 0 };
}

/** The layout of a rank: 2 is HW, any other must be said. */
function layoutOf(rank: number, layout: Layout | undefined): Layout {
	const fitting = LAYOUTS.filter((name) => name.length === rank);
	if (fitting.length === 0) throw invalid('an array of rank 2, 3 or 4', 'image', `rank ${rank}`);
	if (layout === undefined) {
		if (rank === 2) return 'HW';
		throw invalid(
			`one of ${fitting.join(', ')}`,
			'option layout',
			'none',
			`An image of rank ${rank} does not say by itself what its axes are.`,
		);
	}
	if (layout.length !== rank)
		throw invalid(`a layout of ${rank} axes (${fitting.join(', ')})`, 'option layout', show(layout), `The image has rank ${rank}.`);
	return layout;
}

// ── kernels ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A kernel as given, copied. Nested kernels get their dtype once the image's is known. */
export interface KernelSnapshot {
	readonly height: number;
	readonly width: number;
	readonly count: number;
	readonly bank: boolean;
	/** undefined: nested; see resolveKernel. */
	readonly dtype: Dtype | undefined;
	/** Row-major [count, height, width]. */
	readonly values: readonly (number | bigint)[] | Taps;
	/** The caller's memory, to refuse an output that lies over it. */
	readonly source: TypedArray | undefined;
}

export function snapshotKernel(value: unknown): KernelSnapshot {
	return nestedKernel(value) ?? arrayKernel(value);
}

function nestedKernel(value: unknown): KernelSnapshot | undefined {
	const nested = snapshotRows(value, 'kernel', (tap, name) => {
		if (typeof tap === 'bigint' || (typeof tap === 'number' && Number.isFinite(tap))) return tap;
		throw invalid('a finite number', name, show(tap));
	});
	if (nested === undefined) return undefined;
	const { rows, height, width } = nested;
	if (height * width === 0) throw invalid('at least one tap', 'kernel', `an empty ${height}×${width} array`);
	return { height, width, count: 1, bank: false, dtype: undefined, values: rows.flat(), source: undefined };
}

function arrayKernel(value: unknown): KernelSnapshot {
	const array = snapshotNdArray(value, 'kernel');
	const { shape, dtype } = array;
	if (shape.length !== 2 && shape.length !== 3) {
		throw invalid('an array of rank 2, or a bank of rank 3 [M, height, width]', 'kernel', `rank ${shape.length}`);
	}
	const bank = shape.length === 3;
	const [count, height, width] = bank ? shape : [1, ...shape];
	const total = elementCount(shape);
	if (total === 0) throw invalid('at least one tap', 'kernel', `an empty array of shape [${shape.join(', ')}]`);
	const read = reader(array.data, dtype);
	const values: Taps =
		dtype === 'uint64' ? new BigUint64Array(total) : dtype === 'int64' ? new BigInt64Array(total) : new Float64Array(total);
	const [sm, sy, sx] = bank ? array.strides : [0, ...array.strides];
	let k = 0;
	for (let m = 0; m < (count as number); m++) {
		for (let y = 0; y < (height as number); y++) {
			for (let x = 0; x < (width as number); x++) {
				const tap = read(array.offset + m * (sm as number) + y * (sy as number) + x * (sx as number));
				if (typeof tap === 'number' && !Number.isFinite(tap)) {
					throw invalid('finite taps', 'kernel', `${tap} at [${[...(bank ? [m] : []), y, x].join(', ')}]`);
				}
				values[k++] = tap;
			}
		}
	}
	return { count: count as number, height: height as number, width: width as number, bank, dtype, values, source: array.data };
}

/** The kernel beside an image of this dtype: API.md, "Arrays", for nested ones. */
export function resolveKernel(kernel: KernelSnapshot, image: Dtype): { dtype: Dtype; taps: Taps } {
	if (kernel.dtype !== undefined) return { dtype: kernel.dtype, taps: kernel.values as Taps };
	const values = kernel.values as readonly (number | bigint)[];
	const { float, bytes } = DTYPES[image];
	if (float || !values.every((tap) => typeof tap === 'bigint' || Number.isInteger(tap))) {
		const big = values.find((tap) => typeof tap === 'bigint');
		if (big !== undefined)
			throw invalid('numbers', 'kernel', show(big), `BigInt taps go with integer taps and an integer image; this image is ${image}.`);
		const dtype = image === 'float64' || (!float && bytes >= 4) ? 'float64' : 'float32';
		const taps = dtype === 'float64' ? Float64Array.from(values, Number) : Float64Array.from(values, (tap) => Math.fround(Number(tap)));
		const lost = taps.findIndex((tap) => !Number.isFinite(tap));
		if (lost >= 0) throw invalid('taps in the range of float32', 'kernel', show(values[lost]), 'Give a Float64Array.');
		return { dtype, taps };
	}
	const dtype = bytes === 8 ? 'int64' : 'int32';
	const { minInt, maxInt } = DTYPES[dtype];
	const beyond = values.find((tap) => BigInt(tap) < minInt || BigInt(tap) > maxInt);
	if (beyond !== undefined) {
		const next = dtype === 'int64' ? 'Give a BigUint64Array, or floats; a BigInt64Array holds up to 64 bits.' : 'Give a BigInt64Array.';
		throw invalid(`integers in the range of ${dtype} (beside a ${image} image)`, 'kernel', show(beyond), next);
	}
	return { dtype, taps: dtype === 'int64' ? BigInt64Array.from(values, BigInt) : Float64Array.from(values, Number) };
}

// ── outputs ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Where a result goes: the view that backends write, and the object that the caller gets back. */
export interface OutputTarget {
	readonly view: PlaneView;
	/** The caller's own typed array, or the one allocated. */
	readonly data: TypedArray;
	/** Set where the caller's output is a strided view. */
	readonly strides?: readonly number[];
	readonly offset?: number;
}

function overlaps(a: TypedArray, b: TypedArray): boolean {
	return a.buffer === b.buffer && a.byteOffset < b.byteOffset + b.byteLength && b.byteOffset < a.byteOffset + a.byteLength;
}

/** The part of `data` that a view touches. */
function touched(array: ArraySnapshot): TypedArray {
	const extent = extentOf({ sizes: array.shape, strides: array.strides, offset: array.offset });
	return extent === undefined ? array.data.subarray(0, 0) : array.data.subarray(extent.low, extent.high + 1);
}

/** True where two indices may meet in one element: some axis steps no farther than the smaller axes reach together. */
function overlapsItself(array: ArraySnapshot): boolean {
	if (array.shape.includes(0)) return false;
	const axes = array.shape.map((size, axis) => ({ size, step: Math.abs(array.strides[axis] as number) })).filter(({ size }) => size > 1);
	axes.sort((a, b) => a.step - b.step);
	let within = 0;
	return axes.some(({ size, step }) => {
		const meets = step <= within;
		within += (size - 1) * step;
		return meets;
	});
}

/** Checks an `out` against the result it must hold and the memory it must leave alone. */
export function snapshotOutput(
	value: unknown,
	result: { dtype: Dtype; shape: readonly number[]; layout: Layout },
	image: ArraySnapshot,
	kernel: KernelSnapshot,
): OutputTarget {
	if (guarded('out', () => Array.isArray(value))) {
		throw invalid('a typed array or { data, shape }', 'out', show(value), 'A nested array cannot be written into.');
	}
	const bare = tagOf.call(value) !== undefined;
	const count = elementCount(result.shape);
	let array: ArraySnapshot;
	if (bare) {
		const { data, dtype } = plainView(value, result.dtype === 'float16' ? 'float16' : undefined, 'out');
		if (data.length !== count) throw invalid(`${count} elements for shape [${result.shape.join(', ')}]`, 'out', `${data.length}`);
		array = { data, given: value as TypedArray, dtype, shape: result.shape, strides: rowMajorStrides(result.shape), offset: 0 };
	} else {
		array = snapshotNdArray(value, 'out');
		if (array.shape.join() !== result.shape.join())
			throw invalid(`shape [${result.shape.join(', ')}]`, 'out.shape', `[${array.shape.join(', ')}]`);
	}
	if (array.dtype !== result.dtype)
		throw invalid(`dtype ${result.dtype}`, 'out', array.dtype, 'Set outputDtype, or give an out of that dtype.');
	if (typeof SharedArrayBuffer !== 'undefined' && array.data.buffer instanceof SharedArrayBuffer) {
		throw invalid('memory that is not shared', 'out', 'a view of a SharedArrayBuffer');
	}
	if (overlapsItself(array)) throw invalid('strides that keep elements apart', 'out.strides', `[${array.strides.join(', ')}]`);
	const written = touched(array);
	if (overlaps(written, touched(image))) throw invalid('memory apart from the image', 'out', 'memory that overlaps it');
	if (kernel.source !== undefined && overlaps(written, kernel.source))
		throw invalid('memory apart from the kernel', 'out', 'memory that overlaps it');
	const view = {
		data: array.data,
		dtype: array.dtype,
		sizes: toCanonical(result.layout, result.shape, 1),
		strides: toCanonical(result.layout, array.strides, 0),
		offset: array.offset,
	};
	const data = array.given;
	const dense = array.offset === 0 && array.strides.join() === rowMajorStrides(result.shape).join();
	return dense ? { view, data } : { view, data, strides: array.strides, offset: array.offset };
}
