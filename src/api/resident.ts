/** Verifying a result in device memory: by samples, whose windows alone are read back, or by sums that its device forms. */
import type { GpuArray } from '../backend/webgpu/gpu-array.ts';
import { verifyChecksum } from '../core/checksum.ts';
import { type ChecksumScheme, checksumScheme } from '../core/checksum-scheme.ts';
import type { ChecksumFindings } from '../core/checksum-sums.ts';
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

/** A backend's sums over arrays in its device's memory, in float32; undefined where it cannot form them. */
export type ResidentFinder = (
	image: GpuArray,
	result: GpuArray,
	scheme: ChecksumScheme,
	signal?: AbortSignal,
) => Promise<ChecksumFindings | undefined>;

/**
 * Checks every pixel without reading any, unless sums differ: then both arrays are read back and the pixels of those sums recomputed.
 *
 * @returns false where the device cannot form the sums
 * @throws VerificationError
 */
export async function verifySums(
	problem: Problem,
	plan: Plan,
	arrays: { image: GpuArray; result: GpuArray },
	find: ResidentFinder,
	signal: AbortSignal | undefined,
): Promise<boolean> {
	const choice = { seed: freshSeed(), signal, arithmetic: 'float32' } as const;
	const scheme = checksumScheme(problem, plan.model, choice.seed, choice.arithmetic);
	const found = await find(arrays.image, arrays.result, scheme, signal);
	if (found === undefined) return false;
	if (found.count === 0) return true;
	const image = { ...densePlanes(arrays.image, problem.image.sizes), data: (await arrays.image.read()).data };
	const result = { ...densePlanes(arrays.result, problem.output.sizes), data: (await arrays.result.read()).data };
	const task = { problem, model: plan.model, plan: plan.name, tile: plan.tile, image, result };
	await verifyChecksum(task, choice, async () => found);
	return true;
}

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
