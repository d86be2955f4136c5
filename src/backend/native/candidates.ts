/** What the native backend could do for a problem: pure functions of the problem and of the machine's capabilities. */
import type { Capabilities, PlanWish } from '../../backend/backend.ts';
import { directModel } from '../../core/bounds.ts';
import { DTYPES } from '../../core/dtype.ts';
import { type Accumulator, ALGORITHMS, type Algorithm, type Candidate, type Extent, type Plan, planName } from '../../core/plan.ts';
import { cannotOverflow, isPlain, type Problem, reach, sumMagnitude } from '../../core/problem.ts';
import { MOST_THREADS, type NativeAccumulator } from './addon.ts';
import { cellName, predict, type Work, withShipped } from './costs.ts';

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

/** Stores that native/store.h does not know go through the scalar code. */
function storesSlowly(problem: Problem, accumulator: NativeAccumulator): boolean {
	const { float, bytes } = DTYPES[problem.output.dtype];
	if (float) return problem.output.dtype === 'float16' && accumulator !== 'f32';
	return (problem.overflow !== 'wrap' && bytes > 2 && accumulator !== 'i64') || (problem.overflow === 'throw' && !cannotOverflow(problem));
}

/** What a problem costs whatever the algorithm. */
function commonWork(problem: Problem, accumulator: NativeAccumulator): Omit<Work, 'cell' | 'counts'> {
	const pixels = problem.image.sizes.reduce((a, b) => a * b, 1);
	const outputs = problem.output.sizes.reduce((a, b) => a * b, 1);
	return {
		bytes: pixels * DTYPES[problem.image.dtype].bytes + outputs * DTYPES[problem.output.dtype].bytes,
		scalarStores: storesSlowly(problem, accumulator) ? outputs : 0,
		mapEntries: mapped(problem),
	};
}

/** Outputs of one kernel of the bank. */
function perKernel(problem: Problem): number {
	const [n, , height, width] = problem.output.sizes;
	return n * problem.image.sizes[1] * height * width;
}

function directWork(problem: Problem, accumulator: NativeAccumulator): Work {
	const outputs = perKernel(problem);
	const [rows, taps] = problem.windows.reduce(([a, b], window) => [a + window.rows, b + window.rows * window.cols], [0, 0]);
	const counts = [outputs * problem.windows.length, outputs * rows, outputs * taps];
	return { cell: cellName('direct', accumulator), counts, ...commonWork(problem, accumulator) };
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
	const costs = capabilities.costs ?? withShipped(isa);
	const most = Math.min(wish.threads ?? capabilities.threads, MOST_THREADS);
	const { milliseconds, threads } = predict(costs, directWork(problem, accumulator), { most, cores: capabilities.threads });
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
		predicted: { milliseconds, bytes: threads * (largest + 3) * tile.width * BYTES[accumulator], from: costs.from },
	};
}

const LATER: Readonly<Record<Exclude<Algorithm, 'direct'>, string>> = {
	separable: 'the native backend does not split kernels into columns and rows yet',
	lowrank: 'the native backend does not split kernels into columns and rows yet',
	box: 'the native backend has no running sums yet',
	fft: 'the native backend has no Fourier transform yet',
};

/** Every algorithm, as a plan or with the reason against it. */
export function candidates(problem: Problem, capabilities: Capabilities, blocks: Blocks, wish: PlanWish): Candidate[] {
	return ALGORITHMS.map((algorithm) => {
		const common = { name: `${algorithm}@native.${capabilities.isa}`, backend: 'native', algorithm };
		if (algorithm !== 'direct') return { ...common, code: 'UNSUPPORTED', why: LATER[algorithm] };
		const plan = directPlan(problem, capabilities, blocks, wish);
		const body = blocks[accumulatorOf(problem)] === undefined ? 'scalar C' : `${capabilities.isa} registers`;
		return { ...common, name: plan.name, plan, why: `always possible; ${plan.accumulator} sums, ${body}` };
	});
}
