/** From weights to an NdArray: int32 where they are integers, else float32 with a controlled sum. */
import { invalid } from '../core/errors.ts';
import type { NdArray } from '../core/ndarray.ts';

/** A 2-D kernel. */
export type Kernel<T extends Float32Array | Int32Array = Float32Array | Int32Array> = NdArray<T> & {
	shape: readonly [height: number, width: number];
};

/** Weights (row-major) as int32. They must be integers in range. */
export function integerKernel(rows: readonly (readonly number[])[]): Kernel<Int32Array> {
	return { data: Int32Array.from(rows.flat()), shape: [rows.length, (rows[0] as readonly number[]).length] };
}

/** column ⊗ row as int32. */
export function integerOuter(column: readonly number[], row: readonly number[]): Kernel<Int32Array> {
	return integerKernel(column.map((c) => row.map((r) => c * r + 0))); // + 0: no negative zero
}

const scratch = new DataView(new ArrayBuffer(4));

/** The float32 next to f in the direction of `up`. f is finite. */
function neighbour(f: number, up: boolean): number {
	if (f === 0) return up ? 2 ** -149 : -(2 ** -149);
	scratch.setFloat32(0, f);
	scratch.setInt32(0, scratch.getInt32(0) + (f > 0 === up ? 1 : -1));
	return scratch.getFloat32(0);
}

/**
 * Float64 weights as float32 taps whose sum is as near to `total` as the taps allow.
 *
 * Rounding each weight by itself leaves a sum that is off by about √count roundings: enough to darken a picture that is blurred many
 * times. So every tap is one of the two float32 neighbours of its weight (the nearest, or the one on its other side), chosen from the
 * largest step to the smallest wherever the choice brings the sum closer. Equal weights are changed together: symmetry stays, and a box
 * stays a box. The sum is never further off than nearest rounding leaves it, which is at most 2^-24 of the sum of all |weights|. Gaussians
 * of sigma 1 and more end below 2^-32 in the median and at 6e-9 in the worst of 20,000; a box, whose taps are all the same, has no choice.
 */
export function floatTaps(weights: Float64Array, total: number): Float32Array {
	const taps = Float32Array.from(weights);
	const choices = groupsOf(weights).map(({ weight, count }) => {
		const nearest = Math.fround(weight);
		const other = weight === nearest ? nearest : neighbour(nearest, weight > nearest);
		return { weight, other, step: (other - nearest) * count };
	});
	choices.sort((a, b) => Math.abs(b.step) - Math.abs(a.step));
	const changed = new Map<number, number>();
	let missing = total - sum(taps);
	for (const { weight, other, step } of choices) {
		if (Math.abs(missing - step) >= Math.abs(missing)) continue;
		missing -= step;
		changed.set(weight, other);
	}
	if (changed.size > 0) for (let i = 0; i < taps.length; i++) taps[i] = changed.get(weights[i] as number) ?? (taps[i] as number);
	return taps;
}

/** Groups of equal weights that are looked at: more than enough steps of every size, also for millions of taps. */
const MAX_GROUPS = 4096;

/** Equal weights and how many there are of each, in order of size; of very many groups an even choice. */
function groupsOf(weights: Float64Array): { weight: number; count: number }[] {
	const sorted = weights.slice().sort();
	let distinct = 0;
	for (let i = 0; i < sorted.length; i++) if (i === 0 || sorted[i] !== sorted[i - 1]) distinct++;
	const every = Math.max(1, Math.ceil(distinct / MAX_GROUPS));
	const groups: { weight: number; count: number }[] = [];
	for (let from = 0, k = 0; from < sorted.length; k++) {
		const weight = sorted[from] as number;
		let to = from + 1;
		while (to < sorted.length && sorted[to] === weight) to++;
		if (k % every === 0) groups.push({ weight, count: to - from });
		from = to;
	}
	return groups;
}

/** Sum in float64 with the rounding errors carried along (Neumaier, ZAMM 54, 1974). */
export function sum(values: ArrayLike<number>): number {
	let total = 0;
	let lost = 0;
	for (let i = 0; i < values.length; i++) {
		const x = values[i] as number;
		const next = total + x;
		lost += Math.abs(total) >= Math.abs(x) ? total - next + x : x - next + total;
		total = next;
	}
	return total + lost;
}

/** Weights w(y, x), with y and x counted from the kernel's centre, down and to the right. */
export function sample(radius: readonly [y: number, x: number], w: (y: number, x: number) => number): Float64Array {
	const [ry, rx] = radius;
	const weights = new Float64Array((2 * ry + 1) * (2 * rx + 1));
	let i = 0;
	for (let y = -ry; y <= ry; y++) for (let x = -rx; x <= rx; x++) weights[i++] = w(y, x);
	return weights;
}

/**
 * Float32 kernel of the given weights, of which `total` is the wanted sum.
 *
 * @throws FaltungError INVALID_ARGUMENT where a weight does not fit float32
 */
export function floatKernel(
	kernel: string,
	radius: readonly [y: number, x: number],
	weights: Float64Array,
	total: number,
): Kernel<Float32Array> {
	const beyond = weights.find((w) => !Number.isFinite(Math.fround(w)));
	if (beyond !== undefined) {
		throw invalid(
			'options that give finite float32 weights',
			`kernels.${kernel}()`,
			`options that give ${beyond}`,
			'Use less extreme ones.',
		);
	}
	return { data: floatTaps(weights, total), shape: [2 * radius[0] + 1, 2 * radius[1] + 1] };
}

/** Weights scaled to sum to 1. */
export function normalized(weights: Float64Array): Float64Array {
	const total = sum(weights);
	return weights.map((w) => w / total);
}
