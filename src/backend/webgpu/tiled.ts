/**
 * The tiled shaders' arithmetic: what they can do, which variant and which strips a window needs, its taps as whole quads, and the
 * uniforms of a dispatch. Pure; geometry as the header of shaders/common.wgsl says it.
 */
import { DTYPE_NAMES, DTYPES } from '../../core/dtype.ts';
import { isPlain, type KernelWindow, type Problem, sumMagnitude } from '../../core/problem.ts';
import type { Product } from '../../core/steps.ts';
import { runOf } from './box.ts';
import { arrangementOf, fillWords, OVERFLOW_CODES, ROUNDING_CODES, singleBits, sumLimbs } from './direct.ts';
import type { PieceInput } from './program.ts';
import { type Specialisation, uniformWords } from './shaders.ts';
import { type Piece, pieceSizes, type TileLimits, windowOrigin } from './tiler.ts';
import type { Tuning } from './tuning.ts';

/** Elements of a quad. */
export const QUAD = 4;

/** Output rows of one thread. */
export const THREAD_ROWS = 4;

/** Quads of taps that a uniform binding of the default 64 KiB holds. */
const MOST_TAP_QUADS = 4096;

/** Channels side by side: a row of taps has zeros between them, which are multiplied where the width is not compiled in. */
const MOST_LANES = 4;

/** Workgroups that every device has along an axis, and what they cover of the narrowest and of the lowest tiles. */
const MOST_WORKGROUPS = 65535;
const MOST_ELEMENTS = MOST_WORKGROUPS * 16;
const MOST_ROWS = MOST_WORKGROUPS * THREAD_ROWS;

const IN_FLOAT32 = 2n ** 24n;

/** How sums are held, as in common.wgsl. */
type Held = 0 | 1 | 2;
const [REAL, EXACT, WORD]: readonly [Held, Held, Held] = [0, 1, 2];

/** Integer sums whose every partial sum float32 holds go through float multiply-adds, which every GPU has at full rate. */
function held(problem: Problem): Held | undefined {
	if (problem.sum === 'float32') return REAL;
	const most = problem.windows.reduce((largest, window) => {
		const magnitude = sumMagnitude(problem, window);
		return magnitude > largest ? magnitude : largest;
	}, 0n);
	if (most < IN_FLOAT32) return EXACT;
	const stays = isPlain(problem) && !DTYPES[problem.output.dtype].float;
	return stays && sumLimbs(problem) === 1 ? WORD : undefined;
}

/** Channels side by side in a row of memory. */
export const lanesOf = (problem: Problem): number => (arrangementOf(problem.output.layout) === 'interleaved' ? problem.image.sizes[1] : 1);

/** Why no tiled shader takes a problem; undefined where they do. */
export function tiledObstacle(problem: Problem): string | undefined {
	const strides = [...problem.stride, ...problem.dilation];
	if (strides.some((step) => step !== 1)) return 'tiles share pixels only where stride and dilation are 1';
	if (DTYPES[problem.image.dtype].bytes > 4 || DTYPES[problem.output.dtype].bytes > 4) return 'tiles hold elements of at most 4 bytes';
	if (arrangementOf(problem.output.layout) === 'interleaved' && problem.windows.length > 1) {
		return 'a bank into channels side by side does not lie as its image does';
	}
	if (lanesOf(problem) > MOST_LANES)
		return `rows of more than ${MOST_LANES} channels side by side are mostly holes between a kernel's taps`;
	const [, , rows, width] = problem.output.sizes;
	if (width * lanesOf(problem) > MOST_ELEMENTS || rows > MOST_ROWS) {
		return `a dispatch of tiles has at most ${MOST_ELEMENTS} elements in a row and ${MOST_ROWS} rows`;
	}
	if (held(problem) === undefined) return 'tiles hold sums of at most 32 bits, or 24 where they are scaled or stored as floats';
	return undefined;
}

/** Elements from a window's first tap to its last. */
const spanOf = (problem: Problem, { cols }: KernelWindow): number => Math.max(1, (cols - 1) * lanesOf(problem) + 1);

