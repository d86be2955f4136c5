/**
 * What a kernel is made of: equal taps, one product of a column and a row, or a sum of few such products. Found from the taps
 * alone; a window is one kernel in correlation order without its outer zero rows and columns.
 */
import { DTYPES } from './dtype.ts';
import type { KernelWindow, Problem } from './problem.ts';
import { singularProducts } from './singular.ts';
import type { Product } from './steps.ts';

/** A window as products, and how far they are from it. */
export interface Split {
	readonly products: readonly Product[];
	/** max |w − Σ column·row| / |w| over the taps: what an exact factorisation loses to the rounding of the taps. */
	readonly relative: number;
	/** Σ |w − Σ column·row|, certified, of an approximation under `tolerance`; 0 where `relative` says it all. */
	readonly residual: number;
	/** Σ max(0, Σ|column·row| − |w|): what products of opposite signs cancel. */
	readonly excess: number;
}

/** A structure for every window, or the reason why one has none. */
export type Found<T> = { readonly each: readonly T[]; readonly why: string } | { readonly each?: undefined; readonly why: string };

const NO_WINDOW: Split = { products: [], relative: 0, residual: 0, excess: 0 };

const gcd = (a: bigint, b: bigint): bigint => (b === 0n ? (a < 0n ? -a : a) : gcd(b, a % b));

/** Integer factors whose product is the window, the row without a common divisor; undefined where there are none below 2^53. */
function integerProduct(window: KernelWindow): Product | undefined {
	const { rows, cols } = window;
	const taps = Array.from(window.taps, (tap: number | bigint) => BigInt(tap));
	const first = taps.findIndex((tap) => tap !== 0n); // in the top row: outer zero rows are cut off
	const top = taps.slice(0, cols);
	const divisor = top.reduce(gcd, 0n);
	const row = top.map((tap) => tap / divisor);
	const pivot = row[first] as bigint;
	const column: bigint[] = [];
	for (let j = 0; j < rows; j++) {
		const factor = (taps[j * cols + first] as bigint) / pivot;
		for (let i = 0; i < cols; i++) if (factor * (row[i] as bigint) !== taps[j * cols + i]) return undefined;
		column.push(factor);
	}
	const largest = 2n ** 53n;
	if ([...row, ...column].some((x) => x > largest || x < -largest)) return undefined;
	return { column: column.map(Number), row: row.map(Number) };
}

/** Index of the largest magnitude. */
function largestTap(taps: Float64Array): number {
	let at = 0;
	for (let k = 1; k < taps.length; k++) if (Math.abs(taps[k] as number) > Math.abs(taps[at] as number)) at = k;
	return at;
}

/** Means of w[j, i] / other over the places where `other` is not 0: averages the rounding of the taps away. */
const meanRatio = (count: number, tap: (k: number) => number, other: (k: number) => number): number => {
	let [sum, terms] = [0, 0];
	for (let k = 0; k < count; k++) {
		if (other(k) === 0) continue;
		sum += tap(k) / other(k);
		terms++;
	}
	return sum / terms;
};

/** Scales by a power of two so that 1/4 < Σ|row| ≤ 1/2: no sum over pixels, rounded, leaves their range before the column is applied. */
function balanced(column: readonly number[], row: readonly number[]): Product {
	const total = row.reduce((sum, x) => sum + Math.abs(x), 0);
	const factor = 2 ** (-1 - Math.ceil(Math.log2(total)));
	return { column: column.map((x) => x / factor), row: row.map((x) => x * factor) };
}

/** False where a factor leaves the range of the sum's type, which its tap need not do. */
function held(problem: Problem, { column, row }: Product): boolean {
	const { max } = DTYPES[problem.sum === 'float32' ? 'float32' : 'float64'];
	return [...column, ...row].every((x) => Math.abs(x) <= max);
}

const NOT_HELD = 'a factor of the kernel leaves the range of the sum';

/** One product near the window, taps of float64, and its largest relative distance from a tap. */
function floatProduct(window: KernelWindow): { product: Product; relative: number } {
	const { rows, cols } = window;
	const taps = Float64Array.from(window.taps as Float64Array);
	const at = largestTap(taps);
	const [pivotRow, pivotCol] = [Math.floor(at / cols), at % cols];
	const tap = (j: number, i: number) => taps[j * cols + i] as number;
	let row = Array.from({ length: cols }, (_, i) => tap(pivotRow, i));
	let column = Array.from({ length: rows }, (_, j) => tap(j, pivotCol) / tap(pivotRow, pivotCol));
	for (let pass = 0; pass < 2; pass++) {
		const [r, c] = [row, column];
		column = c.map((x, j) =>
			x === 0
				? 0
				: meanRatio(
						cols,
						(i) => tap(j, i),
						(i) => r[i] as number,
					),
		);
		row = r.map((x, i) =>
			x === 0
				? 0
				: meanRatio(
						rows,
						(j) => tap(j, i),
						(j) => column[j] as number,
					),
		);
	}
	const product = balanced(column, row);
	let relative = 0;
	for (let j = 0; j < rows; j++) {
		for (let i = 0; i < cols; i++) {
			const off = Math.abs(tap(j, i) - (product.column[j] as number) * (product.row[i] as number));
			if (off > 0) relative = Math.max(relative, tap(j, i) === 0 ? Infinity : off / Math.abs(tap(j, i)));
		}
	}
	return { product, relative: Number.isNaN(relative) ? Infinity : relative };
}

