/** The arithmetic of checksum.wgsl: which problems it takes, how results are cut for it, and its tables and uniforms as words. Pure. */
import type { ChecksumScheme } from '../../core/checksum-scheme.ts';
import { blockCount, type ChecksumFindings } from '../../core/checksum-sums.ts';
import { DTYPE_NAMES, DTYPES, type Dtype } from '../../core/dtype.ts';
import type { PerAxis } from '../../core/ndarray.ts';
import { dilatedSize, type KernelWindow, type Problem } from '../../core/problem.ts';
import { fillWords, singleBits, WORKGROUP } from './direct.ts';
import type { SHADERS } from './shaders.gen.ts';
import type { Specialisation } from './shaders.ts';
import { chooseSizes, type Piece, pieceSizes, type TileLimits, windowOrigin } from './tiler.ts';

/** Elements of 8 bytes are summed on the host. */
export const isCheckable = ({ image, output }: Problem): boolean => DTYPES[image.dtype].bytes <= 4 && DTYPES[output.dtype].bytes <= 4;

const [REAL, WORD] = [0, 2];

const sumOf = ({ kind }: ChecksumScheme): number => (kind === 'modular' ? WORD : REAL);

/** @param source of the rows that `project` reads; absent: `compare` */
export const checksumVariant = (scheme: ChecksumScheme, source?: Dtype): Specialisation<'checksum'> => ({
	shader: 'checksum',
	entry: source === undefined ? 'compare' : 'project',
	overrides: {
		SUM: sumOf(scheme),
		SAMPLES: scheme.samples,
		WORKGROUP,
		...(source === undefined ? {} : { IN: DTYPE_NAMES.indexOf(source) }),
	},
	constants: {},
});

// ── pieces ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Columns of the image's sums. */
export const reachedColumns = (problem: Problem, { cols }: KernelWindow, count: number): number =>
	cols === 0 ? 0 : (count - 1) * problem.stride[1] + dilatedSize(cols, problem.dilation[1]);

/** Image planes of a piece under one kernel, at most. */
const planesOf = (problem: Problem, [n, k]: PerAxis): number => n * Math.ceil(k / problem.windows.length);

/** 32-bit words of a piece: blocks of all planes, the sums of the image under the largest window, and those of the result. */
export function sumWords(problem: Problem, scheme: ChecksumScheme, sizes: PerAxis): { peaks: number; image: number; result: number } {
	const peaks = planesOf(problem, sizes) * blockCount(scheme, sizes[2]);
	const widest = Math.max(...problem.windows.map((window) => window.rows * reachedColumns(problem, window, sizes[3])));
	return { peaks, image: Math.max(1, peaks * scheme.samples * widest), result: peaks * scheme.samples * sizes[3] };
}

/** Bytes of the sums of one piece, as far as a binding allows. */
const SUMS_BYTES = 128 * 2 ** 20;

/** Multiply-adds for one pixel of the result: every tap row's sums, and the window over the samples of a block. */
function workOf(problem: Problem, { samples, length }: ChecksumScheme): number {
	return Math.max(1, ...problem.windows.map(({ rows, taps }) => rows * samples + Math.ceil((taps.length * samples) / length)));
}

/** Sizes of pieces whose sums fit a binding too. @throws LIMIT_EXCEEDED where no piece fits */
export function checksumSizes(problem: Problem, scheme: ChecksumScheme, limits: TileLimits): PerAxis {
	const most = Math.min(limits.binding, limits.buffer, SUMS_BYTES) / 4;
	return chooseSizes(problem, limits, workOf(problem, scheme), undefined, (sizes) => {
		const { image, result } = sumWords(problem, scheme, sizes);
		return Math.max(image, result) <= most;
	});
}

/** Result channels of a piece that one kernel gives. */
export function channelsOf(problem: Problem, { channel }: Piece, kernel: number): { first: number; count: number } {
	const kernels = problem.windows.length;
	const first = channel.start + ((((kernel - channel.start) % kernels) + kernels) % kernels);
	return { first, count: Math.max(0, Math.ceil((channel.start + channel.count - first) / kernels)) };
}

