/** One call: convolve and correlate. */
import { isGpuArray } from '../backend/webgpu/gpu-array.ts';
import { invalid } from '../core/errors.ts';
import type { Operation } from '../core/problem.ts';
import { guarded } from '../core/snapshot.ts';
import { type ImageInput, type KernelInput, snapshotKernel } from './arrays.ts';
import { Engine } from './engine.ts';
import { type ConvolveOptions, readConvolveOptions } from './options.ts';
import type { ConvolveResult, DataOf } from './report.ts';

async function once(operation: Operation, image: unknown, kernel: unknown, options: unknown): Promise<ConvolveResult> {
	const { plan, run } = readConvolveOptions(options);
	if (guarded('image', () => isGpuArray(image)))
		throw invalid('an array in host memory', 'image', 'a GpuArray', 'Give it to run() of a createConvolver().');
	const engine = new Engine(operation, snapshotKernel(kernel), plan);
	try {
		return await engine.run(image, run);
	} finally {
		await engine.dispose();
	}
}

/**
 * Convolves every H×W plane of an image with a kernel: `out[y, x] = Σ kernel[j, i] · image[y + a − j, x + b − i]`.
 *
 * @param image rows of numbers (float64), { data, shape } of any dtype, or { shape, dtype, fill } (an ImageSource), whose pixels a callback
 *   writes; any rank but 2 needs `layout`. While the call is pending its memory must not be transferred, detached or resized; writing into
 *   it gives undefined pixels, nothing worse.
 * @param kernel [kh, kw], or a bank [M, kh, kw] of M kernels, which adds a factor M to the channel axis of the result
 * @returns data of the image's dtype (or `outputDtype`), shape by `mode`, and a report of what was done. An `out` given must
 *   likewise stay where it is meanwhile.
 * @throws FaltungError with a stable code, or the signal's reason
 */
export function convolve<I extends ImageInput, const O extends ConvolveOptions = Record<never, never>>(
	image: I,
	kernel: KernelInput,
	options?: O,
): Promise<ConvolveResult<DataOf<I, O>>> {
	return once('convolve', image, kernel, options) as Promise<ConvolveResult<DataOf<I, O>>>;
}

/** As convolve, but the kernel is not flipped: `out[y, x] = Σ kernel[j, i] · image[y − a + j, x − b + i]`. */
export function correlate<I extends ImageInput, const O extends ConvolveOptions = Record<never, never>>(
	image: I,
	kernel: KernelInput,
	options?: O,
): Promise<ConvolveResult<DataOf<I, O>>> {
	return once('correlate', image, kernel, options) as Promise<ConvolveResult<DataOf<I, O>>>;
}
