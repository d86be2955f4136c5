/**
 * Tiling: cuts a result into pieces whose input, output and tables fit the device, whatever the image. Pure arithmetic.
 */
import { DTYPES } from '../../core/dtype.ts';
import { FaltungError } from '../../core/errors.ts';
import type { PerAxis } from '../../core/ndarray.ts';
import type { Plan } from '../../core/plan.ts';
import { describe, dilatedSize, type Problem } from '../../core/problem.ts';
import { boxWork } from './box.ts';
import type { Range } from './region.ts';
import type { Tuning } from './tuning.ts';

export interface TileLimits {
	/** Bytes of one storage binding, and of one buffer. */
	readonly binding: number;
	readonly buffer: number;
	/** Most bytes of input or of output that one piece should have, for overlap and bounded memory. */
	readonly piece: number;
	/** Most multiply-adds of one piece: longer dispatches would trip a driver's watchdog and delay an abort. */
	readonly products: number;
	/** Bytes of memory of one workgroup, and its threads. */
	readonly storage: number;
	readonly threads: number;
	/** What else depends on the GPU's family. */
	readonly tuning: Tuning;
	/** Pieces of at least this many outputs take the variant that is compiled longer for speed; below, that does not pay. */
	readonly blocked: number;
}

/** A box of the result. */
export interface Piece {
	readonly batch: Range;
	/** Result channels. */
	readonly channel: Range;
	readonly row: Range;
	readonly col: Range;
}

export const pieceSizes = ({ batch, channel, row, col }: Piece): PerAxis => [batch.count, channel.count, row.count, col.count];

/** Extended image positions that outputs start … start + count − 1 of an axis read, over all kernels of the bank. */
export function positions(problem: Problem, axis: 0 | 1, { start, count }: Range): { first: number; count: number } {
	const [first, last] = windowSpan(problem, axis);
	if (last < first || count === 0) return { first: 0, count: 0 };
	const stride = problem.stride[axis];
	return { first: first + start * stride, count: (count - 1) * stride + last - first + 1 };
}

/** First and last position that output 0 reads; an empty interval where every kernel is zero. */
function windowSpan(problem: Problem, axis: 0 | 1): [first: number, last: number] {
	let [first, last] = [Infinity, -Infinity];
	for (const window of problem.windows) {
		if (window.rows === 0) continue;
		first = Math.min(first, window.first[axis]);
		last = Math.max(last, window.first[axis] + dilatedSize(axis === 0 ? window.rows : window.cols, problem.dilation[axis]) - 1);
	}
	return first === Infinity ? [0, -1] : [first, last];
}

/** First position of the maps for the whole problem: windows count theirs from here. */
export const windowOrigin = (problem: Problem): readonly [number, number] => [windowSpan(problem, 0)[0], windowSpan(problem, 1)[0]];

/** Sizes of a piece: how many images, result channels, rows and columns. */
type Sizes = PerAxis;

/** Largest integer in 1 … most for which `fits` holds, 0 for none; `fits` must be monotone. */
function largest(most: number, fits: (count: number) => boolean): number {
	let [low, high] = [0, most];
	while (low < high) {
		const middle = Math.ceil((low + high) / 2);
		if (fits(middle)) low = middle;
		else high = middle - 1;
	}
	return low;
}

/** Multiply-adds of one output, of the largest window; of running sums, the words of workgroup memory, which take their place. */
export function workOf({ steps }: Pick<Plan, 'steps'>): number {
	const work = steps.map((step) => {
		if (step.kind === 'separable') return step.products.length * (step.rows + step.cols);
		return step.kind === 'box' ? boxWork(step.cols) : step.rows * step.cols;
	});
	return Math.max(1, ...work);
}

/** Channels lie side by side in the result's memory. */
const isInterleaved = (problem: Problem): boolean => problem.output.layout.endsWith('C');

/** What the sides of pieces are multiples of, where they are not the result's own. */
export interface Grain {
	readonly height: number;
	readonly width: number;
	/** Sums are kept as planes of float32 before they are stored. */
	readonly sums: boolean;
}

/**
 * A grain of the whole bank may take so many times a piece's multiply-adds: they are the sums of tiles that are all summed directly, where transforms need
 * a hundredth of them; without it the banks of large kernels, which gain most, would be transformed kernel by kernel.
 */
export const BANK_PRODUCTS = 8;

const FINEST: Grain = { height: 1, width: 1, sums: false };

