/**
 * Overlap-save by Fourier transforms (shaders/fft.wgsl): whether it can, in which tiles, what it moves, and the tables that it reads. Pure;
 * geometry as the header of the shader says it.
 */
import { DTYPES } from '../../core/dtype.ts';
import { radices } from '../../core/fft-size.ts';
import type { Extent } from '../../core/plan.ts';
import type { KernelWindow, PerPlaneAxis, Problem, WindowFrame } from '../../core/problem.ts';
import type { PlanWish } from '../backend.ts';
import { unionOf } from './bank.ts';
import { roundUp } from './buffers.ts';
import { arrangementOf, singleBits } from './direct.ts';
import { epilogueWords } from './jobs.ts';
import { QUAD } from './quads.ts';
import { BANK_PRODUCTS, type Grain, pieceNeeds, type TileLimits } from './tiler.ts';

/** Bytes of a complex number. */
export const COMPLEX_BYTES = 8;

/** Shortest transform: radix 4 and then 8 at least. */
const SHORTEST = 32;

/** Complex numbers of a workgroup at most: the 16 KiB that every device has. */
const MOST_POINTS = 2048;

/** Spectra of all kernels together may take this much, and what becomes of pairs under their products no more. */
const SPECTRA_BYTES = 2 ** 26;

/**
 * Bytes of the pairs under way for one kernel: a few workgroups for every processor, and little enough to lie in a large GPU's cache from pass
 * to pass. Up to 4 kernels of a bank have as many pairs, and so as many workgroups a pass; beyond, SPECTRA_BYTES leaves fewer.
 */
const PAIRS_BYTES = 2 ** 24;

/** Pairs of one dispatch, which has two workgroups a pair along an axis of at most 65,535. */
const MOST_PAIRS = 32767;

/** Σ|tap| whose product with a region's scale stays within two factors of float32. */
const TAPS_RANGE = [2 ** -100, 2 ** 100] as const;

/** Workgroups along one axis of a dispatch. */
const MOST_GROUPS = 65535;

/** Bytes that one memory transaction moves; shorter runs pay for all of it. */
const SECTOR = 32;

const powerBelow = (n: number): number => 2 ** Math.floor(Math.log2(n));

/** Complex numbers and threads of a workgroup. */
export function workgroupOf({ storage, threads }: Pick<TileLimits, 'storage' | 'threads'>): { points: number; threads: number } {
	const points = Math.min(MOST_POINTS, powerBelow(storage / COMPLEX_BYTES));
	return { points, threads: Math.max(1, Math.min(points / 8, powerBelow(threads))) };
}

/**
 * The smallest window that holds those of all kernels: they read the same regions, so that a bank is one transform forward. It is at most as
 * large as the bank's kernels, zeros included.
 */
export const fftFrame = ({ windows }: Problem): WindowFrame => unionOf(windows);

/** Rows and columns of the frame; one of zeros counts as one tap. */
function frameExtent(problem: Problem): Extent {
	const { rows, cols } = fftFrame(problem);
	return { height: Math.max(1, rows), width: Math.max(1, cols) };
}

function magnitudeOf({ taps }: KernelWindow): number {
	let sum = 0;
	for (const tap of taps) sum += Math.abs(Number(tap));
	return sum;
}

/** Why it cannot; undefined where it can. */
export function fftObstacle(problem: Problem, wish: PlanWish): string | undefined {
	if (problem.sum === 'integer') return 'integer sums are exact, and rounding is not proven to give them back from a Fourier transform';
	if (wish.accuracy === 'pixel') return "its error is relative to the neighbourhood, which accuracy 'pixel' forbids";
	if (problem.stride.some((s) => s > 1)) return 'with a stride it would compute what is thrown away';
	if (problem.dilation.some((d) => d > 1)) return 'a dilated kernel would be transformed with all its holes';
	if (DTYPES[problem.image.dtype].bytes > 4 || DTYPES[problem.output.dtype].bytes > 4) return 'tiles hold elements of at most 4 bytes';
	const { layout, sizes } = problem.output;
	if (layout.endsWith('C') && Math.max(sizes[0], sizes[2]) > MOST_GROUPS) {
		return `channels are put side by side with a dispatch of at most ${MOST_GROUPS} rows and images`;
	}
	const [least, most] = TAPS_RANGE;
	const held = problem.windows.every((window) => {
		const magnitude = magnitudeOf(window);
		return window.rows === 0 || (magnitude >= least && magnitude <= most);
	});
	return held ? undefined : 'the magnitudes of the taps of each kernel must add up to between 2^-100 and 2^100';
}

