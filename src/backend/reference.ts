/**
 * The reference: plain TypeScript, float64 or exact integers, written to be read. It can do everything and is in no hurry.
 */
import { boxModel, directModel, type ErrorModel, splitModel } from '../core/bounds.ts';
import { breather } from '../core/breathe.ts';
import { rawElement, storeInteger, storeReal } from '../core/dtype.ts';
import { FaltungError } from '../core/errors.ts';
import { type PlaneView, rowMajorStrides, toCanonical } from '../core/ndarray.ts';
import { hasHoles, poisonedOutputs } from '../core/nonfinite.ts';
import { ALGORITHMS, type Algorithm, type Candidate, type Plan, planName } from '../core/plan.ts';
import { cannotOverflow, isPlainChannel, type KernelWindow, type Problem, sumMagnitude } from '../core/problem.ts';
import type { Step } from '../core/steps.ts';
import { boxOf, productOf, productsOf } from '../core/structure.ts';
import type { Backend, Capabilities, Executable, PlanWish, RunOutcome } from './backend.ts';
import { type Breath, rowsOf } from './reference-rows.ts';

const CAPABILITIES: Capabilities = {
	backend: 'reference',
	threads: 1,
	algorithms: ['direct', 'separable', 'lowrank', 'box'],
	sums: ['integer', 'float32', 'float64'],
	limits: {},
};

// Nanoseconds, measured on a 2.6 GHz Xeon with Node 20 (npm run bench:reference): per tap and pixel, per stored pixel.
const TAP_NS = 1.0;
const BIGINT_TAP_NS = 110;
const PIXEL_NS = 25;
/** Nanoseconds of a call beside its pixels: 5 µs for 16 of them, where the native backend takes 1.3 (Zen 5, Node 20). */
const CALL_NS = 5000;

/** Largest Σ|w|·max|x| whose every partial sum float64 holds exactly. */
const EXACT = 2n ** 53n;

/** True where sums are formed in BigInt: integers that float64 may not hold. */
const needsBigInt = (problem: Problem): boolean =>
	problem.sum === 'integer' && problem.windows.some((window) => sumMagnitude(problem, window) > EXACT);

/** Bits of two's complement that hold every sum. */
function integerBits(problem: Problem): number {
	return 1 + Math.max(...problem.windows.map((window) => sumMagnitude(problem, window).toString(2).length));
}

/** What an algorithm would do, or the reason against it. */
type Option =
	| {
			readonly why: string;
			readonly steps: readonly Step[];
			readonly model: ErrorModel /** Products of a pixel. */;
			readonly products: number;
	  }
	| { readonly why: string; readonly steps?: undefined };

function directOption(problem: Problem, summed: Problem): Option {
	return {
		why: 'plain TypeScript, always possible',
		steps: problem.windows.map(({ rows, cols, first }, kernel) => ({ kind: 'direct', kernel, rows, cols, first })),
		model: directModel(summed),
		products: problem.windows.reduce((sum, window) => sum + window.taps.length, 0),
	};
}

function productOption(problem: Problem, summed: Problem, wish: PlanWish, algorithm: 'separable' | 'lowrank'): Option {
	if (algorithm === 'lowrank' && wish.tolerance === undefined) return { why: 'approximates the kernel: needs a tolerance' };
	if (algorithm === 'lowrank' && problem.sum === 'integer') return { why: 'integer sums are exact, an approximate kernel would not be' };
	const found = algorithm === 'separable' ? productOf(problem) : productsOf(problem, wish.tolerance as number);
	if (found.each === undefined) return { why: found.why };
	let products = 0;
	const steps = found.each.map((split, kernel): Step => {
		const { rows, cols, first } = problem.windows[kernel] as KernelWindow;
		products += split.products.length * (rows + cols * problem.stride[0]);
		return { kind: 'separable', kernel, rows, cols, first, products: split.products };
	});
	return { why: found.why, steps, model: splitModel(summed, found.each), products };
}

function boxOption(problem: Problem, summed: Problem): Option {
	const found = boxOf(problem);
	if (found.each === undefined) return { why: found.why };
	let products = 0;
	const steps = found.each.map((tap, kernel): Step => {
		const { rows, cols, first } = problem.windows[kernel] as KernelWindow;
		products += rows + cols * problem.stride[0];
		return { kind: 'box', kernel, rows, cols, first, tap };
	});
	return { why: `${found.why}; each row is summed once`, steps, model: boxModel(summed), products };
}

function optionOf(problem: Problem, algorithm: Algorithm, wish: PlanWish): Option {
	const summed: Problem = problem.sum === 'integer' ? problem : { ...problem, sum: 'float64' };
	if (algorithm === 'direct') return directOption(problem, summed);
	if (algorithm === 'box') return boxOption(problem, summed);
	if (algorithm === 'fft') return { why: 'the reference has no Fourier transform' };
	return productOption(problem, summed, wish, algorithm);
}

function candidates(problem: Problem, wish: PlanWish): Candidate[] {
	const [n, , height, width] = problem.output.sizes;
	const tile = { height: Math.max(1, height), width: Math.max(1, width) };
	const block = { height: 1, width: 1 };
	const pixels = n * problem.image.sizes[1] * height * width;
	return ALGORITHMS.map((algorithm): Candidate => {
		const option = optionOf(problem, algorithm, wish);
		const common = { backend: 'reference', algorithm, why: option.why };
		if (option.steps === undefined) return { ...common, name: `${algorithm}@reference`, code: 'UNSUPPORTED' };
		const nanoseconds = option.products * (needsBigInt(problem) ? BIGINT_TAP_NS : TAP_NS) + problem.windows.length * PIXEL_NS;
		const plan: Plan = {
			name: planName({ algorithm, problem, tile, block, backend: 'reference' }),
			algorithm,
			backend: 'reference',
			threads: 1,
			tile,
			block,
			accumulator: problem.sum === 'integer' ? `int${integerBits(problem)}` : 'float64',
			overflow: cannotOverflow(problem) ? 'cannot overflow' : `${problem.overflow} where a sum leaves ${problem.output.dtype}`,
			model: option.model,
			steps: option.steps,
			predicted: { milliseconds: (CALL_NS + pixels * nanoseconds) / 1e6, bytes: 8 * 3 * width },
		};
		return { ...common, name: plan.name, plan };
	});
}

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

/** Turns the sum of one result channel into what is stored; undefined where it does not fit. */
function storeOf(problem: Problem, channel: number): (sum: number | bigint) => number | bigint | undefined {
	const { output, overflow, rounding } = problem;
	const [scale, bias] = [problem.scale[channel] as number, problem.bias[channel] as number];
	if (!isPlainChannel(problem, channel)) return (sum) => storeReal(scale * Number(sum) + bias, output.dtype, rounding, overflow);
	return (sum) => (typeof sum === 'bigint' ? storeInteger(sum, output.dtype, overflow) : storeReal(sum, output.dtype, rounding, overflow));
}

async function run(
	problem: Problem,
	steps: readonly Step[],
	image: PlaneView,
	out: PlaneView,
	signal: AbortSignal | undefined,
): Promise<RunOutcome> {
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
		const rows = rowsOf(problem, steps[channel % kernels] as Step, image);
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
		run: (image, out, signal) => run(problem, plan.steps, image, out, signal),
		dispose: () => {},
	}),
};
