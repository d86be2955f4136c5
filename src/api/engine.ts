/**
 * The engine behind every call: one kernel and one set of options, any number of images.
 *
 * image → Problem → Decision → Executable → result → verification, with the next backend where one fails.
 */
import type { Backend, Executable, PlanWish, RunOutcome } from '../backend/backend.ts';
import type { GpuArray } from '../backend/webgpu/gpu-array.ts';
import { throwIfAborted } from '../core/breathe.ts';
import { DTYPES, type Dtype, type TypedArray } from '../core/dtype.ts';
import { FaltungError, invalid } from '../core/errors.ts';
import { elementCount, rowMajorStrides, toCanonical } from '../core/ndarray.ts';
import type { Decision, Plan } from '../core/plan.ts';
import { axisSize, describe, dilatedSize, makeProblem, type Operation, type Problem } from '../core/problem.ts';
import { freshSeed } from '../core/random.ts';
import { sampleCount, type Verification, verify } from '../core/verify.ts';
import { choose } from '../plan/choose.ts';
import { type ImageSnapshot, type KernelSnapshot, type OutputTarget, resolveKernel, snapshotImage, snapshotOutput } from './arrays.ts';
import { type Environment, readEnvironment } from './environment.ts';
import { AXIS_LIMIT, checkAgainstKernel, type PlanSettings, type RunSettings, valueFor } from './options.ts';
import type { ConvolveResult, Report } from './report.ts';
import { distrust, type Selection, selectBackends, WRONG_BEFORE } from './select.ts';

/** Failures of a backend that the next one may not have. An overflow or an abort is no such failure. */
const FALL_BACK_ON: readonly string[] = ['DEVICE_LOST', 'BACKEND_UNAVAILABLE', 'LIMIT_EXCEEDED', 'UNSUPPORTED', 'VERIFICATION_FAILED'];

/** What was decided for images of one dtype, layout and shape, and what is ready to run. */
interface Prepared {
	readonly decision: Decision;
	readonly backends: readonly Backend[];
	readonly mayFallBack: boolean;
	readonly executables: Map<Plan, Promise<Executable>>;
}

/** An executable that also works on arrays in device memory. */
interface ResidentExecutable extends Executable {
	runResident(array: GpuArray, signal?: AbortSignal): Promise<GpuArray>;
}

const isResident = (executable: Executable): executable is ResidentExecutable => 'runResident' in executable;

/** Predicted milliseconds on the CPU from which opening a GPU may pay: loading Dawn and a device takes about a tenth of a second. */
const WORTH_A_DEVICE = 20;

/** A warning for each backend that is left alone because it was wrong before: the work may be slower for it. */
const distrustOf = ({ candidates }: Decision): string[] =>
	candidates.filter(({ why }) => why === WRONG_BEFORE).map(({ backend }) => `The backend ${backend} ${WRONG_BEFORE} and is not used.`);

export class Engine {
	readonly #operation: Operation;
	readonly #kernel: KernelSnapshot;
	readonly #settings: PlanSettings;
	readonly #environment: Environment;
	readonly #prepared = new Map<string, Promise<Prepared>>();
	#selection: Promise<Selection> | undefined;
	/** What the last image was, and what came of it: planning the next one alike took longer than a small convolution. */
	#last: (Pick<ImageSnapshot, 'dtype' | 'layout' | 'shape'> & { readonly problem: Problem; readonly prepared: Prepared }) | undefined;

	/** @throws INVALID_ARGUMENT or LIMIT_EXCEEDED where options and kernel do not go together */
	constructor(operation: Operation, kernel: KernelSnapshot, settings: PlanSettings) {
		checkAgainstKernel(settings, kernel);
		if (settings.verify === 'checksum') {
			throw new FaltungError(
				'UNSUPPORTED',
				"Expected false, 'sample' or 'full' for option verify but received 'checksum', which no backend of this version can do. Use 'full' to check every pixel.",
			);
		}
		this.#operation = operation;
		this.#kernel = kernel;
		this.#settings = settings;
		this.#environment = readEnvironment();
	}

