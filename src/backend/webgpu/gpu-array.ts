/** Arrays in device memory: the result of an upload, of a resident run, or somebody else's buffer. */
import { DTYPES, type Dtype, type DtypeArrays, reader, type TypedArray } from '../../core/dtype.ts';
import { FaltungError, invalid } from '../../core/errors.ts';
import { elementCount, fromCanonical, type Layout, type PerAxis } from '../../core/ndarray.ts';
import { snapshotOptions, whole } from '../../core/snapshot.ts';
import type { ElementRange } from '../../core/sparse.ts';
import type { Backend } from '../backend.ts';
import { roundUp, USAGE } from './buffers.ts';
import type { DeviceSession } from './device.ts';
import { asUserError, DeviceRejection, OutOfDeviceMemory } from './errors.ts';
import type { Move } from './moves.ts';

/** Bytes that one step of a readback maps. */
const READ_STEP = 32 * 2 ** 20;

/** Views of memory by dtype. */
export const ARRAYS: { readonly [D in Dtype]: new (buffer: ArrayBuffer, offset?: number, length?: number) => DtypeArrays[D] } = {
	uint8: Uint8Array,
	int8: Int8Array,
	uint16: Uint16Array,
	int16: Int16Array,
	uint32: Uint32Array,
	int32: Int32Array,
	uint64: BigUint64Array,
	int64: BigInt64Array,
	float16: Uint16Array,
	float32: Float32Array,
	float64: Float64Array,
};

function hostMemory(bytes: number): ArrayBuffer {
	try {
		return new ArrayBuffer(bytes);
	} catch (cause) {
		throw new FaltungError(
			'LIMIT_EXCEEDED',
			`Expected memory of the host for ${bytes} bytes of a GpuArray but it could not be allocated. Read it in parts: read({ start, count }).`,
			{ cause },
		);
	}
}

/** A dense row-major array in a GPUBuffer. */
export class GpuArray {
	/** STORAGE | COPY_SRC | COPY_DST; row-major from byte 0, in the layout's order. */
	readonly buffer: GPUBuffer;
	readonly shape: readonly number[];
	readonly dtype: Dtype;
	readonly layout: Layout;
	readonly #session: DeviceSession;
	readonly #owned: boolean;
	#disposed = false;

	/** @param owned the buffer is destroyed by dispose() */
	constructor(session: DeviceSession, buffer: GPUBuffer, is: { shape: readonly number[]; dtype: Dtype; layout: Layout }, owned: boolean) {
		this.#session = session;
		this.buffer = buffer;
		this.shape = is.shape;
		this.dtype = is.dtype;
		this.layout = is.layout;
		this.#owned = owned;
	}

	/** By what it is made of: a proxy or a heir of the prototype would pass instanceof and fail at its first use. */
	static is(value: unknown): value is GpuArray {
		return typeof value === 'object' && value !== null && #session in value;
	}

	/** The backend of the device that it lies on: whoever works on it must be this one. */
	get owner(): Backend | undefined {
		return this.#session.owner;
	}

	/**
	 * Copies the array to the host.
	 *
	 * @param range elements to read, in row-major order; default: all
	 * @throws DEVICE_LOST, LIMIT_EXCEEDED; INVALID_ARGUMENT where it has been disposed or its buffer cannot be read
	 */
	async read(range?: { start: number; count: number }): Promise<{ data: TypedArray; shape: readonly number[]; dtype: Dtype }> {
		const session = this.#live();
		const size = DTYPES[this.dtype].bytes;
		const total = elementCount(this.shape);
		const given = snapshotOptions(range, ['start', 'count'], 'range');
		const start = range === undefined ? 0 : whole(given.start, 0, total, 'range.start');
		const count = range === undefined ? total : whole(given.count, 0, total - start, 'range.count');
		const memory = hostMemory(count * size);
		try {
			const end = (start + count) * size;
			for (let at = start * size; at < end; at += READ_STEP - (at % 4)) {
				await this.#readStep(session, at, Math.min(at + READ_STEP - (at % 4), end), new Uint8Array(memory), start * size);
			}
		} catch (error) {
			throw this.blame(error);
		}
		return { data: new ARRAYS[this.dtype](memory), shape: range === undefined ? this.shape : [count], dtype: this.dtype };
	}