const quadsOf = (elements: number): number => Math.ceil(elements / QUAD);

/** The widest row of taps, whatever zeros stand in front. */
const widestQuads = (problem: Problem): number => Math.max(...problem.windows.map((window) => quadsOf(spanOf(problem, window) + QUAD - 1)));

/** Multiply-adds of an output of tiled.wgsl, on the average of the bank. */
export function tiledWork(problem: Problem, { compiledWidth }: Tuning): number {
	const work = problem.windows.map((window) => {
		const holes = spanOf(problem, window) + QUAD - 1 > compiledWidth;
		return window.taps.length * (holes ? lanesOf(problem) : 1);
	});
	return work.reduce((a, b) => a + b, 0) / work.length;
}

/** Why tiled.wgsl does not take a problem. */
export function directTiledObstacle(problem: Problem): string | undefined {
	const taps = Math.max(...problem.windows.map(({ rows }) => rows)) * widestQuads(problem);
	return tiledObstacle(problem) ?? (taps > MOST_TAP_QUADS ? `${taps} quads of taps do not fit a uniform binding` : undefined);
}

// ── strips of separable.wgsl ─────────────────────────────────────────────────────────────────────────────────────────

/** A strip: columns in quads, rows of a chunk, rows held from before. */
export interface Strip {
	readonly quads: number;
	readonly chunk: number;
	readonly prime: number;
	/** Quads of a row of taps, at most. */
	readonly window: number;
	readonly terms: number;
}

/** Windows come in a few widths, so that kernels of about one size share a pipeline. */
const WINDOW_STEP = 4;

/** Bytes of workgroup memory that a strip takes. */
export const stripBytes = ({ quads, chunk, prime, window, terms }: Strip): number =>
	16 * (chunk * (quads + window) + terms * (prime + chunk) * quads);

/** What a workgroup may take. */
export type WorkgroupLimits = Pick<TileLimits, 'storage' | 'threads' | 'tuning'>;

/** The first shape that fits a workgroup; undefined where none does. */
export function stripOf(problem: Problem, terms: number, limits: WorkgroupLimits): Strip | undefined {
	const rows = Math.max(1, ...problem.windows.map((window) => window.rows));
	for (const [quads, chunk] of limits.tuning.strips) {
		const prime = Math.ceil((rows - 1) / chunk) * chunk;
		const window = WINDOW_STEP * Math.ceil(widestQuads(problem) / WINDOW_STEP);
		const strip = { quads, chunk, prime, window, terms: Math.max(1, terms) };
		if (stripBytes(strip) <= limits.storage && (quads * chunk) / THREAD_ROWS <= limits.threads) return strip;
	}
	return undefined;
}

/** Output rows that one workgroup walks down, where it loads `before` rows before the first. */
function marchOf(chunk: number, before: number, rows: number, strips: number, { workgroups, march }: Tuning): number {
	const share = rows / Math.max(1, Math.ceil(workgroups / strips));
	const least = Math.max(chunk, 2 * before); // at most half as many rows again are loaded
	return chunk * Math.ceil(Math.min(march, Math.max(least, share)) / chunk);
}

/** Why separable.wgsl does not take a problem. */
export function separableObstacle(problem: Problem, terms: number, limits: WorkgroupLimits): string | undefined {
	const common = tiledObstacle(problem);
	if (common !== undefined) return common;
	const rows = Math.max(1, ...problem.windows.map((window) => window.rows));
	if (terms * (widestQuads(problem) + quadsOf(rows)) > MOST_TAP_QUADS) return 'the taps do not fit a uniform binding';
	return stripOf(problem, terms, limits) === undefined
		? `${rows} rows of ${terms} ${terms === 1 ? 'product' : 'products'} do not fit the ${limits.storage} bytes of a workgroup`
		: undefined;
}

// ── strips of box.wgsl ───────────────────────────────────────────────────────────────────────────────────────────────────

/** A strip: elements of a row, rows of a chunk, quads of the widest window, rows of the tallest. */
export interface BoxStrip {
	readonly columns: number;
	readonly chunk: number;
	readonly window: number;
	readonly rows: number;
}

