/** Images that a callback writes straight into mapped staging memory: no copy on the host, memory that goes round, failures in between. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ConvolveOptions, convolve, createConvolver, type ImageSource, kernels, openWebGpu, type WebGpu } from '../../src/index.ts';

const kernel = [
	[1, -2, 1],
	[2, 4, 0],
];
const side = 90;
const pixels = Uint8Array.from({ length: side * side }, (_, k) => (k * 7919) % 251);
const array = { data: pixels, shape: [side, side] };
const options = { mode: 'same', overflow: 'wrap', verify: false } as const;

type Filled = ImageSource<'uint8'> & { calls: number; memory: Uint8Array };

function source(then: (memory: Uint8Array, calls: number) => unknown = () => undefined): Filled {
	return {
		shape: [side, side],
		dtype: 'uint8',
		calls: 0,
		memory: new Uint8Array(0),
		fill(memory) {
			this.memory = memory;
			this.calls++;
			memory.set(pixels);
			return then(memory, this.calls) as undefined;
		},
	};
}

/** Bytes of device memory in use: staging memory and its copy's target are, before a callback is handed one. */
const inUse = ({ memory }: WebGpu): number => memory.held - memory.idle;

const expected = async (more: ConvolveOptions = {}) => (await convolve(array, kernel, { ...options, ...more, backend: 'reference' })).data;

/** Mapped ranges that were handed out, and bytes mapped to be read, while `work` runs. */
async function watched(gpu: WebGpu, work: () => Promise<unknown>): Promise<{ ranges: Set<ArrayBufferLike>; read: number }> {
	const prototype = Object.getPrototypeOf(gpu.device.createBuffer({ size: 4, usage: 8 })) as GPUBuffer;
	const { getMappedRange, mapAsync } = prototype;
	const ranges = new Set<ArrayBufferLike>();
	let read = 0;
	prototype.getMappedRange = function (this: GPUBuffer, ...part) {
		const range = getMappedRange.apply(this, part);
		ranges.add(range);
		return range;
	};
	prototype.mapAsync = function (this: GPUBuffer, mode, offset, size) {
		if (mode === 1) read += size ?? this.size;
		return mapAsync.call(this, mode, offset, size);
	};
	try {
		await work();
	} finally {
		Object.assign(prototype, { getMappedRange, mapAsync });
	}
	return { ranges, read };
}

