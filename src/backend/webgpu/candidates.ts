/** What this backend can do with a problem, at what predicted cost, or why not. Pure: limits and facts are arguments. */
import { boxModel, directModel, type ErrorModel, fftModel, splitModel } from '../../core/bounds.ts';
import { DTYPES } from '../../core/dtype.ts';
import { FaltungError } from '../../core/errors.ts';
import { ALGORITHMS, type Algorithm, type Candidate, type Extent, type Plan, planName } from '../../core/plan.ts';
import { cannotOverflow, isPlain, type Problem, sumMagnitude } from '../../core/problem.ts';
import type { Step } from '../../core/steps.ts';
import { boxOf, type Found, productOf, productsOf, type Split } from '../../core/structure.ts';
import type { DeviceMeasurements, PlanWish } from '../backend.ts';
import { alikeOf } from './bank.ts';
import { boxWork } from './box.ts';
import { PIECES_IN_FLIGHT } from './device.ts';
import { accumulatorOf, GROUP, kernelWords, MAX_LIMBS, sumLimbs } from './direct.ts';
import { DirectProgram } from './direct-program.ts';
import { COMPLEX_BYTES, type FftLayout, fftFrame, fftGrain, fftLayout, fftObstacle, pairsAtATime } from './fft.ts';
import { FftProgram } from './fft-program.ts';
import type { Program } from './program.ts';
import { lanesOf } from './quads.ts';
import {
	type BoxStrip,
	boxObstacle,
	boxStripOf,
	directTiledObstacle,
	separableObstacle,
	stripOf,
	THREAD_ROWS,
	tiledWork,
} from './tiled.ts';
import { TiledProgram } from './tiled-program.ts';
import { chooseSizes, type Grain, pieceNeeds, type TileLimits, workOf } from './tiler.ts';

/**
 * Constants of the cost model. NOT measured: no real GPU was at hand. Host copies into and out of mapped memory run at a memcpy's
 * speed, one crossing of PCIe 5 at 50 GB/s (research on dawn.node). A large GPU is taken to do 2·10^13 multiply-adds a second and to
 * move 2·10^12 bytes. One load per tap, as in direct.wgsl, is bound by the load units, a quarter of that; tiled.wgsl issues little but
 * multiply-adds, separable.wgsl reads workgroup memory about as often as it multiplies, and box.wgsl does little else, a word at a time,
 * at a quarter of the rate of multiply-adds, 128 bytes a clock and processor (counts: bench/results/webgpu-static.md).
 */
const HOST_BYTES_PER_MS = 8e6;
const BUS_BYTES_PER_MS = 50e6;
const MEMORY_BYTES_PER_MS = 2e9;
const PRODUCTS_PER_MS = { direct: 5e9, tiled: 15e9, separable: 10e9, box: 5e9 } as const;
/**
 * Three passes of transforms are taken to run at half the speed of memory, and to turn 5·10^9 complex numbers through a pass of radix 8 or 4 in a
 * millisecond. Both are guesses on the safe side: a transform should win by a factor before it is chosen unmeasured.
 */
const FFT_BYTES_PER_MS = MEMORY_BYTES_PER_MS / 2;
const FFT_POINTS_PER_MS = 5e9;
const LATENCY_MS = 0.3;
/**
 * An emulation on two CPU cores, shared with other work: fitted to lavapipe (Mesa 25.0, llvmpipe 256 bits), u8 K = 3 on 20,000² pixels
 * (77 s) and f32 K = 15 on 2048² (3.0 s). A rough guide; software is never chosen by its cost.
 */
const SOFTWARE_PRODUCTS_PER_MS = 4e5;
const SOFTWARE_OUTPUTS_PER_MS = 6e3;
/** The same for transforms: 512² pixels, K = 15, tiles of 64² to 256². */
const SOFTWARE_FFT_POINTS_PER_MS = 2.5e4;