// ── tables ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What lies in front of the first row of sample 0: row o of a block is row o − (d − 1) of that sample, under the weight r[o − (d − 1) + k]. */
const weightAt = ({ weights, samples, length }: ChecksumScheme, row: number, sample: number): number => {
	const t = row - (samples - 1) + sample;
	return t >= 0 && t < length ? (weights[t] as number) : 0;
};

/** The weights of each row of a block: a bit a sample, or a float32. */
export function weightWords(scheme: ChecksumScheme): Uint32Array<ArrayBuffer> {
	const { samples, length, kind } = scheme;
	const rows = length + samples - 1;
	const modular = kind === 'modular';
	const words = new Uint32Array(modular ? rows : rows * samples);
	for (let row = 0; row < rows; row++) {
		for (let k = 0; k < samples; k++) {
			const weight = weightAt(scheme, row, k);
			if (modular) words[row] = ((words[row] as number) | (weight << k)) >>> 0;
			else words[row * samples + k] = singleBits(weight);
		}
	}
	return words;
}

/** The device compares in float32: thresholds are raised by more than three roundings. */
const RAISED = 1 + 2 ** -20;
const CHANNEL_WORDS = 4;

export interface CompareTables {
	readonly words: Uint32Array<ArrayBuffer>;
	/** Place of each window's taps. */
	readonly taps: readonly number[];
	readonly channels: number;
	readonly totals: number;
}

/** Taps of all windows; scale, bias and threshold of the piece's channels; sums of weights of each sample of each block. */
export function compareTables(problem: Problem, scheme: ChecksumScheme, piece: Piece): CompareTables {
	const { samples, slope, offset } = scheme;
	const modular = scheme.kind === 'modular';
	const blocks = blockCount(scheme, piece.row.count);
	let at = 0;
	const taps = problem.windows.map((window) => {
		at += window.taps.length;
		return at - window.taps.length;
	});
	const [channels, totals] = [at, at + CHANNEL_WORDS * piece.channel.count];
	const words = new Uint32Array(totals + (modular ? 0 : blocks * samples));
	for (const [m, window] of problem.windows.entries()) {
		const word = (tap: number | bigint) => (modular ? Number(BigInt.asUintN(32, BigInt(tap))) : singleBits(Number(tap)));
		for (const [t, tap] of window.taps.entries()) words[(taps[m] as number) + t] = word(tap);
	}
	for (let k = 0; k < piece.channel.count; k++) {
		const channel = piece.channel.start + k;
		const threshold = [(slope[channel] as number) * RAISED, (offset[channel] as number) * RAISED];
		words.set([problem.scale[channel], problem.bias[channel], ...threshold].map(Number).map(singleBits), channels + CHANNEL_WORDS * k);
	}
	for (let sample = 0; !modular && sample < blocks * samples; sample++) {
		const { low, high } = spanOf(scheme, sample, piece.row.count);
		let total = 0;
		for (let t = low; t < high; t++) total += scheme.weights[t] as number;
		words[totals + sample] = singleBits(total);
	}
	return { words, taps, channels, totals };
}

/** Result rows start + low … start + high − 1 of sample b·d + k. */
function spanOf({ samples, length }: ChecksumScheme, sample: number, height: number): { start: number; low: number; high: number } {
	const start = Math.floor(sample / samples) * length - (sample % samples);
	return { start, low: Math.max(0, -start), high: Math.max(0, Math.min(length, height - start)) };
}

// ── uniforms ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Planes as `project` finds them: addresses of rows and of columns, and where plane 0 lies. */
export interface Planes {
	readonly maps: Uint32Array<ArrayBuffer>;
	/** Entries of the rows; the columns' follow. */
	readonly rows: number;
	/** Element of the piece's first image, of channel 0 of the whole. */
	readonly origin: number;
	readonly batchStride: number;
	readonly channelStride: number;
}

type Field<V extends 'projection' | 'comparison'> = keyof (typeof SHADERS)['checksum']['uniforms'][V];
type Values<V extends 'projection' | 'comparison'> = Readonly<Record<Field<V>, number>>;

