/** Options as given → checked values with their defaults. API.md's table, row by row. */
import type { Backend } from '../backend/backend.ts';
import { BACKEND_NAMES, type BackendName } from '../backend/registry.ts';
import { BOUNDARIES, BOUNDARY_HINTS, BOUNDARY_SYNONYMS, type Boundary } from '../core/boundary.ts';
import { DTYPE_NAMES, DTYPES, type Dtype, type Overflow, type Rounding, type TypedArray, toFloat } from '../core/dtype.ts';
import { FaltungError, invalid, show } from '../core/errors.ts';
import { LAYOUTS, type Layout, type NdArray } from '../core/ndarray.ts';
import { ALGORITHMS, type Algorithm } from '../core/plan.ts';
import { dilatedSize, type Mode, type Operation, type PerPlaneAxis } from '../core/problem.ts';
import { finite, guarded, likest, orDefault, snapshotList, snapshotOptions, whole, word } from '../core/snapshot.ts';

export type BoundaryName =
	| Boundary
	| 'fill'
	| 'pad'
	| 'zero'
	| 'zeros'
	| 'nearest'
	| 'replicate'
	| 'border'
	| 'symm'
	| 'reflect101'
	| 'mirror101'
	| 'circular'
	| 'periodic';

export type VerifyMethod = false | 'sample' | 'checksum' | 'full';
export type BackendChoice = 'auto' | BackendName | Backend | readonly (BackendName | Backend)[];

/** Options that say what is computed and by whom; fixed when a convolver is made. */
export interface PlanOptions {
	/** Size of the result. full: H+kh−1 (default), same: H, valid: H−kh+1; kh is the dilated size. */
	mode?: Mode;
	/** What lies outside the image; a pair sets rows and columns. Default 'constant'. */
	boundary?: BoundaryName | readonly [y: BoundaryName, x: BoundaryName];
	/** The constant outside, in the image's dtype. Default 0. */
	value?: number | bigint;
	/** mode 'same': [y, x] of the (dilated) kernel element on the output pixel. Default (K−1)//2 convolve, K//2 correlate. */
	anchor?: readonly [y: number, x: number];
	/** Every s-th output, from the first. Default 1. */
	stride?: number | readonly [y: number, x: number];
	/** Distance between taps, as if zeros stood between them. Default 1. */
	dilation?: number | readonly [y: number, x: number];
	/** Names the image's axes; needed for any rank but 2. */
	layout?: Layout;
	/** Default: the image's dtype. */
	outputDtype?: Dtype | undefined;
	/** Integers that do not fit the output. Default 'saturate'. */
	overflow?: Overflow;
	/** Float sums stored as integers. Default 'nearest-even'. */
	rounding?: Rounding;
	/** scale·sum + bias before the store; one number, or one per image channel, or one per result channel. Default 1. */
	scale?: number | readonly number[];
	/** See scale. Default 0. */
	bias?: number | readonly number[];
	/** Arithmetic of float sums. Default 'auto': by the dtypes. */
	accumulate?: 'auto' | 'float32' | 'float64';
	/** Forces an algorithm. Default 'auto'. */
	method?: 'auto' | Algorithm;
	/** Largest error of an approximate low-rank split, relative to max|image|·Σ|kernel|. Default: exact only. */
	tolerance?: number;
	/** 'pixel' forbids FFT for floats, whose error is relative to the neighbourhood. Default 'norm'. */
	accuracy?: 'norm' | 'pixel';
	/** 'measure' times the best few plans on the first image and remembers the fastest. Default 'estimate': the predicted one. */
	policy?: 'estimate' | 'measure';
	/** Who computes: a name, a list in order of preference, or a backend object. Default 'auto'. */
	backend?: BackendChoice;
	/** Default 'sample'. */
	verify?: VerifyMethod;
	/** Threads of the native backend. Default: all cores. */
	threads?: number;
}

/** Options of one run. */
export interface RunOptions {
	/** Where to write the result; must be of its dtype and size, unshared, and apart from image and kernel. */
	out?: TypedArray | NdArray;
	/** Aborting rejects the promise with the signal's reason. */
	signal?: AbortSignal | undefined;
}

export interface ConvolveOptions extends PlanOptions, RunOptions {}

