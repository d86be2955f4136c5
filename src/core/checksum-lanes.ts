/**
 * What the sums of a checksum are formed in: float64, or integers modulo 2^32 or 2^64, where the stores into typed arrays take
 * the modulus. Each is a few loops over rows; the sums themselves (checksum-sums.ts) do not know which.
 */
import type { ChecksumKind } from './checksum-scheme.ts';
import { DTYPES, type Dtype } from './dtype.ts';

export interface Lanes<Row> {
	readonly make: (width: number) => Row;
	readonly put: (row: Row, at: number, value: number | bigint) => void;
	/** into += weight·row */
	readonly add: (into: Row, row: Row, weight: number) => void;
	/** into[x] += tap·row[from + x·step] */
	readonly multiplyAdd: (into: Row, row: Row, tap: number | bigint, from: number, step: number) => void;
	/** How far expected·scale + bias and `actual` lie apart in column x; modular sums: 0 or Infinity. NaN where one is not finite. */
	readonly apart: (expected: Row, actual: Row, x: number, scale: number, bias: number) => number;
}

const FLOAT64: Lanes<Float64Array> = {
	make: (width) => new Float64Array(width),
	put: (row, at, value) => {
		row[at] = Number(value);
	},
	add: (into, row, weight) => {
		for (let x = 0; x < into.length; x++) into[x] = (into[x] as number) + weight * (row[x] as number);
	},
	multiplyAdd: (into, row, tap, from, step) => {
		const factor = Number(tap);
		for (let x = 0, at = from; x < into.length; x++, at += step) into[x] = (into[x] as number) + factor * (row[at] as number);
	},
	apart: (expected, actual, x, scale, bias) => Math.abs((expected[x] as number) * scale + bias - (actual[x] as number)),
};

/** Modulo 2^32, of which the lowest n bits are compared. */
const int32 = (bits: number): Lanes<Int32Array> => ({
	make: (width) => new Int32Array(width),
	put: (row, at, value) => {
		row[at] = typeof value === 'bigint' ? Number(BigInt.asIntN(32, value)) : value;
	},
	add: (into, row, weight) => {
		if (weight === 0) return;
		for (let x = 0; x < into.length; x++) into[x] = (into[x] as number) + (row[x] as number);
	},
	multiplyAdd: (into, row, tap, from, step) => {
		const factor = Number(BigInt.asIntN(32, BigInt(tap)));
		for (let x = 0, at = from; x < into.length; x++, at += step) into[x] = (into[x] as number) + Math.imul(factor, row[at] as number);
	},
	apart: (expected, actual, x) => (((expected[x] as number) - (actual[x] as number)) << (32 - bits) === 0 ? 0 : Infinity),
});

/** Modulo 2^64. */
const INT64: Lanes<BigInt64Array> = {
	make: (width) => new BigInt64Array(width),
	put: (row, at, value) => {
		row[at] = BigInt(value);
	},
	add: (into, row, weight) => {
		if (weight === 0) return;
		for (let x = 0; x < into.length; x++) into[x] = (into[x] as bigint) + (row[x] as bigint);
	},
	multiplyAdd: (into, row, tap, from, step) => {
		const factor = BigInt(tap);
		for (let x = 0, at = from; x < into.length; x++, at += step) into[x] = (into[x] as bigint) + factor * (row[at] as bigint);
	},
	apart: (expected, actual, x) => (expected[x] === actual[x] ? 0 : Infinity),
};

/** The lanes of a scheme, handed to whoever works in them whatever they are. */
export function withLanes<T>(kind: ChecksumKind, output: Dtype, work: <Row>(lanes: Lanes<Row>) => T): T {
	if (kind !== 'modular') return work(FLOAT64);
	const bits = DTYPES[output].bytes * 8;
	return bits === 64 ? work(INT64) : work(int32(bits));
}
