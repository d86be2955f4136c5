/** Random problems with images, for the webgpu backend alone: everything that it says it can do, one seed a case. */
import { BOUNDARIES } from '../../src/core/boundary.ts';
import { DTYPES, type Dtype, numberToFloat16, type Overflow, type Rounding, type TypedArray } from '../../src/core/dtype.ts';
import { extentOf, fromCanonical, LAYOUTS, type Layout, type PerAxis, type PlaneView } from '../../src/core/ndarray.ts';
import { dilatedSize, type Mode, makeProblem, type Problem, type Request, type Taps } from '../../src/core/problem.ts';
import { randomStream } from '../../src/core/random.ts';

export interface Case {
	readonly seed: number;
	readonly problem: Problem;
	readonly image: PlaneView;
}

export type Random = ReturnType<typeof randomStream>;

export const pick = <T>(random: Random, list: readonly T[]): T => list[random.below(list.length)] as T;

const IMAGE_DTYPES: readonly Dtype[] = ['uint8', 'int8', 'uint16', 'int16', 'uint32', 'int32', 'uint64', 'int64', 'float16', 'float32'];
const INTEGERS: readonly Dtype[] = ['uint8', 'int8', 'uint16', 'int16', 'uint32', 'int32', 'uint64', 'int64'];
const ALL: readonly Dtype[] = [...INTEGERS, 'float16', 'float32', 'float64'];

const NON_FINITE = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

/** An integer of a dtype: the ends and small values more often than chance has it. */
function integer(random: Random, dtype: Dtype): bigint {
	const { minInt, maxInt } = DTYPES[dtype];
	const kind = random.below(8);
	if (kind === 0) return minInt;
	if (kind === 1) return maxInt;
	if (kind < 5) {
		const small = BigInt(random.below(7)) - (minInt < 0n ? 3n : 0n);
		return small;
	}
	const bits = (BigInt(random.uint32()) << 32n) | BigInt(random.uint32());
	return minInt < 0n ? BigInt.asIntN(DTYPES[dtype].bytes * 8, bits) : BigInt.asUintN(DTYPES[dtype].bytes * 8, bits);
}

/** One pixel as its typed array holds it. `rough` floats have non-finite values, zeros of both signs and wild exponents among them. */
export function pixel(random: Random, dtype: Dtype, rough: boolean): number | bigint {
	const { float, big } = DTYPES[dtype];
	if (!float) return big ? integer(random, dtype) : Number(integer(random, dtype));
	let value = random.float() * 2 - 1;
	if (rough && random.below(40) === 0) value = pick(random, NON_FINITE);
	else if (rough && random.below(10) === 0) value = pick(random, [0, -0, 1e-30, 1e30, 1e-42, 65504, 6e-8, -3e38]);
	return dtype === 'float16' ? numberToFloat16(value) : value;
}

function fill(random: Random, dtype: Dtype, length: number, rough: boolean): TypedArray {
	const data = new DTYPES[dtype].array(length);
	for (let i = 0; i < length; i++) data[i] = pixel(random, dtype, rough) as never;
	return data;
}

/** Strides of a layout as they might lie: row-major, with gaps, mirrored, or broadcast. */
function view(random: Random, dtype: Dtype, layout: Layout, sizes: PerAxis, rough: boolean): PlaneView {
	const order = fromCanonical(layout, [0, 1, 2, 3]);
	const strange = random.below(3) === 0;
	if (strange && random.below(3) === 0) order.sort(() => random.below(3) - 1); // any order of axes
	const strides = [0, 0, 0, 0];
	let step = 1;
	for (const axis of order.toReversed()) {
		strides[axis] = step * (strange ? pick(random, [1, 1, -1, 2]) : 1);
		step *= Math.max(1, sizes[axis] as number) * Math.abs((strides[axis] as number) / step);
		if (strange) step += random.below(2);
	}
	if (strange && random.below(6) === 0) strides[pick(random, order)] = 0;
	const reach = extentOf({ sizes, strides, offset: 0 }) ?? { low: 0, high: -1 };
	const offset = -reach.low + (strange ? random.below(3) : 0);
	const data = fill(random, dtype, Math.max(0, offset + reach.high + 1 + random.below(2)), rough);
	return { data, dtype, sizes, strides: strides as unknown as PerAxis, offset };
}

function kernelTaps(random: Random, dtype: Dtype, count: number, height: number, width: number): Taps {
	const { float, big } = DTYPES[dtype];
	const length = count * height * width;
	const taps: Taps = big ? (dtype === 'int64' ? new BigInt64Array(length) : new BigUint64Array(length)) : new Float64Array(length);
	const magnitude = pick(random, [1, 1, 1, 1e-3, 50]);
	for (let t = 0; t < length; t++) {
		if (random.below(6) === 0) continue;
		if (!float) taps[t] = (big ? integer(random, dtype) : Number(integer(random, dtype))) as never;
		else {
			const tap = (random.float() * 2 - 1) * magnitude;
			taps[t] = (dtype === 'float64' ? tap : Math.fround(tap)) as never;
		}
	}
	if (random.below(5) === 0) {
		// an all-zero side, which the window cuts off, or an all-zero kernel
		const row = random.below(height);
		for (let t = 0; t < length; t++) if (Math.floor(t / width) % height === row) taps[t] = (big ? 0n : 0) as never;
	}
	return taps;
}

