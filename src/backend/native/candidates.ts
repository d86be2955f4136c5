/** What the native backend could do for a problem: pure functions of the problem and of the machine's capabilities. */
import type { Capabilities, Costs, PlanWish } from '../../backend/backend.ts';
import { directModel } from '../../core/bounds.ts';
import { DTYPES } from '../../core/dtype.ts';
import { type Accumulator, ALGORITHMS, type Algorithm, type Candidate, type Extent, type Plan, planName } from '../../core/plan.ts';
import { cannotOverflow, isPlain, type Problem, sumMagnitude } from '../../core/problem.ts';
import { MOST_THREADS, type NativeAccumulator } from './addon.ts';
import { predict, withShipped } from './costs.ts';
import { fftOption } from './fft.ts';
import { isOption, type Option, type OptionOrReason } from './option.ts';
import { boxOption, lowRankOption, separableOption } from './split.ts';
import { workOf } from './work.ts';

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

// ── tiles ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Bytes of open output rows that should stay in the first-level cache beside the input row. */
const RING_BYTES = 48 * 1024;
const NARROWEST = 256;
const WIDEST = 1024;
const TALLEST = 256;
/** Tiles per thread that leave no thread idle for long. */
const TILES_PER_THREAD = 4;

/**
 * Strips (native/strip.c) want long runs of memory, so their open rows may lie in the second-level cache, in the first one only where that
 * leaves runs of LONG columns. A window one or two columns wide does little else than move open rows, and keeps them near (31 x 1,
 * 2048 x 2048 float32: 4.0 against 4.7 ms with long rows, Zen 5).
 */
const STRIP_BYTES = { near: 32 * 1024, far: 256 * 1024 };
const LONG = 2048;
/** Taller windows are no strips (MOST_ROWS there). */
const STRIP_ROWS = 64;
const LONGEST = 4096;

const isStrip = (problem: Problem): boolean =>
	Math.max(...problem.stride, ...problem.dilation) === 1 && problem.windows.every(({ rows, cols }) => cols > 2 && rows <= STRIP_ROWS);

function stripWidth(line: number): number {
	const bytes = STRIP_BYTES.near >= LONG * line ? STRIP_BYTES.near : STRIP_BYTES.far;
	const fits = Math.floor(bytes / line);
	return Math.min(LONGEST, Math.max(NARROWEST, fits - (fits % (fits < LONG ? 64 : LONG))));
}

function tileOf(problem: Problem, accumulator: NativeAccumulator, threads: number): Extent {
	const [n, channels, height, width] = problem.output.sizes;
	const open = Math.max(
		1,
		...problem.windows.map(({ rows }) => Math.floor((Math.max(0, rows - 1) * problem.dilation[0]) / problem.stride[0]) + 1),
	);
	const line = Math.min(open, TALLEST) * BYTES[accumulator];
	const fits = Math.floor(RING_BYTES / line);
	const tileWidth = isStrip(problem) ? stripWidth(line) : Math.min(WIDEST, Math.max(NARROWEST, fits - (fits % 64)));
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

function directOption(problem: Problem, accumulator: NativeAccumulator, body: string, blockRows: number): Option {
	const largest = Math.max(0, ...problem.windows.map(({ rows }) => rows));
	return {
		steps: problem.windows.map(({ rows, cols, first }, kernel) => ({ kind: 'direct', kernel, rows, cols, first })),
		model: directModel(problem),
		why: `always possible; ${STATED[accumulator]} sums, ${body}`,
		blockRows,
		tile: (threads) => tileOf(problem, accumulator, threads),
		memory: (threads, tile) => threads * (largest + 3) * tile.width * BYTES[accumulator],
	};
}

/** The machine, as far as plans depend on it. */
interface Machine {
	readonly isa: string;
	readonly block: Extent | undefined;
	readonly costs: Costs;
	/** Threads that a run may use, and cores that can run them. */
	readonly most: number;
	readonly cores: number;
}

function planOf(problem: Problem, algorithm: Algorithm, option: Option, { isa, block, costs, most, cores }: Machine): Plan {
	const accumulator = accumulatorOf(problem);
	const { milliseconds, threads } = predict(costs, workOf(problem, accumulator, option.steps), { most, cores });
	const tile = option.tile(threads);
	const registers = { height: option.blockRows, width: block?.width ?? 1 };
	return {
		name: planName({ algorithm, problem, tile, block: registers, backend: 'native', isa }),
		algorithm,
		backend: 'native',
		isa,
		threads,
		tile,
		block: registers,
		accumulator: STATED[accumulator],
		overflow: overflowText(problem, accumulator),
		model: option.model,
		steps: option.steps,
		predicted: { milliseconds, bytes: option.memory(threads, tile), from: costs.from },
	};
}

/** What each algorithm would do, or the reason against it. */
function optionOf(problem: Problem, algorithm: Algorithm, wish: PlanWish, { isa, block, costs, most }: Machine): OptionOrReason {
	const accumulator = accumulatorOf(problem);
	const bytes = BYTES[accumulator];
	switch (algorithm) {
		case 'direct':
			return directOption(problem, accumulator, block === undefined ? 'scalar C' : `${isa} registers`, block?.height ?? 1);
		case 'separable':
			return separableOption(problem, accumulator, bytes);
		case 'lowrank':
			return lowRankOption(problem, accumulator, bytes, wish);
		case 'box':
			return boxOption(problem, accumulator, bytes);
		case 'fft':
			return fftOption(problem, wish, costs, most);
	}
}

/** Every algorithm, as a plan or with the reason against it. */
export function candidates(problem: Problem, capabilities: Capabilities, blocks: Blocks, wish: PlanWish): Candidate[] {
	const isa = capabilities.isa as string;
	const machine: Machine = {
		isa,
		block: blocks[accumulatorOf(problem)],
		costs: capabilities.costs ?? withShipped(isa),
		most: Math.min(wish.threads ?? capabilities.threads, MOST_THREADS),
		cores: capabilities.threads,
	};
	return ALGORITHMS.map((algorithm) => {
		const common = { name: `${algorithm}@native.${isa}`, backend: 'native', algorithm };
		const option = optionOf(problem, algorithm, wish, machine);
		if (!isOption(option)) return { ...common, code: 'UNSUPPORTED', why: option.why };
		const plan = planOf(problem, algorithm, option, machine);
		return { ...common, name: plan.name, plan, why: option.why };
	});
}
