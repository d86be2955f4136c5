/**
 * Random problems on the native backend against src/core/oracle.ts: integers in every bit, floats within the bound. Each problem
 * runs on every instruction set of this machine, on the calling thread and on the pool.
 *
 *     FALTUNG_SEED=…   the seed to replay (printed by a failure)
 *     FALTUNG_CASE=…   only this problem of it
 */
import { expect, test } from 'vitest';
import { loadAddon } from '../../src/backend/native/loader.ts';
import { loadNative } from '../../src/backend/native/native.ts';
import type { Plan } from '../../src/core/plan.ts';
import { makeProblem } from '../../src/core/problem.ts';
import { freshSeed, randomStream } from '../../src/core/random.ts';
import { between, bitsOf, chance, denseOut, judge, randomRequest, randomView, runOn } from './harness.ts';

const seed = Number(process.env.FALTUNG_SEED ?? freshSeed());
const only = process.env.FALTUNG_CASE;
const CASES = 2500;

const isas = loadAddon().isas();
const backends = await Promise.all(isas.map((isa) => loadNative({ isa })));

/** What went wrong with one problem, if anything did. */
async function difference(k: number): Promise<string | undefined> {
	const random = randomStream(seed + k * 7919);
	const problem = makeProblem(randomRequest(random));
	const image = randomView(random, problem.image.dtype, problem.image.sizes, { repeat: true, special: chance(random, 0.25) });
	const out = chance(random, 0.5) ? denseOut(problem) : randomView(random, problem.output.dtype, problem.output.sizes, { repeat: false });
	const bitsBy = new Map<string, string>(); // bits by arithmetic
	const change = (threads: number) => (plan: Plan) => ({
		...plan,
		threads,
		tile: { height: between(random, 1, 20), width: between(random, 1, 40) },
		// above the limit for inline work
		predicted: { ...plan.predicted, milliseconds: threads === 0 ? 0 : 1 },
	});
	for (const [b, backend] of backends.entries()) {
		for (const threads of [0, 1, 2, 7]) {
			const { plan, outcome } = await runOn(backend, problem, image, out, change(threads));
			const bits = outcome.overflowAt === undefined ? bitsOf(problem, out) : `overflow at ${outcome.overflowAt}`;
			const group = isas[b] === 'base' ? 'base' : 'fused';
			const seen = bitsBy.get(group);
			if (seen === undefined) {
				const wrong = judge(problem, plan, image, out, outcome);
				if (wrong !== undefined) return `${isas[b]}, ${threads} threads: ${wrong}`;
			} else if (seen !== bits) return `${isas[b]}, ${threads} threads: bits differ from another run of the same problem`;
			bitsBy.set(group, bits);
		}
	}
	return undefined;
}

const PER_TEST = 500;
for (let start = only === undefined ? 0 : Number(only); start < (only === undefined ? CASES : Number(only) + 1); start += PER_TEST) {
	const end = only === undefined ? Math.min(CASES, start + PER_TEST) : start + 1;
	test(`native against the oracle, seed ${seed}, problems ${start} to ${end - 1}`, { timeout: 120_000 }, async () => {
		const failures: string[] = [];
		for (let k = start; k < end; k++) {
			const wrong = await difference(k);
			if (wrong !== undefined) failures.push(`FALTUNG_SEED=${seed} FALTUNG_CASE=${k}: ${wrong}`);
		}
		expect(failures.slice(0, 5)).toEqual([]);
	});
}
