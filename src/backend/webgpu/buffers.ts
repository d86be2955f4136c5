/**
 * Device memory: buffers are reused by size class, what lies idle is bounded, and so is the whole. Mappable buffers form the
 * staging ring; a mapped range never leaves the two functions that copy into and out of it.
 */
import { type DeviceErrors, OutOfDeviceMemory } from './errors.ts';

/** GPUBufferUsage; the global need not exist where the device came from a package. */
export const USAGE = { MAP_READ: 1, MAP_WRITE: 2, COPY_SRC: 4, COPY_DST: 8, UNIFORM: 64, STORAGE: 128 } as const;

const MAP = { READ: 1, WRITE: 2 } as const;

export const roundUp = (value: number, step: number): number => Math.ceil(value / step) * step;

/** Above this, Dawn takes fresh staging memory for a write, clears it and frees it again, each time; up to it, a ring's. */
const WRITE_STEP = 4 * 2 ** 20;

/** Writes words to the beginning of a buffer, before whatever is submitted next. */
export function write(queue: GPUQueue, buffer: GPUBuffer, words: Uint32Array<ArrayBuffer>): void {
	const step = WRITE_STEP / words.BYTES_PER_ELEMENT;
	for (let at = 0; at < words.length; at += step) {
		queue.writeBuffer(buffer, at * words.BYTES_PER_ELEMENT, words, at, Math.min(step, words.length - at));
	}
}

/** Four sizes per octave: at most a fifth is wasted, and a stream of images of about one size shares buffers. */
function sizeClass(bytes: number): number {
	const least = Math.max(256, bytes);
	return roundUp(least, Math.max(256, 2 ** (Math.floor(Math.log2(least)) - 2)));
}

/** Bytes that may lie idle, ready for the next call. */
const IDLE_LIMIT = 256 * 2 ** 20;

export interface MemoryUse {
	/** Bytes held now, idle ones included, and the most ever held. */
	readonly held: number;
	readonly peak: number;
	readonly idle: number;
}

export class BufferPool {
	readonly #device: GPUDevice;
	readonly #errors: DeviceErrors;
	readonly #budget: number;
	readonly #maxBufferSize: number;
	/** Idle buffers, the longest unused first. MAP_WRITE ones are mapped. */
	#idle: GPUBuffer[] = [];
	#held = 0;
	#peak = 0;
	#disposed = false;

	/** @param budget bytes in all, idle ones included */
	constructor(device: GPUDevice, errors: DeviceErrors, budget: number) {
		this.#device = device;
		this.#errors = errors;
		this.#budget = budget;
		this.#maxBufferSize = device.limits.maxBufferSize;
	}

