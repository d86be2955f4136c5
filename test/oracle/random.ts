/** Random requests for the differential suite: every dtype, mode, boundary, layout, step, view and store, from a seed. */
import type { Layout, Options, Request, Value } from './definition.ts';
import { DTYPES, type Dtype, halfValue, isBig, isFloat, rangeOf } from './dtypes.ts';
import { MODES } from './extension.ts';

/** A stream of random numbers from a seed (xorshift128, seeded by a linear congruence). */
export class Random {
	readonly #state = new Uint32Array(4);

	constructor(seed: number) {
		let s = seed >>> 0;
		for (let k = 0; k < 4; k++) {
			s = (Math.imul(s, 1664525) + 1013904223 + k) >>> 0;
			this.#state[k] = s ^ (s >>> 13);
		}
		this.#state[3] = (this.#state[3] as number) | 1; // never all zero
		for (let k = 0; k < 12; k++) this.bits();
	}

	bits(): number {
		const [x, y, z, w] = this.#state as unknown as [number, number, number, number];
		const t = x ^ (x << 11);
		const next = (w ^ (w >>> 19) ^ t ^ (t >>> 8)) >>> 0;
		this.#state.set([y, z, w, next]);
		return next;
	}

	/** In [0, 1). */
	unit(): number {
		return this.bits() / 2 ** 32;
	}

	/** From low to high, both included. */
	whole(low: number, high: number): number {
		return low + Math.floor(this.unit() * (high - low + 1));
	}

	chance(p: number): boolean {
		return this.unit() < p;
	}

	pick<T>(list: readonly T[]): T {
		return list[this.whole(0, list.length - 1)] as T;
	}

	bigint(low: bigint, high: bigint): bigint {
		let x = 0n;
		for (let k = 0; k < 3; k++) x = (x << 32n) | BigInt(this.bits());
		return low + (x % (high - low + 1n));
	}
}

type Flavour = 'small' | 'range' | 'ends';

function integerValue(random: Random, dtype: Dtype, flavour: Flavour): Value {
	const { min, max } = rangeOf(dtype);
	const low = min < -9n ? -9n : min;
	const x =
		flavour === 'small' ? random.bigint(low, 9n) : flavour === 'range' ? random.bigint(min, max) : random.pick([min, max, max - 1n, 0n]);
	return isBig(dtype) ? x : Number(x);
}

function floatValue(random: Random, dtype: Dtype, flavour: Flavour): number {
	if (dtype === 'float16') {
		if (flavour === 'small') return random.whole(-64, 64) / 8;
		return halfValue(random.whole(0, 0x7bff) | (random.chance(0.5) ? 0x8000 : 0)); // every finite one is as likely
	}
	const stored = (x: number) => (dtype === 'float32' ? Math.fround(x) : x);
	if (flavour === 'small') return random.whole(-64, 64) / 8;
	if (flavour === 'range') return stored((random.unit() - 0.5) * 2 ** random.whole(-3, 9));
	return stored((random.unit() - 0.5) * 2 ** random.whole(-40, 40));
}

function values(random: Random, dtype: Dtype, count: number, options: { zeros: number; strange: number }): Value[] {
	const flavour = random.pick(['small', 'range', 'ends'] as const);
	const zero = isBig(dtype) ? 0n : 0;
	return Array.from({ length: count }, () => {
		if (random.chance(options.zeros)) return zero;
		if (!isFloat(dtype)) return integerValue(random, dtype, flavour);
		if (random.chance(options.strange)) return random.pick([NaN, Infinity, -Infinity, -0]);
		return floatValue(random, dtype, flavour);
	});
}

/** Factors of a product whose taps no integer dtype wraps and float16 holds exactly. */
function factors(random: Random, dtype: Dtype, count: number): number[] {
	const low = isFloat(dtype) || rangeOf(dtype).min < 0n ? -5 : 0;
	const whole = !isFloat(dtype) || dtype === 'float16' || random.chance(0.5);
	return Array.from({ length: count }, () => (whole ? random.whole(low, 5) : (random.unit() - 0.3) * 4));
}

/** A kernel that is a product of a column and a row, or that has one value everywhere. */
export function structured(random: Random, dtype: Dtype, rows: number, cols: number, kind: 'product' | 'constant'): Value[] {
	const as = (tap: number): Value => (isBig(dtype) ? BigInt(Math.round(tap)) : dtype === 'float32' ? Math.fround(tap) : tap);
	if (kind === 'constant') {
		const [tap] = values(random, dtype, 1, { zeros: 0, strange: 0 });
		return new Array<Value>(rows * cols).fill(tap as Value);
	}
	const [column, row] = [factors(random, dtype, rows), factors(random, dtype, cols)];
	return column.flatMap((c) => row.map((r) => as(c * r)));
}

const size = (random: Random, empty: number, most: number): number =>
	random.chance(empty) ? 0 : random.chance(0.75) ? random.whole(1, Math.min(7, most)) : random.whole(1, most);

const LAYOUTS: readonly Layout[] = ['HW', 'HWC', 'CHW', 'NHW', 'NHWC', 'NCHW'];
const oneOrPair = <T>(random: Random, make: () => T): T | [T, T] => (random.chance(0.5) ? make() : [make(), make()]);

/** The dilated size of a kernel side. */
export const dilated = (k: number, d: number): number => (k - 1) * d + 1;

