/** Small requests with defaults, for tests that mean one thing at a time. */
import type { RunOutcome } from '../../src/backend/backend.ts';
import type { WebGpuExecutable } from '../../src/backend/webgpu/executable.ts';
import type { WebGpu } from '../../src/backend/webgpu/webgpu.ts';
import { DTYPES, type Dtype, type TypedArray } from '../../src/core/dtype.ts';
import { fromCanonical, type Layout, type PerAxis, type PlaneView, rowMajorStrides, toCanonical } from '../../src/core/ndarray.ts';
import type { Algorithm } from '../../src/core/plan.ts';
import { makeProblem, type Problem, type Request } from '../../src/core/problem.ts';
import { randomStream } from '../../src/core/random.ts';
import { pixel } from './cases.ts';

export interface Spec extends Partial<Omit<Request, 'image' | 'kernel'>> {
	readonly dtype?: Dtype;
	readonly layout?: Layout;
	readonly sizes?: PerAxis;
	readonly kernelDtype?: Dtype;
	/** Rows of taps; each row as long as the first. */
	readonly taps?: readonly (readonly number[])[];
	/** Kernels of one bank instead, all of one size. */
	readonly bank?: readonly (readonly (readonly number[])[])[];
}

export function problemOf(spec: Spec): Problem {
	const { dtype = 'uint8', layout = 'HW', sizes = [1, 1, 16, 16], kernelDtype = 'int32', taps = [[1]], bank, ...rest } = spec;
	const kernels = bank ?? [taps];
	return makeProblem({
		operation: 'convolve',
		image: { dtype, layout, sizes },
		kernel: {
			dtype: kernelDtype,
			height: kernels[0]?.length ?? 0,
			width: kernels[0]?.[0]?.length ?? 0,
			count: kernels.length,
			bank: bank !== undefined,
			taps: new Float64Array(kernels.flat(2)),
		},
		mode: 'same',
		boundary: ['mirror', 'mirror'],
		value: 0,
		anchor: undefined,
		stride: [1, 1],
		dilation: [1, 1],
		outputDtype: dtype,
		overflow: 'saturate',
		rounding: 'nearest-even',
		scale: [1],
		bias: [0],
		accumulate: 'auto',
		...rest,
	});
}

/** A dense random image for a problem. */
export function imageOf(problem: Problem, seed = 1): PlaneView & { data: TypedArray } {
	const { dtype, layout, sizes } = problem.image;
	const random = randomStream(seed);
	const data = new DTYPES[dtype].array(sizes.reduce((a, b) => a * b, 1));
	for (let i = 0; i < data.length; i++) data[i] = pixel(random, dtype, false) as never;
	return { data, dtype, sizes, strides: toCanonical(layout, rowMajorStrides(fromCanonical(layout, sizes)), 0), offset: 0 };
}

export function outOf(problem: Problem): PlaneView & { data: TypedArray } {
	const { dtype, layout, shape, sizes } = problem.output;
	const data = new DTYPES[dtype].array(shape.reduce((a, b) => a * b, 1));
	return { data, dtype, sizes, strides: toCanonical(layout, rowMajorStrides(shape), 0), offset: 0 };
}

export function planOf(gpu: WebGpu, problem: Problem, method: Algorithm = 'direct') {
	const [candidate] = gpu.candidates(problem, { method, accuracy: 'norm' });
	if (candidate?.plan === undefined) throw new Error(candidate?.why);
	return candidate.plan;
}

export const prepare = (gpu: WebGpu, problem: Problem, method?: Algorithm): Promise<WebGpuExecutable> =>
	gpu.prepare(problem, planOf(gpu, problem, method));

/** Prepares, runs once, disposes. */
export async function runOnce(
	gpu: WebGpu,
	problem: Problem,
	image: PlaneView,
	signal?: AbortSignal,
	method?: Algorithm,
): Promise<{ out: PlaneView & { data: TypedArray }; outcome: RunOutcome }> {
	const executable = await prepare(gpu, problem, method);
	try {
		const out = outOf(problem);
		return { out, outcome: await executable.run(image, out, signal) };
	} finally {
		executable.dispose();
	}
}

/** A gaussian-like float kernel without symmetry or exact sums, so that any change of order shows. */
export const ragged = (rows: number, cols: number): number[][] =>
	Array.from({ length: rows }, (_, j) => Array.from({ length: cols }, (_, i) => Math.fround(Math.sin(1 + 3 * j + 7 * i))));
