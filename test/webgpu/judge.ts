/** Judges a whole result of a backend against the oracle, pixel by pixel, within the plan's error model. */
import type { RunOutcome } from '../../src/backend/backend.ts';
import { DTYPES, type Dtype, reader, storeReal, type TypedArray } from '../../src/core/dtype.ts';
import { fromCanonical, type PlaneView, rowMajorStrides, toCanonical } from '../../src/core/ndarray.ts';
import { hasHoles } from '../../src/core/nonfinite.ts';
import { Oracle, type OraclePixel } from '../../src/core/oracle.ts';
import type { Plan } from '../../src/core/plan.ts';
import { describe, type Problem } from '../../src/core/problem.ts';
import { type Region, Regions } from '../../src/core/regions.ts';
import { compare } from '../../src/core/verify.ts';

/** Elements of a guarded result before and behind it, and what they must still hold. */
const GUARD = 5;
const GUARD_VALUE = 77;

/** Memory for a result, dense, with guards around it. */
export function guardedOut(problem: Problem): PlaneView & { data: TypedArray } {
	const { dtype, layout, shape, sizes } = problem.output;
	const length = shape.reduce((a, b) => a * b, 1);
	const data = new DTYPES[dtype].array(length + 2 * GUARD);
	data.fill((DTYPES[dtype].big ? BigInt(GUARD_VALUE) : GUARD_VALUE) as never);
	return { data, dtype, sizes, strides: toCanonical(layout, rowMajorStrides(shape), 0), offset: GUARD };
}

const fits = (problem: Problem, value: number): boolean =>
	storeReal(value, problem.output.dtype, problem.rounding, problem.overflow) !== undefined;

/** Under 'throw': whether a pixel must, or may, be the one that does not fit. */
function overflows(
	problem: Problem,
	{ model, algorithm }: Pick<Plan, 'model' | 'algorithm'>,
	pixel: OraclePixel,
	channel: number,
	region: Region | undefined,
): { must: boolean; may: boolean } {
	const undefinedHere = pixel.stored === undefined;
	if (typeof pixel.value === 'bigint') return { must: undefinedHere, may: undefinedHere };
	// a NaN fits (it becomes 0), an infinity does not; a hole of a dilated kernel makes a NaN of anything, and so do products of opposite signs
	if (!pixel.finite)
		return hasHoles(problem) || algorithm === 'lowrank' ? { must: false, may: true } : { must: undefinedHere, may: undefinedHere };
	const { bound } = compare(problem, model, pixel, DTYPES[problem.output.dtype].big ? 0n : 0, channel, region);
	if (bound === Infinity) return { must: false, may: true }; // ∞ − ∞ on the way: a NaN, which fits
	const [low, high] = [pixel.value - bound, pixel.value + bound];
	const ends = [fits(problem, low), fits(problem, high)];
	// two ends that lie beyond either end of the range have all of it between them
	const none = !ends[0] && !ends[1] && Math.sign(low) === Math.sign(high);
	return { must: undefinedHere && none, may: undefinedHere || !ends[0] || !ends[1] };
}

/** The first thing that is wrong with a result, as text; undefined where all is right. */
export function judge(
	problem: Problem,
	{ model, tile, algorithm }: Pick<Plan, 'model' | 'tile' | 'algorithm'>,
	image: PlaneView,
	out: PlaneView,
	outcome: RunOutcome,
): string | undefined {
	const regions = model.transformed === undefined ? undefined : new Regions(problem, image, tile, model.frame);
	const oracle = new Oracle(problem, image);
	const read = reader(out.data, out.dtype as Dtype);
	const [N, K, H, W] = problem.output.sizes;
	const throws = problem.overflow === 'throw' && !DTYPES[problem.output.dtype].float;
	const order = toCanonical(problem.output.layout, rowMajorStrides(problem.output.shape), 0);
	let firstMust = Infinity;
	let claimed: boolean | undefined;
	for (let n = 0; n < N; n++) {
		for (let k = 0; k < K; k++) {
			for (let y = 0; y < H; y++) {
				for (let x = 0; x < W; x++) {
					const pixel = oracle.pixel(n, k, y, x);
					const region = regions?.of([n, k, y, x], false);
					if (throws) {
						const linear = n * order[0] + k * order[1] + y * order[2] + x * order[3];
						const { must, may } = overflows(problem, { model, algorithm }, pixel, k, region);
						if (must) firstMust = Math.min(firstMust, linear);
						if (outcome.overflowAt === linear) claimed = may;
						if (must || may) continue;
					}
					if (outcome.overflowAt !== undefined) continue; // contents are undefined
					const actual = read(out.offset + n * out.strides[0] + k * out.strides[1] + y * out.strides[2] + x * out.strides[3]);
					const { share, bound } = compare(problem, model, pixel, actual, k, region);
					if (!(share <= 1)) {
						const at = fromCanonical(problem.output.layout, [n, k, y, x]);
						return `${describe(problem)}: pixel [${at}] is ${actual}, expected ${pixel.value} stored as ${pixel.stored} (share ${share}, bound ${bound})`;
					}
				}
			}
		}
	}
	if (throws && outcome.overflowAt !== undefined && claimed !== true) return `${describe(problem)}: overflow at ${outcome.overflowAt} fits`;
	if (throws && firstMust < (outcome.overflowAt ?? Infinity))
		return `${describe(problem)}: overflow at ${firstMust}, reported ${outcome.overflowAt}`;
	const { data, offset } = out;
	for (let i = 0; i < offset; i++) {
		if (Number(data[i]) !== GUARD_VALUE || Number(data[data.length - 1 - i]) !== GUARD_VALUE)
			return `${describe(problem)}: wrote outside the result`;
	}
	return undefined;
}
