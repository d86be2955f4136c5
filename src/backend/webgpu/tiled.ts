/** What the tiled shaders can do, and which strips a window needs. Pure; geometry as the header of shaders/common.wgsl says it. */
import { DTYPES } from '../../core/dtype.ts';
import { isPlain, type Problem, sumMagnitude } from '../../core/problem.ts';
import { type Frame, framesOf, isAcross, leastTapQuads, MOST_TAP_QUADS } from './bank.ts';
import { sumLimbs } from './direct.ts';
import { lanesOf, mostQuads, QUAD, quadsOf, spanOf } from './quads.ts';
import type { TileLimits } from './tiler.ts';
import type { Tuning } from './tuning.ts';

/** Output rows of one thread. */
export const THREAD_ROWS = 4;

/** Channels side by side: a row of taps has zeros between them, which are multiplied where the width is not compiled in. */
const MOST_LANES = 4;

/** Workgroups that every device has along an axis, and what they cover of the narrowest and of the lowest tiles. */
const MOST_WORKGROUPS = 65535;
const MOST_ELEMENTS = MOST_WORKGROUPS * 16;
const MOST_ROWS = MOST_WORKGROUPS * THREAD_ROWS;

const IN_FLOAT32 = 2n ** 24n;

/** How sums are held, as in common.wgsl. */
export type Held = 0 | 1 | 2;
const [REAL, EXACT]: readonly [Held, Held] = [0, 1];
export const WORD: Held = 2;

/** Integer sums whose every partial sum float32 holds go through float multiply-adds, which every GPU has at full rate. */
export function held(problem: Problem): Held | undefined {
	if (problem.sum === 'float32') return REAL;
	const most = problem.windows.reduce((largest, window) => {
		const magnitude = sumMagnitude(problem, window);
		return magnitude > largest ? magnitude : largest;
	}, 0n);
	if (most < IN_FLOAT32) return EXACT;
	const stays = isPlain(problem) && !DTYPES[problem.output.dtype].float;
	return stays && sumLimbs(problem) === 1 ? WORD : undefined;
}

/** Why no tiled shader takes a problem; undefined where they do. */
export function tiledObstacle(problem: Problem): string | undefined {
	const strides = [...problem.stride, ...problem.dilation];
	if (strides.some((step) => step !== 1)) return 'tiles share pixels only where stride and dilation are 1';
	if (DTYPES[problem.image.dtype].bytes > 4 || DTYPES[problem.output.dtype].bytes > 4) return 'tiles hold elements of at most 4 bytes';
	if (lanesOf(problem) > MOST_LANES)
		return `rows of more than ${MOST_LANES} channels side by side are mostly holes between a kernel's taps`;
	const [, , rows, width] = problem.output.sizes;
	if (width * lanesOf(problem) > MOST_ELEMENTS || rows > MOST_ROWS) {
		return `a dispatch of tiles has at most ${MOST_ELEMENTS} elements in a row and ${MOST_ROWS} rows`;
	}
	if (held(problem) === undefined) return 'tiles hold sums of at most 32 bits, or 24 where they are scaled or stored as floats';
	return undefined;
}

const windowCols = ({ windows }: Problem): number => Math.max(...windows.map(({ cols }) => cols));

/** The widest row of taps of any kernel. */
const widestQuads = (problem: Problem): number => mostQuads(problem, windowCols(problem));

/** Multiply-adds of an output of tiled.wgsl, on the average of the bank. */
export function tiledWork(problem: Problem, { compiledWidth }: Tuning): number {
	const workOf = ({ kernels, rows, cols }: Frame): number => {
		const holes = spanOf(problem, cols) + QUAD - 1 > compiledWidth;
		return kernels.length * rows * cols * (holes ? lanesOf(problem) : 1);
	};
	const all = problem.windows.map((_, kernel) => kernel);
	return framesOf(problem, all).reduce((sum, frame) => sum + workOf(frame), 0) / all.length;
}

/** Why tiled.wgsl does not take a problem. */
export function directTiledObstacle(problem: Problem): string | undefined {
	const taps = leastTapQuads(problem);
	return tiledObstacle(problem) ?? (taps > MOST_TAP_QUADS ? `${taps} quads of taps do not fit a uniform binding` : undefined);
}

/** Why the shaders that take one kernel at a time do not take a problem. */
function singleObstacle(problem: Problem): string | undefined {
	return tiledObstacle(problem) ?? (isAcross(problem) ? 'a bank into channels side by side does not lie as its image does' : undefined);
}