// ── tiles ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The pairs of tiles of a plane: from the first tile of a pair to the second it is one down or one right, whichever leaves fewer pairs. */
export function pairsOf(plane: Extent, tile: Extent): { stepY: 0 | 1; stepX: 0 | 1; rows: number; columns: number } {
	const [rows, columns] = [Math.ceil(plane.height / tile.height), Math.ceil(plane.width / tile.width)];
	const across = rows * Math.ceil(columns / 2) <= Math.ceil(rows / 2) * columns;
	return across
		? { stepY: 0, stepX: 1, rows, columns: Math.ceil(columns / 2) }
		: { stepY: 1, stepX: 0, rows: Math.ceil(rows / 2), columns };
}

const planeOf = ({ output }: Problem): Extent => ({ height: output.sizes[2], width: output.sizes[3] });

/** Channels side by side are put there by a pass of their own. */
export const interleaves = (problem: Problem): boolean =>
	arrangementOf(problem.output.layout) === 'interleaved' && problem.output.sizes[1] > 1;

/** Pieces are whole pairs. */
export function fftGrain(problem: Problem, tile: Extent): Grain {
	const { stepY, stepX } = pairsOf(planeOf(problem), tile);
	return { height: tile.height * (1 + stepY), width: tile.width * (1 + stepX), sums: interleaves(problem) };
}

export interface FftLayout {
	readonly size: Extent;
	readonly tile: Extent;
	/** Bytes that all passes move, runs shorter than a sector counted whole. */
	readonly bytes: number;
	/** Complex numbers of all transforms, times the passes of both axes. */
	readonly work: number;
	/** A piece has room for a pair of tiles under all kernels of the bank: one transform forward is enough for them. */
	readonly shared: boolean;
}

/** About equal tiles of at most `most` outputs. */
function tileSide(outputs: number, most: number, quads: boolean): number {
	const whole = Math.max(1, outputs);
	if (whole <= most) return whole;
	const step = quads ? QUAD : 1;
	const largest = most - (most % step);
	return largest === 0 ? 0 : Math.min(largest, roundUp(Math.ceil(whole / Math.ceil(whole / largest)), step));
}

/** A pair of tiles under all kernels of the bank fits a piece. */
function sharesPiece(problem: Problem, grain: Grain, limits: TileLimits): boolean {
	const { windows, output } = problem;
	if (windows.length === 1 || grain.sums) return true;
	const work = Math.max(1, ...windows.map(({ taps }) => taps.length));
	const bank = [1, windows.length, Math.min(output.sizes[2], grain.height), Math.min(output.sizes[3], grain.width)] as const;
	const needs = pieceNeeds(problem, bank, work);
	const cap = Math.min(limits.binding, limits.buffer, limits.piece);
	return Math.max(needs.input, needs.output, needs.tables) <= cap && needs.products <= BANK_PRODUCTS * limits.products;
}

