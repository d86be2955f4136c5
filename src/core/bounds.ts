/**
 * Error bounds: how far a computed pixel may lie from the exact one. docs/numerics.md derives every formula here; the
 * verifier, every backend's tests and explain() use this module and no other tolerance.
 */
import { DTYPES, type Dtype, type Overflow, type Rounding, roundTo } from './dtype.ts';
import { radices } from './fft-size.ts';
import type { Extent, Plan } from './plan.ts';
import { isPlain, type KernelWindow, type Problem, type WindowFrame } from './problem.ts';
import type { Region } from './regions.ts';
import type { Split } from './structure.ts';

/** How a plan's sums may err. */
export interface ErrorModel {
	/** Unit roundoff u of one operation of the sum; 0: the sum is an exact integer. */
	readonly unit: number;
	/** Depth n of the summation tree: roundings that a tap's product passes on its way into the sum. */
	readonly depth: number;
	/** Magnitudes below this may be flushed to zero at any operation; 0 for integer sums. */
	readonly tiny: number;
	/** Largest finite magnitude of the sum's type; a Σ|tap·pixel| above it may overflow on the way. */
	readonly max: number;
	/** Unit roundoff of `scale·sum + bias`; 0 where scale is 1 and bias 0. */
	readonly epilogueUnit: number;
	/** How far the products that stand for the kernel may be from it; absent where the taps are used as they are. */
	readonly split?: Pick<Split, 'relative' | 'residual' | 'excess'>;
	/**
	 * Sums of Fourier transforms: roundings on the way from a region of pixels to the tile, each relative to the 2-norm of the region. The
	 * depth is then that of a tile that was summed directly.
	 */
	readonly transformed?: number;
	/** Where the kernels of a bank share a transform: what their tiles read. Absent: each its own window. */
	readonly frame?: WindowFrame;
}

/** γ(n) = n·u / (1 − n·u): n roundings, each a factor 1 + δ with |δ| ≤ u. Higham, Accuracy and Stability, lemma 3.1. */
export const gamma = (n: number, unit: number): number => (n * unit) / (1 - n * unit);

/** Depth of "sum each kernel row, then the rows": cols roundings within a row, then at most rows more. */
export const rowBlockedDepth = (window: KernelWindow): number => window.rows + window.cols;

/** Roundings of scale·sum + bias: scale, bias (as stored in the epilogue's type), the product, the addition. */
const EPILOGUE_DEPTH = 4;

/** Roundings before the sum: a pixel and a tap that do not fit the sum's type are each rounded once. */
function conversionDepth(problem: Problem, unit: number): number {
	const exact = (dtype: Dtype) => {
		const { float, bytes, unit: own } = DTYPES[dtype];
		return float ? own >= unit : bytes * 8 <= -Math.log2(unit);
	};
	const everyTapFits = problem.windows.every(
		({ taps }) => taps instanceof Float64Array && (unit < 2 ** -50 || taps.every((w) => Math.fround(w) === w)),
	);
	return (exact(problem.image.dtype) ? 0 : 1) + (everyTapFits ? 0 : 1);
}

/**
 * The model of a direct, row-blocked sum.
 *
 * @param relaxed the unit roundoff is doubled: WGSL lets an operation return either neighbour of the exact result
 */
export function directModel(problem: Problem, options: { relaxed?: boolean; epilogue?: 'float32' | 'float64' } = {}): ErrorModel {
	const epilogueDtype = options.epilogue ?? (problem.sum === 'float32' ? 'float32' : 'float64');
	const factor = options.relaxed ? 2 : 1;
	const epilogueUnit = isPlain(problem) ? 0 : factor * DTYPES[epilogueDtype].unit;
	if (problem.sum === 'integer') return { unit: 0, depth: 0, tiny: 0, max: Infinity, epilogueUnit };
	const { tiny, max, unit } = DTYPES[problem.sum];
	const depth = Math.max(0, ...problem.windows.map(rowBlockedDepth)) + conversionDepth(problem, unit);
	return { unit: factor * unit, depth, tiny, max, epilogueUnit };
}

/**
 * The model of a sum over products, rows before columns: a product's row and column are each rounded to the sum's type and passed by
 * as many roundings as they have taps, and the products are added one after the other. The worst window of a bank stands for all.
 */
