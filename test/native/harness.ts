/** Random problems for the native backend below the API, and their judgement by src/core/oracle.ts. */
import type { Backend, RunOutcome } from '../../src/backend/backend.ts';
import { BOUNDARIES } from '../../src/core/boundary.ts';
import { DTYPE_NAMES, DTYPES, type Dtype, numberToFloat16, reader, type TypedArray } from '../../src/core/dtype.ts';
import {
	elementCount,
	fromCanonical,
	LAYOUTS,
	type PerAxis,
	type PlaneView,
	rowMajorStrides,
	toCanonical,
} from '../../src/core/ndarray.ts';
import { Oracle } from '../../src/core/oracle.ts';
import type { Algorithm, Plan } from '../../src/core/plan.ts';
import { dilatedSize, makeProblem, type Problem, type Request } from '../../src/core/problem.ts';
import type { randomStream } from '../../src/core/random.ts';
import { compare } from '../../src/core/verify.ts';

export type Random = ReturnType<typeof randomStream>;

export const chance = (random: Random, share: number): boolean => random.float() < share;
export const between = (random: Random, low: number, high: number): number => low + random.below(high - low + 1);
export const pick = <T>(random: Random, from: readonly T[]): T => from[random.below(from.length)] as T;

/** A raw element of a dtype: mostly small, sometimes anything; `special`: NaN and infinities too. */
export function randomElement(random: Random, dtype: Dtype, special = false): number | bigint {
	const info = DTYPES[dtype];
	if (info.float) {
		let x = (random.float() * 2 - 1) * (chance(random, 0.5) ? 1 : 1000);
		if (chance(random, 0.05)) x = 0;
		if (special && chance(random, 0.03)) x = pick(random, [Number.NaN, Infinity, -Infinity]);
		return dtype === 'float16' ? numberToFloat16(x) : x;
	}
	const bits = chance(random, 0.6) ? BigInt(between(random, -9, 9)) : (BigInt(random.uint32()) << 32n) | BigInt(random.uint32());
	const wide = info.bytes * 8;
	const value = info.minInt < 0n ? BigInt.asIntN(wide, bits) : BigInt.asUintN(wide, bits);
	return info.big ? value : Number(value);
}

/** An array of a dtype in strange strides: axes in any order, gaps, reversed, and (images) repeated. */
export function randomView(random: Random, dtype: Dtype, sizes: PerAxis, options: { repeat: boolean; special?: boolean }): PlaneView {
	const strides = [0, 0, 0, 0];
	const order = [0, 1, 2, 3];
	const odd = chance(random, 0.5);
	if (odd) order.sort(() => random.float() - 0.5);
	let [step, low, high] = [1, 0, 0];
	for (const axis of order.reverse()) {
		if (odd && chance(random, 0.3)) step += random.below(4);
		strides[axis] = step * (odd && chance(random, 0.3) ? -1 : 1);
		step *= Math.max(1, sizes[axis] as number);
		if (options.repeat && odd && chance(random, 0.1)) strides[axis] = 0;
		const reach = ((sizes[axis] as number) - 1) * (strides[axis] as number);
		if (reach < 0) low += reach;
		else high += reach;
	}
	const offset = (odd ? random.below(5) : 0) - Math.min(0, low);
	const data = new DTYPES[dtype].array(offset + Math.max(0, high) + 1 + random.below(3));
	for (let k = 0; k < data.length; k++) data[k] = randomElement(random, dtype, options.special);
	return { data, dtype, sizes, strides: strides as unknown as PerAxis, offset };
}

