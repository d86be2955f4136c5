#!/usr/bin/env node
/**
 * How near the native backend comes to this machine's limits: 4096 x 4096, 'same', 'symmetric', with `out`, through the JavaScript API.
 *
 * The limit of a direct filter is max(streaming copy of the image, multiply-adds at peak). Both are probed with all threads in the
 * same alternation as the convolution, each once per round; medians are compared. Every result is verified before it is timed.
 *
 *   npm run build && node bench/native-limits/run.mjs [rounds = 15]
 */
import { createRequire } from 'node:module';
import { availableParallelism, cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { createConvolver } from '../../dist/index.js';

const addon = createRequire(import.meta.url)(fileURLToPath(new URL('../../native/build/Release/faltung.node', import.meta.url)));
const rounds = Number(process.argv[2] ?? 15);
const isa = process.env.FALTUNG_ISA ?? addon.isas()[0];
const threads = Number(process.env.FALTUNG_THREADS ?? availableParallelism());
const SIDE = 4096;
const KS = [3, 5, 7, 9, 11, 15];
/** Image, kernel, array of the image. */
const CASES = [
	['float32', 'float32', Float32Array],
	['uint8', 'int32', Uint8Array],
	['uint8', 'float32', Uint8Array],
];

const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];

function kernelOf(dtype, k) {
	const data = dtype === 'int32' ? new Int32Array(k * k) : new Float32Array(k * k);
	for (let i = 0; i < data.length; i++) data[i] = dtype === 'int32' ? ((i * 5) % 7) - 2 : (((i * 5) % 7) + 1) / (4 * k * k);
	return { data, shape: [k, k] };
}

console.log(`${cpus()[0].model}, ${threads} threads, ${isa}, Node ${process.version}; ${rounds} rounds, medians, milliseconds`);
console.log(
	'| image * kernel | K | plan | time | CPU / threads | copy | multiply-adds | share of the limit |\n|---|---|---|---|---|---|---|---|',
);
for (const [dtype, kernelDtype, Kind] of CASES) {
	const image = { data: new Kind(SIDE * SIDE), shape: [SIDE, SIDE] };
	for (let i = 0; i < image.data.length; i++) image.data[i] = (i * 7 + (i >> 12)) % 251;
	const out = new Kind(SIDE * SIDE);
	const copied = new Kind(SIDE * SIDE);
	for (const k of KS) {
		const options = { mode: 'same', boundary: 'symmetric', backend: 'native', operation: 'correlate', shape: [SIDE, SIDE], dtype };
		const checked = await createConvolver(kernelOf(kernelDtype, k), { ...options, verify: 'sample' });
		await checked.run(image, { out });
		await checked.dispose();
		const convolver = await createConvolver(kernelOf(kernelDtype, k), { ...options, verify: false });
		const [times, cpu, copies, multiplies] = [[], [], [], []];
		for (let round = 0; round < rounds; round++) {
			addon.probeCopy(isa, copied, image.data, threads); // both are warmed alike; memory made and freed in between would disturb what follows
			copies.push(image.data.byteLength / addon.probeCopy(isa, copied, image.data, threads) / 1e6);
			multiplies.push((2 * k * k * SIDE * SIDE) / addon.probeMultiplyAdd(isa, threads) / 1e6);
			await convolver.run(image, { out });
			const used = process.cpuUsage();
			const began = performance.now();
			await convolver.run(image, { out });
			times.push(performance.now() - began);
			const { user, system } = process.cpuUsage(used);
			cpu.push((user + system) / 1000 / threads);
		}
		const [time, copy, multiply] = [median(times), median(copies), median(multiplies)];
		const share = Math.max(copy, multiply) / time;
		const row = [
			`${dtype} * ${kernelDtype}`,
			k,
			convolver.plan.name,
			time.toFixed(1),
			median(cpu).toFixed(1),
			copy.toFixed(1),
			multiply.toFixed(1),
			share.toFixed(2),
		];
		console.log(`| ${row.join(' | ')} |`);
		await convolver.dispose();
	}
}
