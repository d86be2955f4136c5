/**
 * Is a stored value one that API.md allows? Integers with scale 1 and bias 0: exactly one value. Floats: anything that
 * storing some number within the bound of src/core/bounds.ts gives; the bound is evaluated on exact sums.
 */
import { type ErrorModel, mayOverflow, type PixelTerms, pixelBound } from '../../src/core/bounds.ts';
import type { Region } from '../../src/core/regions.ts';
import type { Answer, Pixel, Request } from './definition.ts';
import { type Dtype, formatOf, isFloat, type OverflowRule, rangeOf, store, storeNonFinite } from './dtypes.ts';
import { add, type Dyadic, dyadic, magnitude, negate, type RoundingRule, toInteger, toNumber } from './dyadic.ts';

/** How a backend's arithmetic differs from the plainest one. */
export interface Arithmetic {
	/** Unit roundoffs count twice: WGSL lets an operation return either neighbour. */
	readonly relaxed?: boolean;
	/** Precision of `scale·sum + bias` on integer sums. */
	readonly epilogue?: 'float32' | 'float64';
	/** What formed the sums: the first word of a plan's name. Products and running sums have their own models. */
	readonly algorithm?: string;
	/** Of 'lowrank': how many products, Σ|tap − Σ products| and what these cancel, as the test has added them up. */
	readonly split?: { readonly rank: number; readonly residual: number; readonly excess: number };
}

/** With the one region that stands for all of a result, where sums come from Fourier transforms. */
interface Model extends ErrorModel {
	readonly region?: Region;
}

const UNIT = { float32: 2 ** -24, float64: 2 ** -53 } as const;
const TINY = { float32: 2 ** -126, float64: 2 ** -1022 } as const;
const MAX = { float32: (2 - 2 ** -23) * 2 ** 127, float64: Number.MAX_VALUE } as const;

/** The error model of a direct, row-blocked sum, from API.md's table and docs/numerics.md. */
export function modelOf(answer: Answer, arithmetic: Arithmetic = {}): Model {
	const factor = arithmetic.relaxed ? 2 : 1;
	const epilogue = arithmetic.epilogue ?? (answer.sum === 'float32' ? 'float32' : 'float64');
	const epilogueUnit = answer.plain ? 0 : factor * UNIT[epilogue];
	if (answer.sum === 'integer') return { unit: 0, depth: 0, tiny: 0, max: Infinity, epilogueUnit };
	const depth = answer.depth + answer.conversions;
	const model = { unit: factor * UNIT[answer.sum], depth, tiny: TINY[answer.sum], max: MAX[answer.sum], epilogueUnit };
	if (arithmetic.algorithm === 'box') return { ...model, depth: depth + 2 };
	// both factors are rounded, and may miss a tap by one unit in its last place
	if (arithmetic.algorithm === 'separable') {
		return { ...model, depth: depth + 2, split: { relative: 2 * UNIT[answer.sum], residual: 0, excess: 0 } };
	}
	if (arithmetic.split !== undefined) {
		const { rank, residual, excess } = arithmetic.split;
		return { ...model, depth: depth + rank + 1, split: { relative: 0, residual, excess } };
	}
	if (arithmetic.algorithm === 'fft') return { ...model, transformed: 200, region: regionOf(answer) };
	return model;
}

/**
 * What bounds the region of any tile of a small result: at most the whole of what the windows read, every pixel off the mean by at most
 * twice the largest. (Three transforms of two axes of at most four passes, eight roundings each and a few more: 200.)
 */
function regionOf(answer: Answer): Region {
	const largest = Math.max(0, ...answer.pixels.map((pixel) => toNumber(pixel.largest)));
	const [height, width] = ['H', 'W'].map((axis) => (answer.shape[answer.layout.indexOf(axis)] as number) + answer.depth) as [
		number,
		number,
	];
	return { mean: largest, spread: Math.sqrt(height * width) * 2 * largest, direct: false };
}

/** An integer sum is exact: what may err is scale·sum + bias, however large the products were. */
const termsOf = (pixel: Pixel, model: Model): PixelTerms => ({
	...(model.region === undefined ? {} : { region: model.region }),
	magnitude: toNumber(model.unit === 0 ? magnitude(pixel.sum) : pixel.magnitude),
	taps: toNumber(pixel.taps),
	pixels: toNumber(pixel.pixels),
	largest: toNumber(pixel.largest),
	count: pixel.count,
	scale: pixel.scale,
	bias: pixel.bias,
});

interface Rules {
	readonly dtype: Dtype;
	readonly rounding: RoundingRule;
	readonly overflow: OverflowRule;
}

export const rulesOf = (request: Request, answer: Answer): Rules => ({
	dtype: answer.dtype,
	rounding: request.options.rounding ?? 'nearest-even',
	overflow: request.options.overflow ?? 'saturate',
});

/** Values that a pixel may take before it is stored; undefined where the sum itself may leave its type's range. */
function permitted(pixel: Pixel, model: Model, exactly: boolean): { low: Dyadic; high: Dyadic } | undefined {
	const value = pixel.value as Dyadic;
	if (exactly) return { low: value, high: value };
	const terms = termsOf(pixel, model);
	if (mayOverflow(model, terms)) return undefined;
	const bound = dyadic(pixelBound(model, terms));
	return { low: add(value, negate(bound)), high: add(value, bound) };
}

export type Verdict = 'right' | 'wrong' | 'either';