const PLAN_KEYS = [
	'mode',
	'boundary',
	'value',
	'anchor',
	'stride',
	'dilation',
	'layout',
	'outputDtype',
	'overflow',
	'rounding',
	'scale',
	'bias',
	'accumulate',
	'method',
	'tolerance',
	'accuracy',
	'policy',
	'backend',
	'verify',
	'threads',
] as const satisfies readonly (keyof PlanOptions)[];
const RUN_KEYS = ['out', 'signal'] as const satisfies readonly (keyof RunOptions)[];

/** Checked plan options. What depends on the image's or kernel's size is checked against them later. */
export interface PlanSettings {
	readonly mode: Mode;
	readonly boundary: PerPlaneAxis<Boundary>;
	readonly value: number | bigint;
	readonly anchor: PerPlaneAxis | undefined;
	readonly stride: PerPlaneAxis;
	readonly dilation: PerPlaneAxis;
	readonly layout: Layout | undefined;
	readonly outputDtype: Dtype | undefined;
	readonly overflow: Overflow;
	readonly rounding: Rounding;
	readonly scale: readonly number[];
	readonly bias: readonly number[];
	readonly accumulate: 'auto' | 'float32' | 'float64';
	readonly method: 'auto' | Algorithm;
	readonly tolerance: number | undefined;
	readonly accuracy: 'norm' | 'pixel';
	readonly policy: 'estimate' | 'measure';
	/** undefined: not said, or 'auto'. */
	readonly backend: readonly (BackendName | Backend)[] | undefined;
	/** undefined: not said. */
	readonly verify: VerifyMethod | undefined;
	readonly threads: number | undefined;
}

export interface RunSettings {
	readonly out: unknown;
	readonly signal: AbortSignal | undefined;
}

/** Axis sizes, strides and dilations beyond this do not fit an index map of 32-bit numbers. */
export const AXIS_LIMIT = 2 ** 31 - 1;
/** Most threads that may be asked for. */
const THREAD_LIMIT = 1024;

type Given<K extends string> = Partial<Record<K, unknown>>;

/** A number for both axes, or a pair [y, x]. */
function axisPair<T>(value: unknown, parameter: string, one: (v: unknown, name: string) => T): readonly [T, T] {
	const list = snapshotList(value, parameter, 64);
	if (list === undefined) {
		const both = one(value, parameter);
		return [both, both];
	}
	if (list.length !== 2) throw invalid('one value or a pair [y, x]', parameter, show(list));
	return [one(list[0], `${parameter}[0]`), one(list[1], `${parameter}[1]`)];
}

function boundaryOf(value: unknown, parameter: string): Boundary {
	if (typeof value !== 'string' || (BOUNDARIES as readonly string[]).includes(value)) return word(value, BOUNDARIES, parameter);
	if (Object.hasOwn(BOUNDARY_SYNONYMS, value)) return BOUNDARY_SYNONYMS[value] as Boundary;
	const like = likest(value, [...BOUNDARIES, ...Object.keys(BOUNDARY_SYNONYMS), ...Object.keys(BOUNDARY_HINTS), 'reflect']);
	if (like === 'reflect') {
		throw invalid(
			"'symmetric' (cba|abcd|dcb: what SciPy ndimage and OpenCV call reflect) or 'mirror' (dcb|abcd|cba: what NumPy and PyTorch call reflect)",
			parameter,
			value === like ? '"reflect", which means either' : `${show(value)}; "reflect" means either`,
		);
	}
	const hint = like === undefined ? undefined : `Did you mean ${show(BOUNDARY_HINTS[like] ?? like)}?`;
	throw invalid(`one of ${BOUNDARIES.map(show).join(', ')}`, parameter, show(value), hint);
}

function numberList(value: unknown, parameter: string): number[] {
	if (typeof value === 'number') return [finite(value, parameter)];
	const typed = ArrayBuffer.isView(value) && !(value instanceof DataView) ? Array.from(value as Float64Array) : undefined;
	const list = typed ?? snapshotList(value, parameter, 2 ** 24);
	if (list === undefined || list.length === 0) throw invalid('a finite number, or one per channel', parameter, show(value));
	return list.map((entry, k) => finite(entry, `${parameter}[${k}]`));
}

function isBackend(value: unknown): value is Backend {
	if (typeof value !== 'object' || value === null) return false;
	const { name, candidates, prepare } = value as Partial<Backend>;
	return typeof name === 'string' && typeof candidates === 'function' && typeof prepare === 'function';
}