/** What all pairs cost: each once, or where they do not share it for each kernel, and back for each kernel of the bank. Undefined where transforms are too short for a tile. */
function layoutOf(problem: Problem, size: Extent, window: Extent, points: number, limits?: TileLimits): FftLayout | undefined {
	const plane = planeOf(problem);
	const tile = {
		height: tileSide(plane.height, size.height - window.height + 1, false),
		width: tileSide(plane.width, size.width - window.width + 1, true),
	};
	if (tile.height === 0 || tile.width === 0) return undefined;
	const [n, channels] = problem.output.sizes;
	const { rows, columns } = pairsOf(plane, tile);
	const kernels = problem.windows.length;
	const pairs = n * (channels / kernels) * rows * columns;
	const read = tile.height + window.height - 1;
	const pixels = 2 * read * (tile.width + window.width - 1) * DTYPES[problem.image.dtype].bytes;
	const results = 2 * tile.height * tile.width * (DTYPES[problem.output.dtype].bytes + (interleaves(problem) ? 8 : 0));
	// columns side by side in a workgroup are the run that it reads and writes
	const scattered = Math.max(1, SECTOR / (COMPLEX_BYTES * (points / size.height)));
	const row = size.width * COMPLEX_BYTES * (1 + scattered);
	const product = size.height * size.width * COMPLEX_BYTES * scattered;
	const passes = (radices(size.height) as number[]).length + (radices(size.width) as number[]).length;
	const shared = limits === undefined || sharesPiece(problem, fftGrain(problem, tile), limits);
	const forward = shared ? 1 : kernels;
	return {
		size,
		tile,
		bytes: pairs * (forward * (2 * pixels + read * row) + kernels * (tile.height * row + product + results)),
		work: pairs * size.height * size.width * passes * (forward + kernels),
		shared,
	};
}

/** The tiles of transforms of a size, and what they cost. */
export const fftLayoutOf = (problem: Problem, size: Extent, limits: Pick<TileLimits, 'storage' | 'threads'>): FftLayout | undefined =>
	layoutOf(problem, size, frameExtent(problem), workgroupOf(limits).points);

/** The cheapest tiles by `cost`, or the reason why there are none. */
export function fftLayout(
	problem: Problem,
	limits: TileLimits,
	cost: (layout: FftLayout) => number,
): { layout: FftLayout; why?: undefined } | { layout?: undefined; why: string } {
	const { points } = workgroupOf(limits);
	const window = frameExtent(problem);
	if (Math.max(window.height, window.width) > points / 2) {
		const subject = problem.windows.length === 1 ? 'a kernel side' : `a side of the ${window.height}x${window.width} that hold all kernels`;
		return { why: `${subject} is beyond ${points / 2}, half of the longest transform in the ${limits.storage} bytes of a workgroup` };
	}
	const lengths: number[] = [];
	for (let n = SHORTEST; n <= points; n *= 2) lengths.push(n);
	const cap = Math.min(limits.binding, limits.buffer, limits.piece);
	let best: { layout: FftLayout; cost: number } | undefined;
	for (const height of lengths.filter((n) => n >= window.height)) {
		for (const width of lengths.filter((n) => n >= window.width)) {
			const spectra = height * width * COMPLEX_BYTES * problem.windows.length;
			if (spectra > Math.min(SPECTRA_BYTES, limits.buffer / 2, limits.binding)) continue;
			const layout = layoutOf(problem, { height, width }, window, points, limits);
			if (layout === undefined) continue;
			const { output } = problem;
			const grain = fftGrain(problem, layout.tile);
			const channels = arrangementOf(output.layout) === 'interleaved' ? output.sizes[1] : 1;
			const least = [1, channels, Math.min(output.sizes[2], grain.height), Math.min(output.sizes[3], grain.width)] as const;
			const needs = pieceNeeds(problem, least, 1);
			if (Math.max(needs.input, needs.output, needs.tables) > cap || needs.sums > Math.min(limits.binding, limits.buffer)) continue;
			const own = cost(layout);
			if (best === undefined || own < best.cost) best = { layout, cost: own };
		}
	}
	if (best !== undefined) return { layout: best.layout };
	return {
		why: `neither a pair of tiles nor the spectra of ${problem.windows.length} kernels may take more than the limits of the device`,
	};
}

