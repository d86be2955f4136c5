/** What the native backend could do for a problem: pure functions of the problem and of the machine's capabilities. */
import type { Capabilities, PlanWish } from '../../backend/backend.ts';
import { directModel } from '../../core/bounds.ts';
import { DTYPES } from '../../core/dtype.ts';
import { type Accumulator, ALGORITHMS, type Algorithm, type Candidate, type Extent, type Plan, planName } from '../../core/plan.ts';
import { cannotOverflow, isPlain, type Problem, reach, sumMagnitude } from '../../core/problem.ts';
import { MOST_THREADS, type NativeAccumulator } from './addon.ts';
import { fftCandidate } from './fft.ts';

/** Register block of each accumulator's kernel, from the kernel table; absent: the scalar body. */
export type Blocks = Readonly<Partial<Record<NativeAccumulator, Extent>>>;

function largestMagnitude(problem: Problem): bigint {
	let most = 0n;
	for (const window of problem.windows) {
		const magnitude = sumMagnitude(problem, window);
		if (magnitude > most) most = magnitude;
	}
	return most;
}

/** True where a sum modulo 2^64 stores the right bits. */
const wraps = (problem: Problem): boolean => problem.overflow === 'wrap' && !DTYPES[problem.output.dtype].float && isPlain(problem);

/**
 * The narrowest type that holds every partial sum exactly. Floats hold integers up to 2^24 and 2^53 exactly, fused or not, and
 * multiply faster than 32- and 64-bit integers do.
 */
export function accumulatorOf(problem: Problem): NativeAccumulator {
	if (problem.sum !== 'integer') return problem.sum === 'float32' ? 'f32' : 'f64';
	const magnitude = largestMagnitude(problem);
	if (magnitude < 2n ** 15n && DTYPES[problem.image.dtype].bytes === 1) return 'i16';
	if (magnitude <= 2n ** 24n) return 'f32';
	if (magnitude <= 2n ** 53n) return 'f64';
	if (magnitude < 2n ** 63n || wraps(problem)) return 'i64';
	return magnitude < 2n ** 127n ? 'i128' : 'i192';
}

const STATED: Readonly<Record<NativeAccumulator, Accumulator>> = {
	f32: 'float32',
	f64: 'float64',
	i16: 'int16',
	i64: 'int64',
	i128: 'int128',
	i192: 'int192',
};

const BYTES: Readonly<Record<NativeAccumulator, number>> = { f32: 4, f64: 8, i16: 2, i64: 8, i128: 16, i192: 24 };

// ── cost ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Nanoseconds per tap and output on one thread: the best of seven runs at K = 3 and 9 on 768² images (96² from 128 bits on), the
 * slope between them. Sapphire Rapids Xeon at 3.4 GHz, gcc 12, Node 20, a busy machine. Instruction sets that are not listed
 * count as `base`.
 */
const TAP_NS: Readonly<Record<string, Readonly<Record<NativeAccumulator, number>>>> = {
	avx512: { f32: 0.017, f64: 0.031, i16: 0.011, i64: 0.097, i128: 4.9, i192: 4.9 },
	avx2: { f32: 0.025, f64: 0.047, i16: 0.017, i64: 0.21, i128: 4.9, i192: 4.9 },
	base: { f32: 0.063, f64: 0.14, i16: 0.047, i64: 0.51, i128: 4.9, i192: 4.9 },
};

/** Nanoseconds per output beside its taps, of the same runs (0.1 to 0.5); 6 more where only the scalar code knows the store. */
const PIXEL_NS = 0.3;
const SCALAR_STORE_NS = 6;
/** Milliseconds to wake the pool and to settle the promise. */
const POOL_MS = 0.05;
/** Predicted work below this runs at once on the calling thread. */
export const INLINE_MS = 0.1;

/** Nanoseconds per entry of an index map: kernels of 2 and 3 taps at dilation 8e6 took 12 to 100 on the machine above. */
const MAP_NS = 40;

/** Stores that native/store.h does not know go through the scalar code. */
function storesSlowly(problem: Problem, accumulator: NativeAccumulator): boolean {
	const { float, bytes } = DTYPES[problem.output.dtype];
	if (float) return problem.output.dtype === 'float16' && accumulator !== 'f32';
	return (problem.overflow !== 'wrap' && bytes > 2 && accumulator !== 'i64') || (problem.overflow === 'throw' && !cannotOverflow(problem));
}

/** Milliseconds on one thread. */
function cost(problem: Problem, accumulator: NativeAccumulator, isa: string): number {
	const [n, , height, width] = problem.output.sizes;
	const perKernel = n * problem.image.sizes[1] * height * width;
	const taps = problem.windows.reduce((sum, window) => sum + window.rows * window.cols, 0);
	const tap = (TAP_NS[isa] ?? (TAP_NS.base as Readonly<Record<NativeAccumulator, number>>))[accumulator];
	const pixel = PIXEL_NS + (storesSlowly(problem, accumulator) ? SCALAR_STORE_NS : 0);
	return (perKernel * (taps * tap + problem.windows.length * pixel) + mapped(problem) * MAP_NS) / 1e6;
}

