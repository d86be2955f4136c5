/**
 * Overlap-save by Fourier transforms: random problems against the oracle within the bound of the region, outliers and pixels that are not
 * finite, seams. Replay: FALTUNG_SEED=… FALTUNG_CASES=1 npx vitest run test/webgpu/fft.test.ts
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fftGrain, fftLayout, pairsAtATime, placesOf, rootsOfUnity, spectrumOf } from '../../src/backend/webgpu/fft.ts';
import { chooseSizes } from '../../src/backend/webgpu/tiler.ts';
import { tuningOf } from '../../src/backend/webgpu/tuning.ts';
import { openWebGpu, type WebGpu } from '../../src/backend/webgpu/webgpu.ts';
import { fftModel } from '../../src/core/bounds.ts';
import { DTYPES, numberToFloat16 } from '../../src/core/dtype.ts';
import { fromCanonical, type PlaneView } from '../../src/core/ndarray.ts';
import { Oracle } from '../../src/core/oracle.ts';
import type { Plan } from '../../src/core/plan.ts';
import type { KernelWindow, Problem } from '../../src/core/problem.ts';
import { freshSeed, randomStream } from '../../src/core/random.ts';
import { Regions } from '../../src/core/regions.ts';
import { compare } from '../../src/core/verify.ts';
import { type Family, pick, type Random, randomCase } from './cases.ts';
import { guardedOut, judge } from './judge.ts';
import { imageOf, outOf, planOf, problemOf, ragged } from './problems.ts';

/** The first few share most of their pipelines, each of which takes a second or two to compile on lavapipe. */
const FAMILIES: readonly Family[] = (
	[
		['float32', 'float32', 'float32'],
		['float32', 'int8', 'int16'],
		['uint8', 'float32', 'float16'],
		['float16', 'float32', 'uint8'],
	] as const
).map(([image, kernel, output]) => ({ image, kernel, output, dense: true }));

const ASKED = process.env.FALTUNG_CASES === undefined ? undefined : Number(process.env.FALTUNG_CASES);
const SHARE = process.env.FALTUNG_TEST_ADAPTER_KIND === 'swiftshader' ? 1 / 8 : 1;
const AT_A_TIME = 4;
const RELAXED = { relaxed: true, epilogue: 'float32' } as const;

/** The plan with small tiles, so that small images have seams, and tiles that are smaller than their transform allows. */
function cut(plan: Plan, problem: Problem, random: Random): Plan {
	const [, , height, width] = problem.output.sizes;
	const most = (key: 'rows' | 'cols') => Math.max(1, ...problem.windows.map((window) => window[key]));
	const side = (outputs: number, taps: number, step: number) => {
		const length = pick(
			random,
			[32, 32, 64, 128].filter((n) => n >= taps + 2 * step),
		);
		const tile = Math.min(length - taps + 1, 8 + random.below(40));
		return { length, tile: tile >= outputs ? Math.max(1, outputs) : Math.max(step, tile - (tile % step)) };
	};
	const [y, x] = [side(height, most('rows'), 1), side(width, most('cols'), 4)];
	const size = { height: y.length, width: x.length };
	const steps = plan.steps.map((step) => (step.kind === 'fft' ? { ...step, size } : step));
	return {
		...plan,
		tile: { height: y.tile, width: x.tile },
		steps,
		model: fftModel(problem, size, { ...RELAXED, frame: plan.model.frame }),
	};
}

/** Complex numbers of all transforms, and pairs of tiles: more take a software GPU too long. */
const MOST = { numbers: 3e5, pairs: 50 };
function tooLong({ output }: Problem, { tile, steps: [step] }: Plan): boolean {
	const [n, channels, height, width] = output.sizes;
	const pairs = (n * channels * Math.ceil(height / tile.height) * Math.ceil(width / tile.width)) / 2;
	return step?.kind === 'fft' && (pairs > MOST.pairs || pairs * step.size.height * step.size.width > MOST.numbers);
}