/** A valid request of any kind: every dtype pairing, mode, boundary, layout, stride, dilation, bank, overflow, rounding, scale. */
export function randomRequest(random: Random): Request {
	const layout = pick(random, LAYOUTS);
	const side = () => (chance(random, 0.7) ? between(random, 1, 14) : between(random, 1, 60));
	const sizes = toCanonical(
		layout,
		[...layout].map((axis) => (axis === 'H' || axis === 'W' ? side() : between(random, 1, 3))),
		1,
	);
	const dtype = pick(random, DTYPE_NAMES);
	const kernelDtype = pick(random, DTYPE_NAMES);
	const bank = chance(random, 0.25);
	const count = bank ? between(random, 1, 3) : 1;
	const pair = (most: number, share: number): [number, number] =>
		chance(random, share) ? [between(random, 1, most), between(random, 1, most)] : [1, 1];
	const dilation = pair(3, 0.25);
	let [height, width] = [between(random, 1, 7), between(random, 1, 7)];
	const mode = pick(random, ['full', 'same', 'valid'] as const);
	if (mode === 'valid') {
		while (dilatedSize(height, dilation[0]) > sizes[2]) height--;
		while (dilatedSize(width, dilation[1]) > sizes[3]) width--;
	}
	const holder = new DTYPES[kernelDtype].array(count * height * width);
	for (let k = 0; k < holder.length; k++) holder[k] = chance(random, 0.15) ? zeroOf(kernelDtype) : randomElement(random, kernelDtype);
	if (chance(random, 0.4)) structure(random, holder, kernelDtype, height, width);
	const exact = reader(holder, kernelDtype);
	const taps = DTYPES[kernelDtype].big
		? (holder as BigInt64Array | BigUint64Array)
		: Float64Array.from({ length: holder.length }, (_, k) => Number(exact(k)));
	const channels = sizes[1];
	const lists = [1, channels, channels * count];
	const plain = chance(random, 0.6);
	const floats = (value: number, spread: number) =>
		Array.from({ length: plain ? 1 : pick(random, lists) }, () => (plain ? value : (random.float() - 0.5) * spread));
	const special = randomElement(random, dtype, chance(random, 0.1));
	return {
		operation: pick(random, ['convolve', 'correlate'] as const),
		image: { dtype, layout, sizes },
		kernel: { dtype: kernelDtype, height, width, count, bank, taps },
		mode,
		boundary: chance(random, 0.7)
			? ((b) => [b, b] as const)(pick(random, BOUNDARIES))
			: [pick(random, BOUNDARIES), pick(random, BOUNDARIES)],
		value: elementValue(special, dtype),
		anchor:
			mode === 'same' && chance(random, 0.3)
				? [random.below(dilatedSize(height, dilation[0])), random.below(dilatedSize(width, dilation[1]))]
				: undefined,
		stride: pair(4, 0.25),
		dilation,
		outputDtype: chance(random, 0.5) ? dtype : pick(random, DTYPE_NAMES),
		overflow: pick(random, ['saturate', 'wrap', 'throw'] as const),
		rounding: pick(random, ['nearest-even', 'half-away', 'truncate', 'floor'] as const),
		scale: floats(1, 2),
		bias: floats(0, 50),
		accumulate: pick(random, ['auto', 'auto', 'float32', 'float64'] as const),
	};
}

/** Makes every kernel of a bank a product of a column and a row, or gives all its taps one value. */
function structure(random: Random, holder: TypedArray, dtype: Dtype, height: number, width: number): void {
	const { float, minInt, big } = DTYPES[dtype];
	const constant = chance(random, 0.4);
	const draw = () => between(random, float || minInt < 0n ? -9 : 0, 9) / (dtype === 'float32' || dtype === 'float64' ? 7 : 1);
	for (let from = 0; from < holder.length; from += height * width) {
		const column = Array.from({ length: height }, () => (constant ? 1 : draw()));
		const value = draw();
		const row = Array.from({ length: width }, () => (constant ? value : draw()));
		for (let k = 0; k < height * width; k++) {
			const tap = (column[Math.floor(k / width)] as number) * (row[k % width] as number);
			holder[from + k] = (dtype === 'float16' ? numberToFloat16(tap) : big ? BigInt(tap) : tap) as number;
		}
	}
}

/** The value that a raw element stands for. */
function elementValue(raw: number | bigint, dtype: Dtype): number | bigint {
	const one = new DTYPES[dtype].array(1);
	one[0] = raw;
	return reader(one, dtype)(0);
}

const zeroOf = (dtype: Dtype): number | bigint => (DTYPES[dtype].big ? 0n : 0);

/** A dense result array of the problem, filled with a pattern. */
export function denseOut(problem: Problem): PlaneView {
	const { dtype, layout, shape, sizes } = problem.output;
	const data = new DTYPES[dtype].array(elementCount(shape));
	return { data, dtype, sizes, strides: toCanonical(layout, rowMajorStrides(shape), 0), offset: 0 };
}

export interface Ran {
	plan: Plan;
	outcome: RunOutcome;
	body: readonly [name: string, tiles: number];
}

