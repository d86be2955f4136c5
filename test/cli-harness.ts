/** Runs the built command line as a person does. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import type { NdArray } from '../src/core/ndarray.ts';
import { writeNpy } from '../src/node/npy.ts';

const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

export interface Outcome {
	code: number | null;
	stdout: Buffer;
	/** Standard output as text. */
	text: string;
	stderr: string;
}

/** Starts the command line (another copy of it: `main`) in a folder. `during` may talk to the process while it runs. */
export function faltung(
	folder: string,
	args: readonly string[],
	options: { input?: Uint8Array; env?: Record<string, string>; during?: (child: ChildProcess) => void; main?: string } = {},
): Promise<Outcome> {
	if (!existsSync(MAIN)) throw new Error('The command line is not built: run npm run build:ts first.');
	const child = spawn(process.execPath, [options.main ?? MAIN, ...args], { cwd: folder, env: { ...process.env, ...options.env } });
	const out: Buffer[] = [];
	let stderr = '';
	child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
	child.stderr.on('data', (chunk: Buffer) => {
		stderr += chunk;
	});
	child.stdin.on('error', () => {}); // it may end before it has read everything
	child.stdin.end(options.input ?? '');
	options.during?.(child);
	return new Promise((resolve, reject) => {
		child.on('error', reject);
		child.on('close', (code) => {
			const stdout = Buffer.concat(out);
			resolve({ code, stdout, text: stdout.toString(), stderr });
		});
	});
}

/** Size of the test pictures. */
export const [height, width]: readonly [number, number] = [12, 17];
/** A picture's samples: any values that differ from their neighbours. */
export const samples = (channels: number) => Uint8Array.from({ length: height * width * channels }, (_, i) => (i * i * 31 + i * 7) % 256);

export async function writePng(
	folder: string,
	name: string,
	data: Uint8Array | Uint16Array,
	channels: 1 | 2 | 3 | 4,
	size = { height, width },
): Promise<void> {
	const space = data instanceof Uint16Array ? (channels < 3 ? 'grey16' : 'rgb16') : channels < 3 ? 'b-w' : 'srgb';
	await sharp(data, { raw: { ...size, channels } })
		.toColourspace(space)
		.png()
		.toFile(join(folder, name));
}

export const npy = (array: NdArray): Buffer => Buffer.concat(writeNpy(array));

/** A fresh folder of good and bad inputs. */
export async function fixtures(): Promise<string> {
	const folder = mkdtempSync(join(tmpdir(), 'faltung-cli-'));
	const put = (name: string, content: string | Uint8Array) => writeFileSync(join(folder, name), content);
	await writePng(folder, 'rgb.png', samples(3), 3);
	await writePng(folder, 'rgba.png', samples(4), 4);
	await writePng(folder, 'grey.png', samples(1), 1);
	const step = Uint8Array.from({ length: 64 }, (_, i) => (i % 8 < 4 ? 0 : 255));
	await writePng(folder, 'step.png', step, 1, { height: 8, width: 8 });
	put('array.npy', npy({ data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [2, 3] }));
	put('empty.png', '');
	put('text.png', 'this is no picture');
	put('cut.png', readFileSync(join(folder, 'rgb.png')).subarray(0, 200));
	mkdirSync(join(folder, 'dir'));
	return folder;
}
