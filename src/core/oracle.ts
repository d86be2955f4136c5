/**
 * One output pixel, from the definition in problem.ts: float64 sums, or exact integers. Written to be read; the
 * verifier compares every backend with it.
 */
import { OUTSIDE, sourceIndex } from './boundary.ts';
import type { PixelTerms } from './bounds.ts';
import { storeInteger, storeReal } from './dtype.ts';
import type { PlaneView } from './ndarray.ts';
import { hasHoles } from './nonfinite.ts';
import { dilatedSize, isPlainChannel, type KernelWindow, type Problem } from './problem.ts';
import { readerOf, type SparsePlanes } from './sparse.ts';

export interface OraclePixel {
	/** scale·sum + bias: a BigInt where the sum is an exact integer stored as it is. */
	readonly value: number | bigint;
	/** `value` as it is stored in the output dtype; undefined where it does not fit under `overflow: 'throw'`. */
	readonly stored: number | bigint | undefined;
	readonly terms: PixelTerms;
	/** False where the window holds a NaN or an infinity. */
	readonly finite: boolean;
	/** Set where the window has too many holes to have looked at each: looks now. True if one holds a NaN or an infinity. */
	readonly poisonedByHole?: () => boolean;
}

/** Positions of a dilated window up to which the oracle looks into every hole at once. */
const HOLES_AT_ONCE = 4096;

/** Reads elements as numbers, without a detour where they are. */
function numbersOf(image: PlaneView | SparsePlanes, read: (i: number) => number | bigint): (i: number) => number {
	if ('read' in image || image.dtype === 'float16') return (i) => Number(read(i));
	const { data } = image;
	return data instanceof BigInt64Array || data instanceof BigUint64Array ? (i) => Number(data[i]) : (i) => data[i] as number;
}

interface RowSums {
	sum: number;
	magnitude: number;
	taps: number;
	pixels: number;
	largest: number;
	finite: boolean;
}

/** Computes single output pixels of a problem on an image. */
export class Oracle {
	readonly #problem: Problem;
	readonly #image: PlaneView | SparsePlanes;
	readonly #read: (i: number) => number | bigint;
	readonly #number: (i: number) => number;
	readonly #converted = new Map<KernelWindow, Float64Array>();

	constructor(problem: Problem, image: PlaneView | SparsePlanes) {
		this.#problem = problem;
		this.#image = image;
		this.#read = readerOf(image);
		this.#number = numbersOf(image, this.#read);
	}

	/** @param channel of the result: image channel · M + kernel of the bank */
	pixel(batch: number, channel: number, y: number, x: number): OraclePixel {
		const problem = this.#problem;
		const count = problem.windows.length;
		const window = problem.windows[channel % count] as KernelWindow;
		const base = this.#image.offset + batch * this.#image.strides[0] + Math.floor(channel / count) * this.#image.strides[1];
		return problem.sum === 'integer' ? this.#exact(window, channel, base, y, x) : this.#float(window, channel, base, y, x);
	}

