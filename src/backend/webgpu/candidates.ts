/** What this backend can do with a problem, at what predicted cost, or why not. Pure: limits and facts are arguments. */
import { directModel } from '../../core/bounds.ts';
import { DTYPES } from '../../core/dtype.ts';
import { FaltungError } from '../../core/errors.ts';
import { ALGORITHMS, type Algorithm, type Candidate, type Plan, planName } from '../../core/plan.ts';
import { cannotOverflow, isPlain, type Problem, sumMagnitude } from '../../core/problem.ts';
import type { PlanWish } from '../backend.ts';
import { PIECES_IN_FLIGHT } from './device.ts';
import { accumulatorOf, arrangementOf, GROUP, kernelWords, MAX_LIMBS, sumLimbs } from './direct.ts';
import { chooseSizes, pieceNeeds, type TileLimits } from './tiler.ts';

/**
 * Constants of the cost model. NOT measured: no real GPU was at hand. Host copies into and out of mapped memory run at a memcpy's
 * speed, one crossing of PCIe 5 at 50 GB/s (research on dawn.node); a plain direct kernel with one pixel load per tap is bound by
 * the load units, a quarter of the multiply-add peak of a large GPU.
 */
const HOST_BYTES_PER_MS = 8e6;
const BUS_BYTES_PER_MS = 50e6;
const PRODUCTS_PER_MS = 5e9;
const LATENCY_MS = 0.3;
/**
 * An emulation on two CPU cores, shared with other work: fitted to lavapipe (Mesa 25.0, llvmpipe 256 bits), u8 K = 3 on 20,000² pixels
 * (77 s) and f32 K = 15 on 2048² (3.0 s). A rough guide; software is never chosen by its cost.
 */
const SOFTWARE_PRODUCTS_PER_MS = 4e5;
const SOFTWARE_OUTPUTS_PER_MS = 6e3;

/** Magnitudes of scale and bias that the float32 epilogue holds without flushing or overflowing on the way. */
const EPILOGUE_RANGE = [2 ** -100, 2 ** 100] as const;

const NOT_BUILT: Readonly<Record<Exclude<Algorithm, 'direct'>, string>> = {
	separable: 'this backend sums directly; a separable kernel costs it all its taps',
	lowrank: 'this backend sums directly; there is no split of the kernel',
	box: 'this backend sums directly; there are no running sums',
	fft: 'this backend sums directly; there is no transform',
};

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

function directPlan(problem: Problem, device: string, limits: TileLimits, software: boolean): Plan {
	const sizes = chooseSizes(problem, limits, arrangementOf(problem.output.layout) === 'interleaved');
	const tile = { height: Math.max(1, sizes[2]), width: Math.max(1, sizes[3]) };
	const block = { height: 1, width: GROUP };
	const outputs = problem.output.sizes.reduce((a, b) => a * b, 1);
	const imageBytes = problem.image.sizes.reduce((a, b) => a * b, 1) * DTYPES[problem.image.dtype].bytes;
	const bytes = imageBytes + outputs * DTYPES[problem.output.dtype].bytes;
	const taps = problem.windows.reduce((sum, window) => sum + window.taps.length, 0) / problem.windows.length;
	const limbs = problem.sum === 'integer' ? sumLimbs(problem) : 1;
	const products = outputs * taps * (limbs === 1 ? 1 : 4 + limbs);
	const compute = software ? products / SOFTWARE_PRODUCTS_PER_MS + outputs / SOFTWARE_OUTPUTS_PER_MS : products / PRODUCTS_PER_MS;
	const needs = pieceNeeds(problem, sizes);
	const count = [...problem.output.sizes].reduce((total, size, axis) => total * Math.ceil(size / Math.max(1, sizes[axis] as number)), 1);
	// each piece under way has its input and output twice, on the device and in staging memory
	const staged = Math.min(count, PIECES_IN_FLIGHT) * (2 * (needs.input + needs.output) + needs.tables);
	return {
		name: planName({ algorithm: 'direct', problem, tile, block, backend: 'webgpu' }),
		algorithm: 'direct',
		backend: 'webgpu',
		device,
		tile,
		block,
		accumulator: accumulatorOf(problem),
		overflow: overflowText(problem),
		model: directModel(problem, { relaxed: true, epilogue: 'float32' }),
		steps: problem.windows.map(({ rows, cols, first }, kernel) => ({ kind: 'direct', kernel, rows, cols, first })),
		predicted: { milliseconds: LATENCY_MS + bytes / HOST_BYTES_PER_MS + bytes / BUS_BYTES_PER_MS + compute, bytes: staged },
	};
}

export function candidates(
	problem: Problem,
	wish: PlanWish,
	facts: { device: string; software: boolean; limits: TileLimits },
): Candidate[] {
	const wanted = wish.method === 'auto' ? ALGORITHMS : [wish.method];
	return wanted.map((algorithm): Candidate => {
		const common = { name: `${algorithm}@webgpu`, backend: 'webgpu', algorithm };
		const no = (why: string): Candidate => ({ ...common, code: 'UNSUPPORTED', why });
		if (algorithm !== 'direct') return no(NOT_BUILT[algorithm]);
		const why = obstacle(problem);
		if (why !== undefined) return no(why);
		const kernelBytes = kernelWords(problem).words.byteLength;
		if (kernelBytes > facts.limits.binding) return no(`the kernel takes ${kernelBytes} bytes and a binding holds ${facts.limits.binding}`);
		try {
			const plan = directPlan(problem, facts.device, facts.limits, facts.software);
			return { ...common, name: plan.name, plan, why: 'compute shader; every tap of every output' };
		} catch (error) {
			if (error instanceof FaltungError) return no(error.message);
			throw error;
		}
	});
}
