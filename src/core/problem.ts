/**
 * The Problem: a validated request in canonical form, without the pixels.
 *
 * Every request, convolution or correlation, of any mode and anchor, becomes the same sum. Per kernel of the bank, with
 * taps w of the window (kernel flipped for a convolution, outer all-zero rows and columns cut off):
 *
 *     sum[y, x] = Σ_j Σ_i  w[j, i] · image[first.y + y·stride.y + j·dilation.y,  first.x + x·stride.x + i·dilation.x]
 *     out[y, x] = store(scale·sum + bias)
 *
 * where the image is extended beyond its sides by the index maps of boundary.ts.
 */
import type { Boundary } from './boundary.ts';
import { DTYPES, type Dtype, type Overflow, type Rounding } from './dtype.ts';
import { fromCanonical, type Layout, type PerAxis } from './ndarray.ts';

export type Operation = 'convolve' | 'correlate';
export type Mode = 'full' | 'same' | 'valid';
export type PerPlaneAxis<T = number> = readonly [y: T, x: T];

/** The arithmetic of a sum: exact integers, or floats of this precision. */
export type SumKind = 'integer' | 'float32' | 'float64';

/** Taps as exact values: float64 holds every dtype but the 64-bit integers. */
export type Taps = Float64Array | BigInt64Array | BigUint64Array;

/** Where a window lies and how large it is: one kernel's, or the smallest that holds those of several. */
export interface WindowFrame {
	/** Rows and columns of taps; both 0 for a kernel of zeros. */
	readonly rows: number;
	readonly cols: number;
	/** Image position (row, column) under tap (0, 0) for output (0, 0); meaningless where the window is empty. */
	readonly first: PerPlaneAxis;
}

/** One kernel of the bank, in correlation order, without its outer all-zero rows and columns. */
export interface KernelWindow extends WindowFrame {
	/** Row-major, rows × cols. */
	readonly taps: Taps;
}

export interface Problem {
	readonly operation: Operation;
	readonly image: { readonly dtype: Dtype; readonly layout: Layout; readonly sizes: PerAxis };
	readonly kernel: { readonly dtype: Dtype; readonly height: number; readonly width: number; readonly bank: boolean };
	/** One window per kernel of the bank; a plain 2-D kernel is a bank of one. */
	readonly windows: readonly KernelWindow[];
	readonly mode: Mode;
	readonly boundary: PerPlaneAxis<Boundary>;
	/** What lies outside under 'constant', already rounded to the image dtype. */
	readonly value: number | bigint;
	readonly stride: PerPlaneAxis;
	readonly dilation: PerPlaneAxis;
	readonly output: { readonly dtype: Dtype; readonly layout: Layout; readonly sizes: PerAxis; readonly shape: readonly number[] };
	readonly overflow: Overflow;
	readonly rounding: Rounding;
	/** One number per result channel (channel·M + kernel). */
	readonly scale: readonly number[];
	readonly bias: readonly number[];
	readonly sum: SumKind;
}

/** What validation hands over: checked, defaults filled in, nothing derived yet. */
export interface Request {
	operation: Operation;
	image: { dtype: Dtype; layout: Layout; sizes: PerAxis };
	/** Taps as given, row-major [count, height, width], exact. */
	kernel: { dtype: Dtype; height: number; width: number; count: number; bank: boolean; taps: Taps };
	mode: Mode;
	boundary: PerPlaneAxis<Boundary>;
	value: number | bigint;
	/** Element of the dilated kernel as given on the output pixel; undefined: the default of the operation. */
	anchor: PerPlaneAxis | undefined;
	stride: PerPlaneAxis;
	dilation: PerPlaneAxis;
	outputDtype: Dtype;
	overflow: Overflow;
	rounding: Rounding;
	/** One number, or one per image channel, or one per result channel. */
	scale: readonly number[];
	bias: readonly number[];
	accumulate: 'auto' | 'float32' | 'float64';
}

/** Size of a kernel axis with its holes: (k−1)·d + 1. */
export const dilatedSize = (k: number, dilation: number): number => (k - 1) * dilation + 1;

