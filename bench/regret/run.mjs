#!/usr/bin/env node
/**
 * How much the planner's choice costs against the best plan: over a grid of problems, every possible plan of the native backend is
 * timed, all plans of a problem in turn, medians; regret is the time of the chosen one over the time of the fastest.
 *
 *   node bench/regret/run.mjs [--from 0] [--to 400] [--append results.jsonl]    measures; one line of JSON a problem
 *   node bench/regret/run.mjs --report results.jsonl [--by measured | least]    the table, of medians or of the least times
 *
 * The reference backend and emulated GPUs are left out: 'auto' never prefers them here. Times are those of one run through the
 * executable, with the pool's waking and the promise's settling, with `out`.
 */
import { appendFileSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { loadNative } from '../../dist/backend/native/native.js';
import { DTYPES } from '../../dist/core/dtype.js';
import { fromCanonical, rowMajorStrides, toCanonical } from '../../dist/core/ndarray.js';
import { describe } from '../../dist/core/problem.js';
import { verify } from '../../dist/core/verify.js';
import { choose } from '../../dist/plan/choose.js';
import { grid } from './problems.mjs';

const argument = (name, otherwise) => {
	const at = process.argv.indexOf(name);
	return at < 0 ? otherwise : process.argv[at + 1];
};
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
const LEAST_ROUNDS = 4;
const MOST_ROUNDS = 15;
/** Milliseconds of timed work per plan, as far as four rounds allow. */
const BUDGET = 60;
/** A plan that took so many times the fastest in the best of its first rounds is not run again: one slow run may be an accident. */
const HOPELESS = 4;

function viewOf(dtype, layout, sizes) {
	const data = new DTYPES[dtype].array(sizes.reduce((a, b) => a * b, 1));
	const strides = toCanonical(layout, rowMajorStrides(fromCanonical(layout, sizes)), 0);
	return { data, dtype, sizes, strides, offset: 0 };
}

async function measure({ problem, wish, ...label }, backend) {
	const { plan: chosen, candidates } = choose(problem, [backend], { order: 'cost', wish });
	const plans = candidates.flatMap(({ plan }) => (plan === undefined ? [] : [plan]));
	const image = viewOf(problem.image.dtype, problem.image.layout, problem.image.sizes);
	for (let i = 0; i < image.data.length; i++) image.data[i] = (i * 7 + (i >> 9)) % 120;
	const out = viewOf(problem.output.dtype, problem.output.layout, problem.output.sizes);
	const entries = [];
	for (const plan of plans) {
		const executable = await backend.prepare(problem, plan);
		await executable.run(image, out);
		await verify(
			{ problem, model: plan.model, plan: plan.name, tile: plan.tile, image, result: out },
			{ method: 'sample', count: 64, seed: 1 },
		);
		const began = performance.now();
		await executable.run(image, out);
		entries.push({ plan, executable, times: [performance.now() - began] });
	}
	const least = Math.min(...entries.map(({ times }) => times[0]));
	const rounds = Math.max(LEAST_ROUNDS, Math.min(MOST_ROUNDS, Math.floor(BUDGET / least)));
	for (let round = 1; round < rounds; round++) {
		for (const { executable, times } of entries) {
			if (round >= LEAST_ROUNDS && Math.min(...times) > HOPELESS * least) continue;
			const began = performance.now();
			await executable.run(image, out);
			times.push(performance.now() - began);
		}
	}
	const rows = entries.map(({ plan, times }) => ({
		name: plan.name,
		algorithm: plan.algorithm,
		accumulator: plan.accumulator,
		predicted: plan.predicted.milliseconds,
		measured: median(times.length > 1 ? times.slice(1) : times),
		least: Math.min(...times),
		chosen: plan === chosen,
	}));
	for (const { executable } of entries) executable.dispose();
	return { ...label, problem: describe(problem), rows };
}

async function run() {
	const backend = await loadNative();
	const all = grid();
	const to = Math.min(all.length, Number(argument('--to', all.length)));
	for (let n = Number(argument('--from', 0)); n < to; n++) {
		const line = JSON.stringify({ n, ...(await measure(all[n], backend)) });
		if (argument('--append') === undefined) console.log(line);
		else appendFileSync(argument('--append'), `${line}\n`);
	}
	process.stderr.write(`${to} of ${all.length}\n`);
}

const share = (list, p) => [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(p * list.length))];
const key = argument('--by', 'measured');
const regretOf = ({ rows }) => rows.find(({ chosen }) => chosen)[key] / Math.min(...rows.map((row) => row[key]));

function table(head, rows) {
	return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

function report(lines) {
	const summary = (name, list) => {
		const regrets = list.map(regretOf);
		const best = list.filter((one) => regretOf(one) === 1).length;
		return [
			name,
			list.length,
			`${((100 * best) / list.length).toFixed(0)} %`,
			...[0.5, 0.9, 0.95, 1].map((p) => share(regrets, p).toFixed(2)),
		];
	};
	const groups = (key) =>
		[...new Set(lines.map((line) => line[key]))].map((value) =>
			summary(
				`${key} ${value}`,
				lines.filter((line) => line[key] === value),
			),
		);
	const worst = [...lines].sort((a, b) => regretOf(b) - regretOf(a)).slice(0, 12);
	const off = new Map();
	for (const { rows } of lines) {
		for (const { algorithm, predicted, ...times } of rows) off.set(algorithm, [...(off.get(algorithm) ?? []), predicted / times[key]]);
	}
	const wins = new Map();
	for (const { rows } of lines) {
		const best = rows.reduce((a, b) => (a[key] <= b[key] ? a : b)).algorithm;
		wins.set(best, (wins.get(best) ?? 0) + 1);
	}
	return `${lines.length} problems on ${cpus()[0].model}, ${cpus().length} cores, Node ${process.version}.

${table(['', 'problems', 'best plan taken', 'median', '90 %', '95 %', 'worst'], [summary('all', lines), ...['dtype', 'structure', 'k', 'side'].flatMap(groups)])}

Predicted time over measured time, every plan:

${table(
	['algorithm', 'plans', 'fastest of its problem', '5 %', 'median', '95 %'],
	[...off].map(([name, list]) => [
		name,
		list.length,
		wins.get(name) ?? 0,
		share(list, 0.05).toFixed(2),
		share(list, 0.5).toFixed(2),
		share(list, 0.95).toFixed(2),
	]),
)}

The worst twelve:

${table(
	['problem', 'taken', 'ms', 'best', 'ms', 'regret'],
	worst.map((line) => {
		const [taken] = line.rows.filter(({ chosen }) => chosen);
		const best = line.rows.reduce((a, b) => (a[key] <= b[key] ? a : b));
		return [line.problem, taken.name, taken[key].toPrecision(3), best.name, best[key].toPrecision(3), regretOf(line).toFixed(2)];
	}),
)}
`;
}

const file = argument('--report');
if (file === undefined) await run();
else
	console.log(
		report(
			readFileSync(file, 'utf8')
				.trim()
				.split('\n')
				.map((line) => JSON.parse(line)),
		),
	);