/** Windows come in a few heights, so that kernels of about one size share a pipeline. */
const BLOCK_STEP = 8;

/** Bytes of workgroup memory that a strip takes. */
export const boxStripBytes = ({ columns, chunk, window, rows }: BoxStrip): number =>
	4 * (2 * chunk * (columns + QUAD * window) + (rows + chunk) * columns);

/** The first shape that fits a workgroup; undefined where none does. */
export function boxStripOf(problem: Problem, limits: WorkgroupLimits): BoxStrip | undefined {
	const tallest = Math.max(1, ...problem.windows.map((window) => window.rows));
	const rows = BLOCK_STEP * Math.ceil(tallest / BLOCK_STEP);
	const window = WINDOW_STEP * Math.ceil(widestQuads(problem) / WINDOW_STEP);
	for (const [columns, chunk] of limits.tuning.boxes) {
		const strip = { columns, chunk, window, rows };
		if (boxStripBytes(strip) <= limits.storage && columns <= limits.threads) return strip;
	}
	return undefined;
}

/** Why box.wgsl does not take a problem. */
export function boxObstacle(problem: Problem, limits: WorkgroupLimits): string | undefined {
	const common = tiledObstacle(problem);
	if (common !== undefined) return common;
	const strip = boxStripOf(problem, limits);
	if (strip === undefined) {
		const sides = [...problem.windows.map(({ rows, cols }) => `${rows}x${cols}`)];
		return `running sums of ${sides.join(', ')} do not fit the ${limits.storage} bytes and ${limits.threads} threads of a workgroup`;
	}
	const elements = problem.output.sizes[3] * lanesOf(problem);
	const most = MOST_WORKGROUPS * strip.columns;
	return elements > most ? `a dispatch of strips of ${strip.columns} has at most ${most} elements in a row` : undefined;
}

// ── dispatches ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** One dispatch: some planes of one kernel of the bank. */
export interface Job {
	readonly shader: 'tiled' | 'separable' | 'box';
	readonly specialisation: Specialisation;
	readonly params: Uint32Array;
	readonly taps: Uint32Array;
	readonly groups: readonly [x: number, y: number, z: number];
}

/**
 * What stands for the taps of a window: themselves (`compiledFrom`: outputs of a piece from which compiling a window's width in pays),
 * products for separable.wgsl in strips, or the one value that all of them have.
 */
export type TapForm = { readonly tuning: Tuning } & (
	| { readonly shader: 'tiled'; readonly compiledFrom: number }
	| { readonly shader: 'separable'; readonly strip: Strip; readonly products: readonly (readonly Product[])[] }
	| { readonly shader: 'box'; readonly strip: BoxStrip; readonly taps: readonly number[] }
);

function tapBits(problem: Problem, tap: number | bigint): number {
	return held(problem) === WORD ? Number(BigInt.asUintN(32, BigInt(tap))) : singleBits(Number(tap));
}

/** A row of taps with zeros in front and between the lanes, as whole quads. */
function placed(problem: Problem, taps: ArrayLike<number | bigint>, lead: number, quads: number): number[] {
	const row = new Array<number>(quads * QUAD).fill(0);
	const lanes = lanesOf(problem);
	for (let i = 0; i < taps.length; i++) row[lead + i * lanes] = tapBits(problem, taps[i] as number | bigint);
	return row;
}

function tapWords(problem: Problem, kernel: number, form: TapForm, lead: number, quads: number): number[] {
	const { rows, cols, taps } = problem.windows[kernel] as KernelWindow;
	if (form.shader === 'box') return [tapBits(problem, form.taps[kernel] as number), 0, 0, 0];
	if (form.shader === 'tiled') {
		return Array.from({ length: rows }, (_, j) => placed(problem, taps.subarray(j * cols, (j + 1) * cols), lead, quads)).flat();
	}
	const column = (product: Product) => {
		const words = product.column.map((tap) => tapBits(problem, tap));
		return [...words, ...new Array<number>(quadsOf(rows) * QUAD - rows).fill(0)];
	};
	const products = form.products[kernel] as readonly Product[];
	// a kernel of a bank with fewer products than another adds products of zeros
	const zero: Product = { column: new Array<number>(rows).fill(0), row: new Array<number>(cols).fill(0) };
	const all = Array.from({ length: form.strip.terms }, (_, t) => products[t] ?? zero);
	return all.flatMap((product) => [...placed(problem, product.row, lead, quads), ...column(product)]);
}