export function splitModel(
	problem: Problem,
	splits: readonly Split[],
	options: { relaxed?: boolean; epilogue?: 'float32' | 'float64' } = {},
): ErrorModel {
	const model = directModel(problem, options);
	if (model.unit === 0) return model; // integers: exact factors, exact sums
	const rank = Math.max(1, ...splits.map(({ products }) => products.length));
	const worst = (key: 'relative' | 'residual' | 'excess') => Math.max(0, ...splits.map((split) => split[key]));
	const split = { relative: worst('relative'), residual: worst('residual'), excess: worst('excess') };
	return { ...model, depth: model.depth + 2 + rank - 1, split };
}

/**
 * The model of running sums: each axis takes a sum of at most as many pixels as the window has rows or columns, from two partial sums
 * of a block; the tap multiplies once.
 */
export function boxModel(problem: Problem, options: { relaxed?: boolean; epilogue?: 'float32' | 'float64' } = {}): ErrorModel {
	const model = directModel(problem, options);
	return model.unit === 0 ? model : { ...model, depth: model.depth + 2 };
}

/**
 * Roundings of one butterfly, relative to the 2-norm of its results and to Σ|input| alike: docs/numerics.md. A twiddle factor costs its own
 * rounding and a complex product.
 */
const BUTTERFLY: Readonly<Record<number, number>> = { 2: 1, 3: 6, 4: 2, 5: 11, 8: 6 };
const TWIDDLE = 3.5;

/** Roundings of a transform of length n. */
function transformDepth(n: number): number {
	const passes = radices(n);
	if (passes === undefined) throw new RangeError(`${n} is no length of a transform`);
	return passes.reduce((sum, radix) => sum + (BUTTERFLY[radix] as number), TWIDDLE * (passes.length - 1));
}

/**
 * The model of overlap-save in tiles of `size`: pixels less the mean, forward, times the spectrum (rounded to the sum's type, formed in
 * float64 by the same transform), and back. Two tiles share one transform, each scaled to a norm from 1 to 2.
 */
export function fftModel(
	problem: Problem,
	size: Extent,
	options: { relaxed?: boolean; epilogue?: 'float32' | 'float64'; frame?: WindowFrame | undefined } = {},
): ErrorModel {
	const frame = options.frame === undefined ? {} : { frame: options.frame };
	const once = transformDepth(size.height) + transformDepth(size.width);
	const spectrum = problem.sum === 'float64' ? once + 1 : 1 + once * 2 ** -29;
	return { ...directModel(problem, options), transformed: 1 + once + spectrum + COMPLEX_PRODUCT + once, ...frame };
}

const COMPLEX_PRODUCT = Math.sqrt(5);

/** √(1 + 2²): what two regions of norms from 1 to 2 may put upon the smaller one; the rest for roundings of the norms and means themselves. */
const SHARED = 2.3;
/** Roundings of mean·Σtap and its addition, and of the mean. */
const MEAN_DEPTH = 4;

/** What the bound of one pixel needs to know about it; sums over the taps of its window. */
export interface PixelTerms {
	/** Σ|tap·pixel| */
	readonly magnitude: number;
	/** Σ|tap| */
	readonly taps: number;
	/** Σ|pixel| */
	readonly pixels: number;
	/** max |pixel| */
	readonly largest: number;
	/** Number of taps. */
	readonly count: number;
	readonly scale: number;
	readonly bias: number;
	/** What the pixel's tile reads, where sums come from Fourier transforms. */
	readonly region?: Region;
}

/**
 * Largest distance between a backend's scale·sum + bias and the exact value, before it is stored:
 *
 *     γ(n)·|s|·A  +  γ(4)·(|s|·A + |b|)  +  flushed subnormals: tiny·(|s|·(Σ|w| + Σ|x| + count) + 2)
 *
 * with A = Σ|tap·pixel|. The first γ is absent for exact integer sums, the second where scale is 1 and bias 0. Where products stand for
 * the kernel, A grows by what they cancel, and what they miss of the taps is added. Sums of Fourier transforms add what the region
 * shares with each of its pixels.
 */
export function pixelBound(model: ErrorModel, terms: PixelTerms): number {
	const scaled = Math.abs(terms.scale) * reached(model, terms);
	const missed = Math.abs(terms.scale) * (missing(model, terms) + shared(model, terms));
	const sum = model.unit === 0 ? 0 : gamma(model.depth, model.unit) * scaled;
	const epilogue = model.epilogueUnit === 0 ? 0 : gamma(EPILOGUE_DEPTH, model.epilogueUnit) * (scaled + sum + Math.abs(terms.bias));
	const epilogueFlushes = model.epilogueUnit === 0 ? 0 : 2; // the product and the addition
	const flushes =
		model.split === undefined
			? terms.taps + terms.pixels + terms.count
			: (1 + 4 * (terms.taps + model.split.excess)) * (1 + terms.pixels + terms.count); // Σ|column| ≤ 4·Σ|w|, each row before it flushes as a sum does
	const flushed = model.tiny * (Math.abs(terms.scale) * flushes + epilogueFlushes);
	return sum + epilogue + missed + flushed;
}