	/** The Decision for images of this dtype and shape. */
	async decide(image: Pick<ImageSnapshot, 'dtype' | 'layout' | 'shape'>): Promise<Decision> {
		return (await this.#prepare(this.#problem(image), image)).decision;
	}

	/** Reads the image and `out` at once, then works. */
	async run(given: unknown, run: RunSettings): Promise<ConvolveResult> {
		const began = performance.now();
		throwIfAborted(run.signal);
		const image = snapshotImage(given, this.#settings.layout);
		const last = this.#last !== undefined && isAlike(this.#last, image) ? this.#last : undefined;
		const problem = last?.problem ?? this.#problem(image);
		const target = run.out === undefined ? undefined : snapshotOutput(run.out, problem.output, image, this.#kernel);
		const prepared = last?.prepared ?? (await this.#prepare(problem, image));
		if (last === undefined) this.#last = { dtype: image.dtype, layout: image.layout, shape: image.shape, problem, prepared };
		throwIfAborted(run.signal);
		const { plan, fallbacks } = prepared.decision;
		const plans = prepared.mayFallBack ? [plan, ...fallbacks] : [plan];
		const failed: Report['fallbacks'] = [];
		for (const [k, attempt] of plans.entries()) {
			const backend = prepared.backends.find(({ name }) => name === attempt.backend) as Backend;
			try {
				const out = target ?? allocate(problem, backend);
				return await this.#attempt(prepared, attempt, backend, image, out, { began, failed, signal: run.signal });
			} catch (error) {
				if (!(error instanceof FaltungError) || !FALL_BACK_ON.includes(error.code)) throw error;
				if (error.code === 'VERIFICATION_FAILED') distrust(backend);
				if (k === plans.length - 1) throw error;
				failed.push({ plan: attempt.name, code: error.code, message: error.message });
			}
		}
		throw new FaltungError('UNSUPPORTED', `No plan for ${describe(problem)}.`);
	}

	async #attempt(
		prepared: Prepared,
		plan: Plan,
		backend: Backend,
		image: ImageSnapshot,
		out: OutputTarget,
		context: { began: number; failed: Report['fallbacks']; signal: AbortSignal | undefined },
	): Promise<ConvolveResult> {
		const { problem } = prepared.decision;
		const { signal } = context;
		const outcome = await this.#compute(prepared, plan, backend, image, out, signal);
		if (outcome.overflowAt !== undefined) throw overflowError(problem, outcome.overflowAt);
		const verification = await this.#verify(problem, plan, image, out, signal);
		throwIfAborted(signal);
		const report: Report = {
			plan: plan.name,
			backend: plan.backend,
			algorithm: plan.algorithm,
			...(plan.device === undefined ? {} : { device: plan.device }),
			...(plan.isa === undefined ? {} : { isa: plan.isa }),
			...(plan.threads === undefined ? {} : { threads: plan.threads }),
			timings: { total: performance.now() - context.began, ...outcome.timings },
			verification,
			fallbacks: context.failed,
			warnings: [...distrustOf(prepared.decision), ...(outcome.warnings ?? [])],
		};
		const view = out.strides === undefined ? {} : { strides: out.strides, offset: out.offset as number };
		return { data: out.data, shape: [...problem.output.shape], dtype: problem.output.dtype, ...view, report };
	}

	async #compute(
		prepared: Prepared,
		plan: Plan,
		backend: Backend,
		image: ImageSnapshot,
		out: OutputTarget,
		signal: AbortSignal | undefined,
	): Promise<RunOutcome> {
		const { problem } = prepared.decision;
		if (elementCount(problem.output.shape) === 0) return { timings: { compute: 0 } };
		const executable = await this.#executable(prepared, plan, backend);
		return executable.run(image.view, out.view, signal);
	}

	#executable(prepared: Prepared, plan: Plan, backend: Backend): Promise<Executable> {
		let executable = prepared.executables.get(plan);
		if (executable === undefined) {
			executable = backend.prepare(prepared.decision.problem, plan);
			prepared.executables.set(plan, executable);
			executable.catch(() => prepared.executables.delete(plan)); // a lost device may come back: try anew next time
		}
		return executable;
	}

	async #verify(
		problem: Problem,
		plan: Plan,
		image: ImageSnapshot,
		out: OutputTarget,
		signal: AbortSignal | undefined,
	): Promise<Verification | null> {
		const method = this.#settings.verify ?? 'sample';
		if (method === false || method === 'checksum' || elementCount(problem.output.shape) === 0) return null;
		const count = sampleCount(problem, plan.predicted.milliseconds);
		const task = { problem, model: plan.model, plan: plan.name, tile: plan.tile, image: image.view, result: out.view };
		return verify(task, { method, count, seed: freshSeed(), signal });
	}

