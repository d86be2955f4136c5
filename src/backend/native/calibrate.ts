/** Measures the constants of the native cost model on this machine: one thread, every algorithm and accumulator, several kernel sizes. */
import { throwIfAborted } from '../../core/breathe.ts';
import { DTYPES, type Dtype } from '../../core/dtype.ts';
import { FaltungError } from '../../core/errors.ts';
import { fromCanonical, type Layout, type PerAxis, type PlaneView, rowMajorStrides, toCanonical } from '../../core/ndarray.ts';
import type { Algorithm, Plan } from '../../core/plan.ts';
import { makeProblem, type Problem } from '../../core/problem.ts';
import type { Backend, Costs, Executable } from '../backend.ts';
import { ACCUMULATORS, type NativeAccumulator } from './addon.ts';
import { accumulatorOf } from './candidates.ts';
import { type CommonName, type CostedAlgorithm, cellName, constant, singleMilliseconds, TERMS, type Work, withShipped } from './costs.ts';
import { fitNonNegative } from './fit.ts';
import { workOf } from './work.ts';

/** One measured problem. */
export interface Point {
	readonly cell: string;
	/** Kernel side. */
	readonly side: number;
	readonly outputs: number;
	/** Milliseconds: the least of all rounds, and what the fitted constants say. */
	readonly measured: number;
	readonly fitted: number;
}

export interface Outcome {
	readonly isa: string;
	readonly numbers: Readonly<Record<string, readonly number[]>>;
	readonly points: readonly Point[];
	readonly seconds: number;
}

export interface CalibrateOptions {
	readonly signal?: AbortSignal | undefined;
	readonly onProgress?: (text: string) => void;
	/** How often each problem is run; the least time counts. */
	readonly rounds?: number;
	/** Image side; smaller ones are only good for tests. */
	readonly side?: number;
}

/** An image dtype and a kernel that are summed in an accumulator. */
const SUMMED_IN: Readonly<Record<NativeAccumulator, { image: Dtype; kernel: Dtype; share: number }>> = {
	f32: { image: 'float32', kernel: 'float32', share: 1 },
	f64: { image: 'float64', kernel: 'float64', share: 1 },
	i16: { image: 'uint8', kernel: 'int32', share: 1 },
	i64: { image: 'int64', kernel: 'int32', share: 1 },
	i128: { image: 'int64', kernel: 'int32', share: 1 / 64 },
	i192: { image: 'uint64', kernel: 'int64', share: 1 / 64 },
};

type Sides = readonly [rows: number, cols: number];
const square = (side: number): Sides => [side, side];

/** Kernels of each algorithm. Those that are no squares tell rows from columns. */
const KERNELS: Readonly<Record<CostedAlgorithm, readonly Sides[]>> = {
	direct: [...[3, 5, 7, 9, 15].map(square), [31, 1], [31, 3], [1, 31], [1, 101]],
	separable: [...[3, 7, 15, 31, 63].map(square), [31, 3], [3, 31]],
	box: [3, 9, 31, 63].map(square),
	fft: [7, 15, 31, 63].map(square),
};
/** A sum of ones that 16 bits hold. */
const MOST_NARROW_TAPS = 128;

/** Sizes of transforms are chosen by these very constants, so few occur: the shipped ones are scaled as a whole. */
const SCALED: readonly CostedAlgorithm[] = ['fft'];

const SIDE = 768;
const ROUNDS = 9;
/** Larger than the caches: what is measured there is the memory. */
const MEMORY_SIDE = 3000;

interface Probe {
	readonly problem: Problem;
	readonly plan: Plan;
	readonly work: Work;
	readonly executable: Executable;
	readonly image: PlaneView;
	readonly out: PlaneView;
	least: number;
}

const view = (dtype: Dtype, layout: Layout, sizes: PerAxis): PlaneView => {
	const strides = toCanonical(layout, rowMajorStrides(fromCanonical(layout, sizes)), 0);
	const data = new DTYPES[dtype].array(sizes.reduce((a, b) => a * b, 1));
	// no constant: transforms subtract a mean
	for (let i = 0; i < data.length; i++) data[i] = (DTYPES[dtype].big ? BigInt(i % 97) : i % 97) as never;
	return { data, dtype, sizes, strides, offset: 0 };
};

