/**
 * A window as a short sum of products, by its singular values: one-sided Jacobi in float64 (Golub and Van Loan, Matrix Computations,
 * 4th ed., section 8.6.3). The distance from the taps is then computed tap by tap, so that it does not rest on convergence.
 */
import type { KernelWindow } from './problem.ts';
import type { Product } from './steps.ts';

const MOST_SWEEPS = 60;

/** Orthogonal columns u_k·σ_k (in `columns`) and the rotations v_k that made them; columns of `matrix` are rotated in pairs. */
function jacobi(matrix: Float64Array[], size: number): Float64Array[] {
	const rotations = matrix.map((_, k) => Float64Array.from({ length: matrix.length }, (_, i) => (i === k ? 1 : 0)));
	for (let sweep = 0; sweep < MOST_SWEEPS; sweep++) {
		let largest = 0;
		for (let p = 0; p < matrix.length - 1; p++) {
			for (let q = p + 1; q < matrix.length; q++) {
				const [a, b] = [matrix[p] as Float64Array, matrix[q] as Float64Array];
				let [aa, bb, ab] = [0, 0, 0];
				for (let i = 0; i < size; i++) {
					aa += (a[i] as number) * (a[i] as number);
					bb += (b[i] as number) * (b[i] as number);
					ab += (a[i] as number) * (b[i] as number);
				}
				if (ab === 0 || Math.abs(ab) <= 1e-16 * Math.sqrt(aa * bb)) continue;
				largest = Math.max(largest, Math.abs(ab) / Math.sqrt(aa * bb));
				const zeta = (bb - aa) / (2 * ab);
				const tangent = Math.sign(zeta || 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
				const cosine = 1 / Math.hypot(1, tangent);
				rotate(a, b, cosine, cosine * tangent);
				rotate(rotations[p] as Float64Array, rotations[q] as Float64Array, cosine, cosine * tangent);
			}
		}
		if (largest < 1e-15) break;
	}
	return rotations;
}

function rotate(a: Float64Array, b: Float64Array, cosine: number, sine: number): void {
	for (let i = 0; i < a.length; i++) {
		const [x, y] = [a[i] as number, b[i] as number];
		a[i] = cosine * x - sine * y;
		b[i] = sine * x + cosine * y;
	}
}

/** Σ|w − Σ column·row| with the rounding of this very sum added, and Σ max(0, Σ|column·row| − |w|). */
function distance(taps: Float64Array, cols: number, products: readonly Product[]): { residual: number; excess: number } {
	let [residual, excess, sums] = [0, 0, 0];
	for (let k = 0; k < taps.length; k++) {
		const w = taps[k] as number;
		let [left, size] = [w, 0];
		for (const { column, row } of products) {
			const term = (column[Math.floor(k / cols)] as number) * (row[k % cols] as number);
			left -= term;
			size += Math.abs(term);
		}
		residual += Math.abs(left);
		excess += Math.max(0, size - Math.abs(w));
		sums += size + Math.abs(w);
	}
	return { residual: residual + sums * (products.length + 2) * 2 ** -52, excess };
}

export interface SingularProducts {
	readonly products: readonly Product[];
	/** Σ|w − Σ column·row|, an upper bound. */
	readonly residual: number;
	readonly excess: number;
	/** Σ|w| */
	readonly total: number;
}

/** The fewest products within tolerance·Σ|w| of the window; undefined where only as many as it has rows or columns are. */
export function singularProducts(window: KernelWindow, tolerance: number): SingularProducts | undefined {
	const { rows, cols } = window;
	const taps = Float64Array.from(window.taps, Number);
	const total = taps.reduce((sum, w) => sum + Math.abs(w), 0);
	const wide = cols > rows; // rotate the shorter side: columns of the window, or of its transpose
	const [count, size] = wide ? [rows, cols] : [cols, rows];
	const matrix = Array.from({ length: count }, (_, k) =>
		Float64Array.from({ length: size }, (_, i) => taps[wide ? k * cols + i : i * cols + k] as number),
	);
	const rotations = jacobi(matrix, size);
	const norms = matrix.map((column) => Math.hypot(...column));
	const order = norms.map((_, k) => k).sort((a, b) => (norms[b] as number) - (norms[a] as number));
	const products: Product[] = [];
	for (const k of order.slice(0, count - 1)) {
		const long = Array.from(matrix[k] as Float64Array);
		const short = Array.from({ length: count }, (_, i) => (rotations[k] as Float64Array)[i] as number);
		products.push(wide ? { column: short, row: long } : { column: long, row: short });
		const { residual, excess } = distance(taps, cols, products);
		if (residual <= tolerance * total) return { products, residual, excess, total };
	}
	return undefined;
}