const modulo = (a: number, n: number): number => ((a % n) + n) % n;

/** Tap tables come in a few sizes, so that kernels of about one size share a pipeline. */
const TABLE_STEP = 16;

/** The dispatches of one piece. */
export function jobsOf(problem: Problem, piece: Piece, input: PieceInput, form: TapForm, layers: number): Job[] {
	const { rows, cols, staged } = input;
	const lanes = lanesOf(problem);
	const [batches, channels, height, width] = pieceSizes(piece);
	const kernels = problem.windows.length;
	const interleaved = arrangementOf(problem.output.layout) === 'interleaved';
	const elements = width * lanes;
	const origin = windowOrigin(problem);
	const aligned = [staged.rowPitch, ...(interleaved ? [] : [staged.channelStride]), staged.batchStride].every((step) => step % QUAD === 0);
	const [fill] = fillWords(problem);
	const plain = isPlain(problem);
	const jobs: Job[] = [];
	for (const [kernel, window] of problem.windows.entries()) {
		const outFirst = modulo(kernel - piece.channel.start, kernels);
		const planes = interleaved ? 1 : Math.ceil((channels - outFirst) / kernels);
		if (planes <= 0) continue;
		const shift = window.rows === 0 ? [0, 0] : [window.first[0] - origin[0], window.first[1] - origin[1]];
		const span = spanOf(problem, window);
		const lead = aligned ? modulo((cols.origin + (shift[1] as number)) * lanes, QUAD) : 0;
		const quads = quadsOf(lead + span);
		const words = tapWords(problem, kernel, form, lead, quads);
		const common = {
			IN: DTYPE_NAMES.indexOf(problem.image.dtype),
			OUT: DTYPE_NAMES.indexOf(problem.output.dtype),
			SUM: held(problem) as Held,
		};
		const constants = { TAP_QUADS: TABLE_STEP * Math.ceil(Math.max(1, words.length / QUAD) / TABLE_STEP) };
		const outputs = elements * height * channels * batches;
		const { tile, march, overrides } = geometryOf(
			form,
			window,
			{ lead, span, lanes },
			{ elements, height, layers: planes * batches, outputs },
		);
		const specialisation: Specialisation = { shader: form.shader, overrides: { ...common, ...overrides }, constants };
		const firstChannel = piece.channel.start + outFirst;
		const params = {
			width: elements,
			rows: height,
			out_pitch: quadsOf(elements) * QUAD,
			planes,
			out_planes: interleaved ? 1 : channels,
			out_first: interleaved ? 0 : outFirst,
			kernels: interleaved ? 1 : kernels,
			first_channel: interleaved ? 0 : firstChannel,
			first_element: interleaved ? 0 : (Math.floor(firstChannel / kernels) - staged.firstChannel) * staged.channelStride,
			batch_stride: staged.batchStride,
			channel_stride: interleaved ? 0 : staged.channelStride,
			row_pitch: staged.rowPitch,
			aligned: aligned ? 1 : 0,
			row_count: rows.map.length,
			col_count: cols.map.length * lanes,
			row_shift: shift[0] as number,
			col_shift: (shift[1] as number) * lanes - lead,
			row_begin: rows.begin,
			row_end: rows.end,
			row_origin: rows.origin * staged.rowPitch,
			col_begin: cols.begin * lanes,
			col_end: cols.end * lanes,
			col_origin: cols.origin * lanes,
			fill,
			overflow: OVERFLOW_CODES[problem.overflow],
			rounding: ROUNDING_CODES[problem.rounding],
			tap_rows: window.rows,
			tap_cols: window.cols,
			quads,
			lead,
			lanes,
			plain: plain ? 1 : 0,
			march,
			run: runOf(Math.max(1, window.cols)),
			block_row: piece.row.start % Math.max(1, window.rows),
		};
		for (let first = 0; first < planes * batches; first += layers) {
			const z = Math.min(layers, planes * batches - first);
			jobs.push({
				shader: form.shader,
				specialisation,
				params: uniformWords('tiled', 'params', { ...params, first_plane: first }),
				taps: Uint32Array.from(words),
				groups: [Math.ceil(elements / tile.columns), Math.ceil(height / tile.rows), z],
			});
		}
	}
	return jobs;
}