/** Taps that are a column times a row, exactly; of floats also the sum of two such. */
function productTaps(random: Random, dtype: Dtype, count: number, height: number, width: number): Taps {
	const { float, big, minInt } = DTYPES[dtype];
	const taps: Taps = big ? new BigInt64Array(count * height * width) : new Float64Array(count * height * width);
	const factor = () => {
		if (random.below(8) === 0) return 0;
		return float ? 2 ** (random.below(5) - 2) * (random.below(2) === 0 ? 1 : -1) : random.below(9) - (minInt < 0n ? 4 : 0);
	};
	const products = float && random.below(2) === 0 ? 2 : 1;
	for (let m = 0; m < count * products; m++) {
		const column = Array.from({ length: height }, factor);
		const row = Array.from({ length: width }, factor);
		for (let j = 0; j < height; j++) {
			for (let i = 0; i < width; i++) {
				const tap = (column[j] as number) * (row[i] as number);
				const at = ((m % count) * height + j) * width + i;
				taps[at] = (big ? BigInt(tap) : (taps[at] as number) + tap) as never;
			}
		}
	}
	return taps;
}

/** Zeros around some kernels of a bank, or all of one, so that their windows differ. */
function trim(random: Random, taps: Taps, count: number, height: number, width: number): void {
	for (let m = 0; m < count; m++) {
		if (random.below(3) > 0) continue;
		const [top, left] = [random.below(height), random.below(width)];
		const [rows, cols] = [random.below(height - top + 1), random.below(width - left + 1)];
		for (let t = 0; t < height * width; t++) {
			const [j, i] = [Math.floor(t / width) - top, (t % width) - left];
			if (j < 0 || j >= rows || i < 0 || i >= cols) taps[m * height * width + t] = (typeof taps[0] === 'bigint' ? 0n : 0) as never;
		}
	}
}

/** One value for all taps of each kernel. */
function equalTaps(random: Random, dtype: Dtype, count: number, height: number, width: number): Taps {
	const { float, big } = DTYPES[dtype];
	const taps: Taps = big ? new BigInt64Array(count * height * width) : new Float64Array(count * height * width);
	for (let m = 0; m < count; m++) {
		const few = pick(random, [1, 1, 2, 3, 0]);
		const tap = float ? Math.fround(pick(random, [1 / (height * width), random.float() * 2 - 1, -1e-3, few])) : few;
		taps.fill((big ? BigInt(tap) : tap) as never, m * height * width, (m + 1) * height * width);
	}
	return taps;
}

/** Dtypes of image, kernel and result: a compiled variant or two each. */
export interface Family {
	readonly image: Dtype;
	readonly kernel: Dtype;
	readonly output: Dtype;
	/** No stride, no dilation: what tiles take. */
	readonly dense: boolean;
	/** All taps of a kernel are equal. */
	readonly equal?: boolean;
	/** Every kernel is a product, or of floats a sum of two. */
	readonly product?: boolean;
	/** Several kernels. */
	readonly bank?: boolean;
	/** A stride or a dilation above 1, and few kernels with zeros around them. */
	readonly strided?: boolean;
}

/** Families for the tiled shaders: every way of loading, summing and storing, few enough that each is compiled once and met often. */
const DENSE: readonly (readonly [image: Dtype, kernel: Dtype, output: Dtype])[] = [
	['float32', 'float32', 'float32'],
	['uint8', 'int8', 'uint8'],
	['float16', 'float32', 'float16'],
	['uint8', 'float32', 'uint8'],
	['int16', 'int16', 'int16'],
	['int8', 'int8', 'int32'],
	['float32', 'float32', 'int16'],
	['uint16', 'uint8', 'float32'],
	['int32', 'int32', 'uint32'],
	['float32', 'float32', 'uint32'],
];

/** The family of a seed: anything that the backend can do; every third one floats, whose kernels have low-rank splits too. */
export function randomFamily(seed: number): Family {
	if (seed % 3 === 0) return { image: 'float32', kernel: 'float32', output: 'float32', dense: true };
	const random = randomStream(seed);
	if (random.below(3) > 0) {
		const [image, kernel, output] = pick(random, DENSE);
		return { image, kernel, output, dense: true };
	}
	const image = pick(random, IMAGE_DTYPES);
	const { float, bytes } = DTYPES[image];
	const kernel = pick(random, !float && (bytes >= 4 || random.below(2) === 0) ? INTEGERS : ALL);
	return { image, kernel, output: random.below(2) === 0 ? image : pick(random, ALL), dense: false };
}

/** The family of a seed whose kernels are for running sums; every second one floats, and few of its problems are refused. */
export function equalFamily(seed: number): Family {
	if (seed % 2 === 0) return { image: 'float32', kernel: 'float32', output: 'float32', dense: true, equal: true };
	const [image, kernel, output] = pick(randomStream(seed), DENSE);
	return { image, kernel, output, dense: true, equal: true };
}

