/**
 * Kernels made of less than all their taps, on the native backend: products of a column and a row, running sums. Pure: what
 * native/separable.c and native/box.c would do for a problem, or the reason against it.
 */
import { boxModel, type ErrorModel, splitModel } from '../../core/bounds.ts';
import type { Extent } from '../../core/plan.ts';
import type { Problem } from '../../core/problem.ts';
import type { Step } from '../../core/steps.ts';
import { boxOf, type Found, productOf, productsOf, type Split } from '../../core/structure.ts';
import type { PlanWish } from '../backend.ts';
import type { NativeAccumulator } from './addon.ts';
import { cellName, type Work } from './costs.ts';

/** What an algorithm would do, before threads are counted. */
export interface Option {
	readonly steps: readonly Step[];
	readonly model: ErrorModel;
	readonly why: string;
	/** What the sums cost. */
	readonly work: Pick<Work, 'cell' | 'counts'>;
	/** Lines of sums that a tile keeps at once. */
	readonly lines: number;
}

export type OptionOrReason = Option | { readonly why: string; readonly steps?: undefined };

export const isOption = (option: OptionOrReason): option is Option => option.steps !== undefined;

/** Outputs of one kernel of the bank, and how often a row that they read is summed for each: strided rows are read whole. */
function outputs(problem: Problem): number {
	const [n, , height, width] = problem.output.sizes;
	return n * problem.image.sizes[1] * height * width;
}

// ── the algorithms ───────────────────────────────────────────────────────────────────────────────────────────────────

const wide = (accumulator: NativeAccumulator): boolean => accumulator === 'i128' || accumulator === 'i192';
const TOO_WIDE = 'sums wider than 64 bits are formed directly, in scalar C';

function split(problem: Problem, found: Found<Split>, accumulator: NativeAccumulator): OptionOrReason {
	if (found.each === undefined) return { why: found.why };
	if (wide(accumulator)) return { why: TOO_WIDE };
	let [factors, lines] = [0, 1];
	const steps: Step[] = [];
	for (const [kernel, { products }] of found.each.entries()) {
		const { rows, cols, first } = problem.windows[kernel] as Problem['windows'][number];
		factors += products.length * (rows + cols * problem.stride[0]);
		lines = Math.max(lines, products.length * (rows + 3));
		steps.push({ kind: 'separable', kernel, rows, cols, first, products });
	}
	const counts = [outputs(problem) * problem.windows.length, outputs(problem) * factors];
	return {
		steps,
		model: splitModel(problem, found.each),
		why: found.why,
		work: { cell: cellName('separable', accumulator), counts },
		lines,
	};
}

export const separableOption = (problem: Problem, accumulator: NativeAccumulator): OptionOrReason =>
	split(problem, productOf(problem), accumulator);

export function lowRankOption(problem: Problem, accumulator: NativeAccumulator, wish: PlanWish): OptionOrReason {
	if (wish.tolerance === undefined) return { why: 'approximates the kernel: needs a tolerance' };
	if (problem.sum === 'integer') return { why: 'integer sums are exact, an approximate kernel would not be' };
	return split(problem, productsOf(problem, wish.tolerance), accumulator);
}

export function boxOption(problem: Problem, accumulator: NativeAccumulator): OptionOrReason {
	const found = boxOf(problem);
	if (found.each === undefined) return { why: found.why };
	if (wide(accumulator)) return { why: TOO_WIDE };
	let [doublings, lines] = [0, 1];
	const read = outputs(problem) * problem.stride[0] * problem.stride[1];
	const steps: Step[] = [];
	for (const [kernel, tap] of found.each.entries()) {
		const { rows, cols, first } = problem.windows[kernel] as Problem['windows'][number];
		doublings += Math.log2(Math.max(1, cols));
		lines = Math.max(lines, rows + 3);
		steps.push({ kind: 'box', kernel, rows, cols, first, tap });
	}
	const work = { cell: cellName('box', accumulator), counts: [read * problem.windows.length, read * doublings] };
	return { steps, model: boxModel(problem), why: found.why, work, lines };
}

// ── tiles ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Bytes of lines that should stay in the second-level cache beside the rows that pass. */
const LINES_BYTES = 384 * 1024;
const NARROWEST = 512;
const WIDEST = 4096;
/** Rows that tiles share are summed twice: a tile is at least so many times as tall. */
const TALLNESS = 8;
const TILES_PER_THREAD = 4;

export function splitTile(problem: Problem, option: Option, bytes: number, threads: number): Extent {
	const [n, channels, height, width] = problem.output.sizes;
	const fits = Math.floor(LINES_BYTES / (option.lines * bytes));
	const tileWidth = Math.min(WIDEST, Math.max(NARROWEST, fits - (fits % 64)));
	const planes = Math.max(1, n * channels);
	const columns = Math.max(1, Math.ceil(width / tileWidth));
	const bands = threads === 1 ? 1 : Math.ceil((TILES_PER_THREAD * threads) / (planes * columns));
	const least = Math.min(TALLNESS * option.lines, Math.ceil(height / threads));
	const tileHeight = Math.max(least, Math.ceil(height / bands));
	return { height: Math.max(1, Math.min(tileHeight, height)), width: Math.max(1, Math.min(tileWidth, width)) };
}
