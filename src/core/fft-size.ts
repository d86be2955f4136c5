/** Lengths of Fourier transforms and how they are split into passes; native/fft_plan.c splits them the same way. */

/** Longest transform. */
export const LONGEST_FFT = 2048;

/** Passes of a transform of length n, in the order in which they are made; undefined where n is none of 2^a·3^b·5^c. */
export function radices(n: number): number[] | undefined {
	let rest = n;
	const count = (factor: number) => {
		let times = 0;
		for (; rest % factor === 0; rest /= factor) times++;
		return times;
	};
	if (n < 2 || n > LONGEST_FFT) return undefined;
	const [fives, threes, twos] = [count(5), count(3), count(2)];
	if (rest !== 1) return undefined;
	const fours = twos === 1 ? 0 : (3 - (twos % 3)) % 3;
	const passes = (radix: number, times: number) => new Array<number>(times).fill(radix);
	return [
		...passes(5, fives),
		...passes(3, threes),
		...passes(2, twos === 1 ? 1 : 0),
		...passes(4, fours),
		...passes(8, twos === 1 ? 0 : (twos - 2 * fours) / 3),
	];
}

/** Every length, ascending. */
export const FFT_LENGTHS: readonly number[] = Array.from({ length: LONGEST_FFT + 1 }, (_, n) => n).filter((n) => radices(n) !== undefined);
