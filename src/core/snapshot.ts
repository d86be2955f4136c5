/**
 * Reading what a caller handed over: every property once, into plain values, before anything is checked. Getters, proxies
 * and subclasses can thus not show one thing to the check and another to the work.
 */
import { distance } from 'fastest-levenshtein';
import { FaltungError, invalid, show } from './errors.ts';

/** Runs `read`, which touches the caller's objects; whatever their code throws becomes INVALID_ARGUMENT. */
export function guarded<T>(parameter: string, read: () => T): T {
	try {
		return read();
	} catch (error) {
		if (isError(error, FaltungError)) throw error;
		throw threw('a readable value', parameter, error);
	}
}

/** The error for a caller's code that threw; what it threw is the cause. */
export function threw(expected: string, parameter: string, error: unknown): FaltungError {
	const text = isError(error, Error) ? error.message : show(error);
	return new FaltungError('INVALID_ARGUMENT', `Expected ${expected} for ${parameter} but received one that threw: ${text}.`, {
		cause: error,
	});
}

/** instanceof, which by itself throws for a revoked proxy. */
function isError<E extends Error>(error: unknown, type: abstract new (...args: never) => E): error is E {
	try {
		return error instanceof type;
	} catch {
		return false;
	}
}

/** What was said, or the default where nothing was; null is something. */
export const orDefault = (value: unknown, absent: unknown): unknown => (value === undefined ? absent : value);

/** The name in `known` that is most like `name`. */
export function nearest(name: string, known: readonly string[]): string {
	let best = known[0] as string;
	const away = (candidate: string) => distance(name.toLowerCase(), candidate.toLowerCase());
	for (const candidate of known) if (away(candidate) < away(best)) best = candidate;
	return best;
}

/**
 * Copies the named properties of an options object, each read once.
 *
 * @throws INVALID_ARGUMENT for an unknown own property, naming the nearest known one
 */
export function snapshotOptions<K extends string>(options: unknown, known: readonly K[], parameter: string): Partial<Record<K, unknown>> {
	if (options === undefined) return {};
	if (typeof options !== 'object' || options === null || guarded(parameter, () => Array.isArray(options) || ArrayBuffer.isView(options))) {
		throw invalid('an object', parameter, show(options));
	}
	return guarded(parameter, () => {
		for (const key of Reflect.ownKeys(options)) {
			if (typeof key === 'string' && !(known as readonly string[]).includes(key)) {
				throw invalid(`one of ${known.join(', ')}`, `a name in ${parameter}`, show(key), `Did you mean ${show(nearest(key, known))}?`);
			}
		}
		const copy: Partial<Record<K, unknown>> = {};
		for (const key of known) {
			const value = (options as Record<string, unknown>)[key];
			if (value !== undefined) copy[key] = value;
		}
		return copy;
	});
}

/**
 * Copies an array (not a typed array), each element read once and checked before the next: a sparse array of any length
 * is refused at its first hole.
 *
 * @returns undefined if it is none
 */
export function snapshotElements<T>(value: unknown, parameter: string, check: (element: unknown, index: number) => T): T[] | undefined {
	return guarded(parameter, () => {
		if (!Array.isArray(value)) return undefined;
		const length = value.length;
		const copy: T[] = [];
		for (let i = 0; i < length; i++) copy.push(check(value[i], i));
		return copy;
	});
}

/** Copies an array of at most `limit` entries, each read once. @returns undefined if it is none */
export function snapshotList(value: unknown, parameter: string, limit: number): unknown[] | undefined {
	return guarded(parameter, () => {
		if (!Array.isArray(value)) return undefined;
		const length = value.length;
		if (length > limit) throw invalid(`at most ${limit} entries`, parameter, `an array of length ${length}`);
		return Array.from({ length }, (_, i) => value[i] as unknown);
	});
}

/** The word most like a value, where at least half of its letters were meant. */
export function likest(value: string, words: readonly string[]): string | undefined {
	const best = nearest(value, words);
	return 2 * distance(value.toLowerCase(), best.toLowerCase()) <= best.length ? best : undefined;
}

/** A question that names the likest word, if there is one. */
export function likeness(value: string, words: readonly string[]): string | undefined {
	const best = likest(value, words);
	return best === undefined ? undefined : `Did you mean ${show(best)}?`;
}

/** One of a list of words. */
export function word<T extends string>(value: unknown, words: readonly T[], parameter: string): T {
	if (typeof value === 'string' && (words as readonly string[]).includes(value)) return value as T;
	const hint = typeof value === 'string' ? likeness(value, words) : undefined;
	throw invalid(`one of ${words.map(show).join(', ')}`, parameter, show(value), hint);
}

/** A whole number in a range, ends included. */
export function whole(value: unknown, low: number, high: number, parameter: string): number {
	if (typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high) return value === 0 ? 0 : value;
	throw invalid(`a whole number from ${low} to ${high}`, parameter, show(value));
}

/** A finite number. */
export function finite(value: unknown, parameter: string): number {
	if (typeof value === 'number' && Number.isFinite(value)) return value;
	throw invalid('a finite number', parameter, show(value));
}

/** true or false. */
export function flag(value: unknown, parameter: string): boolean {
	if (typeof value === 'boolean') return value;
	throw invalid('true or false', parameter, show(value));
}