describe('on a device', () => {
	let gpu: WebGpu;
	beforeAll(async () => {
		gpu = await openWebGpu();
	});
	afterAll(() => gpu.dispose());

	it.each([
		[false, true],
		['checksum', true],
		['sample', false],
		['full', false],
	] as const)('verify: %s: the callback writes mapped memory: %s', async (verify, inPlace) => {
		const image = source();
		let buffer: ArrayBufferLike | undefined;
		const { fill } = image;
		image.fill = function (memory) {
			fill.call(this, memory);
			buffer = memory.buffer;
		};
		const { ranges } = await watched(gpu, async () => {
			expect((await convolve(image, kernel, { ...options, verify, backend: gpu })).data).toEqual(await expected());
		});
		expect(ranges.has(buffer as ArrayBufferLike)).toBe(inPlace);
		expect(image.calls).toBe(1);
		expect(image.memory).toHaveLength(0); // dead either way
	});

	it('checksums read the result and 16 bytes back, no pixel of the image', async () => {
		const c = await createConvolver(kernel, { ...options, verify: 'checksum', backend: gpu });
		const { read } = await watched(gpu, async () => {
			const { report } = await c.run(source());
			expect(report.verification).toMatchObject({ method: 'checksum', pixels: side * side });
		});
		expect(read).toBeLessThan(side * side + 16 + 16);
		await c.dispose();
	});

	/** Changes bytes of the image in device memory when the convolution has been submitted. */
	async function spoilt(work: () => Promise<unknown>): Promise<void> {
		const { device } = gpu;
		const { queue } = device;
		const [create, submit] = [device.createCommandEncoder.bind(device), queue.submit.bind(queue)];
		let image: GPUBuffer | undefined;
		let submits = 0;
		device.createCommandEncoder = (descriptor) => {
			const encoder = create(descriptor);
			if (descriptor?.label !== 'fill') return encoder;
			const copy = encoder.copyBufferToBuffer.bind(encoder) as (...args: unknown[]) => void;
			encoder.copyBufferToBuffer = ((...args: [GPUBuffer, number, GPUBuffer]) => {
				image = args[2];
				copy(...args);
			}) as unknown as typeof encoder.copyBufferToBuffer;
			return encoder;
		};
		queue.submit = (commands) => {
			submit(commands);
			if (++submits === 2) queue.writeBuffer(image as GPUBuffer, 1000, Uint8Array.of(1, 2, 63, 64));
		};
		try {
			await work();
		} finally {
			Object.assign(device, { createCommandEncoder: create });
			queue.submit = submit;
		}
	}

	it('checksums find what is wrong; another backend then asks the callback again', async () => {
		const image = source();
		await spoilt(async () => {
			await expect(convolve(image, kernel, { ...options, verify: 'checksum', backend: gpu })).rejects.toMatchObject({
				code: 'VERIFICATION_FAILED',
			});
		});
		expect(image.calls).toBe(1);
		await spoilt(async () => {
			const { data, report } = await convolve(image, kernel, { ...options, verify: 'checksum', backend: [gpu, 'reference'] });
			expect(report.fallbacks).toMatchObject([{ code: 'VERIFICATION_FAILED' }]);
			expect(data).toEqual(await expected());
		});
		expect(image.calls).toBe(3);
	});

	it('elements of 8 bytes are verified on the host, and are there from the beginning', async () => {
		const shape = [16, 32];
		const before = inUse(gpu);
		let mapped = 0;
		const fill = (given: BigInt64Array) => {
			given.fill(5n);
			mapped = inUse(gpu) - before;
		};
		const image: ImageSource = { shape, dtype: 'int64', fill };
		await convolve(image, [[1, 1]], { ...options, verify: 'checksum', backend: gpu });
		expect(mapped).toBeLessThan(2 * 4096);
		await convolve(image, [[1, 1]], { ...options, backend: gpu });
		expect(mapped).toBeGreaterThanOrEqual(2 * 4096);
	});

	it('a callback that fails leaves nothing behind: staging memory is back in the ring', async () => {
		const c = await createConvolver(kernel, { ...options, backend: gpu, dtype: 'uint8', shape: array.shape });
		const fail = async (times: number) => {
			for (let k = 0; k < times; k++) {
				const image = source(k % 2 === 0 ? () => expect.fail('boom') : async () => {});
				await expect(c.run(image)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
			}
			await new Promise((resolve) => setTimeout(resolve, 50)); // the ring maps its memory again
			return gpu.memory;
		};
		await c.run(source());
		const before = await fail(4);
		expect(await fail(20)).toEqual(before);
		expect((await c.run(source())).data).toEqual(await expected());
		await c.dispose();
	});

	it('forty at once hold the memory of a few', async () => {
		using own = await openWebGpu();
		const c = await createConvolver(kernel, { ...options, backend: own, dtype: 'uint8', shape: array.shape });
		const wanted = await expected();
		await Promise.all(Array.from({ length: 40 }, async () => expect((await c.run(source())).data).toEqual(wanted)));
		expect(own.memory.peak).toBeLessThan(40 * 8192); // the images alone, were they all held
		await c.dispose();
	});

	it('upload takes one, in place', async () => {
		const image = source();
		using x = await gpu.upload(image);
		expect(image.memory).toHaveLength(0);
		expect((await x.read()).data).toEqual(pixels);
		const { held } = gpu.memory;
		const broken = source(() => {
			throw new Error('boom');
		});
		await expect(gpu.upload(broken)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', cause: { message: 'boom' } });
		expect(gpu.memory.held).toBe(held);
		await expect(gpu.upload({ shape: [2, 2], dtype: 'float64', fill: () => {} })).rejects.toMatchObject({ code: 'UNSUPPORTED' });
		using empty = await gpu.upload({ shape: [0, 2], dtype: 'int16', fill: () => expect.fail('called') });
		expect((await empty.read()).data).toEqual(new Int16Array(0));
	});

	it('a float64 image is refused before its callback is called', async () => {
		const image: ImageSource = { shape: [2, 2], dtype: 'float64', fill: () => expect.fail('called') };
		await expect(convolve(image, kernel, { ...options, backend: gpu })).rejects.toMatchObject({ code: 'UNSUPPORTED' });
	});
});

describe('in pieces', () => {
	const shape = [5, 40, 33];
	const values = Int16Array.from({ length: 5 * 40 * 33 }, (_, k) => ((k * 7919) % 4001) - 2000);
	const stack: ImageSource<'int16'> = { shape, dtype: 'int16', fill: (memory) => memory.set(values) };

	it.each([
		['NHW', 1024],
		['NHW', 6000], // some images of the stack at a time
		['CHW', 6000],
		['HWC', 4096],
	] as const)('of %s, at most %d bytes each', async (layout, piece) => {
		using gpu = await openWebGpu({ limits: { piece } });
		const box = kernels.box({ size: 5 });
		for (const [taps, more] of [
			[kernel, {}],
			[kernel, { boundary: 'wrap', mode: 'full', stride: [2, 3] }],
			[kernel, { dilation: 2, boundary: 'mirror', verify: 'checksum' }],
			...(layout === 'HWC'
				? []
				: ([
						[box, { method: 'box', outputDtype: 'float32', boundary: 'symmetric' }],
						[kernels.gaussian({ sigma: 1 }), { method: 'separable', verify: 'checksum' }],
					] as const)),
		] as const) {
			const all = { ...options, layout, ...more } as const;
			const wanted = await convolve({ data: values, shape }, taps, { ...all, backend: gpu });
			expect((await convolve(stack, taps, { ...all, backend: gpu })).data).toEqual(wanted.data);
		}
	});

	it('the pixel that does not fit is named', async () => {
		using gpu = await openWebGpu({ limits: { piece: 1024 } });
		const throws = (image: ImageSource | { data: Int16Array; shape: number[] }) =>
			convolve(image, [[20]], { layout: 'NHW', overflow: 'throw', verify: false, backend: gpu }).catch((e: Error) => e.message);
		expect(await throws(stack)).toBe(await throws({ data: values, shape }));
		expect(await throws(stack)).toContain('is the first that does not');
	});

	it('an image larger than a binding is written on the host', async () => {
		using gpu = await openWebGpu({ limits: { binding: 4096 } });
		let mapped = 0;
		const image = source(() => {
			mapped = inUse(gpu);
		});
		expect((await convolve(image, kernel, { ...options, backend: gpu })).data).toEqual(await expected());
		expect(mapped).toBeLessThan(side * side);
		expect(image.calls).toBe(1);
	});

	it('… and so is one for which the device has no memory', async () => {
		const memory = 60_000;
		using gpu = await openWebGpu({ memory, limits: { piece: 1024 } });
		const large = { shape: [256, 256], dtype: 'uint8' as const };
		const data = Uint8Array.from({ length: 65_536 }, (_, k) => k % 251);
		let calls = 0;
		const fill = (given: Uint8Array) => {
			calls++;
			given.set(data);
		};
		const wanted = await convolve({ data, shape: large.shape }, kernel, { ...options, backend: 'reference' });
		expect((await convolve({ ...large, fill }, kernel, { ...options, backend: gpu })).data).toEqual(wanted.data);
		expect(calls).toBe(1);
		expect(gpu.memory.peak).toBeLessThanOrEqual(memory);
	});
});

describe('a device that is lost in the callback', () => {
	const killing = (gpu: WebGpu) => source((_, calls) => calls === 1 && gpu.device.destroy());

	it('is an error where it stands alone, and the next call works on a fresh one', async () => {
		using gpu = await openWebGpu();
		const c = await createConvolver(kernel, { ...options, backend: gpu, dtype: 'uint8', shape: array.shape });
		await expect(c.run(killing(gpu))).rejects.toMatchObject({ code: 'DEVICE_LOST' });
		expect((await c.run(source())).data).toEqual(await expected());
		await c.dispose();
	});

	it('is followed by the next backend, for which the callback is called again', async () => {
		using gpu = await openWebGpu();
		const image = killing(gpu);
		const { data, report } = await convolve(image, kernel, { ...options, backend: [gpu, 'reference'] });
		expect(data).toEqual(await expected());
		expect(report.fallbacks).toMatchObject([{ code: 'DEVICE_LOST' }]);
		expect(image.calls).toBe(2);
	});

	it('stays in memory where it was verified there: one call', async () => {
		using gpu = await openWebGpu();
		const image = killing(gpu);
		const { report } = await convolve(image, kernel, { ...options, verify: 'sample', backend: [gpu, 'reference'] });
		expect(report.backend).toBe('reference');
		expect(image.calls).toBe(1);
	});
});
