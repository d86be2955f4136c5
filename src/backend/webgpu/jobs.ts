/** The dispatches of the tiled shaders: which variant, its taps as whole quads, its uniforms. Pure. */
import { DTYPE_NAMES } from '../../core/dtype.ts';
import { isPlain, type KernelWindow, type Problem } from '../../core/problem.ts';
import type { Product } from '../../core/steps.ts';
import { alikeOf, type Frame, framesOf, frameWords, groupSize, isAcross, MOST_TAP_QUADS, spreadOf } from './bank.ts';
import { runOf } from './box.ts';
import { arrangementOf, fillWords, OVERFLOW_CODES, ROUNDING_CODES, singleBits } from './direct.ts';
import type { PieceInput } from './program.ts';
import { lanesOf, mostQuads, QUAD, quadsOf, spanOf } from './quads.ts';
import { type Specialisation, uniformWords } from './shaders.ts';
import { type BoxStrip, type Held, held, type Strip, stripTapQuads, THREAD_ROWS, WORD } from './tiled.ts';
import { type Piece, pieceSizes, windowOrigin } from './tiler.ts';
import type { Tuning } from './tuning.ts';

/** One dispatch: some planes, of one kernel of the bank or of all that share a frame. */
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

/** The taps of a kernel, with zeros around them up to its frame. */
function framed(problem: Problem, frame: Frame, kernel: number, lead: number, quads: number): number[] {
	const { rows, cols, first, taps } = problem.windows[kernel] as KernelWindow;
	const [row, col] = rows === 0 ? [0, 0] : [first[0] - frame.first[0], first[1] - frame.first[1]];
	const none = new Array<number>(quads * QUAD).fill(0);
	const before = lead + col * lanesOf(problem);
	return Array.from({ length: frame.rows }, (_, j) => {
		const at = (j - row) * cols;
		return j < row || j >= row + rows ? none : placed(problem, taps.subarray(at, at + cols), before, quads);
	}).flat();
}

/** @param channelOf a kernel's first channel in the piece */
function tapWords(
	problem: Problem,
	frame: Frame,
	form: TapForm,
	at: { lead: number; quads: number },
	channelOf: (kernel: number) => number,
) {
	const { lead, quads } = at;
	if (form.shader === 'tiled') {
		return [...frameWords(problem, frame, channelOf), ...frame.kernels.flatMap((kernel) => framed(problem, frame, kernel, lead, quads))];
	}
	const { rows, cols } = frame;
	if (form.shader === 'box') {
		return frame.kernels.flatMap((kernel) => [tapBits(problem, form.taps[kernel] as number), channelOf(kernel), 0, 0]);
	}
	const column = (product: Product) => {
		const words = product.column.map((tap) => tapBits(problem, tap));
		return [...words, ...new Array<number>(quadsOf(rows) * QUAD - rows).fill(0)];
	};
	// a kernel of a bank with fewer products than another adds products of zeros
	const zero: Product = { column: new Array<number>(rows).fill(0), row: new Array<number>(cols).fill(0) };
	return frame.kernels.flatMap((kernel) => {
		const all = Array.from({ length: form.strip.terms }, (_, t) => form.products[kernel]?.[t] ?? zero);
		return [channelOf(kernel), 0, 0, 0, ...all.flatMap((product) => [...placed(problem, product.row, lead, quads), ...column(product)])];
	});
}

const modulo = (a: number, n: number): number => ((a % n) + n) % n;

/** Tap tables come in a few sizes, so that kernels of about one size share a pipeline: powers of two from here on. */
const LEAST_TABLE = 16;

