/**
 * Regions: which source rows and columns a piece of the result needs, and copying a box of planes between the caller's memory,
 * with any strides, and dense staging memory.
 */
import { type Boundary, indexMap, OUTSIDE } from '../../core/boundary.ts';
import { DTYPES, type Dtype, type TypedArray } from '../../core/dtype.ts';
import { moved, type PerAxis, type PlaneView } from '../../core/ndarray.ts';

/** A half-open interval. */
export interface Range {
	readonly start: number;
	readonly count: number;
}

/** The sources of one axis, packed: `runs` of source indices side by side, and where each extended position finds its own. */
export interface PackedAxis {
	readonly runs: readonly Range[];
	/** Sources in all runs. */
	readonly total: number;
	/** Packed index that extended position `first + k` shows, or OUTSIDE. */
	readonly map: Int32Array;
	/** Entries begin … end − 1 lie on the image itself: their packed index is k + origin. */
	readonly begin: number;
	readonly end: number;
	readonly origin: number;
}

/** Packs the sources that extended positions first … first + count − 1 of an axis of n pixels show. */
export function packAxis(mode: Boundary, n: number, first: number, count: number): PackedAxis {
	const map = indexMap(mode, n, first, count);
	let [low, high] = [n, -1];
	for (const source of map) {
		if (source === OUTSIDE) continue;
		if (source < low) low = source;
		if (source > high) high = source;
	}
	const needed = new Uint8Array(Math.max(0, high - low + 1));
	for (const source of map) if (source !== OUTSIDE) needed[source - low] = 1;
	const runs: { start: number; count: number }[] = [];
	const packed = new Int32Array(needed.length);
	let total = 0;
	for (let at = 0; at < needed.length; at++) {
		if (needed[at] === 0) continue;
		if (at === 0 || needed[at - 1] === 0) runs.push({ start: low + at, count: 0 });
		(runs.at(-1) as { count: number }).count++;
		packed[at] = total++;
	}
	const begin = Math.max(0, -first);
	const end = Math.max(begin, Math.min(count, n - first));
	for (let k = 0; k < count; k++) if (map[k] !== OUTSIDE) map[k] = packed[(map[k] as number) - low] as number;
	return { runs, total, map, begin, end, origin: end > begin ? (map[begin] as number) - begin : 0 };
}

/** The axis of a whole image where it lies: every source is its own packed index. */
export function wholeAxis(mode: Boundary, n: number, first: number, count: number): PackedAxis {
	const map = indexMap(mode, n, first, count);
	const begin = Math.max(0, -first);
	const end = Math.max(begin, Math.min(count, n - first));
	return { runs: n === 0 ? [] : [{ start: 0, count: n }], total: n, map, begin, end, origin: first };
}

/** Order of the axes of dense staging and device memory: N·C·H·W, or N·H·W·C with channels side by side. */
export type Arrangement = 'planar' | 'interleaved';

/** Strides of a dense box [n, c, h, w] in an arrangement, in elements. */
export function denseStrides(arrangement: Arrangement, [, c, h, w]: PerAxis): PerAxis {
	return arrangement === 'planar' ? [c * h * w, h * w, w, 1] : [h * w * c, 1, w * c, c];
}

/** The elements as raw words of their size, so that copying never touches a NaN's bits; works on shared memory. */
type Raw = Uint8Array | Uint16Array | Uint32Array | BigUint64Array;

const RAW = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array } as const;

export function rawWords(data: TypedArray, dtype: Dtype): Raw {
	try {
		return new RAW[DTYPES[dtype].bytes](data.buffer as ArrayBuffer, data.byteOffset, data.length);
	} catch {
		throw moved();
	}
}

export const rawMemory = (memory: ArrayBuffer, dtype: Dtype, elements: number): Raw => new RAW[DTYPES[dtype].bytes](memory, 0, elements);

interface CopyAxis {
	readonly count: number;
	readonly from: number;
	readonly to: number;
}

/** Copies a strided box: runs side by side on both sides as one block, else element by element. */
function copyBox(from: Raw, fromOffset: number, to: Raw, toOffset: number, axes: readonly CopyAxis[]): void {
	const merged: CopyAxis[] = [];
	for (const axis of axes) {
		if (axis.count === 0) return;
		if (axis.count === 1) continue;
		const outer = merged.at(-1);
		if (outer !== undefined && outer.from === axis.from * axis.count && outer.to === axis.to * axis.count) {
			merged[merged.length - 1] = { ...axis, count: outer.count * axis.count };
		} else merged.push(axis);
	}
	if (from.length === 0 || to.length === 0) throw moved(); // a view of a buffer that shrank
	const inner = merged.pop() ?? { count: 1, from: 1, to: 1 };
	const walk = (level: number, f: number, t: number): void => {
		const axis = merged[level];
		if (axis !== undefined) {
			for (let k = 0; k < axis.count; k++) walk(level + 1, f + k * axis.from, t + k * axis.to);
		} else if (inner.from === 1 && inner.to === 1) {
			(to as Uint8Array).set(from.subarray(f, f + inner.count) as Uint8Array, t);
		} else {
			for (let k = 0; k < inner.count; k++) to[t + k * inner.to] = from[f + k * inner.from] as never;
		}
	};
	walk(0, fromOffset, toOffset);
}

const axisOrder = (arrangement: Arrangement): readonly (0 | 1 | 2 | 3)[] => (arrangement === 'planar' ? [0, 1, 2, 3] : [0, 2, 3, 1]);

/** Which part of an image is staged: ranges of batch and channel, runs of rows and columns. */
export interface SourceBox {
	readonly batch: Range;
	readonly channel: Range;
	readonly rows: readonly Range[];
	readonly cols: readonly Range[];
}

const total = (runs: readonly Range[]): number => runs.reduce((sum, run) => sum + run.count, 0);

/** Sizes of the dense copy of a box. */
export const boxSizes = (box: SourceBox): PerAxis => [box.batch.count, box.channel.count, total(box.rows), total(box.cols)];

/** Copies a box of an image into dense memory. */
export function packBox(view: PlaneView, box: SourceBox, arrangement: Arrangement, target: Raw): void {
	const source = rawWords(view.data, view.dtype);
	const strides = denseStrides(arrangement, boxSizes(box));
	let row = 0;
	for (const rows of box.rows) {
		let col = 0;
		for (const cols of box.cols) {
			const starts = [box.batch.start, box.channel.start, rows.start, cols.start];
			const counts = [box.batch.count, box.channel.count, rows.count, cols.count];
			const from = starts.reduce((at, start, axis) => at + start * (view.strides[axis] as number), view.offset);
			const axes = axisOrder(arrangement).map((axis) => ({ count: counts[axis] as number, from: view.strides[axis], to: strides[axis] }));
			copyBox(source, from, target, row * strides[2] + col * strides[3], axes);
			col += cols.count;
		}
		row += rows.count;
	}
}

/** Copies a dense box into its place in a result. */
export function unpackBox(source: Raw, arrangement: Arrangement, at: { starts: PerAxis; counts: PerAxis }, view: PlaneView): void {
	const target = rawWords(view.data, view.dtype);
	const strides = denseStrides(arrangement, at.counts);
	const to = at.starts.reduce((offset, start, axis) => offset + start * (view.strides[axis] as number), view.offset);
	const axes = axisOrder(arrangement).map((axis) => ({ count: at.counts[axis], from: strides[axis], to: view.strides[axis] }));
	copyBox(source, 0, target, to, axes);
}
