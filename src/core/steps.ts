/** Steps: the few things that a backend is asked to do. A Plan's program is a list of them, run in order. */
import type { PerPlaneAxis } from './problem.ts';

/**
 * Every output of one kernel of the bank as a sum over its window, row by row, on every plane:
 * `sum[y, x] = Σ_j Σ_i w[j, i] · ext[first.y + y·stride.y + j·dilation.y, …]`, then the store.
 */
export interface DirectStep {
	readonly kind: 'direct';
	/** Index into Problem.windows. */
	readonly kernel: number;
	readonly rows: number;
	readonly cols: number;
	/** Image position under tap (0, 0) of output (0, 0); extended positions come from the index maps. */
	readonly first: PerPlaneAxis;
}

export type Step = DirectStep;
