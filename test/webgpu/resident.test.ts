/** Arrays in device memory: chains without a copy to the host, tiled chains, wrapped buffers. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { USAGE } from '../../src/backend/webgpu/buffers.ts';
import { isGpuArray } from '../../src/backend/webgpu/gpu-array.ts';
import { openWebGpu, type WebGpu } from '../../src/backend/webgpu/webgpu.ts';
import { BOUNDARIES } from '../../src/core/boundary.ts';
import { fromCanonical } from '../../src/core/ndarray.ts';
import { imageOf, prepare, problemOf, ragged, runOnce, type Spec } from './problems.ts';

const STORAGE = USAGE.STORAGE | USAGE.COPY_SRC | USAGE.COPY_DST;

/** Counts bytes mapped for reading while `work` runs. */
async function bytesRead(gpu: WebGpu, work: () => Promise<void>): Promise<number> {
	const prototype = Object.getPrototypeOf(gpu.device.createBuffer({ size: 4, usage: USAGE.COPY_DST })) as GPUBuffer;
	const original = prototype.mapAsync;
	let read = 0;
	prototype.mapAsync = function (this: GPUBuffer, mode, offset, size) {
		if (mode === 1) read += size ?? this.size;
		return original.call(this, mode, offset, size);
	};
	try {
		await work();
	} finally {
		prototype.mapAsync = original;
	}
	return read;
}

const toImage = (spec: Spec, seed = 1) => {
	const problem = problemOf(spec);
	const image = imageOf(problem, seed);
	const { layout, sizes } = problem.image;
	return { problem, image, array: { data: image.data, dtype: image.dtype, shape: fromCanonical(layout, sizes), layout } };
};

