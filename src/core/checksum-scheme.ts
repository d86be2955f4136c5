/**
 * The scheme of a checksum: for which problems there is one, which random weights it takes, and what it can miss. Pure data,
 * made from the problem and a seed; docs/numerics.md, "Checksums", has the derivation.
 *
 * Filter every column of the result with one random sequence r[0 … L) and keep d of every L filtered rows:
 *
 *     S[b, k, x] = Σ_t r[t] · out[b·L − k + t, x]        k = 0 … d−1, rows outside the result left out
 *
 * Every result row is in exactly d of these sums, under d different weights. Filtering rows commutes with the convolution, so S
 * must equal the window applied to the image's rows, filtered alike: O(1) multiply-adds a pixel.
 */
import { type ChecksumArithmetic, checksumNoise, type ErrorModel, roundingPreimage } from './bounds.ts';
import { DTYPES } from './dtype.ts';
import { cannotOverflow, isPlain, type KernelWindow, type Problem, sumMagnitude } from './problem.ts';
import { randomStream } from './random.ts';

/** What S may look like. All but 'modular' are summed in float64, 'float' on a device in float32. */
export type ChecksumKind =
	/** Sums modulo 2^n of integer outputs of n bits; weights 0 and 1. */
	| 'modular'
	/** Integers that float64 holds exactly; integer weights. */
	| 'exact'
	/** Floats and rounded stores, compared within a threshold; weights ±[¾, 1]. */
	| 'float';

export interface ChecksumScheme {
	readonly kind: ChecksumKind;
	/** L: result rows of one sum. */
	readonly length: number;
	/** d: sums that every result row takes part in. */
	readonly samples: number;
	/** r[t] */
	readonly weights: Float64Array;
	/** Per result channel: two sums may differ by slope·M + offset, M the largest finite |pixel| of the block. 0 where exact. */
	readonly slope: Float64Array;
	readonly offset: Float64Array;
	/** Largest |pixel| where the dtype says it already; 0: to be looked up in each block. */
	readonly largest: number;
	/** What a stored value lies below its sum on average: ½ where stores round down. */
	readonly centre: number;
	/** Result columns of one block. */
	readonly strip: number;
	/** Probability of missing an error; for floats of one whose largest pixel is a hundred times the smallest that is always found. */
	readonly miss: number;
}

/** Windows of this many rows: long ones cost less, short ones see smaller errors. `single`: floats and rounded stores in float32. */
const LENGTH = { exact: 128, float: 128, rounded: 32, modular: 512, single: 16 } as const;

/** Columns of a block: its open sums stay in the first-level cache. */
const STRIP = 512;

/** Sums per row: modular ones halve the probability of a miss, float ones divide it by D/8τ. */
const MODULAR_SAMPLES = 32;
const FLOAT_SAMPLES = 2;

/** Weights of floats: random signs, magnitudes from here to 1. */
export const LEAST_WEIGHT = 0.75;

/** An error found with certainty is this many thresholds: noise and error may each use up one, under the least weight. */
export const CERTAIN = 2 / LEAST_WEIGHT;

const EXACT = 2n ** 53n;
const MOST_WEIGHT = 2n ** 24n;
const MOST_EXACT_SAMPLES = 4;

/** Why no checksum covers a problem; undefined where one does. A store must be linear, up to rounding. */
export function checksumRefusal(problem: Problem): string | undefined {
	const { float, min, max } = DTYPES[problem.output.dtype];
	if (float || problem.overflow === 'throw') return undefined;
	if (problem.sum === 'integer' && isPlain(problem)) {
		if (problem.overflow === 'wrap' || cannotOverflow(problem)) return undefined;
		return saturating(problem);
	}
	if (DTYPES[problem.image.dtype].float) return saturating(problem);
	const { rounding } = problem;
	const [lowest, highest] = [roundingPreimage(min, rounding).low, roundingPreimage(max, rounding).high];
	const within = problem.scale.every((scale, channel) => {
		const window = problem.windows[channel % problem.windows.length] as KernelWindow;
		const { low, high } = realRange(problem, window);
		const bias = problem.bias[channel] as number;
		const [least, most] = [Math.min(scale * low, scale * high) + bias, Math.max(scale * low, scale * high) + bias];
		return (rounding === 'floor' ? least >= lowest : least > lowest) && most < highest;
	});
	return within ? undefined : saturating(problem);
}

function saturating({ output, overflow }: Problem): string {
	const what = overflow === 'wrap' ? 'a rounded sum may wrap' : 'a sum may saturate';
	return `${what} in ${output.dtype}, and a store that does is not linear; a wider or float outputDtype, or overflow 'throw', is`;
}