	/**
	 * Reads some elements: one copy to the host of those ranges and little beside them.
	 *
	 * @returns reads an element by its index in the array's memory
	 * @throws as read() does
	 */
	async gather(ranges: readonly ElementRange[]): Promise<(element: number) => number | bigint> {
		const session = this.#live();
		const size = DTYPES[this.dtype].bytes;
		// whole words, as buffer copies go, and each range on a whole element of any dtype
		const parts: { start: number; count: number; from: number; bytes: number; at: number }[] = [];
		let end = 0;
		for (const { start, count } of ranges) {
			const from = start * size - ((start * size) % 4);
			const bytes = roundUp((start + count) * size - from, 4);
			parts.push({ start: from / size, count: Math.floor(bytes / size), from, bytes, at: end });
			end += roundUp(bytes, 8);
		}
		const memory = new ArrayBuffer(roundUp(Math.max(8, end), 8));
		try {
			// as many ranges at a time as a step holds
			for (let first = 0; first < parts.length; ) {
				const origin = (parts[first] as (typeof parts)[number]).at;
				let last = first + 1;
				while (
					last < parts.length &&
					(parts[last] as (typeof parts)[number]).at + (parts[last] as (typeof parts)[number]).bytes - origin <= READ_STEP
				)
					last++;
				const step = parts.slice(first, last);
				const total = (step.at(-1) as (typeof parts)[number]).at + (step.at(-1) as (typeof parts)[number]).bytes - origin;
				await this.#copyOut(
					session,
					step.map(({ from, bytes, at }) => ({ from, bytes, to: at - origin })),
					total,
					(mapped) => new Uint8Array(memory).set(new Uint8Array(mapped, 0, total), origin),
				);
				first = last;
			}
		} catch (error) {
			throw this.blame(error);
		}
		const read = reader(new ARRAYS[this.dtype](memory), this.dtype);
		return (element) => {
			let [low, high] = [0, parts.length - 1];
			while (low < high) {
				const middle = Math.ceil((low + high) / 2);
				if ((parts[middle] as (typeof parts)[number]).start <= element) low = middle;
				else high = middle - 1;
			}
			const part = parts[low];
			if (part === undefined || element < part.start || element >= part.start + part.count)
				throw new Error(`element ${element} was not gathered`);
			return read(part.at / size + element - part.start);
		};
	}

	/** Reads bytes from … to; buffer copies go by whole words. */
	async #readStep(session: DeviceSession, from: number, to: number, target: Uint8Array, origin: number): Promise<void> {
		const first = from - (from % 4);
		const bytes = roundUp(to - first, 4);
		await this.#copyOut(session, [{ from: first, bytes, to: 0 }], bytes, (memory) =>
			target.set(new Uint8Array(memory, from - first, to - from), from - origin),
		);
	}

	/** Copies runs of whole words into one staging buffer and lets `take` copy out of its memory. */
	async #copyOut(session: DeviceSession, runs: readonly Move[], bytes: number, take: (memory: ArrayBuffer) => void): Promise<void> {
		const { device, errors, buffers } = session;
		const staging = await buffers.acquire(roundUp(bytes, 8), USAGE.MAP_READ | USAGE.COPY_DST);
		try {
			const { settled } = errors.scope(() => {
				const encoder = device.createCommandEncoder({ label: 'read' });
				for (const run of runs) encoder.copyBufferToBuffer(this.buffer, run.from, staging, run.to, run.bytes);
				device.queue.submit([encoder.finish()]);
			});
			await errors.all([settled]); // a rejected copy must not be taken for a result
			await buffers.drain(staging, bytes, take);
			buffers.release(staging);
		} catch (error) {
			buffers.destroy(staging);
			throw error;
		}
	}

	/** Throws unless this is the image that a problem asks for, on this device. */
	expect(session: DeviceSession, image: { dtype: Dtype; layout: Layout; sizes: PerAxis }): void {
		const own = this.#live();
		if (own.device !== session.device)
			throw invalid("an array of the convolver's own device", 'image', 'a GpuArray of another device', 'Read and upload it.');
		const shape = fromCanonical(image.layout, image.sizes);
		const same = this.dtype === image.dtype && this.layout === image.layout && String(this.shape) === String(shape);
		if (!same) {
			throw invalid(`${image.dtype} ${image.layout} [${shape}]`, 'image', `a GpuArray of ${this.dtype} ${this.layout} [${this.shape}]`);
		}
	}

	/** The user's error for one met while using this array. */
	blame(error: unknown): unknown {
		const lost = error instanceof FaltungError && error.code === 'DEVICE_LOST';
		if (this.#session.closed && (lost || error instanceof DeviceRejection)) return this.#closedError();
		if (this.#disposed && error instanceof DeviceRejection) return this.#disposedError();
		if (error instanceof DeviceRejection && !this.#owned) {
			return new FaltungError(
				'INVALID_ARGUMENT',
				`Expected a live, unmapped buffer of this device for the wrapped GpuArray but the driver says: ${error.message.trim()}`,
				{ cause: error },
			);
		}
		if (error instanceof OutOfDeviceMemory)
			return new FaltungError('LIMIT_EXCEEDED', `Expected the device to have ${error.message}.`, { cause: error });
		return asUserError(error);
	}

	#disposedError(): FaltungError {
		return invalid('a live GpuArray', 'image', 'a disposed one', 'Upload the image again.');
	}

	#closedError(): FaltungError {
		return invalid('a GpuArray of a live WebGpu', 'image', 'one of a disposed WebGpu', 'Read arrays before gpu.dispose().');
	}

	#live(): DeviceSession {
		if (this.#disposed) throw this.#disposedError();
		if (this.#session.closed) throw this.#closedError();
		if (this.#session.errors.lost !== undefined) throw this.#session.errors.lossError();
		if (this.buffer.mapState !== 'unmapped')
			throw invalid('an unmapped buffer', 'buffer', `one that is ${this.buffer.mapState}`, 'Unmap it.');
		return this.#session;
	}

	/** Frees the buffer, unless it was wrapped; idempotent. */
	dispose(): void {
		if (this.#disposed) return;
		this.#disposed = true;
		if (this.#owned) this.#session.buffers.destroy(this.buffer);
	}

	[Symbol.dispose](): void {
		this.dispose();
	}
}

/** True for an array that lies in device memory. */
export const isGpuArray = (value: unknown): value is GpuArray => GpuArray.is(value);
