/**
 * Listening to abort signals: one listener a signal, however many calls share it. Node warns on standard error from the
 * eleventh listener on, and this library never prints.
 */

const waiting = new WeakMap<AbortSignal, Set<() => void>>();

/** Calls `react` once when the signal aborts. @returns lets go of the signal */
export function onAbort(signal: AbortSignal | undefined, react: () => void): () => void {
	if (signal === undefined) return () => {};
	let reactions = waiting.get(signal);
	if (reactions === undefined) {
		const all = new Set<() => void>();
		const abort = () => {
			waiting.delete(signal);
			for (const each of all) each();
		};
		signal.addEventListener('abort', abort, { once: true });
		waiting.set(signal, all);
		reactions = all;
	}
	const mine = () => react();
	reactions.add(mine);
	return () => {
		reactions.delete(mine);
	};
}
