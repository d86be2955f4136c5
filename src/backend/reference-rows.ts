/**
 * Rows of sums for the reference backend, one output row at a time: over all taps of a window, or over the products that it is made of.
 * Float64 or exact integers, written to be read.
 */
import { indexMap, OUTSIDE } from '../core/boundary.ts';
import type { breather } from '../core/breathe.ts';
import { reader } from '../core/dtype.ts';
import type { PlaneView } from '../core/ndarray.ts';
import { type KernelWindow, type Problem, reach } from '../core/problem.ts';
import type { Product, Step } from '../core/steps.ts';

export type Breath = ReturnType<typeof breather>;

export interface Rows {
	/** Sums of output row y of the plane at `base`, in float64. */
	numbers(base: number, y: number, breath: Breath): Promise<Float64Array>;
	/** The same, exactly. */
	integers(base: number, y: number, breath: Breath): Promise<bigint[]>;
}

/** The image as a window sees it: rows by extended position, extended on both sides. */
class ExtendedRows {
	readonly width: number;
	readonly #problem: Problem;
	readonly #image: PlaneView;
	readonly #read: (i: number) => number | bigint;
	readonly #yMap: Int32Array;
	readonly #xMap: Int32Array;

	constructor(problem: Problem, window: KernelWindow, image: PlaneView) {
		this.#problem = problem;
		this.#image = image;
		this.#read = reader(image.data, image.dtype);
		const [y, x] = [reach(problem, window, 0), reach(problem, window, 1)];
		this.#yMap = indexMap(problem.boundary[0], image.sizes[2], y.first, y.count);
		this.#xMap = indexMap(problem.boundary[1], image.sizes[3], x.first, x.count);
		this.width = x.count;
	}

	/** Writes the row at `position`, counted from the first that the window reads, into `row`. */
	read<T extends number | bigint>(base: number, position: number, row: { [x: number]: T }, convert: (pixel: number | bigint) => T): void {
		const source = this.#yMap[position] as number;
		const start = base + source * this.#image.strides[2];
		for (let x = 0; x < this.#xMap.length; x++) {
			const column = this.#xMap[x] as number;
			const outside = source === OUTSIDE || column === OUTSIDE;
			row[x] = convert(outside ? this.#problem.value : this.#read(start + column * this.#image.strides[3]));
		}
	}
}

/** Each kernel row first, then the rows. */
class DirectRows implements Rows {
	readonly #problem: Problem;
	readonly #window: KernelWindow;
	readonly #image: ExtendedRows;

	constructor(problem: Problem, window: KernelWindow, image: PlaneView) {
		this.#problem = problem;
		this.#window = window;
		this.#image = new ExtendedRows(problem, window, image);
	}

