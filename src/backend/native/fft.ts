/** Overlap-save by Fourier transforms (native/fft_tile.c): whether it can, on which tiles, and what it costs. */
import { fftModel } from '../../core/bounds.ts';
import { DTYPES } from '../../core/dtype.ts';
import { FFT_LENGTHS, LONGEST_FFT, radices } from '../../core/fft-size.ts';
import type { Extent } from '../../core/plan.ts';
import type { Problem } from '../../core/problem.ts';
import type { Costs, PlanWish } from '../backend.ts';
import { cellName } from './costs.ts';
import type { OptionOrReason } from './option.ts';

/** Spectra of all kernels together may take this much; the rest of a plan's memory is a pair of tiles per thread. */
const SPECTRA_BYTES = 2 ** 26;

/** Windows up to half of the longest transform: below that, more than a quarter of every tile is result. */
const LARGEST_WINDOW = LONGEST_FFT / 2;

// ── cost ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What every doubling of a pair of tiles beyond CACHE_BYTES adds to its transform, as a share: sizes up to 1024² on the machine of costs.ts. */
const CACHE = 0.2;
const CACHE_BYTES = 2 ** 19;

interface Layout {
	readonly size: Extent;
	readonly tile: Extent;
	/** The counts of TERMS.fft. */
	readonly counts: readonly number[];
	readonly pairs: number;
}

/** Counted once: a plan looks at hundreds of sizes. */
const PASSES: ReadonlyMap<number, number> = new Map(FFT_LENGTHS.map((n) => [n, (radices(n) as number[]).length]));
const passes = (n: number): number => PASSES.get(n) as number;

/** Bytes of a pair of tiles, and of a spectrum. */
const pairBytes = (size: Extent, bytes: number): number => 2 * size.height * size.width * bytes;

function layoutOf(problem: Problem, size: Extent, window: Extent, bytes: number): Layout {
	const [n, channels, height, width] = problem.output.sizes;
	const [rows, columns] = [Math.ceil(height / (size.height - window.height + 1)), Math.ceil(width / (size.width - window.width + 1))];
	const tile = { height: Math.ceil(height / Math.max(1, rows)) || 1, width: Math.ceil(width / Math.max(1, columns)) || 1 };
	const tiles = n * channels * rows * columns;
	const cache = 1 + CACHE * Math.max(0, Math.log2(pairBytes(size, bytes) / CACHE_BYTES));
	const elements = (tiles / 2) * size.height * size.width * cache;
	const moved = (tile.height + window.height - 1) * (tile.width + window.width - 1) + tile.height * tile.width;
	const counts = [elements, elements * (passes(size.height) + passes(size.width)), tiles * moved, tiles];
	return { size, tile, counts, pairs: Math.ceil(tiles / 2) };
}

/** Lengths for one axis that are worth a look: few tiles for their work. An empty result needs a plan as well. */
function promising(size: number, taps: number): number[] {
	const outputs = Math.max(1, size);
	const work = (n: number) => Math.ceil(outputs / (n - taps + 1)) * n * (1 + passes(n));
	return FFT_LENGTHS.filter((n) => n >= taps && n < 2 * (outputs + taps)) // beyond that, mostly padding
		.sort((a, b) => work(a) - work(b))
		.slice(0, 24);
}

/** The cheapest tiles, or undefined where the spectra would take too much memory. */
function bestLayout(problem: Problem, window: Extent, bytes: number, nanoseconds: readonly number[], threads: number): Layout | undefined {
	const [, , height, width] = problem.output.sizes;
	let best: { layout: Layout; cost: number } | undefined;
	for (const h of promising(height, window.height)) {
		for (const w of promising(width, window.width)) {
			const size = { height: h, width: w };
			if (pairBytes(size, bytes) * problem.windows.length > SPECTRA_BYTES) continue;
			const layout = layoutOf(problem, size, window, bytes);
			const busy = layout.pairs === 0 ? 1 : (Math.ceil(layout.pairs / threads) * threads) / layout.pairs; // the last pairs leave threads idle
			const cost = busy * layout.counts.reduce((sum, count, k) => sum + count * (nanoseconds[k] as number), 0);
			if (best === undefined || cost < best.cost) best = { layout, cost };
		}
	}
	return best?.layout;
}

// ── the option ────────────────────────────────────────────────────────────────────────────────────────────────────

function reasonAgainst(problem: Problem, wish: PlanWish): string | undefined {
	if (problem.sum === 'integer') return 'integer sums are exact, and rounding is not proven to give them back from a Fourier transform';
	if (wish.accuracy === 'pixel') return "its error is relative to the neighbourhood, which accuracy 'pixel' forbids";
	if (problem.stride.some((s) => s > 1)) return 'with a stride it would compute what is thrown away';
	if (problem.dilation.some((d) => d > 1)) return 'a dilated kernel would be transformed with all its holes';
	if (problem.windows.some(({ rows, cols }) => rows > LARGEST_WINDOW || cols > LARGEST_WINDOW))
		return `a kernel side is beyond ${LARGEST_WINDOW}, half of the longest transform`;
	if (!problem.windows.every(({ taps }) => [...taps].every((tap) => Number.isFinite(Number(tap))))) return 'not every tap is finite';
	return undefined;
}

/** The largest rows and columns of any window. */
const windowOf = ({ windows }: Problem): Extent => ({
	height: Math.max(1, ...windows.map(({ rows }) => rows)),
	width: Math.max(1, ...windows.map(({ cols }) => cols)),
});

/** What TERMS.fft counts, with transforms of this size. */
export const fftCounts = (problem: Problem, size: Extent): readonly number[] =>
	layoutOf(problem, size, windowOf(problem), DTYPES[problem.sum as 'float32' | 'float64'].bytes).counts;

/** @param costs of the transforms, in nanoseconds, by which the best size is found */
export function fftOption(problem: Problem, wish: PlanWish, costs: Costs, threads: number): OptionOrReason {
	const why = reasonAgainst(problem, wish);
	if (why !== undefined) return { why };
	const { bytes } = DTYPES[problem.sum as 'float32' | 'float64'];
	const cell = cellName('fft', bytes === 4 ? 'f32' : 'f64');
	const layout = bestLayout(problem, windowOf(problem), bytes, costs.numbers[cell] as readonly number[], threads);
	const kernels = problem.windows.length;
	if (layout === undefined) return { why: `the spectra of ${kernels} kernels would take more than ${SPECTRA_BYTES >> 20} MiB` };
	const { size, tile } = layout;
	return {
		steps: problem.windows.map(({ rows, cols, first }, kernel) => ({ kind: 'fft', kernel, rows, cols, first, size })),
		model: fftModel(problem, size),
		why: `transforms of ${size.height}x${size.width}, two tiles at once`,
		blockRows: 1,
		tile: () => tile,
		memory: (used) => pairBytes(size, bytes) * (used + kernels),
	};
}
