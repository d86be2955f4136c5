#!/usr/bin/env node
/**
 * The longest pause of the event loop while the native backend convolves 100 megapixels, from a dense, a strided and a
 * SharedArrayBuffer input; and the growth of memory over 2,000 runs.
 *
 *   npm run build && node bench/native-limits/event-loop.mjs
 */
import { createConvolver } from '../../dist/index.js';

const SIDE = 10_000;
const INPUTS = {
	dense: () => ({ data: new Uint8Array(SIDE * SIDE), shape: [SIDE, SIDE] }),
	strided: () => ({ data: new Uint8Array(SIDE * SIDE * 2), shape: [SIDE, SIDE], strides: [-SIDE * 2, 2], offset: (SIDE - 1) * SIDE * 2 }),
	shared: () => ({ data: new Uint8Array(new SharedArrayBuffer(SIDE * SIDE)), shape: [SIDE, SIDE] }),
};

/** A timer of 1 ms that sets itself anew, as a server would wait for its next request; remembers the longest time between two. */
function watch() {
	let [last, longest, running, turns] = [performance.now(), 0, true, 0];
	const turn = () => {
		const now = performance.now();
		longest = Math.max(longest, now - last);
		last = now;
		turns++;
		if (running) setTimeout(turn, 1);
	};
	setTimeout(turn, 1);
	return () => {
		running = false;
		return { longest, turns };
	};
}

const kernel = { data: new Float32Array(49).fill(1 / 49), shape: [7, 7] };
const options = { mode: 'same', boundary: 'symmetric', backend: 'native', verify: false, shape: [SIDE, SIDE], dtype: 'uint8' };
// first, while nothing else is held
const small = await createConvolver(kernel, { ...options, shape: [512, 512] });
const image = { data: new Uint8Array(512 * 512), shape: [512, 512] };
const few = new Uint8Array(512 * 512);
const run = async (times) => {
	for (let k = 0; k < times; k++) await small.run(image, { out: few });
};
await run(500);
globalThis.gc?.();
const before = process.memoryUsage().rss;
await run(2000);
globalThis.gc?.();
console.log(`2,000 runs: ${((process.memoryUsage().rss - before) / 2 ** 20).toFixed(1)} MiB more resident memory`);
await small.dispose();

const convolver = await createConvolver(kernel, options);
const out = new Uint8Array(SIDE * SIDE);
for (const [name, make] of Object.entries(INPUTS)) {
	const image = make();
	await new Promise((resolve) => setTimeout(resolve, 50));
	const stop = watch();
	const began = performance.now();
	await convolver.run(image, { out });
	const time = performance.now() - began;
	const { longest, turns } = stop();
	console.log(`${name}: ${time.toFixed(0)} ms, ${turns} turns, longest pause ${longest.toFixed(2)} ms`);
}
await convolver.dispose();