/** Puts into an image what is hard for a transform. */
function roughen(image: PlaneView, random: Random): void {
	const { data, dtype } = image;
	if (!DTYPES[dtype].float) {
		if (random.below(4) === 0) (data as Uint8Array).fill(random.below(100));
		return;
	}
	const put = (k: number, value: number) => {
		data[k] = (dtype === 'float16' ? numberToFloat16(value) : value) as never;
	};
	const kind = random.below(6);
	if (kind === 0) for (let k = 0; k < data.length; k++) put(k, 0.7);
	if (kind === 1 && dtype === 'float32') {
		const scale = pick(random, [1e30, 1e-30, 1e-38, 1e-41, 1e15, 3e37]);
		for (let k = 0; k < data.length; k++) put(k, (data[k] as number) * scale);
	}
	if (kind === 2 || kind === 3) {
		for (let n = 1 + random.below(3); n > 0; n--) {
			put(random.below(data.length), pick(random, [1e20, -1e25, 3e38, Number.NaN, Number.POSITIVE_INFINITY, 60000]));
		}
	}
	if (kind === 4) for (let k = 0; k < data.length; k++) put(k, 1000 + random.below(3)); // a mean far from zero
}

describe.each([
	{ robustness: true, limits: undefined, families: ASKED === undefined ? 2 : 4, usual: 96 },
	{ robustness: false, limits: { piece: 8192 }, families: 1, usual: 48 },
	// few pairs at a time
	{ robustness: true, limits: { storage: 4096, threads: 16, binding: 2 ** 18 }, families: 1, usual: 48 },
])('fft on webgpu against the oracle, robustness $robustness, limits $limits', ({ robustness, limits, families, usual }) => {
	const cases = ASKED ?? Math.ceil(usual * SHARE);
	let gpu: WebGpu;
	beforeAll(async () => {
		gpu = await openWebGpu({ robustness, ...(limits === undefined ? {} : { limits }) });
	});
	afterAll(() => gpu.dispose());

	it(`${cases} random problems`, async () => {
		const seed = process.env.FALTUNG_SEED === undefined ? freshSeed() : Number(process.env.FALTUNG_SEED);
		const failures: string[] = [];
		let [computed, refused] = [0, 0];
		const one = async (at: number) => {
			const family = FAMILIES[at % families] as Family;
			const { problem, image } = randomCase(at, at % 3 === 0 ? { ...family, bank: true } : family);
			const random = randomStream(at);
			const [candidate] = gpu.candidates(problem, { method: 'fft', accuracy: 'norm' });
			if (candidate?.plan === undefined) {
				// an image of which not one pair of tiles fits a piece, or sums of integers
				if (limits === undefined && problem.sum !== 'integer' && !/magnitudes of the taps/.test(candidate?.why ?? ''))
					failures.push(`seed ${at}: ${candidate?.why}`);
				refused++;
				return;
			}
			roughen(image, random);
			const plan = limits !== undefined && 'piece' in limits ? candidate.plan : cut(candidate.plan, problem, random);
			if (tooLong(problem, plan)) {
				refused++;
				return;
			}
			const executable = await gpu.prepare(problem, plan);
			const out = guardedOut(problem);
			const outcome = await executable.run(image, out);
			executable.dispose();
			const wrong = judge(problem, plan, image, out, outcome);
			if (wrong !== undefined) failures.push(`seed ${at}: ${plan.name}: ${wrong}`);
			computed++;
		};
		const began = performance.now();
		for (let k = 0; k < cases && failures.length < 5; k += AT_A_TIME) {
			const seeds = Array.from({ length: Math.min(AT_A_TIME, cases - k) }, (_, i) => (seed + k + i) >>> 0);
			await Promise.all(seeds.map((at) => one(at).catch((error) => failures.push(`seed ${at}: ${error.stack}`))));
		}
		const seconds = ((performance.now() - began) / 1000).toFixed(1);
		process.stderr.write(`  fft: ${computed} problems, ${refused} refused, robustness ${robustness}, seed ${seed}, ${seconds} s\n`);
		expect(failures, `FALTUNG_SEED=${seed}`).toEqual([]);
		if (ASKED === undefined) expect(computed).toBeGreaterThan(cases / 3);
	}, 900_000);
});

