/**
 * Dtypes: what each one holds, how a value is read from it and stored into it.
 *
 * This is the one place where a sum becomes a stored value: rounding mode first, then the overflow rule for
 * integers; correct rounding (nearest, ties to even) for floats, once, from the exact or float64 sum.
 */

export type Dtype = 'uint8' | 'int8' | 'uint16' | 'int16' | 'uint32' | 'int32' | 'uint64' | 'int64' | 'float16' | 'float32' | 'float64';

export type Overflow = 'saturate' | 'wrap' | 'throw';
export type Rounding = 'nearest-even' | 'half-away' | 'truncate' | 'floor';

export type TypedArray =
	| Uint8Array
	| Uint8ClampedArray
	| Int8Array
	| Uint16Array
	| Int16Array
	| Uint32Array
	| Int32Array
	| BigUint64Array
	| BigInt64Array
	| Float32Array
	| Float64Array
	| MaybeFloat16Array;

/** Float16Array where the caller's TypeScript library knows it. */
export type MaybeFloat16Array = typeof globalThis extends { Float16Array: { prototype: infer T } } ? T : never;

/** The typed array that holds a dtype in a result. float16 is always carried as its bits. */
export interface DtypeArrays {
	uint8: Uint8Array;
	int8: Int8Array;
	uint16: Uint16Array;
	int16: Int16Array;
	uint32: Uint32Array;
	int32: Int32Array;
	uint64: BigUint64Array;
	int64: BigInt64Array;
	float16: Uint16Array;
	float32: Float32Array;
	float64: Float64Array;
}

export interface DtypeInfo {
	readonly name: Dtype;
	/** As in plan names: u8, f32. */
	readonly short: string;
	readonly bytes: 1 | 2 | 4 | 8;
	readonly float: boolean;
	/** Smallest and largest integer, inclusive; for floats the finite range. */
	readonly min: number;
	readonly max: number;
	/** The same, exactly; 0n for floats. */
	readonly minInt: bigint;
	readonly maxInt: bigint;
	/** Elements are BigInt in JavaScript. */
	readonly big: boolean;
	/** Unit roundoff u = 2^−p of a float with p significand bits; 0 for integers. */
	readonly unit: number;
	/** Smallest normal magnitude of a float; 0 for integers. */
	readonly tiny: number;
	readonly array: new (length: number) => TypedArray;
}

function integer(name: Dtype, short: string, bits: 8 | 16 | 32 | 64, array: DtypeInfo['array']): DtypeInfo {
	const signed = short.startsWith('i');
	const minInt = signed ? -(1n << BigInt(bits - 1)) : 0n;
	const maxInt = signed ? (1n << BigInt(bits - 1)) - 1n : (1n << BigInt(bits)) - 1n;
	return {
		name,
		short,
		bytes: (bits / 8) as 1 | 2 | 4 | 8,
		float: false,
		min: Number(minInt),
		max: Number(maxInt),
		minInt,
		maxInt,
		big: bits === 64,
		unit: 0,
		tiny: 0,
		array,
	};
}

function float(
	name: Dtype,
	short: string,
	bytes: 2 | 4 | 8,
	significand: number,
	emin: number,
	max: number,
	array: DtypeInfo['array'],
): DtypeInfo {
	const common = { name, short, bytes, float: true, big: false, minInt: 0n, maxInt: 0n, array };
	return { ...common, min: -max, max, unit: 2 ** -significand, tiny: 2 ** emin };
}

export const DTYPES: Readonly<Record<Dtype, DtypeInfo>> = {
	uint8: integer('uint8', 'u8', 8, Uint8Array),
	int8: integer('int8', 'i8', 8, Int8Array),
	uint16: integer('uint16', 'u16', 16, Uint16Array),
	int16: integer('int16', 'i16', 16, Int16Array),
	uint32: integer('uint32', 'u32', 32, Uint32Array),
	int32: integer('int32', 'i32', 32, Int32Array),
	uint64: integer('uint64', 'u64', 64, BigUint64Array),
	int64: integer('int64', 'i64', 64, BigInt64Array),
	float16: float('float16', 'f16', 2, 11, -14, 65504, Uint16Array),
	float32: float('float32', 'f32', 4, 24, -126, (2 - 2 ** -23) * 2 ** 127, Float32Array),
	float64: float('float64', 'f64', 8, 53, -1022, Number.MAX_VALUE, Float64Array),
};

export const DTYPE_NAMES = Object.keys(DTYPES) as Dtype[];

/** The dtype that a typed array class says by itself (`Object.prototype.toString` tag). */
export const DTYPE_OF_TAG: Readonly<Record<string, Dtype>> = {
	Uint8Array: 'uint8',
	Uint8ClampedArray: 'uint8',
	Int8Array: 'int8',
	Uint16Array: 'uint16',
	Int16Array: 'int16',
	Uint32Array: 'uint32',
	Int32Array: 'int32',
	BigUint64Array: 'uint64',
	BigInt64Array: 'int64',
	Float16Array: 'float16',
	Float32Array: 'float32',
	Float64Array: 'float64',
};

// ── float16 ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const scratch = new DataView(new ArrayBuffer(8));

/** floor(log2 |x|) of a finite normal double, from its exponent bits. */
function exponentOf(x: number): number {
	scratch.setFloat64(0, x);
	return ((scratch.getUint16(0) >> 4) & 0x7ff) - 1023;
}

