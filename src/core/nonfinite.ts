/**
 * NaN and infinity in the holes of a dilated kernel.
 *
 * An output is non-finite exactly when its window holds a non-finite pixel. On a tap this comes by itself, 0·NaN = NaN
 * included. A dilated kernel stands for one with zeros between the taps, so its holes count too, but nobody wants to
 * multiply by them: this finds the outputs that are concerned instead.
 */
import { indexMap, OUTSIDE } from './boundary.ts';
import { DTYPES, reader } from './dtype.ts';
import type { PlaneView } from './ndarray.ts';
import { type KernelWindow, type Problem, reach } from './problem.ts';

/** True where holes may matter at all: a float image under a kernel with holes. */
export const hasHoles = (problem: Problem): boolean =>
	DTYPES[problem.image.dtype].float && (problem.dilation[0] > 1 || problem.dilation[1] > 1);

/** Columns of each image row that hold a NaN or an infinity; rows without any are absent. */
function nonFiniteColumns(image: PlaneView, base: number): Map<number, Set<number>> {
	const read = reader(image.data, image.dtype);
	const [, , height, width] = image.sizes;
	const rows = new Map<number, Set<number>>();
	for (let y = 0; y < height; y++) {
		for (let x = 0; x < width; x++) {
			if (Number.isFinite(read(base + y * image.strides[2] + x * image.strides[3]))) continue;
			const columns = rows.get(y) ?? new Set();
			rows.set(y, columns.add(x));
		}
	}
	return rows;
}

/** For each output of one axis: does its window, holes included, show a source index that `hits`? */
function touches(problem: Problem, window: KernelWindow, axis: 0 | 1, hits: (source: number) => boolean): Uint8Array {
	const { first, count } = reach(problem, window, axis);
	const outputs = problem.output.sizes[axis === 0 ? 2 : 3];
	const map = indexMap(problem.boundary[axis], problem.image.sizes[axis === 0 ? 2 : 3], first, count);
	const before = new Int32Array(count + 1); // number of hits among the first k positions
	for (let k = 0; k < count; k++) before[k + 1] = (before[k] as number) + (hits(map[k] as number) ? 1 : 0);
	const size = count - (outputs - 1) * problem.stride[axis];
	return Uint8Array.from({ length: outputs }, (_, o) => {
		const start = o * problem.stride[axis];
		return (before[start + size] as number) > (before[start] as number) ? 1 : 0;
	});
}

/**
 * The outputs of one plane whose window holds a non-finite pixel.
 *
 * @param base element of the plane's pixel (0, 0)
 * @returns per output pixel, row-major, 1 for those; undefined where there are none
 */
export function poisonedOutputs(problem: Problem, window: KernelWindow, image: PlaneView, base: number): Uint8Array | undefined {
	if (window.taps.length === 0) return undefined;
	const rows = nonFiniteColumns(image, base);
	const outside = !Number.isFinite(problem.value);
	if (rows.size === 0 && !outside) return undefined;
	const [, , height, width] = problem.output.sizes;
	const poisoned = new Uint8Array(height * width);
	const mark = (inRow: (y: number) => boolean, inColumn: (x: number) => boolean) => {
		for (let y = 0; y < height; y++) if (inRow(y)) for (let x = 0; x < width; x++) if (inColumn(x)) poisoned[y * width + x] = 1;
	};
	for (const [row, columns] of rows) {
		const inRow = touches(problem, window, 0, (source) => source === row);
		const inColumn = touches(problem, window, 1, (source) => columns.has(source));
		mark(
			(y) => inRow[y] === 1,
			(x) => inColumn[x] === 1,
		);
	}
	if (outside) {
		const aboveOrBelow = touches(problem, window, 0, (source) => source === OUTSIDE);
		const beside = touches(problem, window, 1, (source) => source === OUTSIDE);
		mark(
			(y) => aboveOrBelow[y] === 1,
			() => true,
		);
		mark(
			() => true,
			(x) => beside[x] === 1,
		);
	}
	return poisoned;
}