describe('tables', () => {
	it('hold the spectrum in the order of the passes', () => {
		const size = { height: 32, width: 64 };
		const taps = Float64Array.from({ length: 15 }, (_, k) => Math.sin(1 + 3 * k));
		const magnitude = taps.reduce((sum, tap) => sum + Math.abs(tap), 0);
		const unit = 2 ** -Math.floor(Math.log2(magnitude)) / (size.height * size.width);
		const window: KernelWindow = { rows: 3, cols: 5, first: [0, 0], taps } as KernelWindow;
		const spectrum = spectrumOf(window, size);
		const [rows, columns] = [placesOf(size.height), placesOf(size.width)];
		for (const [v, u] of [
			[0, 0],
			[1, 0],
			[5, 9],
			[31, 63],
			[16, 33],
		] as const) {
			let [re, im] = [0, 0];
			for (let k = 0; k < 15; k++) {
				const angle = 2 * Math.PI * ((v * Math.floor(k / 5)) / size.height + (u * (k % 5)) / size.width);
				re += (taps[k] as number) * Math.cos(angle);
				im += (taps[k] as number) * Math.sin(angle);
			}
			const at = 2 * ((rows[v] as number) * size.width + (columns[u] as number));
			expect(spectrum[at]).toBeCloseTo(re * unit, 8);
			expect(spectrum[at + 1]).toBeCloseTo(im * unit, 8);
		}
	});

	it('hold roots that are exact where they can be', () => {
		const roots = rootsOfUnity(32);
		expect([...roots.subarray(0, 2), ...roots.subarray(16, 18), ...roots.subarray(32, 34)].map((v) => v + 0)).toEqual([1, 0, 0, -1, -1, 0]);
		for (let k = 0; k < 32; k++) expect(roots[2 * k]).toBeCloseTo(Math.cos((2 * Math.PI * k) / 32), 14);
	});
});

describe('a bank', () => {
	const limits = {
		binding: 2 ** 27,
		buffer: 2 ** 28,
		piece: 2 ** 25,
		products: 2 ** 40,
		storage: 16384,
		threads: 256,
		blocked: 1,
		tuning: tuningOf(''),
	};

	it('costs one transform forward, and one back for each kernel', () => {
		const layout = (kernels: number) => {
			const bank = Array.from({ length: kernels }, () => ragged(31, 31));
			const problem = problemOf({ dtype: 'float32', kernelDtype: 'float32', sizes: [1, 3, 1000, 1000], layout: 'CHW', bank });
			const { layout } = fftLayout(problem, limits, ({ size }) => (size.height === 256 && size.width === 256 ? 0 : 1));
			return layout as NonNullable<typeof layout>;
		};
		const [one, two, nine] = [layout(1), layout(2), layout(9)];
		expect(two.work / one.work).toBe(3 / 2);
		expect(nine.work / one.work).toBe(10 / 2);
		// what each further kernel moves is the same
		expect((nine.bytes - one.bytes) / (two.bytes - one.bytes)).toBeCloseTo(8, 9);
		expect(two.bytes - one.bytes).toBeLessThan(0.8 * one.bytes);
	});

	it('takes pieces that hold whole banks, of large kernels too', () => {
		const gpu = { ...limits, products: 2 ** 36 };
		const software = { ...limits, products: 2 ** 28 };
		for (const [side, kernels, within] of [
			[63, 16, gpu], // 16 results of the tiles that suit one kernel are more than a piece
			[127, 8, gpu],
			[31, 32, software],
			[127, 2, software], // too many multiply-adds, were all tiles summed directly
		] as const) {
			const bank = Array.from({ length: kernels }, () => ragged(side, side));
			const problem = problemOf({ dtype: 'float32', kernelDtype: 'float32', sizes: [1, 1, 4096, 4096], bank });
			const { layout } = fftLayout(problem, within, ({ work, bytes }) => work + bytes);
			if (layout === undefined) throw new Error('no layout');
			const [, channels] = chooseSizes(problem, within, side ** 2, fftGrain(problem, layout.tile));
			expect(channels, `${side} ${kernels}`).toBe(layout.shared ? kernels : 1);
			expect(layout.shared, `${side} ${kernels}`).toBe(within === gpu || side === 31);
		}
	});

	it('has spectra under way in bounded memory', () => {
		for (const side of [32, 64, 256, 512, 2048]) {
			for (const kernels of [1, 2, 3, 4, 9, 64, 8192]) {
				const each = side * side * 8 * kernels;
				if (each > 2 ** 26) continue; // refused: the kernels' own spectra take as much
				const pairs = pairsAtATime({ height: side, width: side }, kernels, limits.binding);
				expect(pairs * each).toBeLessThanOrEqual(2 ** 26);
				if (kernels <= 4 && each < 2 ** 24) expect(pairs * each).toBeGreaterThan((kernels * 2 ** 24) / 2 / (1 + 2 ** -10));
			}
		}
		expect(pairsAtATime({ height: 64, width: 64 }, 4, 2 ** 18)).toBe(2);
	});
});

