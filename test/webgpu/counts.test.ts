/** How often the shaders multiply, load, store and wait for an output: the numbers that docs/webgpu.md and the cost model rest on. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runOf } from '../../src/backend/webgpu/box.ts';
import { type BoxStrip, boxStripOf } from '../../src/backend/webgpu/tiled.ts';
import { tuningOf } from '../../src/backend/webgpu/tuning.ts';
import { openWebGpu, type WebGpu } from '../../src/backend/webgpu/webgpu.ts';
import type { Algorithm } from '../../src/core/plan.ts';
import { type Counts, count } from './counts.ts';
import { imageOf, problemOf, ragged, runOnce, type Spec } from './problems.ts';

const [HEIGHT, WIDTH] = [192, 512];

/** Counts per output of a whole image. */
async function perOutput(gpu: WebGpu, spec: Spec, method: Algorithm): Promise<Counts> {
	const problem = problemOf({ sizes: [1, 1, HEIGHT, WIDTH], ...spec });
	const outputs = problem.output.sizes.reduce((a, b) => a * b, 1);
	const counts = await count(gpu, () => runOnce(gpu, problem, imageOf(problem), undefined, method));
	if (process.env.FALTUNG_COUNTS !== undefined) {
		const text = Object.entries(counts).map(([name, value]) => `${name} ${(value / outputs).toFixed(3)}`);
		process.stderr.write(`${method} ${problem.windows.length}x${problem.kernel.height}x${problem.kernel.width}: ${text.join(', ')}\n`);
	}
	return Object.fromEntries(Object.entries(counts).map(([name, value]) => [name, value / outputs])) as Counts;
}

const FLOAT = { dtype: 'float32', kernelDtype: 'float32' } as const;

describe('an output of a tiled direct sum', () => {
	let gpu: WebGpu;
	beforeAll(async () => {
		gpu = await openWebGpu({ limits: { blocked: 1 } });
	});
	afterAll(() => gpu.dispose());

	it.each([3, 5, 9, 17].map((k) => ({ k })))('of $k x $k taps is one multiply-add a tap, and few loads', async ({ k }) => {
		const counts = await perOutput(gpu, { ...FLOAT, taps: ragged(k, k) }, 'direct');
		// at the edges rows of taps are whole quads: up to 6 columns more
		expect(counts.products).toBeGreaterThanOrEqual(k * k);
		expect(counts.products).toBeLessThan(k * k * 1.15);
		// k + 3 rows of (k + 6) / 4 quads for 4 rows of 4 outputs
		expect(counts.quads).toBeLessThan(((k + 3) * (k + 9)) / 16);
		expect(counts.elements).toBeLessThan(0.6);
		expect(counts.stores).toBe(1);
		expect(counts.barriers).toBe(0);
	});

	const banks = [4, 7].map((kernels) => ({ kernels, k: 5 }));
	const more = [3, 9, 17].map((k) => ({ kernels: 8, k }));
	it.each(process.env.FALTUNG_COUNTS === undefined ? banks : [...banks, ...more])(
		'of a bank of $kernels kernels of $k x $k taps shares its pixels with 3 others',
		async ({ kernels, k }) => {
			const bank = Array.from({ length: kernels }, (_, m) => ragged(k, k).map((row) => row.map((tap) => tap + m)));
			const counts = await perOutput(gpu, { ...FLOAT, bank }, 'direct');
			const own = ((k + 3) * 4 * Math.ceil((k + 6) / 4)) / 16;
			const share = Math.ceil(kernels / 4) / kernels;
			expect(counts.products).toBeGreaterThanOrEqual(k * k);
			expect(counts.products).toBeLessThan(k * k * 1.15);
			// at the edges, a tenth of this small image, kernel by kernel
			expect(counts.quads).toBeGreaterThan(0.85 * own * share);
			expect(counts.quads).toBeLessThan(own * (share + 0.2));
			expect(counts.stores).toBe(1);
			expect(counts.barriers).toBe(0);
		},
	);

	it.each([
		{ layout: 'HW', stride: [2, 2], dilation: [1, 1] },
		{ layout: 'HW', stride: [1, 1], dilation: [1, 3] },
		{ layout: 'HWC', stride: [1, 2], dilation: [2, 1] },
	] as const)('of a bank of 4 with stride $stride and dilation $dilation, $layout, shares its pixels with 3 others', async (spec) => {
		const k = 5;
		const bank = Array.from({ length: 4 }, (_, m) => ragged(k, k).map((row) => row.map((tap) => tap + m)));
		const counts = await perOutput(gpu, { ...FLOAT, ...spec, bank }, 'direct');
		// one kernel by itself loads a pixel for every tap, and what lies between taps: a NaN there counts. More where windows reach over the edge
		const [y, x] = spec.dilation;
		const holes = x * y === 1 ? 0 : (4 * y + 1) * (4 * x + 1);
		expect(counts.elements).toBeGreaterThanOrEqual((0.95 * (k * k + holes)) / 4);
		expect(counts.elements).toBeLessThan((k * k + holes) / 4 + 4);
		expect(counts.products).toBeLessThanOrEqual(k * k);
		expect(counts.products).toBeGreaterThan(k * k - 3);
		expect(counts.stores).toBe(1);
	});

	it('of bytes is the same, in float32 while sums stay below 2^24 and in words beyond', async () => {
		for (const tap of [1, 1000]) {
			const taps = ragged(5, 5).map((row) => row.map((x) => Math.ceil(5 * x) * tap));
			const counts = await perOutput(gpu, { taps, overflow: 'wrap' }, 'direct');
			expect(counts.products).toBeGreaterThanOrEqual(25);
			expect(counts.products).toBeLessThan(28);
		}
	});
});

