/**
 * Picture files through sharp (an optional dependency, loaded when the first picture is): PNG, JPEG, WebP and TIFF, 8 and 16 bits
 * a sample.
 *
 * Read: the orientation that a camera noted in EXIF is applied; an embedded colour profile is converted to sRGB (16-bit grey is left as it
 * is: libvips does not convert it); palettes become RGB; CMYK becomes sRGB; of several pages the first. Grey stays one channel.
 */
import type { Metadata, Sharp, SharpOptions } from 'sharp';
import { FaltungError } from '../core/errors.ts';
import type { NdArray } from '../core/ndarray.ts';
import { rowMajor } from './npy.ts';

export type PictureFormat = 'png' | 'jpeg' | 'webp' | 'tiff';

export const PICTURE_FORMATS: readonly PictureFormat[] = ['png', 'jpeg', 'webp', 'tiff'];

/** Default of the limit on pixels: refuses decompression bombs, allows a 32768 × 32768 picture. */
export const MAX_PIXELS = 2 ** 30;

/** A decoded picture: [height, width] if grey, else [height, width, channels]; with alpha it is the last channel. */
export interface Picture extends NdArray<Uint8Array | Uint16Array> {
	readonly format: PictureFormat;
	readonly alpha: boolean;
	/** What was done beyond decoding, in words. */
	readonly notes: readonly string[];
}

type SharpFunction = (input: Uint8Array | Uint16Array, options?: SharpOptions) => Sharp;

/** @throws FaltungError IO with the command that installs sharp, where it is missing or broken */
export async function loadSharp(): Promise<SharpFunction> {
	try {
		return (await import('sharp')).default as unknown as SharpFunction;
	} catch (cause) {
		const missing = (cause as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND';
		throw new FaltungError(
			'IO',
			`Picture files need the package sharp, which ${missing ? 'is not installed' : `does not load: ${(cause as Error).message}`}. Run: npm i sharp. (.npy files work without.)`,
			{ cause },
		);
	}
}

/** The format that the first bytes of a file tell. */
export function sniffPicture(bytes: Uint8Array): PictureFormat | undefined {
	const begins = (at: number, text: string) => [...text].every((c, i) => bytes[at + i] === c.charCodeAt(0));
	if (begins(0, '\x89PNG\r\n\x1a\n')) return 'png';
	if (begins(0, '\xff\xd8\xff')) return 'jpeg';
	if (begins(0, 'RIFF') && begins(8, 'WEBP')) return 'webp';
	return begins(0, 'II*\0') || begins(0, 'MM\0*') || begins(0, 'II+\0') || begins(0, 'MM\0+') ? 'tiff' : undefined;
}

/** The format that a file name's ending asks for. */
export function formatOfName(path: string): PictureFormat | 'npy' | undefined {
	const ending = /\.([^.\\/]+)$/.exec(path)?.[1]?.toLowerCase();
	if (ending === 'jpg' || ending === 'jpeg' || ending === 'jpe') return 'jpeg';
	if (ending === 'tif' || ending === 'tiff') return 'tiff';
	return ending === 'png' || ending === 'webp' || ending === 'npy' ? ending : undefined;
}

/** The message of libvips, which goes over several lines, on one. */
const reason = (cause: unknown): string =>
	(cause as Error).message
		.replace(/\s*\n\s*/g, ' ')
		.trim()
		.slice(0, 200);

const broken = (source: string, cause: unknown) =>
	new FaltungError('IO', `Cannot decode ${source}: it is cut short or damaged (${reason(cause)}).`, { cause });

/**
 * Decodes a picture. Its size is checked from the header before any pixel is decoded.
 *
 * @param bytes the whole file
 * @param source what to call it in messages
 * @throws FaltungError IO for a file that is no picture, or broken; LIMIT_EXCEEDED for more than `maxPixels`; UNSUPPORTED for other sample types
 */
export async function readPicture(bytes: Uint8Array, source: string, maxPixels: number = MAX_PIXELS): Promise<Picture> {
	const format = sniffPicture(bytes);
	if (format === undefined) throw new FaltungError('IO', `Cannot read ${source}: it is none of PNG, JPEG, WebP, TIFF or .npy.`);
	const sharp = await loadSharp();
	// sharp's own limit is off because ours is checked first and names its option; anything but a clean decode is an error
	const options: SharpOptions = { limitInputPixels: false, failOn: 'warning', autoOrient: true };
	let metadata: Metadata;
	try {
		metadata = await sharp(bytes, options).metadata();
	} catch (cause) {
		throw broken(source, cause);
	}
	const { width, height, depth, pages = 1 } = metadata;
	if (width * height > maxPixels) {
		throw new FaltungError(
			'LIMIT_EXCEEDED',
			`Expected at most ${maxPixels} pixels for ${source} but its header says ${width} x ${height} = ${width * height}. Raise --max-pixels (maxPixels) if that is meant.`,
		);
	}
	if (depth !== 'uchar' && depth !== 'ushort') {
		throw new FaltungError('UNSUPPORTED', `Expected 8 or 16 bits a sample for ${source} but its samples are ${depth}. Convert it to .npy.`);
	}
	const alpha = metadata.hasAlpha;
	const grey = metadata.space === 'b-w' || metadata.space === 'grey16';
	const decoded = await decode(sharp(bytes, options), { wide: depth === 'ushort', grey, alpha }).catch((cause: unknown) => {
		throw broken(source, cause);
	});
	const notes = [
		(metadata.orientation ?? 1) > 1 ? `turned upright (EXIF orientation ${metadata.orientation})` : '',
		metadata.hasProfile && metadata.space !== 'grey16' ? 'its colour profile converted to sRGB' : '',
		metadata.isPalette ? 'its palette expanded' : '',
		pages > 1 ? `the first of ${pages} pages` : '',
	];
	return { ...decoded, format, alpha, notes: notes.filter((note) => note !== '') };
}

type Decoded = { data: Uint8Array | Uint16Array; shape: readonly number[] };

/** Left alone, sharp makes grey RGB and 16 bits 8: both are asked for by name. */
async function decode(image: Sharp, kind: { wide: boolean; grey: boolean; alpha: boolean }): Promise<Decoded> {
	const { wide, grey, alpha } = kind;
	// 8-bit grey with alpha loses its alpha in 'b-w': it is decoded as RGB and thinned out
	const thin = grey && alpha && !wide;
	const space = wide ? (grey ? 'grey16' : 'rgb16') : grey && !alpha ? 'b-w' : 'srgb';
	const raw = image.toColourspace(space).raw({ depth: wide ? 'ushort' : 'uchar' });
	const { data, info } = await raw.toBuffer({ resolveWithObject: true });
	const { width, height, channels } = info;
	const samples = wide ? wideSamples(data) : new Uint8Array(data.buffer, data.byteOffset, data.length);
	if (thin && channels === 4) return { data: firstAndLast(samples, width * height), shape: [height, width, 2] };
	return { data: samples, shape: channels === 1 ? [height, width] : [height, width, channels] };
}

function wideSamples(data: Uint8Array): Uint16Array {
	const aligned = data.byteOffset % 2 === 0 ? data : data.slice();
	return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.length / 2);
}