/** Magnitudes of scale and bias that the float32 epilogue holds without flushing or overflowing on the way. */
const EPILOGUE_RANGE = [2 ** -100, 2 ** 100] as const;

/** Why the arithmetic of a problem cannot be done here; undefined where it can. */
function obstacle(problem: Problem): string | undefined {
	const image = DTYPES[problem.image.dtype];
	if (problem.sum === 'float64') return 'the sum would have to be formed in float64, which WGSL does not have';
	if (problem.image.dtype === 'float64') return 'the image is float64, which WGSL does not have';
	if (problem.sum === 'float32' && !image.float && image.bytes >= 4) return 'float32 does not hold 32- and 64-bit integer pixels';
	if (problem.sum === 'integer' && sumLimbs(problem) > MAX_LIMBS) {
		return `the exact sum needs more than ${32 * MAX_LIMBS} bits (int${32 * sumLimbs(problem)})`;
	}
	if (isPlain(problem)) return undefined;
	const [least, most] = EPILOGUE_RANGE;
	const held = (value: number) => value === 0 || (Math.abs(value) >= least && Math.abs(value) <= most);
	if (!problem.scale.every(held) || !problem.bias.every(held)) {
		return 'scale and bias are applied in float32 here and must be 0 or between 2^-100 and 2^100 in magnitude';
	}
	if (problem.sum !== 'integer') return undefined;
	const sum = Math.max(...problem.windows.map((window) => Number(sumMagnitude(problem, window))));
	const reach = Math.max(...problem.scale.map((scale, k) => Math.max(1, Math.abs(scale)) * sum + Math.abs(problem.bias[k] as number)));
	return reach < 2 ** 126 ? undefined : 'scale·sum + bias may leave the range of float32, in which it is formed here';
}

function overflowText(problem: Problem): string {
	if (DTYPES[problem.output.dtype].float) return 'a float output has no overflow rule';
	return cannotOverflow(problem) ? 'cannot overflow' : `${problem.overflow} where a sum leaves ${problem.output.dtype}`;
}

/**
 * Tiled variants take long to compile: 3 to 5 seconds of processor time each on lavapipe (Mesa 25.0, two busy cores); no GPU was measured.
 * Small results are not asked to pay for that.
 */
const COMPILE_MS = 1000;

const outputsOf = (problem: Problem): number => problem.output.sizes.reduce((a, b) => a * b, 1);

/** What the candidates know of the device. */
interface Facts {
	readonly device: string;
	readonly software: boolean;
	readonly limits: TileLimits;
	/** What was measured on the device, in place of the constants above. */
	readonly rates?: DeviceMeasurements['rates'] | undefined;
	/** Image and result are in device memory: nothing is carried. */
	readonly resident?: boolean;
}

/** The parts in which the plans differ. */
interface Way {
	readonly algorithm: Algorithm;
	readonly shader: keyof typeof PRODUCTS_PER_MS | 'fft';
	readonly steps: readonly Step[];
	readonly model: ErrorModel;
	/** Multiply-adds of an output, on the average of the bank; of running sums, words of workgroup memory. */
	readonly products: number;
	/** Where work is cut by the algorithm itself. */
	readonly transforms?: FftLayout & { readonly grain: Grain; readonly milliseconds: number };
}

/** Milliseconds of multiply-adds over outputs, reading and writing `bytes` in all. */
function sumsTime(shader: keyof typeof PRODUCTS_PER_MS, facts: Facts, products: number, outputs: number, bytes: number): number {
	if (facts.software) return products / SOFTWARE_PRODUCTS_PER_MS + outputs / SOFTWARE_OUTPUTS_PER_MS;
	const { [shader]: rate = PRODUCTS_PER_MS[shader], bytes: moved = MEMORY_BYTES_PER_MS } = facts.rates ?? {};
	return Math.max(products / rate, bytes / moved);
}

