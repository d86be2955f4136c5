/** A convolver: plan, compile and copy the kernel once, run many images. */

import { type GpuArray, isGpuArray } from '../backend/webgpu/gpu-array.ts';
import type { Dtype } from '../core/dtype.ts';
import { FaltungError, invalid } from '../core/errors.ts';
import { LAYOUTS, type Layout } from '../core/ndarray.ts';
import type { Decision } from '../core/plan.ts';
import { dilatedSize, type Operation } from '../core/problem.ts';
import { guarded } from '../core/snapshot.ts';
import { explain, toJSON } from '../plan/explain.ts';
import { type ImageInput, type KernelInput, type KernelSnapshot, snapshotKernel } from './arrays.ts';
import { type BatchFailure, type BatchOptions, type BatchResult, batch } from './batch.ts';
import { Engine } from './engine.ts';
import {
	type ConvolverSettings,
	type PlanOptions,
	type PlanSettings,
	type RunOptions,
	readConvolverOptions,
	readRunOptions,
	signalOf,
} from './options.ts';
import type { ConvolveResult, DataOf } from './report.ts';

export interface ConvolverOptions extends PlanOptions {
	/** Default 'convolve'. */
	operation?: Operation;
	/** Image shape to plan for at once; other shapes are planned when they come. Default: a nominal 1024 × 1024, or what the options need. */
	shape?: readonly number[];
	/** Image dtype to plan for at once. Default: float32, or the first integer dtype where the options go with none but those. */
	dtype?: Dtype;
}

/** What was decided, readable. */
export interface PlanView {
	/** `<algorithm>-<dtype>-t<tile>-r<block>@<backend>[.<isa>]` */
	readonly name: string;
	/** The problem, what was chosen, the predicted time, every other candidate and why not. */
	explain(): string;
	/** The same as plain data. */
	toJSON(): Record<string, unknown>;
}

/** Image side that a convolver without a shape is planned for. */
const NOMINAL_SIDE = 1024;

/** Image dtypes that a convolver without one is planned for: the first that its options go with. A BigInt `value`, say, goes with no float. */
const NOMINAL_DTYPES: readonly Dtype[] = ['float32', 'uint8', 'int8', 'int64', 'uint64'];

const viewOf = (decision: Decision): PlanView => ({
	name: decision.plan.name,
	explain: () => explain(decision),
	toJSON: () => toJSON(decision),
});

/** Shape and layout to plan for before any image came. */
function firstImage(kernel: KernelSnapshot, settings: ConvolverSettings, plan: PlanSettings): { shape: readonly number[]; layout: Layout } {
	const rank = settings.shape?.length ?? plan.layout?.length ?? 2;
	const layout = plan.layout ?? (rank === 2 ? 'HW' : undefined);
	if (layout === undefined) {
		const fitting = LAYOUTS.filter((name) => name.length === rank);
		if (fitting.length === 0) throw invalid('a shape of rank 2, 3 or 4', 'option shape', `rank ${rank}`);
		throw invalid(
			`one of ${fitting.join(', ')}`,
			'option layout',
			'none',
			`A shape of rank ${rank} does not say by itself what its axes are.`,
		);
	}
	if (layout.length !== rank) throw invalid(`a shape of ${layout.length} axes, as layout ${layout} has`, 'option shape', `rank ${rank}`);
	return { shape: settings.shape ?? nominalShape(kernel, plan, layout), layout };
}

/** An image that the options go with: as many channels as `scale` and `bias` name, room for the kernel under mode 'valid'. */
function nominalShape(kernel: KernelSnapshot, { mode, dilation, scale, bias }: PlanSettings, layout: Layout): number[] {
	const named = [scale.length, bias.length].filter((count) => count > 1); // one per image channel, or one per result channel
	const side = (taps: number, axis: 0 | 1) => (mode === 'valid' ? Math.max(NOMINAL_SIDE, dilatedSize(taps, dilation[axis])) : NOMINAL_SIDE);
	const sizes = { N: 1, C: named.length === 0 ? 1 : Math.min(...named), H: side(kernel.height, 0), W: side(kernel.width, 1) };
	return [...layout].map((axis) => sizes[axis as keyof typeof sizes]);
}

/** Dtypes to plan for before any image came. */
function firstDtypes(kernel: KernelSnapshot, { dtype }: ConvolverSettings): readonly Dtype[] {
	if (dtype !== undefined) return [dtype];
	const big = kernel.dtype === undefined && kernel.values.some((tap) => typeof tap === 'bigint'); // never meant for floats
	return big ? ['int64', 'uint64'] : NOMINAL_DTYPES;
}