/** What one kernel of the bank takes of a piece: uniforms of three dispatches. */
export interface Dispatch {
	/** Absent where every tap is zero. */
	readonly image: Values<'projection'> | undefined;
	readonly result: Values<'projection'>;
	readonly compare: Values<'comparison'>;
}

/** Whether the largest |pixel| of each block is to be found; else it is that of the dtype. */
export const isMeasured = ({ kind, largest }: ChecksumScheme): boolean => kind === 'float' && largest === 0;

/** The dispatches of one kernel over a piece; undefined where the piece has none of its channels. */
export function dispatchOf(
	problem: Problem,
	scheme: ChecksumScheme,
	piece: Piece,
	kernel: number,
	place: { image: Planes; result: Planes; tables: CompareTables; room: number },
): Dispatch | undefined {
	const { image, result, tables } = place;
	const channels = channelsOf(problem, piece, kernel);
	if (channels.count === 0) return undefined;
	const kernels = problem.windows.length;
	const window = problem.windows[kernel] as KernelWindow;
	const [batches, , height, columns] = pieceSizes(piece);
	const blocks = blockCount(scheme, height);
	const origin = windowOrigin(problem);
	const lines = batches * channels.count * blocks;
	const shared = { blocks, height, planes: channels.count, block_length: scheme.length };
	const width = reachedColumns(problem, window, columns);
	const imageValues = {
		...shared,
		count: lines * window.rows * width,
		columns: width,
		tap_rows: window.rows,
		row_shift: window.first[0] - origin[0],
		row_step: problem.stride[0],
		row_apart: problem.dilation[0],
		col_shift: image.rows + window.first[1] - origin[1],
		first_element: image.origin + Math.floor(channels.first / kernels) * image.channelStride,
		batch_stride: image.batchStride,
		channel_stride: image.channelStride,
		fill: fillWords(problem)[0],
		centre: 0,
		measured: isMeasured(scheme) ? 1 : 0,
	};
	const resultValues = {
		...shared,
		count: lines * columns,
		columns,
		tap_rows: 1,
		row_shift: 0,
		row_step: 1,
		row_apart: 0,
		col_shift: result.rows,
		first_element: result.origin + channels.first * result.channelStride,
		batch_stride: result.batchStride,
		channel_stride: kernels * result.channelStride,
		fill: 0,
		centre: singleBits(scheme.centre),
		measured: 0,
	};
	const compare = {
		count: lines * scheme.samples * columns,
		columns,
		width,
		blocks,
		planes: channels.count,
		tap_rows: window.rows,
		tap_cols: window.cols,
		col_step: problem.stride[1],
		col_apart: problem.dilation[1],
		taps_at: tables.taps[kernel] as number,
		channels_at: tables.channels,
		totals_at: tables.totals,
		first_channel: channels.first - piece.channel.start,
		kernels,
		unused_bits: 32 - 8 * DTYPES[problem.output.dtype].bytes,
		room: place.room,
	};
	return { image: window.rows === 0 ? undefined : imageValues, result: resultValues, compare };
}

// ── findings ───────────────────────────────────────────────────────────────────────────────────────────────────────────

export const HEAD_WORDS = 4;
export const SUSPECT_WORDS = 4;

/** What the device found in a piece. */
export function readFound(words: Uint32Array, scheme: ChecksumScheme, piece: Piece): ChecksumFindings {
	const [worst, threshold] = new Float32Array(words.buffer, words.byteOffset + 4, 2) as unknown as [number, number];
	const count = words[0] as number;
	const suspects: { batch: number; channel: number; column: number; from: number; to: number }[] = [];
	for (let at = HEAD_WORDS; at < words.length && suspects.length < count; at += SUSPECT_WORDS) {
		const [batch, channel, column, sample] = words.subarray(at, at + SUSPECT_WORDS) as unknown as [number, number, number, number];
		const { start, low, high } = spanOf(scheme, sample, piece.row.count);
		suspects.push({
			batch: piece.batch.start + batch,
			channel: piece.channel.start + channel,
			column: piece.col.start + column,
			from: piece.row.start + start + low,
			to: piece.row.start + start + high,
		});
	}
	return { suspects, count, worst, threshold };
}