/** What a workgroup covers, of how many elements and rows, and the variant of the shader that does it. */
function geometryOf(
	form: TapForm,
	window: KernelWindow,
	taps: { lead: number; span: number; lanes: number },
	piece: { elements: number; height: number; layers: number; outputs: number },
) {
	const { tuning } = form;
	const strips = (columns: number) => Math.ceil(piece.elements / columns) * piece.layers;
	switch (form.shader) {
		case 'tiled': {
			const tile = { columns: QUAD * tuning.workgroup.x, rows: THREAD_ROWS * tuning.workgroup.y };
			return { tile, march: 0, overrides: tiledOverrides(taps, tuning, piece.outputs >= form.compiledFrom) };
		}
		case 'separable': {
			const columns = QUAD * form.strip.quads;
			const march = marchOf(form.strip.chunk, form.strip.prime, piece.height, strips(columns), tuning);
			return { tile: { columns, rows: march }, march, overrides: stripOverrides(form.strip) };
		}
		case 'box': {
			const { columns, chunk } = form.strip;
			const march = marchOf(chunk, Math.max(0, window.rows - 1), piece.height, strips(columns), tuning);
			return { tile: { columns, rows: march }, march, overrides: boxOverrides(form.strip) };
		}
	}
}

function tiledOverrides(
	{ lead, span, lanes }: { lead: number; span: number; lanes: number },
	{ compiledWidth, workgroup }: Tuning,
	pays: boolean,
) {
	const wide = !pays || lead + span > compiledWidth;
	// one pipeline for any width
	const width = wide ? { SPAN: 1, LEAD: 0, LANES: 1 } : { SPAN: span, LEAD: lead, LANES: lanes };
	return { ...width, WIDE: wide ? 1 : 0, WORKGROUP_X: workgroup.x, WORKGROUP_Y: workgroup.y };
}

/** The override constants of separable.wgsl. */
export const stripOverrides = ({ quads, chunk, prime, window, terms }: Strip) => ({
	TILE_QUADS: quads,
	CHUNK: chunk,
	THREAD_ROWS: chunk / THREAD_ROWS,
	PRIME: prime,
	WINDOW_QUADS: window,
	TERMS: terms,
});

/** The override constants of box.wgsl. */
export const boxOverrides = ({ columns, chunk, window, rows }: BoxStrip) => ({
	COLUMNS: columns,
	CHUNK: chunk,
	WINDOW_QUADS: window,
	BLOCK_ROWS: rows,
});

/** Both index maps: rows as the elements where they begin, then columns, in elements, of every lane. */
export function tiledMaps({ rows, cols, staged }: PieceInput, lanes: number): Uint32Array<ArrayBuffer> {
	const words = new Uint32Array(rows.map.length + cols.map.length * lanes);
	for (const [k, source] of rows.map.entries()) words[k] = source < 0 ? OUTSIDE : source * staged.rowPitch;
	for (const [k, source] of cols.map.entries()) {
		for (let lane = 0; lane < lanes; lane++) words[rows.map.length + k * lanes + lane] = source < 0 ? OUTSIDE : source * lanes + lane;
	}
	return words;
}

/** In the words of a map: the constant outside. */
const OUTSIDE = 0xffffffff;

/** The (scale, bias, plain) triples of the result channels. */
export function epilogueWords(problem: Problem): Uint32Array<ArrayBuffer> {
	const words = problem.scale.flatMap((scale, k) => {
		const bias = problem.bias[k] as number;
		return [singleBits(scale), singleBits(bias), scale === 1 && bias === 0 ? 1 : 0];
	});
	return Uint32Array.from(words);
}
