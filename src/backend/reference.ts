/**
 * The reference: plain TypeScript, float64 or exact integers, written to be read. It can do everything and is in no hurry.
 */
import { indexMap, OUTSIDE } from '../core/boundary.ts';
import { directModel } from '../core/bounds.ts';
import { breather } from '../core/breathe.ts';
import { rawElement, reader, storeInteger, storeReal } from '../core/dtype.ts';
import { FaltungError } from '../core/errors.ts';
import { type PlaneView, rowMajorStrides, toCanonical } from '../core/ndarray.ts';
import { hasHoles, poisonedOutputs } from '../core/nonfinite.ts';
import { ALGORITHMS, type Algorithm, type Candidate, type Plan, planName } from '../core/plan.ts';
import { cannotOverflow, isPlainChannel, type KernelWindow, type Problem, reach, sumMagnitude } from '../core/problem.ts';
import type { Backend, Capabilities, Executable, RunOutcome } from './backend.ts';

const CAPABILITIES: Capabilities = {
	backend: 'reference',
	threads: 1,
	algorithms: ['direct'],
	sums: ['integer', 'float32', 'float64'],
	limits: {},
};

// Nanoseconds, measured on a 2.6 GHz Xeon with Node 20 (npm run bench:reference): per tap and pixel, per stored pixel.
const TAP_NS = 1.0;
const BIGINT_TAP_NS = 110;
const PIXEL_NS = 25;

/** Largest Σ|w|·max|x| whose every partial sum float64 holds exactly. */
const EXACT = 2n ** 53n;

/** True where sums are formed in BigInt: integers that float64 may not hold. */
const needsBigInt = (problem: Problem): boolean =>
	problem.sum === 'integer' && problem.windows.some((window) => sumMagnitude(problem, window) > EXACT);

/** Bits of two's complement that hold every sum. */
function integerBits(problem: Problem): number {
	return 1 + Math.max(...problem.windows.map((window) => sumMagnitude(problem, window).toString(2).length));
}

function directPlan(problem: Problem): Plan {
	const [n, , height, width] = problem.output.sizes;
	const tile = { height: Math.max(1, height), width: Math.max(1, width) };
	const block = { height: 1, width: 1 };
	const taps = problem.windows.reduce((sum, window) => sum + window.taps.length, 0);
	const perKernel = n * problem.image.sizes[1] * height * width;
	const nanoseconds = perKernel * (taps * (needsBigInt(problem) ? BIGINT_TAP_NS : TAP_NS) + problem.windows.length * PIXEL_NS);
	const stated = problem.sum === 'integer' ? (`int${integerBits(problem)}` as const) : 'float64';
	return {
		name: planName({ algorithm: 'direct', problem, tile, block, backend: 'reference' }),
		algorithm: 'direct',
		backend: 'reference',
		threads: 1,
		tile,
		block,
		accumulator: stated,
		overflow: cannotOverflow(problem) ? 'cannot overflow' : `${problem.overflow} where a sum leaves ${problem.output.dtype}`,
		model: directModel(problem.sum === 'integer' ? problem : { ...problem, sum: 'float64' }),
		steps: problem.windows.map(({ rows, cols, first }, kernel) => ({ kind: 'direct', kernel, rows, cols, first })),
		predicted: { milliseconds: nanoseconds / 1e6, bytes: 8 * 3 * width },
	};
}

function candidates(problem: Problem): Candidate[] {
	return ALGORITHMS.map((algorithm: Algorithm) => {
		const common = { name: `${algorithm}@reference`, backend: 'reference', algorithm };
		if (algorithm !== 'direct') return { ...common, code: 'UNSUPPORTED', why: 'the reference sums directly, nothing else' };
		const plan = directPlan(problem);
		return { ...common, name: plan.name, plan, why: 'plain TypeScript, always possible' };
	});
}

type Breath = ReturnType<typeof breather>;

/** A breather that looks, after each turn of the event loop, whether the image is still where it was. */
function watchfulBreath(image: PlaneView, signal: AbortSignal | undefined): Breath {
	const breath = breather(signal);
	const length = image.data.length;
	const pause = async () => {
		await breath.pause();
		if (image.data.length !== length) {
			throw new FaltungError(
				'INVALID_ARGUMENT',
				'Expected the image to stay where it is while a call is pending but its memory was transferred, detached or resized.',
			);
		}
	};
	return { due: breath.due, pause };
}

/** One window at work on an image: the maps of both axes, and buffers for one output row. */
class DirectRows {
	readonly #problem: Problem;
	readonly #window: KernelWindow;
	readonly #image: PlaneView;
	readonly #read: (i: number) => number | bigint;
	readonly #yMap: Int32Array;
	readonly #xMap: Int32Array;

	constructor(problem: Problem, window: KernelWindow, image: PlaneView) {
		this.#problem = problem;
		this.#window = window;
		this.#image = image;
		this.#read = reader(image.data, image.dtype);
		const [y, x] = [reach(problem, window, 0), reach(problem, window, 1)];
		this.#yMap = indexMap(problem.boundary[0], image.sizes[2], y.first, y.count);
		this.#xMap = indexMap(problem.boundary[1], image.sizes[3], x.first, x.count);
	}

