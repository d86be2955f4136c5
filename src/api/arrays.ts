/** Kernels and outputs as given → checked snapshots. */
import { DTYPES, type Dtype, reader, type TypedArray } from '../core/dtype.ts';
import { invalid, show } from '../core/errors.ts';
import { type ArraySnapshot, plainView, snapshotNdArray, snapshotRows, tagOf } from '../core/images.ts';
import { elementCount, extentOf, type Layout, type NdArray, type PlaneView, rowMajorStrides, toCanonical } from '../core/ndarray.ts';
import type { Taps } from '../core/problem.ts';
import { guarded } from '../core/snapshot.ts';
import type { ImageSource } from '../core/source.ts';

/** A 2-D array as nested rows of numbers. */
export type NestedArray = readonly (readonly number[])[];
/** Kernels may also hold BigInts beside 64-bit images. */
export type NestedKernel = readonly (readonly (number | bigint)[])[];

export type ImageInput = NdArray | NestedArray | ImageSource;
export type KernelInput = NdArray | NestedKernel;

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
	if (beyond !== undefined)
		throw invalid(`integers in the range of ${dtype} (beside a ${image} image)`, 'kernel', show(beyond), holderOf(values));
	return { dtype, taps: dtype === 'int64' ? BigInt64Array.from(values, BigInt) : Float64Array.from(values, Number) };
}

/** What can hold integers that the kernel's own dtype cannot. */
function holderOf(values: readonly (number | bigint)[]): string {
	const within = ({ minInt, maxInt }: { minInt: bigint; maxInt: bigint }) =>
		values.every((tap) => BigInt(tap) >= minInt && BigInt(tap) <= maxInt);
	if (within(DTYPES.int64)) return 'Give a BigInt64Array.';
	if (within(DTYPES.uint64)) return 'Give a BigUint64Array; a BigInt64Array ends at 2^63 − 1.';
	return 'Give a Float64Array: neither a BigInt64Array nor a BigUint64Array holds them.';
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

/** Buffers are compared first: views cost more to make than all else here. */
const meet = (a: ArraySnapshot, b: ArraySnapshot): boolean => a.data.buffer === b.data.buffer && overlaps(touched(a), touched(b));

const isRowMajor = (array: ArraySnapshot): boolean => {
	const strides = rowMajorStrides(array.shape);
	return array.strides.every((stride, axis) => stride === strides[axis]);
};

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
	image: ArraySnapshot | undefined,
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
	const rowMajor = isRowMajor(array);
	if (!rowMajor && overlapsItself(array)) throw invalid('strides that keep elements apart', 'out.strides', `[${array.strides.join(', ')}]`);
	if (image !== undefined && meet(array, image)) throw invalid('memory apart from the image', 'out', 'memory that overlaps it');
	if (kernel.source?.buffer === array.data.buffer && overlaps(touched(array), kernel.source))
		throw invalid('memory apart from the kernel', 'out', 'memory that overlaps it');
	const view = {
		data: array.data,
		dtype: array.dtype,
		sizes: toCanonical(result.layout, result.shape, 1),
		strides: toCanonical(result.layout, array.strides, 0),
		offset: array.offset,
	};
	const data = array.given;
	return rowMajor && array.offset === 0 ? { view, data } : { view, data, strides: array.strides, offset: array.offset };
}
