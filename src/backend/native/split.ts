/**
 * Kernels made of less than all their taps, on the native backend: products of a column and a row, running sums. Pure: what
 * native/separable.c and native/box.c would do for a problem, or the reason against it.
 */
import { boxModel, type ErrorModel, splitModel } from '../../core/bounds.ts';
import type { Extent } from '../../core/plan.ts';
import type { KernelWindow, Problem } from '../../core/problem.ts';
import type { Step } from '../../core/steps.ts';
import { boxOf, type Found, productOf, productsOf, type Split } from '../../core/structure.ts';
import type { PlanWish } from '../backend.ts';
import type { NativeAccumulator } from './addon.ts';
import { cellName } from './costs.ts';

/** What an algorithm would do, before threads are counted. */
export interface Option {
	readonly steps: readonly Step[];
	readonly model: ErrorModel;
	readonly why: string;
	/** Its constants in the cost model, and how often each counts. */
	readonly cell: string;
	readonly counts: readonly number[];
	/** Lines of sums that a tile keeps at once. */
	readonly lines: number;
}

export type OptionOrReason = Option | { readonly why: string; readonly steps?: undefined };

export const isOption = (option: OptionOrReason): option is Option => option.steps !== undefined;

/** Outputs of one kernel of the bank. */
export function perKernel(problem: Problem): number {
	const [n, , height, width] = problem.output.sizes;
	return n * problem.image.sizes[1] * height * width;
}

// ── the algorithms ───────────────────────────────────────────────────────────────────────────────────────────────────

const wide = (accumulator: NativeAccumulator): boolean => accumulator === 'i128' || accumulator === 'i192';
const TOO_WIDE = 'sums wider than 64 bits are formed directly, in scalar C';

function split(problem: Problem, found: Found<Split>, accumulator: NativeAccumulator): OptionOrReason {
	if (found.each === undefined) return { why: found.why };
	if (wide(accumulator)) return { why: TOO_WIDE };
	const outputs = perKernel(problem);
	let [rowFactors, columnFactors, lines] = [0, 0, 1];
	const steps = found.each.map(({ products }, kernel): Step => {
		const { rows, cols, first } = problem.windows[kernel] as KernelWindow;
		rowFactors += products.length * cols * Math.min(problem.stride[0], rows); // rows between outputs are summed too
		columnFactors += products.length * rows;
		lines = Math.max(lines, products.length * (rows + 3));
		return { kind: 'separable', kernel, rows, cols, first, products };
	});
	return {
		steps,
		model: splitModel(problem, found.each),
		why: found.why,
		cell: cellName('separable', accumulator),
		counts: [outputs * steps.length, outputs * rowFactors, outputs * columnFactors],
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
	const [down, across] = problem.stride;
	let [summed, doublings, lines] = [0, 0, 1];
	const steps = found.each.map((tap, kernel): Step => {
		const { rows, cols, first } = problem.windows[kernel] as KernelWindow;
		const pixels = perKernel(problem) * Math.min(down, rows) * across; // a strided row is summed whole
		summed += pixels;
		doublings += pixels * Math.log2(Math.max(1, cols));
		lines = Math.max(lines, rows + 3);
		return { kind: 'box', kernel, rows, cols, first, tap };
	});
	return { steps, model: boxModel(problem), why: found.why, cell: cellName('box', accumulator), counts: [summed, doublings], lines };
}

// ── tiles ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Bytes of lines that should stay in the second-level cache beside the rows that pass. */
const LINES_BYTES = 384 * 1024;
const NARROWEST = 512;
const WIDEST = 1024;
const TALLEST = 256;
/** Rows that tiles share are summed twice: a tile is at least so many times as tall. */
const TALLNESS = 8;
const TILES_PER_THREAD = 4;

export function splitTile(problem: Problem, option: Option, bytes: number, threads: number): Extent {
	const [n, channels, height, width] = problem.output.sizes;
	const fits = Math.floor(LINES_BYTES / (option.lines * bytes));
	const tileWidth = Math.min(WIDEST, Math.max(NARROWEST, fits - (fits % 64)));
	const columns = Math.max(1, n * channels * Math.ceil(width / tileWidth));
	const bands = threads === 1 ? 1 : Math.ceil((TILES_PER_THREAD * threads) / columns);
	const least = Math.min(TALLNESS * option.lines, Math.ceil(height / threads));
	const tileHeight = Math.max(least, Math.min(TALLEST, Math.ceil(height / bands)));
	return { height: Math.max(1, Math.min(tileHeight, height)), width: Math.max(1, Math.min(tileWidth, width)) };
}