/** The dispatches of some kernels. @param elements of a row of the result, over which `most` workgroups lie */
function framesFor(problem: Problem, kernels: readonly number[], form: TapForm, elements: number, most: number): Frame[] {
	if (form.shader === 'tiled') return framesOf(problem, kernels);
	const side = Math.max(1, Math.floor(most / Math.ceil(elements / columnsOf(form))));
	if (form.shader === 'box') return alikeOf(problem, kernels, Math.min(side, MOST_TAP_QUADS));
	const [rows, cols] = [
		Math.max(...problem.windows.map((window) => window.rows)),
		Math.max(...problem.windows.map((window) => window.cols)),
	];
	const room = Math.floor(MOST_TAP_QUADS / stripTapQuads(mostQuads(problem, cols), rows, form.strip.terms));
	return alikeOf(problem, kernels, Math.max(1, Math.min(side, room)));
}

/** Elements of a row that a workgroup covers. */
const columnsOf = (form: Exclude<TapForm, { shader: 'tiled' }>): number =>
	form.shader === 'box' ? form.strip.columns : QUAD * form.strip.quads;

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
	// a piece has whole banks, or one kernel
	const channelOf = (kernel: number) => modulo(kernel - piece.channel.start, kernels);
	const here = Array.from({ length: kernels }, (_, kernel) => kernel).filter((kernel) => channelOf(kernel) < channels);
	const planes = interleaved ? 1 : Math.ceil(channels / kernels);
	const across = isAcross(problem) ? kernels : 1;
	const jobs: Job[] = [];
	for (const frame of framesFor(problem, here, form, elements, layers)) {
		const shift = frame.rows === 0 ? [0, 0] : [frame.first[0] - origin[0], frame.first[1] - origin[1]];
		const span = spanOf(problem, frame.cols);
		const lead = aligned ? modulo((cols.origin + (shift[1] as number)) * lanes, QUAD) : 0;
		const quads = quadsOf(lead + span);
		const words = tapWords(problem, frame, form, { lead, quads }, channelOf);
		const common = {
			IN: DTYPE_NAMES.indexOf(problem.image.dtype),
			OUT: DTYPE_NAMES.indexOf(problem.output.dtype),
			SUM: held(problem) as Held,
		};
		const constants = { TAP_QUADS: Math.max(LEAST_TABLE, 2 ** Math.ceil(Math.log2(words.length / QUAD))) };
		const { tile, side, march, chunks, bundle, overrides } = geometryOf(problem, form, frame, {
			taps: { lead, span, lanes },
			elements,
			height,
			layers: planes * batches,
			outputs: elements * height * channels * batches,
		});
		const specialisation: Specialisation = { shader: form.shader, overrides: { ...common, ...overrides }, constants };
		const params = {
			width: elements,
			rows: height,
			out_pitch: across === 1 ? quadsOf(elements) * QUAD : elements * spreadOf(problem),
			planes,
			out_planes: interleaved ? 1 : channels,
			out_first: 0,
			kernels: interleaved ? 1 : kernels,
			first_channel: interleaved ? 0 : piece.channel.start,
			first_element: interleaved ? 0 : (Math.floor(piece.channel.start / kernels) - staged.firstChannel) * staged.channelStride,
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
			tap_rows: frame.rows,
			tap_cols: frame.cols,
			quads,
			lead,
			lanes,
			plain: isPlain(problem) ? 1 : 0,
			march,
			run: runOf(Math.max(1, frame.cols)),
			block_row: piece.row.start % Math.max(1, frame.rows),
			bank: frame.kernels.length,
			bundle,
			chunks,
			across,
			spread: spreadOf(problem),
		};
		const most = Math.max(1, Math.floor(layers / chunks));
		for (let first = 0; first < planes * batches; first += most) {
			const z = Math.min(most, planes * batches - first) * chunks;
			jobs.push({
				shader: form.shader,
				specialisation,
				params: uniformWords('tiled', 'params', { ...params, first_plane: first }),
				taps: Uint32Array.from(words),
				groups: [Math.ceil(elements / tile.columns) * side, Math.ceil(height / tile.rows), z],
			});
		}
	}
	return jobs;
}