/** Entries of the index maps, holes of dilated kernels included: they are walked where a large dilation reaches far. */
const mapped = (problem: Problem): number =>
	problem.windows.reduce((sum, window) => sum + reach(problem, window, 0).count + reach(problem, window, 1).count, 0);

// ── tiles ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Bytes of open output rows that should stay in the first-level cache beside the input row. */
const RING_BYTES = 48 * 1024;
const NARROWEST = 256;
const WIDEST = 1024;
const TALLEST = 256;
/** Tiles per thread that leave no thread idle for long. */
const TILES_PER_THREAD = 4;

function tileOf(problem: Problem, accumulator: NativeAccumulator, threads: number): Extent {
	const [n, channels, height, width] = problem.output.sizes;
	const open = Math.max(
		1,
		...problem.windows.map(({ rows }) => Math.floor((Math.max(0, rows - 1) * problem.dilation[0]) / problem.stride[0]) + 1),
	);
	const fits = Math.floor(RING_BYTES / (Math.min(open, TALLEST) * BYTES[accumulator]));
	const tileWidth = Math.min(WIDEST, Math.max(NARROWEST, fits - (fits % 64)));
	const columns = Math.max(1, n * channels * Math.ceil(width / tileWidth));
	const bands = threads === 1 ? 1 : Math.ceil((TILES_PER_THREAD * threads) / columns);
	const tileHeight = Math.min(TALLEST, Math.max(8, Math.ceil(height / bands)));
	return { height: Math.max(1, Math.min(tileHeight, height)), width: Math.max(1, Math.min(tileWidth, width)) };
}

// ── plans ────────────────────────────────────────────────────────────────────────────────────────────────────────────

function overflowText(problem: Problem, accumulator: NativeAccumulator): string {
	const rule = cannotOverflow(problem) ? 'cannot overflow' : `${problem.overflow} where a sum leaves ${problem.output.dtype}`;
	if (problem.sum !== 'integer') return rule;
	const bits = `sums need ${largestMagnitude(problem).toString(2).length + 1} bits`;
	if (accumulator === 'f32' || accumulator === 'f64') return `${rule}; ${bits}, held exactly in ${STATED[accumulator]}`;
	return accumulator === 'i64' && wraps(problem) ? `${rule}; taken modulo 2^64` : `${rule}; ${bits}`;
}

function directPlan(problem: Problem, capabilities: Capabilities, blocks: Blocks, wish: PlanWish): Plan {
	const isa = capabilities.isa as string;
	const accumulator = accumulatorOf(problem);
	const single = cost(problem, accumulator, isa);
	const most = Math.min(wish.threads ?? capabilities.threads, MOST_THREADS);
	const threads = single < INLINE_MS ? 1 : most;
	const tile = tileOf(problem, accumulator, threads);
	const block = blocks[accumulator] ?? { height: 1, width: 1 };
	const largest = Math.max(0, ...problem.windows.map(({ rows }) => rows));
	return {
		name: planName({ algorithm: 'direct', problem, tile, block, backend: 'native', isa }),
		algorithm: 'direct',
		backend: 'native',
		isa,
		threads,
		tile,
		block,
		accumulator: STATED[accumulator],
		overflow: overflowText(problem, accumulator),
		model: directModel(problem),
		steps: problem.windows.map(({ rows, cols, first }, kernel) => ({ kind: 'direct', kernel, rows, cols, first })),
		predicted: {
			milliseconds: single < INLINE_MS ? single : single / Math.min(most, capabilities.threads) + POOL_MS,
			bytes: threads * (largest + 3) * tile.width * BYTES[accumulator],
		},
	};
}

const LATER: Readonly<Record<Exclude<Algorithm, 'direct' | 'fft'>, string>> = {
	separable: 'the native backend does not split kernels into columns and rows yet',
	lowrank: 'the native backend does not split kernels into columns and rows yet',
	box: 'the native backend has no running sums yet',
};

/** Every algorithm, as a plan or with the reason against it. */
export function candidates(problem: Problem, capabilities: Capabilities, blocks: Blocks, wish: PlanWish): Candidate[] {
	const plan = directPlan(problem, capabilities, blocks, wish);
	const limits = { inline: INLINE_MS, pool: POOL_MS, threads: Math.min(wish.threads ?? capabilities.threads, MOST_THREADS) };
	return ALGORITHMS.map((algorithm) => {
		const common = { name: `${algorithm}@native.${capabilities.isa}`, backend: 'native', algorithm };
		if (algorithm === 'fft')
			return fftCandidate(problem, capabilities, wish, { plan, lanes: blocks[accumulatorOf(problem)]?.width ?? 1 }, limits);
		if (algorithm !== 'direct') return { ...common, code: 'UNSUPPORTED', why: LATER[algorithm] };
		const body = blocks[accumulatorOf(problem)] === undefined ? 'scalar C' : `${capabilities.isa} registers`;
		return { ...common, name: plan.name, plan, why: `always possible; ${plan.accumulator} sums, ${body}` };
	});
}
