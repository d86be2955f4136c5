/**
 * Overlap-save by Fourier transforms, on every instruction set of this machine: random problems against src/core/oracle.ts within the bound, the
 * same bits for any number of threads and on every vector instruction set, outliers and pixels that are not finite.
 *
 *     FALTUNG_SEED=…   the seed to replay (printed by a failure)
 *     FALTUNG_CASE=…   only this problem of it
 */
import { describe, expect, test } from 'vitest';
import { loadAddon } from '../../src/backend/native/loader.ts';
import { loadNative } from '../../src/backend/native/native.ts';
import { fftModel } from '../../src/core/bounds.ts';
import { reader } from '../../src/core/dtype.ts';
import { FFT_LENGTHS } from '../../src/core/fft-size.ts';
import type { PlaneView } from '../../src/core/ndarray.ts';
import { Oracle } from '../../src/core/oracle.ts';
import type { Plan } from '../../src/core/plan.ts';
import { makeProblem, type Problem } from '../../src/core/problem.ts';
import { freshSeed, randomStream } from '../../src/core/random.ts';
import { Regions } from '../../src/core/regions.ts';
import { compare } from '../../src/core/verify.ts';
import { between, bitsOf, chance, denseOut, positions, type Random, randomRequest, randomView, simpleProblem } from './harness.ts';

const seed = Number(process.env.FALTUNG_SEED ?? freshSeed());
const only = process.env.FALTUNG_CASE;
const CASES = 600;

const isas = loadAddon().isas();
const backends = await Promise.all(isas.map((isa) => loadNative({ isa })));

function fftPlan(backend: (typeof backends)[number], problem: Problem): Plan {
	const candidate = backend.candidates(problem, { method: 'auto', accuracy: 'norm' }).find(({ algorithm }) => algorithm === 'fft');
	if (candidate?.plan === undefined) throw new Error(`no fft plan: ${candidate?.why}`);
	return candidate.plan;
}

/** The plan with small tiles, so that small images have seams. */
function cut(plan: Plan, problem: Problem, random: Random): Plan {
	const [, , height, width] = problem.output.sizes;
	const tile = { height: between(random, 1, 20), width: between(random, 1, 40) };
	const most = (key: 'rows' | 'cols') => Math.max(1, ...problem.windows.map((window) => window[key]));
	const length = (outputs: number, taps: number) => {
		const fitting = FFT_LENGTHS.filter((n) => n >= outputs + taps - 1);
		return fitting[random.below(4)] as number;
	};
	const size = {
		height: length(Math.min(tile.height, height), most('rows')),
		width: length(Math.min(tile.width, width), most('cols')),
	};
	const steps = plan.steps.map((step) => (step.kind === 'fft' ? { ...step, size } : step));
	return { ...plan, tile, steps, model: fftModel(problem, size) };
}

async function run(backend: (typeof backends)[number], problem: Problem, plan: Plan, image: PlaneView, out: PlaneView) {
	const executable = await backend.prepare(problem, plan);
	const outcome = await executable.run(image, out);
	const { body } = executable as unknown as { body: [name: string, tiles: number] };
	executable.dispose();
	return { outcome, body };
}

const withThreads = (plan: Plan, threads: number): Plan => ({
	...plan,
	threads,
	predicted: { ...plan.predicted, milliseconds: threads === 0 ? 0 : 1 }, // above the limit for inline work
});

/** Undefined, or the first pixel beyond its bound. */
function judge(problem: Problem, plan: Plan, image: PlaneView, out: PlaneView): string | undefined {
	const oracle = new Oracle(problem, image);
	const regions = new Regions(problem, image, plan.tile);
	const read = reader(out.data, out.dtype);
	for (const at of positions(problem.output.sizes)) {
		const pixel = oracle.pixel(at[0], at[1], at[2], at[3]);
		const actual = read(out.offset + at.reduce((sum, i, axis) => sum + i * (out.strides[axis] as number), 0));
		const { share, bound } = compare(problem, plan.model, pixel, actual, at[1], regions.of(at, false));
		if (!(share <= 1)) return `pixel ${at}: ${actual}, expected ${pixel.value} within ${bound}`;
	}
	return undefined;
}

