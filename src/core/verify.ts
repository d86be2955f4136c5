/**
 * Verification: recompute pixels with the oracle and compare within the bound. Knows nothing of backends; it reads the
 * image and the result where they lie.
 */
import { distanceToStored, type ErrorModel, gamma, mayOverflow, pixelBound, rowBlockedDepth } from './bounds.ts';
import { breather } from './breathe.ts';
import { DTYPES } from './dtype.ts';
import { VerificationError } from './errors.ts';
import { fromCanonical, type PerAxis, type PlaneView } from './ndarray.ts';
import { Oracle, type OraclePixel } from './oracle.ts';
import { describe, isPlainChannel, type KernelWindow, type Problem } from './problem.ts';
import { type Region, Regions } from './regions.ts';
import { samplePositions } from './sample.ts';
import { readerOf, type SparsePlanes } from './sparse.ts';

/** What was checked, for the report. */
export interface Verification {
	method: 'sample' | 'checksum' | 'full';
	/** Pixels recomputed; 'checksum': covered. */
	pixels: number;
	/** Largest difference found, as a share of the bound ('checksum': of a sum's threshold); 0 where all agree exactly. */
	worst: number;
	/** Seed of the choice of pixels, or of the weights. */
	seed: number;
	/** 'checksum': a pixel that is off by more than this is found for certain; 0 where the sums are exact. */
	detects?: number;
	/** 'checksum': the probability of missing any error at all, or among floats one a hundred times `detects`. */
	miss?: number;
}

/** A result and all that says what it must be. */
export interface VerifyTask<Planes = PlaneView> {
	readonly problem: Problem;
	readonly model: ErrorModel;
	readonly plan: string;
	readonly tile: { height: number; width: number };
	/** Planes of the image; all of them, where sums come from Fourier transforms. */
	readonly image: Planes;
	/** Planes of the output, [batch, result channel, row, column]. */
	readonly result: Planes;
}

/** Element index of a pixel. */
const elementOf = ({ offset, strides }: PlaneView | SparsePlanes, [n, c, y, x]: PerAxis): number =>
	offset + n * strides[0] + c * strides[1] + y * strides[2] + x * strides[3];

/** Permitted difference before the store: the backend's bound and the oracle's own float64 rounding. */
function permitted(problem: Problem, model: ErrorModel, pixel: OraclePixel, channel: number, region: Region | undefined): number {
	const window = problem.windows[channel % problem.windows.length] as KernelWindow;
	const { terms } = pixel;
	const own = gamma(rowBlockedDepth(window) + 4, 2 ** -53) * (Math.abs(terms.scale) * terms.magnitude + Math.abs(terms.bias));
	return pixelBound(model, region === undefined ? terms : { ...terms, region }) + own;
}

/** True where `actual` is what a sum over a NaN or an infinity may be stored as. */
function isNonFiniteStore(actual: number | bigint, problem: Problem): boolean {
	const { float, minInt, maxInt } = DTYPES[problem.output.dtype];
	if (float) return !Number.isFinite(actual);
	if (Number(actual) === 0) return true; // NaN
	return problem.overflow === 'saturate' && (BigInt(actual) === minInt || BigInt(actual) === maxInt);
}

/**
 * The difference at one pixel as a share of its bound (0 equal, above 1 wrong), and the bound.
 *
 * @param region of the pixel's tile, where sums come from Fourier transforms
 */
export function compare(
	problem: Problem,
	model: ErrorModel,
	pixel: OraclePixel,
	actual: number | bigint,
	channel: number,
	region?: Region,
): { share: number; bound: number } {
	const exact = typeof pixel.value === 'bigint' && isPlainChannel(problem, channel);
	if (exact) return { share: Object.is(actual, pixel.stored) || actual === pixel.stored ? 0 : Infinity, bound: 0 };
	if (!pixel.finite) return { share: isNonFiniteStore(actual, problem) ? 0 : Infinity, bound: 0 };
	if (mayOverflow(model, pixel.terms)) return { share: 0, bound: Infinity };
	const bound = permitted(problem, model, pixel, channel, region);
	const { dtype } = problem.output;
	const off = distanceToStored(pixel.value as number, actual, {
		dtype,
		rounding: problem.rounding,
		overflow: problem.overflow,
		sumUnit: model.unit,
	});
	const share = off === 0 ? 0 : off / bound;
	if (!(share <= 1) && isNonFiniteStore(actual, problem) && pixel.poisonedByHole?.() === true) return { share: 0, bound: 0 };
	return { share, bound };
}

