/** Devices: which is taken, what is lost and found again, what is borrowed, and whose error is whose. */
import { describe, expect, it } from 'vitest';
import { adapterFacts } from '../../src/backend/webgpu/device.ts';
import { openWebGpu } from '../../src/backend/webgpu/webgpu.ts';
import { imageOf, outOf, planOf, prepare, problemOf, ragged, runOnce, type Spec } from './problems.ts';

const problem = problemOf({ sizes: [1, 1, 40, 50], taps: [[1, 2, 1]], overflow: 'wrap' });
const image = imageOf(problem);

/** Dawn's instances: collected while a device is at work, one takes the process with it. */
const instances: GPU[] = [];

/** Dawn on its own, as a user of another library would have it. */
async function foreignDevice(descriptor?: GPUDeviceDescriptor): Promise<GPUDevice> {
	const { create } = await import('webgpu');
	const gpu = create([]);
	instances.push(gpu);
	return await ((await gpu.requestAdapter()) as GPUAdapter).requestDevice(descriptor);
}

describe('an adapter', () => {
	it.each([
		['llvmpipe (LLVM 15.0.6, 256 bits)', false, true],
		['SwiftShader driver 5.0.0', false, true],
		['Microsoft Basic Render Driver', false, true],
		['NVIDIA H100 80GB HBM3', false, false],
		['NVIDIA H100 80GB HBM3', true, true],
	])('%s, flagged as fallback %s: software %s', (description, isFallbackAdapter, software) => {
		const info = { vendor: '', architecture: '', device: '', description, isFallbackAdapter } as GPUAdapterInfo;
		expect(adapterFacts(info, []).software).toBe(software);
	});

	it('without the flag and without a name is a real one with a placeholder', () => {
		expect(adapterFacts(undefined, ['b', 'a'])).toEqual({ name: 'unnamed adapter', software: false, features: ['a', 'b'] });
	});

	it('that does not exist is BACKEND_UNAVAILABLE, with what to do', async () => {
		const opening = openWebGpu({ adapter: 'no such adapter' });
		await expect(opening).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE', message: expect.stringMatching(/no such adapter.*mesa/) });
	});

	it('says its limits and whether it is software', async () => {
		using gpu = await openWebGpu();
		const { capabilities, device } = gpu;
		expect(capabilities.software).toBe(process.env.FALTUNG_TEST_ADAPTER_KIND !== 'gpu');
		expect(capabilities.limits.maxBufferSize).toBe(device.limits.maxBufferSize);
		expect(device.limits.maxStorageBufferBindingSize).toBeGreaterThanOrEqual(2 ** 27);
		expect(capabilities.device).toMatch(/\w/);
	});
});

