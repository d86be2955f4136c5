import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FaltungError } from '../src/core/errors.ts';
import { checkWritable, readInput, writeOutput } from '../src/node/files.ts';
import { formatOfName, type PictureFormat, readPicture, sniffPicture, writePicture } from '../src/node/images.ts';

let folder = '';
beforeAll(() => {
	folder = mkdtempSync(join(tmpdir(), 'faltung-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const failure = async (promise: Promise<unknown>): Promise<FaltungError> => {
	const error = await promise.then(
		() => undefined,
		(e: unknown) => e,
	);
	expect(error).toBeInstanceOf(FaltungError);
	return error as FaltungError;
};

const [height, width] = [3, 5];
const samples8 = (channels: number) => Uint8Array.from({ length: height * width * channels }, (_, i) => (i * 37) % 256);
/** 16-bit values whose low bytes matter. */
const samples16 = (channels: number) => Uint16Array.from({ length: height * width * channels }, (_, i) => (i * 1237 + 3) % 65536);
const shapeOf = (channels: number) => (channels === 1 ? [height, width] : [height, width, channels]);

describe('pictures there and back, sample by sample', () => {
	const cases = (['png', 'tiff'] as const).flatMap((format) =>
		[8, 16].flatMap((bits) => [1, 2, 3, 4].map((channels) => [format, bits, channels] as [PictureFormat, number, number])),
	);
	test.each([...cases, ['webp', 8, 3], ['webp', 8, 4]] as [PictureFormat, number, number][])(
		'%s, %i bits, %i channels',
		async (format, bits, channels) => {
			const data = bits === 8 ? samples8(channels) : samples16(channels);
			const bytes = await writePicture({ data, shape: shapeOf(channels) }, format);
			expect(sniffPicture(bytes)).toBe(format);
			const picture = await readPicture(bytes, 'x');
			expect(picture).toMatchObject({ shape: shapeOf(channels), format, alpha: channels % 2 === 0, notes: [] });
			expect(picture.data).toEqual(data);
		},
	);

	test('jpeg is close, grey stays one channel', async () => {
		const grey = new Uint8Array(64 * 64).map((_, i) => i % 64);
		const picture = await readPicture(await writePicture({ data: grey, shape: [64, 64] }, 'jpeg'), 'x');
		expect(picture.shape).toEqual([64, 64]);
		expect(Math.max(...picture.data.map((v, i) => Math.abs(v - (grey[i] as number))))).toBeLessThan(8);
	});

	test('a strided view is written as it looks', async () => {
		const data = samples8(4);
		const picture = await readPicture(await writePicture({ data, shape: [height, width, 3], strides: [width * 4, 4, 1] }, 'png'), 'x');
		expect(picture.data).toEqual(data.filter((_, i) => i % 4 < 3));
	});
});

describe('what files in the wild hold', () => {
	test('EXIF orientation is applied', async () => {
		const upright = samples8(3);
		const turned = await sharp(upright, { raw: { width, height, channels: 3 } })
			.withMetadata({ orientation: 6 })
			.png()
			.toBuffer();
		const picture = await readPicture(turned, 'x');
		expect(picture.shape).toEqual([width, height, 3]);
		expect(picture.notes).toContain('turned upright (EXIF orientation 6)');
		// orientation 6: turn clockwise; the first row is the left column from below
		const red = (x: number, y: number) => upright[(y * width + x) * 3];
		expect([picture.data[0], picture.data[3], picture.data[6]]).toEqual([red(0, 2), red(0, 1), red(0, 0)]);
	});

	test('palette, one bit', async () => {
		const rgb = Uint8Array.from(
			{ length: 16 * 3 },
			(_, i) => (Math.floor(i / 3) % 2 ? [250, 10, 40][i % 3] : [0, 90, 200][i % 3]) as number,
		);
		const image = sharp(rgb, { raw: { width: 4, height: 4, channels: 3 } });
		const palette = await readPicture(await image.clone().png({ palette: true, colours: 2, dither: 0 }).toBuffer(), 'x');
		expect(palette).toMatchObject({ shape: [4, 4, 3], notes: ['its palette expanded'] });
		expect(palette.data).toEqual(rgb);
		const bilevel = Uint8Array.from({ length: 64 }, (_, i) => (i % 3 ? 255 : 0));
		const tiff = await sharp(bilevel, { raw: { width: 8, height: 8, channels: 1 } })
			.toColourspace('b-w')
			.tiff({ bitdepth: 1 })
			.toBuffer();
		const picture = await readPicture(tiff, 'x');
		expect(picture.shape).toEqual([8, 8]);
		expect(picture.data).toEqual(bilevel);
	});

	test('a colour profile is converted to sRGB, and said', async () => {
		const p3 = await sharp(Buffer.from([255, 0, 0]), { raw: { width: 1, height: 1, channels: 3 } })
			.withIccProfile('p3')
			.png()
			.toBuffer();
		const picture = await readPicture(p3, 'x');
		expect(picture.notes).toEqual(['its colour profile converted to sRGB']);
		expect((picture.data[0] as number) >= 250 && (picture.data[1] as number) < 20).toBe(true);
	});

	test('CMYK becomes three channels', async () => {
		const cmyk = await sharp(samples8(3), { raw: { width, height, channels: 3 } })
			.toColourspace('cmyk')
			.jpeg()
			.toBuffer();
		expect((await readPicture(cmyk, 'x')).shape).toEqual([height, width, 3]);
	});
});

describe('what is refused', () => {
	test('a truncated picture of each format', async () => {
		const data = Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 7919) % 251);
		for (const format of ['png', 'jpeg', 'webp', 'tiff'] as const) {
			const bytes = await writePicture({ data, shape: [64, 64, 3] }, format);
			for (const share of [0.5, 0.9]) {
				const error = await failure(readPicture(bytes.slice(0, Math.floor(bytes.length * share)), `cut.${format}`));
				expect(error.code).toBe('IO');
				expect(error.message).toMatch(new RegExp(`^Cannot decode cut\\.${format}: it is cut short or damaged \\(.+\\)\\.$`));
			}
		}
	});

	test('text, and a format that is not read', async () => {
		expect((await failure(readPicture(Buffer.from('hello'), 'notes.txt'))).message).toMatch(
			/notes\.txt: it is none of PNG, JPEG, WebP, TIFF or \.npy/,
		);
		expect((await failure(readPicture(Buffer.from('GIF89a'), 'a.gif'))).code).toBe('IO');
	});

	test('too many pixels, from the header alone', async () => {
		const bytes = await writePicture({ data: new Uint8Array(100 * 100), shape: [100, 100] }, 'png');
		expect((await readPicture(bytes, 'x', 10_000)).shape).toEqual([100, 100]);
		const error = await failure(readPicture(bytes, 'x', 9_999));
		expect(error.code).toBe('LIMIT_EXCEEDED');
		expect(error.message).toMatch(/at most 9999 pixels for x but its header says 100 x 100 = 10000\. Raise --max-pixels/);
		// a header of 50000 x 50000 and no pixels at all: refused by size, not by decoding
		const bomb = Buffer.from(bytes);
		bomb.writeUInt32BE(50_000, 16);
		bomb.writeUInt32BE(50_000, 20);
		const { crc32 } = await import('./crc32.ts');
		bomb.writeUInt32BE(crc32(bomb.subarray(12, 29)), 29);
		expect((await failure(readPicture(bomb, 'bomb.png'))).message).toMatch(/50000 x 50000 = 2500000000/);
	});

	test('float samples', async () => {
		// a TIFF of one float sample: width, height, bits, compression, photometric, strip, samples, rows, strip bytes, sample format
		const entries = [
			[256, 1],
			[257, 1],
			[258, 32],
			[259, 1],
			[262, 1],
			[273, 200],
			[277, 1],
			[278, 1],
			[279, 4],
			[339, 3],
		] as const;
		const tiff = Buffer.alloc(204);
		tiff.write('II*\0');
		tiff.writeUInt32LE(8, 4);
		tiff.writeUInt16LE(entries.length, 8);
		for (const [i, [tag, value]] of entries.entries()) {
			tiff.writeUInt16LE(tag, 10 + 12 * i);
			tiff.writeUInt16LE(4, 12 + 12 * i);
			tiff.writeUInt32LE(1, 14 + 12 * i);
			tiff.writeUInt32LE(value, 18 + 12 * i);
		}
		tiff.writeFloatLE(0.5, 200);
		const error = await failure(readPicture(tiff, 'float.tif'));
		expect(error.code).toBe('UNSUPPORTED');
		expect(error.message).toMatch(/8 or 16 bits a sample for float\.tif but its samples are float/);
	});

	test.each([
		[{ data: samples16(3), shape: [height, width, 3] }, 'jpeg', /jpeg holds 8 bits a sample, not 16/],
		[{ data: samples8(4), shape: [height, width, 4] }, 'jpeg', /jpeg holds no alpha/],
		[{ data: new Float32Array(15), shape: [height, width] }, 'png', /uint8 or uint16/],
		[{ data: new Uint16Array(15), dtype: 'float16', shape: [height, width] }, 'png', /uint8 or uint16/],
		[{ data: samples8(5), shape: [height, width, 5] }, 'png', /1 to 4 channels/],
		[{ data: new Uint8Array(0), shape: [0, 5] }, 'png', /no pixel/],
		[{ data: new Uint8Array(16384), shape: [1, 16384] }, 'webp', /16383/],
	] as const)('writing %#', async (array, format, message) => {
		const error = await failure(writePicture(array as never, format));
		expect(error.code).toBe('INVALID_ARGUMENT');
		expect(error.message).toMatch(message);
	});

	test('names', () => {
		expect(['a.PNG', 'b.jpeg', 'c.JPG', 'd.tif', 'e.webp', 'f.npy', 'g', 'h.gif', '.png/x'].map(formatOfName)).toEqual([
			'png',
			'jpeg',
			'jpeg',
			'tiff',
			'webp',
			'npy',
			undefined,
			undefined,
			undefined,
		]);
	});
});

describe('files', () => {
	const path = (name: string) => join(folder, name);
	const leftovers = () => readdirSync(folder).filter((name) => name.endsWith('.part'));

	test('reading: a directory, nothing there, nothing in it', async () => {
		expect((await failure(readInput(folder))).message).toMatch(/^Cannot read .*: it is a directory \(EISDIR\)\.$/);
		expect((await failure(readInput(path('none.png')))).message).toMatch(/there is no such file or folder \(ENOENT\)/);
		writeFileSync(path('empty.png'), '');
		expect((await failure(readInput(path('empty.png')))).message).toMatch(/it is empty \(0 bytes\)/);
		expect((await failure(readInput(path('empty.png/x')))).message).toMatch(/not a directory/);
	});

	test('writing replaces a file as a whole, keeps its mode, follows a link', async () => {
		writeFileSync(path('a.bin'), 'old', { mode: 0o640 });
		symlinkSync(path('a.bin'), path('link.bin'));
		await writeOutput(path('link.bin'), [Buffer.from('new '), Buffer.from('bytes')]);
		expect(readFileSync(path('a.bin'), 'utf8')).toBe('new bytes');
		expect(statSync(path('a.bin')).mode & 0o777).toBe(0o640);
		expect(leftovers()).toEqual([]);
	});

	test('a write that fails on the way leaves the old file and nothing else', async () => {
		writeFileSync(path('b.bin'), 'old');
		function* chunks() {
			yield Buffer.from('half');
			expect(leftovers()).toHaveLength(1);
			throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
		}
		const error = await failure(writeOutput(path('b.bin'), chunks()));
		expect(error.code).toBe('IO');
		expect(error.message).toMatch(/^Cannot write .*b\.bin: the disk is full \(ENOSPC\)\.$/);
		expect(readFileSync(path('b.bin'), 'utf8')).toBe('old');
		expect(leftovers()).toEqual([]);
	});

	test('an abort on the way rejects with its reason and leaves nothing', async () => {
		const controller = new AbortController();
		function* chunks() {
			yield Buffer.from('half');
			controller.abort(new Error('enough'));
			yield Buffer.from('more');
		}
		await expect(writeOutput(path('c.bin'), chunks(), controller.signal)).rejects.toThrow('enough');
		expect(existsSync(path('c.bin'))).toBe(false);
		expect(leftovers()).toEqual([]);
	});

	test('an exit on the way removes the unfinished file', () => {
		const target = path('d.bin');
		const files = new URL('../src/node/files.ts', import.meta.url).href;
		const program = `
			const { writeOutput } = await import(${JSON.stringify(files.replace('/src/', '/dist/').replace('.ts', '.js'))});
			function* chunks() { yield Buffer.from('half'); process.exit(7); }
			await writeOutput(${JSON.stringify(target)}, chunks());`;
		const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
		expect([status, stderr]).toEqual([7, '']);
		expect(existsSync(target)).toBe(false);
		expect(leftovers()).toEqual([]);
	});

	test('places that cannot be written', async () => {
		mkdirSync(path('dir'));
		for (const attempt of [(p: string) => writeOutput(p, [Buffer.from('x')]), checkWritable]) {
			expect((await failure(attempt(path('dir')))).message).toMatch(/it is a directory/);
			expect((await failure(attempt(path('no/such/x.png')))).message).toMatch(/no such file or folder/);
		}
		await checkWritable(path('fresh.png'));
		if (process.platform === 'linux') {
			// a device that is always full; it is written to, never renamed over
			expect((await failure(writeOutput('/dev/full', [Buffer.from('x')]))).message).toMatch(/the disk is full \(ENOSPC\)/);
			await writeOutput('/dev/null', [Buffer.from('x')]);
			expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
		}
	});
});