/** Milliseconds of transforms. */
function transformsTime({ software, rates }: Facts, { bytes, work }: FftLayout): number {
	if (software) return work / SOFTWARE_FFT_POINTS_PER_MS;
	const { fft = FFT_POINTS_PER_MS, fftBytes = FFT_BYTES_PER_MS } = rates ?? {};
	return Math.max(bytes / fftBytes, work / fft);
}

/** What the predicted times rest on. */
function sourceOf({ software, rates, limits }: Facts): string {
	if (software) return 'shipped: lavapipe on two cores';
	return rates === undefined ? 'shipped: estimates for a large GPU behind PCIe 5, measured on none' : limits.tuning.provenance;
}

function planOf(problem: Problem, facts: Facts, way: Way): Plan {
	const { limits } = facts;
	const work = workOf(way);
	const sizes = chooseSizes(problem, limits, work, way.transforms?.grain);
	const tile = way.transforms?.tile ?? { height: Math.max(1, sizes[2]), width: Math.max(1, sizes[3]) };
	const block = {
		height: way.shader === 'direct' || way.shader === 'fft' ? 1 : THREAD_ROWS,
		width: way.shader === 'box' ? 1 : GROUP,
	};
	const outputs = outputsOf(problem);
	const imageBytes = problem.image.sizes.reduce((a, b) => a * b, 1) * DTYPES[problem.image.dtype].bytes;
	const bytes = imageBytes + outputs * DTYPES[problem.output.dtype].bytes;
	const limbs = problem.sum === 'integer' ? sumLimbs(problem) : 1;
	const products = outputs * way.products * (limbs === 1 ? 1 : 4 + limbs);
	// the dense shaders read the image once for a bank, the others once for all kernels of one size
	const all = problem.windows.map((_, kernel) => kernel);
	const again = way.shader === 'separable' || way.shader === 'box' ? (alikeOf(problem, all, Infinity).length - 1) * imageBytes : 0;
	const compute =
		way.shader === 'fft' ? (way.transforms?.milliseconds ?? 0) : sumsTime(way.shader, facts, products, outputs, bytes + again);
	const compile = way.shader !== 'direct' && outputs < limits.blocked ? COMPILE_MS : 0;
	const needs = pieceNeeds(problem, sizes, work);
	const count = [...problem.output.sizes].reduce((total, size, axis) => total * Math.ceil(size / Math.max(1, sizes[axis] as number)), 1);
	// each piece under way has its input and output twice, on the device and in staging memory
	const spectra = way.transforms === undefined ? 0 : problem.windows.length * pairBytes(way.transforms.size);
	const pairs = way.transforms === undefined ? 0 : pairsAtATime(way.transforms.size, problem.windows.length, limits.binding) * spectra;
	const sums = way.transforms?.grain.sums === true ? needs.sums : 0;
	const scratch = needs.tables + sums + pairs;
	const staged = Math.min(count, PIECES_IN_FLIGHT) * (2 * (needs.input + needs.output) + scratch) + spectra;
	return {
		name: planName({ algorithm: way.algorithm, problem, tile, block, backend: 'webgpu' }),
		algorithm: way.algorithm,
		backend: 'webgpu',
		device: facts.device,
		tile,
		block,
		accumulator: accumulatorOf(problem),
		overflow: overflowText(problem),
		model: way.model,
		steps: way.steps,
		predicted: {
			milliseconds: LATENCY_MS + compile + (facts.resident ? 0 : bytes / HOST_BYTES_PER_MS + bytes / BUS_BYTES_PER_MS) + compute,
			bytes: facts.resident ? scratch + spectra : staged,
			from: sourceOf(facts),
		},
	};
}

/** Bytes of a pair of tiles in the middle of its transform, for each kernel, and of a kernel's spectrum. */
const pairBytes = (size: Extent): number => size.height * size.width * COMPLEX_BYTES;

const RELAXED = { relaxed: true, epilogue: 'float32' } as const;

const average = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0) / numbers.length;

