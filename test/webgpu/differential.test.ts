/**
 * Random problems over dtype × mode × boundary × layout × view × stride × dilation × bank × overflow × rounding × size, every pixel against
 * the oracle. Replay: FALTUNG_SEED=… FALTUNG_CASES=1 npx vitest run test/webgpu/differential.test.ts
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isAcross } from '../../src/backend/webgpu/bank.ts';
import { bankLayers } from '../../src/backend/webgpu/direct.ts';
import { openWebGpu, type WebGpu } from '../../src/backend/webgpu/webgpu.ts';
import type { Algorithm, Plan } from '../../src/core/plan.ts';
import type { Problem } from '../../src/core/problem.ts';
import { freshSeed } from '../../src/core/random.ts';
import {
	bankFamily,
	equalBankFamily,
	equalFamily,
	type Family,
	productBankFamily,
	randomCase,
	randomFamily,
	stridedBankFamily,
} from './cases.ts';
import { guardedOut, judge } from './judge.ts';
import { imageOf, problemOf, ragged } from './problems.ts';

/**
 * Every plan for a problem but that of transforms, which have a suite of their own (fft.test.ts); where a tiled direct one stands first, the untiled shader computes it too. Running sums, which many of the
 * smallest windows could be, have problems of their own: a compile for each dtype here would be for little.
 */
