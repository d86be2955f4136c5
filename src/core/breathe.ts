/** Long work in JavaScript gives the event loop a turn now and then, and looks at its abort signal when it does. */

/** Longest stretch of work between two turns of the event loop, in milliseconds. */
const STRETCH = 8;

/** Resolves in a later turn of the event loop, after pending input and timers had theirs. */
function turn(): Promise<void> {
	if (typeof setImmediate === 'function') return new Promise((resolve) => setImmediate(resolve));
	return new Promise((resolve) => {
		const { port1, port2 } = new MessageChannel(); // a browser's setTimeout waits at least 4 ms when nested
		port1.onmessage = () => {
			port1.close();
			resolve();
		};
		port2.postMessage(0);
	});
}

/** Throws the reason of an aborted signal. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
	if (signal?.aborted) throw signal.reason;
}

/** Call `due()` often (it is cheap); when it says so, await `pause()`. */
export function breather(signal: AbortSignal | undefined): { due(): boolean; pause(): Promise<void> } {
	let last = performance.now();
	return {
		due: () => performance.now() - last >= STRETCH,
		pause: async () => {
			await turn();
			throwIfAborted(signal);
			last = performance.now();
		},
	};
}