/** Output positions of one axis before the stride. `kd` is the dilated kernel size. */
export function axisSize(mode: Mode, n: number, kd: number): number {
	if (mode === 'full') return n + kd - 1;
	return mode === 'same' ? n : n - kd + 1;
}

/** Image position under the first tap of output 0, with the kernel in correlation order. */
function axisFirst(mode: Mode, operation: Operation, kd: number, anchor: number | undefined): number {
	if (mode === 'full') return 1 - kd;
	if (mode === 'valid') return 0;
	// A convolution's element a is element kd−1−a of the flipped kernel; both defaults come to kd // 2 there.
	const centre = anchor === undefined ? Math.floor(kd / 2) : operation === 'convolve' ? kd - 1 - anchor : anchor;
	return centre === 0 ? 0 : -centre;
}

/** The layout of the result: a bank adds a channel axis where there is none. */
export function resultLayout(layout: Layout, bank: boolean): Layout {
	if (!bank) return layout;
	if (layout === 'HW') return 'CHW';
	return layout === 'NHW' ? 'NCHW' : layout;
}

/** API.md, "What is computed". */
export function sumKind(image: Dtype, kernel: Dtype, accumulate: Request['accumulate']): SumKind {
	const x = DTYPES[image];
	const w = DTYPES[kernel];
	if (!x.float && !w.float) return 'integer';
	if (accumulate !== 'auto') return accumulate;
	if (x.float) return image === 'float64' ? 'float64' : 'float32';
	return x.bytes >= 4 || kernel === 'float64' ? 'float64' : 'float32';
}

/** Cuts one kernel out of the taps as given: flips it for a convolution, drops outer all-zero rows and columns. */
function windowOf(request: Request, index: number, origin: PerPlaneAxis): KernelWindow {
	const { height, width, taps } = request.kernel;
	const flip = request.operation === 'convolve';
	const at = (j: number, i: number) =>
		taps[index * height * width + (flip ? (height - 1 - j) * width + (width - 1 - i) : j * width + i)] as number | bigint;
	let [top, bottom, left, right] = [height, -1, width, -1];
	for (let j = 0; j < height; j++) {
		for (let i = 0; i < width; i++) {
			if (Number(at(j, i)) === 0) continue;
			top = Math.min(top, j);
			bottom = j;
			left = Math.min(left, i);
			right = Math.max(right, i);
		}
	}
	if (bottom < 0) return { rows: 0, cols: 0, taps: taps.slice(0, 0), first: origin };
	const rows = bottom - top + 1;
	const cols = right - left + 1;
	const cut = taps.slice(0, rows * cols);
	for (let j = 0; j < rows; j++) for (let i = 0; i < cols; i++) cut[j * cols + i] = at(top + j, left + i);
	return { rows, cols, taps: cut, first: [origin[0] + top * request.dilation[0], origin[1] + left * request.dilation[1]] };
}

/** One number per result channel from one, one per image channel, or one per result channel. */
function perResultChannel(values: readonly number[], channels: number, count: number): number[] {
	return Array.from({ length: channels * count }, (_, k) => {
		if (values.length === 1) return values[0] as number;
		return values[values.length === channels ? Math.floor(k / count) : k] as number;
	});
}

/** Derives the canonical Problem. The request must be valid: sizes, anchor and lists fit. */
export function makeProblem(request: Request): Problem {
	const { image, kernel, mode, operation, stride, dilation, anchor } = request;
	const [n, c, h, w] = image.sizes;
	const kd = [dilatedSize(kernel.height, dilation[0]), dilatedSize(kernel.width, dilation[1])] as const;
	const origin = [axisFirst(mode, operation, kd[0], anchor?.[0]), axisFirst(mode, operation, kd[1], anchor?.[1])] as const;
	const sizes: PerAxis = [
		n,
		c * kernel.count,
		Math.ceil(axisSize(mode, h, kd[0]) / stride[0]),
		Math.ceil(axisSize(mode, w, kd[1]) / stride[1]),
	];
	const layout = resultLayout(image.layout, kernel.bank);
	return {
		operation,
		image,
		kernel: { dtype: kernel.dtype, height: kernel.height, width: kernel.width, bank: kernel.bank },
		windows: Array.from({ length: kernel.count }, (_, m) => windowOf(request, m, origin)),
		mode,
		boundary: request.boundary,
		value: request.value,
		stride,
		dilation,
		output: { dtype: request.outputDtype, layout, sizes, shape: fromCanonical(layout, sizes) },
		overflow: request.overflow,
		rounding: request.rounding,
		scale: perResultChannel(request.scale, c, kernel.count),
		bias: perResultChannel(request.bias, c, kernel.count),
		sum: sumKind(image.dtype, kernel.dtype, request.accumulate),
	};
}

