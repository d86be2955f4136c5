/** Which pixels of a result `verify: 'sample'` recomputes, and how many. */
import type { PerAxis } from './ndarray.ts';
import type { Problem } from './problem.ts';
import { randomStream } from './random.ts';

/** Most pixels that 'sample' recomputes. */
export const SAMPLE_LIMIT = 4096;

/** From this many output pixels on, 'sample' may take at most SAMPLE_SHARE of the predicted time. */
export const SAMPLE_LARGE = 16e6;
const SAMPLE_SHARE = 0.02;
/** Oracle time, microseconds, that the smallest sample of a smaller result may take; its eight corners are always checked. */
const SAMPLE_LEAST = 20_000;

/** Oracle time, microseconds: measured on a 2.6 GHz Xeon with Node 20, float64 sums; exact integers take three times that. */
const ORACLE_PIXEL = 1.5;
const ORACLE_TAP = 0.06;
const BIGINT_FACTOR = 3;

/**
 * How many pixels 'sample' recomputes: a pure function of the problem and the plan's predicted time, so that a seed
 * replays. Corners and seams are part of it and always checked.
 *
 * @param predicted milliseconds
 */
export function sampleCount(problem: Problem, predicted: number): number {
	const total = problem.output.sizes.reduce((a, b) => a * b, 1);
	const taps = Math.max(0, ...problem.windows.map((window) => window.taps.length));
	const each = (ORACLE_PIXEL + taps * ORACLE_TAP) * (problem.sum === 'integer' ? BIGINT_FACTOR : 1);
	const affordable = Math.floor((predicted * 1000 * SAMPLE_SHARE) / each);
	const least = total >= SAMPLE_LARGE ? 16 : Math.max(8, Math.min(64, Math.floor(SAMPLE_LEAST / each)));
	return Math.min(total, SAMPLE_LIMIT, Math.max(least, affordable));
}

/** Of the first and of the last plane. */
const CORNERS = 8;

/** A corner, a random pixel, or one beside a random tile seam: index k of the sample decides which. */
function position(k: number, sizes: PerAxis, tile: { height: number; width: number }, random: ReturnType<typeof randomStream>): PerAxis {
	const [n, c, h, w] = sizes;
	if (k < CORNERS) {
		const plane = k < 4 ? [0, 0] : [n - 1, c - 1]; // four corners of the first and of the last plane
		return [plane[0] as number, plane[1] as number, k & 1 ? h - 1 : 0, k & 2 ? w - 1 : 0];
	}
	const seam = (size: number, step: number) => {
		const seams = Math.ceil(size / step) - 1;
		return seams < 1 ? random.below(size) : (1 + random.below(seams)) * step - random.below(2);
	};
	const free: PerAxis = [random.below(n), random.below(c), random.below(h), random.below(w)];
	if (k % 4 === 0) return [free[0], free[1], seam(h, tile.height), free[3]];
	if (k % 4 === 1) return [free[0], free[1], free[2], seam(w, tile.width)];
	return free;
}

/** Tiles of Fourier transforms in which a sample is taken beside its corners: each costs a look at an eighth of what the tile reads. */
const FEW_TILES = 1;
const MORE_TILES = 8;

/** A pixel of the tile that holds `at`: anywhere, or in its first or last row or column. */
function within(at: PerAxis, sizes: PerAxis, tile: { height: number; width: number }, random: ReturnType<typeof randomStream>): PerAxis {
	const along = (x: number, step: number, size: number, edge: boolean) => {
		const first = x - (x % step);
		const last = Math.min(first + step, size) - 1;
		return edge ? (random.below(2) === 0 ? first : last) : first + random.below(last - first + 1);
	};
	const edge = random.below(4); // 0: a row, 1: a column
	return [at[0], at[1], along(at[2], tile.height, sizes[2], edge === 0), along(at[3], tile.width, sizes[3], edge === 1)];
}

/**
 * The pixels that verify() recomputes for this choice, where it is not all of them.
 *
 * @param together in few tiles beside the corners: where the bound of a pixel asks for all that its tile reads
 */
export function samplePositions(
	sizes: PerAxis,
	tile: { height: number; width: number },
	count: number,
	seed: number,
	together = false,
): PerAxis[] {
	const random = randomStream(seed);
	const total = sizes.reduce((a, b) => a * b, 1);
	const others = total >= SAMPLE_LARGE ? FEW_TILES : MORE_TILES;
	const inTile = (): PerAxis => [random.below(sizes[0]), random.below(sizes[1]), random.below(sizes[2]), random.below(sizes[3])];
	const tiles: PerAxis[] = together ? [[0, 0, 0, 0], ...Array.from({ length: others }, inTile)] : [];
	return Array.from({ length: count }, (_, k) =>
		together && k >= CORNERS ? within(tiles[k % tiles.length] as PerAxis, sizes, tile, random) : position(k, sizes, tile, random),
	);
}