	get use(): MemoryUse {
		return { held: this.#held, peak: this.#peak, idle: this.#idle.reduce((sum, buffer) => sum + buffer.size, 0) };
	}

	/**
	 * A buffer of at least `bytes`, its contents undefined; MAP_WRITE ones are mapped.
	 *
	 * @throws OutOfDeviceMemory
	 */
	async acquire(bytes: number, usage: number): Promise<GPUBuffer> {
		const size = Math.min(sizeClass(bytes), this.#maxBufferSize - (this.#maxBufferSize % 4));
		const at = this.#idle.findIndex((buffer) => buffer.usage === usage && buffer.size === size);
		if (at >= 0) return this.#idle.splice(at, 1)[0] as GPUBuffer;
		return this.create(size, usage);
	}

	/** A buffer of exactly `size` bytes, a multiple of 4. */
	async create(size: number, usage: number): Promise<GPUBuffer> {
		while (this.#held + size > this.#budget && this.#idle.length > 0) this.#free(this.#idle.shift() as GPUBuffer);
		if (this.#held + size > this.#budget) throw new OutOfDeviceMemory(size, `${this.#held} of at most ${this.#budget} are in use`);
		this.#held += size;
		this.#peak = Math.max(this.#peak, this.#held);
		let buffer: GPUBuffer | undefined;
		try {
			const { value, settled } = this.#errors.scope(
				() => this.#device.createBuffer({ size, usage, mappedAtCreation: (usage & USAGE.MAP_WRITE) !== 0 }),
				size,
			);
			buffer = value;
			await this.#errors.all([settled]);
			return buffer;
		} catch (error) {
			this.#held -= size;
			buffer?.destroy();
			// createBuffer throws a RangeError itself where mapped memory cannot be had
			throw error instanceof RangeError ? new OutOfDeviceMemory(size, error.message) : error;
		}
	}

	/** Gives a buffer back that the device may still be using: the queue runs in order. Mappable ones must be unmapped. */
	release(buffer: GPUBuffer): void {
		if ((buffer.usage & USAGE.MAP_WRITE) !== 0) {
			buffer.mapAsync(MAP.WRITE).then(
				() => this.#keep(buffer),
				() => this.#free(buffer), // lost
			);
			return;
		}
		this.#keep(buffer);
	}

	/** Frees a buffer for good. */
	destroy(buffer: GPUBuffer): void {
		this.#free(buffer);
	}

	#keep(buffer: GPUBuffer): void {
		if (this.#disposed || this.#errors.lost !== undefined) {
			this.#free(buffer);
			return;
		}
		this.#idle.push(buffer);
		let idle = this.use.idle;
		while (idle > IDLE_LIMIT) {
			const oldest = this.#idle.shift() as GPUBuffer;
			idle -= oldest.size;
			this.#free(oldest);
		}
	}

	#free(buffer: GPUBuffer): void {
		this.#held -= buffer.size;
		buffer.destroy();
	}

	dispose(): void {
		this.#disposed = true;
		for (const buffer of this.#idle.splice(0)) this.#free(buffer);
	}

	/** Fills the first `bytes` of a mapped staging buffer and unmaps it. */
	fill(buffer: GPUBuffer, bytes: number, write: (memory: ArrayBuffer) => void): void {
		try {
			write(buffer.getMappedRange(0, roundUp(bytes, 8)));
		} finally {
			buffer.unmap();
		}
	}

	/** Maps the first `bytes` of a staging buffer, lets `read` copy out of it, and gives it back. */
	async drain<T>(buffer: GPUBuffer, bytes: number, read: (memory: ArrayBuffer) => T): Promise<T> {
		const size = roundUp(bytes, 8);
		await this.#errors.all([buffer.mapAsync(MAP.READ, 0, size)]);
		try {
			return read(buffer.getMappedRange(0, size));
		} finally {
			buffer.unmap();
		}
	}
}

/** The buffers of one piece: all go back together, or are destroyed together where it failed halfway. */
export class Lease {
	readonly #pool: BufferPool;
	readonly #buffers: GPUBuffer[] = [];

	constructor(pool: BufferPool) {
		this.#pool = pool;
	}

	async take(bytes: number, usage: number): Promise<GPUBuffer> {
		const buffer = await this.#pool.acquire(bytes, usage);
		this.#buffers.push(buffer);
		return buffer;
	}

	release(): void {
		for (const buffer of this.#buffers.splice(0)) this.#pool.release(buffer);
	}

	destroy(): void {
		for (const buffer of this.#buffers.splice(0)) this.#pool.destroy(buffer);
	}
}

/** At most `limit` holders at a time, first come first served. */
export class Semaphore {
	#free: number;
	readonly #waiting: (() => void)[] = [];

	constructor(limit: number) {
		this.#free = limit;
	}

	async acquire(): Promise<void> {
		if (this.#free > 0) {
			this.#free--;
			return;
		}
		await new Promise<void>((resolve) => this.#waiting.push(resolve));
	}

	release(): void {
		const next = this.#waiting.shift();
		if (next === undefined) this.#free++;
		else next();
	}
}
