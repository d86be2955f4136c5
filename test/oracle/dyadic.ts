/**
 * Exact arithmetic for the tests: a dyadic rational is m·2^e with integer m and e. Every finite float of every dtype is
 * one, sums and products of them are again, so that expected values carry no rounding error at all.
 */

export interface Dyadic {
	readonly m: bigint;
	readonly e: number;
}

export const ZERO: Dyadic = { m: 0n, e: 0 };

const bits = new DataView(new ArrayBuffer(8));

/** A finite number or an integer, exactly. */
export function dyadic(x: number | bigint): Dyadic {
	if (typeof x === 'bigint') return { m: x, e: 0 };
	if (!Number.isFinite(x)) throw new RangeError(`${x} is no dyadic rational`);
	if (Number.isSafeInteger(x)) return { m: BigInt(x), e: 0 };
	bits.setFloat64(0, x);
	const word = bits.getBigUint64(0);
	const exponent = Number((word >> 52n) & 0x7ffn);
	const fraction = word & ((1n << 52n) - 1n);
	const m = exponent === 0 ? fraction : fraction | (1n << 52n);
	return { m: x < 0 ? -m : m, e: Math.max(exponent, 1) - 1075 };
}

const shift = (m: bigint, by: number): bigint => m << BigInt(by);

export function add(a: Dyadic, b: Dyadic): Dyadic {
	const e = Math.min(a.e, b.e);
	return { m: shift(a.m, a.e - e) + shift(b.m, b.e - e), e };
}

export const multiply = (a: Dyadic, b: Dyadic): Dyadic => ({ m: a.m * b.m, e: a.e + b.e });
export const negate = (a: Dyadic): Dyadic => ({ m: -a.m, e: a.e });
export const magnitude = (a: Dyadic): Dyadic => (a.m < 0n ? negate(a) : a);

/** Negative, 0 or positive as a < b, a = b, a > b. */
export function compare(a: Dyadic, b: Dyadic): number {
	const { m } = add(a, negate(b));
	return m === 0n ? 0 : m < 0n ? -1 : 1;
}

/** Rounds the quotient magnitude/2^count to an integer by a rule that sees the exact remainder. */
function divideByPower(m: bigint, count: number, up: (quotient: bigint, rest: bigint, half: bigint) => boolean): bigint {
	const by = BigInt(count);
	const quotient = m >> by; // floor, also for negative m
	const rest = m - (quotient << by);
	return up(quotient, rest, 1n << (by - 1n)) ? quotient + 1n : quotient;
}

export type RoundingRule = 'nearest-even' | 'half-away' | 'truncate' | 'floor';

/** To an integer, by the definitions of the four rules. */
export function toInteger(x: Dyadic, rule: RoundingRule): bigint {
	if (x.e >= 0) return shift(x.m, x.e);
	return divideByPower(x.m, -x.e, (quotient, rest, half) => {
		if (rule === 'floor') return false;
		if (rule === 'truncate') return x.m < 0n && rest > 0n;
		if (rest !== half) return rest > half;
		return rule === 'nearest-even' ? (quotient & 1n) === 1n : x.m > 0n;
	});
}

/** A binary floating-point format: p significand bits, exponents emin … emax of the leading bit. */
export interface FloatFormat {
	readonly p: number;
	readonly emin: number;
	readonly emax: number;
}

export const FORMATS = {
	float16: { p: 11, emin: -14, emax: 15 },
	float32: { p: 24, emin: -126, emax: 127 },
	float64: { p: 53, emin: -1022, emax: 1023 },
} as const satisfies Record<string, FloatFormat>;

const bitLength = (m: bigint): number => m.toString(2).length;

/** The nearest number of a format, ties to even, one rounding; infinity from max + half an ulp on. */
export function toFloat(x: Dyadic, { p, emin, emax }: FloatFormat): number {
	if (x.m === 0n) return 0;
	const a = magnitude(x);
	const leading = bitLength(a.m) - 1 + a.e;
	const last = Math.max(leading, emin) - (p - 1); // exponent of the last bit kept
	const count = last - a.e;
	const m =
		count <= 0 ? shift(a.m, -count) : divideByPower(a.m, count, (q, rest, half) => rest > half || (rest === half && (q & 1n) === 1n));
	const sign = x.m < 0n ? -1 : 1;
	if (m === 0n) return sign * 0;
	if (bitLength(m) - 1 + last > emax) return sign * Infinity;
	return sign * scaleByPower(Number(m), last);
}

/** m·2^e without a step that leaves the range: m has at most 53 bits and the result is representable. */
function scaleByPower(m: number, e: number): number {
	if (e < -1000) return m * 2 ** (e + 100) * 2 ** -100;
	return e > 900 ? m * 2 ** (e - 100) * 2 ** 100 : m * 2 ** e;
}

/** The nearest float64, for messages and for the terms of a bound. */
export const toNumber = (x: Dyadic): number => toFloat(x, FORMATS.float64);
