/** The direct step: which variant of direct.wgsl a problem needs, its tables as words, and its dispatch. */
import { OUTSIDE } from '../../core/boundary.ts';
import { DTYPE_NAMES, DTYPES, type Dtype, numberToFloat16, type Overflow, type Rounding } from '../../core/dtype.ts';
import type { Accumulator } from '../../core/plan.ts';
import { isPlain, isPlainChannel, type KernelWindow, type Problem, sumMagnitude } from '../../core/problem.ts';
import { type Arrangement, denseStrides, type PackedAxis, packAxis, wholeAxis } from './region.ts';
import { type Specialisation, uniformWords } from './shaders.ts';
import { type Piece, pieceSizes, positions, windowOrigin } from './tiler.ts';

export const WORKGROUP = 64;

/** Output elements of one thread. */
export const GROUP = 4;

/** Widest integer sum: 64-bit pixels and taps with room for 2^32 taps of the largest magnitude. */
export const MAX_LIMBS = 6;

/** 32-bit words of the integer sum: enough for every sum, or for the output where everything above is cut off anyway. */
export function sumLimbs(problem: Problem): number {
	const { float, bytes } = DTYPES[problem.output.dtype];
	if (problem.overflow === 'wrap' && !float && isPlain(problem)) return bytes === 8 ? 2 : 1;
	const bits = 1 + Math.max(...problem.windows.map((window) => sumMagnitude(problem, window).toString(2).length));
	return Math.ceil(bits / 32);
}

/** 32-bit words of a tap's magnitude. */
const tapLimbs = (problem: Problem): number =>
	problem.windows.some(({ taps }) => taps.some((tap: number | bigint) => tap > 0xffffffff || tap < -0xffffffff)) ? 2 : 1;

export const accumulatorOf = (problem: Problem): Accumulator => (problem.sum === 'integer' ? `int${32 * sumLimbs(problem)}` : 'float32');

const code = (dtype: Dtype): number => DTYPE_NAMES.indexOf(dtype);

/** Sums of one word, or floats: 4 neighbours are computed at once. */
const inBlocks = (problem: Problem): boolean => problem.sum !== 'integer' || sumLimbs(problem) === 1;

/** Kernels of a bank whose sums a thread holds. */
const TOGETHER = 4;

/**
 * Layers of a dispatch in which kernels of a bank meet the same loaded pixels, 4 at a time; undefined where each loads its own: kernels whose windows
 * differ, pieces of one kernel, results of which 4 are no whole words.
 *
 * @param most workgroups along an axis
 */
export function bankLayers(problem: Problem, piece: Piece, most: number): number | undefined {
	const { windows } = problem;
	const [batches, channels, height, width] = pieceSizes(piece);
	const kernels = windows.length;
	if (kernels === 1 || channels % kernels !== 0 || !inBlocks(problem)) return undefined;
	const [lead] = windows as readonly [KernelWindow];
	const alike = ({ rows, cols, first }: KernelWindow) => rows === lead.rows && cols === lead.cols && `${first}` === `${lead.first}`;
	const whole = arrangementOf(problem.output.layout) === 'interleaved' ? kernels : height * width;
	if (lead.rows === 0 || whole % GROUP !== 0 || !windows.every(alike)) return undefined;
	const layers = ((batches * channels) / kernels) * Math.ceil(kernels / TOGETHER);
	return layers > most ? undefined : layers;
}

/** @param blocked compile the way for 4 neighbours at once; 'bank': for 4 kernels as well */
export function directVariant(problem: Problem, blocked: boolean | 'bank'): Specialisation<'direct'> {
	const integer = problem.sum === 'integer';
	return {
		shader: 'direct',
		entry: blocked === 'bank' ? 'bank' : 'main',
		overrides: {
			IN: code(problem.image.dtype),
			OUT: code(problem.output.dtype),
			FLOAT_SUM: integer ? 0 : 1,
			TAP_LIMBS: integer ? tapLimbs(problem) : 1,
			WORKGROUP,
			BLOCKED: blocked !== false && inBlocks(problem) ? 1 : 0,
		},
		constants: { LIMBS: integer ? sumLimbs(problem) : 1 },
	};
}