/** What went wrong with one problem, if anything did. */
async function difference(k: number): Promise<string | undefined> {
	const random = randomStream(seed + k * 7919);
	const request = randomRequest(random);
	const problem = makeProblem({ ...request, stride: [1, 1], dilation: [1, 1], anchor: undefined, overflow: 'saturate' });
	if (problem.sum === 'integer') return undefined;
	const image = randomView(random, problem.image.dtype, problem.image.sizes, { repeat: true, special: chance(random, 0.25) });
	const out = chance(random, 0.5) ? denseOut(problem) : randomView(random, problem.output.dtype, problem.output.sizes, { repeat: false });
	const bitsBy = new Map<string, string>(); // bits by arithmetic
	const replay = random.uint32();
	for (const [b, backend] of backends.entries()) {
		const plan = cut(fftPlan(backend, problem), problem, randomStream(replay));
		const group = isas[b] === 'base' ? 'base' : 'fused';
		for (const threads of [0, 1, 2, 7]) {
			await run(backend, problem, withThreads(plan, threads), image, out);
			const bits = bitsOf(problem, out);
			const seen = bitsBy.get(group);
			if (seen === undefined) {
				const wrong = judge(problem, plan, image, out);
				if (wrong !== undefined) return `${isas[b]}, ${threads} threads: ${wrong}`;
			} else if (seen !== bits) return `${isas[b]}, ${threads} threads: bits differ from another run of the same problem`;
			bitsBy.set(group, bits);
		}
	}
	return undefined;
}

const PER_TEST = 200;
for (let start = only === undefined ? 0 : Number(only); start < (only === undefined ? CASES : Number(only) + 1); start += PER_TEST) {
	const end = only === undefined ? Math.min(CASES, start + PER_TEST) : start + 1;
	test(`fft against the oracle, seed ${seed}, problems ${start} to ${end - 1}`, { timeout: 120_000 }, async () => {
		const failures: string[] = [];
		for (let k = start; k < end; k++) {
			const wrong = await difference(k);
			if (wrong !== undefined) failures.push(`FALTUNG_SEED=${seed} FALTUNG_CASE=${k}: ${wrong}`);
		}
		expect(failures.slice(0, 5)).toEqual([]);
	});
}

// ── outliers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const [SIDE, K] = [300, 9];
const taps = Float64Array.from({ length: K * K }, (_, k) => Math.fround(((k * 5) % 11) / 400 - 0.004));
const floats = simpleProblem({ height: SIDE, width: SIDE, dtype: 'float32', kernelDtype: 'float32', k: K, taps });
const noise = (random: Random) => Float32Array.from({ length: SIDE * SIDE }, () => random.float());
const viewOf = (data: Float32Array): PlaneView => ({
	data,
	dtype: 'float32',
	sizes: floats.image.sizes,
	strides: [0, 0, SIDE, 1],
	offset: 0,
});

/** The largest error among pixels whose window does not hold (y, x), in units of a direct sum's own bound. */
function worstElsewhere(image: PlaneView, out: PlaneView, direct: Plan, strange: readonly (readonly [number, number])[]): number {
	const oracle = new Oracle(floats, image);
	let worst = 0;
	for (let y = 0; y < SIDE; y += 3) {
		for (let x = y % 5; x < SIDE; x += 5) {
			if (strange.some(([sy, sx]) => Math.abs(sy - y) <= K && Math.abs(sx - x) <= K)) continue;
			const { share } = compare(floats, direct.model, oracle.pixel(0, 0, y, x), out.data[y * SIDE + x] as number, 0);
			worst = Math.max(worst, share);
		}
	}
	return worst;
}