describe('outliers', () => {
	let gpu: WebGpu;
	beforeAll(async () => {
		gpu = await openWebGpu();
	});
	afterAll(() => gpu.dispose());

	async function run(problem: Problem, plan: Plan, image: PlaneView) {
		const executable = await gpu.prepare(problem, plan);
		const out = outOf(problem);
		await executable.run(image, out);
		executable.dispose();
		return out;
	}

	/** One tile of 29x45 pixels: all of them share what is strange in it. */
	function small() {
		const problem = problemOf({
			dtype: 'float32',
			kernelDtype: 'float32',
			sizes: [1, 1, 29, 45],
			taps: ragged(5, 5),
			mode: 'valid',
		});
		const size = { height: 32, width: 64 };
		const plan = planOf(gpu, problem, 'fft');
		const steps = plan.steps.map((step) => (step.kind === 'fft' ? { ...step, size } : step));
		return { problem, plan: { ...plan, tile: { height: 25, width: 41 }, steps, model: fftModel(problem, size, RELAXED) } };
	}

	it.each([1e20, -1e8, 3e38, Number.NaN, Number.POSITIVE_INFINITY])('%s in a region leaves no trace elsewhere', async (strange) => {
		const { problem, plan } = small();
		const direct = planOf(gpu, problem, 'direct');
		for (const places of [
			[[14, 20]],
			[
				[3, 4],
				[14, 20],
				[15, 40],
			],
		] as const) {
			const image = imageOf(problem, 5);
			for (const [y, x] of places) image.data[y * 45 + x] = strange;
			const out = await run(problem, plan, image);
			const oracle = new Oracle(problem, image);
			for (let y = 0; y < 25; y++) {
				for (let x = 0; x < 41; x++) {
					const pixel = oracle.pixel(0, 0, y, x);
					const { share } = compare(problem, direct.model, pixel, out.data[y * 41 + x] as number, 0);
					expect(share, `${y} ${x}`).toBeLessThanOrEqual(1);
				}
			}
		}
	});

	it('of 1e20 in one tile of a pair stay out of the other', async () => {
		const problem = problemOf({ dtype: 'float32', kernelDtype: 'float32', sizes: [1, 1, 40, 80], taps: ragged(5, 5) });
		const plan = planOf(gpu, problem, 'fft');
		const size = { height: 64, width: 64 };
		const steps = plan.steps.map((step) => (step.kind === 'fft' ? { ...step, size } : step));
		const halves = { ...plan, tile: { height: 40, width: 40 }, steps, model: fftModel(problem, size, RELAXED) };
		const image = imageOf(problem, 6);
		for (let y = 0; y < 40; y++) for (let x = 44; x < 80; x++) image.data[y * 80 + x] = (image.data[y * 80 + x] as number) * 1e20;
		const out = await run(problem, halves, image);
		const [oracle, regions] = [new Oracle(problem, image), new Regions(problem, image, halves.tile)];
		expect(regions.of([0, 0, 0, 0], false).spread).toBeLessThan(100);
		for (let y = 0; y < 40; y++) {
			for (let x = 0; x < 40; x++) {
				const { share } = compare(
					problem,
					halves.model,
					oracle.pixel(0, 0, y, x),
					out.data[y * 80 + x] as number,
					0,
					regions.of([0, 0, y, x], false),
				);
				expect(share).toBeLessThanOrEqual(1);
			}
		}
	});

	it('and constant regions come out exactly flat', async () => {
		const { problem, plan } = small();
		const image = imageOf(problem);
		(image.data as Float32Array).fill(7);
		expect(new Set((await run(problem, plan, image)).data as Float32Array).size).toBe(1);
	});
});

