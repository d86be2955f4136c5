/** The Plan: what will be done, as pure data. Nothing in it refers to a buffer, a device handle or a function. */
import type { ErrorModel } from './bounds.ts';
import { DTYPES } from './dtype.ts';
import type { Problem } from './problem.ts';
import type { Step } from './steps.ts';

export type Algorithm = 'direct' | 'separable' | 'lowrank' | 'box' | 'fft';

export const ALGORITHMS: readonly Algorithm[] = ['direct', 'separable', 'lowrank', 'box', 'fft'];

/** Height and width, in output pixels. */
export interface Extent {
	readonly height: number;
	readonly width: number;
}

/** How sums are held: floats of a precision, or integers of a number of bits (two's complement). */
export type Accumulator = 'float32' | 'float64' | `int${number}`;

export interface Prediction {
	readonly milliseconds: number;
	/** Memory beyond image and result. */
	readonly bytes: number;
	/** Where the constants of the time come from. */
	readonly from?: string;
}

export interface Plan {
	/** `<algorithm>-<dtype>-t<tile>-r<block>@<backend>[.<isa>]` */
	readonly name: string;
	readonly algorithm: Algorithm;
	readonly backend: string;
	readonly isa?: string;
	readonly device?: string;
	readonly threads?: number;
	/** Output pixels that are computed as one piece of work: its edges are the seams. */
	readonly tile: Extent;
	/** Output pixels that one inner step holds in registers. */
	readonly block: Extent;
	readonly accumulator: Accumulator;
	/** What is known about overflow before running. */
	readonly overflow: string;
	readonly model: ErrorModel;
	readonly steps: readonly Step[];
	readonly predicted: Prediction;
}

/** One option of the planner: a plan with its cost, or the reason why it is impossible. */
export type Candidate =
	| { readonly name: string; readonly backend: string; readonly algorithm: Algorithm; readonly plan: Plan; readonly why: string }
	| {
			readonly name: string;
			readonly backend: string;
			readonly algorithm: Algorithm;
			readonly plan?: undefined;
			readonly why: string;
			readonly code: 'UNSUPPORTED' | 'BACKEND_UNAVAILABLE';
	  };

/** What the planner decided: the chosen plan, those to fall back on, and every option that was looked at. */
export interface Decision {
	readonly problem: Problem;
	readonly plan: Plan;
	/** Best plan of each further backend, in order. */
	readonly fallbacks: readonly Plan[];
	/** What policy 'measure' would try, the chosen plan first. */
	readonly contenders: readonly Plan[];
	readonly candidates: readonly Candidate[];
}

/** The grammar of names, in explain(), GPU labels, test titles and bench rows alike. */
export function planName(parts: {
	algorithm: Algorithm;
	problem: Problem;
	tile: Extent;
	block: Extent;
	backend: string;
	isa?: string | undefined;
}): string {
	const { tile, block, isa } = parts;
	const dtype = DTYPES[parts.problem.image.dtype].short;
	return `${parts.algorithm}-${dtype}-t${tile.height}x${tile.width}-r${block.height}x${block.width}@${parts.backend}${isa === undefined ? '' : `.${isa}`}`;
}
