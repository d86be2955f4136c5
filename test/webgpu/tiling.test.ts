/** Pieces: they cover the result, keep to the limits, and their seams cannot be seen. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { arrangementOf } from '../../src/backend/webgpu/direct.ts';
import { chooseSizes, pieceNeeds, pieceSizes, pieces, type TileLimits } from '../../src/backend/webgpu/tiler.ts';
import { tuningOf } from '../../src/backend/webgpu/tuning.ts';
import { openWebGpu, type WebGpu } from '../../src/backend/webgpu/webgpu.ts';
import { BOUNDARIES } from '../../src/core/boundary.ts';
import { randomCase, randomFamily } from './cases.ts';
import { imageOf, outOf, planOf, prepare, problemOf, ragged, runOnce } from './problems.ts';

const LIMITS: TileLimits = {
	binding: 2048,
	buffer: 4096,
	piece: 2048,
	products: 5000,
	blocked: 1,
	storage: 16384,
	threads: 256,
	tuning: tuningOf(''),
};

describe('the tiler', () => {
	it('covers every output once, within the limits', () => {
		let [cut, refused] = [0, 0];
		for (let seed = 1; seed <= 400; seed++) {
			const { problem } = randomCase(seed, randomFamily(seed));
			const [N, K, H, W] = problem.output.sizes;
			const work = Math.max(1, ...problem.windows.map(({ taps }) => taps.length));
			const single = pieceNeeds(problem, [1, arrangementOf(problem.output.layout) === 'interleaved' ? K : 1, 1, 1], work);
			if (Math.max(single.input, single.output, single.tables) > 2048) {
				expect(() => chooseSizes(problem, LIMITS, work), `seed ${seed}`).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }));
				refused++;
				continue;
			}
			const sizes = chooseSizes(problem, LIMITS, work);
			const seen = new Uint8Array(N * K * H * W);
			let count = 0;
			for (const piece of pieces(problem, sizes)) {
				count++;
				const needs = pieceNeeds(problem, pieceSizes(piece), work);
				expect(Math.max(needs.input, needs.output, needs.tables), `seed ${seed}`).toBeLessThanOrEqual(2048);
				for (let n = 0; n < piece.batch.count; n++) {
					for (let k = 0; k < piece.channel.count; k++) {
						for (let y = 0; y < piece.row.count; y++) {
							for (let x = 0; x < piece.col.count; x++) {
								const at = (((n + piece.batch.start) * K + k + piece.channel.start) * H + y + piece.row.start) * W + x + piece.col.start;
								seen[at] = (seen[at] as number) + 1;
							}
						}
					}
				}
			}
			expect(
				seen.every((times) => times === 1),
				`seed ${seed}`,
			).toBe(true);
			if (count > 1) cut++;
		}
		expect(refused).toBeLessThan(80);
		expect(cut).toBeGreaterThan(40);
	});

	it('says the numbers where not one output fits', () => {
		const problem = problemOf({ dtype: 'float32', kernelDtype: 'float32', sizes: [1, 1, 64, 64], taps: ragged(40, 40) });
		expect(() => chooseSizes(problem, LIMITS, 1600)).toThrow(/needs 6400 bytes of input.*a piece may have 2048/);
	});
});

describe('seams', () => {
	let whole: WebGpu;
	/** Every piece size, every way through the shaders, strips of every shape. */
	const LIMITED = [
		{ piece: 1500 },
		{ piece: 4000, blocked: 1, storage: 4096 },
		{ blocked: 1, storage: 2048, threads: 8 },
		{ products: 300 },
	] as const;
	const cut = new Map<string, WebGpu>();
	beforeAll(async () => {
		whole = await openWebGpu();
		for (const [k, limits] of LIMITED.entries()) cut.set(JSON.stringify(limits), await openWebGpu({ limits, robustness: k !== 1 }));
	});
	afterAll(() => {
		whole.dispose();
		for (const gpu of cut.values()) gpu.dispose();
	});

	/** Each shader's kind of problem. */
	const KINDS = [
		['tiled', 'direct', { taps: ragged(5, 4) }],
		['untiled', 'direct', { taps: ragged(5, 4), stride: [2, 1] }],
		['separable', 'separable', { taps: [1, 3, -2, 1, 0.5].map((a) => [2, -1, 3, 1].map((b) => a * b)) }],
	] as const;
	const RUNNING = ['running sums', 'box', { taps: [1, 2, 3, 4, 5].map(() => [1, 1, 1, 1].map(() => Math.fround(1 / 7))) }] as const;
	const CASES = BOUNDARIES.flatMap((boundary) => KINDS.map((kind) => [boundary, ...kind] as const));
	it.each([...CASES, ['wrap', ...RUNNING] as const])('are bit-equal to one piece, %s, %s', async (boundary, _, method, part) => {
		for (const layout of ['HW', 'HWC', 'NCHW'] as const) {
			const sizes = layout === 'HW' ? ([1, 1, 61, 67] as const) : ([layout === 'NCHW' ? 2 : 1, 3, 31, 37] as const);
			const spec = { dtype: 'float32', kernelDtype: 'float32', layout, sizes, mode: 'full', ...part } as const;
			const problem = problemOf({ ...spec, boundary: [boundary, boundary] });
			const image = imageOf(problem);
			const one = await runOnce(whole, problem, image, undefined, method);
			for (const [limits, gpu] of cut) {
				const { out } = await runOnce(gpu, problem, image, undefined, method);
				expect(new Uint8Array(out.data.buffer), limits).toEqual(new Uint8Array(one.out.data.buffer));
			}
		}
	});

	it('are named by the plan', async () => {
		const gpu = await openWebGpu({ limits: { piece: 4096, blocked: 1 } });
		const problem = problemOf({ sizes: [1, 1, 200, 300], taps: ragged(3, 3).map((row) => row.map(Math.sign)) });
		const { tile, name } = planOf(gpu, problem);
		expect(tile).toEqual({ height: 11, width: 300 });
		expect(name).toBe('direct-u8-t11x300-r4x4@webgpu');
		gpu.dispose();
	});
});