/** The family of a seed whose problems are banks of kernels, for the dense shaders. */
export function bankFamily(seed: number): Family {
	const [image, kernel, output] = pick(randomStream(seed), DENSE);
	return { image, kernel, output, dense: true, bank: true };
}

/** The family of a seed whose problems are banks of products, or of equal taps: kernels of one size share a dispatch. */
export const productBankFamily = (seed: number): Family => ({ ...bankFamily(seed), product: true });
export const equalBankFamily = (seed: number): Family => ({ ...bankFamily(seed), equal: true });

/** The family of a seed whose problems are banks with strides and dilations. */
export const stridedBankFamily = (seed: number): Family => ({ ...bankFamily(seed), dense: false, strided: true });

/** The case of a seed within a family. */
export function randomCase(seed: number, family: Family): Case {
	const random = randomStream(seed);
	const { image: dtype, kernel: kernelDtype } = family;
	const { float, big } = DTYPES[dtype];
	const layout = pick(random, LAYOUTS);
	const side = () => 1 + random.below(pick(random, [3, 9, 24, 24, 90]));
	const sizes: PerAxis = [layout.includes('N') ? 1 + random.below(3) : 1, layout.includes('C') ? 1 + random.below(4) : 1, side(), side()];
	const bank = family.bank === true || random.below(2) === 0;
	const count = bank ? (family.bank ? 2 : 1) + random.below(pick(random, [2, 4, 4, 9])) : 1;
	const step = () => 1 + (random.below(family.strided ? 2 : 8) === 0 ? random.below(3) : 0);
	const dilation = family.dense ? ([1, 1] as const) : ([step(), step()] as const);
	const stride = family.dense ? ([1, 1] as const) : ([step(), step()] as const);
	let [height, width] = [1 + random.below(pick(random, [3, 5, 9])), 1 + random.below(pick(random, [3, 5, 9]))];
	let mode: Mode = pick(random, ['full', 'same', 'valid']);
	if (mode === 'valid' && (dilatedSize(height, dilation[0]) > sizes[2] || dilatedSize(width, dilation[1]) > sizes[3])) mode = 'same';
	if (family.equal && random.below(32) === 0) [height, width] = [1 + random.below(63), 1 + random.below(63)];
	else if (random.below(20) === 0 && !family.equal) [height, width] = [1 + random.below(30), 1 + random.below(30)];
	if (mode === 'valid' && (dilatedSize(height, dilation[0]) > sizes[2] || dilatedSize(width, dilation[1]) > sizes[3])) mode = 'full';
	const tapsOf = family.equal ? equalTaps : family.product ? productTaps : pick(random, [productTaps, kernelTaps]);
	const taps = tapsOf(random, kernelDtype, count, height, width);
	if (count > 1 && !family.equal && random.below(family.product || family.strided ? 6 : 2) === 0) trim(random, taps, count, height, width);
	const rough = random.below(3) === 0;
	const boundary = pick(random, BOUNDARIES);
	const channels = sizes[1] * count;
	const numbers = (): number[] => {
		const length = pick(random, [1, sizes[1], channels]);
		return Array.from({ length }, () => pick(random, [1, 0, -2, 0.5, 1 / 3, 1e3, -1e-3]));
	};
	// sums of 64-bit products may leave float32, in which a scale would be applied: refused, and tested elsewhere
	const plain = random.below(3) !== 0 || (DTYPES[dtype].big && DTYPES[kernelDtype].big);
	const value = () => {
		if (!float) return big ? integer(random, dtype) : Number(integer(random, dtype));
		if (rough && random.below(4) === 0) return pick(random, NON_FINITE);
		return Math.round(random.float() * 64 - 32) / 4;
	};
	const request: Request = {
		operation: pick(random, ['convolve', 'correlate']),
		image: { dtype, layout, sizes },
		kernel: {
			dtype: kernelDtype,
			height,
			width,
			count,
			bank,
			taps,
		},
		mode,
		boundary: random.below(3) === 0 ? [pick(random, BOUNDARIES), boundary] : [boundary, boundary],
		value: random.below(2) === 0 ? (big ? 0n : 0) : value(),
		anchor:
			mode === 'same' && random.below(3) === 0
				? [random.below(dilatedSize(height, dilation[0])), random.below(dilatedSize(width, dilation[1]))]
				: undefined,
		stride,
		dilation,
		outputDtype: family.output,
		overflow: pick<Overflow>(random, ['saturate', 'saturate', 'wrap', 'wrap', 'throw']),
		rounding: pick<Rounding>(random, ['nearest-even', 'half-away', 'truncate', 'floor']),
		scale: plain ? [1] : numbers(),
		bias: plain ? [0] : numbers(),
		accumulate: float || DTYPES[kernelDtype].float ? 'float32' : 'auto',
	};
	return { seed, problem: makeProblem(request), image: view(random, dtype, layout, sizes, rough) };
}