/** A plan and a word about it, or why there is none. */
type Answer = { readonly plan: Plan; readonly why: string } | { readonly plan?: undefined; readonly why: string };

function bankText({ windows }: Problem, { limits }: Facts): string {
	return windows.length === 1 ? '' : `, of up to ${limits.tuning.bank} kernels from the same pixels`;
}

function direct(problem: Problem, facts: Facts): Answer {
	const few = outputsOf(problem) < facts.limits.blocked ? `compiling for tiles pays from ${facts.limits.blocked} outputs on` : undefined;
	const untiled = few ?? directTiledObstacle(problem);
	const kernelBytes = untiled === undefined ? 0 : kernelWords(problem).words.byteLength;
	if (kernelBytes > facts.limits.binding)
		return { why: `the kernel takes ${kernelBytes} bytes and a binding holds ${facts.limits.binding}` };
	const plan = planOf(problem, facts, {
		algorithm: 'direct',
		shader: untiled === undefined ? 'tiled' : 'direct',
		steps: problem.windows.map(({ rows, cols, first }, kernel) => ({ kind: 'direct', kernel, rows, cols, first })),
		model: directModel(problem, RELAXED),
		products: untiled === undefined ? tiledWork(problem, facts.limits.tuning) : average(problem.windows.map(({ taps }) => taps.length)),
	});
	const why =
		untiled === undefined
			? `every tap of every output, 4 x 4 outputs in registers${bankText(problem, facts)}`
			: `every tap of every output, 4 outputs a thread: ${untiled}`;
	return { plan, why };
}

/** One product or several, by separable.wgsl. */
function split(problem: Problem, facts: Facts, algorithm: 'separable' | 'lowrank', found: Found<Split>): Answer {
	if (found.each === undefined) return { why: found.why };
	const splits = found.each;
	const terms = Math.max(1, ...splits.map(({ products }) => products.length));
	const obstacle = separableObstacle(problem, terms, facts.limits);
	if (obstacle !== undefined) return { why: obstacle };
	const lanes = lanesOf(problem);
	const plan = planOf(problem, facts, {
		algorithm,
		shader: 'separable',
		steps: problem.windows.map(({ rows, cols, first }, kernel) => {
			return { kind: 'separable', kernel, rows, cols, first, products: (splits[kernel] as Split).products };
		}),
		model: splitModel(problem, splits, RELAXED),
		// between channels side by side the row taps are zeros, which are multiplied as well
		products: terms * average(problem.windows.map(({ rows, cols }) => rows + cols * lanes)),
	});
	return { plan, why: `rows, then columns, in one pass over the image; ${found.why}` };
}

function lowrank(problem: Problem, facts: Facts, tolerance: number | undefined): Answer {
	if (tolerance === undefined) return { why: 'needs a tolerance: the kernel is approximated' };
	if (problem.sum === 'integer') return { why: 'integer sums are exact, and this is an approximation' };
	return split(problem, facts, 'lowrank', productsOf(problem, tolerance));
}

/** Running sums, by box.wgsl. */
function box(problem: Problem, facts: Facts): Answer {
	const found = boxOf(problem);
	if (found.each === undefined) return { why: found.why };
	const obstacle = boxObstacle(problem, facts.limits);
	if (obstacle !== undefined) return { why: obstacle };
	const taps = found.each;
	const { columns } = boxStripOf(problem, facts.limits) as BoxStrip;
	const beside = (cols: number) => (Math.max(0, cols - 1) * lanesOf(problem)) / columns;
	const plan = planOf(problem, facts, {
		algorithm: 'box',
		shader: 'box',
		steps: problem.windows.map(({ rows, cols, first }, kernel) => ({
			kind: 'box',
			kernel,
			rows,
			cols,
			first,
			tap: taps[kernel] as number,
		})),
		model: boxModel(problem, RELAXED),
		products: average(problem.windows.map(({ cols }) => boxWork(cols, beside(cols)))),
	});
	return { plan, why: `running sums, in one pass over the image; ${found.why}` };
}