// ── strips of separable.wgsl ─────────────────────────────────────────────────────────────────────────────────────────

/** A strip: columns in quads, rows of a chunk, rows held from before. */
export interface Strip {
	readonly quads: number;
	readonly chunk: number;
	readonly prime: number;
	/** Quads of a row of taps, at most. */
	readonly window: number;
	readonly terms: number;
}

/** Windows come in a few widths, so that kernels of about one size share a pipeline. */
const WINDOW_STEP = 4;

/** Bytes of workgroup memory that a strip takes. */
export const stripBytes = ({ quads, chunk, prime, window, terms }: Strip): number =>
	16 * (chunk * (quads + window) + terms * (prime + chunk) * quads);

/** What a workgroup may take. */
export type WorkgroupLimits = Pick<TileLimits, 'storage' | 'threads' | 'tuning'>;

/** The first shape that fits a workgroup; undefined where none does. */
export function stripOf(problem: Problem, terms: number, limits: WorkgroupLimits): Strip | undefined {
	const rows = Math.max(1, ...problem.windows.map((window) => window.rows));
	for (const [quads, chunk] of limits.tuning.strips) {
		const prime = Math.ceil((rows - 1) / chunk) * chunk;
		const window = WINDOW_STEP * Math.ceil(widestQuads(problem) / WINDOW_STEP);
		const strip = { quads, chunk, prime, window, terms: Math.max(1, terms) };
		if (stripBytes(strip) <= limits.storage && (quads * chunk) / THREAD_ROWS <= limits.threads) return strip;
	}
	return undefined;
}

/** Quads of taps of one kernel: its place in the bank, and of each product `quads` of its row and those of its column. */
export const stripTapQuads = (quads: number, rows: number, terms: number): number => 1 + terms * (quads + quadsOf(rows));

/** Why separable.wgsl does not take a problem. */
export function separableObstacle(problem: Problem, terms: number, limits: WorkgroupLimits): string | undefined {
	const common = singleObstacle(problem);
	if (common !== undefined) return common;
	const rows = Math.max(1, ...problem.windows.map((window) => window.rows));
	if (stripTapQuads(widestQuads(problem), rows, terms) > MOST_TAP_QUADS) return 'the taps do not fit a uniform binding';
	return stripOf(problem, terms, limits) === undefined
		? `${rows} rows of ${terms} ${terms === 1 ? 'product' : 'products'} do not fit the ${limits.storage} bytes of a workgroup`
		: undefined;
}

// ── strips of box.wgsl ───────────────────────────────────────────────────────────────────────────────────────────────────

/** A strip: elements of a row, rows of a chunk, quads of the widest window, rows of the tallest. */
export interface BoxStrip {
	readonly columns: number;
	readonly chunk: number;
	readonly window: number;
	readonly rows: number;
}

/** Windows come in a few heights, so that kernels of about one size share a pipeline. */
const BLOCK_STEP = 8;

/** Bytes of workgroup memory that a strip takes. */
export const boxStripBytes = ({ columns, chunk, window, rows }: BoxStrip): number =>
	4 * (2 * chunk * (columns + QUAD * window) + (rows + chunk) * columns);

/** The first shape that fits a workgroup; undefined where none does. */
export function boxStripOf(problem: Problem, limits: WorkgroupLimits): BoxStrip | undefined {
	const tallest = Math.max(1, ...problem.windows.map((window) => window.rows));
	const rows = BLOCK_STEP * Math.ceil(tallest / BLOCK_STEP);
	const window = WINDOW_STEP * Math.ceil(widestQuads(problem) / WINDOW_STEP);
	for (const [columns, chunk] of limits.tuning.boxes) {
		const strip = { columns, chunk, window, rows };
		if (boxStripBytes(strip) <= limits.storage && columns <= limits.threads) return strip;
	}
	return undefined;
}

/** Why box.wgsl does not take a problem. */
export function boxObstacle(problem: Problem, limits: WorkgroupLimits): string | undefined {
	const common = singleObstacle(problem);
	if (common !== undefined) return common;
	const strip = boxStripOf(problem, limits);
	if (strip === undefined) {
		const sides = [...problem.windows.map(({ rows, cols }) => `${rows}x${cols}`)];
		return `running sums of ${sides.join(', ')} do not fit the ${limits.storage} bytes and ${limits.threads} threads of a workgroup`;
	}
	const elements = problem.output.sizes[3] * lanesOf(problem);
	const most = MOST_WORKGROUPS * strip.columns;
	return elements > most ? `a dispatch of strips of ${strip.columns} has at most ${most} elements in a row` : undefined;
}