describe('a lost device', () => {
	it('is replaced at the next call, twenty times in a row', async () => {
		using gpu = await openWebGpu();
		const executable = await prepare(gpu, problem);
		const expected = outOf(problem);
		await executable.run(image, expected);
		const devices = new Set([gpu.device]);
		for (let k = 0; k < 20; k++) {
			gpu.device.destroy();
			await gpu.device.lost;
			const out = outOf(problem);
			await executable.run(image, out);
			expect(out.data).toEqual(expected.data);
			devices.add(gpu.device);
		}
		expect(devices.size).toBe(21);
		executable.dispose();
	});

	it('during a run is DEVICE_LOST for that run, and the next one succeeds', async () => {
		using gpu = await openWebGpu({ limits: { piece: 4096 } });
		const large = problemOf({ dtype: 'float32', kernelDtype: 'float32', sizes: [1, 1, 300, 300], taps: ragged(5, 5) });
		const pixels = imageOf(large);
		const executable = await prepare(gpu, large);
		for (let after = 1; after <= 5; after++) {
			const { device } = gpu;
			const submit = device.queue.submit.bind(device.queue);
			let submits = 0;
			device.queue.submit = (commands) => {
				submit(commands);
				if (++submits === after) device.destroy();
			};
			await expect(executable.run(pixels, outOf(large))).rejects.toMatchObject({
				code: 'DEVICE_LOST',
				message: expect.stringContaining('destroyed'),
			});
			const out = outOf(large);
			await executable.run(pixels, out);
			expect(gpu.device).not.toBe(device);
			using fresh = await openWebGpu();
			expect(out.data).toEqual((await runOnce(fresh, large, pixels)).out.data);
		}
		executable.dispose();
	});

	it('silently ignores submits: a result is never taken from it', async () => {
		using gpu = await openWebGpu();
		const executable = await prepare(gpu, problem);
		const out = outOf(problem);
		const { device } = gpu;
		const original = device.createCommandEncoder.bind(device);
		device.createCommandEncoder = (descriptor) => {
			device.destroy(); // the submit that follows does nothing, and says nothing
			return original(descriptor);
		};
		await expect(executable.run(image, out)).rejects.toMatchObject({ code: 'DEVICE_LOST' });
		expect(out.data.every((value) => value === 0)).toBe(true);
	});

	it('during a resident run, which reads nothing back, is noticed all the same', async () => {
		using gpu = await openWebGpu();
		const executable = await prepare(gpu, problem);
		const x = await gpu.upload({ data: image.data, shape: [40, 50] });
		const { device } = gpu;
		const submit = device.queue.submit.bind(device.queue);
		device.queue.submit = (commands) => {
			device.destroy();
			submit(commands);
		};
		await expect(executable.runResident(x)).rejects.toMatchObject({ code: 'DEVICE_LOST' });
	});

	it('takes its arrays with it', async () => {
		using gpu = await openWebGpu();
		const executable = await prepare(gpu, problem);
		const x = await gpu.upload({ data: image.data, shape: [40, 50] });
		gpu.device.destroy();
		await gpu.device.lost;
		await expect(x.read()).rejects.toMatchObject({ code: 'DEVICE_LOST' });
		await expect(executable.runResident(x)).rejects.toMatchObject({ code: expect.stringMatching(/DEVICE_LOST/) });
		x.dispose();
		using again = await gpu.upload({ data: image.data, shape: [40, 50] });
		using y = await executable.runResident(again);
		expect((await y.read()).data).toHaveLength(2000);
		executable.dispose();
	});

	it('that was borrowed stays lost, and says so', async () => {
		const device = await foreignDevice();
		using gpu = await openWebGpu({ device });
		device.destroy();
		await device.lost;
		await expect(runOnce(gpu, problem, image)).rejects.toMatchObject({ code: 'DEVICE_LOST' });
		await expect(runOnce(gpu, problem, image)).rejects.toMatchObject({ code: 'DEVICE_LOST' });
	});
});

describe('a borrowed device', () => {
	it('with default limits is used within them and never destroyed', async () => {
		const device = await foreignDevice();
		expect(device.limits.maxStorageBufferBindingSize).toBe(2 ** 27);
		let lost = false;
		void device.lost.then(() => {
			lost = true;
		});
		const errors: string[] = [];
		device.addEventListener('uncapturederror', (event) => errors.push((event as GPUUncapturedErrorEvent).error.message));
		const gpu = await openWebGpu({ device });
		expect(gpu.device).toBe(device);
		const float = problemOf({ dtype: 'float32', kernelDtype: 'float32', sizes: [1, 1, 300, 300], taps: ragged(5, 5) });
		const { out } = await runOnce(gpu, float, imageOf(float));
		using own = await openWebGpu();
		expect(out.data).toEqual((await runOnce(own, float, imageOf(float))).out.data);
		gpu.dispose();
		await device.queue.onSubmittedWorkDone();
		await new Promise((resolve) => setTimeout(resolve, 20));
		expect(lost).toBe(false);
		expect(errors).toEqual([]);
		device.destroy();
	});

	it('keeps its own error scopes and handlers', async () => {
		const device = await foreignDevice();
		const gpu = await openWebGpu({ device });
		device.pushErrorScope('validation');
		const running = runOnce(gpu, problem, image);
		expect(await device.popErrorScope()).toBeNull();
		await running;
		gpu.dispose();
		device.destroy();
	});
});