/** Channels 0 and 3 of RGBA. */
function firstAndLast(rgba: Uint8Array | Uint16Array, pixels: number): Uint8Array {
	const out = new Uint8Array(2 * pixels);
	for (let i = 0; i < pixels; i++) {
		out[2 * i] = rgba[4 * i] as number;
		out[2 * i + 1] = rgba[4 * i + 3] as number;
	}
	return out;
}

/** Why an array cannot be written in a format; undefined if it can. */
export function pictureObstacle(array: NdArray, format: PictureFormat): string | undefined {
	const channels = array.shape.length === 3 ? (array.shape[2] as number) : 1;
	const wide = array.data instanceof Uint16Array && array.dtype !== 'float16';
	if (array.shape.length < 2 || array.shape.length > 3 || channels < 1 || channels > 4) {
		return `a picture is [height, width] or [height, width, 1 to 4 channels], not [${array.shape.join(', ')}]`;
	}
	if (array.shape.some((size) => size === 0)) return `it holds no pixel: [${array.shape.join(', ')}]`;
	if (!wide && !(array.data instanceof Uint8Array || array.data instanceof Uint8ClampedArray))
		return 'a picture holds uint8 or uint16 samples';
	if (wide && (format === 'jpeg' || format === 'webp')) return `${format} holds 8 bits a sample, not 16`;
	if (format === 'jpeg' && channels % 2 === 0) return 'jpeg holds no alpha';
	const limit = format === 'jpeg' ? 65535 : format === 'webp' ? 16383 : Number.POSITIVE_INFINITY;
	if (Math.max(array.shape[0] as number, array.shape[1] as number) > limit) return `${format} sides end at ${limit} pixels`;
	return undefined;
}

/**
 * Encodes a picture of 8- or 16-bit samples: PNG and TIFF (deflate) without loss, WebP without loss, JPEG at quality 92.
 *
 * @throws FaltungError INVALID_ARGUMENT where the format cannot hold the array, IO where sharp is missing or fails
 */
export async function writePicture(array: NdArray, format: PictureFormat): Promise<Uint8Array> {
	const obstacle = pictureObstacle(array, format);
	if (obstacle !== undefined) {
		throw new FaltungError(
			'INVALID_ARGUMENT',
			`Cannot write ${format}: ${obstacle}. Choose another format (.npy holds everything) or --output-dtype.`,
		);
	}
	const sharp = await loadSharp();
	const [height, width, channels = 1] = array.shape as [number, number, number?];
	const wide = array.data instanceof Uint16Array;
	const grey = channels < 3;
	const data = rowMajor(array);
	const samples = data instanceof Uint16Array ? data : new Uint8Array(data.buffer, data.byteOffset, data.length);
	const raw = { width, height, channels: channels as 1 | 2 | 3 | 4 };
	const image = sharp(samples, { raw, limitInputPixels: false }).toColourspace(wide ? (grey ? 'grey16' : 'rgb16') : grey ? 'b-w' : 'srgb');
	try {
		const encoded = await ENCODERS[format](image).toBuffer();
		return new Uint8Array(encoded.buffer, encoded.byteOffset, encoded.length);
	} catch (cause) {
		throw new FaltungError('IO', `Cannot encode ${format}: ${reason(cause)}.`, { cause });
	}
}

const ENCODERS: Readonly<Record<PictureFormat, (image: Sharp) => Sharp>> = {
	png: (image) => image.png(),
	jpeg: (image) => image.jpeg({ quality: 92 }),
	webp: (image) => image.webp({ lossless: true, exact: true }), // exact: colours under zero alpha stay
	tiff: (image) => image.tiff({ compression: 'deflate' }),
};
