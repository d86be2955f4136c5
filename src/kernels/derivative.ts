/**
 * Derivatives with integer weights.
 *
 * Orientation: `convolve(image, kernel)` is positive where the image grows with x (to the right) or y (downwards). A convolution
 * flips its kernel, so the array of sobel x begins [1, 0, −1]; under `correlate` the sign is the opposite.
 */
import { Options } from './options.ts';
import { integerKernel, integerOuter, type Kernel } from './taps.ts';

export interface AxisOptions {
	/** The axis along which to differentiate; default 'x'. */
	axis?: 'x' | 'y';
}

const AXES = ['x', 'y'] as const;

/** smooth ⊗ derivative, laid along the axis. */
const along = (axis: 'x' | 'y', smooth: readonly number[], derivative: readonly number[]): Kernel<Int32Array> =>
	axis === 'x' ? integerOuter(smooth, derivative) : integerOuter(derivative, smooth);

/** Smoothing and derivative taps per size: (1 + z)^(n−1) and (1 − z)(1 + z)^(n−2), coefficient by coefficient. */
const SOBEL = {
	3: { smooth: [1, 2, 1], derivative: [1, 0, -1] },
	5: { smooth: [1, 4, 6, 4, 1], derivative: [1, 2, 0, -2, -1] },
	7: { smooth: [1, 6, 15, 20, 15, 6, 1], derivative: [1, 4, 5, 0, -5, -4, -1] },
} as const;

/**
 * Sobel derivative (Sobel and Feldman 1968; sizes 5 and 7 as OpenCV's getDerivKernels): binomial smoothing across, the derivative
 * of the next smaller binomial along the axis. int32, size × size (3, 5 or 7; default 3), not scaled: a ramp of 1 per pixel gives 8, 128, 2048.
 *
 * @throws FaltungError INVALID_ARGUMENT for a wrong option
 */
export function sobel(options?: AxisOptions & { size?: 3 | 5 | 7 }): Kernel<Int32Array> {
	const read = new Options('sobel', options, ['axis', 'size']);
	const { smooth, derivative } = SOBEL[read.choice('size', [3, 5, 7], 3)];
	return along(read.choice('axis', AXES, 'x'), smooth, derivative);
}

/**
 * Scharr derivative (Scharr 2000): [3, 10, 3] across, [1, 0, −1] along the axis. int32, 3 × 3; a ramp of 1 per pixel gives 32.
 *
 * @throws FaltungError INVALID_ARGUMENT for a wrong option
 */
export function scharr(options?: AxisOptions): Kernel<Int32Array> {
	return along(new Options('scharr', options, ['axis']).choice('axis', AXES, 'x'), [3, 10, 3], [1, 0, -1]);
}

/**
 * Prewitt derivative (Prewitt 1970): [1, 1, 1] across, [1, 0, −1] along the axis. int32, 3 × 3; a ramp of 1 per pixel gives 6.
 *
 * @throws FaltungError INVALID_ARGUMENT for a wrong option
 */
export function prewitt(options?: AxisOptions): Kernel<Int32Array> {
	return along(new Options('prewitt', options, ['axis']).choice('axis', AXES, 'x'), [1, 1, 1], [1, 0, -1]);
}

/**
 * Laplacian: the sum of the 4 or 8 neighbours less as many times the centre. int32, 3 × 3, sums to 0; with 4 neighbours the second
 * differences d²/dx² + d²/dy² (scipy.ndimage.laplace).
 *
 * @param options.connectivity 4 (default) or 8 neighbours
 * @throws FaltungError INVALID_ARGUMENT for a wrong option
 */
export function laplacian(options?: { connectivity?: 4 | 8 }): Kernel<Int32Array> {
	const diagonal = new Options('laplacian', options, ['connectivity']).choice('connectivity', [4, 8], 4) === 8 ? 1 : 0;
	return integerKernel([
		[diagonal, 1, diagonal],
		[1, -4 - 4 * diagonal, 1],
		[diagonal, 1, diagonal],
	]);
}
