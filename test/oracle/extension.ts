/**
 * Boundary modes by their pictures, independent of src/core/boundary.ts: the extension is literally built as a longer
 * list, period beside period, and then looked up.
 *
 *     constant   kkk|abcd|kkk
 *     edge       aaa|abcd|ddd
 *     symmetric  cba|abcd|dcb
 *     mirror     dcb|abcd|cba
 *     wrap       bcd|abcd|abc
 */

export type Mode = 'constant' | 'edge' | 'symmetric' | 'mirror' | 'wrap';

export const MODES: readonly Mode[] = ['constant', 'edge', 'symmetric', 'mirror', 'wrap'];

/** What a position outside shows under 'constant'. */
export const FILL = -1;

/** One period of the extension to the right of index 0, by the picture. */
function period(mode: 'symmetric' | 'mirror' | 'wrap', n: number): number[] {
	const line = Array.from({ length: n }, (_, i) => i);
	if (mode === 'wrap') return line;
	const back = line.toReversed();
	if (mode === 'symmetric') return [...line, ...back]; // abcd dcba
	return n === 1 ? line : [...line, ...back.slice(1, -1)]; // abcd cb
}

/**
 * The indices that positions −before … n−1+after show.
 *
 * @param n pixels on the line, at least 1 unless the mode is constant
 */
export function extend(mode: Mode, n: number, before: number, after: number): number[] {
	if (n === 0 && mode !== 'constant') throw new RangeError('nothing to extend');
	const line = Array.from({ length: n }, (_, i) => i);
	if (mode === 'constant' || mode === 'edge') {
		const [left, right] = mode === 'constant' ? [FILL, FILL] : [0, n - 1];
		return [...new Array<number>(before).fill(left), ...line, ...new Array<number>(after).fill(right)];
	}
	const one = period(mode, n);
	const toTheLeft = Math.ceil(before / one.length);
	const toTheRight = Math.ceil((n + after) / one.length);
	const all: number[] = [];
	for (let k = 0; k < toTheLeft + toTheRight; k++) all.push(...one);
	const zero = toTheLeft * one.length; // where index 0 of the line lies
	return all.slice(zero - before, zero + n + after);
}
