/** What computes one piece of a result in device memory. An executable brings the piece there and back, whichever program it runs. */

import { invalid } from '../../core/errors.ts';
import type { PlaneView } from '../../core/ndarray.ts';
import { type Lease, USAGE, write } from './buffers.ts';
import type { DeviceSession } from './device.ts';
import type { StagedImage } from './direct.ts';
import type { Arrangement, PackedAxis } from './region.ts';
import type { Grain, Piece } from './tiler.ts';

export const DEVICE_MEMORY = USAGE.STORAGE | USAGE.COPY_SRC | USAGE.COPY_DST;

/** `overflow_at` where every sum fits. */
export const NOWHERE = 0xffffffff;

/** Where a piece's pixels come from: packed rows and columns, and how they lie in the buffer. */
export interface PieceInput {
	readonly rows: PackedAxis;
	readonly cols: PackedAxis;
	readonly staged: StagedImage;
}

/** A buffer and how many of its bytes are bound. */
export interface PieceMemory {
	readonly buffer: GPUBuffer;
	readonly size: number;
}

/** One piece, ready to be recorded. */
export interface PieceStep {
	/** Holds the lowest element that does not fit, under `overflow: 'throw'`. */
	readonly overflow: GPUBuffer | undefined;
	/** Records the work; synchronous, so that an error scope can stand around it. `input` and `output` are dense. */
	encode(encoder: GPUCommandEncoder, input: PieceMemory, output: PieceMemory): void;
}

export interface Program {
	/** Absent: pieces may be cut anywhere. */
	readonly grain?: Grain;
	/** The order in which the caller's image is staged. */
	arrangement(image: PlaneView): Arrangement;
	/** Compiles what `piece` needs and uploads what all pieces share. */
	warm(session: DeviceSession, piece: Piece, input: PieceInput): Promise<void>;
	/** @param lease takes the buffers of this piece */
	step(session: DeviceSession, lease: Lease, piece: Piece, input: PieceInput): Promise<PieceStep>;
	/** Frees what all pieces share; idempotent. */
	dispose(): void;
}

/** Words that every piece reads, on each device that was used; a lost device's go with it. */
export class SharedWords {
	readonly words: Uint32Array<ArrayBuffer>;
	readonly #buffers = new Map<DeviceSession, Promise<GPUBuffer>>();
	#disposed = false;

	constructor(words: Uint32Array<ArrayBuffer>) {
		this.words = words;
	}

	on(session: DeviceSession): Promise<GPUBuffer> {
		if (this.#disposed) throw invalid('a live convolver', 'run', 'a disposed one');
		for (const known of this.#buffers.keys()) if (known.errors.lost !== undefined) this.#buffers.delete(known);
		let buffer = this.#buffers.get(session);
		if (buffer === undefined) {
			const { words } = this;
			buffer = session.buffers.create(words.byteLength, DEVICE_MEMORY).then((made) => {
				write(session.device.queue, made, words);
				return made;
			});
			buffer.catch(() => this.#buffers.delete(session)); // a later run may try again
			this.#buffers.set(session, buffer);
		}
		return buffer;
	}

	dispose(): void {
		this.#disposed = true;
		for (const [session, buffer] of this.#buffers) {
			buffer.then(
				(made) => session.buffers.destroy(made),
				() => {},
			);
		}
		this.#buffers.clear();
	}
}
