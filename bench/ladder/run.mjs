/**
 * The ladder: from a naive loop to the plan that the planner takes, one idea a rung. All rungs alternate in one run; medians; every result is
 * compared with the naive one before it is timed.
 *
 *     npm run bench:ladder -- [--side 2048] [--rounds 7]
 */
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { loadNative } from '../../dist/backend/native/native.js';
import { createConvolver } from '../../dist/index.js';

const { values } = parseArgs({ options: { side: { type: 'string', default: '2048' }, rounds: { type: 'string', default: '7' } } });
const [side, rounds] = [Number(values.side), Number(values.rounds)];
const median = (times) => times.toSorted((a, b) => a - b)[times.length >> 1];

/** 'valid', correlation: four loops and nothing else. */
function naive(image, kernel, k, out) {
	const width = side - k + 1;
	for (let y = 0; y < width; y++) {
		for (let x = 0; x < width; x++) {
			let sum = 0;
			for (let j = 0; j < k; j++) for (let i = 0; i < k; i++) sum += kernel[j * k + i] * image[(y + j) * side + x + i];
			out[y * width + x] = sum;
		}
	}
}

const dense = (k) => Float32Array.from({ length: k * k }, (_, n) => Math.sin(7 * (n % k) + 3 * Math.floor(n / k) + 1) / (k * k));
const gaussian = (k) => {
	const side = Array.from({ length: k }, (_, i) => Math.exp(-18 * ((i - (k - 1) / 2) / k) ** 2));
	const sum = side.reduce((a, b) => a + b);
	return Float32Array.from({ length: k * k }, (_, n) => (side[n % k] * side[Math.floor(n / k)]) / sum / sum);
};
const CASES = [
	['dense', 3, dense(3)],
	['dense', 9, dense(9)],
	['gaussian', 9, gaussian(9)],
	['box', 31, new Float32Array(31 * 31).fill(1 / 961)],
	['dense', 31, dense(31)],
];

const isas = (await loadNative()).capabilities.limits.isas.split(' ').reverse(); // base first
const best = isas.at(-1);
const threads = availableParallelism();
const RUNGS = [
	['plain TypeScript, row by row (reference, direct)', async () => ['reference', 'direct']],
	...isas.map((isa) => [
		`C, strips of columns in registers: ${isa}, 1 thread`,
		async () => [await loadNative({ isa, threads: 1 }), 'direct'],
	]),
	[`${threads} threads`, async () => [await loadNative({ isa: best, threads }), 'direct']],
	['the algorithm that the planner takes', async () => [await loadNative({ isa: best, threads }), 'auto']],
];

console.log(
	`${cpus()[0].model}, Node ${process.version}; ${side} x ${side} float32, valid, out reused; ${rounds} rounds, medians, milliseconds`,
);
const image = Float32Array.from({ length: side * side }, (_, n) => (n * 7 + (n >> 11)) % 251);
for (const [name, k, taps] of CASES) {
	const width = side - k + 1;
	const expected = new Float32Array(width * width);
	const slow = k > 9 ? 1 : rounds;
	const rungs = [['a naive loop', 'naive', () => naive(image, taps, k, expected), slow]];
	naive(image, taps, k, expected);
	for (const [idea, make] of RUNGS) {
		const [backend, method] = await make();
		if (backend === 'reference' && k > 9) continue;
		const options = { operation: 'correlate', mode: 'valid', backend, method, verify: false, shape: [side, side], dtype: 'float32' };
		const convolver = await createConvolver({ data: taps, shape: [k, k] }, options);
		const out = new Float32Array(width * width);
		const run = () => convolver.run({ data: image, shape: [side, side] }, { out });
		const { report } = await run();
		const wrong = out.findIndex((v, n) => !(Math.abs(v - expected[n]) <= 0.05));
		if (wrong >= 0) throw new Error(`${idea}: ${out[wrong]} instead of ${expected[wrong]}`);
		rungs.push([idea, report.plan, run, backend === 'reference' ? 1 : rounds]);
	}
	const times = rungs.map(() => []);
	for (let round = 0; round < rounds; round++) {
		for (const [rung, [, , run, most]] of rungs.entries()) {
			if (round >= most) continue;
			const began = performance.now();
			await run();
			times[rung].push(performance.now() - began);
		}
	}
	console.log(`\n${name}, K = ${k}\n\n| rung | plan | ms | times the one before | times the naive loop |\n|---|---|---|---|---|`);
	const medians = times.map(median);
	for (const [rung, [idea, plan]] of rungs.entries()) {
		const before = rung === 0 ? '' : (medians[rung - 1] / medians[rung]).toFixed(2);
		console.log(`| ${idea} | ${plan} | ${medians[rung].toFixed(2)} | ${before} | ${(medians[0] / medians[rung]).toFixed(1)} |`);
	}
}
