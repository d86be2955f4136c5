/**
 * Boundary modes, as data. This file alone knows what a mode means: everything else reads an index map.
 *
 *     constant   kkk|abcd|kkk      one given value
 *     edge       aaa|abcd|ddd      the nearest pixel
 *     symmetric  cba|abcd|dcb      mirrored, the edge pixel twice
 *     mirror     dcb|abcd|cba      mirrored about the edge pixel (a single pixel: itself)
 *     wrap       bcd|abcd|abc      periodic
 */

export type Boundary = 'constant' | 'edge' | 'symmetric' | 'mirror' | 'wrap';

export const BOUNDARIES: readonly Boundary[] = ['constant', 'edge', 'symmetric', 'mirror', 'wrap'];

/** Other systems' words for the same five. 'reflect' alone is not among them: it means two different things. */
export const BOUNDARY_SYNONYMS: Readonly<Record<string, Boundary>> = {
	fill: 'constant',
	pad: 'constant',
	zero: 'constant',
	zeros: 'constant',
	nearest: 'edge',
	replicate: 'edge',
	border: 'edge',
	symm: 'symmetric',
	reflect101: 'mirror',
	mirror101: 'mirror',
	circular: 'wrap',
	periodic: 'wrap',
};

/** Words of other systems that are no synonyms here, and what they mean: SciPy ndimage's grid-*, WebGPU's address modes. For hints alone. */
export const BOUNDARY_HINTS: Readonly<Record<string, Boundary>> = {
	'grid-constant': 'constant',
	'grid-mirror': 'symmetric',
	'grid-wrap': 'wrap',
	clamp: 'edge',
	'clamp-to-edge': 'edge',
	repeat: 'wrap',
	'mirror-repeat': 'symmetric',
};

/** In a map: this position holds the constant `value`. */
export const OUTSIDE = -1;

const floorMod = (a: number, n: number): number => ((a % n) + n) % n;

/** The index in 0 … n−1 that position i (any integer) shows, or OUTSIDE. n ≥ 1 unless the mode is constant. */
export function sourceIndex(mode: Boundary, i: number, n: number): number {
	if (i >= 0 && i < n) return i;
	switch (mode) {
		case 'constant':
			return OUTSIDE;
		case 'edge':
			return i < 0 ? 0 : n - 1;
		case 'wrap':
			return floorMod(i, n);
		case 'symmetric': {
			const p = floorMod(i, 2 * n); // period abcddcba
			return p < n ? p : 2 * n - 1 - p;
		}
		case 'mirror': {
			if (n === 1) return 0;
			const period = 2 * n - 2; // period abcdcb
			const p = floorMod(i, period);
			return p < n ? p : period - p;
		}
	}
}

/**
 * The map of one axis: entry k is the source index that position `first + k` shows.
 *
 * @param n pixels on the axis
 * @param first position of entry 0; may be negative
 * @param count entries
 */
export function indexMap(mode: Boundary, n: number, first: number, count: number): Int32Array {
	const map = new Int32Array(count);
	for (let k = 0; k < count; k++) map[k] = sourceIndex(mode, first + k, n);
	return map;
}