	/**
	 * Convolves an array in device memory, on its own device; the result stays there. Verified only if the options say so;
	 * then both arrays are read back.
	 */
	async runResident(array: GpuArray, run: RunSettings): Promise<GpuArray> {
		throwIfAborted(run.signal);
		if (run.out !== undefined) throw invalid('none beside a GpuArray (the result stays on its device)', 'option out', 'one');
		const backend = this.#ownerOf(array);
		const { dtype, layout, shape } = array;
		if ((this.#settings.layout ?? layout) !== layout)
			throw invalid(`${layout}, the array's own`, 'option layout', `${this.#settings.layout}`);
		const problem = this.#problem({ dtype, layout, shape });
		const prepared = await this.#cached(`resident ${dtype} ${layout} ${shape.join('x')}`, async () => {
			const policy = { order: 'preference', wish: this.#wish() } as const;
			return { backends: [backend], mayFallBack: false, executables: new Map(), decision: choose(problem, [backend], policy) };
		});
		if (!prepared.backends.includes(backend)) {
			throw invalid('arrays of one device', 'image', 'a GpuArray of another device than before', 'Make a convolver for each device.');
		}
		const { plan } = prepared.decision;
		const executable = await this.#executable(prepared, plan, backend);
		if (!isResident(executable))
			throw new FaltungError('UNSUPPORTED', `The backend ${backend.name} cannot work on arrays in device memory.`);
		const result = await executable.runResident(array, run.signal);
		if (this.#settings.verify !== undefined && this.#settings.verify !== false)
			await this.#verifyResident(problem, plan, array, result, run.signal);
		return result;
	}

	#ownerOf(array: GpuArray): Backend {
		const { owner } = array;
		const named = this.#settings.backend;
		if (owner === undefined || (named !== undefined && !named.includes(owner) && !named.includes('webgpu'))) {
			throw new FaltungError('UNSUPPORTED', 'A GpuArray is convolved on its own device. Leave option backend out, or name that device.');
		}
		return owner;
	}

	async #verifyResident(problem: Problem, plan: Plan, array: GpuArray, result: GpuArray, signal: AbortSignal | undefined): Promise<void> {
		const image = snapshotImage(await array.read(), array.layout);
		const { view } = snapshotImage(await result.read(), result.layout);
		await this.#verify(problem, plan, image, { view, data: view.data }, signal);
	}

	/** Frees every executable. */
	async dispose(): Promise<void> {
		const all = [...this.#prepared.values()];
		this.#prepared.clear();
		this.#last = undefined;
		for (const prepared of await Promise.allSettled(all)) {
			if (prepared.status === 'rejected') continue;
			for (const executable of await Promise.allSettled(prepared.value.executables.values())) {
				if (executable.status === 'fulfilled') executable.value.dispose();
			}
		}
	}

	#select(): Promise<Selection> {
		this.#selection ??= selectBackends(this.#settings, this.#environment);
		return this.#selection;
	}

