/** Machines that are not there: backends whose candidates are asked for, and which cannot run. */
import type { Backend, Capabilities, PlanWish } from '../../src/backend/backend.ts';
import { type Blocks, candidates as nativeCandidates } from '../../src/backend/native/candidates.ts';
import { withShipped } from '../../src/backend/native/costs.ts';
import { referenceBackend } from '../../src/backend/reference.ts';
import { candidates as gpuCandidates } from '../../src/backend/webgpu/candidates.ts';
import { tuningOf } from '../../src/backend/webgpu/tuning.ts';
import type { Dtype } from '../../src/core/dtype.ts';
import { type Layout, toCanonical } from '../../src/core/ndarray.ts';
import type { Decision } from '../../src/core/plan.ts';
import { makeProblem, type Problem, type Request } from '../../src/core/problem.ts';
import { choose, type Policy } from '../../src/plan/choose.ts';

const absent = async (): Promise<never> => {
	throw new Error('this machine is not there');
};

/** Register blocks of native/kernels.def. */
const BLOCKS: Readonly<Record<string, Blocks>> = {
	avx512: {
		f32: { height: 8, width: 16 },
		f64: { height: 8, width: 8 },
		i16: { height: 8, width: 32 },
		i64: { height: 8, width: 8 },
	},
	avx2: { f32: { height: 6, width: 8 }, f64: { height: 6, width: 4 }, i16: { height: 6, width: 16 }, i64: { height: 6, width: 4 } },
};

/** A processor with an instruction set and so many threads, and the constants that are shipped for it. */
export function processor(isa: string, threads: number): Backend {
	const capabilities: Capabilities = {
		backend: 'native',
		isa,
		threads,
		algorithms: ['direct'],
		sums: ['integer', 'float32', 'float64'],
		limits: {},
		costs: withShipped(isa),
	};
	return {
		name: 'native',
		capabilities,
		candidates: (problem, wish) => nativeCandidates(problem, capabilities, BLOCKS[isa] as Blocks, wish),
		prepare: absent,
	};
}

/** A large GPU behind PCI express. */
export function gpu(options: { software?: boolean; binding?: number } = {}): Backend {
	const software = options.software === true;
	const capabilities: Capabilities = {
		backend: 'webgpu',
		device: 'a large GPU',
		threads: 1,
		algorithms: ['direct'],
		sums: ['integer', 'float32'],
		limits: {},
		resident: true,
		software,
	};
	const binding = options.binding ?? 2 ** 31 - 4;
	const limits = {
		binding,
		buffer: binding,
		piece: 32 * 2 ** 20,
		blocked: 2 ** 16,
		products: 2 ** 33,
		storage: 48 * 2 ** 10,
		threads: 1024,
		tuning: tuningOf('a large GPU'),
	};
	return {
		name: 'webgpu',
		capabilities,
		candidates: (problem, wish) => gpuCandidates(problem, wish, { device: 'a large GPU', software, limits }),
		prepare: absent,
	};
}

export const reference = referenceBackend;

export interface Sketch extends Partial<Omit<Request, 'image' | 'kernel'>> {
	readonly dtype?: Dtype;
	readonly shape?: readonly number[];
	readonly layout?: Layout;
	/** Rows of taps, or a side of taps of no structure. */
	readonly kernel: readonly (readonly number[])[] | number;
	readonly kernelDtype?: Dtype;
}

/** Taps that are no product and have no equal rows. */
const dense = (side: number): number[][] =>
	Array.from({ length: side }, (_, j) => Array.from({ length: side }, (_, i) => (((j * side + i) ** 2 * 7 + j * 5) % 11) - 3));

/** Gaussian taps, rounded to float32 one by one. */
export const gaussian = (side: number, sigma = side / 6): number[][] => {
	const line = Array.from({ length: side }, (_, i) => Math.exp(-(((i - (side - 1) / 2) / sigma) ** 2) / 2));
	const total = line.reduce((a, b) => a + b, 0) ** 2;
	return line.map((a) => line.map((b) => Math.fround((a * b) / total)));
};

export const box = (side: number, tap = 1): number[][] => Array.from({ length: side }, () => new Array<number>(side).fill(tap));

export function problemOf(sketch: Sketch): Problem {
	const { dtype = 'float32', shape = [1024, 1024], layout = 'HW', kernelDtype = 'float32', kernel, ...rest } = sketch;
	const rows = typeof kernel === 'number' ? dense(kernel) : kernel;
	return makeProblem({
		operation: 'correlate',
		image: { dtype, layout, sizes: toCanonical(layout, shape, 1) },
		kernel: {
			dtype: kernelDtype,
			taps: Float64Array.from(rows.flat()),
			height: rows.length,
			width: rows[0]?.length ?? 0,
			count: 1,
			bank: false,
		},
		mode: 'same',
		boundary: ['symmetric', 'symmetric'],
		value: 0,
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

/** What 'auto' would decide on a machine of these backends. */
export const decide = (
	sketch: Sketch,
	backends: readonly Backend[],
	wish: Partial<PlanWish> = {},
	order: Policy['order'] = 'cost',
): Decision => choose(problemOf(sketch), backends, { order, wish: { method: 'auto', accuracy: 'norm', ...wish } });

export const choice = (...given: Parameters<typeof decide>): string => decide(...given).plan.name;
