/** Boundary modes: n = 1 … 9, i = −4n … 5n, all modes, against a literally built periodic extension; then through calls. */
import { describe, expect, test } from 'vitest';
import { BOUNDARIES, BOUNDARY_SYNONYMS, indexMap, OUTSIDE, sourceIndex } from '../src/core/boundary.ts';
import { correlate } from '../src/index.ts';
import { tested } from './backends.ts';
import { extend, FILL, MODES } from './oracle/extension.ts';

test('the five modes, no more and no fewer', () => {
	expect([...BOUNDARIES].sort()).toEqual([...MODES].sort());
	expect(OUTSIDE).toBe(FILL);
});

test.each([
	['constant', '---|0123|---'],
	['edge', '000|0123|333'],
	['symmetric', '210|0123|321'],
	['mirror', '321|0123|210'],
	['wrap', '123|0123|012'],
] as const)('%s is %s', (mode, picture) => {
	const drawn = extend(mode, 4, 3, 3).map((i) => (i === FILL ? '-' : String(i)));
	drawn.splice(7, 0, '|');
	drawn.splice(3, 0, '|');
	expect(drawn.join('')).toBe(picture);
});

describe.each(MODES)('%s', (mode) => {
	test.each([1, 2, 3, 4, 5, 6, 7, 8, 9])('n = %i, i = −4n … 5n', (n) => {
		const expected = extend(mode, n, 4 * n, 4 * n + 1);
		const single = expected.map((_, k) => sourceIndex(mode, k - 4 * n, n));
		expect(single).toEqual(expected);
		expect([...indexMap(mode, n, -4 * n, expected.length)]).toEqual(expected);
		for (let first = -4 * n; first <= 5 * n; first++) {
			const count = 5 * n - first + 1;
			expect([...indexMap(mode, n, first, count)]).toEqual(expected.slice(first + 4 * n, first + 4 * n + count));
		}
	});
});

test('a map of no entries is empty', () => {
	for (const mode of MODES) expect(indexMap(mode, 3, -5, 0)).toHaveLength(0);
});

describe.each(tested)('$name reads the maps', ({ name: backend }) => {
	// A kernel with one tap shows what lies at a fixed distance from each pixel; far positions need a kernel several times the image.
	describe.each(MODES)('boundary %s', (mode) => {
		test.each([1, 2, 3, 5])('along x, %i pixels, distances −4n … 4n', async (n) => {
			await along('x', n);
		});
		test.each([1, 2, 3, 5])('along y, %i pixels, distances −4n … 4n', async (n) => {
			await along('y', n);
		});

		async function along(axis: 'x' | 'y', n: number): Promise<void> {
			const pixels = Uint8Array.from({ length: n }, (_, i) => i + 1);
			const value = 99;
			const reach = 4 * n;
			const size = 2 * reach + 1;
			for (let at = 0; at < size; at++) {
				const taps = new Int32Array(size);
				taps[at] = 1;
				const shapeOf = (length: number) => (axis === 'x' ? [1, length] : [length, 1]);
				const boundary = axis === 'x' ? (['edge', mode] as const) : ([mode, 'edge'] as const);
				const { data } = await correlate(
					{ data: pixels, shape: shapeOf(n) },
					{ data: taps, shape: shapeOf(size) },
					{ mode: 'same', boundary, value, backend, verify: false },
				);
				const line = extend(mode, n, reach, reach).map((i) => (i === FILL ? value : i + 1));
				expect([...data], `tap ${at - reach} away`).toEqual(line.slice(at, at + n));
			}
		}
	});
});

/** API.md's list, retyped on purpose. */
const SYNONYMS = {
	constant: ['fill', 'pad', 'zero', 'zeros'],
	edge: ['nearest', 'replicate', 'border'],
	symmetric: ['symm'],
	mirror: ['reflect101', 'mirror101'],
	wrap: ['circular', 'periodic'],
} as const;

const synonyms = Object.entries(SYNONYMS).flatMap(([mode, names]) => names.map((name) => [name, mode] as const));

test('no other synonyms', () => {
	expect(Object.keys(BOUNDARY_SYNONYMS).sort()).toEqual(synonyms.map(([name]) => name).sort());
});

test.each(synonyms)('the synonym %s means %s', async (synonym, mode) => {
	const image = [[1, 2, 3]];
	const kernel = [[1, 10, 100, 1000, 10000]];
	const options = { mode: 'same', value: 7, backend: 'reference' } as const;
	const named = await correlate(image, kernel, { ...options, boundary: synonym });
	const plain = await correlate(image, kernel, { ...options, boundary: mode as 'edge' });
	expect(named.data).toEqual(plain.data);
});
