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

/** Computes single output pixels of a problem on an image. */
export class Oracle {
	readonly #problem: Problem;
	readonly #image: PlaneView | SparsePlanes;
	readonly #read: (i: number) => number | bigint;

	constructor(problem: Problem, image: PlaneView | SparsePlanes) {
		this.#problem = problem;
		this.#image = image;
		this.#read = readerOf(image);
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
		const { stride, dilation, output, overflow, rounding, scale, bias } = this.#problem;
		const [top, left] = [window.first[0] + y * stride[0], window.first[1] + x * stride[1]];
		let [sum, magnitude, taps, pixels, largest] = [0, 0, 0, 0, 0];
		let finite = true;
		for (let j = 0; j < window.rows; j++) {
			let rowSum = 0;
			for (let i = 0; i < window.cols; i++) {
				const pixel = Number(this.#at(base, top + j * dilation[0], left + i * dilation[1]));
				const tap = Number(window.taps[j * window.cols + i]);
				if (!Number.isFinite(pixel)) finite = false;
				rowSum += tap * pixel;
				magnitude += Math.abs(tap * pixel);
				taps += Math.abs(tap);
				pixels += Math.abs(pixel);
				largest = Math.max(largest, Math.abs(pixel));
			}
			sum += rowSum;
		}
		const [s, b] = [scale[channel] as number, bias[channel] as number];
		const value = isPlainChannel(this.#problem, channel) ? sum : s * sum + b;
		const terms = { magnitude, taps, pixels, largest, count: window.taps.length, scale: s, bias: b };
		const pixel = { value, stored: storeReal(value, output.dtype, rounding, overflow), terms };
		if (!finite || !hasHoles(this.#problem)) return { ...pixel, finite };
		const height = dilatedSize(window.rows, dilation[0]);
		const width = dilatedSize(window.cols, dilation[1]);
		const poisonedByHole = () => this.#holdsNonFinite(base, top, left, height, width);
		return height * width <= HOLES_AT_ONCE ? { ...pixel, finite: !poisonedByHole() } : { ...pixel, finite, poisonedByHole };
	}

	#holdsNonFinite(base: number, top: number, left: number, height: number, width: number): boolean {
		for (let j = 0; j < height; j++) {
			for (let i = 0; i < width; i++) if (!Number.isFinite(this.#at(base, top + j, left + i))) return true;
		}
		return false;
	}
}
