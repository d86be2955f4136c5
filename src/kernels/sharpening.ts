/** Small kernels that keep the brightness: sharpen, emboss, identity. All sum to 1. */
import { invalid, show } from '../core/errors.ts';
import { checkSize, Options } from './options.ts';
import { floatKernel, integerKernel, type Kernel } from './taps.ts';

/** Centre tap 1 + 8·amount must fit int32. */
const MAX_INTEGER_AMOUNT = 2 ** 28 - 1;

/**
 * Sharpen: the image less `amount` (default 1) times its Laplacian: [0 −1 0; −1 5 −1; 0 −1 0]. 3 × 3, sums to 1; int32 where
 * amount is an integer, else float32.
 *
 * @param options.connectivity neighbours of the Laplacian: 4 (default) or 8
 * @throws FaltungError INVALID_ARGUMENT for a wrong option
 */
export function sharpen(options?: { amount?: number; connectivity?: 4 | 8 }): Kernel {
	const read = new Options('sharpen', options, ['amount', 'connectivity']);
	const amount = read.finite('amount', 1);
	const diagonal = read.choice('connectivity', [4, 8], 4) === 8 ? -amount + 0 : 0;
	const centre = 1 + (diagonal === 0 ? 4 : 8) * amount;
	const side = -amount + 0; // + 0: no negative zero
	const rows = [
		[diagonal, side, diagonal],
		[side, centre, side],
		[diagonal, side, diagonal],
	];
	if (Number.isInteger(amount) && Math.abs(amount) <= MAX_INTEGER_AMOUNT) return integerKernel(rows);
	return floatKernel('sharpen', [1, 1], Float64Array.from(rows.flat()), 1);
}

/**
 * Emboss: [2 1 0; 1 1 −1; 0 −1 −2]. Under `convolve` a relief lit from the lower right: bright where the image grows towards the lower right.
 * int32, 3 × 3, sums to 1.
 *
 * @throws FaltungError INVALID_ARGUMENT for any option
 */
export function emboss(options?: Record<never, never>): Kernel<Int32Array> {
	new Options('emboss', options, []);
	return integerKernel([
		[2, 1, 0],
		[1, 1, -1],
		[0, -1, -2],
	]);
}

/**
 * Identity: 1 in the centre of zeros; the image as it is. int32, size × size.
 *
 * @param options.size odd, in taps; default 1
 * @throws FaltungError INVALID_ARGUMENT for a wrong option, LIMIT_EXCEEDED for more than 2^24 taps
 */
export function identity(options?: { size?: number }): Kernel<Int32Array> {
	const read = new Options('identity', options, ['size']);
	const size = read.finite('size', 1);
	if (!Number.isInteger(size) || size < 1 || size % 2 === 0) {
		throw invalid('an odd integer of at least 1', 'kernels.identity() option size', show(size), 'An even side has no centre.');
	}
	checkSize('identity', size, size);
	const data = new Int32Array(size * size);
	data[(size * size - 1) / 2] = 1;
	return { data, shape: [size, size] };
}