function backendOf(value: unknown, parameter: string): BackendName | Backend {
	if (guarded(parameter, () => isBackend(value))) return value as Backend;
	if (typeof value === 'object' && value !== null) throw invalid('a backend name or a backend object', parameter, show(value));
	return word(value, BACKEND_NAMES, parameter);
}

function backendsOf(value: unknown): PlanSettings['backend'] {
	if (value === undefined || value === 'auto') return undefined;
	const list = snapshotList(value, 'option backend', 64);
	if (list === undefined) {
		if (typeof value === 'string') word(value, ['auto', ...BACKEND_NAMES], 'option backend');
		return [backendOf(value, 'option backend')];
	}
	if (list.length === 0) throw invalid('at least one backend', 'option backend', 'an empty array');
	return list.map((entry, k) => backendOf(entry, `option backend[${k}]`));
}

/** The constant outside, as the image's dtype holds it. */
export function valueFor(value: number | bigint, dtype: Dtype): number | bigint {
	const info = DTYPES[dtype];
	if (info.float) {
		if (typeof value === 'bigint') throw invalid('a number', `option value (beside a ${dtype} image)`, show(value));
		return toFloat(value, dtype);
	}
	const fits = (typeof value === 'bigint' || Number.isSafeInteger(value)) && BigInt(value) >= info.minInt && BigInt(value) <= info.maxInt;
	if (!fits) {
		const range = `an integer from ${info.minInt} to ${info.maxInt}${info.big ? ' (as a BigInt beyond 2^53)' : ''}`;
		throw invalid(range, `option value (beside a ${dtype} image)`, show(value));
	}
	return info.big ? BigInt(value) : Number(value);
}

function planSettings(given: Given<(typeof PLAN_KEYS)[number]>): PlanSettings {
	const size = (low: number) => (v: unknown, name: string) => whole(v, low, AXIS_LIMIT, name);
	const value = orDefault(given.value, 0);
	if (typeof value !== 'number' && typeof value !== 'bigint')
		throw invalid('a number (a BigInt for 64-bit images)', 'option value', show(value));
	const anchor = given.anchor === undefined ? undefined : snapshotList(given.anchor, 'option anchor', 64);
	if (given.anchor !== undefined && anchor?.length !== 2) throw invalid('a pair [y, x]', 'option anchor', show(given.anchor));
	const tolerance = given.tolerance === undefined ? undefined : finite(given.tolerance, 'option tolerance');
	if (tolerance !== undefined && tolerance < 0) throw invalid('a number of at least 0', 'option tolerance', show(tolerance));
	return {
		mode: word(orDefault(given.mode, 'full'), ['full', 'same', 'valid'], 'option mode'),
		boundary: axisPair(orDefault(given.boundary, 'constant'), 'option boundary', boundaryOf),
		value,
		anchor: anchor === undefined ? undefined : [size(0)(anchor[0], 'option anchor[0]'), size(0)(anchor[1], 'option anchor[1]')],
		stride: axisPair(orDefault(given.stride, 1), 'option stride', size(1)),
		dilation: axisPair(orDefault(given.dilation, 1), 'option dilation', size(1)),
		layout: given.layout === undefined ? undefined : word(given.layout, LAYOUTS, 'option layout'),
		outputDtype: given.outputDtype === undefined ? undefined : word(given.outputDtype, DTYPE_NAMES, 'option outputDtype'),
		overflow: word(orDefault(given.overflow, 'saturate'), ['saturate', 'wrap', 'throw'], 'option overflow'),
		rounding: word(orDefault(given.rounding, 'nearest-even'), ['nearest-even', 'half-away', 'truncate', 'floor'], 'option rounding'),
		scale: numberList(orDefault(given.scale, 1), 'option scale'),
		bias: numberList(orDefault(given.bias, 0), 'option bias'),
		accumulate: word(orDefault(given.accumulate, 'auto'), ['auto', 'float32', 'float64'], 'option accumulate'),
		method: word(orDefault(given.method, 'auto'), ['auto', ...ALGORITHMS], 'option method'),
		tolerance,
		accuracy: word(orDefault(given.accuracy, 'norm'), ['norm', 'pixel'], 'option accuracy'),
		policy: word(orDefault(given.policy, 'estimate'), ['estimate', 'measure'], 'option policy'),
		backend: backendsOf(given.backend),
		verify: verifyOf(given.verify),
		threads: given.threads === undefined ? undefined : whole(given.threads, 1, THREAD_LIMIT, 'option threads'),
	};
}

