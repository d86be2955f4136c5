/** Names of results. */
import { basename, extname, join } from 'node:path';
import type { PictureFormat } from '../node/images.ts';

const ENDING: Readonly<Record<PictureFormat | 'npy', string>> = { png: '.png', jpeg: '.jpg', webp: '.webp', tiff: '.tif', npy: '.npy' };

/** `gaussian:sigma=3` → `gaussian-sigma3`; what a file name cannot hold becomes a dash. */
export const slug = (label: string): string =>
	label
		.replaceAll('=', '')
		.replace(/[^A-Za-z0-9.]+/g, '-')
		.replace(/^[-.]+|[-.]+$/g, '')
		.slice(0, 60) || 'kernel';

/** The input's name in another folder, with something behind it and the format's ending (the input's own spelling if it is that format). */
export function resultName(input: string, folder: string, suffix: string, format: PictureFormat | 'npy', same: boolean): string {
	const ending = extname(input);
	return join(folder, `${basename(input, ending)}${suffix}${same && ending !== '' ? ending : ENDING[format]}`);
}