/** A pixel and what it should have been. */
export interface Worst {
	share: number;
	bound: number;
	at: PerAxis;
	expected: number | bigint;
	actual: number | bigint;
}

/** What tiles read, where their sums come from Fourier transforms. */
export const regionsOf = ({ problem, model, image, tile }: VerifyTask<PlaneView | SparsePlanes>): Regions | undefined =>
	model.transformed === undefined ? undefined : new Regions(problem, image as PlaneView, tile, model.frame);

/** One pixel of a result beside its recomputed value. */
export function comparePixel(
	task: VerifyTask<PlaneView | SparsePlanes>,
	oracle: Oracle,
	read: (i: number) => number | bigint,
	at: PerAxis,
	regions: Regions | undefined,
): Worst {
	const actual = read(elementOf(task.result, at));
	const pixel = oracle.pixel(at[0], at[1], at[2], at[3]);
	const judged = (region?: Region) => compare(task.problem, task.model, pixel, actual, at[1], region);
	// a few rows of a region give a smaller bound, which nearly always is enough
	let verdict = judged(regions?.of(at, true));
	if (!(verdict.share <= 1) && regions !== undefined) verdict = judged(regions.of(at, false));
	return { ...verdict, at, expected: pixel.value, actual };
}

/** @throws VerificationError that names the pixel */
export function fail(problem: Problem, plan: string, worst: Worst, checked: number, seed: number): never {
	const index = fromCanonical(problem.output.layout, worst.at);
	const within = worst.bound === 0 ? 'exactly' : `within ${worst.bound.toPrecision(3)}`;
	throw new VerificationError(
		`Expected ${worst.expected} (${within}) for pixel [${index.join(', ')}] of ${describe(problem)} but ${plan} gave ${worst.actual}; ` +
			`worst of ${checked} recomputed pixels, seed ${seed}. The backend, its driver or the memory is at fault, or the image was written meanwhile: run again, or with another backend.`,
		{ pixel: index, expected: worst.expected, actual: worst.actual, bound: worst.bound },
	);
}

/**
 * Recomputes pixels of a result and compares each within its bound.
 *
 * @throws VerificationError with the worst pixel, if any lies outside its bound
 */
export async function verify(
	task: VerifyTask<PlaneView | SparsePlanes>,
	choice: { method: 'sample' | 'full'; count: number; seed: number; signal?: AbortSignal | undefined },
): Promise<Verification> {
	const { problem, result } = task;
	const { sizes } = result;
	const total = sizes.reduce((a, b) => a * b, 1);
	const every = choice.method === 'full' || choice.count >= total;
	const count = every ? total : choice.count;
	const oracle = new Oracle(problem, task.image);
	const regions = regionsOf(task);
	const read = readerOf(result);
	const positions = every ? [] : samplePositions(sizes, task.tile, count, choice.seed, regions !== undefined);
	const breath = breather(choice.signal);
	let worst: Worst | undefined;
	for (let k = 0; k < count; k++) {
		const at = every ? unravel(k, sizes) : (positions[k] as PerAxis);
		const here = comparePixel(task, oracle, read, at, regions);
		if (worst === undefined || here.share > worst.share) worst = here;
		if (breath.due()) await breath.pause();
	}
	if (worst !== undefined && !(worst.share <= 1)) fail(problem, task.plan, worst, count, choice.seed);
	return { method: choice.method, pixels: count, worst: worst?.share ?? 0, seed: choice.seed };
}

function unravel(k: number, [, c, h, w]: PerAxis): PerAxis {
	const row = Math.floor(k / w);
	const plane = Math.floor(row / h);
	return [Math.floor(plane / c), plane % c, row % h, k % w];
}
