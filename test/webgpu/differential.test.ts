/**
 * Random problems over dtype × mode × boundary × layout × view × stride × dilation × bank × overflow × rounding × size, every pixel against
 * the oracle. Replay: FALTUNG_SEED=… FALTUNG_CASES=1 npx vitest run test/webgpu/differential.test.ts
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openWebGpu, type WebGpu } from '../../src/backend/webgpu/webgpu.ts';
import type { Plan } from '../../src/core/plan.ts';
import type { Problem } from '../../src/core/problem.ts';
import { freshSeed } from '../../src/core/random.ts';
import { randomCase, randomFamily } from './cases.ts';
import { guardedOut, judge } from './judge.ts';

/** Every plan for a problem but that of transforms, which have a suite of their own (fft.test.ts); where a tiled direct one stands first, the untiled shader computes it too. */
function plansOf(gpu: WebGpu, problem: Problem): Plan[] {
	const wish = { method: 'auto', accuracy: 'norm', tolerance: 0.05 } as const;
	const plans = gpu.candidates(problem, wish).flatMap(({ plan }) => (plan === undefined || plan.algorithm === 'fft' ? [] : [plan]));
	const untiled = plans.filter(({ algorithm, block }) => algorithm === 'direct' && block.height > 1);
	return [...plans, ...untiled.map((plan) => ({ ...plan, block: { height: 1, width: 4 } }))];
}

/**
 * Problems per device: SwiftShader compiles and computes an order of magnitude more slowly, and where results of every size take the tiled
 * shaders, lavapipe compiles for half a second a problem.
 */
const ASKED = process.env.FALTUNG_CASES === undefined ? undefined : Number(process.env.FALTUNG_CASES);
const SHARE = process.env.FALTUNG_TEST_ADAPTER_KIND === 'swiftshader' ? 1 / 16 : 1;
/** Consecutive seeds that share their dtypes: each combination costs a compile or two. */
const PER_FAMILY = 32;
const AT_A_TIME = 8;

/** Computed by each shader, on all devices. */
const paths = new Map<string, number>();

describe.each([
	{ robustness: true, limits: undefined, usual: 128 },
	{ robustness: false, limits: undefined, usual: 128 },
	{ robustness: true, limits: { piece: 8192, blocked: 1 }, usual: 64 },
	{ robustness: false, limits: { blocked: 1, storage: 4096, threads: 16 }, usual: 64 },
])('webgpu against the oracle, robustness $robustness, limits $limits', ({ robustness, limits, usual }) => {
	const cases = ASKED ?? usual * SHARE;
	let gpu: WebGpu;
	beforeAll(async () => {
		gpu = await openWebGpu({ robustness, ...(limits === undefined ? {} : { limits }) });
	});
	afterAll(() => gpu.dispose());

	it(`${cases} random problems`, async () => {
		const seed = process.env.FALTUNG_SEED === undefined ? freshSeed() : Number(process.env.FALTUNG_SEED);
		const began = performance.now();
		let computed = 0;
		const failures: string[] = [];
		const one = async (at: number) => {
			const { problem, image } = randomCase(at, randomFamily(Math.floor(at / PER_FAMILY)));
			const plans = plansOf(gpu, problem);
			if (plans.length === 0) failures.push(`seed ${at}: no plan`);
			for (const plan of plans) {
				const executable = await gpu.prepare(problem, plan);
				const out = guardedOut(problem);
				const outcome = await executable.run(image, out);
				executable.dispose();
				const wrong = judge(problem, plan, image, out, outcome);
				if (wrong !== undefined) failures.push(`seed ${at}: ${plan.name}: ${wrong}`);
				const path = `${plan.algorithm} ${plan.block.height}x${plan.block.width}`;
				paths.set(path, (paths.get(path) ?? 0) + 1);
			}
			computed++;
		};
		for (let k = 0; k < cases && failures.length < 5; k += AT_A_TIME) {
			await Promise.all(
				Array.from({ length: Math.min(AT_A_TIME, cases - k) }, (_, i) =>
					one((seed + k + i) >>> 0).catch((error) => failures.push(`seed ${(seed + k + i) >>> 0}: ${error}`)),
				),
			);
		}
		const seconds = ((performance.now() - began) / 1000).toFixed(1);
		process.stderr.write(`  ${computed} problems on ${gpu.capabilities.device}, robustness ${robustness}, seed ${seed}, ${seconds} s\n`);
		expect(failures, `FALTUNG_SEED=${seed}`).toEqual([]);
		expect(computed).toBe(cases);
	}, 900_000);
});

it('every shader had its share of them', () => {
	process.stderr.write(`  ${[...paths].map(([path, count]) => `${path} ${count}`).join(', ')}\n`);
	const replay = ASKED !== undefined && ASKED < 100;
	const least = { 'direct 1x4': 100, 'direct 4x4': 20, 'separable 4x4': 50, 'lowrank 4x4': 5 };
	for (const [path, count] of Object.entries(least)) expect(paths.get(path) ?? 0, path).toBeGreaterThanOrEqual(replay ? 0 : count * SHARE);
});
