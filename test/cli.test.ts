import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeScene } from '../src/cli/scene.ts';
import { gamma } from '../src/core/bounds.ts';
import { readNpy } from '../src/node/npy.ts';
import { faltung, fixtures, height, npy, samples, width, writePng } from './cli-harness.ts';

let folder = '';
const path = (name: string) => join(folder, name);
const run = (...args: string[]) => faltung(folder, args);

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

beforeAll(async () => {
	folder = await fixtures();
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
		await writePng(folder, 'wide.png', wide, 3);
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
			folder,
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

	test('batch: a result is never written over an input or another result', async () => {
		await run('convolve', 'rgb.png', 'rgb.webp', '-k', 'identity');
		const before = readFileSync(path('rgb.png'));
		const twice = await run('batch', 'rgb.png', 'rgb.webp', '--out', 'res3', '-k', 'box:size=5', '--output-format', 'png');
		expect(twice.code).toBe(1);
		expect(twice.stderr).toMatch(/rgb\.webp: Expected results of different names .*that of rgb\.png already/);
		expect(twice.stderr).toMatch(/1 of 2 done, 1 failed/);
		expect((await run('batch', 'rgb.png', '--out', './res3/..', '-k', 'box:size=5')).code).toBe(1);
		expect(readFileSync(path('rgb.png'))).toEqual(before);
		expect((await run('batch', 'rgb.png', '--out', '.', '--suffix', '-b', '-k', 'box:size=5')).code).toBe(0);
	});

	test('a pair of sizes is y,x or yxx', async () => {
		for (const [anchor, stride] of [
			['0,2', '2,3'],
			['0x2', '2x3'],
		] as const)
			expect((await run('convolve', 'rgb.png', `pair${stride}.npy`, '-k', '1 2 3', '--anchor', anchor, '--stride', stride)).code).toBe(0);
		expect(readFileSync(path('pair2x3.npy'))).toEqual(readFileSync(path('pair2,3.npy')));
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
		expect(text).toMatch(/rgb\.png +gaussian:sigma=1 9x9 +\w+-u8-\S+ +\w+ +\d+ +\S+ .*\d+ values, worst \S+ %/);
		expect(readdirSync(path('demo-out'))).toEqual(['rgb-gaussian-sigma1.png']);
	});

	test('the picture of the demo is the same every time, for every size', () => {
		const scene = makeScene(150, 100);
		expect(scene.shape).toEqual([100, 150, 3]);
		expect(makeScene(150, 100)).toEqual(scene);
		expect(makeScene(150, 100, 2).data).not.toEqual(scene.data);
		expect(Math.max(...scene.data) - Math.min(...scene.data)).toBeGreaterThan(200);
	});

	test('--help and --version', async () => {
		const help = await run('convolve', '--help');
		expect(help.code).toBe(0);
		for (const word of ['--kernel', '--boundary', '--signed', '--alpha', '--max-pixels', 'Examples:']) expect(help.text).toContain(word);
		const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
		expect((await run('--version')).text).toBe(`${version}\n`);
	});
});