/** Pairs under way at a time, each with a spectrum for every kernel. @param most bytes of a binding */
export function pairsAtATime({ height, width }: Extent, kernels: number, most: number): number {
	const bytes = Math.min(kernels * PAIRS_BYTES, SPECTRA_BYTES, most);
	return Math.max(1, Math.min(MOST_PAIRS, Math.floor(bytes / (kernels * height * width * COMPLEX_BYTES))));
}

// ── tables ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** exp(−2πik/n) in float64, real and imaginary parts in turn; the angle is never beyond an eighth of a turn. */
export function rootsOfUnity(n: number): Float64Array {
	const roots = new Float64Array(2 * n);
	for (let k = 0; k < n; k++) {
		const octant = Math.floor((8 * k) / n);
		const rest = 8 * k - octant * n;
		const angle = ((Math.PI / 4) * (octant % 2 === 0 ? rest : n - rest)) / n;
		const swap = [1, 2, 5, 6].includes(octant);
		const [x, y] = swap ? [Math.sin(angle), Math.cos(angle)] : [Math.cos(angle), Math.sin(angle)];
		roots[2 * k] = octant >= 2 && octant <= 5 ? -x : x;
		roots[2 * k + 1] = octant >= 4 ? y : -y;
	}
	return roots;
}

/** Where each frequency of a transform of length n stands after the shader's passes. */
export function placesOf(n: number): number[] {
	return Array.from({ length: n }, (_, frequency) => {
		let [place, rest, length] = [0, frequency, n];
		for (const radix of radices(n) as number[]) {
			length /= radix;
			place += (rest % radix) * length;
			rest = Math.floor(rest / radix);
		}
		return place;
	});
}

/** Transforms `n` complex numbers of `data` from `start` on, `step` apart, n a power of two; by decimation in frequency, bits reversed after. */
function transformLine(data: Float64Array, start: number, step: number, roots: Float64Array, line: Float64Array): void {
	const n = roots.length / 2;
	for (let k = 0; k < n; k++) {
		line[2 * k] = data[2 * (start + k * step)] as number;
		line[2 * k + 1] = data[2 * (start + k * step) + 1] as number;
	}
	for (let half = n / 2; half >= 1; half /= 2) {
		for (let block = 0; block < n; block += 2 * half) {
			for (let k = 0; k < half; k++) {
				const [a, b, w] = [2 * (block + k), 2 * (block + k + half), (2 * k * (n / 2)) / half];
				const [re, im] = [(line[a] as number) - (line[b] as number), (line[a + 1] as number) - (line[b + 1] as number)];
				const [c, s] = [roots[w] as number, roots[w + 1] as number];
				line[a] = (line[a] as number) + (line[b] as number);
				line[a + 1] = (line[a + 1] as number) + (line[b + 1] as number);
				line[b] = re * c - im * s;
				line[b + 1] = re * s + im * c;
			}
		}
	}
	for (let k = 0, reversed = 0; k < n; k++) {
		data[2 * (start + reversed * step)] = line[2 * k] as number;
		data[2 * (start + reversed * step) + 1] = line[2 * k + 1] as number;
		let bit = n >> 1;
		for (; (reversed & bit) !== 0; bit >>= 1) reversed ^= bit;
		reversed |= bit;
	}
}

/** log2 of what a kernel's spectrum is scaled down by: its taps then add up to a magnitude from 1 to 2. */
const exponentOf = (magnitude: number): number => (magnitude === 0 ? 0 : Math.floor(Math.log2(magnitude)));

/**
 * conj(F taps) / (h·w) · 2^−exponent in float32, in the order of the shader's passes; real and imaginary parts in turn.
 *
 * @param row of its frame on which the window begins, and column
 */
