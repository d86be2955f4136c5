/** A stream of images through one function: bounded in memory, in order or as they come. */
import { onAbort } from '../core/abort.ts';
import { throwIfAborted } from '../core/breathe.ts';
import { invalid, show } from '../core/errors.ts';
import { guarded, orDefault, snapshotOptions, whole, word } from '../core/snapshot.ts';

export interface BatchProgress {
	/** Images finished, failures included. */
	done: number;
	failed: number;
	/** Number of images, where the source says it. */
	total?: number;
}

export interface BatchOptions {
	/** Most images that are held at once, from being read to being handed out. Default 2: one is read while one is computed; 3 on a device: one is filled, one computes, one is drained. */
	concurrency?: number;
	/** Results in the order of the images. Default true. */
	ordered?: boolean;
	/** Aborting ends the batch with the signal's reason. */
	signal?: AbortSignal | undefined;
	/** Called after each image. */
	onProgress?: (progress: BatchProgress) => void;
	/** 'throw' (default) ends the batch at the first failing image; 'yield' hands out { index, error } for it and goes on. */
	onError?: 'throw' | 'yield';
}

/** A result and the position of its image in the source. */
export type BatchResult<R> = R & { index: number; error?: undefined };
/** An image that failed, under onError 'yield'. */
export interface BatchFailure {
	index: number;
	error: NonNullable<unknown>;
}

interface Settings {
	readonly concurrency: number;
	readonly ordered: boolean;
	readonly signal: AbortSignal | undefined;
	readonly onProgress: ((progress: BatchProgress) => void) | undefined;
	readonly onError: 'throw' | 'yield';
}

function readBatchOptions(options: unknown, usual: number, signalOf: (value: unknown) => AbortSignal | undefined): Settings {
	const given = snapshotOptions(options, ['concurrency', 'ordered', 'signal', 'onProgress', 'onError'], 'options');
	const ordered = orDefault(given.ordered, true);
	if (typeof ordered !== 'boolean') throw invalid('true or false', 'option ordered', show(ordered));
	if (given.onProgress !== undefined && typeof given.onProgress !== 'function')
		throw invalid('a function', 'option onProgress', show(given.onProgress));
	return {
		concurrency: given.concurrency === undefined ? usual : whole(given.concurrency, 1, 1024, 'option concurrency'),
		ordered,
		signal: signalOf(given.signal),
		onProgress: given.onProgress as Settings['onProgress'],
		onError: word(orDefault(given.onError, 'throw'), ['throw', 'yield'], 'option onError'),
	};
}

type Pull<I> = () => Promise<IteratorResult<I>>;

function open<I>(images: unknown): { pull: Pull<I>; close: () => Promise<void>; total: number | undefined } {
	const iterator = guarded('images', () => {
		if (typeof images !== 'object' || images === null) throw invalid('an iterable or async iterable of images', 'images', show(images));
		const source = images as Partial<AsyncIterable<I> & Iterable<I>>;
		const made = source[Symbol.asyncIterator]?.() ?? source[Symbol.iterator]?.();
		if (typeof made?.next !== 'function') throw invalid('an iterable or async iterable of images', 'images', show(images));
		return made;
	});
	return {
		pull: async () => iterator.next(),
		close: async () => {
			await iterator.return?.();
		},
		total: Array.isArray(images) ? images.length : undefined,
	};
}

function checkResult<T>(result: IteratorResult<T>): IteratorResult<T> {
	if (typeof result === 'object' && result !== null) return result;
	throw invalid('an object { value, done }', 'what next() of images returns', show(result));
}

interface Settled<R> {
	kind: 'settled';
	index: number;
	/** The result, or what went wrong. */
	outcome: PromiseSettledResult<R>;
}
type Event<I, R> = Settled<R> | { kind: 'pulled'; next: IteratorResult<I> };

/** Rejects when the signal aborts; `cancel` lets go of the signal. */
function abortion(signal: AbortSignal | undefined): { promise: Promise<never>; cancel: () => void } {
	let cancel = () => {};
	const promise = new Promise<never>((_, reject) => {
		cancel = onAbort(signal, () => reject(signal?.reason));
	});
	promise.catch(() => {}); // whether anybody waits for it or not
	return { promise, cancel };
}

/**
 * Runs `work` over a stream of images. At most `concurrency` images are held at once; leaving the loop early stops the
 * work in flight and closes the source.
 *
 * @param usual `concurrency` where the options do not say it
 */
export async function* batch<I, R extends object>(
	images: unknown,
	options: unknown,
	usual: number,
	work: (image: I, signal: AbortSignal) => Promise<R>,
	signalOf: (value: unknown) => AbortSignal | undefined,
): AsyncGenerator<BatchResult<R> | BatchFailure, void, undefined> {
	const settings = readBatchOptions(options, usual, signalOf);
	throwIfAborted(settings.signal);
	const source = open<I>(images);
	const stop = new AbortController();
	const aborted = abortion(settings.signal);
	const inflight = new Map<number, Promise<Settled<R>>>();
	let pulling: Promise<Event<I, R>> | undefined;
	let exhausted = false;
	let [next, done, failed] = [0, 0, 0];

	const start = (image: I) => {
		const index = next++;
		const settled = Promise.allSettled([work(image, stop.signal)]);
		inflight.set(
			index,
			settled.then(([outcome]) => ({ kind: 'settled', index, outcome })),
		);
	};
	const take = async (): Promise<Event<I, R>> => {
		const [first] = inflight.values();
		const waiting = settings.ordered && first !== undefined ? [first] : [...inflight.values()];
		return Promise.race([aborted.promise, ...waiting, ...(pulling === undefined ? [] : [pulling])]);
	};

	try {
		for (;;) {
			if (!exhausted && pulling === undefined && inflight.size < settings.concurrency) {
				pulling = source.pull().then((result) => ({ kind: 'pulled', next: checkResult(result) }));
			}
			if (inflight.size === 0 && pulling === undefined) return;
			const event = await take();
			throwIfAborted(settings.signal);
			if (event.kind === 'pulled') {
				pulling = undefined;
				if (event.next.done === true) exhausted = true;
				else start(event.next.value);
				continue;
			}
			inflight.delete(event.index);
			done++;
			const { outcome, index } = event;
			if (outcome.status === 'rejected') failed++;
			settings.onProgress?.({ done, failed, ...(source.total === undefined ? {} : { total: source.total }) });
			if (outcome.status === 'fulfilled') yield { ...outcome.value, index };
			else if (settings.onError === 'yield') yield { index, error: outcome.reason };
			else throw outcome.reason;
		}
	} finally {
		aborted.cancel();
		stop.abort();
		pulling?.catch(() => {});
		await Promise.allSettled(inflight.values());
		if (!exhausted) {
			const closing = source.close();
			if (pulling === undefined) await closing;
			else closing.catch(() => {}); // the source is still busy with its next image: it closes after that
		}
	}
}
