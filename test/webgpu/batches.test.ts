/** Many small images: one dispatch where they come as one array, and stages that overlap where they come one by one. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { alikeOf, framesOf } from '../../src/backend/webgpu/bank.ts';
import { write } from '../../src/backend/webgpu/buffers.ts';
import { openWebGpu, type WebGpu } from '../../src/backend/webgpu/webgpu.ts';
import type { Algorithm } from '../../src/core/plan.ts';
import { createConvolver } from '../../src/index.ts';
import { guardedOut, judge } from './judge.ts';
import { imageOf, planOf, problemOf, ragged, type Spec } from './problems.ts';

/** Runs a problem and counts its dispatches. */
async function dispatches(gpu: WebGpu, spec: Spec, method?: Algorithm): Promise<number> {
	const problem = problemOf(spec);
	const plan = planOf(gpu, problem, method);
	const executable = await gpu.prepare(problem, plan);
	const [image, out] = [imageOf(problem), guardedOut(problem)];
	const { device } = gpu;
	const create = device.createCommandEncoder.bind(device);
	let count = 0;
	device.createCommandEncoder = (descriptor) => {
		const encoder = create(descriptor);
		const begin = encoder.beginComputePass.bind(encoder);
		encoder.beginComputePass = (descriptor) => {
			const pass = begin(descriptor);
			const dispatch = pass.dispatchWorkgroups.bind(pass);
			pass.dispatchWorkgroups = (x, y, z) => {
				count++;
				dispatch(x, y, z);
			};
			return pass;
		};
		return encoder;
	};
	try {
		const outcome = await executable.run(image, out);
		expect(judge(problem, plan, image, out, outcome)).toBeUndefined();
	} finally {
		device.createCommandEncoder = create;
		executable.dispose();
	}
	return count;
}

describe('one array of small images', () => {
	const bank = Array.from({ length: 6 }, (_, m) => ragged(3, 5).map((row) => row.map((tap) => tap - m / 2)));
	const image = { dtype: 'float32', kernelDtype: 'float32', sizes: [7, 3, 12, 16] } as const;

	it.each([
		{ blocked: 1, shader: 'tiled' },
		{ blocked: 2 ** 16, shader: 'direct' },
	])('with a bank is one dispatch of the $shader shader', async ({ blocked }) => {
		const gpu = await openWebGpu({ limits: { blocked } });
		expect(await dispatches(gpu, { ...image, layout: 'NCHW', bank })).toBe(1);
		gpu.dispose();
	});

	const factors = [1, 2, 3].map((m) => [m, -1, 1 / m].map((a) => [1, m, 2, m, 0.5].map((b) => a * b)));
	const boxes = [1, 2, 3, 4].map((m) => [m, m, m].map((tap) => [tap, tap, tap, tap, tap]));
	it.each([
		['separable', factors, 1],
		['box', boxes, 1],
		[
			'separable',
			[
				...factors,
				[
					[0, 0, 0, 0, 0],
					[0, 1, 2, 1, 0],
					[0, 0, 0, 0, 0],
				],
			],
			2,
		],
	] as const)('with a bank by %s is one dispatch for all kernels of a size', async (method, bank, count) => {
		const gpu = await openWebGpu({ limits: { blocked: 1 } });
		expect(await dispatches(gpu, { ...image, layout: 'NCHW', bank }, method)).toBe(count);
		gpu.dispose();
	});

	it('kernels of one size share a dispatch, as many as fit it', () => {
		const inside = (rows: number) => ragged(3, 3).map((row, j) => row.map((tap) => (j < rows ? tap : 0)));
		const problem = problemOf({ ...image, layout: 'NCHW', bank: [3, 2, 3, 0, 3, 2, 0].map(inside) });
		const all = [0, 1, 2, 3, 4, 5, 6];
		expect(alikeOf(problem, all, 9).map(({ kernels }) => kernels)).toEqual([
			[0, 2, 4],
			[1, 5],
			[3, 6],
		]);
		expect(alikeOf(problem, all, 2).map(({ kernels }) => kernels)).toEqual([[0, 2], [1, 5], [3, 6], [4]]);
	});

	it('kernels whose windows differ much have dispatches of their own', () => {
		const inside = (rows: number) => ragged(9, 3).map((row, j) => row.map((tap) => (j < rows ? tap : 0)));
		const problem = problemOf({ ...image, layout: 'NCHW', bank: [inside(1), inside(9), inside(8), inside(1), inside(0)] });
		expect(framesOf(problem, [0, 1, 2, 3, 4]).map(({ kernels, rows, cols }) => ({ kernels, rows, cols }))).toEqual([
			{ kernels: [1, 2], rows: 9, cols: 3 },
			{ kernels: [0, 3], rows: 1, cols: 3 },
			{ kernels: [4], rows: 0, cols: 0 },
		]);
	});
});

describe('images one by one', () => {
	let gpu: WebGpu;
	beforeAll(async () => {
		gpu = await openWebGpu();
	});
	afterAll(() => gpu.dispose());

	it('are filled, computed and drained at the same time, through memory that goes round', async () => {
		const c = await createConvolver([[1, 2, 1]], { verify: false, backend: gpu, mode: 'same', dtype: 'uint8', shape: [64, 64] });
		const { queue } = gpu.device;
		const [submit, writeBuffer] = [queue.submit.bind(queue), queue.writeBuffer.bind(queue)];
		let [submitted, done, mostUnderWay, largest] = [0, 0, 0, 0];
		const peaks: number[] = [];
		queue.submit = (commands) => {
			submit(commands);
			mostUnderWay = Math.max(mostUnderWay, ++submitted - done);
		};
		queue.writeBuffer = ((buffer: GPUBuffer, offset: number, data: Uint32Array<ArrayBuffer>, ...part: number[]) => {
			largest = Math.max(largest, data.byteLength);
			writeBuffer(buffer, offset, data, ...part);
		}) as typeof queue.writeBuffer;
		try {
			const images = Array.from({ length: 24 }, (_, k) => ({ data: new Uint8Array(64 * 64).fill(k), shape: [64, 64] }));
			for await (const { index, data } of c.batch(images)) {
				expect(data[65]).toBe(4 * index);
				done++;
				peaks.push(gpu.memory.peak);
			}
		} finally {
			Object.assign(queue, { submit, writeBuffer });
		}
		expect(mostUnderWay).toBeGreaterThanOrEqual(2);
		expect(peaks.at(-1)).toBeLessThan(2 * (peaks[3] as number)); // staging memory is used again, not allocated again
		expect(largest).toBeLessThan(4096); // pixels go through mapped memory
		await c.dispose();
	});
});

it('writes of tables go in steps of 4 MiB', () => {
	const parts: [at: number, first: number, count: number][] = [];
	const queue = { writeBuffer: (_: unknown, at: number, __: unknown, first: number, count: number) => parts.push([at, first, count]) };
	const MIB = 2 ** 20;
	write(queue as unknown as GPUQueue, {} as GPUBuffer, new Uint32Array((9 * MIB) / 4));
	expect(parts).toEqual([
		[0, 0, MIB],
		[4 * MIB, MIB, MIB],
		[8 * MIB, 2 * MIB, MIB / 4],
	]);
});
