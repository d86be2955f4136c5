/** A Problem in the words that the addon reads: numbers only. The order is that of the enums in native/addon.c. */
import { indexMap } from '../../core/boundary.ts';
import { DTYPES } from '../../core/dtype.ts';
import { type PlaneView, rowMajorStrides, toCanonical } from '../../core/ndarray.ts';
import type { Plan } from '../../core/plan.ts';
import { cannotOverflow, type Problem, reach, sumMagnitude } from '../../core/problem.ts';
import { ACCUMULATORS, dtypeNumber, type NativeAccumulator } from './addon.ts';

const SUMS = ['integer', 'float32', 'float64'];
const OVERFLOWS = ['saturate', 'wrap', 'throw'];
const ROUNDINGS = ['nearest-even', 'half-away', 'truncate', 'floor'];
/** conv_algorithm, by the kind of a plan's steps. */
const ALGORITHM_NUMBERS = { direct: 0, separable: 1, box: 2, fft: 3 } as const;
const TAPS_F64 = 0;
const TAPS_I64 = 1;
const TAPS_U64 = 2;

/** What the positions of one axis outside the image show: below 0 and from n on. */
interface AxisMaps {
	readonly first: number;
	readonly head: Int32Array;
	readonly tail: Int32Array;
}

/** Only the ends need a map: positions 0 … n−1 show themselves. */
function axisMaps(problem: Problem, axis: 0 | 1): AxisMaps {
	const n = problem.image.sizes[axis === 0 ? 2 : 3];
	const mode = problem.boundary[axis];
	let [first, end] = [Infinity, -Infinity];
	for (const window of problem.windows) {
		const { first: from, count } = reach(problem, window, axis);
		if (count === 0) continue;
		first = Math.min(first, from);
		end = Math.max(end, from + count);
	}
	if (first >= end) return { first: 0, head: new Int32Array(0), tail: new Int32Array(0) };
	return {
		first,
		head: indexMap(mode, n, first, Math.max(0, Math.min(end, 0) - first)),
		tail: indexMap(mode, n, n, Math.max(0, end - n)),
	};
}

/** The taps of all windows, one behind the other, in the form that the sum's type wants. */
function allTaps(problem: Problem): { taps: Float64Array | BigInt64Array | BigUint64Array; kind: number; starts: number[] } {
	const starts: number[] = [];
	let count = 0;
	for (const window of problem.windows) {
		starts.push(count);
		count += window.taps.length;
	}
	const copy = <T>(into: { [k: number]: T }, convert: (tap: number | bigint) => T) => {
		problem.windows.forEach((window, m) => {
			window.taps.forEach((tap, k) => {
				into[(starts[m] as number) + k] = convert(tap);
			});
		});
	};
	if (problem.sum !== 'integer') {
		const taps = new Float64Array(count);
		copy(taps, Number);
		return { taps, kind: TAPS_F64, starts };
	}
	if (problem.kernel.dtype === 'uint64') {
		const taps = new BigUint64Array(count);
		copy(taps, BigInt);
		return { taps, kind: TAPS_U64, starts };
	}
	const taps = new BigInt64Array(count);
	copy(taps, BigInt);
	return { taps, kind: TAPS_I64, starts };
}

/** 64 bits of the constant outside: of a double for float images, else of an integer. */
function valueBits(problem: Problem): bigint {
	if (!DTYPES[problem.image.dtype].float) return BigInt.asIntN(64, BigInt(problem.value));
	return new BigInt64Array(Float64Array.of(Number(problem.value)).buffer)[0] as bigint;
}

/** The products of separable steps: per kernel their number and where they begin, and all factors, one behind the other. */
function allFactors(problem: Problem, plan: Plan): { splits: BigInt64Array; factors: Float64Array | BigInt64Array } {
	const splits: number[] = [];
	const factors: number[] = [];
	for (const step of plan.steps) {
		if (step.kind !== 'separable') continue;
		splits.push(step.products.length, factors.length);
		for (const { column, row } of step.products) factors.push(...column, ...row);
	}
	return {
		splits: BigInt64Array.from(splits, BigInt),
		factors: problem.sum === 'integer' ? BigInt64Array.from(factors, BigInt) : Float64Array.from(factors),
	};
}

/** The arguments of Addon.prepare behind the instruction set. */
export function prepareArguments(problem: Problem, accumulator: NativeAccumulator, plan: Plan) {
	const { image, output, stride, dilation, windows } = problem;
	const [y, x] = [axisMaps(problem, 0), axisMaps(problem, 1)];
	const { taps, kind, starts } = allTaps(problem);
	const { splits, factors } = allFactors(problem, plan);
	const [step] = plan.steps;
	const size = step?.kind === 'fft' ? step.size : { height: 0, width: 0 };
	// A proof that nothing overflows lets the faster store run, unless the sums are held modulo 2^64: those look negative from
	// 2^63 on, and only the wrapping store reads them as they are meant.
	const heldWhole = problem.sum !== 'integer' || problem.windows.every((window) => sumMagnitude(problem, window) < 2n ** 63n);
	const overflow = heldWhole && cannotOverflow(problem) ? 'saturate' : problem.overflow;
	const numbers = [
		...image.sizes,
		windows.length,
		output.sizes[2],
		output.sizes[3],
		...stride,
		...dilation,
		plan.tile.height,
		plan.tile.width,
		...toCanonical(output.layout, rowMajorStrides(output.shape), 0),
		dtypeNumber(image.dtype),
		dtypeNumber(output.dtype),
		SUMS.indexOf(problem.sum),
		ACCUMULATORS.indexOf(accumulator),
		OVERFLOWS.indexOf(overflow),
		ROUNDINGS.indexOf(problem.rounding),
		kind,
		...[y, x].flatMap(({ first, head, tail }) => [first, head.length, tail.length]),
	];
	const maps = new Int32Array(y.head.length + y.tail.length + x.head.length + x.tail.length);
	let at = 0;
	for (const map of [y.head, y.tail, x.head, x.tail]) {
		maps.set(map, at);
		at += map.length;
	}
	const table = windows.flatMap(({ rows, cols, first }, m) => [rows, cols, ...first, starts[m] as number]);
	return [
		BigInt64Array.from([
			...numbers.map(BigInt),
			valueBits(problem),
			BigInt(ALGORITHM_NUMBERS[step?.kind ?? 'direct']),
			BigInt(size.height),
			BigInt(size.width),
		]),
		BigInt64Array.from(table, BigInt),
		taps,
		maps,
		Float64Array.from(problem.scale),
		Float64Array.from(problem.bias),
		splits,
		factors,
	] as const;
}

/** Strides and offsets of a run's views, as Addon.runHere and Addon.start read them. */
export const viewWords = (image: PlaneView, out: PlaneView): BigInt64Array =>
	BigInt64Array.from([...image.strides, image.offset, ...out.strides, out.offset], BigInt);

/** True where two views lie alike in their buffers. */
export const sameView = (a: PlaneView, b: PlaneView): boolean =>
	a.offset === b.offset &&
	a.strides[0] === b.strides[0] &&
	a.strides[1] === b.strides[1] &&
	a.strides[2] === b.strides[2] &&
	a.strides[3] === b.strides[3];
