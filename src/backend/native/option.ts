/** What an algorithm would do for a problem, before threads are counted; or the reason against it. */
import type { ErrorModel } from '../../core/bounds.ts';
import type { Extent } from '../../core/plan.ts';
import type { Step } from '../../core/steps.ts';

export interface Option {
	readonly steps: readonly Step[];
	readonly model: ErrorModel;
	readonly why: string;
	/** Output rows that one inner step holds in registers. */
	readonly blockRows: number;
	/** Output pixels that are one piece of work, where so many threads share it. */
	tile(threads: number): Extent;
	/** Bytes beside image and result. */
	memory(threads: number, tile: Extent): number;
}

export type OptionOrReason = Option | { readonly why: string; readonly steps?: undefined };

export const isOption = (option: OptionOrReason): option is Option => option.steps !== undefined;