/** The value of 16 float16 bits: sign 1, exponent 5 (bias 15), fraction 10. */
export function float16ToNumber(bits: number): number {
	const sign = bits & 0x8000 ? -1 : 1;
	const exponent = (bits >> 10) & 31;
	const fraction = bits & 0x3ff;
	if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
	if (exponent === 0) return sign * fraction * 2 ** -24;
	return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** The float16 bits nearest to a double, ties to even, in one rounding; 65520 and above become infinity. */
export function numberToFloat16(x: number): number {
	const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
	const a = Math.abs(x);
	if (Number.isNaN(x)) return 0x7e00;
	if (a >= 65520) return sign | 0x7c00;
	if (a < 2 ** -14) return sign | roundHalfEven(a * 2 ** 24); // 1024 carries into the exponent: the smallest normal
	const e = exponentOf(a);
	return sign + ((e + 15) << 10) + (roundHalfEven(a * 2 ** (10 - e)) - 1024); // 2048 carries likewise
}

// ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Reads element i of a typed array as the number or BigInt that it stands for. */
export function reader(data: TypedArray, dtype: Dtype): (i: number) => number | bigint {
	if (dtype === 'float16' && data instanceof Uint16Array) return (i) => float16ToNumber(data[i] as number);
	return (i) => data[i] as number | bigint;
}

/** The raw element (number, BigInt, or float16 bits) for a value as `store` returns it. */
export function rawElement(value: number | bigint, dtype: Dtype, data: TypedArray): number | bigint {
	return dtype === 'float16' && data instanceof Uint16Array ? numberToFloat16(value as number) : value;
}

// ── rounding and storing ─────────────────────────────────────────────────────────────────────────────────────────────

function roundHalfEven(x: number): number {
	const f = Math.floor(x);
	const d = x - f;
	return d > 0.5 || (d === 0.5 && f % 2 !== 0) ? f + 1 : f;
}

function roundHalfAway(x: number): number {
	const t = Math.trunc(x);
	return Math.abs(x - t) >= 0.5 ? t + Math.sign(x) : t; // not floor(x + 0.5): 0.49999999999999994 + 0.5 rounds to 1
}

const ROUND: Readonly<Record<Rounding, (x: number) => number>> = {
	'nearest-even': roundHalfEven,
	'half-away': roundHalfAway,
	truncate: Math.trunc,
	floor: Math.floor,
};

/** A finite double rounded to an integer (still a double). */
export function roundTo(x: number, rounding: Rounding): number {
	return ROUND[rounding](x);
}

/** The integer nearest to `value` among those with at most `bits` significant bits, ties to even. */
function roundSignificand(value: bigint, bits: number): bigint {
	const magnitude = value < 0n ? -value : value;
	const excess = BigInt(Math.max(0, magnitude.toString(2).length - bits));
	if (excess === 0n) return value;
	const quotient = magnitude >> excess;
	const rest = magnitude - (quotient << excess);
	const half = 1n << (excess - 1n);
	const up = rest > half || (rest === half && (quotient & 1n) === 1n) ? 1n : 0n;
	const rounded = (quotient + up) << excess;
	return value < 0n ? -rounded : rounded;
}

/** A number rounded to a float dtype: the nearest, ties to even; beyond the finite range infinity. */
export function toFloat(x: number, dtype: Dtype): number {
	if (dtype === 'float64') return x;
	return dtype === 'float32' ? Math.fround(x) : float16ToNumber(numberToFloat16(x));
}

/** An exact integer rounded once to a float dtype. Going through float64 first would round twice. */
export function integerToFloat(s: bigint, dtype: Dtype): number {
	const significand = -Math.log2(DTYPES[dtype].unit);
	return toFloat(Number(roundSignificand(s, significand)), dtype);
}

/** An integer modulo 2^n in the range of an integer dtype. */
export function wrapInteger(s: bigint, dtype: Dtype): bigint {
	const { bytes, minInt } = DTYPES[dtype];
	return minInt < 0n ? BigInt.asIntN(bytes * 8, s) : BigInt.asUintN(bytes * 8, s);
}

const narrow = (s: bigint, dtype: Dtype): number | bigint => (DTYPES[dtype].big ? s : Number(s));

/**
 * Stores an exact integer sum.
 *
 * @returns the stored value, or undefined where it does not fit under `overflow: 'throw'`
 */
export function storeInteger(s: bigint, dtype: Dtype, overflow: Overflow): number | bigint | undefined {
	const info = DTYPES[dtype];
	if (info.float) return integerToFloat(s, dtype);
	if (s >= info.minInt && s <= info.maxInt) return narrow(s, dtype);
	if (overflow === 'throw') return undefined;
	if (overflow === 'wrap') return narrow(wrapInteger(s, dtype), dtype);
	return narrow(s < info.minInt ? info.minInt : info.maxInt, dtype);
}

/**
 * Stores a float sum: rounding mode, then overflow rule; NaN becomes 0 in an integer dtype, ±infinity the ends
 * ('wrap': 0, 'throw': does not fit).
 *
 * @returns the stored value, or undefined where it does not fit under `overflow: 'throw'`
 */
export function storeReal(v: number, dtype: Dtype, rounding: Rounding, overflow: Overflow): number | bigint | undefined {
	const info = DTYPES[dtype];
	if (info.float) return toFloat(v, dtype);
	if (Number.isNaN(v)) return info.big ? 0n : 0;
	if (Number.isFinite(v)) {
		const r = roundTo(v, rounding);
		// -0 has no place in an integer dtype
		if (!info.big && r >= info.min && r <= info.max) return r === 0 ? 0 : r;
		return storeInteger(BigInt(r), dtype, overflow);
	}
	if (overflow === 'throw') return undefined;
	if (overflow === 'wrap') return info.big ? 0n : 0;
	return narrow(v < 0 ? info.minInt : info.maxInt, dtype);
}