describe('resident arrays', () => {
	let gpu: WebGpu;
	beforeAll(async () => {
		gpu = await openWebGpu();
	});
	afterAll(() => gpu.dispose());
	afterEach(async () => {
		await gpu.device.queue.onSubmittedWorkDone();
	});

	it('chain without a byte to the host, and give the bits of host runs', async () => {
		const { problem, image, array } = toImage({ dtype: 'float32', kernelDtype: 'float32', sizes: [1, 1, 70, 90], taps: ragged(3, 5) });
		const executable = await prepare(gpu, problem);
		let view = image;
		for (let k = 0; k < 3; k++) view = (await runOnce(gpu, problem, view)).out;
		const x = await gpu.upload(array);
		expect(isGpuArray(x)).toBe(true);
		let y = x;
		const read = await bytesRead(gpu, async () => {
			for (let k = 0; k < 3; k++) {
				const next = await executable.runResident(y);
				y.dispose();
				y = next;
			}
		});
		expect(read).toBe(0);
		const got = await y.read();
		expect(got).toMatchObject({ shape: [70, 90], dtype: 'float32' });
		expect(got.data).toEqual(view.data);
		y.dispose();
		executable.dispose();
	});

	it('read a range', async () => {
		const { array } = toImage({ dtype: 'uint8', sizes: [1, 1, 13, 17] });
		using x = await gpu.upload(array);
		expect((await x.read({ start: 5, count: 30 })).data).toEqual((array.data as Uint8Array).slice(5, 35));
		await expect(x.read({ start: 200, count: 30 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
	});

	it('upload strided views', async () => {
		const data = Float32Array.from({ length: 60 }, (_, i) => i);
		using x = await gpu.upload({ data, shape: [4, 5], strides: [-12, 2], offset: 36 });
		expect((await x.read()).data).toEqual(Float32Array.from({ length: 20 }, (_, k) => 36 - 12 * Math.floor(k / 5) + 2 * (k % 5)));
	});

	it("throw under overflow: 'throw' and name the pixel", async () => {
		const { problem } = toImage({ sizes: [1, 1, 9, 9], taps: [[2]], overflow: 'throw' });
		const data = new Uint8Array(81);
		data[40] = 200;
		using x = await gpu.upload({ data, shape: [9, 9] });
		const executable = await prepare(gpu, problem);
		await expect(executable.runResident(x)).rejects.toMatchObject({ code: 'OVERFLOW', message: expect.stringContaining('[4, 4]') });
		executable.dispose();
	});

	it('that do not fit the problem, the device or their own life are refused', async () => {
		const { problem, array } = toImage({ sizes: [1, 1, 9, 9] });
		const executable = await prepare(gpu, problem);
		using other = await gpu.upload({ data: new Uint8Array(72), shape: [8, 9] });
		await expect(executable.runResident(other)).rejects.toMatchObject({
			code: 'INVALID_ARGUMENT',
			message: expect.stringContaining('[8,9]'),
		});
		const elsewhere = await openWebGpu();
		using foreign = await elsewhere.upload(array);
		await expect(executable.runResident(foreign)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
		elsewhere.dispose();
		const x = await gpu.upload(array);
		x.dispose();
		x.dispose();
		await expect(executable.runResident(x)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
		await expect(x.read()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
		executable.dispose();
	});

	describe('cut into pieces', () => {
		const SPECS: [string, Spec][] = BOUNDARIES.flatMap((boundary) =>
			(['HW', 'HWC', 'NCHW', 'NHWC'] as const).map((layout): [string, Spec] => [
				`${boundary} ${layout}`,
				{
					dtype: layout === 'NCHW' ? 'uint16' : 'uint8',
					layout,
					sizes: [layout.includes('N') ? 2 : 1, layout.includes('C') ? 3 : 1, 37, 29],
					taps: [
						[1, -2, 3],
						[4, 5, -6],
						[7, 1, 2],
					],
					boundary: [boundary, boundary],
					mode: 'full',
					overflow: 'wrap',
				},
			]),
		);
		let tiny: WebGpu;
		let narrow: WebGpu;
		beforeAll(async () => {
			tiny = await openWebGpu({ limits: { piece: 1024, binding: 2048 } });
			narrow = await openWebGpu({ limits: { piece: 128, binding: 2048 }, robustness: false });
		});
		afterAll(() => {
			tiny.dispose();
			narrow.dispose();
		});
		it.each(SPECS)('equal host runs: %s', async (_, spec) => {
			const { problem, image, array } = toImage(spec);
			const expected = (await runOnce(gpu, problem, image)).out.data;
			for (const cut of [tiny, narrow]) {
				const executable = await prepare(cut, problem);
				using x = await cut.upload(array);
				using y = await executable.runResident(x);
				expect((await y.read()).data).toEqual(expected);
				executable.dispose();
			}
		});
	});

	describe('wrap', () => {
		it('takes a foreign buffer and never destroys it', async () => {
			const { problem, image, array } = toImage({ sizes: [1, 1, 9, 12], taps: [[1, 1]] });
			const buffer = gpu.device.createBuffer({ size: 108, usage: STORAGE });
			gpu.device.queue.writeBuffer(buffer, 0, array.data as Uint8Array<ArrayBuffer>);
			const x = gpu.wrap({ buffer, shape: [9, 12], dtype: 'uint8' });
			const executable = await prepare(gpu, problem);
			using y = await executable.runResident(x);
			expect((await y.read()).data).toEqual((await runOnce(gpu, problem, image)).out.data);
			x.dispose();
			expect((await gpu.wrap({ buffer, shape: [108, 1], dtype: 'uint8' }).read()).data).toEqual(array.data);
			buffer.destroy();
			executable.dispose();
		});

		it('checks size, usage, mapped state, dtype and layout at once', () => {
			const good = gpu.device.createBuffer({ size: 108, usage: STORAGE });
			const mapped = gpu.device.createBuffer({ size: 108, usage: STORAGE, mappedAtCreation: true });
			const copyOnly = gpu.device.createBuffer({ size: 108, usage: USAGE.COPY_SRC });
			const refused = { code: 'INVALID_ARGUMENT' };
			const wrap = (part: object) => () => gpu.wrap({ buffer: good, shape: [9, 12], dtype: 'uint8', ...part });
			expect(wrap({})).not.toThrow();
			expect(wrap({ shape: [9, 13] })).toThrow(
				expect.objectContaining({ ...refused, message: expect.stringContaining('at least 120 bytes') }),
			);
			expect(wrap({ dtype: 'float32' })).toThrow(expect.objectContaining(refused));
			expect(wrap({ dtype: 'complex64' })).toThrow(expect.objectContaining(refused));
			expect(wrap({ shape: [3, 3, 12] })).toThrow(expect.objectContaining({ ...refused, message: expect.stringContaining('layout') }));
			expect(wrap({ buffer: mapped })).toThrow(expect.objectContaining({ ...refused, message: expect.stringContaining('unmapped') }));
			expect(wrap({ buffer: copyOnly })).toThrow(expect.objectContaining({ ...refused, message: expect.stringContaining('STORAGE') }));
		});

		it('finds a destroyed buffer and one of another device at the first use', async () => {
			const { problem } = toImage({ sizes: [1, 1, 9, 12], taps: [[1, 1]] });
			const executable = await prepare(gpu, problem);
			const destroyed = gpu.device.createBuffer({ size: 108, usage: STORAGE });
			const x = gpu.wrap({ buffer: destroyed, shape: [9, 12], dtype: 'uint8' });
			destroyed.destroy();
			await expect(executable.runResident(x)).rejects.toMatchObject({
				code: 'INVALID_ARGUMENT',
				message: expect.stringContaining('destroyed'),
			});
			await expect(x.read()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
			const elsewhere = await openWebGpu();
			const foreign = elsewhere.device.createBuffer({ size: 108, usage: STORAGE });
			const z = gpu.wrap({ buffer: foreign, shape: [9, 12], dtype: 'uint8' });
			await expect(executable.runResident(z)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
			await expect(z.read()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
			elsewhere.dispose();
			executable.dispose();
		});
	});
});