describe('an output of a separable sum', () => {
	let gpu: WebGpu;
	beforeAll(async () => {
		gpu = await openWebGpu({ limits: { storage: 16384, threads: 256 } });
	});
	afterAll(() => gpu.dispose());

	const factors = (k: number) => Array.from({ length: k }, (_, j) => 2 ** -Math.abs(j - (k - 1) / 2));

	it.each([3, 9, 17, 31].map((k) => ({ k })))('of $k x $k taps reads the image once and writes it once', async ({ k }) => {
		const taps = factors(k).map((a) => factors(k).map((b) => a * b));
		const counts = await perOutput(gpu, { ...FLOAT, taps }, 'separable');
		const window = 4 * Math.ceil((k + 3) / 4);
		// 64 columns a strip (one quad more where the image begins off a quad), and the rows before a march of twice as many
		const read = counts.quads + counts.elements;
		expect(read).toBeGreaterThanOrEqual(1);
		expect(read).toBeLessThan((1 + (window + 4) / 64) * 1.6);
		expect(counts.stores).toBe(1);
		// 2·K, quads of the row taps filled up, rows again where a march begins
		expect(counts.products).toBeLessThan(k + (window + 4) * 1.6);
		// two a chunk, for the 16 or 8 outputs of a thread in it
		expect(counts.barriers).toBeLessThan((2 / 8) * 1.6);
	});
});

describe('an output of running sums', () => {
	const limits = { storage: 16384, threads: 256, tuning: tuningOf('') };
	let gpu: WebGpu;
	beforeAll(async () => {
		gpu = await openWebGpu({ limits });
	});
	afterAll(() => gpu.dispose());

	// heights by which chunks come out even: every thread's last work is a store
	const sides = process.env.FALTUNG_COUNTS === undefined ? [33] : [9, 17, 33, 65];
	it.each(sides.map((k) => ({ k })))('of $k x $k taps reads the image once, and adds little more than at any other size', async ({ k }) => {
		const taps = Array.from({ length: k }, () => new Array<number>(k).fill(0.5));
		const counts = await perOutput(gpu, { ...FLOAT, taps }, 'box');
		const { columns, chunk } = boxStripOf(problemOf({ ...FLOAT, taps, sizes: [1, 1, HEIGHT, WIDTH] }), limits) as BoxStrip;
		// a march is twice as many rows as come before it
		const again = 1 + (Math.ceil(HEIGHT / (2 * (k - 1))) * (k - 1)) / HEIGHT;
		const read = counts.quads + counts.elements;
		expect(read).toBeGreaterThanOrEqual(1);
		expect(read).toBeLessThan((1 + (k + 8) / columns) * again);
		expect(counts.stores).toBe(1);
		const run = runOf(k);
		const staged = run === 1 ? k : run * (1 + (k - run) / columns) + Math.floor(k / run) + (k % run);
		expect(counts.staged).toBeCloseTo(staged * again, 1);
		// a row sum on either side of the block's beginning, the two of them, whatever the window's height
		expect(counts.additions).toBeLessThan(3 * again);
		expect(counts.barriers).toBeCloseTo(((run === 1 ? 2 : 3) / chunk) * again, 1);
	});
});