describe('an error', () => {
	it('belongs to the call that made it, not to its neighbour', async () => {
		using gpu = await openWebGpu();
		const executable = await prepare(gpu, problem);
		const buffer = gpu.device.createBuffer({ size: 2000, usage: 128 | 4 | 8 });
		const bad = gpu.wrap({ buffer, shape: [40, 50], dtype: 'uint8' });
		buffer.destroy();
		const out = outOf(problem);
		const [failed, good] = await Promise.allSettled([executable.runResident(bad), executable.run(image, out)]);
		expect(failed).toMatchObject({ status: 'rejected', reason: { code: 'INVALID_ARGUMENT' } });
		expect(good.status).toBe('fulfilled');
		using fresh = await openWebGpu();
		expect(out.data).toEqual((await runOnce(fresh, problem, image)).out.data);
		executable.dispose();
	});

	it('after dispose says that the object is disposed', async () => {
		const gpu = await openWebGpu();
		const executable = await prepare(gpu, problem);
		gpu.dispose();
		gpu.dispose();
		await expect(executable.run(image, outOf(problem))).rejects.toMatchObject({
			code: 'INVALID_ARGUMENT',
			message: expect.stringContaining('disposed'),
		});
	});
});

describe('what it cannot do', () => {
	const cases = [
		['float64 images', { dtype: 'float64', kernelDtype: 'float64' }, 'float64'],
		['float64 sums', { dtype: 'float32', kernelDtype: 'float32', accumulate: 'float64' }, 'float64'],
		['32-bit integers with float kernels', { dtype: 'int32', kernelDtype: 'float32', accumulate: 'float32' }, '32- and 64-bit'],
		['64-bit integers with float kernels', { dtype: 'uint64', kernelDtype: 'float32' }, 'float64'],
		['scales beyond float32', { scale: [1e-40] }, '2^-100'],
	] as const;
	it.each(cases)('is said before any work: %s', async (_, spec, why) => {
		using gpu = await openWebGpu();
		const [candidate] = gpu.candidates(problemOf(spec), { method: 'auto', accuracy: 'norm' });
		expect(candidate).toMatchObject({ code: 'UNSUPPORTED', why: expect.stringContaining(why) });
		expect(() => planOf(gpu, problemOf(spec))).toThrow();
	});

	it('includes the other algorithms, each with its reason', async () => {
		using gpu = await openWebGpu();
		const all = gpu.candidates(problem, { method: 'auto', accuracy: 'norm' });
		expect(all.map(({ algorithm }) => algorithm)).toEqual(['direct', 'separable', 'lowrank', 'box', 'fft']);
		expect(all.map(({ plan, why }) => plan?.algorithm ?? why)).toEqual([
			'direct',
			'separable',
			expect.stringContaining('tolerance'),
			expect.stringContaining('different values'),
			expect.stringContaining('integer sums are exact'),
		]);
	});

	it('includes tiles where pixels are not shared, and strips where no workgroup holds them', async () => {
		using gpu = await openWebGpu({ limits: { storage: 1024, blocked: 1 } });
		const wish = { method: 'auto', accuracy: 'norm' } as const;
		const reasons = (spec: Spec) => gpu.candidates(problemOf(spec), wish).map(({ why }) => why);
		const product = Array.from({ length: 61 }, () => [1, 2, 1]);
		expect(reasons({ taps: [[1, 2, 1]], stride: [2, 1] })[0]).toContain('stride');
		expect(reasons({ taps: [[1, 2, 1]], dtype: 'uint64' })[0]).toContain('4 bytes');
		expect(reasons({ taps: [[1, 2, 1]], dtype: 'uint16', outputDtype: 'float32', kernelDtype: 'int32', scale: [0.5] })[0]).toContain(
			'in registers',
		);
		expect(reasons({ taps: [[100000, 2, 1]], dtype: 'uint16', outputDtype: 'float32', kernelDtype: 'int32' })[0]).toContain(
			'at most 32 bits',
		);
		expect(reasons({ taps: [[1, 2, 1]], layout: 'HWC', sizes: [1, 5, 9, 9] })[0]).toContain('side by side');
		expect(reasons({ taps: [[1, 2, 1]], sizes: [1, 1, 1, 2 ** 21] })[0]).toContain('elements in a row');
		expect(reasons({ taps: [[1, 2, 1]], sizes: [1, 1, 2 ** 21, 1] })[1]).toContain('elements in a row');
		expect(reasons({ taps: product, sizes: [1, 1, 90, 90] })[1]).toContain('do not fit the 1024 bytes of a workgroup');
	});
});
