/** Verifying a result in device memory by samples: only the windows of the sampled pixels are read back. */
import type { GpuArray } from '../backend/webgpu/gpu-array.ts';
import { type PerAxis, rowMajorStrides, toCanonical } from '../core/ndarray.ts';
import type { Plan } from '../core/plan.ts';
import type { Problem } from '../core/problem.ts';
import { freshSeed } from '../core/random.ts';
import { samplePositions } from '../core/sample.ts';
import { imageElements, pixelElements } from '../core/sparse.ts';
import { verify } from '../core/verify.ts';

/** Where the planes of an array in device memory lie: dense, row-major from element 0. */
const densePlanes = ({ dtype, layout, shape }: GpuArray, sizes: PerAxis) => ({
	dtype,
	sizes,
	strides: toCanonical(layout, rowMajorStrides(shape), 0),
	offset: 0,
});

/** @throws VerificationError with the worst of `count` pixels, if any lies outside its bound */
export async function verifySample(
	problem: Problem,
	plan: Plan,
	arrays: { image: GpuArray; result: GpuArray },
	count: number,
	signal: AbortSignal | undefined,
): Promise<void> {
	const seed = freshSeed();
	const positions = samplePositions(problem.output.sizes, plan.tile, count, seed);
	const [from, to] = [densePlanes(arrays.image, problem.image.sizes), densePlanes(arrays.result, problem.output.sizes)];
	const image = { ...from, read: await arrays.image.gather(imageElements(problem, from, positions)) };
	const result = { ...to, read: await arrays.result.gather(pixelElements(to, positions)) };
	const task = { problem, model: plan.model, plan: plan.name, tile: plan.tile, image, result };
	await verify(task, { method: 'sample', count, seed, signal });
}