	/** The image, extended beyond its sides, at any position of a plane. */
	#at(base: number, row: number, col: number): number | bigint {
		const { boundary, value } = this.#problem;
		const [, , height, width] = this.#image.sizes;
		const sy = sourceIndex(boundary[0], row, height);
		const sx = sourceIndex(boundary[1], col, width);
		if (sy === OUTSIDE || sx === OUTSIDE) return value;
		return this.#read(base + sy * this.#image.strides[2] + sx * this.#image.strides[3]);
	}

	#exact(window: KernelWindow, channel: number, base: number, y: number, x: number): OraclePixel {
		const { stride, dilation, output, overflow, rounding, scale, bias } = this.#problem;
		let sum = 0n;
		for (let j = 0; j < window.rows; j++) {
			for (let i = 0; i < window.cols; i++) {
				const row = window.first[0] + y * stride[0] + j * dilation[0];
				const col = window.first[1] + x * stride[1] + i * dilation[1];
				sum += BigInt(window.taps[j * window.cols + i] as number | bigint) * BigInt(this.#at(base, row, col));
			}
		}
		const [s, b] = [scale[channel] as number, bias[channel] as number];
		const terms = { magnitude: Math.abs(Number(sum)), taps: 0, pixels: 0, largest: 0, count: 0, scale: s, bias: b };
		if (isPlainChannel(this.#problem, channel)) {
			return { value: sum, stored: storeInteger(sum, output.dtype, overflow), terms, finite: true };
		}
		const value = s * Number(sum) + b;
		return { value, stored: storeReal(value, output.dtype, rounding, overflow), terms, finite: true };
	}

	/** Row by row, then the rows. */
	#float(window: KernelWindow, channel: number, base: number, y: number, x: number): OraclePixel {
		const { stride, dilation, boundary, output, overflow, rounding, scale, bias } = this.#problem;
		const [, , height, width] = this.#image.sizes;
		const [top, left] = [window.first[0] + y * stride[0], window.first[1] + x * stride[1]];
		const columns = new Int32Array(window.cols); // filled by a loop: Int32Array.from takes longer than the sums
		for (let i = 0; i < columns.length; i++) columns[i] = sourceIndex(boundary[1], left + i * dilation[1], width);
		const sums = { sum: 0, magnitude: 0, taps: 0, pixels: 0, largest: 0, finite: true };
		for (let j = 0; j < window.rows; j++) {
			this.#row(sums, this.#tapsOf(window), j, columns, base, sourceIndex(boundary[0], top + j * dilation[0], height));
		}
		const { sum, magnitude, taps, pixels, largest, finite } = sums;
		const [s, b] = [scale[channel] as number, bias[channel] as number];
		const value = isPlainChannel(this.#problem, channel) ? sum : s * sum + b;
		const terms = { magnitude, taps, pixels, largest, count: window.taps.length, scale: s, bias: b };
		const pixel = { value, stored: storeReal(value, output.dtype, rounding, overflow), terms };
		if (!finite || !hasHoles(this.#problem)) return { ...pixel, finite };
		const tall = dilatedSize(window.rows, dilation[0]);
		const wide = dilatedSize(window.cols, dilation[1]);
		const poisonedByHole = () => this.#holdsNonFinite(base, top, left, tall, wide);
		return tall * wide <= HOLES_AT_ONCE ? { ...pixel, finite: !poisonedByHole() } : { ...pixel, finite, poisonedByHole };
	}

	/**
	 * Adds one row of a window: a loop of its own, because it takes nearly all of the time of large kernels.
	 *
	 * @param columns source indices under the row's taps
	 * @param row source index, or OUTSIDE
	 */
	#row(sums: RowSums, taps: Float64Array, j: number, columns: Int32Array, base: number, row: number): void {
		const value = Number(this.#problem.value);
		const [, , down, right] = this.#image.strides;
		const read = this.#number;
		const [start, from] = [base + row * down, j * columns.length];
		let [rowSum, magnitude, tapSum, pixels, largest] = [0, 0, 0, 0, 0];
		for (let i = 0; i < columns.length; i++) {
			const column = columns[i] as number;
			const pixel = row === OUTSIDE || column === OUTSIDE ? value : read(start + column * right);
			const tap = taps[from + i] as number;
			const size = Math.abs(pixel);
			rowSum += tap * pixel;
			magnitude += Math.abs(tap * pixel);
			tapSum += Math.abs(tap);
			pixels += size;
			if (size > largest) largest = size;
		}
		if (!Number.isFinite(pixels))
			sums.finite &&= columns.every((column) =>
				Number.isFinite(row === OUTSIDE || column === OUTSIDE ? value : read(start + column * right)),
			);
		sums.sum += rowSum;
		sums.magnitude += magnitude;
		sums.taps += tapSum;
		sums.pixels += pixels;
		if (largest > sums.largest) sums.largest = largest;
	}

	#tapsOf(window: KernelWindow): Float64Array {
		if (window.taps instanceof Float64Array) return window.taps;
		let taps = this.#converted.get(window);
		if (taps === undefined) {
			taps = Float64Array.from(window.taps, Number);
			this.#converted.set(window, taps);
		}
		return taps;
	}

	#holdsNonFinite(base: number, top: number, left: number, height: number, width: number): boolean {
		for (let j = 0; j < height; j++) {
			for (let i = 0; i < width; i++) if (!Number.isFinite(this.#at(base, top + j, left + i))) return true;
		}
		return false;
	}
}