/** Channels lie side by side in device memory where the result's layout has them last. */
export const arrangementOf = (layout: string): Arrangement => (layout.endsWith('C') ? 'interleaved' : 'planar');

const floats = new Float32Array(1);
const floatWord = new Uint32Array(floats.buffer);

export function singleBits(value: number): number {
	floats[0] = value;
	return floatWord[0] as number;
}

/** Places of the kernel table. */
const WINDOW_WORDS = 5;
const EPILOGUE_WORDS = 3;

/** The table of direct.wgsl's binding `kernel`: windows, epilogues, taps. */
export function kernelWords(problem: Problem): { words: Uint32Array<ArrayBuffer>; epilogues: number } {
	const limbs = problem.sum === 'integer' ? sumLimbs(problem) : 1;
	const width = problem.sum === 'integer' && limbs > 1 ? 1 + tapLimbs(problem) : 1;
	const channels = problem.scale.length;
	const origin = windowOrigin(problem);
	const epilogues = WINDOW_WORDS * problem.windows.length;
	let at = epilogues + EPILOGUE_WORDS * channels;
	// a window of no taps still gets a place of its own: the shader tells kernels apart by it
	const words = new Uint32Array(problem.windows.reduce((sum, window) => sum + Math.max(1, window.taps.length * width), at));
	for (const [m, { rows, cols, first, taps }] of problem.windows.entries()) {
		words.set(rows === 0 ? [0, 0, 0, 0, at] : [rows, cols, first[0] - origin[0], first[1] - origin[1], at], WINDOW_WORDS * m);
		for (const [t, tap] of taps.entries()) {
			if (problem.sum !== 'integer') words[at + t] = singleBits(Number(tap));
			else if (width === 1) words[at + t] = Number(BigInt.asUintN(32, BigInt(tap)));
			else {
				const magnitude = tap < 0 ? -BigInt(tap) : BigInt(tap);
				words[at + t * width] = tap < 0 ? 1 : 0;
				for (let limb = 1; limb < width; limb++)
					words[at + t * width + limb] = Number(BigInt.asUintN(32, magnitude >> BigInt(32 * (limb - 1))));
			}
		}
		at += Math.max(1, taps.length * width);
	}
	for (let k = 0; k < channels; k++) {
		const triple = [singleBits(problem.scale[k] as number), singleBits(problem.bias[k] as number), isPlainChannel(problem, k) ? 1 : 0];
		words.set(triple, epilogues + EPILOGUE_WORDS * k);
	}
	return { words, epilogues };
}

/** The constant outside, as the shader loads a pixel: bits, integers extended to 32 bits, low word first. */
export function fillWords(problem: Problem): [low: number, high: number] {
	const { image, value } = problem;
	if (image.dtype === 'float16') return [numberToFloat16(Number(value)), 0];
	if (image.dtype === 'float32') return [singleBits(Number(value)), 0];
	const bits = BigInt.asUintN(64, BigInt(value));
	return [Number(bits & 0xffffffffn), Number(bits >> 32n)];
}

export const OVERFLOW_CODES: Readonly<Record<Overflow, number>> = { saturate: 0, wrap: 1, throw: 2 };
export const ROUNDING_CODES: Readonly<Record<Rounding, number>> = { 'nearest-even': 0, 'half-away': 1, truncate: 2, floor: 3 };

/** How the image lies in the buffer that the shader reads. */
export interface StagedImage {
	readonly batchStride: number;
	readonly channelStride: number;
	readonly rowPitch: number;
	readonly colPitch: number;
	/** Image channel at element 0. */
	readonly firstChannel: number;
}

/** The sources of a piece: packed rows and columns, and the image channels. */
export function pieceSources(
	problem: Problem,
	piece: Piece,
): { rows: PackedAxis; cols: PackedAxis; channel: { start: number; count: number } } {
	const [, , height, width] = problem.image.sizes;
	const y = positions(problem, 0, piece.row);
	const x = positions(problem, 1, piece.col);
	const kernels = problem.windows.length;
	const start = Math.floor(piece.channel.start / kernels);
	const last = Math.floor((piece.channel.start + piece.channel.count - 1) / kernels);
	return {
		rows: packAxis(problem.boundary[0], height, y.first, y.count),
		cols: packAxis(problem.boundary[1], width, x.first, x.count),
		channel: { start, count: last - start + 1 },
	};
}

