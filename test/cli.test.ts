import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { gamma } from '../src/core/bounds.ts';
import type { NdArray } from '../src/core/ndarray.ts';
import { readNpy, writeNpy } from '../src/node/npy.ts';
import { faltung, freshFolder } from './cli-harness.ts';

let folder = '';
const path = (name: string) => join(folder, name);
const run = (...args: string[]) => faltung(folder, args);

const [height, width] = [12, 17];
/** A picture's samples: any values that differ from their neighbours. */
const samples = (channels: number) => Uint8Array.from({ length: height * width * channels }, (_, i) => (i * i * 31 + i * 7) % 256);

async function writePng(name: string, data: Uint8Array | Uint16Array, channels: 1 | 2 | 3 | 4, size = { height, width }): Promise<void> {
	const space = data instanceof Uint16Array ? (channels < 3 ? 'grey16' : 'rgb16') : channels < 3 ? 'b-w' : 'srgb';
	await sharp(data, { raw: { ...size, channels } })
		.toColourspace(space)
		.png()
		.toFile(path(name));
}

async function readRaw(name: string | Buffer, space = 'srgb', depth: 'uchar' | 'ushort' = 'uchar') {
	const { data, info } = await sharp(typeof name === 'string' ? path(name) : name)
		.toColourspace(space)
		.raw({ depth })
		.toBuffer({ resolveWithObject: true });
	return { data: depth === 'ushort' ? new Uint16Array(data.buffer, data.byteOffset, data.length / 2) : new Uint8Array(data), info };
}

/** The definition of a convolution, 'same', symmetric, stored as uint8: what the command line must give for an integer kernel. */
function expected(data: Uint8Array, channels: number, kernel: readonly (readonly number[])[]): Uint8Array {
	const mirror = (i: number, n: number) => (i < 0 ? -1 - i : i >= n ? 2 * n - 1 - i : i);
	const out = new Uint8ClampedArray(data.length);
	const [cy, cx] = [(kernel.length - 1) >> 1, ((kernel[0] as readonly number[]).length - 1) >> 1];
	for (let y = 0; y < height; y++) {
		for (let x = 0; x < width; x++) {
			for (let c = 0; c < channels; c++) {
				let total = 0;
				kernel.forEach((row, j) => {
					row.forEach((w, i) => {
						const at = (mirror(y + cy - j, height) * width + mirror(x + cx - i, width)) * channels + c;
						total += w * (data[at] as number);
					});
				});
				out[(y * width + x) * channels + c] = total;
			}
		}
	}
	return new Uint8Array(out.buffer);
}

const npy = (array: NdArray) => Buffer.concat(writeNpy(array));

