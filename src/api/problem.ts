/** Kernel, options and what an image is → the Problem. */
import { checksumRefusal } from '../core/checksum-scheme.ts';
import { FaltungError } from '../core/errors.ts';
import type { ImageSnapshot } from '../core/images.ts';
import { toCanonical } from '../core/ndarray.ts';
import { describe, makeProblem, type Operation, type Problem } from '../core/problem.ts';
import { type KernelSnapshot, resolveKernel } from './arrays.ts';
import { checkGeometry } from './geometry.ts';
import { type PlanSettings, valueFor } from './options.ts';

/** @throws INVALID_ARGUMENT, LIMIT_EXCEEDED or UNSUPPORTED where they do not go together */
export function problemOf(
	operation: Operation,
	kernel: KernelSnapshot,
	settings: PlanSettings,
	image: Pick<ImageSnapshot, 'dtype' | 'layout' | 'shape'>,
): Problem {
	const sizes = toCanonical(image.layout, image.shape, 1);
	const { dtype, taps } = resolveKernel(kernel, image.dtype);
	checkGeometry(settings, kernel, sizes);
	const matters = settings.mode !== 'valid' && settings.boundary.includes('constant');
	const problem = makeProblem({
		operation,
		image: { dtype: image.dtype, layout: image.layout, sizes },
		kernel: { dtype, taps, height: kernel.height, width: kernel.width, count: kernel.count, bank: kernel.bank },
		mode: settings.mode,
		boundary: settings.boundary,
		value: valueFor(matters ? settings.value : 0, image.dtype),
		anchor: settings.mode === 'same' ? settings.anchor : undefined,
		stride: settings.stride,
		dilation: settings.dilation,
		outputDtype: settings.outputDtype ?? image.dtype,
		overflow: settings.overflow,
		rounding: settings.rounding,
		scale: settings.scale,
		bias: settings.bias,
		accumulate: settings.accumulate,
	});
	if (settings.verify === 'checksum') refuseChecksum(problem);
	return problem;
}

/** @throws UNSUPPORTED where no checksum covers the problem */
function refuseChecksum(problem: Problem): void {
	const reason = checksumRefusal(problem);
	if (reason === undefined) return;
	throw new FaltungError(
		'UNSUPPORTED',
		`Expected a linear store for verify 'checksum' but received ${describe(problem)}: ${reason}. Use verify 'sample' or 'full'.`,
	);
}
