/** Times the compute passes of some work: by the device's own clock where it has one, else by the wall's. */
import { USAGE } from './buffers.ts';
import type { WebGpu } from './webgpu.ts';

const QUERY_RESOLVE = 512;
const MAP_READ = 1;
/** Bytes of a timestamp, and most passes of one piece of work. */
const STAMP = 8;
const PASSES = 64;

export class Stopwatch {
	readonly #device: GPUDevice;
	readonly #queries: GPUQuerySet | undefined;

	constructor({ device }: WebGpu) {
		this.#device = device;
		this.#queries = device.features.has('timestamp-query') ? device.createQuerySet({ type: 'timestamp', count: 2 * PASSES }) : undefined;
	}

	/** Milliseconds that `work` keeps the device busy; without timestamps also what a call costs. */
	async time(work: () => Promise<unknown>): Promise<number> {
		await this.#device.queue.onSubmittedWorkDone(); // a pass that waits for an earlier one would count the wait
		if (this.#queries === undefined) {
			const began = performance.now();
			await work();
			await this.#device.queue.onSubmittedWorkDone();
			return performance.now() - began;
		}
		return this.#stamped(this.#queries, work);
	}

	async #stamped(querySet: GPUQuerySet, work: () => Promise<unknown>): Promise<number> {
		const device = this.#device;
		const create = device.createCommandEncoder.bind(device);
		let passes = 0;
		device.createCommandEncoder = (descriptor) => {
			const encoder = create(descriptor);
			const begin = encoder.beginComputePass.bind(encoder);
			encoder.beginComputePass = (pass) => {
				if (passes === PASSES) return begin(pass);
				const beginningOfPassWriteIndex = 2 * passes++;
				const timestampWrites = { querySet, beginningOfPassWriteIndex, endOfPassWriteIndex: beginningOfPassWriteIndex + 1 };
				return begin({ ...pass, timestampWrites });
			};
			return encoder;
		};
		try {
			await work();
		} finally {
			device.createCommandEncoder = create;
		}
		return this.#read(querySet, passes);
	}

	async #read(querySet: GPUQuerySet, passes: number): Promise<number> {
		const device = this.#device;
		const size = 2 * STAMP * passes;
		const resolved = device.createBuffer({ size, usage: QUERY_RESOLVE | USAGE.COPY_SRC });
		const staging = device.createBuffer({ size, usage: USAGE.COPY_DST | USAGE.MAP_READ });
		try {
			const encoder = device.createCommandEncoder();
			encoder.resolveQuerySet(querySet, 0, 2 * passes, resolved, 0);
			encoder.copyBufferToBuffer(resolved, 0, staging, 0, size);
			device.queue.submit([encoder.finish()]);
			await staging.mapAsync(MAP_READ);
			const stamps = [...new BigUint64Array(staging.getMappedRange())];
			return Number((stamps.at(-1) as bigint) - (stamps[0] as bigint)) / 1e6;
		} finally {
			resolved.destroy();
			staging.destroy();
		}
	}

	dispose(): void {
		this.#queries?.destroy();
	}
}