/** What a piece of these sizes takes: bytes, rows of the result padded to whole quads, and multiply-adds. */
export function pieceNeeds(
	problem: Problem,
	sizes: Sizes,
	work: number,
): { input: number; output: number; tables: number; sums: number; products: number } {
	const [n, k, rows, cols] = sizes;
	const [, channels, height, width] = problem.image.sizes;
	const kernels = problem.windows.length;
	const planes = n * Math.min(channels, k % kernels === 0 ? k / kernels : Math.ceil(k / kernels) + 1);
	const y = positions(problem, 0, { start: 0, count: rows }).count;
	const x = positions(problem, 1, { start: 0, count: cols }).count;
	// kernels side by side are whole quads, rows are elsewhere
	const across = isInterleaved(problem) && kernels > 1;
	const outputs = across ? n * rows * cols * (k / kernels) * 4 * Math.ceil(kernels / 4) : 0;
	const [planesOut, side] = isInterleaved(problem) ? [n, k] : [n * k, 1];
	return {
		input: planes * Math.min(height, y) * Math.min(width, x) * DTYPES[problem.image.dtype].bytes,
		output: Math.max(outputs, planesOut * rows * 4 * Math.ceil((cols * side) / 4)) * DTYPES[problem.output.dtype].bytes,
		tables: 4 * (y + x * side),
		sums: n * k * rows * 16 * Math.ceil(cols / 4),
		products: n * k * rows * cols * work,
	};
}

/**
 * Sizes of the pieces: whole images while they fit, else whole planes, else strips of whole rows; strips so thin that they would
 * mostly be halo are cut across as well.
 *
 * @param work multiply-adds of one output
 * @param also holds for sizes that fit in other ways too; monotone
 * @throws LIMIT_EXCEEDED where not even one output, or one grain of them, fits
 */
export function chooseSizes(problem: Problem, limits: TileLimits, work: number, grain = FINEST, also = (_: Sizes): boolean => true): Sizes {
	const [N, K, H, W] = problem.output.sizes;
	const interleaved = isInterleaved(problem);
	const cap = Math.floor(Math.min(limits.binding, limits.buffer, limits.piece) / 4) * 4;
	const fits = (sizes: Sizes): boolean => {
		const needs = pieceNeeds(problem, sizes, work);
		const [n, k, rows, cols] = sizes;
		const least = n === 1 && rows <= grain.height && cols <= grain.width;
		const single = least && (k === 1 || grain.sums);
		const most = limits.products * (least && k <= problem.windows.length ? BANK_PRODUCTS : 1);
		return (
			Math.max(needs.input, needs.output, needs.tables) <= cap &&
			(!grain.sums || needs.sums <= Math.min(limits.binding, limits.buffer)) &&
			(single || needs.products <= most) &&
			needs.input / DTYPES[problem.image.dtype].bytes < 2 ** 31 &&
			needs.output / DTYPES[problem.output.dtype].bytes < 2 ** 31 &&
			also(sizes)
		);
	};
	if (fits([1, K, H, W])) return [largest(N, (n) => fits([n, K, H, W])), K, H, W];
	const kernels = problem.windows.length;
	if (!interleaved) {
		const planes = largest(K / kernels, (c) => fits([1, c * kernels, H, W]));
		if (planes > 0) return [1, planes * kernels, H, W];
	}
	for (const k of interleaved ? [K] : [kernels, 1]) {
		const rowsAt = (cols: number) => {
			const rows = largest(H, (count) => fits([1, k, count, cols]));
			return rows === H ? H : rows - (rows % grain.height);
		};
		const halo = positions(problem, 0, { start: 0, count: 1 }).count;
		let cols = W;
		let rows = rowsAt(cols);
		while (cols > grain.width && (rows === 0 || (rows < Math.min(H, 2 * halo) && cols > 64))) {
			cols = grain.width * Math.ceil(cols / 2 / grain.width);
			rows = rowsAt(cols);
		}
		if (rows > 0) return [1, k, rows, cols];
	}
	const [height, width] = [Math.min(H, grain.height), Math.min(W, grain.width)];
	const needs = pieceNeeds(problem, [1, interleaved ? K : 1, height, width], work);
	throw new FaltungError(
		'LIMIT_EXCEEDED',
		`Expected ${height * width === 1 ? 'one output pixel' : `${height}x${width} output pixels`} of ${describe(problem)} to fit the device but it needs ${needs.input} bytes of input, ${needs.output} of output and ` +
			`${needs.tables} of index tables in one binding, and a piece may have ${cap}. Use a smaller kernel or backend: 'native'.`,
	);
}

function* ranges(total: number, step: number): Generator<Range> {
	for (let start = 0; start < total; start += step) yield { start, count: Math.min(step, total - start) };
}

/** The pieces in the order of memory. */
export function* pieces(problem: Problem, sizes: Sizes): Generator<Piece> {
	const [N, K, H, W] = problem.output.sizes;
	for (const batch of ranges(N, sizes[0])) {
		for (const channel of ranges(K, sizes[1])) {
			for (const row of ranges(H, sizes[2])) {
				for (const col of ranges(W, sizes[3])) yield { batch, channel, row, col };
			}
		}
	}
}