/**
 * The bound of the sum itself, relative to max|image|·Σ|kernel|: the same number for every pixel. 0 where sums are exact. Flushed
 * subnormals, scale and bias are left out. A region of transforms is taken to be as bright as the image allows.
 */
export function relativeBound(problem: Problem, { model, steps }: Pick<Plan, 'model' | 'steps'>): number {
	const sumOnly = { ...model, tiny: 0, epilogueUnit: 0 };
	const [step] = steps;
	const region = step?.kind === 'fft' ? { region: { mean: 1, spread: Math.sqrt(step.size.height * step.size.width), direct: false } } : {};
	let worst = 0;
	for (const { taps } of problem.windows) {
		const total = sumOfMagnitudes(taps);
		if (total === 0) continue;
		const terms = { magnitude: total, taps: total, pixels: taps.length, largest: 1, count: taps.length, scale: 1, bias: 0, ...region };
		worst = Math.max(worst, pixelBound(sumOnly, terms) / total);
	}
	return worst;
}

function sumOfMagnitudes(taps: KernelWindow['taps']): number {
	let sum = 0;
	for (const tap of taps) sum += Math.abs(Number(tap));
	return sum;
}

/** Σ|column·row·pixel|: what is really added up. */
const reached = ({ split }: ErrorModel, { magnitude, largest }: PixelTerms): number =>
	split === undefined ? magnitude : magnitude * (1 + split.relative) + split.excess * largest;

/** |Σ(tap − Σ column·row)·pixel| at most. */
const missing = ({ split }: ErrorModel, { magnitude, largest }: PixelTerms): number =>
	split === undefined ? 0 : split.relative * magnitude + split.residual * largest;

/** What rounding anywhere in the region may put upon this pixel. */
function shared({ transformed, unit }: ErrorModel, { taps, region }: PixelTerms): number {
	if (transformed === undefined || region === undefined || region.direct) return 0;
	return taps * (SHARED * gamma(transformed, unit) * region.spread + MEAN_DEPTH * unit * Math.abs(region.mean));
}

/** True where intermediate results of this pixel may overflow the sum's type although every pixel is finite. */
export const mayOverflow = (model: ErrorModel, terms: PixelTerms): boolean =>
	(Math.max(1, Math.abs(terms.scale)) * reached(model, terms) + Math.abs(terms.bias)) *
		(1 + gamma(model.depth + EPILOGUE_DEPTH, model.unit)) >=
	model.max;

// ── stores ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The reals that one stored value stands for; ends are taken as included. */
export interface Interval {
	readonly low: number;
	readonly high: number;
}

/** The reals that a rounding mode sends to the integer r. */
export function roundingPreimage(r: number, rounding: Rounding): Interval {
	switch (rounding) {
		case 'nearest-even':
		case 'half-away':
			return { low: r - 0.5, high: r + 0.5 };
		case 'floor':
			return { low: r, high: r + 1 };
		case 'truncate':
			return { low: r > 0 ? r : r - 1, high: r < 0 ? r : r + 1 };
	}
}

/** Half the gap between neighbours of a float dtype at x, subnormals flushed. */
export function halfUlp(x: number, dtype: Dtype): number {
	const { unit, tiny } = DTYPES[dtype];
	const a = Math.abs(x);
	if (a < 2 * tiny) return tiny;
	// 2^⌊log2 a⌋·u; log2 may err by one upwards near a power of two, which only widens the interval
	return 2 ** Math.floor(Math.log2(a)) * unit;
}

const distance = (x: number, { low, high }: Interval): number => (x < low ? low - x : x > high ? x - high : 0);

/**
 * How far `value` would have to move before storing it gives `stored`: 0 where it does so already, Infinity where no
 * finite value does. A float sum kept as an integer may thus be either neighbour only where the bound reaches a tie.
 *
 * @param value the recomputed scale·sum + bias, finite
 */
