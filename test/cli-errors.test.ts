import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { faltung, fixtures, npy } from './cli-harness.ts';

let folder = '';
const path = (name: string) => join(folder, name);
const run = (...args: string[]) => faltung(folder, args);

beforeAll(async () => {
	folder = await fixtures();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

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
		['a kernel like none', ['convolve', 'rgb.png', 'x.png', '-k', 'xyzzyq'], 2, /^(?!.*Did you mean).*faltung kernels lists them/s],
		['a kernel without its option', ['kernels', 'gaussian'], 2, /sigma but received none.*For example gaussian:sigma=3\./],
		['a wrong kernel option', ['kernels', 'motion:length=0'], 2, /length but received 0.*For example motion:length=21,angle=30\./],
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
		['a number in base 16', ['convolve', 'rgb.png', 'x.png', '-k', '1', '--scale', '0x2'], 2, /a number for --scale but received "0x2"/],
		['an anchor of one number', ['convolve', 'rgb.png', 'x.png', '-k', '1', '--anchor', '0'], 2, /a pair \[y, x\] for option anchor/],
		['a size beside an input', ['explain', 'rgb.png', '-k', '1', '--size', '5x5'], 2, /no --size beside an input/],
		['a dtype beside an input', ['explain', 'rgb.png', '-k', '1', '--dtype', 'int8'], 2, /no --dtype beside an input/],
		[
			'a batch over its inputs',
			['batch', 'rgb.png', '--out', '.', '-k', '1 1'],
			1,
			/a result that is no input for --out but received rgb\.png/,
		],
		['a suffix with a slash', ['batch', 'rgb.png', '--out', '.', '-k', '1', '--suffix', '/x'], 2, /a text without slashes for --suffix/],
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

	test.skipIf(process.platform === 'win32')('a second one ends what no abort reaches: a pipe that nobody writes to', async () => {
		execFileSync('mkfifo', [path('silent')]);
		const { code, stderr } = await faltung(folder, ['convolve', 'silent', 'o.npy', '-k', 'box:size=3'], {
			during: (child) => {
				for (const after of [900, 1200]) setTimeout(() => child.kill('SIGINT'), after);
			},
		});
		expect([code, stderr]).toEqual([null, '']); // by the signal, which a shell calls 130
	});

	test('a reader of the messages that goes away stops no work', async () => {
		const { code } = await faltung(folder, ['batch', 'array.npy', '--out', 'silently/made', '-k', 'box:size=3'], {
			during: (child) => child.stderr?.destroy(),
		});
		expect([code, readdirSync(path('silently/made'))]).toEqual([0, ['array.npy']]);
	});

	test.skipIf(process.platform !== 'linux')('a folder that the system will not make is an error, not an endless loop', async () => {
		const { code, stderr } = await faltung(folder, ['batch', 'array.npy', '--out', '/proc/faltung/x', '-k', 'box:size=3']);
		expect([code, stderr]).toEqual([1, 'faltung: Cannot make the folder /proc/faltung/x: there is no such file or folder (ENOENT).\n']);
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
