/** Dtypes as API.md lists them, for the tests: reading and writing elements, ranges, storing exact values. */
import { type Dyadic, type FloatFormat, FORMATS, type RoundingRule, toFloat, toInteger } from './dyadic.ts';

export const DTYPES = ['uint8', 'int8', 'uint16', 'int16', 'uint32', 'int32', 'uint64', 'int64', 'float16', 'float32', 'float64'] as const;
export type Dtype = (typeof DTYPES)[number];
export type OverflowRule = 'saturate' | 'wrap' | 'throw';

export type Numbers =
	| Uint8Array
	| Int8Array
	| Uint16Array
	| Int16Array
	| Uint32Array
	| Int32Array
	| BigUint64Array
	| BigInt64Array
	| Float32Array
	| Float64Array;

/** The array that holds a dtype; float16 as bits in a Uint16Array. */
export const ARRAYS = {
	uint8: Uint8Array,
	int8: Int8Array,
	uint16: Uint16Array,
	int16: Int16Array,
	uint32: Uint32Array,
	int32: Int32Array,
	uint64: BigUint64Array,
	int64: BigInt64Array,
	float16: Uint16Array,
	float32: Float32Array,
	float64: Float64Array,
} as const;

export const isFloat = (dtype: Dtype): dtype is 'float16' | 'float32' | 'float64' => dtype.startsWith('float');
export const isBig = (dtype: Dtype): dtype is 'uint64' | 'int64' => dtype.endsWith('int64');
export const bitsOf = (dtype: Dtype): number => Number(dtype.replace(/\D+/, ''));
export const formatOf = (dtype: 'float16' | 'float32' | 'float64'): FloatFormat => FORMATS[dtype];

/** Smallest and largest value of an integer dtype. */
export function rangeOf(dtype: Dtype): { min: bigint; max: bigint } {
	const n = BigInt(bitsOf(dtype));
	return dtype.startsWith('u') ? { min: 0n, max: (1n << n) - 1n } : { min: -(1n << (n - 1n)), max: (1n << (n - 1n)) - 1n };
}

// ── float16 as bits: by table, since there are only 65,536 of them ──────────────────────────────────────────────────

const HALF_VALUES = Float64Array.from({ length: 65536 }, (_, bits) => {
	const exponent = (bits & 0x7c00) >>> 10;
	const fraction = (bits & 0x3ff) / 1024;
	const size =
		exponent === 0 ? fraction * 2 ** -14 : exponent === 31 ? (fraction === 0 ? Infinity : NaN) : (1 + fraction) * 2 ** (exponent - 15);
	return bits & 0x8000 ? -size : size;
});

const HALF_BITS = new Map<number, number>();
for (let bits = 0xfc00; bits >= 0; bits--) {
	const value = HALF_VALUES[bits] as number;
	if (!Number.isNaN(value) && !Object.is(value, -0)) HALF_BITS.set(value, bits);
}

export const halfValue = (bits: number): number => HALF_VALUES[bits] as number;

/** Bits of a number that float16 holds exactly. */
export function halfBits(value: number): number {
	if (Number.isNaN(value)) return 0x7e00;
	if (Object.is(value, -0)) return 0x8000;
	const bits = HALF_BITS.get(value);
	if (bits === undefined) throw new RangeError(`${value} is not a float16`);
	return bits;
}

// ── elements ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The values of an array, as numbers or BigInts. */
export function valuesOf(data: ArrayLike<number | bigint>, dtype: Dtype): (number | bigint)[] {
	return Array.from(data, (raw) => (dtype === 'float16' ? halfValue(raw as number) : raw));
}

/** A typed array of values that the dtype holds exactly. */
export function arrayOf(dtype: Dtype, values: readonly (number | bigint)[]): Numbers {
	const array = new ARRAYS[dtype](values.length);
	for (let i = 0; i < values.length; i++) {
		const value = values[i] as number | bigint;
		array[i] = isBig(dtype) ? BigInt(value) : dtype === 'float16' ? halfBits(Number(value)) : Number(value);
	}
	return array;
}

// ── storing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What an exact value becomes in a dtype; undefined where it does not fit under 'throw'. */
export function store(x: Dyadic, dtype: Dtype, rounding: RoundingRule, overflow: OverflowRule): number | bigint | undefined {
	if (isFloat(dtype)) return toFloat(x, formatOf(dtype));
	const kept = overflowed(toInteger(x, rounding), dtype, overflow);
	return kept === undefined || isBig(dtype) ? kept : Number(kept);
}

function overflowed(r: bigint, dtype: Dtype, overflow: OverflowRule): bigint | undefined {
	const { min, max } = rangeOf(dtype);
	if (r >= min && r <= max) return r;
	if (overflow === 'throw') return undefined;
	if (overflow === 'saturate') return r < min ? min : max;
	const size = max - min + 1n;
	const below = (((r - min) % size) + size) % size;
	return min + below;
}

/** What a NaN or an infinity becomes in a dtype; undefined where it does not fit under 'throw'. */
export function storeNonFinite(x: number, dtype: Dtype, overflow: OverflowRule): number | bigint | undefined {
	if (isFloat(dtype)) return x;
	const { min, max } = rangeOf(dtype);
	const integer = Number.isNaN(x) || overflow === 'wrap' ? 0n : x < 0 ? min : max;
	if (overflow === 'throw' && !Number.isNaN(x)) return undefined;
	return isBig(dtype) ? integer : Number(integer);
}
