/** Images that the caller's callback writes straight into mapped staging memory: nothing is copied on the host. */
import { DTYPES, type Dtype, type TypedArray } from '../../core/dtype.ts';
import { roundUp, USAGE } from './buffers.ts';
import type { DeviceSession } from './device.ts';
import { OutOfDeviceMemory } from './errors.ts';
import { ARRAYS } from './gpu-array.ts';
import { DEVICE_MEMORY } from './program.ts';

/** The callback is handed a whole image, so staging memory is as large: 8192 x 8192 of float32, three times where three calls overlap. */
export const FILL_LIMIT = 256 * 2 ** 20;

/** Bytes of a device buffer for elements: whole words, and never empty. */
export const bufferBytes = (elements: number, dtype: Dtype): number => roundUp(Math.max(4, elements * DTYPES[dtype].bytes), 4);

/**
 * Has `fill` write staging memory and copies it into a buffer of the device.
 *
 * @returns milliseconds that the callback took, and the end of the copy
 * @throws OutOfDeviceMemory before `fill` was called; DEVICE_LOST; what `fill` throws, the memory then being back in the ring
 */
export async function fillBuffer(
	session: DeviceSession,
	buffer: GPUBuffer,
	image: { readonly dtype: Dtype; readonly elements: number },
	fill: (memory: TypedArray) => void,
): Promise<{ took: number; settled: Promise<void> }> {
	const { buffers, device, errors } = session;
	const { dtype, elements } = image;
	const bytes = bufferBytes(elements, dtype);
	const staging = await buffers.acquire(bytes, USAGE.MAP_WRITE | USAGE.COPY_SRC);
	try {
		const began = performance.now();
		buffers.fill(staging, bytes, (memory) => fill(new ARRAYS[dtype](memory, 0, elements)));
		const took = performance.now() - began;
		const { settled } = errors.scope(() => {
			const encoder = device.createCommandEncoder({ label: 'fill' });
			encoder.copyBufferToBuffer(staging, 0, buffer, 0, bytes);
			device.queue.submit([encoder.finish()]);
		});
		return { took, settled };
	} catch (error) {
		throw await errors.outranked(error); // memory of a device that goes away in the callback is gone as well
	} finally {
		buffers.release(staging);
	}
}

/** A filled image for one run, in a buffer of the pool. */
export class FilledBuffer {
	readonly session: DeviceSession;
	readonly buffer: GPUBuffer;
	/** Milliseconds that the callback took. */
	readonly took: number;
	/** The end of the copy; never an unhandled rejection. */
	readonly settled: Promise<void>;
	#disposed = false;

	private constructor(session: DeviceSession, buffer: GPUBuffer, { took, settled }: { took: number; settled: Promise<void> }) {
		this.session = session;
		this.buffer = buffer;
		this.took = took;
		this.settled = settled;
	}

	/** @returns undefined, `fill` not called, where the device has no memory for it */
	static async of(
		session: DeviceSession,
		image: { readonly dtype: Dtype; readonly elements: number },
		fill: (memory: TypedArray) => void,
	): Promise<FilledBuffer | undefined> {
		await session.fills.acquire();
		let buffer: GPUBuffer | undefined;
		try {
			buffer = await session.buffers.acquire(bufferBytes(image.elements, image.dtype), DEVICE_MEMORY);
			return new FilledBuffer(session, buffer, await fillBuffer(session, buffer, image, fill));
		} catch (error) {
			if (buffer !== undefined) session.buffers.release(buffer);
			session.fills.release();
			if (error instanceof OutOfDeviceMemory) return undefined;
			throw error;
		}
	}

	dispose(): void {
		if (this.#disposed) return;
		this.#disposed = true;
		this.session.buffers.release(this.buffer);
		this.session.fills.release();
	}
}
