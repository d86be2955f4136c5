/** What openWebGpu() and wrap() are given → checked values, every property read once. */
import { DTYPE_NAMES, DTYPES, type Dtype } from '../../core/dtype.ts';
import { invalid, show } from '../../core/errors.ts';
import { layoutOf, sizesOf } from '../../core/images.ts';
import { elementCount, LAYOUTS, type Layout } from '../../core/ndarray.ts';
import { ALGORITHMS, type Plan } from '../../core/plan.ts';
import type { KernelWindow, Problem } from '../../core/problem.ts';
import { flag, guarded, snapshotOptions, whole, word } from '../../core/snapshot.ts';
import { roundUp, USAGE } from './buffers.ts';
import type { WebGpuOptions } from './webgpu.ts';

type Readers<T> = { readonly [K in keyof T]-?: (value: unknown, parameter: string) => Exclude<T[K], undefined> };

/** Copies the options that `readers` knows, each read once and checked. */
function read<T extends object>(options: unknown, parameter: string, named: string, readers: Readers<T>): Partial<T> {
	const given = snapshotOptions(options, Object.keys(readers) as (keyof T & string)[], parameter);
	const copy: Partial<T> = {};
	for (const key of Object.keys(given) as (keyof T & string)[]) copy[key] = readers[key](given[key], `${named}${key}`);
	return copy;
}

const count = (value: unknown, parameter: string): number => whole(value, 1, Number.MAX_SAFE_INTEGER, parameter);

/** True for an object that has these methods. */
function hasMethods(value: unknown, names: readonly string[]): value is object {
	return (
		typeof value === 'object' && value !== null && names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function')
	);
}

const DEVICE_METHODS = [
	'createBuffer',
	'createBindGroup',
	'createCommandEncoder',
	'createComputePipelineAsync',
	'pushErrorScope',
	'popErrorScope',
];

function deviceOf(value: unknown, parameter: string): GPUDevice {
	const found = guarded(parameter, () => {
		if (!hasMethods(value, DEVICE_METHODS)) return undefined;
		const { queue, limits, features, lost } = value as Partial<GPUDevice>;
		const complete =
			hasMethods(queue, ['submit', 'writeBuffer']) &&
			typeof limits === 'object' &&
			hasMethods(features, ['has']) &&
			hasMethods(lost, ['then']);
		return complete ? (value as GPUDevice) : undefined;
	});
	if (found === undefined) throw invalid('a GPUDevice', parameter, show(value), 'Give what await adapter.requestDevice() returns.');
	return found;
}

function nameOf(value: unknown, parameter: string): string {
	if (typeof value === 'string' && value !== '') return value;
	throw invalid("a part of an adapter's name", parameter, show(value));
}

type Limits = NonNullable<WebGpuOptions['limits']>;

const LIMITS: Readers<Limits> = {
	binding: count,
	buffer: count,
	piece: count,
	products: count,
	storage: count,
	threads: count,
	blocked: count,
	tuning: (value, parameter) => {
		if (typeof value === 'object' && value !== null) return value as NonNullable<Limits['tuning']>;
		throw invalid('a row of numbers for a family of GPUs', parameter, show(value), 'Leave it out.');
	},
};

const OPTIONS: Readers<WebGpuOptions> = {
	device: deviceOf,
	powerPreference: (value, parameter) => word(value, ['high-performance', 'low-power'], parameter),
	adapter: nameOf,
	robustness: flag,
	timestamps: flag,
	memory: count,
	limits: (value, parameter) => read<Limits>(value, parameter, `${parameter}.`, LIMITS),
};

/** @throws INVALID_ARGUMENT */
export const readWebGpuOptions = (options: unknown): WebGpuOptions => read<WebGpuOptions>(options, 'options', 'option ', OPTIONS);

// ── what a backend is called with: by the engine, or by who drives it himself ────────────────────────────────────────

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
/** Whole numbers of at least `low`: cutting NaN or infinitely many rows into pieces would never end. */
const wholesOf = (value: unknown, count: number, low: number): boolean =>
	Array.isArray(value) && value.length === count && value.every((entry) => Number.isSafeInteger(entry) && entry >= low);

const isPlanes = (value: unknown): boolean => isObject(value) && DTYPE_NAMES.includes(value.dtype as Dtype) && wholesOf(value.sizes, 4, 0);

const areNumbers = (value: unknown): boolean => Array.isArray(value) && value.every((entry) => typeof entry === 'number');

function isWindowOfTaps(window: unknown): boolean {
	if (!isObject(window) || !isObject(window.taps) || !wholesOf(window.first, 2, -Infinity)) return false;
	const { rows, cols, taps } = window;
	return wholesOf([rows, cols], 2, 0) && (taps as { length?: unknown }).length === (rows as number) * (cols as number);
}

