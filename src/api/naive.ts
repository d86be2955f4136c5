/** The function that this library grew from: plain, synchronous, one pixel after the other. */
import { DTYPES, rawElement, reader, storeInteger, storeReal } from '../core/dtype.ts';
import { FaltungError, invalid } from '../core/errors.ts';
import type { NdArray } from '../core/ndarray.ts';
import { fillOnHost, isSource, snapshotInput } from '../core/source.ts';
import { type ImageInput, type KernelInput, resolveKernel, snapshotKernel } from './arrays.ts';
import type { DataOf } from './report.ts';

/**
 * Full 2-D convolution of an image f with a kernel g of odd sides, as in the Cython tutorial for NumPy: the result is not
 * cropped, has f's dtype, and integers wrap modulo 2^n (a float sum is truncated first).
 *
 * @param f [H, W]
 * @param g [kh, kw], both odd
 * @returns [H + kh − 1, W + kw − 1]
 * @throws INVALID_ARGUMENT `Only odd dimensions on filter supported`
 */
export function naiveConvolve<I extends ImageInput>(
	f: I,
	g: KernelInput,
): NdArray<DataOf<I, Record<never, never>>> & { dtype: NonNullable<NdArray['dtype']> } {
	const given = snapshotInput(f, undefined);
	const kernel = snapshotKernel(g);
	if (kernel.bank) throw invalid('an array of rank 2', 'kernel', 'rank 3');
	if (kernel.height % 2 !== 1 || kernel.width % 2 !== 1)
		throw new FaltungError('INVALID_ARGUMENT', 'Only odd dimensions on filter supported');
	const { dtype, taps } = resolveKernel(kernel, given.dtype);
	const image = isSource(given) ? fillOnHost(given) : given;
	const [vmax, wmax] = image.shape as [number, number];
	const [smax, tmax] = [kernel.height, kernel.width];
	const [xmax, ymax] = [vmax + smax - 1, wmax + tmax - 1];
	const exact = !DTYPES[image.dtype].float && !DTYPES[dtype].float;
	const read = reader(image.data, image.dtype);
	const data = new DTYPES[image.dtype].array(xmax * ymax);
	for (let x = 0; x < xmax; x++) {
		for (let y = 0; y < ymax; y++) {
			let integers = 0n;
			let reals = 0;
			// the image rows and columns that the flipped kernel covers
			for (let v = Math.max(0, x - smax + 1); v <= Math.min(x, vmax - 1); v++) {
				for (let w = Math.max(0, y - tmax + 1); w <= Math.min(y, wmax - 1); w++) {
					const tap = taps[(x - v) * tmax + (y - w)] as number | bigint;
					const pixel = read(image.offset + v * (image.strides[0] as number) + w * (image.strides[1] as number));
					if (exact) integers += BigInt(tap) * BigInt(pixel);
					else reals += Number(tap) * Number(pixel);
				}
			}
			const stored = exact ? storeInteger(integers, image.dtype, 'wrap') : storeReal(reals, image.dtype, 'truncate', 'wrap');
			data[x * ymax + y] = rawElement(stored as number | bigint, image.dtype, data);
		}
	}
	return { data: data as DataOf<I, Record<never, never>>, shape: [xmax, ymax], dtype: image.dtype };
}