describe.each(backends)('outliers, $capabilities.isa', (backend) => {
	const plan = fftPlan(backend, floats);
	const direct = backend.candidates(floats, { method: 'auto', accuracy: 'norm' })[0]?.plan as Plan;
	// one tile: all its pixels share what is strange in it
	const tile = { height: SIDE, width: SIDE };
	const whole = {
		...plan,
		tile,
		steps: plan.steps.map((step) => (step.kind === 'fft' ? { ...step, size: { height: 320, width: 320 } } : step)),
	};

	test.each([1e20, -1e8, 3e38, Number.NaN, Number.POSITIVE_INFINITY])('%s in a region leaves no trace elsewhere', async (strange) => {
		const data = noise(randomStream(5));
		const places = [
			[100, 120],
			[40, 222],
		] as const;
		for (const [y, x] of places) data[y * SIDE + x] = strange;
		const out = denseOut(floats);
		await run(backend, floats, whole, viewOf(data), out);
		expect(worstElsewhere(viewOf(data), out, direct, places)).toBeLessThanOrEqual(1);
		const finite = out.data[100 * SIDE + 120] as number;
		if (!Number.isFinite(strange)) expect(Number.isFinite(finite)).toBe(false);
	});

	test('a region of 1e20 beside one of small numbers', async () => {
		const data = noise(randomStream(6));
		for (let y = 0; y < SIDE; y++) for (let x = 160; x < SIDE; x++) data[y * SIDE + x] = (data[y * SIDE + x] as number) * 1e20;
		const halves = {
			...plan,
			tile: { height: SIDE, width: 150 },
			steps: plan.steps.map((step) => (step.kind === 'fft' ? { ...step, size: { height: 320, width: 160 } } : step)),
		};
		const out = denseOut(floats);
		await run(backend, floats, halves, viewOf(data), out);
		// the left tile shares its transform with the right one; the pixels next to the seam are far from the large ones
		const oracle = new Oracle(floats, viewOf(data));
		const regions = new Regions(floats, viewOf(data), halves.tile);
		const model = fftModel(floats, { height: 320, width: 160 });
		expect(regions.of([0, 0, 0, 0], false).spread).toBeLessThan(1000);
		for (let y = 0; y < SIDE; y += 7) {
			for (let x = 0; x < 150; x += 3) {
				const actual = out.data[y * SIDE + x] as number;
				const { share } = compare(floats, model, oracle.pixel(0, 0, y, x), actual, 0, regions.of([0, 0, y, x], false));
				expect(share).toBeLessThanOrEqual(1);
			}
		}
	});

	test('constant regions come out exactly flat', async () => {
		const data = new Float32Array(SIDE * SIDE).fill(7);
		const out = denseOut(floats);
		await run(backend, floats, plan, viewOf(data), out);
		expect(new Set(out.data as Float32Array).size).toBe(1);
	});

	test('tiles are counted', async () => {
		const { body } = await run(backend, floats, withThreads(plan, 2), viewOf(noise(randomStream(7))), denseOut(floats));
		expect(body[1]).toBe(Math.ceil(SIDE / plan.tile.height) * Math.ceil(SIDE / plan.tile.width));
	});

	test('an abort ends the run', async () => {
		const large = simpleProblem({ height: 4000, width: 4000, dtype: 'float32', kernelDtype: 'float32', k: K, taps });
		const executable = await backend.prepare(large, withThreads(fftPlan(backend, large), 1));
		const image: PlaneView = { ...viewOf(new Float32Array(4000 * 4000)), sizes: large.image.sizes, strides: [0, 0, 4000, 1] };
		for (let k = 0; k < image.data.length; k += 3) image.data[k] = k % 101;
		const abort = new AbortController();
		const running = Promise.resolve(executable.run(image, denseOut(large), abort.signal)).catch((error: Error) => error.message);
		const began = performance.now();
		abort.abort(new Error('enough'));
		expect(await running).toBe('enough');
		expect(performance.now() - began).toBeLessThan(250); // API.md says 50 ms, of a machine that does nothing else
		executable.dispose();
	});
});
