/**
 * Kernels made of less than all their taps, on the native backend: products of a column and a row, running sums. Pure: what
 * native/separable.c and native/box.c would do for a problem, or the reason against it.
 */
import { boxModel, splitModel } from '../../core/bounds.ts';
import type { Extent } from '../../core/plan.ts';
import type { Problem } from '../../core/problem.ts';
import type { Step } from '../../core/steps.ts';
import { boxOf, type Found, productOf, productsOf, type Split } from '../../core/structure.ts';
import type { PlanWish } from '../backend.ts';
import type { NativeAccumulator } from './addon.ts';
import type { OptionOrReason } from './option.ts';

// ── the algorithms ───────────────────────────────────────────────────────────────────────────────────────────────────

const wide = (accumulator: NativeAccumulator): boolean => accumulator === 'i128' || accumulator === 'i192';
const TOO_WIDE = 'sums wider than 64 bits are formed directly, in scalar C';

function split(problem: Problem, found: Found<Split>, accumulator: NativeAccumulator, bytes: number): OptionOrReason {
	if (found.each === undefined) return { why: found.why };
	if (wide(accumulator)) return { why: TOO_WIDE };
	let lines = 1;
	const steps: Step[] = [];
	for (const [kernel, { products }] of found.each.entries()) {
		const { rows, cols, first } = problem.windows[kernel] as Problem['windows'][number];
		lines = Math.max(lines, products.length * (rows + 3));
		steps.push({ kind: 'separable', kernel, rows, cols, first, products });
	}
	return { steps, model: splitModel(problem, found.each), why: found.why, blockRows: 4, ...withLines(problem, lines, bytes) };
}

export const separableOption = (problem: Problem, accumulator: NativeAccumulator, bytes: number): OptionOrReason =>
	split(problem, productOf(problem), accumulator, bytes);

export function lowRankOption(problem: Problem, accumulator: NativeAccumulator, bytes: number, wish: PlanWish): OptionOrReason {
	if (wish.tolerance === undefined) return { why: 'approximates the kernel: needs a tolerance' };
	if (problem.sum === 'integer') return { why: 'integer sums are exact, an approximate kernel would not be' };
	return split(problem, productsOf(problem, wish.tolerance), accumulator, bytes);
}

export function boxOption(problem: Problem, accumulator: NativeAccumulator, bytes: number): OptionOrReason {
	const found = boxOf(problem);
	if (found.each === undefined) return { why: found.why };
	if (wide(accumulator)) return { why: TOO_WIDE };
	let lines = 1;
	const steps: Step[] = [];
	for (const [kernel, tap] of found.each.entries()) {
		const { rows, cols, first } = problem.windows[kernel] as Problem['windows'][number];
		lines = Math.max(lines, rows + 3);
		steps.push({ kind: 'box', kernel, rows, cols, first, tap });
	}
	return { steps, model: boxModel(problem), why: found.why, blockRows: 1, ...withLines(problem, lines, bytes) };
}

// ── tiles ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Bytes of lines that should stay in the second-level cache beside the rows that pass. */
const LINES_BYTES = 384 * 1024;
const NARROWEST = 512;
const WIDEST = 4096;
const TALLEST = 256;
/** Rows that tiles share are summed twice: a tile is at least so many times as tall. */
const TALLNESS = 8;
const TILES_PER_THREAD = 4;

function splitTile(problem: Problem, lines: number, bytes: number, threads: number): Extent {
	const [n, channels, height, width] = problem.output.sizes;
	const fits = Math.floor(LINES_BYTES / (lines * bytes));
	const tileWidth = Math.min(WIDEST, Math.max(NARROWEST, fits - (fits % 64)));
	const columns = Math.max(1, n * channels * Math.ceil(width / tileWidth));
	const bands = threads === 1 ? 1 : Math.ceil((TILES_PER_THREAD * threads) / columns);
	const least = Math.min(TALLNESS * lines, Math.ceil(height / threads));
	const tileHeight = Math.max(least, Math.min(TALLEST, Math.ceil(height / bands)));
	return { height: Math.max(1, Math.min(tileHeight, height)), width: Math.max(1, Math.min(tileWidth, width)) };
}

/** Tiles and memory of an algorithm that keeps so many lines of sums. */
const withLines = (problem: Problem, lines: number, bytes: number) => ({
	tile: (threads: number): Extent => splitTile(problem, lines, bytes, threads),
	memory: (threads: number, tile: Extent): number => threads * lines * tile.width * bytes,
});