/** Overlap-save, by fft.wgsl. */
function fft(problem: Problem, facts: Facts, wish: PlanWish): Answer {
	const obstacle = fftObstacle(problem, wish);
	if (obstacle !== undefined) return { why: obstacle };
	const time = (layout: FftLayout) => transformsTime(facts, layout);
	const { layout, why } = fftLayout(problem, facts.limits, time);
	if (layout === undefined) return { why };
	const { size, tile } = layout;
	const kernels = problem.windows.length;
	const plan = planOf(problem, facts, {
		algorithm: 'fft',
		shader: 'fft',
		steps: problem.windows.map(({ rows, cols, first }, kernel) => ({ kind: 'fft', kernel, rows, cols, first, size })),
		model: fftModel(problem, size, { ...RELAXED, frame: kernels === 1 ? undefined : fftFrame(problem) }),
		products: 0,
		transforms: { ...layout, grain: fftGrain(problem, tile), milliseconds: time(layout) },
	});
	const shared = kernels === 1 || !layout.shared ? '' : `, forward once for all ${kernels} kernels`;
	return { plan, why: `transforms of ${size.height}x${size.width}, two tiles at once${shared}` };
}

function answer(problem: Problem, facts: Facts, algorithm: Algorithm, wish: PlanWish): Answer {
	const why = obstacle(problem);
	if (why !== undefined) return { why };
	try {
		switch (algorithm) {
			case 'direct':
				return direct(problem, facts);
			case 'separable':
				return split(problem, facts, algorithm, productOf(problem));
			case 'lowrank':
				return lowrank(problem, facts, wish.tolerance);
			case 'box':
				return box(problem, facts);
			case 'fft':
				return fft(problem, facts, wish);
		}
	} catch (error) {
		if (error instanceof FaltungError) return { why: error.message };
		throw error;
	}
}

export function candidates(problem: Problem, wish: PlanWish, facts: Facts): Candidate[] {
	const wanted = wish.method === 'auto' ? ALGORITHMS : [wish.method];
	const here = { ...facts, resident: wish.memory === 'device' };
	return wanted.map((algorithm): Candidate => {
		const { plan, why } = answer(problem, here, algorithm, wish);
		const common = { backend: 'webgpu', algorithm, why };
		if (plan !== undefined) return { ...common, name: plan.name, plan };
		return { ...common, name: `${algorithm}@webgpu`, code: 'UNSUPPORTED' };
	});
}

/** The shader behind a plan of `candidates`. */
export function programOf(problem: Problem, plan: Plan, limits: TileLimits): Program {
	const { tuning } = limits;
	const [first] = plan.steps;
	if (first?.kind === 'fft') return new FftProgram(problem, plan.name, { size: first.size, tile: plan.tile, limits });
	const noStrip = () => new Error(`no strip for ${plan.name}`); // candidates() asked before
	switch (plan.algorithm) {
		case 'separable':
		case 'lowrank': {
			const products = plan.steps.map((step) => (step.kind === 'separable' ? step.products : []));
			const strip = stripOf(problem, Math.max(...products.map(({ length }) => length)), limits);
			if (strip === undefined) throw noStrip();
			return new TiledProgram(problem, plan.name, { shader: 'separable', strip, products, tuning });
		}
		case 'box': {
			const strip = boxStripOf(problem, limits);
			if (strip === undefined) throw noStrip();
			const taps = plan.steps.map((step) => (step.kind === 'box' ? step.tap : 0));
			return new TiledProgram(problem, plan.name, { shader: 'box', strip, taps, tuning });
		}
		default:
			if (plan.block.height !== THREAD_ROWS) return new DirectProgram(problem, plan.name, limits.blocked);
			return new TiledProgram(problem, plan.name, { shader: 'tiled', compiledFrom: limits.blocked, tuning });
	}
}
