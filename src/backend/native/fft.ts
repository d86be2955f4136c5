/** Overlap-save by Fourier transforms (native/fft_tile.c): whether it can, on which tiles, and what it costs. */
import { fftModel } from '../../core/bounds.ts';
import { DTYPES } from '../../core/dtype.ts';
import { FFT_LENGTHS, LONGEST_FFT, radices } from '../../core/fft-size.ts';
import { type Candidate, type Extent, type Plan, planName } from '../../core/plan.ts';
import type { Problem } from '../../core/problem.ts';
import type { Capabilities, PlanWish } from '../backend.ts';

/** Spectra of all kernels together may take this much; the rest of a plan's memory is a pair of tiles per thread. */
const SPECTRA_BYTES = 2 ** 26;

/** Windows up to half of the longest transform: below that, more than a quarter of every tile is result. */
const LARGEST_WINDOW = LONGEST_FFT / 2;

// ── cost ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Nanoseconds on one thread, from 27 square sizes of 64 to 1024 (float32, AVX-512; EPYC of the Zen 5 generation, gcc 12): a transform of one
 * axis forward and back takes BASE and PASS for each pass, per pair of pixels, and CACHE more of that for every doubling of the pair of tiles
 * beyond 512 KiB. The model is within a fifth of each measurement.
 */
const BASE_NS = 0.1;
const PASS_NS = 0.12;
const CACHE = 0.2;
const CACHE_BYTES = 2 ** 19;
/** What the same sizes take on other instruction sets (as `base` where not listed), and in float64 beside the cache. */
const ISA_FACTOR: Readonly<Record<string, number>> = { avx512: 1, avx2: 2, base: 4.4 };
const DOUBLE_FACTOR = 2.1;
/** Per pixel of a region, in, and of a tile, out: what is beside the transforms at K = 31 and 127. */
const IN_NS = 0.15;
const OUT_NS = 0.15;
/** Per tile. */
const TILE_NS = 3000;

/** Nanoseconds of one axis of length n, per pair of pixels. */
const axisCost = (n: number): number => BASE_NS + PASS_NS * (radices(n) as number[]).length;

interface Layout {
	readonly size: Extent;
	readonly tile: Extent;
	readonly milliseconds: number;
	readonly tiles: number;
}

/** Bytes of a pair of tiles. */
const pairBytes = (size: Extent, bytes: number): number => 2 * size.height * size.width * bytes;

function layoutOf(problem: Problem, size: Extent, window: Extent, bytes: number, isa: string): Layout {
	const [n, channels, height, width] = problem.output.sizes;
	const [rows, columns] = [Math.ceil(height / (size.height - window.height + 1)), Math.ceil(width / (size.width - window.width + 1))];
	const tile = { height: Math.ceil(height / rows), width: Math.ceil(width / columns) };
	const tiles = n * channels * rows * columns;
	const cache = 1 + CACHE * Math.max(0, Math.log2(pairBytes(size, bytes) / CACHE_BYTES));
	const factor = cache * (ISA_FACTOR[isa] ?? (ISA_FACTOR.base as number)) * (bytes === 8 ? DOUBLE_FACTOR : 1);
	const transform = size.height * size.width * (axisCost(size.height) + axisCost(size.width)) * factor;
	const moves = (tile.height + window.height) * (tile.width + window.width) * IN_NS + tile.height * tile.width * OUT_NS;
	return { size, tile, tiles, milliseconds: ((tiles / 2) * transform + tiles * (moves + TILE_NS)) / 1e6 };
}

/** Lengths for one axis that are worth a look: few tiles for their work, at most `count` of them. */
function promising(outputs: number, taps: number, count: number): number[] {
	const work = (n: number) => Math.ceil(outputs / (n - taps + 1)) * n * (axisCost(n) + BASE_NS);
	return FFT_LENGTHS.filter((n) => n >= taps && n < 2 * (outputs + taps)) // beyond that, mostly padding
		.sort((a, b) => work(a) - work(b))
		.slice(0, count);
}

/** The cheapest tiles, or undefined where the spectra would take too much memory. */
function bestLayout(problem: Problem, window: Extent, bytes: number, isa: string, threads: number): Layout | undefined {
	const [, , height, width] = problem.output.sizes;
	let best: { layout: Layout; cost: number } | undefined;
	for (const h of promising(height, window.height, 24)) {
		for (const w of promising(width, window.width, 24)) {
			const size = { height: h, width: w };
			if (pairBytes(size, bytes) * problem.windows.length > SPECTRA_BYTES) continue;
			const layout = layoutOf(problem, size, window, bytes, isa);
			const pairs = Math.max(1, Math.ceil(layout.tiles / 2));
			const cost = (layout.milliseconds / pairs) * Math.ceil(pairs / threads); // the last pairs leave threads idle
			if (best === undefined || cost < best.cost) best = { layout, cost };
		}
	}
	return best?.layout;
}

// ── the candidate ────────────────────────────────────────────────────────────────────────────────────────────────────

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

/**
 * The plan, or the reason against it.
 *
 * @param direct the plan of the same problem that sums directly: its accumulator and store are the same, and so are its tiles for pixels
 *     that are not finite
 */
export function fftCandidate(
	problem: Problem,
	capabilities: Capabilities,
	wish: PlanWish,
	direct: { plan: Plan; lanes: number },
	limits: { inline: number; pool: number; threads: number },
): Candidate {
	const isa = capabilities.isa as string;
	const common = { name: `fft@native.${isa}`, backend: 'native', algorithm: 'fft' } as const;
	const why = reasonAgainst(problem, wish);
	if (why !== undefined) return { ...common, code: 'UNSUPPORTED', why };
	const bytes = DTYPES[problem.sum as 'float32' | 'float64'].bytes;
	const window = {
		height: Math.max(1, ...problem.windows.map(({ rows }) => rows)),
		width: Math.max(1, ...problem.windows.map(({ cols }) => cols)),
	};
	const layout = bestLayout(problem, window, bytes, isa, limits.threads);
	if (layout === undefined) {
		const count = problem.windows.length;
		return { ...common, code: 'UNSUPPORTED', why: `the spectra of ${count} kernels would take more than ${SPECTRA_BYTES >> 20} MiB` };
	}
	const { size, tile, milliseconds } = layout;
	const threads = milliseconds < limits.inline ? 1 : limits.threads;
	const block = { height: 1, width: direct.lanes };
	const plan: Plan = {
		...direct.plan,
		name: planName({ algorithm: 'fft', problem, tile, block, backend: 'native', isa }),
		algorithm: 'fft',
		threads,
		tile,
		block,
		model: fftModel(problem, size),
		steps: problem.windows.map(({ rows, cols, first }, kernel) => ({ kind: 'fft', kernel, rows, cols, first, size })),
		predicted: {
			milliseconds: milliseconds < limits.inline ? milliseconds : milliseconds / Math.min(threads, capabilities.threads) + limits.pool,
			bytes: pairBytes(size, bytes) * (threads + problem.windows.length),
		},
	};
	return { ...common, name: plan.name, plan, why: `${plan.accumulator} sums over ${size.height}x${size.width}, two tiles at once` };
}
