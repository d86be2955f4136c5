/**
 * What the tiles of a Fourier transform read. The error of such a sum is relative to the pixels of the whole region, not of the window, so
 * the bound of a pixel needs the region's mean and its 2-norm about the mean.
 */
import { indexMap, OUTSIDE } from './boundary.ts';
import { reader } from './dtype.ts';
import type { PerAxis, PlaneView } from './ndarray.ts';
import type { Extent } from './plan.ts';
import type { KernelWindow, Problem, WindowFrame } from './problem.ts';

export interface Region {
	readonly mean: number;
	/** √Σ(pixel − mean)² */
	readonly spread: number;
	/** Holds a NaN or an infinity: its tile is summed directly. */
	readonly direct: boolean;
}

/** Rows that `few` looks at: every so many. */
const EVERY = 8;

/** Regions by tile, computed when first asked for. */
export class Regions {
	readonly #problem: Problem;
	readonly #image: PlaneView;
	readonly #tile: Extent;
	readonly #frame: WindowFrame | undefined;
	readonly #read: (i: number) => number;
	readonly #known = new Map<string, Region>();

	/** @param frame that the kernels of a bank share; absent: a tile reads what its own kernel does */
	constructor(problem: Problem, image: PlaneView, tile: Extent, frame?: WindowFrame) {
		this.#problem = problem;
		this.#image = image;
		this.#tile = tile;
		this.#frame = frame;
		const { data } = image;
		const exact = reader(data, image.dtype);
		const plain = !(data instanceof BigInt64Array || data instanceof BigUint64Array) && image.dtype !== 'float16';
		this.#read = plain ? (i) => data[i] as number : (i) => Number(exact(i));
	}

	/**
	 * The region under the tile that holds an output pixel.
	 *
	 * @param few look at every eighth row only: spread and mean are then at most the true ones (the mean counts as 0)
	 */
	of([n, channel, y, x]: PerAxis, few: boolean): Region {
		const [row, col] = [Math.floor(y / this.#tile.height), Math.floor(x / this.#tile.width)];
		const key = `${n} ${channel} ${row} ${col} ${few}`;
		let region = this.#known.get(key);
		if (region === undefined) {
			region = this.#look(n, channel, row, col, few ? EVERY : 1);
			this.#known.set(key, region);
		}
		return region;
	}

	#look(n: number, channel: number, row: number, col: number, every: number): Region {
		const { windows, boundary, image, output } = this.#problem;
		const window = this.#frame ?? (windows[channel % windows.length] as KernelWindow);
		const axis = (which: 0 | 1, first: number, size: number, taps: number) => {
			const count = Math.min(size, output.sizes[which === 0 ? 2 : 3] - first) + taps - 1;
			return indexMap(boundary[which], image.sizes[which === 0 ? 2 : 3], window.first[which] + first, Math.max(0, count));
		};
		const rows = axis(0, row * this.#tile.height, this.#tile.height, window.rows);
		const columns = axis(1, col * this.#tile.width, this.#tile.width, window.cols);
		const base = this.#image.offset + n * this.#image.strides[0] + Math.floor(channel / windows.length) * this.#image.strides[1];
		return this.#sum(rows, columns, base, every);
	}

	#sum(rows: Int32Array, columns: Int32Array, base: number, every: number): Region {
		const { strides } = this.#image;
		const value = Number(this.#problem.value);
		const read = this.#read;
		const at = (row: number, k: number) => {
			const source = columns[k] as number;
			return row === OUTSIDE || source === OUTSIDE ? value : read(base + row * strides[2] + source * strides[3]);
		};
		if (rows.length === 0 || columns.length === 0) return { mean: 0, spread: 0, direct: false };
		const pivot = at(rows[0] as number, 0);
		let [sum, squares, largest, count] = [0, 0, 0, 0];
		let direct = false;
		for (let j = 0; j < rows.length; j += every) {
			const row = rows[j] as number;
			for (let k = 0; k < columns.length; k++) {
				const d = at(row, k) - pivot;
				sum += d;
				squares += d * d;
				if (Math.abs(d) <= largest) continue;
				if (Number.isFinite(d)) largest = Math.abs(d);
				else direct = true;
			}
			count += columns.length;
		}
		// squares of what lies beyond 10^154 leave the range of a double; they are at most this
		const total = Number.isFinite(squares) ? Math.sqrt(Math.max(0, squares - (sum * sum) / count)) : largest * Math.sqrt(count);
		return { mean: every > 1 ? 0 : pivot + sum / count, spread: total, direct };
	}
}