function optionsFor(random: Random, image: Dtype, channels: number, kernels: number): Options {
	const options: Options = {};
	if (random.chance(0.9)) options.mode = random.pick(['full', 'same', 'valid'] as const);
	if (random.chance(0.85)) options.boundary = oneOrPair(random, () => random.pick(MODES));
	if (random.chance(0.4)) {
		options.value = isFloat(image)
			? floatValue(random, image, 'small')
			: integerValue(random, image, random.pick(['small', 'range'] as const));
		if (isFloat(image) && random.chance(0.05)) options.value = random.pick([NaN, Infinity]);
	}
	if (random.chance(0.3)) options.stride = oneOrPair(random, () => random.whole(1, 4));
	if (random.chance(0.25)) options.dilation = oneOrPair(random, () => random.whole(1, 3));
	if (random.chance(0.5)) options.outputDtype = random.pick(DTYPES);
	if (random.chance(0.7)) options.overflow = random.pick(['saturate', 'wrap', 'throw'] as const);
	if (random.chance(0.6)) options.rounding = random.pick(['nearest-even', 'half-away', 'truncate', 'floor'] as const);
	if (random.chance(0.3)) options.accumulate = random.pick(['auto', 'float32', 'float64'] as const);
	const perChannel = (make: () => number) => {
		if (random.chance(0.5) || channels === 0) return make();
		return Array.from({ length: random.pick([channels, channels * kernels]) }, make);
	};
	if (random.chance(0.25)) options.scale = perChannel(() => random.pick([1, 0.5, -1, 0.1, 3, 0, random.unit()]));
	if (random.chance(0.25)) options.bias = perChannel(() => random.pick([0, 1, -1, 0.5, 100, random.unit() * 9]));
	return options;
}

/** Upper limit of products that the oracle forms for one request. */
const MOST_PRODUCTS = 20_000;

/** One request; sizes 0 … 20, kernels often larger than the image. Valid or not: what must happen follows from API.md. */
export function randomRequest(seed: number): Request {
	const random = new Random(seed);
	const layout = random.pick(LAYOUTS);
	const sizes = { N: size(random, 0.03, 2), C: size(random, 0.03, 3), H: size(random, 0.04, 20), W: size(random, 0.04, 20) };
	const bank = random.chance(0.25);
	const kernels = bank ? random.whole(1, 3) : 1;
	let [kh, kw] = [random.whole(1, random.chance(0.8) ? 4 : 9), random.whole(1, random.chance(0.8) ? 4 : 9)];
	const dtype = random.pick(DTYPES);
	const kernelDtype = random.pick(DTYPES);
	const options = optionsFor(random, dtype, layout.includes('C') ? sizes.C : 1, kernels);
	const planes = () => (layout.includes('N') ? sizes.N : 1) * (layout.includes('C') ? sizes.C : 1) * kernels;
	const products = () => planes() * (sizes.H + kh) * (sizes.W + kw) * kh * kw;
	while (products() > MOST_PRODUCTS) {
		if (kh * kw > sizes.H * sizes.W) [kh, kw] = [Math.ceil(kh / 2), Math.ceil(kw / 2)];
		else [sizes.H, sizes.W] = [Math.ceil(sizes.H / 2), Math.ceil(sizes.W / 2)];
	}
	const [dy, dx] = typeof options.dilation === 'object' ? options.dilation : [options.dilation ?? 1, options.dilation ?? 1];
	if (random.chance(0.4)) options.anchor = [random.whole(0, dilated(kh, dy) - 1), random.whole(0, dilated(kw, dx) - 1)];
	const fits = sizes.H >= dilated(kh, dy) && sizes.W >= dilated(kw, dx);
	if (options.mode === 'valid' && !fits && random.chance(0.9)) options.mode = 'same';
	const shape = [...layout].map((axis) => sizes[axis as keyof typeof sizes]);
	const count = shape.reduce((a, b) => a * b, 1);
	const kernelShape = bank ? [kernels, kh, kw] : [kh, kw];
	const zeros = random.pick([0, 0, 0.3, 0.8]);
	const kind = random.pick(['any', 'any', 'product', 'constant'] as const);
	const taps =
		kind === 'any'
			? values(random, kernelDtype, kernels * kh * kw, { zeros, strange: 0 })
			: Array.from({ length: kernels }, () => structured(random, kernelDtype, kh, kw, kind)).flat();
	return {
		operation: random.pick(['convolve', 'correlate'] as const),
		image: { dtype, layout, shape, values: values(random, dtype, count, { zeros: 0.05, strange: random.chance(0.15) ? 0.1 : 0 }) },
		kernel: { dtype: kernelDtype, shape: kernelShape, values: taps },
		options,
	};
}

/** The code that a request must be answered with, or undefined where it is valid. */
export function errorOf({ image, kernel, options }: Request): 'INVALID_ARGUMENT' | undefined {
	const sizeOf = (axis: string) => (image.layout.includes(axis) ? (image.shape[image.layout.indexOf(axis)] as number) : 1);
	const sides = kernel.shape.slice(-2);
	for (const which of [0, 1] as const) {
		const n = sizeOf(which === 0 ? 'H' : 'W');
		const d = typeof options.dilation === 'object' ? (options.dilation[which] as number) : (options.dilation ?? 1);
		const boundary = Array.isArray(options.boundary) ? options.boundary[which] : (options.boundary ?? 'constant');
		if (options.mode === 'valid' && n < dilated(sides[which] as number, d)) return 'INVALID_ARGUMENT';
		if (n === 0 && boundary !== 'constant' && sizeOf('N') * sizeOf('C') > 0) return 'INVALID_ARGUMENT';
	}
	return undefined;
}
