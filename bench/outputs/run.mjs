/**
 * What memory for a result costs: one reused `out`, a fresh result of the backend's own, a fresh typed array of the caller's. Alternating
 * in one run, medians; verification off.
 *
 *     npm run bench:outputs -- [--side 4096] [--rounds 15]
 */
import { parseArgs } from 'node:util';
import { createConvolver } from '../../dist/index.js';

const { values } = parseArgs({ options: { side: { type: 'string', default: '4096' }, rounds: { type: 'string', default: '15' } } });
const [side, rounds] = [Number(values.side), Number(values.rounds)];
const shape = [side, side];
const data = Float32Array.from({ length: side * side }, (_, k) => (k % 251) / 251);
const median = (times) => times.toSorted((a, b) => a - b)[times.length >> 1].toFixed(1);

console.log('| K | reused `out` | fresh, of the backend | fresh, of the caller |\n|---|---|---|---|');
for (const k of [3, 5, 9, 15]) {
	const taps = Array.from({ length: k }, (_, j) => Array.from({ length: k }, (_, i) => Math.sin(7 * i + 3 * j + 1)));
	const convolver = await createConvolver(taps, {
		backend: 'native',
		method: 'direct',
		mode: 'same',
		boundary: 'symmetric',
		verify: false,
		shape,
		dtype: 'float32',
	});
	const kept = new Float32Array(side * side);
	const ways = [() => ({ out: kept }), () => undefined, () => ({ out: new Float32Array(side * side) })];
	const times = ways.map(() => []);
	for (let round = 0; round < rounds; round++) {
		for (const [way, options] of ways.entries()) {
			const began = performance.now();
			await convolver.run({ data, shape }, options());
			times[way].push(performance.now() - began);
		}
	}
	convolver.dispose();
	console.log(`| ${k} | ${times.map(median).join(' | ')} |`);
}