/** Range of Σ tap·pixel over every image of an integer dtype. */
function realRange(problem: Problem, window: KernelWindow): { low: number; high: number } {
	const { min, max } = DTYPES[problem.image.dtype];
	let [low, high] = [0, 0];
	for (const each of window.taps) {
		const tap = Number(each);
		low += tap < 0 ? tap * max : tap * min;
		high += tap < 0 ? tap * min : tap * max;
	}
	return { low, high };
}

/** The largest weight with which every sum of a proven integer problem stays below 2^53; 0 where wrapping is possible. */
function exactWeight(problem: Problem): bigint {
	if (problem.overflow !== 'throw' && !cannotOverflow(problem)) return 0n;
	const { minInt, maxInt } = DTYPES[problem.output.dtype];
	let most = -minInt > maxInt ? -minInt : maxInt;
	for (const window of problem.windows) {
		const magnitude = sumMagnitude(problem, window);
		if (magnitude > most) most = magnitude;
	}
	const weight = EXACT / (BigInt(LENGTH.exact) * most);
	return weight > MOST_WEIGHT ? MOST_WEIGHT : weight;
}

/** Largest |pixel| of an integer dtype; 0 for floats. */
function dtypeMagnitude(problem: Problem): number {
	const { float, min, max } = DTYPES[problem.image.dtype];
	return float ? 0 : Math.max(-min, max);
}

/**
 * The scheme of a problem that checksumRefusal does not refuse.
 *
 * @param arithmetic 'float32': of sums on a device, where all integers are taken modulo 2^n and a block has all columns
 */
export function checksumScheme(
	problem: Problem,
	model: ErrorModel,
	seed: number,
	arithmetic: ChecksumArithmetic = 'float64',
): ChecksumScheme {
	const random = randomStream(seed);
	const channels = problem.scale.length;
	const none = { slope: new Float64Array(channels), offset: new Float64Array(channels), largest: 1, centre: 0, strip: stripOf(arithmetic) };
	const integers = problem.sum === 'integer' && isPlain(problem) && !DTYPES[problem.output.dtype].float;
	if (!integers) return floatScheme(problem, model, random, arithmetic);
	const most = arithmetic === 'float64' ? Number(exactWeight(problem)) : 0;
	const samples = Math.ceil(31 / Math.log2(2 * most)); // (2·most)^−samples: 2·most weights are equally likely
	if (most > 1 && samples <= MOST_EXACT_SAMPLES) {
		const weights = Float64Array.from({ length: LENGTH.exact }, () => (1 + random.below(most)) * sign(random));
		const least = Math.max(2, samples);
		return { ...none, kind: 'exact', length: LENGTH.exact, samples: least, weights, miss: (2 * most) ** -least };
	}
	const weights = Float64Array.from({ length: LENGTH.modular }, () => random.uint32() >>> 31);
	return { ...none, kind: 'modular', length: LENGTH.modular, samples: MODULAR_SAMPLES, weights, miss: 2 ** -MODULAR_SAMPLES };
}

const sign = (random: ReturnType<typeof randomStream>): number => (random.uint32() >>> 31 === 1 ? -1 : 1);

const stripOf = (arithmetic: ChecksumArithmetic): number => (arithmetic === 'float32' ? Infinity : STRIP);

function floatScheme(
	problem: Problem,
	model: ErrorModel,
	random: ReturnType<typeof randomStream>,
	arithmetic: ChecksumArithmetic,
): ChecksumScheme {
	const { float } = DTYPES[problem.output.dtype];
	const single = arithmetic === 'float32';
	const length = single ? LENGTH.single : float ? LENGTH.float : LENGTH.rounded;
	const noise = problem.scale.map((_, channel) => checksumNoise(problem, model, channel, length, arithmetic));
	const weight = () => (LEAST_WEIGHT + (1 - LEAST_WEIGHT) * random.float()) * sign(random);
	return {
		kind: 'float',
		length,
		samples: FLOAT_SAMPLES,
		weights: Float64Array.from({ length }, () => (single ? Math.fround(weight()) : weight())),
		slope: Float64Array.from(noise, ({ slope }) => slope),
		offset: Float64Array.from(noise, ({ offset }) => offset),
		largest: dtypeMagnitude(problem),
		centre: !float && problem.rounding === 'floor' ? 0.5 : 0,
		strip: stripOf(arithmetic),
		miss: (8 / (100 * CERTAIN)) ** FLOAT_SAMPLES,
	};
}