/** @throws what the first dtype meets, where none goes with the options */
async function firstDecision(
	engine: Engine,
	image: { shape: readonly number[]; layout: Layout },
	dtypes: readonly Dtype[],
): Promise<Decision> {
	let first: FaltungError | undefined;
	for (const dtype of dtypes) {
		try {
			return await engine.decide({ ...image, dtype });
		} catch (error) {
			if (!(error instanceof FaltungError) || (error.code !== 'INVALID_ARGUMENT' && error.code !== 'UNSUPPORTED')) throw error;
			first ??= error;
		}
	}
	throw first;
}

/** Runs one kernel over images. Made by createConvolver(). */
export class Convolver<O extends ConvolverOptions = ConvolverOptions> {
	readonly #engine: Engine;
	#decision: Decision;
	#pending = 0;
	#idle: (() => void) | undefined;
	#disposed: Promise<void> | undefined;

	/** @internal */
	constructor(engine: Engine, decision: Decision) {
		this.#engine = engine;
		this.#decision = decision;
	}

	/** The plan for the shape and dtype given to createConvolver() (else for a nominal image, 1024 × 1024 of float32 where the options go with it). */
	get plan(): PlanView {
		this.#check();
		return viewOf(this.#decision);
	}

	/**
	 * Convolves one image. The same as convolve() with this kernel and these options. While the call is pending, neither
	 * the image's memory nor `out` may be transferred, detached or resized. A GpuArray is convolved on its own device and the
	 * result is another one there; it is verified only if the options say so. An ImageSource is written when there is memory for it; see there.
	 */
	run(image: GpuArray, options?: RunOptions): Promise<GpuArray>;
	run<I extends ImageInput>(image: I, options?: RunOptions): Promise<ConvolveResult<DataOf<I, O>>>;
	async run(image: ImageInput | GpuArray, options?: RunOptions): Promise<ConvolveResult | GpuArray> {
		this.#check();
		const run = readRunOptions(options);
		this.#pending++;
		try {
			const resident = guarded('image', () => (isGpuArray(image) ? image : undefined));
			return await (resident === undefined ? this.#engine.run(image, run) : this.#engine.runResident(resident, run));
		} finally {
			this.#pending--;
			if (this.#pending === 0) this.#idle?.();
		}
	}

	/**
	 * Convolves a stream of images: `for await (const r of c.batch(images))`. At most `concurrency` images are held at once;
	 * leaving the loop stops the rest and closes the source. Images of a callback (ImageSource) and arrays may be mixed.
	 */
	batch<I extends ImageInput>(
		images: Iterable<I> | AsyncIterable<I>,
		options: BatchOptions & { onError: 'yield' },
	): AsyncGenerator<BatchResult<ConvolveResult<DataOf<I, O>>> | BatchFailure, void, undefined>;
	batch<I extends ImageInput>(
		images: Iterable<I> | AsyncIterable<I>,
		options?: BatchOptions,
	): AsyncGenerator<BatchResult<ConvolveResult<DataOf<I, O>>>, void, undefined>;
	batch<I extends ImageInput>(images: Iterable<I> | AsyncIterable<I>, options?: BatchOptions): AsyncGenerator<unknown, void, undefined> {
		const usual = this.#decision.plan.backend === 'webgpu' ? 3 : 2;
		return batch<I, ConvolveResult<DataOf<I, O>>>(images, options, usual, (image, signal) => this.run<I>(image, { signal }), signalOf);
	}

	/** Waits for pending runs, then frees everything. Afterwards every use says that the convolver is disposed. */
	dispose(): Promise<void> {
		this.#disposed ??= this.#release();
		return this.#disposed;
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.dispose();
	}

	async #release(): Promise<void> {
		if (this.#pending > 0) {
			await new Promise<void>((resolve) => {
				this.#idle = resolve;
			});
		}
		await this.#engine.dispose();
	}

	#check(): void {
		if (this.#disposed !== undefined) {
			throw new FaltungError(
				'INVALID_ARGUMENT',
				'Expected a live convolver but this one is disposed. Make a new one with createConvolver().',
			);
		}
	}
}

/**
 * Plans, compiles and copies a kernel once, for many images.
 *
 * @param kernel as for convolve()
 * @param options those of convolve() without `out` and `signal`, which belong to a run; `operation`, `shape` and `dtype`
 */
export async function createConvolver<const O extends ConvolverOptions = Record<never, never>>(
	kernel: KernelInput,
	options?: O,
): Promise<Convolver<O>> {
	const { plan, convolver } = readConvolverOptions(options);
	const snapshot: KernelSnapshot = snapshotKernel(kernel);
	const engine = new Engine(convolver.operation, snapshot, plan);
	return new Convolver<O>(engine, await firstDecision(engine, firstImage(snapshot, convolver, plan), firstDtypes(snapshot, convolver)));
}
