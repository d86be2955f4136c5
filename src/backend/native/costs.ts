/**
 * The native cost model: a plan's time is a few counts of the problem times nanoseconds. Every constant of it stands in one table,
 * shipped here or measured by `faltung calibrate`; the counts are made where the plans are.
 */
import type { Costs } from '../backend.ts';
import { ACCUMULATORS, type NativeAccumulator } from './addon.ts';

/**
 * What is counted, for each algorithm, in the order of the constants. "outputs" are those of one kernel of the bank.
 */
export const TERMS = {
	/**
	 * Open sums of windows taller than STEADY_ROWS are kept in memory; a pixel is loaded once for each tap column and GROUP_ROWS window rows.
	 * 31×1 took 1.6 times as long as 1×31, and that twice as long as its multiply-adds (float32, 2048 × 2048).
	 */
	direct: ['outputs', 'outputs × rows of tall windows', 'outputs × taps', 'outputs × loads'],
	/** Factors of all products; a row of a strided result has those of the rows that it skips. */
	separable: ['outputs', 'outputs × row factors', 'outputs × column factors'],
	/** Pixels of strided results are those that lie between outputs, too. */
	box: ['pixels', 'pixels × log2 columns'],
	/** "pairs" are the elements of all transforms: one for two pixels of a region, padding included. */
	fft: ['pairs', 'pairs × passes', 'pixels of regions and outputs', 'tiles'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type CostedAlgorithm = keyof typeof TERMS;

/** Name of the constants of an algorithm that sums in an accumulator: `direct.f32`. */
export const cellName = (algorithm: CostedAlgorithm, accumulator: NativeAccumulator): string => `${algorithm}.${accumulator}`;

/** Window rows that native/strip.h has a row loop of its own for (CONV_STEADY). */
export const STEADY_ROWS = 15;

/** Window rows that share a load there (G). */
export const GROUP_ROWS = 6;

/** Constants beside the algorithms', each one number: nanoseconds, unless it says something else. */
export const COMMON = {
	/** Per element of interleaved channels, read or written, where an algorithm takes them one channel at a time. */
	interleaved: 'element of interleaved channels taken one by one',
	/** Per plane and kernel: products and running sums set their lines up. Seen at 64 × 64, where nothing else counts. */
	lines: 'plane whose lines are set up',
	/** Per entry of an index map: the holes of dilated kernels are walked. */
	map: 'entry of an index map',
	/** Waking the pool and settling the promise. */
	pool: 'run on the pool',
	/** A share: what each further thread adds to the speed of the first. */
	gain: 'speed that a further thread adds, as a share of the first',
	/** Per byte of image and result that do not fit the caches, all threads together. */
	byte: 'byte of image and result, from and to memory',
} as const;

export type CommonName = keyof typeof COMMON;

/** Names of all constants and how many numbers each has: what a calibration file may hold. */
export const COST_NAMES: ReadonlyMap<string, number> = new Map<string, number>([
	...Object.entries(TERMS).flatMap(([algorithm, terms]) =>
		ACCUMULATORS.map((accumulator): [string, number] => [cellName(algorithm as CostedAlgorithm, accumulator), terms.length]),
	),
	...Object.keys(COMMON).map((name): [string, number] => [name, 1]),
]);

const WIDE = { 'direct.i128': [0, 0, 4.9, 0], 'direct.i192': [0, 0, 4.9, 0] } as const;
const SHARED = {
	interleaved: [0.7],
	lines: [2200],
	map: [40],
	pool: [30_000],
	gain: [0.9],
	byte: [0.037],
	...WIDE,
} as const;
const ZEN_5 =
	'shipped: EPYC of the Zen 5 generation, 2 cores, gcc 12, Node 20, 2026-11-24, products of float32 2026-12-01; faltung calibrate';
const MEASURED = 'shipped: medians of faltung calibrate on a Zen 5 EPYC, 2026-11-24; sums wider than 64 bits on a Sapphire Rapids Xeon';

/**
 * Used where nothing was measured on this machine; bench/results/regret.md rests on those of avx512. Sums wider than 64 bits and index maps are
 * from a Sapphire Rapids Xeon at 3.4 GHz; the gain of a second thread is a round figure below the multiply-add probe's (225 and 432 GFLOP/s).
 * Transforms of avx2 and base: 14 square sizes on the Zen 5 EPYC; box.f32 of base is an estimate. Instruction sets that are not listed count
 * as `base`.
 */
const SHIPPED: Readonly<Record<string, Costs>> = {
	avx512: {
		from: ZEN_5,
		numbers: {
			...SHARED,
			'fft.f32': [0.317, 0.19, 0.238, 1500],
			'fft.f64': [0.608, 0.365, 0.43, 1500],
			'direct.f32': [0.301, 0.045, 0.0058, 0.0203],
			'direct.f64': [0.514, 0.0925, 0.0122, 0.0344],
			'direct.i16': [0.184, 0.0138, 0.00285, 0.0109],
			'direct.i64': [1.07, 0.0687, 0.0148, 0.0304],
			'separable.f32': [0.27, 0.0185, 0.0115],
			'separable.f64': [0.5, 0.0424, 0.0191],
			'separable.i16': [0.151, 0.0139, 0.00754],
			'separable.i64': [0.752, 0.0454, 0.0252],
			'box.f32': [0.135, 0.163],
			'box.f64': [0.925, 0.249],
			'box.i16': [0.12, 0.0575],
			'box.i64': [0.89, 0.274],
		},
	},
	avx2: {
		from: MEASURED,
		numbers: {
			...SHARED,
			'fft.f32': [0.4, 0.24, 0.15, 3000],
			'fft.f64': [0.84, 0.504, 0.3, 3000],
			'direct.f32': [0.388, 0.0916, 0.0114, 0.0483],
			'direct.f64': [0.607, 0.186, 0.0224, 0.0866],
			'direct.i16': [0.213, 0.0351, 0.00762, 0.0167],
			'direct.i64': [1.13, 0.0683, 0.153, 0.0102],
			'separable.f32': [0.462, 0.0423, 0.0205],
			'separable.f64': [0.732, 0.0719, 0.0492],
			'separable.i16': [0.546, 0.0804, 0.0676],
			'separable.i64': [0.719, 0.173, 0.175],
			'box.f32': [0.208, 0.157],
			'box.f64': [0.41, 0.34],
			'box.i16': [0.147, 0.05],
			'box.i64': [0.952, 0.311],
		},
	},
	base: {
		from: MEASURED,
		numbers: {
			...SHARED,
			'fft.f32': [0.88, 0.528, 0.15, 3000],
			'fft.f64': [1.85, 1.11, 0.3, 3000],
			'direct.f32': [0.113, 0.11, 0.0535, 0.0296],
			'direct.f64': [0.291, 0.206, 0.097, 0.0582],
			'direct.i16': [0.207, 0.0317, 0.0343, 0.0116],
			'direct.i64': [0.977, 0.114, 0.344, 0.0316],
			'separable.f32': [0.242, 0.0621, 0.0546],
			'separable.f64': [0.535, 0.113, 0.112],
			'separable.i16': [0.112, 0.035, 0.0353],
			'separable.i64': [0.75, 0.375, 0.404],
			'box.f32': [0.8, 0.1],
			'box.f64': [0.618, 0.475],
			'box.i16': [0.236, 0.0755],
			'box.i64': [1.21, 0.501],
		},
	},
};

/** What was measured, completed by what is shipped. */
export function withShipped(isa: string, measured?: Costs): Costs {
	const shipped = SHIPPED[isa] ?? (SHIPPED.base as Costs);
	return measured === undefined ? shipped : { from: measured.from, numbers: { ...shipped.numbers, ...measured.numbers } };
}

/** Milliseconds below which a run is done at once on the calling thread. */
export const INLINE_MS = 0.1;

/** Bytes of image and result that stay in the caches from one run to the next. */
const CACHED_BYTES = 8 * 2 ** 20;

/** The counts of a plan. */
export interface Work {
	readonly cell: string;
	/** One for each term of the cell's algorithm. */
	readonly counts: readonly number[];
	/** Of image and result. */
	readonly bytes: number;
	readonly interleaved: number;
	readonly linedPlanes: number;
	readonly mapEntries: number;
}

export const constant = (costs: Costs, name: CommonName): number => costs.numbers[name]?.[0] as number;

/** Milliseconds on one thread. */
export function singleMilliseconds(costs: Costs, work: Work): number {
	const numbers = costs.numbers[work.cell] as readonly number[];
	let ns = work.mapEntries * constant(costs, 'map');
	ns += work.interleaved * constant(costs, 'interleaved') + work.linedPlanes * constant(costs, 'lines');
	for (const [k, count] of work.counts.entries()) ns += count * (numbers[k] as number);
	return ns / 1e6;
}

/** How long the work takes, and on how many threads: small work stays on the calling one. */
export function predict(costs: Costs, work: Work, threads: { most: number; cores: number }): { milliseconds: number; threads: number } {
	const single = singleMilliseconds(costs, work);
	if (single < INLINE_MS) return { milliseconds: single, threads: 1 };
	const speed = 1 + (Math.min(threads.most, threads.cores) - 1) * constant(costs, 'gain');
	const fromMemory = (Math.max(0, work.bytes - CACHED_BYTES) * constant(costs, 'byte')) / 1e6;
	// memory and arithmetic overlap, though not perfectly; a plain maximum would make ties of plans that differ in arithmetic
	const pooled = Math.hypot(single / speed, fromMemory) + constant(costs, 'pool') / 1e6;
	return { milliseconds: Math.max(INLINE_MS, pooled), threads: threads.most }; // what is predicted below runs inline
}