function verifyOf(value: unknown): VerifyMethod | undefined {
	if (value === undefined || value === false) return value;
	if (typeof value === 'boolean') throw invalid("false, 'sample', 'checksum' or 'full'", 'option verify', 'true', 'Did you mean "sample"?');
	return word<'sample' | 'checksum' | 'full'>(value, ['sample', 'checksum', 'full'], 'option verify');
}

export function signalOf(value: unknown): AbortSignal | undefined {
	if (value === undefined) return undefined;
	const works = guarded('option signal', () => {
		if (typeof value !== 'object' || value === null) return false;
		const { aborted, addEventListener } = value as Partial<AbortSignal>;
		return typeof aborted === 'boolean' && typeof addEventListener === 'function';
	});
	if (!works) throw invalid('an AbortSignal', 'option signal', show(value), 'Give controller.signal of an AbortController.');
	return value as AbortSignal;
}

const runSettings = (given: Given<(typeof RUN_KEYS)[number]>): RunSettings => ({ out: given.out, signal: signalOf(given.signal) });

/** Options of convolve() and correlate(). */
export function readConvolveOptions(options: unknown): { plan: PlanSettings; run: RunSettings } {
	const given = snapshotOptions(options, [...PLAN_KEYS, ...RUN_KEYS], 'options');
	return { plan: planSettings(given), run: runSettings(given) };
}

/** Options of Convolver.run(). */
export const readRunOptions = (options: unknown): RunSettings => runSettings(snapshotOptions(options, RUN_KEYS, 'options'));

/** What createConvolver() is told beside the plan options. */
export interface ConvolverSettings {
	readonly operation: Operation;
	/** Shape and dtype to plan for at once. */
	readonly shape: readonly number[] | undefined;
	readonly dtype: Dtype | undefined;
}

export function readConvolverOptions(options: unknown): { plan: PlanSettings; convolver: ConvolverSettings } {
	const given = snapshotOptions(options, ['operation', 'shape', 'dtype', ...PLAN_KEYS, ...RUN_KEYS], 'options');
	for (const key of RUN_KEYS) {
		if (given[key] !== undefined)
			throw invalid('none at createConvolver()', `option ${key}`, 'one', `It belongs to a run: run(image, { ${key} }).`);
	}
	const shape = given.shape === undefined ? undefined : snapshotList(given.shape, 'option shape', 64);
	if (given.shape !== undefined && shape === undefined) throw invalid('an array of whole numbers', 'option shape', show(given.shape));
	return {
		plan: planSettings(given),
		convolver: {
			operation: word(orDefault(given.operation, 'convolve'), ['convolve', 'correlate'], 'option operation'),
			shape: shape?.map((size, axis) => whole(size, 0, Number.MAX_SAFE_INTEGER, `option shape[${axis}]`)),
			dtype: given.dtype === undefined ? undefined : word(given.dtype, DTYPE_NAMES, 'option dtype'),
		},
	};
}

/** The largest dilated kernel side. */
const KERNEL_LIMIT = 2 ** 24;

/** Checks the settings that only make sense beside a kernel of this size. */
export function checkAgainstKernel(settings: PlanSettings, kernel: { height: number; width: number }): void {
	const sides = [kernel.height, kernel.width] as const;
	for (const axis of [0, 1] as const) {
		const kd = dilatedSize(sides[axis], settings.dilation[axis]);
		const name = axis === 0 ? 'height' : 'width';
		if (kd > KERNEL_LIMIT) {
			throw new FaltungError(
				'LIMIT_EXCEEDED',
				`Expected a dilated kernel ${name} of at most ${KERNEL_LIMIT} but received ${kd} = (${sides[axis]} − 1)·${settings.dilation[axis]} + 1. Use a smaller kernel or dilation.`,
			);
		}
		const at = settings.anchor?.[axis];
		if (settings.mode === 'same' && at !== undefined && at >= kd) {
			throw invalid(`a whole number from 0 to ${kd - 1} (the kernel's dilated ${name} is ${kd})`, `option anchor[${axis}]`, show(at));
		}
	}
}
