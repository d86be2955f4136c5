/**
 * Errors of a device, tied to the call that they belong to: error scopes are opened and closed around each piece of work within
 * one turn of the event loop, so that no two calls share one, and the loss of the device outranks what it causes.
 */
import { FaltungError } from '../../core/errors.ts';

/** Device memory ran out; callers try smaller pieces. Never reaches a user. */
export class OutOfDeviceMemory extends Error {
	/** Bytes that were asked for when it happened. */
	readonly bytes: number;

	constructor(bytes: number, detail: string) {
		super(`${bytes} bytes of device memory: ${detail}`);
		this.bytes = bytes;
	}
}

/** A rule of WebGPU was broken: by a foreign buffer, or by a defect here. */
export class DeviceRejection extends Error {}

const FILTERS: readonly GPUErrorFilter[] = ['validation', 'internal', 'out-of-memory'];

export class DeviceErrors {
	readonly #device: GPUDevice;
	/** Why the device is lost, once it is. */
	#lost: GPUDeviceLostInfo | undefined;

	constructor(device: GPUDevice) {
		this.#device = device;
		void device.lost.then((info) => {
			this.#lost = info;
		});
	}

	get lost(): GPUDeviceLostInfo | undefined {
		return this.#lost;
	}

	/** Runs `work` (synchronous) and collects its errors; await `settled` before relying on what it did. */
	scope<T>(work: () => T, bytes = 0): { value: T; settled: Promise<void> } {
		for (const filter of FILTERS) this.#device.pushErrorScope(filter);
		let value: T;
		const found: Promise<GPUError | null>[] = [];
		try {
			value = work();
		} catch (error) {
			// what the bindings throw for an argument that is no object of this device, a buffer that only looks like one
			throw error instanceof TypeError ? new DeviceRejection(error.message, { cause: error }) : error;
		} finally {
			for (const _ of FILTERS) found.push(this.#device.popErrorScope());
		}
		const settled = Promise.all(found).then(([memory, internal, validation]) => {
			if (memory) throw new OutOfDeviceMemory(bytes, memory.message);
			const error = internal ?? validation;
			if (error) throw new DeviceRejection(error.message);
		});
		settled.catch(() => {}); // a caller that failed before awaiting it leaves no unhandled rejection
		return { value, settled };
	}

	/** All of them, or the first error, with the loss of the device before any other. */
	async all<T extends readonly unknown[]>(promises: T): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
		try {
			const results = await Promise.all(promises);
			if (this.#lost !== undefined) throw this.lossError();
			return results as { -readonly [K in keyof T]: Awaited<T[K]> };
		} catch (error) {
			throw await this.translate(error);
		}
	}

	/** The error to throw for one that a device operation threw. */
	async translate(error: unknown): Promise<unknown> {
		return error instanceof FaltungError ? error : this.outranked(error);
	}

	/** The loss of the device where it is lost, else the error. */
	async outranked(error: unknown): Promise<unknown> {
		if (this.#lost === undefined) await turn(); // `device.lost` may resolve just after the rejection that it causes
		return this.#lost === undefined ? error : this.lossError();
	}

	lossError(): FaltungError {
		const { reason, message } = this.#lost ?? { reason: 'unknown', message: '' };
		const detail = message === '' ? '' : `: ${message.trim()}`;
		return new FaltungError(
			'DEVICE_LOST',
			`The WebGPU device was lost (${reason ?? 'unknown'})${detail}. Call again: the next call opens a fresh device, unless this one was borrowed.`,
		);
	}
}

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

/** What a user sees of an error that is no FaltungError yet. */
export function asUserError(error: unknown): unknown {
	if (error instanceof DeviceRejection || isPipelineError(error)) {
		return new FaltungError(
			'BACKEND_UNAVAILABLE',
			`Expected the WebGPU driver to take a valid command but received: ${(error as Error).message.trim()} Use another backend, and report this.`,
			{ cause: error },
		);
	}
	return error;
}

const isPipelineError = (error: unknown): boolean => error instanceof Error && error.constructor.name === 'GPUPipelineError';