/** A tap may be off by one unit in its last place: 2u of the kernel's dtype, and of the sum's where that is finer. */
const permitted = (problem: Problem): number => {
	const kernel = DTYPES[problem.kernel.dtype];
	const sum = DTYPES[problem.sum === 'float64' ? 'float64' : 'float32'].unit;
	return 2 * (kernel.float ? Math.min(kernel.unit, sum) : sum);
};

function separate(problem: Problem): Found<Split> {
	const each: Split[] = [];
	let worst = 0;
	for (const [m, window] of problem.windows.entries()) {
		const which = problem.windows.length === 1 ? 'the kernel' : `kernel ${m}`;
		if (window.rows === 0) {
			each.push(NO_WINDOW);
			continue;
		}
		if (!DTYPES[problem.kernel.dtype].float) {
			const whole = integerProduct(window);
			if (whole === undefined) return { why: `${which} is no product of a column and a row of integers` };
			const product = problem.sum === 'integer' ? whole : balanced(whole.column, whole.row);
			if (!held(problem, product)) return { why: NOT_HELD };
			each.push({ products: [product], relative: 0, residual: 0, excess: 0 });
			continue;
		}
		const { product, relative } = floatProduct(window);
		if (!(relative <= permitted(problem))) {
			return {
				why: `${which} is not of rank 1 (a tap is off by ${relative.toPrecision(2)} of itself; the rounding of taps is ${permitted(problem).toPrecision(2)})`,
			};
		}
		if (!held(problem, product)) return { why: NOT_HELD };
		worst = Math.max(worst, relative);
		each.push({ products: [product], relative, residual: 0, excess: 0 });
	}
	return { each, why: worst === 0 ? 'the kernel is of rank 1, exactly' : `the kernel is of rank 1 (residual ${worst.toPrecision(1)})` };
}

/** Windows of at most this many taps are worth a singular value decomposition (K = 127: 16129 taps take about a second). */
const MOST_TAPS_TO_SPLIT = 128 * 128;

function approximate(problem: Problem, tolerance: number): Found<Split> {
	const each: Split[] = [];
	let [most, worst] = [0, 0];
	for (const window of problem.windows) {
		if (window.rows === 0) {
			each.push(NO_WINDOW);
			continue;
		}
		if (window.taps.length > MOST_TAPS_TO_SPLIT) {
			return { why: `a kernel of ${window.taps.length} taps is too large to decompose (at most ${MOST_TAPS_TO_SPLIT})` };
		}
		const found = singularProducts(window, tolerance);
		if (found === undefined) return { why: `no sum of fewer products than rows and columns is within the tolerance ${tolerance}` };
		const products = found.products.map(({ column, row }) => balanced(column, row));
		if (!products.every((product) => held(problem, product))) return { why: NOT_HELD };
		each.push({ ...found, products, relative: 0 });
		most = Math.max(most, products.length);
		worst = Math.max(worst, found.residual / found.total);
	}
	return { each, why: `the kernel is within ${worst.toPrecision(2)} of rank ${most} (tolerance ${tolerance})` };
}

function boxes(problem: Problem): Found<number> {
	const each: number[] = [];
	for (const [m, { taps }] of problem.windows.entries()) {
		const tap = taps[0] as number | bigint | undefined;
		for (const other of taps) {
			if (other === tap) continue;
			return { why: `${problem.windows.length === 1 ? 'the kernel' : `kernel ${m}`} has taps of different values` };
		}
		each.push(Number(tap ?? 0));
		if (typeof tap === 'bigint' && BigInt(Number(tap)) !== tap) return { why: `a tap of ${tap} needs more than 53 bits` };
	}
	return { each, why: 'every tap has the same value' };
}

/** Asked for several times per decision: by every backend's candidates, and when the plan is prepared. */
const remembered = new WeakMap<Problem, { product?: Found<Split>; box?: Found<number>; few: Map<number, Found<Split>> }>();

function memory(problem: Problem) {
	let entry = remembered.get(problem);
	if (entry === undefined) {
		entry = { few: new Map() };
		remembered.set(problem, entry);
	}
	return entry;
}

/** Every window as one product of a column and a row: exactly for integers, within the rounding of the taps for floats. */
export function productOf(problem: Problem): Found<Split> {
	const entry = memory(problem);
	entry.product ??= separate(problem);
	return entry.product;
}

/** Every window as the fewest products that keep Σ|w − …| within `tolerance`·Σ|w|. */
export function productsOf(problem: Problem, tolerance: number): Found<Split> {
	const { few } = memory(problem);
	let found = few.get(tolerance);
	if (found === undefined) {
		found = approximate(problem, tolerance);
		few.set(tolerance, found);
	}
	return found;
}

/** The one value that all taps of a window have, for every window. */
export function boxOf(problem: Problem): Found<number> {
	const entry = memory(problem);
	entry.box ??= boxes(problem);
	return entry.box;
}
