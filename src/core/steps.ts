/** Steps: the few things that a backend is asked to do. A Plan's program is a list of them, run in order. */
import type { Extent } from './plan.ts';
import type { PerPlaneAxis } from './problem.ts';

/** What every step says: which kernel of the bank it sums, on every plane. */
interface WindowStep {
	/** Index into Problem.windows. */
	readonly kernel: number;
	readonly rows: number;
	readonly cols: number;
	/** Image position under tap (0, 0) of output (0, 0); extended positions come from the index maps. */
	readonly first: PerPlaneAxis;
}

/**
 * Every output of one kernel of the bank as a sum over its window, row by row, on every plane:
 * `sum[y, x] = Σ_j Σ_i w[j, i] · ext[first.y + y·stride.y + j·dilation.y, …]`, then the store.
 */
export interface DirectStep extends WindowStep {
	readonly kind: 'direct';
}

/** A column of `rows` numbers times a row of `cols` numbers; integers where the kernel is one of integers. */
export interface Product {
	readonly column: readonly number[];
	readonly row: readonly number[];
}

/**
 * The same sum with the window as a sum of products: per product the rows first, left to right,
 * `r[p, x] = Σ_i row[i] · ext[p, …]`, then their column from the top, `Σ_j column[j] · r[first.y + y·stride.y + j·dilation.y, x]`;
 * the products one after the other. Algorithm 'separable' has one product, 'lowrank' several.
 */
export interface SeparableStep extends WindowStep {
	readonly kind: 'separable';
	readonly products: readonly Product[];
}

/** The same sum for a window whose taps are all `tap`: running sums along the rows, then along the columns. */
export interface BoxStep extends WindowStep {
	readonly kind: 'box';
	readonly tap: number;
}

/** The same sum by overlap-save: cyclic convolutions of tiles of `size` by Fourier transforms. */
export interface FftStep extends WindowStep {
	readonly kind: 'fft';
	readonly size: Extent;
}

export type Step = DirectStep | SeparableStep | BoxStep | FftStep;

/** A step as a few words: `direct 3x3`, `separable 9x9`, `lowrank 9x9 rank 3`, `fft 31x31 in 256x256`. */
export function showStep(step: Step): string {
	const size = `${step.rows}x${step.cols}`;
	switch (step.kind) {
		case 'separable':
			return step.products.length === 1 ? `separable ${size}` : `lowrank ${size} rank ${step.products.length}`;
		case 'fft':
			return `fft ${size} in ${step.size.height}x${step.size.width}`;
		default:
			return `${step.kind} ${size}`;
	}
}