function plansOf(gpu: WebGpu, problem: Problem, method: Algorithm | 'auto'): Plan[] {
	const wish = { method, accuracy: 'norm', tolerance: 0.05 } as const;
	const all = gpu.candidates(problem, wish).flatMap(({ plan }) => (plan === undefined ? [] : [plan]));
	const plans = all.filter(({ algorithm }) => algorithm !== 'fft' && (method !== 'auto' || algorithm !== 'box'));
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
/** Problems of equal taps for each of the devices with limits: on lavapipe the first of a dtype compiles for three to five seconds. */
const BOXES = 8;
/** Banks likewise; every width that comes up is compiled. */
const BANKS = 8;

/** Computed by each shader, on all devices. */
const paths = new Map<string, number>();

describe.each([
	{ robustness: true, limits: undefined, usual: 96 },
	{ robustness: false, limits: undefined, usual: 96 },
	{ robustness: true, limits: { piece: 8192, blocked: 1 }, usual: 40 },
	{ robustness: false, limits: { blocked: 1, storage: 4096, threads: 16 }, usual: 40 },
])('webgpu against the oracle, robustness $robustness, limits $limits', ({ robustness, limits, usual }) => {
	const cases = ASKED ?? Math.ceil(usual * SHARE);
	const banks = ASKED ?? (limits === undefined ? 0 : Math.ceil(BANKS * SHARE));
	const boxes = ASKED ?? (limits === undefined ? 0 : BOXES);
	let gpu: WebGpu;
	beforeAll(async () => {
		gpu = await openWebGpu({ robustness, ...(limits === undefined ? {} : { limits }) });
	});
	afterAll(() => gpu.dispose());

	/** Every plan of so many problems, each pixel against the oracle. */
	async function compute(count: number, familyOf: (seed: number) => Family, method: Algorithm | 'auto', name: string = method) {
		const start = process.env.FALTUNG_SEED === undefined ? freshSeed() : Number(process.env.FALTUNG_SEED);
		// where few are drawn, pieces of 8 KiB get a family that floats, so that running sums are reached whatever the seed
		const seed = method === 'box' && ASKED === undefined && limits?.piece !== undefined ? start - (start % (2 * PER_FAMILY)) : start;
		const began = performance.now();
		let computed = 0;
		const failures: string[] = [];
		const one = async (at: number) => {
			const { problem, image } = randomCase(at, familyOf(Math.floor(at / PER_FAMILY)));
			const plans = plansOf(gpu, problem, method);
			if (plans.length === 0 && method === 'auto') failures.push(`seed ${at}: no plan`);
			for (const plan of plans) {
				const executable = await gpu.prepare(problem, plan);
				const out = guardedOut(problem);
				const outcome = await executable.run(image, out);
				executable.dispose();
				const wrong = judge(problem, plan, image, out, outcome);
				if (wrong !== undefined) failures.push(`seed ${at}: ${plan.name}: ${wrong}`);
				const path = `${plan.algorithm} ${plan.block.height}x${plan.block.width}`;
				const bank = problem.windows.length === 1 ? [] : [`${path} bank${isAcross(problem) ? ' across' : ''}`];
				for (const each of [path, ...bank]) paths.set(each, (paths.get(each) ?? 0) + 1);
			}
			computed++;
		};
		for (let k = 0; k < count && failures.length < 5; k += AT_A_TIME) {
			await Promise.all(
				Array.from({ length: Math.min(AT_A_TIME, count - k) }, (_, i) =>
					one((seed + k + i) >>> 0).catch((error) => failures.push(`seed ${(seed + k + i) >>> 0}: ${error}`)),
				),
			);
		}
		const seconds = ((performance.now() - began) / 1000).toFixed(1);
		const where = `${gpu.capabilities.device}, robustness ${robustness}`;
		process.stderr.write(`  ${computed} problems, ${name}, on ${where}, seed ${seed}, ${seconds} s\n`);
		expect(failures, `FALTUNG_SEED=${seed}`).toEqual([]);
		expect(computed).toBe(count);
	}

	it(`${cases} random problems`, () => compute(cases, randomFamily, 'auto'), 900_000);

	if (banks > 0) it(`${banks} random banks by the dense shaders`, () => compute(banks, bankFamily, 'direct', 'banks'), 900_000);

	if (banks > 0) {
		const title = `${banks} random banks with strides and dilations`;
		it(title, () => compute(banks, stridedBankFamily, 'direct', 'banks with strides and dilations'), 900_000);
	}

	// few random ones have windows alike and results of whole words
	if (banks > 0) {
		it.each([
			{ kernels: 5, layout: 'NCHW', stride: [2, 2], dilation: [1, 1], nan: true },
			{ kernels: 3, layout: 'NCHW', stride: [1, 1], dilation: [2, 3], nan: true },
			{ kernels: 4, layout: 'NHWC', stride: [1, 2], dilation: [2, 1], nan: false },
			{ kernels: 8, layout: 'NHWC', stride: [1, 1], dilation: [1, 2], nan: true },
		] as const)('$kernels kernels, $layout, stride $stride, dilation $dilation, from the same loads', async (given) => {
			const { kernels, nan, ...spec } = given;
			const bank = Array.from({ length: kernels }, (_, m) => ragged(3, 4).map((row) => row.map((tap) => Math.round(20 * (tap + m)) || 1)));
			for (const dtypes of [{ dtype: 'float32', kernelDtype: 'float32' }, { overflow: 'wrap' }] as const) {
				const problem = problemOf({ ...dtypes, ...spec, sizes: [2, 2, 26, 32], bank });
				const [n, k, height, width] = problem.output.sizes;
				const whole = (count: number) => ({ start: 0, count });
				const piece = { batch: whole(n), channel: whole(k), row: whole(height), col: whole(width) };
				expect(bankLayers(problem, piece, 65535)).toBe(4 * Math.ceil(kernels / 4));
				const image = imageOf(problem, kernels);
				if (nan && 'dtype' in dtypes) for (const at of [700, 2000]) image.data[at] = at === 700 ? Number.NaN : Number.POSITIVE_INFINITY;
				const [plan] = plansOf(gpu, problem, 'direct') as [Plan];
				const executable = await gpu.prepare(problem, plan);
				const out = guardedOut(problem);
				const outcome = await executable.run(image, out);
				executable.dispose();
				expect(judge(problem, plan, image, out, outcome)).toBeUndefined();
			}
		});
	}

	// one kernel a workgroup: few compiles
	if (banks > 0) {
		it(`${banks} random banks of products, and of equal taps`, async () => {
			await compute(banks, productBankFamily, 'separable', 'banks of products');
			await compute(banks, productBankFamily, 'lowrank', 'banks of two products');
			await compute(banks, equalBankFamily, 'box', 'banks of equal taps');
		}, 900_000);
	}

	if (boxes > 0) it(`${boxes} random problems of equal taps by running sums`, () => compute(boxes, equalFamily, 'box'), 900_000);
});

// SwiftShader draws too few for it
it.skipIf(SHARE < 1)('every shader had its share of them', () => {
	process.stderr.write(`  ${[...paths].map(([path, count]) => `${path} ${count}`).join(', ')}\n`);
	const replay = ASKED !== undefined && ASKED < 100;
	const least = {
		'direct 1x4': 100,
		'direct 4x4': 20,
		'direct 4x4 bank': 10,
		'direct 4x4 bank across': 1,
		'separable 4x4': 50,
		'lowrank 4x4': 5,
	};
	// few are drawn, and some refused: banks into channels side by side, sums beyond 32 bits
	expect(paths.get('box 4x1') ?? 0).toBeGreaterThanOrEqual(replay ? 0 : 1);
	for (const [path, count] of Object.entries(least)) expect(paths.get(path) ?? 0, path).toBeGreaterThanOrEqual(replay ? 0 : count);
});