	#prepare(problem: Problem, image: Pick<ImageSnapshot, 'dtype' | 'layout' | 'shape'>): Promise<Prepared> {
		return this.#cached(`${image.dtype} ${image.layout} ${image.shape.join('x')}`, () => this.#decide(problem));
	}

	#cached(key: string, decide: () => Promise<Prepared>): Promise<Prepared> {
		let prepared = this.#prepared.get(key);
		if (prepared === undefined) {
			prepared = decide();
			this.#prepared.set(key, prepared);
			prepared.catch(() => this.#prepared.delete(key));
		}
		return prepared;
	}

	async #decide(problem: Problem): Promise<Prepared> {
		const { backends, absent, order, mayFallBack, device } = await this.#select();
		const policy = { order, wish: this.#wish() };
		const prepared = { mayFallBack, executables: new Map() };
		if (device === undefined) return { ...prepared, backends, decision: choose(problem, backends, policy, absent) };
		const small = `not opened: the predicted time on the CPU is under ${WORTH_A_DEVICE} ms`;
		const onCpu = choose(problem, backends, policy, [...absent, { name: 'webgpu', reason: small }]);
		if (onCpu.plan.predicted.milliseconds < WORTH_A_DEVICE) return { ...prepared, backends, decision: onCpu };
		const more = await device();
		const all = [...more.backends, ...backends];
		return { ...prepared, backends: all, decision: choose(problem, all, policy, [...more.absent, ...absent]) };
	}

	#wish(): PlanWish {
		const { method, tolerance, accuracy } = this.#settings;
		const threads = this.#settings.threads ?? this.#environment.threads;
		return { method, accuracy, ...(tolerance === undefined ? {} : { tolerance }), ...(threads === undefined ? {} : { threads }) };
	}

	#problem(image: Pick<ImageSnapshot, 'dtype' | 'layout' | 'shape'>): Problem {
		const settings = this.#settings;
		const sizes = toCanonical(image.layout, image.shape, 1);
		const { dtype, taps } = resolveKernel(this.#kernel, image.dtype);
		checkGeometry(settings, this.#kernel, sizes);
		const matters = settings.mode !== 'valid' && settings.boundary.includes('constant');
		return makeProblem({
			operation: this.#operation,
			image: { dtype: image.dtype, layout: image.layout, sizes },
			kernel: { dtype, taps, height: this.#kernel.height, width: this.#kernel.width, count: this.#kernel.count, bank: this.#kernel.bank },
			mode: settings.mode,
			boundary: settings.boundary,
			value: valueFor(matters ? settings.value : 0, image.dtype),
			anchor: settings.mode === 'same' ? settings.anchor : undefined,
			stride: settings.stride,
			dilation: settings.dilation,
			outputDtype: settings.outputDtype ?? image.dtype,
			overflow: settings.overflow,
			rounding: settings.rounding,
			scale: settings.scale,
			bias: settings.bias,
			accumulate: settings.accumulate,
		});
	}
}

/** True where two images need the same plan. */
const isAlike = (a: Pick<ImageSnapshot, 'dtype' | 'layout' | 'shape'>, b: typeof a): boolean =>
	a.dtype === b.dtype && a.layout === b.layout && a.shape.length === b.shape.length && a.shape.every((size, axis) => size === b.shape[axis]);

/** Checks image sizes against mode, boundary, kernel and the per-channel lists. */
function checkGeometry(settings: PlanSettings, kernel: KernelSnapshot, sizes: readonly [number, number, number, number]): void {
	const [batch, channels, height, width] = sizes;
	const { mode, boundary, dilation } = settings;
	const sides = [
		{ name: 'height', n: height, kd: dilatedSize(kernel.height, dilation[0]), mode: boundary[0] },
		{ name: 'width', n: width, kd: dilatedSize(kernel.width, dilation[1]), mode: boundary[1] },
	];
	for (const { name, n, kd, mode: outside } of sides) {
		if (mode === 'valid' && n < kd) {
			throw invalid(
				`an image ${name} of at least ${kd}, the kernel's dilated ${name},`,
				"mode 'valid'",
				`${n}`,
				"Use mode 'same' or 'full'.",
			);
		}
		if (n === 0 && outside !== 'constant' && batch * channels > 0) {
			throw invalid(`an image ${name} of at least 1`, `boundary '${outside}'`, '0', "There is nothing to extend: use boundary 'constant'.");
		}
		if (axisSize(mode, n, kd) > AXIS_LIMIT) {
			throw new FaltungError(
				'LIMIT_EXCEEDED',
				`Expected a result ${name} of at most ${AXIS_LIMIT} but received ${axisSize(mode, n, kd)}. Cut the image into parts.`,
			);
		}
	}
	const results = channels * kernel.count;
	for (const name of ['scale', 'bias'] as const) {
		const { length } = settings[name];
		if (length === 1 || length === channels || length === results) continue;
		const wanted =
			results === channels
				? `1 or ${channels} numbers (one per channel)`
				: `1, ${channels} (one per image channel) or ${results} numbers (one per result channel)`;
		throw invalid(wanted, `option ${name}`, `${length}`);
	}
}

/** A fresh output of the problem's shape. */
function allocate(problem: Problem, backend: Backend): OutputTarget {
	const { dtype, layout, shape, sizes } = problem.output;
	const count = elementCount(shape);
	const data = newArray(dtype, count, shape, backend);
	return { data, view: { data, dtype, sizes, strides: toCanonical(layout, rowMajorStrides(shape), 0), offset: 0 } };
}

function newArray(dtype: Dtype, count: number, shape: readonly number[], backend: Backend): TypedArray {
	try {
		return backend.allocate?.(dtype, count) ?? new DTYPES[dtype].array(count);
	} catch (cause) {
		const bytes = count * DTYPES[dtype].bytes;
		throw new FaltungError(
			'LIMIT_EXCEEDED',
			`Expected memory for a result of ${bytes} bytes, ${dtype} [${shape.join(', ')}], but it could not be allocated. Use a stride, a narrower outputDtype, or parts of the image.`,
			{ cause },
		);
	}
}

function overflowError(problem: Problem, at: number): FaltungError {
	const { shape, dtype } = problem.output;
	const index = rowMajorStrides(shape).map((step, axis) => Math.floor(at / step) % (shape[axis] as number));
	const { minInt, maxInt } = DTYPES[dtype];
	return new FaltungError(
		'OVERFLOW',
		`Expected every sum to fit ${dtype} (${minInt} to ${maxInt}) under overflow 'throw' but pixel [${index.join(', ')}] is the first that does not. Use overflow 'saturate' or 'wrap', or a wider outputDtype.`,
	);
}