export function spectrumOf(window: KernelWindow, { height, width }: Extent, [row, col]: PerPlaneAxis = [0, 0]): Float32Array {
	const data = new Float64Array(2 * height * width);
	const unit = 2 ** -exponentOf(magnitudeOf(window));
	for (let j = 0; j < window.rows; j++) {
		for (let i = 0; i < window.cols; i++) {
			data[2 * ((row + j) * width + col + i)] = Number(window.taps[j * window.cols + i]) * unit;
		}
	}
	const [across, down] = [rootsOfUnity(width), rootsOfUnity(height)];
	const line = new Float64Array(2 * Math.max(height, width));
	for (let j = row; j < row + window.rows; j++) transformLine(data, j * width, 1, across, line);
	for (let i = 0; i < width; i++) transformLine(data, i, width, down, line);
	const [rows, columns] = [placesOf(height), placesOf(width)];
	const spectrum = new Float32Array(data.length);
	const share = 1 / (height * width);
	for (let j = 0; j < height; j++) {
		for (let i = 0; i < width; i++) {
			const [from, to] = [2 * (j * width + i), 2 * ((rows[j] as number) * width + (columns[i] as number))];
			spectrum[to] = (data[from] as number) * share;
			spectrum[to + 1] = -(data[from + 1] as number) * share;
		}
	}
	return spectrum;
}

/** A part of the tables, as a binding wants it. */
interface Section {
	readonly offset: number;
	readonly size: number;
}

export interface FftTables {
	readonly words: Uint32Array<ArrayBuffer>;
	readonly epilogues: Section;
	/** Roots of unity of the columns' and of the rows' transforms. */
	readonly rootsY: Section;
	readonly rootsX: Section;
	/** Facts and taps of all kernels. */
	readonly kernels: Section;
	readonly spectra: readonly Section[];
	/** log2 of the largest Σ|tap|, rounded down. */
	readonly magnitudeExponent: number;
}

/** Offsets of bindings: WebGPU's default, which no device may exceed. */
const OFFSET = 256;

/** Words of a kernel's facts in the shader's table. */
const FACTS = 8;

/** Where a window begins in the frame. */
const within = (window: KernelWindow, frame: WindowFrame): PerPlaneAxis =>
	window.rows === 0 ? [0, 0] : [window.first[0] - frame.first[0], window.first[1] - frame.first[1]];

/** As the shader reads kernels: what it must know of each, then all taps. */
function kernelTable(problem: Problem): Uint32Array {
	const frame = fftFrame(problem);
	const facts: number[] = [];
	const taps: number[] = [];
	for (const window of problem.windows) {
		let weight = 0;
		for (const tap of window.taps) weight += Number(tap);
		const at = FACTS * problem.windows.length + taps.length;
		facts.push(singleBits(weight), exponentOf(magnitudeOf(window)), at, window.rows, window.cols, ...within(window, frame), 0);
		for (const tap of window.taps) taps.push(singleBits(Number(tap)));
	}
	return Uint32Array.from([...facts, ...taps]);
}

/** Everything that all pieces read, in one buffer. */
export function fftTables(problem: Problem, size: Extent): FftTables {
	const parts: { readonly words: Uint32Array; readonly offset: number }[] = [];
	let end = 0;
	const put = (words: Uint32Array): Section => {
		const section = { offset: end, size: Math.max(4, words.byteLength) };
		parts.push({ words, offset: end });
		end = roundUp(end + section.size, OFFSET);
		return section;
	};
	const roots = (n: number) => new Uint32Array(Float32Array.from(rootsOfUnity(n)).buffer);
	const frame = fftFrame(problem);
	const sections = {
		epilogues: put(epilogueWords(problem)),
		rootsY: put(roots(size.height)),
		rootsX: put(roots(size.width)),
		kernels: put(kernelTable(problem)),
		// one after the other without gaps: each is a multiple of OFFSET
		spectra: problem.windows.map((window) => put(new Uint32Array(spectrumOf(window, size, within(window, frame)).buffer))),
	};
	const words = new Uint32Array(end / 4);
	for (const part of parts) words.set(part.words, part.offset / 4);
	return { words, ...sections, magnitudeExponent: Math.max(...problem.windows.map((window) => exponentOf(magnitudeOf(window)))) };
}