export function distanceToStored(
	value: number,
	stored: number | bigint,
	store: { dtype: Dtype; rounding: Rounding; overflow: Overflow; sumUnit: number },
): number {
	const info = DTYPES[store.dtype];
	if (info.float) return distanceToFloat(value, stored as number, store.dtype, info.unit > store.sumUnit);
	if (store.overflow === 'wrap') return distance(value, roundingPreimage(nearestCongruent(value, stored, store), store.rounding));
	const preimage = roundingPreimage(Number(stored), store.rounding);
	const saturates = store.overflow === 'saturate';
	return distance(value, {
		low: saturates && BigInt(stored) === info.minInt ? -Infinity : preimage.low,
		high: saturates && BigInt(stored) === info.maxInt ? Infinity : preimage.high,
	});
}

function distanceToFloat(value: number, stored: number, dtype: Dtype, rounds: boolean): number {
	const { max, unit } = DTYPES[dtype];
	if (Number.isNaN(stored)) return Infinity;
	const half = rounds ? halfUlp(stored, dtype) : 0;
	// half a unit in the last place above max rounds up; float64 cannot express that point of its own
	const end = Math.min(max + 2 ** Math.floor(Math.log2(max)) * unit, Number.MAX_VALUE);
	if (stored === Infinity) return distance(value, { low: end, high: Infinity });
	if (stored === -Infinity) return distance(value, { low: -Infinity, high: -end });
	return distance(value, { low: stored - half, high: stored + half });
}

/** The integer congruent to `stored` modulo 2^n that lies nearest to the rounded value. */
function nearestCongruent(value: number, stored: number | bigint, store: { dtype: Dtype; rounding: Rounding }): number {
	const bits = DTYPES[store.dtype].bytes * 8;
	const rounded = BigInt(roundTo(value, store.rounding));
	return Number(rounded + BigInt.asIntN(bits, BigInt(stored) - rounded));
}

// ── checksums ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Noise of a sum with independent signs exceeds this many times its root of squares once in 10^5 at the very worst (Hoeffding). */
const CHECKSUM_DEVIATIONS = 5;

/** Roundings of a projection beside its rows, its window and the store: scale, bias, their product and sums on either side. */
const PROJECTION_DEPTH = 12;

/** What the sums of a checksum of floats are formed in. 'float32' is that of WGSL: either neighbour of a result, subnormals flushed. */
export type ChecksumArithmetic = 'float64' | 'float32';

const CHECKSUM_UNITS = {
	float64: { unit: 2 ** -53, tiny: 0 },
	float32: { unit: 2 * DTYPES.float32.unit, tiny: DTYPES.float32.tiny },
} as const;

/**
 * How far the checksum of `length` outputs of one channel, weighted by at most 1 with random signs, may be off by rounding
 * alone, where no pixel exceeds M: `slope·M + offset`. docs/numerics.md, "Checksums".
 */
export function checksumNoise(
	problem: Problem,
	model: ErrorModel,
	channel: number,
	length: number,
	arithmetic: ChecksumArithmetic = 'float64',
): { slope: number; offset: number } {
	const window = problem.windows[channel % problem.windows.length] as KernelWindow;
	const [scale, bias] = [Math.abs(problem.scale[channel] as number), Math.abs(problem.bias[channel] as number)];
	const count = window.taps.length;
	let taps = 0;
	for (const tap of window.taps) taps += Math.abs(Number(tap));
	const { float, tiny, unit } = DTYPES[problem.output.dtype];
	const reach = Math.min(length, CHECKSUM_DEVIATIONS * Math.sqrt(length));
	const sums = CHECKSUM_UNITS[arithmetic];
	const own = gamma(length + rowBlockedDepth(window) + PROJECTION_DEPTH, sums.unit) * length;
	// pixels, products and sums of the rows under every tap, then taps, products and sums of the window; the result's rows; the rest
	const flushed = (largest: number) => sums.tiny * (scale * (3 * length * taps + count * (length * largest + 2)) + 3 * length + 8);
	const at = (largest: number): number => {
		const value = scale * taps * largest + bias;
		const pixel = pixelBound(model, { magnitude: taps * largest, taps, pixels: count * largest, largest, count, scale, bias });
		const store = float ? (unit > model.unit ? unit * (value + pixel) + tiny : 0) : problem.rounding === 'truncate' ? 1 : 0.5;
		return reach * (pixel + store) + 2 * own * (value + pixel) + flushed(largest);
	};
	const offset = at(0);
	return { slope: at(1) - offset, offset };
}
