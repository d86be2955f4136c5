/** The image of one run: given as an array, or written by the caller's callback where and when its pixels are needed. */
import type { Executable, RunOutcome } from '../backend/backend.ts';
import { throwIfAborted } from '../core/breathe.ts';
import { checksumCoverage, verifyChecksum } from '../core/checksum.ts';
import { checksumScheme } from '../core/checksum-scheme.ts';
import type { Dtype, TypedArray } from '../core/dtype.ts';
import { FaltungError } from '../core/errors.ts';
import type { ArraySnapshot, ImageSnapshot } from '../core/images.ts';
import { elementCount, type Layout } from '../core/ndarray.ts';
import { freshSeed } from '../core/random.ts';
import { fillOnHost, isSource, type SourceSnapshot } from '../core/source.ts';
import type { Verification, VerifyTask } from '../core/verify.ts';

export class Pixels {
	readonly dtype: Dtype;
	readonly layout: Layout;
	readonly shape: readonly number[];
	readonly #signal: AbortSignal | undefined;
	#image: ImageSnapshot | SourceSnapshot;

	constructor(image: ImageSnapshot | SourceSnapshot, signal: AbortSignal | undefined) {
		({ dtype: this.dtype, layout: this.layout, shape: this.shape } = image);
		this.#image = image;
		this.#signal = signal;
	}

	/** The caller's own memory, where there is any. */
	get given(): ArraySnapshot | undefined {
		return isSource(this.#image) ? undefined : this.#image;
	}

	/** On the host: from the first use on, so do not look before the pixels are wanted there. */
	get host(): ImageSnapshot {
		const image = this.#image;
		if (!isSource(image)) return image;
		const host = fillOnHost({ ...image, fill: (memory) => this.#write(image, memory) });
		this.#image = host;
		return host;
	}

	/** Writes the pixels into a backend's own memory; undefined where they are on the host already, or where there are none. */
	get fill(): ((memory: TypedArray) => void) | undefined {
		const image = this.#image;
		return isSource(image) && elementCount(image.shape) > 0 ? (memory) => this.#write(image, memory) : undefined;
	}

	#write(image: SourceSnapshot, memory: TypedArray): void {
		throwIfAborted(this.#signal);
		try {
			image.fill(memory);
		} catch (error) {
			throwIfAborted(this.#signal); // the callback may itself have thrown the reason
			throw error;
		}
	}
}

/**
 * Computes from memory of a backend's own that the caller's callback fills in place.
 *
 * @returns undefined where the backend has none to give, or not enough for the work beside it: the pixels are then needed on the host
 */
export async function runInPlace(
	executable: Executable,
	fill: (memory: TypedArray) => void,
	task: Omit<VerifyTask, 'image'>,
	verified: false | 'checksum',
	signal: AbortSignal | undefined,
): Promise<{ outcome: RunOutcome; verification: Verification | null } | undefined> {
	const filled = await executable.stage?.(fill, { checksum: verified === 'checksum' }, signal);
	if (filled === undefined) return undefined;
	try {
		const outcome = await filled.run(task.result, signal);
		if (verified === false || outcome.overflowAt !== undefined) return { outcome, verification: null };
		const choice = { seed: freshSeed(), signal, arithmetic: executable.checksumArithmetic };
		const scheme = checksumScheme(task.problem, task.model, choice.seed, choice.arithmetic);
		const found = await filled.checksum(task.result, scheme, signal);
		if (found.count === 0) return { outcome, verification: checksumCoverage(task.problem, scheme, found, choice.seed) };
		const suspected = { ...task, image: await filled.read() };
		return { outcome, verification: await verifyChecksum(suspected, choice, async () => found) };
	} catch (error) {
		if (error instanceof FaltungError && error.code === 'LIMIT_EXCEEDED' && signal?.aborted !== true) return undefined;
		throw error;
	} finally {
		filled.dispose();
	}
}