describe('device memory', () => {
	const problem = problemOf({ dtype: 'float32', kernelDtype: 'float32', sizes: [1, 1, 512, 512], taps: ragged(3, 3) });

	it('that runs out leads to smaller pieces and the same bits', async () => {
		const image = imageOf(problem);
		const plenty = await openWebGpu();
		const expected = await runOnce(plenty, problem, image);
		plenty.dispose();
		const gpu = await openWebGpu({ memory: 2 ** 20 });
		const { out } = await runOnce(gpu, problem, image);
		expect(new Uint8Array(out.data.buffer)).toEqual(new Uint8Array(expected.out.data.buffer));
		expect(gpu.memory.peak).toBeLessThanOrEqual(2 ** 20);
		gpu.dispose();
	});

	it('that does not suffice at all is LIMIT_EXCEEDED with the numbers', async () => {
		const gpu = await openWebGpu({ memory: 3000 });
		await expect(runOnce(gpu, problem, imageOf(problem))).rejects.toMatchObject({
			code: 'LIMIT_EXCEEDED',
			message: expect.stringMatching(/of at most 3000/),
		});
		gpu.dispose();
	});

	it('refused by the driver is met with smaller pieces too', async () => {
		const gpu = await openWebGpu();
		const executable = await prepare(gpu, problem);
		const { device } = gpu;
		const create = device.createBuffer.bind(device);
		let refused = 0;
		device.createBuffer = (descriptor) => {
			if (descriptor.size > 300_000 && descriptor.mappedAtCreation) {
				refused++;
				throw new RangeError('out of host memory');
			}
			return create(descriptor);
		};
		const image = imageOf(problem);
		const out = outOf(problem);
		await executable.run(image, out);
		expect(refused).toBeGreaterThan(0);
		device.createBuffer = create;
		const again = outOf(problem);
		await executable.run(image, again);
		expect(out.data).toEqual(again.data);
		gpu.dispose();
	});
});

describe('an abort', () => {
	it('between pieces rejects with the reason and leaves the backend usable', async () => {
		const gpu = await openWebGpu({ limits: { piece: 2048 } });
		const problem = problemOf({ sizes: [1, 1, 400, 400], taps: [[1, 2, 1]] });
		const executable = await prepare(gpu, problem);
		const image = imageOf(problem);
		const stop = new AbortController();
		const reason = new Error('enough');
		let taken = 0;
		const { device } = gpu;
		const submit = device.queue.submit.bind(device.queue);
		device.queue.submit = (commands) => {
			submit(commands);
			if (++taken === 5) stop.abort(reason);
		};
		await expect(executable.run(image, outOf(problem), stop.signal)).rejects.toBe(reason);
		expect(taken).toBeLessThan(20);
		device.queue.submit = submit;
		await expect(executable.run(image, outOf(problem), AbortSignal.abort(reason))).rejects.toBe(reason);
		const out = outOf(problem);
		await executable.run(image, out);
		const whole = await openWebGpu();
		expect(out.data).toEqual((await runOnce(whole, problem, image)).out.data);
		whole.dispose();
		gpu.dispose();
	});
});
