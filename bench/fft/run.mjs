#!/usr/bin/env node
/**
 * Overlap-save against the same on FFTW 3 (bench/peers/fftw.c), alternating: 4096 x 4096 float32, 'same', 'symmetric', with `out`, verification off;
 * and against our own direct kernels where those take less than a second. The peer's tile is the best of several sizes, tried first.
 *
 *   npm run build && node bench/fft/run.mjs [--rounds 5] [--side 4096] [--k 31,63,127]
 *
 * Needs a C compiler and FFTW 3 (Debian: libfftw3-dev). Both results are compared at 64 pixels before anything is timed.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createConvolver } from '../../dist/index.js';

const { values } = parseArgs({
	options: {
		rounds: { type: 'string', default: '5' },
		side: { type: 'string', default: '4096' },
		k: { type: 'string', default: '31,63,127' },
	},
});
const [rounds, side, threads] = [Number(values.rounds), Number(values.side), availableParallelism()];
const TILES = [192, 256, 320, 384, 512];
const DIRECT_UP_TO = 31;

const folder = mkdtempSync(join(tmpdir(), 'fftw-'));
const program = join(folder, 'fftw');
const source = fileURLToPath(new URL('../peers/fftw.c', import.meta.url));
execFileSync(process.env.CC ?? 'cc', ['-O3', '-march=native', source, '-o', program, '-lfftw3f', '-lm', '-lpthread']);
const peer = spawn(program, [String(side), String(threads)], { stdio: ['pipe', 'pipe', 'inherit'] });
const lines = createInterface({ input: peer.stdout })[Symbol.asyncIterator]();
const ask = async (line) => {
	peer.stdin.write(`${line}\n`);
	return (await lines.next()).value;
};

const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

const image = { data: new Float32Array(side * side), shape: [side, side] };
let state = 1;
for (let i = 0; i < image.data.length; i++) {
	state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
	image.data[i] = state / 2 ** 32;
}
const out = new Float32Array(side * side);

function kernelOf(k) {
	return { data: Float32Array.from({ length: k * k }, (_, i) => (((i * 7919) % 101) / 101 / (k * k)) * 2), shape: [k, k] };
}

async function timed(convolver) {
	const began = performance.now();
	await convolver.run(image, { out });
	return performance.now() - began;
}

/** The peer's best tile for a kernel, left set. */
async function bestTile(k) {
	const found = [];
	for (const n of TILES.filter((tile) => tile > 1.5 * k)) {
		await ask(`kernel ${k} ${n}`);
		await ask('run');
		found.push({ n, time: Math.min(Number(await ask('run')), Number(await ask('run'))) });
	}
	const [{ n }] = found.sort((a, b) => a.time - b.time);
	await ask(`kernel ${k} ${n}`);
	return n;
}

async function compare(k) {
	for (let i = 0; i < 64; i++) {
		const [y, x] = [(i * 7919) % side, (i * 104729) % side];
		const theirs = Number(await ask(`pixel ${y} ${x}`));
		const ours = out[y * side + x];
		if (!(Math.abs(theirs - ours) <= 1e-4 * Math.abs(ours)))
			throw new Error(`K = ${k}, pixel ${y}, ${x}: ${ours} here, ${theirs} with FFTW`);
	}
}

console.log(
	`${cpus()[0].model}, ${threads} threads, Node ${process.version}, ${side} x ${side} float32; ${rounds} rounds, medians, milliseconds`,
);
console.log('| K | plan | fft | MP/s | predicted | FFTW (tile) | MP/s | FFTW / fft | direct |\n|---|---|---|---|---|---|---|---|---|');
for (const k of values.k.split(',').map(Number)) {
	const options = { mode: 'same', boundary: 'symmetric', backend: 'native', operation: 'correlate', shape: image.shape, dtype: 'float32' };
	const checked = await createConvolver(kernelOf(k), { ...options, method: 'fft', verify: 'sample' });
	await checked.run(image, { out });
	await checked.dispose();
	const convolver = await createConvolver(kernelOf(k), { ...options, method: 'fft', verify: false });
	const direct = k > DIRECT_UP_TO ? undefined : await createConvolver(kernelOf(k), { ...options, method: 'direct', verify: false });
	const n = await bestTile(k);
	await timed(convolver);
	await compare(k);
	const times = { ours: [], theirs: [], ratios: [], direct: [] };
	for (let round = 0; round < rounds; round++) {
		const ours = await timed(convolver);
		const theirs = Number(await ask('run'));
		times.ours.push(ours);
		times.theirs.push(theirs);
		times.ratios.push(theirs / ours);
		if (direct !== undefined) times.direct.push(await timed(direct));
	}
	const rate = (ms) => ((side * side) / ms / 1000).toFixed(0);
	const [ours, theirs] = [median(times.ours), median(times.theirs)];
	const row = [
		k,
		convolver.plan.name,
		ours.toFixed(1),
		rate(ours),
		convolver.plan.toJSON().predicted.milliseconds.toFixed(1),
		`${theirs.toFixed(1)} (${n})`,
		rate(theirs),
		median(times.ratios).toFixed(2),
		direct === undefined ? '' : median(times.direct).toFixed(1),
	];
	console.log(`| ${row.join(' | ')} |`);
	await convolver.dispose();
	await direct?.dispose();
}
peer.stdin.end();
rmSync(folder, { recursive: true });
