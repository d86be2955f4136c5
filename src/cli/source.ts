/** An input of the command line: a picture or a .npy array, from a file or standard input. */
import { DTYPE_OF_TAG, type Dtype } from '../core/dtype.ts';
import type { NdArray } from '../core/ndarray.ts';
import { readInput } from '../node/files.ts';
import { type PictureFormat, readPicture } from '../node/images.ts';
import { isNpy, readNpy } from '../node/npy.ts';

export interface Source {
	/** As typed; `-` is called standard input. */
	readonly label: string;
	readonly format: PictureFormat | 'npy';
	readonly dtype: Dtype;
	/** A picture: [height, width, channels], alpha last; else the array as it is in the file. */
	readonly image: NdArray;
	/** A picture's alpha channel is there. */
	readonly alpha: boolean;
	/** A picture of one channel (and perhaps alpha). */
	readonly grey: boolean;
	/** What was done while reading it. */
	readonly notes: readonly string[];
}

export async function loadSource(path: string, options: { maxPixels: number; signal?: AbortSignal | undefined }): Promise<Source> {
	const label = path === '-' ? 'standard input' : path;
	const bytes = await readInput(path, options.signal);
	if (isNpy(bytes)) {
		const image = readNpy(bytes, label);
		return { label, format: 'npy', dtype: image.dtype, image, alpha: false, grey: false, notes: [] };
	}
	const { data, shape, format, alpha, notes } = await readPicture(bytes, label, options.maxPixels);
	return pictureSource(label, { data, shape }, { format, alpha, notes });
}

/** A picture that is already in memory. */
export function pictureSource(
	label: string,
	array: NdArray<Uint8Array | Uint16Array>,
	about: { format: PictureFormat; alpha: boolean; notes: readonly string[] },
): Source {
	const [height, width, channels = 1] = array.shape as [number, number, number?];
	const dtype = DTYPE_OF_TAG[Object.prototype.toString.call(array.data).slice(8, -1)] as Dtype;
	return { label, ...about, dtype, image: { ...array, shape: [height, width, channels] }, grey: channels < 3 };
}