/** What 'throw' must do at one pixel: 'right' fits, 'wrong' does not fit, 'either' cannot be told within the bound. */
export function fits(pixel: Pixel, answer: Answer, rules: Rules, model: Model): Verdict {
	if (isFloat(rules.dtype)) return 'right';
	if (typeof pixel.value === 'number') {
		if (!Number.isNaN(pixel.value)) return 'wrong';
		return pixel.infinite ? 'either' : 'right'; // API.md asks for a non-finite sum, not for the NaN of ∞ − ∞
	}
	const range = permitted(pixel, model, answer.sum === 'integer' && answer.plain);
	if (range === undefined) return 'either';
	const { min, max } = rangeOf(rules.dtype);
	const [least, most] = [toInteger(range.low, rules.rounding), toInteger(range.high, rules.rounding)];
	if (least >= min && most <= max) return 'right';
	return most < min || least > max ? 'wrong' : 'either';
}

/** Undefined where `actual` is allowed for the pixel, else a sentence. */
export function judge(actual: number | bigint, pixel: Pixel, answer: Answer, rules: Rules, model: Model): string | undefined {
	if (typeof pixel.value === 'number') return judgeNonFinite(actual, pixel.value, rules);
	const exactly = answer.sum === 'integer' && pixel.scale === 1 && pixel.bias === 0;
	const range = permitted(pixel, model, exactly);
	if (range === undefined) return undefined;
	const ok = isFloat(rules.dtype) ? floatAllowed(actual as number, range, rules.dtype) : integerAllowed(actual, range, rules);
	if (ok) return undefined;
	const { low, high } = range;
	return `got ${actual}, expected ${toNumber(pixel.value)}${exactly ? ' exactly' : ` (${toNumber(low)} … ${toNumber(high)} before the store)`}`;
}

function judgeNonFinite(actual: number | bigint, value: number, { dtype, overflow }: Rules): string | undefined {
	if (isFloat(dtype)) return Number.isFinite(actual) ? `got ${actual}, expected a non-finite value` : undefined;
	const allowed = [NaN, Infinity, -Infinity].map((v) => storeNonFinite(v, dtype, overflow));
	return allowed.includes(actual) ? undefined : `got ${actual}, expected the store of ${value}`;
}

/** Rounding is monotone: everything between the stores of both ends is allowed. */
function floatAllowed(actual: number, { low, high }: { low: Dyadic; high: Dyadic }, dtype: 'float16' | 'float32' | 'float64'): boolean {
	const [least, most] = [storedNumber(low, dtype), storedNumber(high, dtype)];
	if (actual >= least && actual <= most) return true;
	const tiny = 2 ** formatOf(dtype).emin; // subnormals may be flushed
	return actual === 0 && Math.min(Math.abs(least), Math.abs(most)) < tiny;
}

const storedNumber = (x: Dyadic, dtype: Dtype): number => store(x, dtype, 'nearest-even', 'saturate') as number;

function integerAllowed(
	actual: number | bigint,
	{ low, high }: { low: Dyadic; high: Dyadic },
	{ dtype, rounding, overflow }: Rules,
): boolean {
	const [least, most] = [toInteger(low, rounding), toInteger(high, rounding)];
	const got = BigInt(actual);
	const { min, max } = rangeOf(dtype);
	if (got < min || got > max) return false;
	const clamp = (x: bigint) => (x < min ? min : x > max ? max : x);
	if (overflow !== 'wrap') return got >= clamp(least) && got <= clamp(most);
	const size = max - min + 1n;
	const above = (((got - least) % size) + size) % size; // distance from the least to the next number congruent to it
	return least + above <= most;
}

/** Compares a whole result; the first few wrong pixels as sentences. */
export function judgeAll(values: readonly (number | bigint)[], request: Request, answer: Answer, arithmetic: Arithmetic = {}): string[] {
	const model = modelOf(answer, arithmetic);
	const rules = rulesOf(request, answer);
	const wrong: string[] = [];
	if (values.length !== answer.pixels.length) wrong.push(`got ${values.length} values, expected ${answer.pixels.length}`);
	for (let k = 0; k < answer.pixels.length && wrong.length < 4; k++) {
		const sentence = judge(values[k] as number | bigint, answer.pixels[k] as Pixel, answer, rules, model);
		if (sentence !== undefined) wrong.push(`pixel [${positionOf(k, answer.shape).join(', ')}]: ${sentence}`);
	}
	return wrong;
}

export function positionOf(k: number, shape: readonly number[]): number[] {
	const position: number[] = [];
	let rest = k;
	for (const size of shape.toReversed()) {
		position.unshift(rest % size);
		rest = Math.floor(rest / size);
	}
	return position;
}

/**
 * Undefined where an OVERFLOW error names the right pixel, or where there is rightly none; else a sentence.
 *
 * @param message of the error; undefined: the call succeeded
 */
export function judgeOverflow(
	request: Request,
	answer: Answer,
	message: string | undefined,
	arithmetic: Arithmetic = {},
): string | undefined {
	const named = /pixel \[([\d, ]+)\]/.exec(message ?? '')?.[1]?.replaceAll(' ', '');
	if (message !== undefined && named === undefined) return `no pixel in: ${message}`;
	const model = modelOf(answer, { ...arithmetic, algorithm: arithmetic.algorithm ?? 'separable' }); // a message does not say what formed the sum: the widest
	const rules = rulesOf(request, answer);
	for (const [k, pixel] of answer.pixels.entries()) {
		const verdict = fits(pixel, answer, rules, model);
		const here = positionOf(k, answer.shape).join();
		if (here === named) return verdict === 'right' ? `pixel [${here}] is named but fits` : undefined;
		if (verdict === 'wrong') return `pixel [${here}] does not fit but ${named === undefined ? 'no pixel' : `pixel [${named}]`} is named`;
	}
	return named === undefined ? undefined : `pixel [${named}] is named but is none of the result`;
}
