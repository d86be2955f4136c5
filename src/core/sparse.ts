/**
 * Which elements a sample of recomputed pixels reads, so that only those need to come back from where an image lies; and views that
 * hold only them.
 */
import { indexMap, OUTSIDE } from './boundary.ts';
import { reader } from './dtype.ts';
import type { PerAxis, PlaneView } from './ndarray.ts';
import { hasHoles } from './nonfinite.ts';
import type { KernelWindow, Problem } from './problem.ts';

/** Elements start … start + count − 1 of an array's memory. */
export interface ElementRange {
	readonly start: number;
	readonly count: number;
}

/** Planes of which some elements are at hand. */
export interface SparsePlanes extends Omit<PlaneView, 'data'> {
	/** The element at an index of the array's memory. @throws where it is not at hand */
	read(element: number): number | bigint;
}

export const readerOf = (planes: PlaneView | SparsePlanes): ((element: number) => number | bigint) =>
	'read' in planes ? planes.read : reader(planes.data, planes.dtype);

/** Elements that are fetched rather than a range cut in two. */
const GAP = 16;

/** Source indices of one axis that a window shows, as intervals. */
function intervals(problem: Problem, window: KernelWindow, axis: 0 | 1, output: number): ElementRange[] {
	const n = problem.image.sizes[axis === 0 ? 2 : 3];
	const [taps, dilation] = [axis === 0 ? window.rows : window.cols, problem.dilation[axis]];
	const first = window.first[axis] + output * problem.stride[axis];
	// the holes of a dilated kernel are looked into where a NaN may hide there
	const step = hasHoles(problem) ? 1 : dilation;
	const map = indexMap(problem.boundary[axis], n, first, Math.max(0, (taps - 1) * dilation + 1));
	return merged([...map].filter((source, k) => k % step === 0 && source !== OUTSIDE).map((start) => ({ start, count: 1 })));
}

/** The same elements in ascending ranges that neither overlap nor nearly touch. */
export function merged(ranges: readonly ElementRange[]): ElementRange[] {
	const all: { start: number; count: number }[] = [];
	for (const { start, count } of [...ranges].sort((a, b) => a.start - b.start)) {
		const last = all.at(-1);
		if (last === undefined || start > last.start + last.count + GAP) all.push({ start, count });
		else last.count = Math.max(last.count, start + count - last.start);
	}
	return all;
}

/**
 * The elements of a dense image that recomputing these output pixels reads.
 *
 * @param image where its planes lie; strides are not negative
 */
export function imageElements(problem: Problem, image: Pick<PlaneView, 'strides' | 'offset'>, pixels: readonly PerAxis[]): ElementRange[] {
	const { strides, offset } = image;
	const kernels = problem.windows.length;
	const ranges: ElementRange[] = [];
	for (const [n, k, y, x] of pixels) {
		const window = problem.windows[k % kernels] as KernelWindow;
		const base = offset + n * strides[0] + Math.floor(k / kernels) * strides[1];
		const columns = intervals(problem, window, 1, x);
		for (const rows of intervals(problem, window, 0, y)) {
			for (let row = rows.start; row < rows.start + rows.count; row++) {
				for (const { start, count } of columns) {
					ranges.push({ start: base + row * strides[2] + start * strides[3], count: (count - 1) * strides[3] + 1 });
				}
			}
		}
	}
	return merged(ranges);
}

/** The elements of a dense result at these pixels. */
export function pixelElements({ strides, offset }: Pick<PlaneView, 'strides' | 'offset'>, pixels: readonly PerAxis[]): ElementRange[] {
	return merged(
		pixels.map(([n, k, y, x]) => ({ start: offset + n * strides[0] + k * strides[1] + y * strides[2] + x * strides[3], count: 1 })),
	);
}