beforeAll(async () => {
	folder = freshFolder();
	await writePng('rgb.png', samples(3), 3);
	await writePng('rgba.png', samples(4), 4);
	await writePng('grey.png', samples(1), 1);
	const step = Uint8Array.from({ length: 64 }, (_, i) => (i % 8 < 4 ? 0 : 255));
	await writePng('step.png', step, 1, { height: 8, width: 8 });
	writeFileSync(path('array.npy'), npy({ data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [2, 3] }));
	writeFileSync(path('empty.png'), '');
	writeFileSync(path('text.png'), 'this is no picture');
	writeFileSync(path('cut.png'), readFileSync(path('rgb.png')).subarray(0, 200));
	mkdirSync(path('dir'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('convolve', () => {
	const kernel = [
		[0, 1, 0],
		[1, -2, 1],
		[0, 0, 1],
	];
	const typed = '0 1 0; 1 -2 1; 0 0 1';

	test.each([
		['rgb.png', 3],
		['grey.png', 1],
	] as const)('%s: the definition, same size, symmetric, saturated; channels stay', async (name, channels) => {
		const { code, stdout, stderr } = await run('convolve', name, `out-${name}`, '--kernel', typed, '--verify', 'full');
		expect([code, stdout.length]).toEqual([0, 0]);
		expect(stderr).toMatch(/verified \d+ values \(full, seed \d+\), no difference/);
		const { data, info } = await readRaw(`out-${name}`, channels === 1 ? 'b-w' : 'srgb');
		expect(info.channels).toBe(channels);
		expect(data).toEqual(expected(samples(channels), channels, kernel));
	});

	test('--operation correlate does not flip', async () => {
		await run('convolve', 'rgb.png', 'corr.png', '-k', typed, '--operation', 'correlate', '-q');
		const flipped = [...kernel].reverse().map((row) => [...row].reverse());
		expect((await readRaw('corr.png')).data).toEqual(expected(samples(3), 3, flipped));
	});

	test('- reads standard input and writes standard output, in the format of the input', async () => {
		const { code, stdout, stderr } = await faltung(folder, ['convolve', '-', '-', '-k', typed], { input: readFileSync(path('rgb.png')) });
		expect(code).toBe(0);
		expect(stderr).toMatch(/^standard input \(uint8 12 x 17 x 3\)/);
		expect((await readRaw(stdout)).data).toEqual(expected(samples(3), 3, kernel));
		const array = await faltung(folder, ['convolve', '-', '-k', '1', '-q'], { input: readFileSync(path('array.npy')) });
		expect(readNpy(array.stdout, 'x')).toMatchObject({ data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [2, 3] });
		expect(array.stderr).toBe('');
		const asNpy = await faltung(folder, ['convolve', '-', '-', '-k', '1', '--output-format', 'npy'], {
			input: readFileSync(path('grey.png')),
		});
		expect(readNpy(asNpy.stdout, 'x')).toMatchObject({ data: samples(1), shape: [height, width] });
	});

	test('.npy: full size and zeros outside, as the library; dtypes and files', async () => {
		await run('convolve', 'array.npy', 'full.npy', '-k', '1 1');
		expect(readNpy(readFileSync(path('full.npy')), 'x')).toMatchObject({ shape: [2, 4], data: Float32Array.of(1, 3, 5, 3, 4, 9, 11, 6) });
		writeFileSync(path('k.txt'), '# a comment\n1, 1\n\n');
		await run(
			'convolve',
			'array.npy',
			'valid.npy',
			'-k',
			'k.txt',
			'--mode',
			'valid',
			'--output-dtype',
			'int16',
			'--scale',
			'2',
			'--bias',
			'-1',
		);
		expect(readNpy(readFileSync(path('valid.npy')), 'x')).toMatchObject({ shape: [2, 2], data: Int16Array.of(5, 9, 17, 21) });
		// big endian, Fortran order: [[1, 2, 3], [4, 5, 6]] of >u2
		const head = "{'descr': '>u2', 'fortran_order': True, 'shape': (2, 3), }\n";
		const body = [1, 4, 2, 5, 3, 6].flatMap((v) => [0, v]);
		writeFileSync(path('be.npy'), Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, head.length, 0, ...Buffer.from(head), ...body]));
		await run('convolve', 'be.npy', 'le.npy', '-k', '1');
		expect(readNpy(readFileSync(path('le.npy')), 'x')).toEqual({ data: Uint16Array.of(1, 2, 3, 4, 5, 6), dtype: 'uint16', shape: [2, 3] });
		writeFileSync(path('bank.npy'), npy({ data: Int32Array.of(1, 2), shape: [2, 1, 1] }));
		await run('convolve', 'le.npy', 'bank-out.npy', '-k', 'bank.npy');
		expect(readNpy(readFileSync(path('bank-out.npy')), 'x')).toMatchObject({
			shape: [2, 2, 3],
			data: Uint16Array.of(1, 2, 3, 4, 5, 6, 2, 4, 6, 8, 10, 12),
		});
	});

	test('16 bits stay 16 bits, and become 8 where the format holds no more', async () => {
		const wide = Uint16Array.from({ length: height * width * 3 }, (_, i) => (i * 1237) % 65536);
		await writePng('wide.png', wide, 3);
		await run('convolve', 'wide.png', 'wide.tif', '-k', 'identity:size=3');
		expect((await readRaw('wide.tif', 'rgb16', 'ushort')).data).toEqual(wide);
		const { stderr } = await run('convolve', 'wide.png', 'narrow.webp', '-k', 'identity');
		expect(stderr).toMatch(/16 bits a sample become 8/);
		expect((await readRaw('narrow.webp')).data).toEqual(Uint8Array.from(wide, (v) => Math.round(v / 257)));
	});

	test('--json says what was done', async () => {
		const { code, text } = await run('convolve', 'rgb.png', 'j.png', '-k', 'gaussian:sigma=1', '--json', '-q');
		expect(code).toBe(0);
		expect(JSON.parse(text)).toMatchObject({
			input: 'rgb.png',
			output: 'j.png',
			shape: [height, width, 3],
			dtype: 'uint8',
			report: { verification: { method: 'sample' } },
		});
	});

	test('gaussian blur: every sample is the definition in float64, rounded', async () => {
		await run('convolve', 'grey.png', 'g.png', '-k', 'gaussian:sigma=0.8', '-q');
		const weights = [-3, -2, -1, 0, 1, 2, 3].map((x) => Math.exp(-(x * x) / 1.28));
		const sum = weights.reduce((a, b) => a + b);
		const blurred = expectedReal(
			samples(1),
			weights.map((w) => w / sum),
		);
		const { data } = await readRaw('g.png', 'b-w');
		// float32 sums of 7 x 7 taps, each tap off by one step
		const bound = gamma(7 + 7 + 2, 2 ** -24) * 255;
		for (const [i, v] of data.entries()) expect(Math.abs(v - (blurred[i] as number))).toBeLessThanOrEqual(0.5 + bound);
	});
});

/** A separable symmetric filter in float64, symmetric boundary. */
function expectedReal(data: Uint8Array, weights: readonly number[]): Float64Array {
	const r = (weights.length - 1) / 2;
	const mirror = (i: number, n: number) => (i < 0 ? -1 - i : i >= n ? 2 * n - 1 - i : i);
	const out = new Float64Array(height * width);
	for (let y = 0; y < height; y++) {
		for (let x = 0; x < width; x++) {
			weights.forEach((wy, j) => {
				weights.forEach((wx, i) => {
					out[y * width + x] =
						(out[y * width + x] as number) + wy * wx * (data[mirror(y + j - r, height) * width + mirror(x + i - r, width)] as number);
				});
			});
		}
	}
	return out;
}

describe('results of both signs', () => {
	const row = async (name: string) => [...(await readRaw(name, 'b-w')).data.subarray(24, 32)];

	test('Sobel: magnitude by default, and the message says so', async () => {
		const { stderr } = await run('convolve', 'step.png', 'm.png', '-k', 'sobel:axis=x');
		expect(stderr).toMatch(
			/the kernel sums to 0, so results have both signs: shown as \|v\| · 0\.250 \(--signed shift or clip for others\)/,
		);
		expect(await row('m.png')).toEqual([0, 0, 0, 255, 255, 0, 0, 0]);
	});

	test('shift: 0 is mid grey, the signs are opposite for x and its reverse', async () => {
		const { stderr } = await run('convolve', 'step.png', 's.png', '-k', 'sobel:axis=x', '--signed', 'shift');
		expect(stderr).toMatch(/shown as v · 0\.125 \+ 128, 0 is mid grey/);
		expect(await row('s.png')).toEqual([128, 128, 128, 255, 255, 128, 128, 128]);
		await run('convolve', 'step.png', 's2.png', '-k', 'sobel:axis=x', '--signed', 'shift', '--operation', 'correlate');
		expect(await row('s2.png')).toEqual([128, 128, 128, 0, 0, 128, 128, 128]);
	});

	test('clip, and a scale of one’s own', async () => {
		// element 0 lies on the output pixel: v[x] = f[x] − f[x − 1]
		await run('convolve', 'step.png', 'c.png', '-k', '1 -1', '--signed', 'clip');
		expect(await row('c.png')).toEqual([0, 0, 0, 0, 255, 0, 0, 0]);
		await run('convolve', 'step.png', 'c1.png', '-k', '-1 1', '--signed', 'clip');
		expect(await row('c1.png')).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
		await run('convolve', 'step.png', 'c2.png', '-k', '-1 1', '--scale', '0.1');
		expect(await row('c2.png')).toEqual([0, 0, 0, 0, 26, 0, 0, 0]);
	});

	test('.npy keeps numbers; a warning where signs are lost', async () => {
		const lost = await run('convolve', 'step.png', 'lost.npy', '-k', 'sobel');
		expect(lost.stderr).toMatch(/below 0 are stored as 0 in uint8; --output-dtype int32 or float32 keeps them/);
		const kept = await run('convolve', 'step.png', 'kept.npy', '-k', 'sobel', '--operation', 'correlate', '--output-dtype', 'int32');
		expect(kept.stderr).not.toMatch(/note/);
		expect([...readNpy(readFileSync(path('kept.npy')), 'x').data.subarray(24, 32)]).toEqual([0, 0, 0, -1020, -1020, 0, 0, 0]);
	});
});

describe('alpha', () => {
	const alphaOf = (data: Uint8Array | Uint16Array) => [...data].filter((_, i) => i % 4 === 3);

	test('is left alone, the colours are what they are without it', async () => {
		await run('convolve', 'rgba.png', 'a.png', '-k', 'box:size=3');
		const { data } = await readRaw('a.png');
		expect(alphaOf(data)).toEqual(alphaOf(samples(4)));
		await run('convolve', 'rgba.png', 'd.png', '-k', 'box:size=3', '--alpha', 'drop');
		const colours = await readRaw('d.png');
		expect(colours.info.channels).toBe(3);
		expect([...colours.data]).toEqual([...data].filter((_, i) => i % 4 !== 3));
	});

	test('follows the geometry of valid, full and strides', async () => {
		const alpha = (y: number, x: number) => samples(4)[(y * width + x) * 4 + 3] as number;
		await run('convolve', 'rgba.png', 'v.png', '-k', '1 1 1 1;1 1 1 1;1 1 1 1', '--normalize', '--mode', 'valid', '--stride', '2');
		const valid = await readRaw('v.png');
		expect([valid.info.height, valid.info.width]).toEqual([5, 7]);
		const grid = (rows: number, cols: number, at: (y: number, x: number) => number) =>
			Array.from({ length: rows * cols }, (_, i) => at(Math.floor(i / cols), i % cols));
		// a valid output y covers input rows y … y + 2 and columns x … x + 3; element (1, 1) of the flipped kernel lies on (y + 1, x + 2)
		expect(alphaOf(valid.data)).toEqual(grid(5, 7, (y, x) => alpha(2 * y + 1, 2 * x + 2)));
		await run('convolve', 'rgba.png', 'f.png', '-k', 'box:size=3', '--mode', 'full', '--boundary', 'constant');
		const full = await readRaw('f.png');
		expect([full.info.height, full.info.width]).toEqual([height + 2, width + 2]);
		const inside = (y: number, x: number) => y >= 0 && x >= 0 && y < height && x < width;
		expect(alphaOf(full.data)).toEqual(grid(height + 2, width + 2, (y, x) => (inside(y - 1, x - 1) ? alpha(y - 1, x - 1) : 0)));
	});

	test('is filtered like a colour when asked', async () => {
		await run('convolve', 'rgba.png', 'fa.png', '-k', '0 0 1', '--alpha', 'filter');
		expect((await readRaw('fa.png')).data).toEqual(expected(samples(4), 4, [[0, 0, 1]]));
	});
});

describe('wrong calls: a sentence of its own, an exit code, no output', () => {
	const cases: readonly (readonly [string, string[], number, RegExp])[] = [
		['no command', [], 2, /Usage: faltung/],
		['an unknown command', ['convolv'], 2, /unknown command 'convolv'[\s\S]*Did you mean convolve/],
		[
			'an unknown option',
			['convolve', 'rgb.png', 'x.png', '-k', 'box:size=3', '--bondary', 'edge'],
			2,
			/unknown option '--bondary'[\s\S]*Did you mean --boundary/,
		],
		['no kernel', ['convolve', 'rgb.png', 'x.png'], 2, /required option '-k, --kernel <kernel>' not specified/],
		['an empty kernel', ['convolve', 'rgb.png', 'x.png', '-k', ' '], 2, /Expected a kernel for --kernel but received nothing/],
		['an unknown kernel', ['convolve', 'rgb.png', 'x.png', '-k', 'gausian:sigma=3'], 2, /Did you mean "gaussian"\?/],
		['an unknown kernel option', ['convolve', 'rgb.png', 'x.png', '-k', 'gaussian:sgma=3'], 2, /Did you mean "sigma"\?/],
		['a NaN sigma', ['convolve', 'rgb.png', 'x.png', '-k', 'gaussian:sigma=NaN'], 2, /sigma but received NaN/],
		['a sigma of words', ['convolve', 'rgb.png', 'x.png', '-k', 'gaussian:sigma=big'], 2, /sigma but received "big"/],
		['a huge sigma', ['convolve', 'rgb.png', 'x.png', '-k', 'gaussian:sigma=1e9'], 1, /at most 16777216 taps/],
		[
			'ragged rows',
			['convolve', 'rgb.png', 'x.png', '-k', '1 2; 3'],
			2,
			/Expected 2 numbers in every row, as in the first, for --kernel but received 1 in row 2/,
		],
		[
			'a kernel file that is not there',
			['convolve', 'rgb.png', 'x.png', '-k', './none.txt'],
			1,
			/Cannot read \.\/none\.txt: there is no such file/,
		],
		['a sum of 0 to normalize', ['convolve', 'rgb.png', 'x.png', '-k', '1 -1', '--normalize'], 2, /whose sum is not 0 for --normalize/],
		['an unknown boundary', ['convolve', 'rgb.png', 'x.png', '-k', '1', '--boundary', 'simmetric'], 2, /Did you mean "symmetric"\?/],
		['reflect', ['convolve', 'rgb.png', 'x.png', '-k', '1', '--boundary', 'reflect'], 2, /'symmetric'.*'mirror'/],
		['an unknown mode', ['convolve', 'rgb.png', 'x.png', '-k', '1', '--mode', 'sme'], 2, /option mode but received "sme"/],
		['a stride of words', ['convolve', 'rgb.png', 'x.png', '-k', '1', '--stride', 'two'], 2, /a number for --stride but received "two"/],
		[
			'a method that is not there yet',
			['convolve', 'rgb.png', 'x.png', '-k', '1 1', '--method', 'fft', '--backend', 'reference'],
			1,
			/fft/,
		],
		['a value out of range', ['convolve', 'rgb.png', 'x.png', '-k', '1 1', '--boundary', 'constant', '--value', '256'], 2, /from 0 to 255/],
		[
			'an input that is not there',
			['convolve', 'none.png', 'x.png', '-k', '1'],
			1,
			/Cannot read none\.png: there is no such file or folder \(ENOENT\)/,
		],
		['a directory', ['convolve', 'dir', 'x.png', '-k', '1'], 1, /Cannot read dir: it is a directory/],
		['a 0-byte file', ['convolve', 'empty.png', 'x.png', '-k', '1'], 1, /it is empty \(0 bytes\)/],
		['no picture', ['convolve', 'text.png', 'x.png', '-k', '1'], 1, /none of PNG, JPEG, WebP, TIFF or \.npy/],
		['a truncated PNG', ['convolve', 'cut.png', 'x.png', '-k', '1'], 1, /Cannot decode cut\.png: it is cut short or damaged/],
		[
			'too many pixels',
			['convolve', 'rgb.png', 'x.png', '-k', '1', '--max-pixels', '203'],
			1,
			/at most 203 pixels for rgb\.png but its header says 17 x 12 = 204/,
		],
		['a wrong limit', ['convolve', 'rgb.png', 'x.png', '-k', '1', '--max-pixels', '-1'], 2, /--max-pixels but received "-1"/],
		[
			'an output in a folder that is not there',
			['convolve', 'rgb.png', 'no/x.png', '-k', '1'],
			1,
			/Cannot write no\/x\.png: there is no such file or folder/,
		],
		['an output that is a directory', ['convolve', 'rgb.png', 'dir', '-k', '1'], 1, /Cannot write dir: it is a directory/],
		['an output of no known format', ['convolve', 'rgb.png', 'x.gif', '-k', '1'], 2, /ending in \.png.*the output but received x\.gif/],
		[
			'floats as PNG',
			['convolve', 'array.npy', 'x.png', '-k', '1'],
			2,
			/uint8 or uint16 for the samples of an output in png but received float32/,
		],
		[
			'16 bits as JPEG',
			['convolve', 'rgb.png', 'x.jpg', '-k', '1', '--output-dtype', 'uint16'],
			2,
			/uint8 for the samples of an output in jpeg/,
		],
		['alpha as JPEG', ['convolve', 'rgba.png', 'x.jpg', '-k', '1'], 2, /Add --alpha drop/],
		['JSON and data on one stream', ['convolve', 'rgb.png', '-', '-k', '1', '--json'], 2, /an output file for --json/],
		[
			'a backend that is not there',
			['convolve', 'rgb.png', 'x.png', '-k', '1', '--backend', 'cuda'],
			2,
			/option backend but received "cuda"/,
		],
		['nothing to verify with', ['convolve', 'rgb.png', 'x.png', '-k', '1', '--verify', 'maybe'], 2, /option verify but received "maybe"/],
		['a size of words', ['explain', '-k', '1', '--size', 'large'], 2, /width x height.*--size but received "large"/],
		['two inputs of one name', ['batch', 'rgb.png', 'dir/rgb.png', '--out', 'res', '-k', '1'], 2, /inputs of different names/],
		['standard input in a batch', ['batch', '-', '--out', 'res', '-k', '1'], 2, /Use faltung convolve for standard input/],
	];
	test.each(cases)('%s', async (_, args, code, message) => {
		const before = readdirSync(folder);
		const outcome = await run(...args);
		expect(outcome.stderr).toMatch(message);
		expect(outcome.stderr).not.toMatch(/unexpected error|\n {4}at /);
		expect(outcome.code).toBe(code);
		expect(outcome.stdout.length).toBe(0);
		expect(readdirSync(folder)).toEqual(before);
	});

	test('a full disk', async () => {
		if (process.platform !== 'linux') return expect(existsSync('/dev/full')).toBe(false);
		const { code, stderr } = await run('convolve', 'rgb.png', '/dev/full', '-k', '1', '--output-format', 'png');
		expect([code, stderr]).toEqual([1, 'faltung: Cannot write /dev/full: the disk is full (ENOSPC).\n']);
	});

	test('an environment variable that this machine cannot do', async () => {
		const { code, stderr } = await faltung(folder, ['convolve', 'rgb.png', 'x.png', '-k', '1'], { env: { FALTUNG_BACKEND: 'abacus' } });
		expect(code).toBe(2);
		expect(stderr).toMatch(/FALTUNG_BACKEND/);
	});
});

describe('interruptions', () => {
	test('Ctrl-C: exit code 130, the old output stays, nothing is left beside it', async () => {
		const side = 1500;
		writeFileSync(path('big.npy'), npy({ data: new Float64Array(side * side), shape: [side, side] }));
		writeFileSync(path('kept.npy'), 'old');
		const { code, stderr } = await faltung(folder, ['convolve', 'big.npy', 'kept.npy', '-k', 'disk:radius=60', '--backend', 'reference'], {
			during: (child) => void setTimeout(() => child.kill('SIGINT'), 900),
		});
		expect([code, stderr]).toEqual([130, 'faltung: interrupted\n']);
		expect(readFileSync(path('kept.npy'), 'utf8')).toBe('old');
		expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).toEqual([]);
	});

	test('a reader that goes away is no crash', async () => {
		const { code, stderr } = await faltung(folder, ['kernels', 'box:size=900'], {
			during: (child) => child.stdout?.once('data', () => child.stdout?.destroy()),
		});
		expect([code, stderr]).toEqual([0, '']);
	});
});

describe('without sharp', () => {
	test('arrays work, pictures say what to install', async () => {
		const bare = path('bare');
		const root = new URL('..', import.meta.url).pathname;
		cpSync(join(root, 'dist'), join(bare, 'dist'), { recursive: true });
		cpSync(join(root, 'package.json'), join(bare, 'package.json'));
		for (const name of ['commander', 'fastest-levenshtein'])
			cpSync(join(root, 'node_modules', name), join(bare, 'node_modules', name), { recursive: true });
		const main = join(bare, 'dist/cli/main.js');
		const array = await faltung(folder, ['convolve', 'array.npy', 'plain.npy', '-k', '1'], { main });
		expect([array.code, existsSync(path('plain.npy'))]).toEqual([0, true]);
		const picture = await faltung(folder, ['convolve', 'rgb.png', 'x.png', '-k', '1'], { main });
		expect([picture.code, picture.stderr]).toEqual([
			1,
			'faltung: Picture files need the package sharp, which is not installed. Run: npm i sharp. (.npy files work without.)\n',
		]);
		expect((await faltung(folder, ['doctor'], { main })).text).toMatch(/sharp +not usable\. Picture files need the package sharp/);
	});
});

describe('the other commands', () => {
	test('kernels: the list names every kernel with an example that works', async () => {
		const { text } = await run('kernels', '--json');
		const list = JSON.parse(text) as { name: string; example: string }[];
		const library = await import('../src/kernels/index.ts');
		expect(list.map(({ name }) => name)).toEqual(Object.keys(library).sort());
		for (const { name, example } of list) {
			expect(example.split(':')[0]).toBe(name);
			const { code, text: shown } = await run('kernels', example, '--json');
			expect([example, code]).toEqual([example, 0]);
			expect((JSON.parse(shown) as { shape: number[] }).shape).toHaveLength(2);
		}
	});

	test('kernels: one as a matrix', async () => {
		expect((await run('kernels', 'sobel:axis=x')).text).toBe('sobel:axis=x: 3 x 3, integers, sum 0\n 1  0 -1\n 2  0 -2\n 1  0 -1\n');
	});

	test('explain: a file and a size', async () => {
		const file = await run('explain', 'rgb.png', '-k', 'gaussian:sigma=1');
		expect(file.text).toMatch(/^u8 12x17x3 HWC \* f32 9x9, same, symmetric/);
		const size = await run('explain', '--size', '300x200x3', '--dtype', 'float32', '-k', 'box:size=5', '--json');
		expect((JSON.parse(size.text) as { problem: { text: string } }).problem.text).toMatch(/^f32 200x300x3 HWC \* f32 5x5/);
	});

	test('doctor: backends with reasons, sharp, environment', async () => {
		const { code, text } = await faltung(folder, ['doctor', '--json'], { env: { FALTUNG_THREADS: '1' } });
		expect(code).toBe(0);
		const report = JSON.parse(text) as {
			node: string;
			sharp: string;
			environment: Record<string, string>;
			backends: { name: string; usable: boolean; reason?: string }[];
		};
		expect(report.node).toBe(process.version);
		expect(report.sharp).toMatch(/libvips/);
		expect(report.environment.FALTUNG_THREADS).toBe('1');
		expect(report.backends.map(({ name }) => name).sort()).toEqual(['native', 'reference', 'webgpu']);
		for (const { usable, reason } of report.backends) expect(usable || (reason ?? '') !== '').toBe(true);
	});

	test('batch: results under the inputs’ names, 8 and 16 bits mixed, failures counted', async () => {
		await writePng(
			'deep.png',
			new Uint16Array(height * width).map((_, i) => i * 300),
			1,
		);
		const { code, text, stderr } = await run(
			'batch',
			'rgb.png',
			'cut.png',
			'deep.png',
			'grey.png',
			'--out',
			'res',
			'--suffix',
			'-x',
			'-k',
			'identity',
			'--json',
		);
		expect(code).toBe(1);
		expect(stderr).toMatch(/cut\.png: Cannot decode cut\.png/);
		expect(stderr).toMatch(/3 of 4 done, 1 failed, results in res/);
		expect((JSON.parse(text) as { input: string; ok: boolean }[]).map(({ input, ok }) => [input, ok])).toEqual([
			['rgb.png', true],
			['cut.png', false],
			['deep.png', true],
			['grey.png', true],
		]);
		expect(readdirSync(path('res')).sort()).toEqual(['deep-x.png', 'grey-x.png', 'rgb-x.png']);
		expect((await readRaw('res/rgb-x.png')).data).toEqual(samples(3));
		expect((await readRaw('res/deep-x.png', 'grey16', 'ushort')).data).toEqual(new Uint16Array(height * width).map((_, i) => i * 300));
		expect((await run('batch', 'rgb.png', 'grey.png', '--out', 'res2', '-k', '1', '-q')).code).toBe(0);
	});

	test('bench: a row for the reference, and the reason for one that is left out', async () => {
		const { code, text } = await run('bench', '--size', '64x48', '-k', 'box:size=3', '--backend', 'reference', '--runs', '3', '--json');
		expect(code).toBe(0);
		const { rows } = JSON.parse(text) as { rows: { backend: string; median: number; least: number }[] };
		expect(rows).toHaveLength(1);
		expect(rows[0]).toMatchObject({ backend: 'reference' });
		expect((rows[0]?.median as number) >= (rows[0]?.least as number)).toBe(true);
	});

	test('demo: a file of one’s own with a kernel', async () => {
		const { code, text } = await run('demo', 'rgb.png', '--kernel', 'gaussian:sigma=1', '--out', 'demo-out');
		expect(code).toBe(0);
		expect(text).toMatch(/rgb\.png +gaussian:sigma=1 9x9 +direct-u8-\S+ +\w+ +\d+ +\S+ .*\d+ values, worst \S+ %/);
		expect(readdirSync(path('demo-out'))).toEqual(['rgb-gaussian-sigma1.png']);
	});

	test('--help and --version', async () => {
		const help = await run('convolve', '--help');
		expect(help.code).toBe(0);
		for (const word of ['--kernel', '--boundary', '--signed', '--alpha', '--max-pixels', 'Examples:']) expect(help.text).toContain(word);
		const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
		expect((await run('--version')).text).toBe(`${version}\n`);
	});
});
