/**
 * Peak memory of a run beyond image and result, each method in a process of its own; Linux (VmHWM of /proc/self/status). The goal: under 64 MiB.
 *
 *     npm run build && node bench/outputs/peak.mjs [side = 8192]
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createConvolver } from '../../dist/index.js';

const CASES = [
	['direct', 9, 'float32'],
	['direct', 9, 'uint8'],
	['separable', 31, 'float32'],
	['separable', 31, 'uint8'],
	['box', 63, 'float32'],
	['fft', 63, 'float32'],
	['fft', 127, 'uint8'],
];
const mebibytes = (key) => Number(new RegExp(`${key}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;

async function one(method, k, dtype, side) {
	const Kind = dtype === 'uint8' ? Uint8Array : Float32Array;
	const image = { data: new Kind(side * side).fill(1), shape: [side, side] };
	for (let i = 0; i < image.data.length; i += 997) image.data[i] = i % 251;
	const out = new Kind(side * side).fill(1);
	const tap = {
		direct: (j, i) => Math.sin(7 * i + 3 * j),
		separable: (j, i) => (1 + j) * (1 + i),
		box: () => 1,
		fft: (j, i) => Math.sin(7 * i + 3 * j),
	}[method];
	const taps = Array.from({ length: k }, (_, j) => Array.from({ length: k }, (_, i) => tap(j, i) / (k * k)));
	const before = mebibytes('VmRSS');
	const convolver = await createConvolver(taps, {
		backend: 'native',
		method,
		mode: 'same',
		boundary: 'symmetric',
		verify: false,
		shape: [side, side],
		dtype,
	});
	await convolver.run(image, { out });
	console.log(`| ${method} | ${k} | ${dtype} | ${(mebibytes('VmHWM') - before).toFixed(1)} |`);
}

const [first, ...rest] = process.argv.slice(2);
if (rest.length > 0) await one(first, Number(rest[0]), rest[1], Number(rest[2]));
else {
	console.log('| method | K | dtype | MiB beyond image and result |\n|---|---|---|---|');
	for (const item of CASES) {
		const args = [fileURLToPath(import.meta.url), ...item.map(String), first ?? '8192'];
		const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
		if (status !== 0) throw new Error(stderr);
		process.stdout.write(stdout);
	}
}
