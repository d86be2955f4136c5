#!/usr/bin/env node
/**
 * The native backend against OpenCV: the same images, all threads each, results reused, alternating in one run.
 *
 *   npm run build && node bench/opencv/run.mjs [--rounds 5] [--side 4096] [--only "dense f32"] [--python python3]
 *
 * Needs a Python with cv2 and numpy (Debian: python3-opencv, whose interpreter is /usr/bin/python3). Every result is verified by the
 * library and compared with OpenCV's before anything is timed. Each round takes one call of either side; medians of the times and of the
 * rounds' ratios are printed, then the geometric mean of the ratios.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { createConvolver, kernels } from '../../dist/index.js';

const { values } = parseArgs({
	options: {
		rounds: { type: 'string', default: '5' },
		side: { type: 'string', default: '4096' },
		only: { type: 'string', default: '' },
		python: { type: 'string', default: '/usr/bin/python3' },
	},
});
const [rounds, side, threads] = [Number(values.rounds), Number(values.side), availableParallelism()];

const DTYPES = { f32: ['float32', Float32Array], u8: ['uint8', Uint8Array], f64: ['float64', Float64Array] };

/** A dense kernel without structure; float64 images get float64 taps, others float32. */
function dense(k, short) {
	const data = short === 'f64' ? new Float64Array(k * k) : new Float32Array(k * k);
	let state = 12345;
	for (let i = 0; i < data.length; i++) {
		state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
		data[i] = (2 * (state / 2 ** 32)) / (k * k);
	}
	return { data, shape: [k, k] };
}

/** OpenCV's sigma for a Gaussian of K taps is given, so both sides filter with the same one. */
const sigmaOf = (k) => 0.3 * ((k - 1) * 0.5 - 1) + 0.8;

const CASES = [
	...[3, 5, 7, 9, 11, 15, 31, 63, 127].map((k) => ({ filter: 'dense', short: 'f32', k })),
	...[3, 5, 9, 15].map((k) => ({ filter: 'dense', short: 'u8', k })),
	...[5, 9].map((k) => ({ filter: 'dense', short: 'f64', k })),
	...[5, 9, 31].map((k) => ({ filter: 'gaussian', short: 'f32', k })),
	...[5, 9, 31].map((k) => ({ filter: 'gaussian', short: 'u8', k })),
	{ filter: 'box', short: 'f32', k: 31 },
].filter(({ filter, short, k }) => `${filter} ${short} ${k}`.includes(values.only));

function kernelOf({ filter, short, k }) {
	if (filter === 'dense') return dense(k, short);
	if (filter === 'gaussian') return kernels.gaussian({ sigma: sigmaOf(k), radius: (k - 1) / 2 });
	return kernels.box({ size: k });
}

const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

/** One JSON line out, one in. */
function startPeer() {
	const child = spawn(values.python, [new URL('peer.py', import.meta.url).pathname, String(threads)], {
		stdio: ['pipe', 'pipe', 'inherit'],
	});
	child.on('error', (error) => {
		console.error(`The peer could not be started (${error.message}): install a Python with cv2 and numpy, or name it with --python.`);
		process.exit(1);
	});
	const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
	const read = async () => {
		const { done, value } = await lines.next();
		if (done) throw new Error('The peer ended: does its Python have cv2 and numpy?');
		return JSON.parse(value);
	};
	const ask = (request) => {
		child.stdin.write(`${JSON.stringify(request)}\n`);
		return read();
	};
	return { read, ask, stop: () => child.stdin.end() };
}

/** Largest difference of two results, and where ours is farther from OpenCV's than rounding explains. */
function compare(ours, theirs, short) {
	let worst = 0;
	for (let i = 0; i < ours.length; i++) worst = Math.max(worst, Math.abs(ours[i] - theirs[i]));
	// OpenCV rounds u8 Gaussians in fixed point; floats differ by the order of additions (values up to 255)
	const most = short === 'u8' ? 1 : short === 'f64' ? 1e-9 : 2e-2;
	if (!(worst <= most)) throw new Error(`the results differ by ${worst}: not timed`);
	return worst;
}

const folder = mkdtempSync(join(tmpdir(), 'faltung-opencv-'));
const peer = startPeer();
try {
	const { version } = await peer.read();
	console.log(`${cpus()[0].model}, ${threads} threads, Node ${process.version}, OpenCV ${version}; ${side} x ${side}, same, symmetric;`);
	console.log(`${rounds} rounds, medians, milliseconds; ${new Date().toISOString().slice(0, 10)}\n`);
	console.log('| case | K | plan | faltung | OpenCV | ratio | least ratio | difference |\n|---|---|---|---|---|---|---|---|');
	const ratios = [];
	let loaded;
	let image;
	for (const item of CASES) {
		const [dtype, Kind] = DTYPES[item.short];
		if (loaded !== item.short) {
			image = { data: new Kind(side * side), shape: [side, side] };
			for (let i = 0; i < image.data.length; i++) image.data[i] = (i * 7 + (i >> 12) * 13) % 251;
			writeFileSync(join(folder, 'image'), image.data);
			await peer.ask({ load: join(folder, 'image'), dtype, side });
			loaded = item.short;
		}
		const kernel = kernelOf(item);
		writeFileSync(join(folder, 'kernel'), kernel.data);
		const out = new Kind(side * side);
		const options = { operation: 'correlate', mode: 'same', boundary: 'symmetric', backend: 'native', shape: [side, side], dtype };
		const checked = await createConvolver(kernel, { ...options, verify: 'sample' });
		await checked.run(image, { out });
		await checked.dispose();
		await peer.ask({
			filter: item.filter,
			k: item.k,
			kernel: join(folder, 'kernel'),
			kernelDtype: item.short === 'f64' ? 'float64' : 'float32',
			sigma: sigmaOf(item.k),
			result: join(folder, 'result'),
		});
		const bytes = readFileSync(join(folder, 'result'));
		const difference = compare(out, new Kind(bytes.buffer, bytes.byteOffset, side * side), item.short);
		const convolver = await createConvolver(kernel, { ...options, verify: false });
		await convolver.run(image, { out });
		const [ours, theirs, each] = [[], [], []];
		for (let round = 0; round < rounds; round++) {
			const began = performance.now();
			await convolver.run(image, { out });
			ours.push(performance.now() - began);
			theirs.push((await peer.ask({ time: true })).milliseconds);
			each.push(theirs.at(-1) / ours.at(-1));
		}
		ratios.push(median(each));
		const row = [`${item.filter} ${item.short}`, item.k, convolver.plan.name, median(ours).toFixed(1), median(theirs).toFixed(1)];
		console.log(`| ${[...row, median(each).toFixed(2), Math.min(...each).toFixed(2), difference.toPrecision(2)].join(' | ')} |`);
		await convolver.dispose();
	}
	const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
	console.log(`\ngeometric mean of the ratios ${mean.toFixed(2)}, least ${Math.min(...ratios).toFixed(2)} (goals: 4 and 1.5)`);
} finally {
	peer.stop();
	rmSync(folder, { recursive: true, force: true });
}
