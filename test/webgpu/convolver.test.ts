/** Arrays in device memory through the public front end: convolver.run(GpuArray). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { convolve, createConvolver, kernels, openWebGpu, type WebGpu } from '../../src/index.ts';

const image = { data: Uint8Array.from({ length: 33 * 47 }, (_, k) => (k * 7919) % 251), shape: [33, 47] };
const kernel = [
	[1, -2, 1],
	[2, 4, 2],
	[0, 3, -1],
];
const options = { mode: 'same', boundary: 'mirror', overflow: 'wrap' } as const;

describe('convolver.run on arrays in device memory', () => {
	let gpu: WebGpu;
	beforeAll(async () => {
		gpu = await openWebGpu();
	});
	afterAll(() => gpu.dispose());

	it('chains, and gives what the host gives', async () => {
		const c = await createConvolver(kernel, { ...options, dtype: 'uint8' });
		using x = await gpu.upload(image);
		using y = await c.run(x);
		using z = await c.run(y);
		const once = await convolve(image, kernel, { ...options, backend: 'reference' });
		const twice = await convolve({ data: once.data, shape: once.shape }, kernel, { ...options, backend: 'reference' });
		expect((await y.read()).data).toEqual(once.data);
		expect((await z.read()).data).toEqual(twice.data);
		await c.dispose();
	});

	it('one call without a convolver takes no array in device memory, and says what does', async () => {
		using x = await gpu.upload(image);
		const says = expect.stringMatching(/image but received a GpuArray.*run\(\)/);
		await expect(convolve(x as never, kernel)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: says });
	});

	it('verifies where the options say so', async () => {
		const c = await createConvolver(kernels.gaussian({ sigma: 1 }), { ...options, verify: 'full' });
		using x = await gpu.upload(image);
		using y = await c.run(x);
		expect(y.shape).toEqual([33, 47]);
		await c.dispose();
	});

	/** Bytes that reach the host while `work` runs. */
	async function bytesMapped(work: () => Promise<void>): Promise<number> {
		const prototype = Object.getPrototypeOf(gpu.device.createBuffer({ size: 4, usage: 8 })) as GPUBuffer;
		const original = prototype.mapAsync;
		let bytes = 0;
		prototype.mapAsync = function (this: GPUBuffer, mode, offset, size) {
			if (mode === 1) bytes += size ?? this.size;
			return original.call(this, mode, offset, size);
		};
		try {
			await work();
		} finally {
			prototype.mapAsync = original;
		}
		return bytes;
	}

	describe("with verify: 'sample'", () => {
		const side = 700;
		const large = { data: Uint8Array.from({ length: side * side }, (_, k) => (k * 7919) % 251), shape: [side, side] };

		it.each(['mirror', 'wrap', 'constant'] as const)('reads the windows of the sampled pixels only, %s', async (boundary) => {
			const c = await createConvolver(kernel, { mode: 'same', boundary, overflow: 'wrap', verify: 'sample' });
			using x = await gpu.upload(large);
			let y = x;
			const bytes = await bytesMapped(async () => {
				y = await c.run(x);
			});
			expect(bytes).toBeGreaterThan(64 * 9);
			expect(bytes).toBeLessThan(side * side * 0.1);
			y.dispose();
			await c.dispose();
		});

		it('finds a wrong pixel', async () => {
			const c = await createConvolver(kernel, { ...options, verify: 'sample' });
			using x = await gpu.upload(large);
			const { queue } = gpu.device;
			const submit = queue.submit.bind(queue);
			// the image changes once the result has been computed: every sampled pixel is then wrong
			queue.submit = (commands) => {
				submit(commands);
				queue.writeBuffer(x.buffer, 0, new Uint8Array(side * side).fill(7));
			};
			try {
				await expect(c.run(x)).rejects.toMatchObject({ code: 'VERIFICATION_FAILED' });
			} finally {
				queue.submit = submit;
			}
			await c.dispose();
		});

		it.each(['float16', 'int16', 'float32'] as const)('reads %s, side by side and dilated', async (dtype) => {
			const c = await createConvolver(dtype === 'int16' ? kernel : kernels.gaussian({ sigma: 1 }), {
				mode: 'full',
				boundary: 'symmetric',
				layout: 'HWC',
				dilation: 2,
				outputDtype: dtype === 'int16' ? 'int32' : dtype,
				verify: 'sample',
			});
			const length = 61 * 83 * 3;
			const data =
				dtype === 'float32'
					? new Float32Array(length).fill(0.5)
					: dtype === 'int16'
						? new Int16Array(length).fill(-5)
						: new Uint16Array(length).fill(0x3555);
			using x = await gpu.upload({ data, dtype, shape: [61, 83, 3], layout: 'HWC' });
			using y = await c.run(x);
			expect(y.layout).toBe('HWC');
			await c.dispose();
		});
	});

	describe("with verify: 'checksum'", () => {
		const side = 700;
		const large = { data: Uint8Array.from({ length: side * side }, (_, k) => (k * 7919) % 251), shape: [side, side] };
		const floats = { data: Float32Array.from(large.data, (value) => value / 251), shape: large.shape };
		const int64 = { data: BigInt64Array.from(image.data, BigInt), shape: image.shape };
		const wide = { data: Uint16Array.from(image.data), shape: [1, 33, 47], layout: 'CHW' } as const;
		const smooth = kernels.gaussian({ sigma: 1 });

		/** Changes a few bytes of the image once the result has been computed, by the first submit. */
		async function spoilt(x: { buffer: GPUBuffer }, work: () => Promise<unknown>): Promise<unknown> {
			const { queue } = gpu.device;
			const submit = queue.submit.bind(queue);
			queue.submit = (commands) => {
				submit(commands);
				queue.submit = submit;
				queue.writeBuffer(x.buffer, 1000, Uint8Array.of(1, 2, 63, 64));
			};
			try {
				return await work();
			} finally {
				queue.submit = submit;
			}
		}

		it.each([
			['integers', large, kernel, { overflow: 'wrap' }],
			['floats', floats, smooth, {}],
			['by transforms', floats, kernels.gaussian({ sigma: 3 }), { method: 'fft' }],
			[
				'a bank by transforms',
				floats,
				{ data: Float32Array.from({ length: 3 * 63 }, (_, k) => Math.sin(k)), shape: [3, 7, 9] },
				{ method: 'fft' },
			],
			['a bank of rounded stores', wide, { data: Float32Array.of(0.5, 0.5, 0.25, 0.75), shape: [2, 1, 2] }, { layout: 'CHW' }],
		] as const)('%s: reads no pixel back, and finds what is wrong', async (_, given, taps, more) => {
			const c = await createConvolver(taps, { mode: 'same', boundary: 'mirror', ...more, verify: 'checksum' });
			using x = await gpu.upload(given);
			let y = x;
			const bytes = await bytesMapped(async () => {
				y = await c.run(x);
			});
			y.dispose();
			expect(bytes).toBe(16);
			await expect(spoilt(x, () => c.run(x))).rejects.toMatchObject({ code: 'VERIFICATION_FAILED', pixel: expect.any(Array) });
			await c.dispose();
		});

		it('of 64-bit integers reads both arrays back', async () => {
			const c = await createConvolver(kernel, { ...options, overflow: 'wrap', verify: 'checksum' });
			using x = await gpu.upload(int64);
			using y = await c.run(x);
			expect(y.dtype).toBe('int64');
			await expect(spoilt(x, () => c.run(x))).rejects.toMatchObject({ code: 'VERIFICATION_FAILED' });
			await c.dispose();
		});

		it('tells pixels that are not finite by the oracle', async () => {
			const data = floats.data.slice();
			data[300 * side + 20] = Number.NaN;
			const c = await createConvolver(smooth, { ...options, verify: 'checksum' });
			using x = await gpu.upload({ data, shape: large.shape });
			using y = await c.run(x);
			expect(y.shape).toEqual(large.shape);
			await c.dispose();
		});

		it('works in pieces, and on the host where not even those fit', async () => {
			const part = { data: floats.data.slice(0, 90 * 80), shape: [90, 80] };
			for (const limits of [
				{ piece: 8192, binding: 16384 },
				{ piece: 2048, binding: 2048 },
			]) {
				using small = await openWebGpu({ limits });
				const c = await createConvolver(kernels.gaussian({ sigma: 2 }), { ...options, verify: 'checksum', backend: small });
				using x = await small.upload(part);
				using y = await c.run(x);
				const { report } = await c.run(part);
				expect((await y.read()).data).toEqual((await c.run(part)).data);
				expect(report.verification).toMatchObject({ method: 'checksum', worst: expect.any(Number) });
				await c.dispose();
			}
		});

		it('halves pieces where device memory runs out', async () => {
			using small = await openWebGpu({ memory: 2 ** 20 });
			const r = await convolve(floats, smooth, { ...options, verify: 'checksum', backend: small });
			expect(r.report.verification?.detects).toBeLessThan(1e-3);
			expect(small.memory.peak).toBeLessThanOrEqual(2 ** 20);
		});

		it('refuses stores that are not linear before any work', async () => {
			const c = await createConvolver(kernel, { mode: 'same', verify: 'checksum' });
			using x = await gpu.upload(image);
			await expect(c.run(x)).rejects.toMatchObject({ code: 'UNSUPPORTED', message: expect.stringContaining('linear store') });
			await c.dispose();
		});
	});

	it("verify: 'sample' judges sums by transforms too", async () => {
		const floats = { data: Float32Array.from({ length: 300 * 300 }, (_, k) => ((k * 7919) % 251) / 251), shape: [300, 300] };
		const c = await createConvolver(kernels.gaussian({ sigma: 3 }), { ...options, method: 'fft', verify: 'sample' });
		using x = await gpu.upload(floats);
		using y = await c.run(x);
		expect(y.shape).toEqual([300, 300]);
		await c.dispose();
	});

	it('a batch fills, computes and drains at the same time, in bounded memory', async () => {
		const c = await createConvolver(kernel, { ...options, verify: false, backend: gpu });
		const images = Array.from({ length: 8 }, (_, k) => ({ data: image.data.map((value) => value + k), shape: image.shape }));
		const { queue } = gpu.device;
		const submit = queue.submit.bind(queue);
		let [submitted, done, mostUnderWay] = [0, 0, 0];
		queue.submit = (commands) => {
			submit(commands);
			submitted++;
			mostUnderWay = Math.max(mostUnderWay, submitted - done);
		};
		try {
			for await (const { index, data } of c.batch(images, { concurrency: 3 })) {
				done++;
				expect(index).toBe(done - 1);
				expect(data).toEqual((await convolve(images[index] as typeof image, kernel, { ...options, backend: 'reference' })).data);
			}
		} finally {
			queue.submit = submit;
		}
		expect(submitted).toBe(8); // upload, work and readback of an image are one submit
		expect(mostUnderWay).toBeGreaterThanOrEqual(2);
		await c.dispose();
	});

	it('finds a NaN in the hole of a dilated kernel', async () => {
		const data = new Float32Array(15 * 15).fill(1);
		data[7 * 15 + 7] = Number.NaN;
		const r = await convolve({ data, shape: [15, 15] }, kernel, { mode: 'same', dilation: 2, backend: gpu });
		// the window is 5 x 5 (the outer rows and columns have taps), so every output within 2 of the NaN is one
		const expected = Array.from({ length: 225 }, (_, k) => Math.abs(Math.floor(k / 15) - 7) <= 2 && Math.abs((k % 15) - 7) <= 2);
		expect(Array.from(r.data, Number.isNaN)).toEqual(expected);
	});

	it('refuses an out, another layout and another backend', async () => {
		using x = await gpu.upload(image);
		const c = await createConvolver(kernel, options);
		await expect(c.run(x, { out: new Uint8Array(33 * 47) })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
		const other = await createConvolver(kernel, { ...options, backend: 'reference' });
		await expect(other.run(x)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
		const named = await createConvolver(kernel, { ...options, backend: gpu });
		using y = await named.run(x);
		expect(y.dtype).toBe('uint8');
		const layout = await createConvolver([[1]], { layout: 'HWC' });
		await expect(layout.run(x)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
	});
});