/** The sources of a piece that reads the whole image where it lies. */
export function wholeSources(problem: Problem, piece: Piece): ReturnType<typeof pieceSources> {
	const [, channels, height, width] = problem.image.sizes;
	const y = positions(problem, 0, piece.row);
	const x = positions(problem, 1, piece.col);
	return {
		rows: wholeAxis(problem.boundary[0], height, y.first, y.count),
		cols: wholeAxis(problem.boundary[1], width, x.first, x.count),
		channel: { start: 0, count: channels },
	};
}

/** Strides of the densely staged sources of a piece. */
export function stagedDense(arrangement: Arrangement, batches: number, sources: ReturnType<typeof pieceSources>): StagedImage {
	const [n, c, y, x] = denseStrides(arrangement, [batches, sources.channel.count, sources.rows.total, sources.cols.total]);
	return { batchStride: n, channelStride: c, rowPitch: y, colPitch: x, firstChannel: sources.channel.start };
}

/** Both index maps of a piece as addresses in elements: rows first, then columns. */
export function mapWords(rows: PackedAxis, cols: PackedAxis, staged: StagedImage): Uint32Array<ArrayBuffer> {
	const words = new Uint32Array(Math.max(1, rows.map.length + cols.map.length));
	const fill = (map: Int32Array, pitch: number, at: number) => {
		for (let k = 0; k < map.length; k++) words[at + k] = map[k] === OUTSIDE ? 0xffffffff : (map[k] as number) * pitch;
	};
	fill(rows.map, staged.rowPitch, 0);
	fill(cols.map, staged.colPitch, rows.map.length);
	return words;
}

/** The uniforms of one piece. */
export function pieceUniforms(
	problem: Problem,
	piece: Piece,
	place: { rows: PackedAxis; cols: PackedAxis; staged: StagedImage; epilogues: number },
): Uint32Array {
	const { rows, cols, staged, epilogues } = place;
	const [n, k, h, w] = pieceSizes(piece);
	const interleaved = arrangementOf(problem.output.layout) === 'interleaved';
	const [fillLow, fillHigh] = fillWords(problem);
	const dilated = problem.dilation[0] > 1 || problem.dilation[1] > 1;
	return uniformWords('direct', 'params', {
		count: n * k * h * w,
		width: w,
		rows: h,
		channels: k,
		interleaved: interleaved ? 1 : 0,
		first_channel: piece.channel.start,
		first_plane: staged.firstChannel,
		kernels: problem.windows.length,
		batch_stride: staged.batchStride,
		channel_stride: staged.channelStride,
		row_pitch: staged.rowPitch,
		col_pitch: staged.colPitch,
		stride_y: problem.stride[0],
		stride_x: problem.stride[1],
		dilation_y: problem.dilation[0],
		dilation_x: problem.dilation[1],
		col_map: rows.map.length,
		row_begin: rows.begin,
		row_end: rows.end,
		row_origin: rows.origin * staged.rowPitch,
		col_begin: cols.begin,
		col_end: cols.end,
		col_origin: cols.origin * staged.colPitch,
		fill_low: fillLow,
		fill_high: fillHigh,
		overflow: OVERFLOW_CODES[problem.overflow],
		rounding: ROUNDING_CODES[problem.rounding],
		scan_holes: dilated && DTYPES[problem.image.dtype].float ? 1 : 0,
		epilogues,
	});
}

/** Workgroups of a dispatch over `threads` (of each layer), folded into two dimensions of at most `limit` each. */
export function workgroups(threads: number, limit: number): [x: number, y: number] {
	const groups = Math.ceil(threads / WORKGROUP);
	const x = Math.min(groups, limit);
	return [x, Math.ceil(groups / x)];
}