/** A square image and a kernel of equal taps: every algorithm can do it. */
function problemOf(accumulator: NativeAccumulator, side: number, [height, width]: Sides): Problem {
	const { image, kernel } = SUMMED_IN[accumulator];
	const count = height * width;
	// 64-bit sums modulo 2^64 are held in int64; a sum that may leave 2^127 needs 192 bits
	const tap = accumulator === 'i192' ? 2n ** 62n : 1n;
	const taps = DTYPES[kernel].big ? new BigInt64Array(count).fill(tap) : new Float64Array(count).fill(1);
	return makeProblem({
		operation: 'correlate',
		image: { dtype: image, layout: 'HW', sizes: [1, 1, side, side] },
		kernel: { dtype: kernel, taps, height, width, count: 1, bank: false },
		mode: 'same',
		boundary: ['symmetric', 'symmetric'],
		value: 0,
		anchor: undefined,
		stride: [1, 1],
		dilation: [1, 1],
		outputDtype: image,
		overflow: accumulator === 'i64' ? 'wrap' : 'saturate',
		rounding: 'nearest-even',
		scale: [1],
		bias: [0],
		accumulate: 'auto',
	});
}

/** The same with three channels side by side, and the kernel twice: a bank is what takes them one by one. */
function interleaved(problem: Problem): Problem {
	const [n, , height, width] = problem.image.sizes;
	const image = { ...problem.image, layout: 'HWC', sizes: [n, 3, height, width] } as const;
	return {
		...problem,
		image,
		windows: [...problem.windows, ...problem.windows],
		scale: new Array<number>(6).fill(1),
		bias: new Array<number>(6).fill(0),
		output: { ...problem.output, layout: 'HWC', sizes: [n, 6, height, width], shape: [height, width, 6] },
	};
}

async function probe(backend: Backend, problem: Problem, method: Algorithm, threads: number): Promise<Probe | undefined> {
	const plans = backend.candidates(problem, { method, accuracy: 'norm', threads }).filter((candidate) => candidate.algorithm === method);
	const plan = plans.find((candidate) => candidate.plan !== undefined)?.plan;
	if (plan === undefined) return undefined;
	return {
		problem,
		plan,
		work: workOf(problem, accumulatorOf(problem), plan.steps),
		executable: await backend.prepare(problem, plan),
		image: view(problem.image.dtype, problem.image.layout, problem.image.sizes),
		out: view(problem.output.dtype, problem.output.layout, problem.output.sizes),
		least: Infinity,
	};
}

class Calibration {
	readonly #backend: Backend;
	readonly #isa: string;
	readonly #options: CalibrateOptions;
	readonly #probes: Probe[] = [];

	constructor(backend: Backend, options: CalibrateOptions) {
		this.#backend = backend;
		this.#isa = backend.capabilities.isa as string;
		this.#options = options;
	}

	async #open(problem: Problem, method: Algorithm, threads = 1): Promise<Probe | undefined> {
		const made = await probe(this.#backend, problem, method, threads);
		if (made !== undefined) this.#probes.push(made);
		return made;
	}