/** The plans that a backend has for a problem, one for each algorithm that can do it. */
export const plansOf = (backend: Backend, problem: Problem, tolerance?: number): Plan[] =>
	backend
		.candidates(problem, { method: 'auto', accuracy: 'norm', ...(tolerance === undefined ? {} : { tolerance }) })
		.flatMap(({ plan }) => plan ?? []);

/** Plans and runs a problem on a backend; `change` may alter the plan (tiles, threads, inline or not). */
export async function runOn(
	backend: Backend,
	problem: Problem,
	image: PlaneView,
	out: PlaneView,
	change = (plan: Plan) => plan,
	algorithm: Algorithm = 'direct',
): Promise<Ran> {
	const plan = plansOf(backend, problem, 0.3).find((candidate) => candidate.algorithm === algorithm);
	if (plan === undefined) throw new Error(`no ${algorithm} plan`);
	const executable = await backend.prepare(problem, change(plan));
	const outcome = await executable.run(image, out);
	const { body } = executable as unknown as { body: [string, number] };
	executable.dispose();
	return { plan: executable.plan, outcome, body };
}

const elementAt = (view: PlaneView, at: PerAxis): number =>
	view.offset + at.reduce((sum, i, axis) => sum + i * (view.strides[axis] as number), 0);

/** Every position of an array of these sizes. */
export function* positions([n, c, h, w]: PerAxis): Generator<PerAxis> {
	for (let b = 0; b < n; b++) for (let k = 0; k < c; k++) for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) yield [b, k, y, x];
}

/** Undefined, or the first pixel that differs from the oracle by more than the bound. */
export function judge(problem: Problem, plan: Plan, image: PlaneView, out: PlaneView, outcome: RunOutcome): string | undefined {
	const oracle = new Oracle(problem, image);
	const read = reader(out.data, out.dtype);
	const steps = rowMajorStrides(problem.output.shape);
	let first: { index: number; certain: boolean } | undefined;
	for (const at of positions(problem.output.sizes)) {
		const pixel = oracle.pixel(at[0], at[1], at[2], at[3]);
		const index = fromCanonical(problem.output.layout, at).reduce((sum, i, axis) => sum + i * (steps[axis] as number), 0);
		if (outcome.overflowAt !== undefined) {
			if (pixel.stored === undefined && (first === undefined || index < first.index)) first = { index, certain: plan.model.unit === 0 };
			continue;
		}
		const actual = read(elementAt(out, at));
		if (pixel.stored === undefined && typeof pixel.value === 'bigint') return `pixel ${at} does not fit, but no overflow was named`;
		if (pixel.stored === undefined) continue; // a float sum beside a limit: the bound decides below which neighbour is right
		const { share, bound } = compare(problem, plan.model, pixel, actual, at[1]);
		if (!(share <= 1)) return `pixel ${at}: ${actual}, expected ${pixel.value} stored as ${pixel.stored} within ${bound}`;
	}
	if (outcome.overflowAt === undefined) return undefined;
	if (first === undefined) return plan.model.unit === 0 ? `overflow at ${outcome.overflowAt}, but everything fits` : undefined;
	return first.certain && first.index !== outcome.overflowAt ? `overflow at ${outcome.overflowAt}, expected ${first.index}` : undefined;
}

/** A problem of one plane, for tests that need a certain shape. */
export function simpleProblem(
	change: Partial<Request> & { height: number; width: number; dtype: Dtype; kernelDtype: Dtype; k: number; taps: Float64Array },
): Problem {
	const { height, width, dtype, kernelDtype, k, taps, ...rest } = change;
	return makeProblem({
		operation: 'correlate',
		image: { dtype, layout: 'HW', sizes: [1, 1, height, width] },
		kernel: { dtype: kernelDtype, height: k, width: k, count: 1, bank: false, taps },
		mode: 'same',
		boundary: ['symmetric', 'symmetric'],
		value: zeroOf(dtype),
		anchor: undefined,
		stride: [1, 1],
		dilation: [1, 1],
		outputDtype: dtype,
		overflow: 'saturate',
		rounding: 'nearest-even',
		scale: [1],
		bias: [0],
		accumulate: 'auto',
		...rest,
	});
}

/** Bytes of the result's pixels in order, NaNs made alike. */
export function bitsOf(problem: Problem, out: PlaneView): string {
	const read = reader(out.data, out.dtype);
	const words: string[] = [];
	for (const at of positions(problem.output.sizes)) {
		const value = read(elementAt(out, at));
		words.push(Object.is(value, -0) ? '-0' : String(value));
	}
	return words.join(' ');
}