// ── what follows from a Problem alone ────────────────────────────────────────────────────────────────────────────────

/** True where channel k of the result is stored as scale·sum + bias with scale 1 and bias 0. */
export const isPlainChannel = (problem: Problem, k: number): boolean => problem.scale[k] === 1 && problem.bias[k] === 0;

/** The same for every channel. */
export const isPlain = (problem: Problem): boolean => problem.scale.every((_, k) => isPlainChannel(problem, k));

/** First image position and number of positions that one axis of a window reads. */
export function reach(problem: Problem, window: KernelWindow, axis: 0 | 1): { first: number; count: number } {
	const outputs = problem.output.sizes[axis === 0 ? 2 : 3];
	const taps = axis === 0 ? window.rows : window.cols;
	const count = outputs === 0 || taps === 0 ? 0 : (outputs - 1) * problem.stride[axis] + dilatedSize(taps, problem.dilation[axis]);
	return { first: window.first[axis], count };
}

/** Exact range of the integer sum of one window over every image of the dtype (and the constant outside). */
export function sumRange(problem: Problem, window: KernelWindow): { min: bigint; max: bigint } {
	const { minInt, maxInt } = DTYPES[problem.image.dtype];
	let min = 0n;
	let max = 0n;
	for (const tap of window.taps) {
		const w = BigInt(tap);
		min += w < 0n ? w * maxInt : w * minInt;
		max += w < 0n ? w * minInt : w * maxInt;
	}
	return { min, max };
}

/** Σ|w|·max|x|, which no partial sum of an integer window exceeds in any order. */
export function sumMagnitude(problem: Problem, window: KernelWindow): bigint {
	const { minInt, maxInt } = DTYPES[problem.image.dtype];
	const largest = minInt < 0n ? -minInt : maxInt; // signed: the negative end is the larger
	let total = 0n;
	for (const tap of window.taps) total += tap < 0 ? -BigInt(tap) : BigInt(tap);
	return total * largest;
}

/** True where no integer sum, whatever the pixels, leaves the output dtype: no overflow rule can matter. */
export function cannotOverflow(problem: Problem): boolean {
	const { float, minInt, maxInt } = DTYPES[problem.output.dtype];
	if (float) return true;
	if (problem.sum !== 'integer' || !isPlain(problem)) return false;
	return problem.windows.every((window) => {
		const { min, max } = sumRange(problem, window);
		return min >= minInt && max <= maxInt;
	});
}

/** The problem as one short line: `u8 2000x3000x3 HWC * f32 19x19, same, symmetric`. */
export function describe(problem: Problem): string {
	const { image, kernel, output } = problem;
	const sizes = (list: readonly number[]) => list.join('x');
	const bank = kernel.bank ? `${problem.windows.length}x` : '';
	const [by, bx] = problem.boundary;
	const parts = [
		`${DTYPES[image.dtype].short} ${sizes(fromCanonical(image.layout, image.sizes))} ${image.layout} * ${DTYPES[kernel.dtype].short} ${bank}${kernel.height}x${kernel.width}`,
		problem.operation === 'correlate' ? 'correlate' : '',
		problem.mode,
		problem.mode === 'valid' ? '' : by === bx ? by : `${by}/${bx}`,
		sizes(problem.stride) === '1x1' ? '' : `stride ${sizes(problem.stride)}`,
		sizes(problem.dilation) === '1x1' ? '' : `dilation ${sizes(problem.dilation)}`,
		output.dtype === image.dtype ? '' : `-> ${DTYPES[output.dtype].short}`,
	];
	return parts.filter((part) => part !== '').join(', ');
}