/** Output rows that one workgroup walks down, where it loads `before` rows before the first. */
function marchOf(chunk: number, before: number, rows: number, strips: number, { workgroups, march }: Tuning): number {
	const share = rows / Math.max(1, Math.ceil(workgroups / strips));
	const least = Math.max(chunk, 2 * before); // at most half as many rows again are loaded
	return chunk * Math.ceil(Math.min(march, Math.max(least, share)) / chunk);
}

/** A piece as a shader's threads lie over it. */
interface Grid {
	readonly taps: { readonly lead: number; readonly span: number; readonly lanes: number };
	readonly elements: number;
	readonly height: number;
	readonly layers: number;
	readonly outputs: number;
}

/**
 * What a workgroup covers, of how many elements and rows, how many of them stand side by side there (`side`, a kernel each), how many layers
 * a plane has (`chunks`) with how many groups of kernels each (`bundle`), and the variant of the shader that does it.
 */
function geometryOf(problem: Problem, form: TapForm, frame: Frame, grid: Grid) {
	const { tuning } = form;
	const { elements, height, layers } = grid;
	const strips = (columns: number) => Math.ceil(elements / columns) * layers;
	const side = frame.kernels.length;
	switch (form.shader) {
		case 'tiled': {
			const tile = { columns: QUAD * tuning.workgroup.x, rows: THREAD_ROWS * tuning.workgroup.y };
			const width = widthOverrides(grid.taps, tuning, grid.outputs >= form.compiledFrom);
			// a wide frame goes kernel by kernel
			const kernels = groupSize(problem, frame.kernels.length, width.WIDE === 1 ? 1 : tuning.bank);
			const groups = Math.ceil(frame.kernels.length / kernels);
			const wanted = Math.ceil(tuning.workgroups / (strips(tile.columns) * Math.ceil(height / tile.rows)));
			const bundle = Math.ceil(groups / Math.min(groups, wanted));
			const shape = { WORKGROUP_X: tuning.workgroup.x, WORKGROUP_Y: tuning.workgroup.y };
			const overrides = { KERNELS: kernels, ACROSS: isAcross(problem) ? 1 : 0, ...width, ...shape };
			return { tile, side: 1, march: 0, chunks: Math.ceil(groups / bundle), bundle, overrides };
		}
		case 'separable': {
			const columns = columnsOf(form);
			const march = marchOf(form.strip.chunk, form.strip.prime, height, strips(columns) * side, tuning);
			return { tile: { columns, rows: march }, side, march, ...ONE_LAYER, overrides: stripOverrides(form.strip) };
		}
		case 'box': {
			const { columns, chunk } = form.strip;
			const march = marchOf(chunk, Math.max(0, frame.rows - 1), height, strips(columns) * side, tuning);
			return { tile: { columns, rows: march }, side, march, ...ONE_LAYER, overrides: boxOverrides(form.strip) };
		}
	}
}

const ONE_LAYER = { chunks: 1, bundle: 1 };

function widthOverrides({ lead, span, lanes }: Grid['taps'], { compiledWidth }: Tuning, pays: boolean) {
	// one pipeline for any width
	if (!pays || lead + span > compiledWidth) return { SPAN: 1, LEAD: 0, LANES: 1, WIDE: 1 };
	return { SPAN: span, LEAD: lead, LANES: lanes, WIDE: 0 };
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

/** Words of an epilogue. */
const EPILOGUE_WORDS = 3;

/** In the words of a map: the constant outside. */
const OUTSIDE = 0xffffffff;

/** The (scale, bias, plain) triples of the result channels, and of the room behind the last kernel side by side. */
export function epilogueWords(problem: Problem): Uint32Array<ArrayBuffer> {
	const room = isAcross(problem) ? new Array<number>(EPILOGUE_WORDS * (QUAD - 1)).fill(0) : [];
	const words = problem.scale.flatMap((scale, k) => {
		const bias = problem.bias[k] as number;
		return [singleBits(scale), singleBits(bias), scale === 1 && bias === 0 ? 1 : 0];
	});
	return Uint32Array.from([...words, ...room]);
}