describe('the same plan', () => {
	let whole: WebGpu;
	let small: WebGpu;
	beforeAll(async () => {
		whole = await openWebGpu();
		small = await openWebGpu({ limits: { piece: 24_000, products: 3000, binding: 2 ** 17 } });
	});
	afterAll(() => {
		whole.dispose();
		small.dispose();
	});
	const sizes = { HW: [1, 1, 150, 170], HWC: [1, 3, 90, 107], NCHW: [2, 2, 70, 90] } as const;
	/** A kernel in the middle of the bank's, one in a corner, one of zeros and one as large as all. */
	const bank = [[3, 2, 4, 4] as const, [0, 0, 2, 3] as const, [0, 0, 0, 0] as const, [0, 0, 7, 6] as const].map(([top, left, rows, cols]) =>
		ragged(7, 6).map((row, j) => row.map((tap, i) => (j >= top && j < top + rows && i >= left && i < left + cols ? tap : 0))),
	);

	it.each([
		{ layout: 'HW', kernels: 1 },
		{ layout: 'HWC', kernels: 1 },
		{ layout: 'NCHW', kernels: 1 },
		{ layout: 'NCHW', kernels: 4 },
	] as const)('gives the same bits whatever the pieces, $layout, $kernels', async ({ layout, kernels }) => {
		for (const boundary of kernels === 1 ? (['wrap', 'mirror'] as const) : (['wrap'] as const)) {
			const problem = problemOf({
				dtype: 'float32',
				kernelDtype: 'float32',
				layout,
				sizes: kernels === 1 ? sizes[layout] : [2, 2, 34, 45],
				...(kernels === 1 ? { taps: ragged(7, 6) } : { bank }),
				boundary: [boundary, boundary],
				mode: 'full',
			});
			const image = imageOf(problem);
			const plan = planOf(small, problem, 'fft'); // tiles small enough for all of them
			const results = [];
			for (const gpu of [whole, small]) {
				const executable = await gpu.prepare(problem, plan);
				const out = outOf(problem);
				const outcome = await executable.run(image, out);
				executable.dispose();
				if (kernels > 1) expect(judge(problem, plan, image, out, outcome)).toBeUndefined();
				results.push(new Uint8Array(out.data.buffer));
			}
			for (const other of results.slice(1)) expect(other).toEqual(results[0]);
			// and an array in device memory
			const executable = await whole.prepare(problem, plan);
			const x = await whole.upload({ data: image.data, shape: fromCanonical(layout, problem.image.sizes), layout });
			const y = await executable.runResident(x);
			const { data } = await y.read();
			expect(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)).toEqual(results[0]);
			executable.dispose();
		}
	});

	/** Workgroups of every pass of a run, summed over its dispatches, and how many those are. */
	async function passesOf(problem: Problem, plan: Plan): Promise<Record<string, { dispatches: number; groups: number }>> {
		const passes: Record<string, { dispatches: number; groups: number }> = {};
		const { device } = whole;
		const create = device.createCommandEncoder.bind(device);
		device.createCommandEncoder = (descriptor) => {
			const encoder = create(descriptor);
			const begin = encoder.beginComputePass.bind(encoder);
			encoder.beginComputePass = (which) => {
				const pass = begin(which);
				const [set, dispatch] = [pass.setPipeline.bind(pass), pass.dispatchWorkgroups.bind(pass)];
				let entry = '';
				pass.setPipeline = (pipeline) => {
					entry = JSON.parse(pipeline.label)[1];
					set(pipeline);
				};
				pass.dispatchWorkgroups = (x, y = 1, z = 1) => {
					const { dispatches, groups } = passes[entry] ?? { dispatches: 0, groups: 0 };
					passes[entry] = { dispatches: dispatches + 1, groups: groups + x * y * z };
					dispatch(x, y, z);
				};
				return pass;
			};
			return encoder;
		};
		try {
			const executable = await whole.prepare(problem, plan);
			await executable.run(imageOf(problem), outOf(problem));
			executable.dispose();
		} finally {
			device.createCommandEncoder = create;
		}
		return passes;
	}

	it('looks at an image once, and transforms it once, for all kernels of a bank', async () => {
		const spec = { dtype: 'float32', kernelDtype: 'float32', layout: 'NCHW', sizes: [2, 2, 90, 120] } as const;
		const size = { height: 32, width: 64 };
		const [one, four] = await Promise.all(
			[[bank[3] as number[][]], bank].map(async (kernels) => {
				const problem = problemOf({ ...spec, bank: kernels });
				const plan = planOf(whole, problem, 'fft');
				const steps = plan.steps.map((step) => (step.kind === 'fft' ? { ...step, size } : step));
				return { problem, plan: { ...plan, steps, tile: { height: 26, width: 56 } } };
			}),
		);
		const alone = await passesOf((one as { problem: Problem }).problem, (one as { plan: Plan }).plan);
		const banked = await passesOf((four as { problem: Problem }).problem, (four as { plan: Plan }).plan);
		// 4 planes, 4 rows of tiles, 3 columns of them in pairs one above the other
		const pairs = 4 * 2 * 3;
		expect(alone).toEqual({
			survey: { dispatches: 1, groups: 2 * pairs },
			forward: { dispatches: 1, groups: pairs },
			columns: { dispatches: 1, groups: pairs },
			inverse: { dispatches: 1, groups: pairs },
			direct: { dispatches: 1, groups: 2 * 2 * pairs },
		});
		const { columns_of_bank: columns, ...others } = banked;
		expect({ ...others, columns }).toEqual({
			survey: alone.survey,
			forward: alone.forward,
			columns: alone.columns,
			inverse: { dispatches: 1, groups: 4 * pairs },
			direct: { dispatches: 1, groups: 4 * 2 * 2 * pairs },
		});
	});

	it('is refused with the reason', async () => {
		const gpu = await openWebGpu();
		const why = (spec: Parameters<typeof problemOf>[0], accuracy: 'norm' | 'pixel' = 'norm') =>
			gpu.candidates(problemOf({ dtype: 'float32', kernelDtype: 'float32', taps: ragged(3, 3), ...spec }), { method: 'fft', accuracy })[0]
				?.why;
		expect(why({}, 'pixel')).toContain("accuracy 'pixel' forbids");
		expect(why({ stride: [2, 1] })).toContain('stride');
		expect(why({ dilation: [1, 2] })).toContain('dilated');
		expect(why({ taps: [[1e-35]] })).toContain('2^-100');
		expect(why({ taps: [[Number.NaN]] })).toContain('2^-100');
		expect(why({ dtype: 'uint8', kernelDtype: 'int32', taps: [[1, 2]] })).toContain('integer sums are exact');
		expect(why({ taps: [new Array(1200).fill(1)], sizes: [1, 1, 4, 2000] })).toContain('half of the longest transform');
		gpu.dispose();
	});
});