	/** The image row under tap row j of output row y, extended on both sides, written into `row`. */
	#extend<T extends number | bigint>(
		base: number,
		y: number,
		j: number,
		row: { [x: number]: T },
		convert: (pixel: number | bigint) => T,
	): void {
		const { stride, dilation, value } = this.#problem;
		const source = this.#yMap[y * stride[0] + j * dilation[0]] as number;
		const start = base + source * this.#image.strides[2];
		for (let x = 0; x < this.#xMap.length; x++) {
			const column = this.#xMap[x] as number;
			const outside = source === OUTSIDE || column === OUTSIDE;
			row[x] = convert(outside ? value : this.#read(start + column * this.#image.strides[3]));
		}
	}

	/** Sums of output row y in float64: each kernel row first, then the rows. */
	async numbers(base: number, y: number, breath: Breath): Promise<Float64Array> {
		const { rows, cols, taps } = this.#window;
		const [stride, dilation] = [this.#problem.stride[1], this.#problem.dilation[1]];
		const width = this.#problem.output.sizes[3];
		const extended = new Float64Array(this.#xMap.length);
		const sums = new Float64Array(width);
		for (let j = 0; j < rows; j++) {
			if (breath.due()) await breath.pause();
			this.#extend(base, y, j, extended, Number);
			const rowSums = new Float64Array(width);
			for (let i = 0; i < cols; i++) {
				const tap = Number(taps[j * cols + i]);
				for (let x = 0, at = i * dilation; x < width; x++, at += stride)
					rowSums[x] = (rowSums[x] as number) + tap * (extended[at] as number);
			}
			for (let x = 0; x < width; x++) sums[x] = (sums[x] as number) + (rowSums[x] as number);
		}
		return sums;
	}

	/** Sums of output row y, exactly. */
	async integers(base: number, y: number, breath: Breath): Promise<bigint[]> {
		const { rows, cols, taps } = this.#window;
		const [stride, dilation] = [this.#problem.stride[1], this.#problem.dilation[1]];
		const width = this.#problem.output.sizes[3];
		const extended = new Array<bigint>(this.#xMap.length);
		const sums = new Array<bigint>(width).fill(0n);
		for (let j = 0; j < rows; j++) {
			if (breath.due()) await breath.pause();
			this.#extend(base, y, j, extended, BigInt);
			for (let i = 0; i < cols; i++) {
				const tap = BigInt(taps[j * cols + i] as number | bigint);
				for (let x = 0, at = i * dilation; x < width; x++, at += stride) sums[x] = (sums[x] as bigint) + tap * (extended[at] as bigint);
			}
		}
		return sums;
	}
}

/** Turns the sum of one result channel into what is stored; undefined where it does not fit. */
function storeOf(problem: Problem, channel: number): (sum: number | bigint) => number | bigint | undefined {
	const { output, overflow, rounding } = problem;
	const [scale, bias] = [problem.scale[channel] as number, problem.bias[channel] as number];
	if (!isPlainChannel(problem, channel)) return (sum) => storeReal(scale * Number(sum) + bias, output.dtype, rounding, overflow);
	return (sum) => (typeof sum === 'bigint' ? storeInteger(sum, output.dtype, overflow) : storeReal(sum, output.dtype, rounding, overflow));
}

async function run(problem: Problem, image: PlaneView, out: PlaneView, signal: AbortSignal | undefined): Promise<RunOutcome> {
	const began = performance.now();
	const breath = watchfulBreath(image, signal);
	const [batches, channels, height, width] = out.sizes;
	const order = toCanonical(problem.output.layout, rowMajorStrides(problem.output.shape), 0);
	const big = needsBigInt(problem);
	const holes = hasHoles(problem);
	const kernels = problem.windows.length;
	let overflowAt = Infinity;
	for (let channel = 0; channel < channels; channel++) {
		const window = problem.windows[channel % kernels] as KernelWindow;
		const rows = new DirectRows(problem, window, image);
		const store = storeOf(problem, channel);
		for (let n = 0; n < batches; n++) {
			const base = image.offset + n * image.strides[0] + Math.floor(channel / kernels) * image.strides[1];
			const poisoned = holes ? poisonedOutputs(problem, window, image, base) : undefined;
			for (let y = 0; y < height; y++) {
				const sums = await (big ? rows.integers(base, y, breath) : rows.numbers(base, y, breath));
				const start = out.offset + n * out.strides[0] + channel * out.strides[1] + y * out.strides[2];
				for (let x = 0; x < width; x++) {
					const sum = sums[x] as number | bigint;
					// a sum that is infinite already stays what it is: only finite ones can hide a NaN in a hole
					const hidden = poisoned?.[y * width + x] === 1 && Number.isFinite(sum);
					const stored = store(hidden ? NaN : sum);
					if (stored === undefined) overflowAt = Math.min(overflowAt, n * order[0] + channel * order[1] + y * order[2] + x * order[3]);
					else out.data[start + x * out.strides[3]] = rawElement(stored, out.dtype, out.data);
				}
			}
		}
	}
	const outcome = { timings: { compute: performance.now() - began } };
	return overflowAt === Infinity ? outcome : { ...outcome, overflowAt };
}

export const referenceBackend: Backend = {
	name: 'reference',
	capabilities: CAPABILITIES,
	candidates,
	prepare: async (problem, plan): Promise<Executable> => ({
		plan,
		run: (image, out, signal) => run(problem, image, out, signal),
		dispose: () => {},
	}),
};