	async numbers(base: number, y: number, breath: Breath): Promise<Float64Array> {
		const { rows, cols, taps } = this.#window;
		const { stride, dilation } = this.#problem;
		const width = this.#problem.output.sizes[3];
		const extended = new Float64Array(this.#image.width);
		const sums = new Float64Array(width);
		for (let j = 0; j < rows; j++) {
			if (breath.due()) await breath.pause();
			this.#image.read(base, y * stride[0] + j * dilation[0], extended, Number);
			const rowSums = new Float64Array(width);
			for (let i = 0; i < cols; i++) {
				const tap = Number(taps[j * cols + i]);
				for (let x = 0, at = i * dilation[1]; x < width; x++, at += stride[1])
					rowSums[x] = (rowSums[x] as number) + tap * (extended[at] as number);
			}
			for (let x = 0; x < width; x++) sums[x] = (sums[x] as number) + (rowSums[x] as number);
		}
		return sums;
	}

	async integers(base: number, y: number, breath: Breath): Promise<bigint[]> {
		const { rows, cols, taps } = this.#window;
		const { stride, dilation } = this.#problem;
		const width = this.#problem.output.sizes[3];
		const extended = new Array<bigint>(this.#image.width);
		const sums = new Array<bigint>(width).fill(0n);
		for (let j = 0; j < rows; j++) {
			if (breath.due()) await breath.pause();
			this.#image.read(base, y * stride[0] + j * dilation[0], extended, BigInt);
			for (let i = 0; i < cols; i++) {
				const tap = BigInt(taps[j * cols + i] as number | bigint);
				for (let x = 0, at = i * dilation[1]; x < width; x++, at += stride[1])
					sums[x] = (sums[x] as bigint) + tap * (extended[at] as bigint);
			}
		}
		return sums;
	}
}

/** Row sums that are still needed, by position; those of one product. */
class Lines<T> {
	readonly #lines = new Map<number, T>();

	/** Forgets what lies above `position`. */
	dropAbove(position: number): void {
		for (const at of this.#lines.keys()) if (at < position) this.#lines.delete(at);
	}

	get(position: number, make: () => T): T {
		let line = this.#lines.get(position);
		if (line === undefined) {
			line = make();
			this.#lines.set(position, line);
		}
		return line;
	}
}

/** Per product the row sums of each input row once, then their column from the top; the products one after the other. */
class ProductRows implements Rows {
	readonly #problem: Problem;
	readonly #image: ExtendedRows;
	readonly #products: readonly Product[];
	#base = -1;
	#numbers: Lines<Float64Array>[] = [];
	#integers: Lines<bigint[]>[] = [];

	constructor(problem: Problem, window: KernelWindow, image: PlaneView, products: readonly Product[]) {
		this.#problem = problem;
		this.#image = new ExtendedRows(problem, window, image);
		this.#products = products;
	}

	#start(base: number, y: number): void {
		if (base !== this.#base) {
			this.#base = base;
			this.#numbers = this.#products.map(() => new Lines());
			this.#integers = this.#products.map(() => new Lines());
		}
		for (const lines of [...this.#numbers, ...this.#integers]) lines.dropAbove(y * this.#problem.stride[0]);
	}

	async numbers(base: number, y: number, breath: Breath): Promise<Float64Array> {
		this.#start(base, y);
		const { stride, dilation } = this.#problem;
		const width = this.#problem.output.sizes[3];
		const extended = new Float64Array(this.#image.width);
		const sums = new Float64Array(width);
		for (const [k, { column, row }] of this.#products.entries()) {
			const total = new Float64Array(width);
			for (const [j, factor] of column.entries()) {
				if (breath.due()) await breath.pause();
				const position = y * stride[0] + j * dilation[0];
				const line = (this.#numbers[k] as Lines<Float64Array>).get(position, () => {
					this.#image.read(base, position, extended, Number);
					const rowSums = new Float64Array(width);
					for (const [i, tap] of row.entries())
						for (let x = 0, at = i * dilation[1]; x < width; x++, at += stride[1])
							rowSums[x] = (rowSums[x] as number) + tap * (extended[at] as number);
					return rowSums;
				});
				for (let x = 0; x < width; x++) total[x] = (total[x] as number) + factor * (line[x] as number);
			}
			for (let x = 0; x < width; x++) sums[x] = (sums[x] as number) + (total[x] as number);
		}
		return sums;
	}

	async integers(base: number, y: number, breath: Breath): Promise<bigint[]> {
		this.#start(base, y);
		const { stride, dilation } = this.#problem;
		const width = this.#problem.output.sizes[3];
		const extended = new Array<bigint>(this.#image.width);
		const sums = new Array<bigint>(width).fill(0n);
		for (const [k, { column, row }] of this.#products.entries()) {
			for (const [j, factor] of column.entries()) {
				if (breath.due()) await breath.pause();
				const position = y * stride[0] + j * dilation[0];
				const line = (this.#integers[k] as Lines<bigint[]>).get(position, () => {
					this.#image.read(base, position, extended, BigInt);
					const rowSums = new Array<bigint>(width).fill(0n);
					for (const [i, tap] of row.entries())
						for (let x = 0, at = i * dilation[1]; x < width; x++, at += stride[1])
							rowSums[x] = (rowSums[x] as bigint) + BigInt(tap) * (extended[at] as bigint);
					return rowSums;
				});
				for (let x = 0; x < width; x++) sums[x] = (sums[x] as bigint) + BigInt(factor) * (line[x] as bigint);
			}
		}
		return sums;
	}
}

/** The products of a step; equal taps are a row of them times a column of ones. */
function productsOfStep(step: Step): readonly Product[] | undefined {
	if (step.kind === 'separable') return step.products;
	if (step.kind !== 'box') return undefined;
	return step.rows === 0 ? [] : [{ column: new Array(step.rows).fill(1), row: new Array(step.cols).fill(step.tap) }];
}

/** What sums the rows of a plan's step. */
export function rowsOf(problem: Problem, step: Step, image: PlaneView): Rows {
	const window = problem.windows[step.kernel] as KernelWindow;
	const products = productsOfStep(step);
	return products === undefined ? new DirectRows(problem, window, image) : new ProductRows(problem, window, image, products);
}
