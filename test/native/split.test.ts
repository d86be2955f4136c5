/**
 * Every algorithm of the native backend on random problems, a good part of them with kernels of rank 1 or equal taps: within its own
 * error model, integers in every bit, and the same bits on every instruction set, for any number of threads and any tile.
 *
 *     FALTUNG_SEED=…   the seed to replay (printed by a failure)
 *     FALTUNG_CASE=…   only this problem of it
 */
import { expect, test } from 'vitest';
import { loadAddon } from '../../src/backend/native/loader.ts';
import { loadNative } from '../../src/backend/native/native.ts';
import type { Algorithm, Plan } from '../../src/core/plan.ts';
import { makeProblem } from '../../src/core/problem.ts';
import { freshSeed, randomStream } from '../../src/core/random.ts';
import { between, bitsOf, chance, denseOut, judge, plansOf, randomRequest, randomView, runOn } from './harness.ts';

const seed = Number(process.env.FALTUNG_SEED ?? freshSeed());
const only = process.env.FALTUNG_CASE;
const CASES = 2000;
const TOLERANCE = 0.3;

const isas = loadAddon().isas();
const backends = await Promise.all(isas.map((isa) => loadNative({ isa })));
const ran = new Map<Algorithm, number>();

async function difference(k: number): Promise<string | undefined> {
	const random = randomStream(seed + k * 7919);
	const problem = makeProblem(randomRequest(random));
	const image = randomView(random, problem.image.dtype, problem.image.sizes, { repeat: true, special: chance(random, 0.25) });
	const out = chance(random, 0.5) ? denseOut(problem) : randomView(random, problem.output.dtype, problem.output.sizes, { repeat: false });
	const change = (threads: number) => (plan: Plan) => ({
		...plan,
		threads,
		tile: { height: between(random, 1, 20), width: between(random, 1, 40) },
		predicted: { ...plan.predicted, milliseconds: threads === 0 ? 0 : 1 }, // 1: above the limit for inline work
	});
	const algorithms = plansOf(backends[0] as (typeof backends)[number], problem, TOLERANCE)
		.map(({ algorithm }) => algorithm)
		.filter((algorithm) => algorithm !== 'fft'); // whose tiles belong to its size
	let exact: string | undefined;
	for (const algorithm of algorithms) {
		ran.set(algorithm, (ran.get(algorithm) ?? 0) + 1);
		const bitsBy = new Map<string, string>();
		for (const [b, backend] of backends.entries()) {
			const group = isas[b] === 'base' ? 'base' : 'fused';
			for (const threads of [0, 1, 2, 7]) {
				const { plan, outcome } = await runOn(backend, problem, image, out, change(threads), algorithm);
				const bits = outcome.overflowAt === undefined ? bitsOf(problem, out) : `overflow at ${outcome.overflowAt}`;
				const seen = bitsBy.get(group);
				if (seen === undefined) {
					const wrong = judge(problem, plan, image, out, outcome);
					if (wrong !== undefined) return `${algorithm}, ${isas[b]}, ${threads} threads: ${wrong}`;
					if (plan.model.unit === 0 && plan.model.epilogueUnit === 0) {
						exact ??= bits;
						if (bits !== exact) return `${algorithm}, ${isas[b]}: other bits than ${algorithms[0]}`;
					}
				} else if (seen !== bits) return `${algorithm}, ${isas[b]}, ${threads} threads: bits differ from another run of the same problem`;
				bitsBy.set(group, bits);
			}
		}
	}
	return undefined;
}

const PER_TEST = 500;
for (let start = only === undefined ? 0 : Number(only); start < (only === undefined ? CASES : Number(only) + 1); start += PER_TEST) {
	const end = only === undefined ? Math.min(CASES, start + PER_TEST) : start + 1;
	test(`every algorithm against the oracle, seed ${seed}, problems ${start} to ${end - 1}`, { timeout: 240_000 }, async () => {
		const failures: string[] = [];
		for (let k = start; k < end; k++) {
			const wrong = await difference(k);
			if (wrong !== undefined) failures.push(`FALTUNG_SEED=${seed} FALTUNG_CASE=${k}: ${wrong}`);
		}
		expect(failures.slice(0, 5)).toEqual([]);
	});
}

test.skipIf(only !== undefined)('every algorithm was reached often', () => {
	for (const algorithm of ['direct', 'separable', 'lowrank', 'box'] as const)
		expect(ran.get(algorithm), algorithm).toBeGreaterThan(CASES / 20);
});