function isProblem(value: unknown): value is Problem {
	if (!isObject(value) || !Array.isArray(value.windows) || !Array.isArray(value.boundary)) return false;
	const named = isObject(value.kernel) && DTYPE_NAMES.includes(value.kernel.dtype as Dtype) && typeof value.sum === 'string';
	if (!named || !areNumbers(value.scale) || !areNumbers(value.bias)) return false;
	if (!isObject(value.output) || !LAYOUTS.includes(value.output.layout as Layout)) return false;
	const outlined = isPlanes(value.image) && isPlanes(value.output) && wholesOf(value.stride, 2, 1) && wholesOf(value.dilation, 2, 1);
	return outlined && value.windows.every(isWindowOfTaps);
}

function isPlan(value: unknown): value is Plan {
	if (!isObject(value) || typeof value.name !== 'string' || !isObject(value.tile) || !isObject(value.block)) return false;
	return Array.isArray(value.steps) && value.steps.every((step) => isObject(step) && typeof step.kind === 'string');
}

/** @throws INVALID_ARGUMENT for what has not the outline of a Problem */
export function checkProblem(problem: unknown): void {
	if (guarded('problem', () => isProblem(problem))) return;
	throw invalid('a Problem', 'problem', show(problem), 'Give the one that a backend is handed by convolve().');
}

/** @throws INVALID_ARGUMENT for what is no plan of this backend for the problem, as far as its outline tells */
export function checkPlan(plan: unknown, { windows }: Problem): void {
	const next = 'Give the plan of one of gpu.candidates(problem, wish).';
	if (!guarded('plan', () => isPlan(plan))) throw invalid('a Plan', 'plan', show(plan), next);
	const { backend, name, steps } = plan as Plan;
	if (backend !== 'webgpu') throw invalid('a plan of backend webgpu', 'plan', show(name), next);
	const fits = steps.length === windows.length && steps.every(({ kernel, rows, cols }) => isWindow(windows[kernel], rows, cols));
	if (!fits) throw invalid('a plan of this problem', 'plan', `${show(name)}, of another`, next);
}

const isWindow = (window: KernelWindow | undefined, rows: number, cols: number): boolean => window?.rows === rows && window.cols === cols;

/** @throws INVALID_ARGUMENT */
export function checkWish(wish: unknown): void {
	if (!guarded('wish', () => isObject(wish)))
		throw invalid("{ method, accuracy }, as { method: 'auto', accuracy: 'norm' }", 'wish', show(wish));
	word(
		guarded('wish', () => (wish as Record<string, unknown>).method),
		['auto', ...ALGORITHMS],
		'wish.method',
	);
}

export interface WrappedBuffer {
	readonly buffer: GPUBuffer;
	readonly shape: readonly number[];
	readonly dtype: Dtype;
	readonly layout: Layout;
}

/** A foreign buffer, checked as far as WebGPU tells. @throws INVALID_ARGUMENT */
export function readWrapped(array: unknown): WrappedBuffer {
	if (typeof array !== 'object' || array === null) throw invalid('{ buffer, shape, dtype }', 'the array to wrap', show(array));
	const given = guarded('the array to wrap', () => {
		const { buffer, shape, dtype, layout } = array as Record<string, unknown>;
		return { buffer, shape, dtype, layout };
	});
	const { size, usage, mapState } = bufferFacts(given.buffer);
	const shape = sizesOf(given.shape, 'shape', 0);
	const dtype = word(given.dtype, DTYPE_NAMES, 'dtype');
	const layout = layoutOf(shape.length, given.layout === undefined ? undefined : word(given.layout, LAYOUTS, 'layout'), 'layout');
	const needed = roundUp(elementCount(shape) * DTYPES[dtype].bytes, 4);
	if (size < needed) {
		const held = `${needed} bytes for ${dtype} [${shape.join(', ')}]`;
		throw invalid(`at least ${held}`, 'buffer', `one of ${size}`, 'Sizes are rounded up to 4 bytes.');
	}
	const wanted = USAGE.STORAGE | USAGE.COPY_SRC;
	if ((usage & wanted) !== wanted) throw invalid('usage STORAGE | COPY_SRC', 'buffer', `usage ${usage}`, 'Make the buffer with both.');
	if (mapState !== 'unmapped') throw invalid('an unmapped buffer', 'buffer', `one that is ${mapState}`, 'Unmap it.');
	return { buffer: given.buffer as GPUBuffer, shape, dtype, layout };
}

function bufferFacts(buffer: unknown): { size: number; usage: number; mapState: string } {
	const facts = guarded('buffer', () => {
		if (!hasMethods(buffer, ['mapAsync', 'unmap', 'destroy'])) return undefined;
		const { size, usage, mapState } = buffer as Partial<GPUBuffer>;
		return typeof size === 'number' && typeof usage === 'number' && typeof mapState === 'string' ? { size, usage, mapState } : undefined;
	});
	if (facts === undefined)
		throw invalid('a GPUBuffer', 'buffer', show(buffer), 'Give what device.createBuffer() returned, or upload() an array of the host.');
	return facts;
}
