/** Seeded random numbers, so that a report or a failing test can be replayed. */

/** splitmix32 by Sebastiano Vigna's mixing constants: a stream of 32-bit integers from a 32-bit seed. */
export function randomStream(seed: number): { uint32(): number; below(n: number): number; float(): number } {
	let state = seed >>> 0;
	const uint32 = () => {
		state = (state + 0x9e3779b9) >>> 0;
		let z = state;
		z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
		z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
		return (z ^ (z >>> 15)) >>> 0;
	};
	const float = () => uint32() / 2 ** 32;
	return { uint32, float, below: (n) => Math.floor(((uint32() * 2 ** 21 + (uint32() >>> 11)) / 2 ** 53) * n) };
}

/** A fresh 32-bit seed. */
export const freshSeed = (): number => Math.floor(Math.random() * 2 ** 32);