	/** Runs every probe in turn, so that a slow moment of the machine meets all of them. */
	async #time(probes: readonly Probe[], text: string): Promise<void> {
		const rounds = this.#options.rounds ?? ROUNDS;
		for (let round = 0; round < rounds; round++) {
			this.#options.onProgress?.(`${text}, round ${round + 1} of ${rounds}`);
			for (const one of probes) {
				throwIfAborted(this.#options.signal);
				const { timings } = await one.executable.run(one.image, one.out, this.#options.signal);
				one.least = Math.min(one.least, timings.compute);
			}
		}
	}

	async run(): Promise<Outcome> {
		const began = performance.now();
		try {
			const { numbers, points } = await this.#cells();
			const costs = withShipped(this.#isa, { from: '', numbers });
			const common = await this.#common(costs);
			return { isa: this.#isa, numbers: { ...numbers, ...common }, points, seconds: (performance.now() - began) / 1000 };
		} finally {
			for (const { executable } of this.#probes) executable.dispose();
		}
	}

	/** The constants of every algorithm and accumulator. */
	async #cells(): Promise<{ numbers: Record<string, readonly number[]>; points: Point[] }> {
		const side = this.#options.side ?? SIDE;
		const numbers: Record<string, readonly number[]> = {};
		const points: Point[] = [];
		for (const algorithm of Object.keys(TERMS) as CostedAlgorithm[]) {
			for (const accumulator of ACCUMULATORS) {
				const cell = cellName(algorithm, accumulator);
				const probes: Probe[] = [];
				for (const sides of KERNELS[algorithm]) {
					if (accumulator === 'i16' && sides[0] * sides[1] > MOST_NARROW_TAPS) continue;
					const problem = problemOf(accumulator, Math.ceil(side * Math.sqrt(SUMMED_IN[accumulator].share)), sides);
					const made = await this.#open(problem, algorithm);
					if (made !== undefined && made.work.cell === cell) probes.push(made);
				}
				if (probes.length < 2) continue;
				await this.#time(probes, cell);
				numbers[cell] = this.#constants(algorithm, cell, probes);
				const costs = { from: '', numbers: { ...withShipped(this.#isa).numbers, ...numbers } };
				for (const { work, problem, least } of probes) {
					const { height, width } = problem.kernel;
					if (height !== width) continue;
					const outputs = problem.output.sizes.reduce((a, b) => a * b, 1);
					points.push({ cell, side: height, outputs, measured: least, fitted: singleMilliseconds(costs, work) });
				}
			}
		}
		return { numbers, points };
	}

	#constants(algorithm: CostedAlgorithm, cell: string, probes: readonly Probe[]): readonly number[] {
		const nanoseconds = probes.map(({ least }) => least * 1e6);
		if (!SCALED.includes(algorithm))
			return fitNonNegative(
				probes.map(({ work }) => work.counts),
				nanoseconds,
			);
		const shipped = withShipped(this.#isa);
		const [factor] = fitNonNegative(
			probes.map(({ work }) => [singleMilliseconds(shipped, work) * 1e6]),
			nanoseconds,
		) as [number];
		return (shipped.numbers[cell] as readonly number[]).map((x) => x * factor);
	}

	/** What does not belong to one algorithm. */
	async #common(costs: Costs): Promise<Partial<Record<CommonName, readonly [number]>>> {
		const { threads } = this.#backend.capabilities;
		const small = this.#options.side !== undefined;
		const side = small ? (this.#options.side as number) : SIDE;
		const found: Partial<Record<CommonName, readonly [number]>> = {};

		const coloured = await this.#open(interleaved(problemOf('f32', Math.round(side / 3), square(3))), 'direct');
		const one = await this.#open(problemOf('f32', side, square(9)), 'direct');
		const all = await this.#open(problemOf('f32', side, square(9)), 'direct', threads);
		const memory = await this.#open(problemOf('f32', small ? side : MEMORY_SIDE, square(1)), 'direct', threads);
		const probes = [coloured, one, all, memory].filter((made) => made !== undefined);
		await this.#time(probes, 'channels, threads, memory');

		if (coloured !== undefined && coloured.work.interleaved > 0) {
			const sums = singleMilliseconds(costs, { ...coloured.work, interleaved: 0 });
			found.interleaved = [Math.max(0, ((coloured.least - sums) * 1e6) / coloured.work.interleaved)];
		}
		if (one !== undefined && all !== undefined && threads > 1)
			found.gain = [Math.min(1, Math.max(0, (one.least / all.least - 1) / (threads - 1)))];
		if (memory !== undefined && !small) found.byte = [(memory.least * 1e6) / memory.work.bytes];
		found.pool = [await this.#pool(one)];
		return found;
	}

	/** Nanoseconds from the call to the settled promise, without the work. */
	async #pool(one: Probe | undefined): Promise<number> {
		if (one === undefined) return constant(withShipped(this.#isa), 'pool');
		let least = Infinity;
		for (let k = 0; k < (this.#options.rounds ?? ROUNDS); k++) {
			const began = performance.now();
			const { timings } = await one.executable.run(one.image, one.out, this.#options.signal);
			least = Math.min(least, performance.now() - began - timings.compute);
		}
		return Math.max(0, least * 1e6);
	}
}

/**
 * Measures a native backend. Nothing is stored.
 *
 * @throws the signal's reason where it is aborted
 */
export async function calibrate(backend: Backend, options: CalibrateOptions = {}): Promise<Outcome> {
	if (backend.capabilities.isa === undefined) throw new FaltungError('UNSUPPORTED', 'Expected the native backend to calibrate.');
	return new Calibration(backend, options).run();
}
