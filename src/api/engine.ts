/**
 * The engine behind every call: one kernel and one set of options, any number of images.
 *
 * image → Problem → Decision → Executable → result → verification, with the next backend where one fails.
 */
import type { Backend, Executable, PlanWish, RunOutcome } from '../backend/backend.ts';
import { choiceMemory } from '../backend/registry.ts';
import type { GpuArray } from '../backend/webgpu/gpu-array.ts';
import { relativeBound } from '../core/bounds.ts';
import { throwIfAborted } from '../core/breathe.ts';
import { verifyChecksum } from '../core/checksum.ts';
import { FaltungError, invalid } from '../core/errors.ts';
import { denseImage, type ImageSnapshot } from '../core/images.ts';
import { checkInPlace, elementCount } from '../core/ndarray.ts';
import type { Decision, Plan } from '../core/plan.ts';
import { describe, type Operation, type Problem } from '../core/problem.ts';
import { freshSeed } from '../core/random.ts';
import { sampleCount } from '../core/sample.ts';
import { snapshotInput } from '../core/source.ts';
import { type Verification, verify } from '../core/verify.ts';
import { choose, preferring, problemClass } from '../plan/choose.ts';
import { type KernelSnapshot, type OutputTarget, snapshotOutput } from './arrays.ts';
import { type Environment, readEnvironment } from './environment.ts';
import { race } from './measure.ts';
import { checkAgainstKernel, type PlanSettings, type RunSettings } from './options.ts';
import { Pixels, runInPlace } from './pixels.ts';
import { problemOf } from './problem.ts';
import type { ConvolveResult, Report } from './report.ts';
import { type ResidentFinder, verifySample, verifySums } from './resident.ts';
import { allocate, overflowError } from './results.ts';
import { distrust, type Selection, selectBackends, WRONG_BEFORE } from './select.ts';
import { type Kept, Shelf } from './shelf.ts';

/** Failures of a backend that the next one may not have. An overflow or an abort is no such failure. */
const FALL_BACK_ON: readonly string[] = ['DEVICE_LOST', 'BACKEND_UNAVAILABLE', 'LIMIT_EXCEEDED', 'UNSUPPORTED', 'VERIFICATION_FAILED'];

/** An abort is final, whatever its reason is: often the error of another call. */
const mayFallBackOn = (error: unknown, signal: AbortSignal | undefined): error is FaltungError =>
	error instanceof FaltungError && FALL_BACK_ON.includes(error.code) && signal?.aborted !== true;

/** What went wrong on the way to a result. */
interface Trail {
	readonly failed: Report['fallbacks'];
	/** Backends whose results did not verify. */
	readonly wrong: Set<Backend>;
	readonly signal: AbortSignal | undefined;
}

/** What was decided for images of one dtype, layout and shape, and what is ready to run. */
interface Prepared {
	/** Under policy 'measure' the first run puts the fastest plan in front. */
	decision: Decision;
	readonly backends: readonly Backend[];
	readonly mayFallBack: boolean;
	readonly executables: Map<Plan, Promise<Executable>>;
	/** Those of them that are there: a small image takes about as long as waiting for a settled promise a few times. */
	readonly ready: Map<Plan, Executable>;
	/** The first run, while it measures; never rejects. */
	measuring?: Promise<void>;
}

/** One plan at work on one image. */
interface Attempt {
	readonly prepared: Prepared;
	readonly plan: Plan;
	readonly backend: Backend;
	readonly image: Pixels;
	readonly out: OutputTarget;
	readonly signal: AbortSignal | undefined;
}

const backendOf = ({ backends }: Prepared, plan: Plan): Backend => backends.find(({ name }) => name === plan.backend) as Backend;

/** An executable that also works on arrays in device memory. */
interface ResidentExecutable extends Executable {
	runResident(array: GpuArray, signal?: AbortSignal): Promise<GpuArray>;
	readonly checksumResident: ResidentFinder;
}

const isResident = (executable: Executable): executable is ResidentExecutable => 'runResident' in executable;

/** Predicted milliseconds on the CPU from which opening a GPU may pay: loading Dawn and a device takes about a tenth of a second. */
const WORTH_A_DEVICE = 20;

/** A warning for each backend that is left alone because it was wrong before: the work may be slower for it. */
const distrustOf = ({ candidates }: Decision): string[] =>
	candidates.filter(({ why }) => why === WRONG_BEFORE).map(({ backend }) => `The backend ${backend} ${WRONG_BEFORE} and is not used.`);

/**
 * Kinds of images (dtype, layout, shape) that stay prepared: a stream of pictures may hold as many sizes as pictures. A transform's
 * spectrum is about half a megabyte on the native backend, up to 32 on a GPU.
 */
const KEPT = 16;

async function freeAll({ executables }: Prepared): Promise<void> {
	for (const executable of await Promise.allSettled(executables.values())) {
		if (executable.status === 'fulfilled') executable.value.dispose();
	}
}

export class Engine {
	readonly #operation: Operation;
	readonly #kernel: KernelSnapshot;
	readonly #settings: PlanSettings;
	readonly #environment: Environment;
	readonly #prepared = new Shelf<Prepared>(KEPT, freeAll);
	#selection: Promise<Selection> | undefined;
	/** What the last image was, and what came of it: planning the next one alike took longer than a small convolution. */
	#last: (Pick<ImageSnapshot, 'dtype' | 'layout' | 'shape'> & { readonly problem: Problem; readonly kept: Kept<Prepared> }) | undefined;

	/** @throws INVALID_ARGUMENT or LIMIT_EXCEEDED where options and kernel do not go together */
	constructor(operation: Operation, kernel: KernelSnapshot, settings: PlanSettings) {
		checkAgainstKernel(settings, kernel);
		this.#operation = operation;
		this.#kernel = kernel;
		this.#settings = settings;
		this.#environment = readEnvironment();
	}

	/** The Decision for images of this dtype and shape. */
	async decide(image: Pick<ImageSnapshot, 'dtype' | 'layout' | 'shape'>): Promise<Decision> {
		const kept = this.#prepare(this.#problem(image), image);
		try {
			return (await kept.made).decision;
		} finally {
			this.#prepared.release(kept);
		}
	}

	/** Reads the image (but for pixels that a callback writes) and `out` at once, then works. */
	async run(given: unknown, run: RunSettings): Promise<ConvolveResult> {
		const began = performance.now();
		throwIfAborted(run.signal);
		const image = new Pixels(snapshotInput(given, this.#settings.layout), run.signal);
		const last = this.#last?.kept.gone === false && isAlike(this.#last, image) ? this.#last : undefined;
		const problem = last?.problem ?? this.#problem(image);
		const target = run.out === undefined ? undefined : snapshotOutput(run.out, problem.output, image.given, this.#kernel);
		const kept = last === undefined ? this.#prepare(problem, image) : this.#prepared.retake(last.kept);
		try {
			const prepared = await kept.made;
			this.#last = { dtype: image.dtype, layout: image.layout, shape: image.shape, problem, kept };
			throwIfAborted(run.signal);
			return await this.#runPrepared(prepared, image, target, { began, signal: run.signal });
		} finally {
			this.#prepared.release(kept);
		}
	}

	/** Measures if it must, then tries plan after plan. */
	async #runPrepared(
		prepared: Prepared,
		image: Pixels,
		target: OutputTarget | undefined,
		{ began, signal }: { began: number; signal: AbortSignal | undefined },
	): Promise<ConvolveResult> {
		const failed: Report['fallbacks'] = [];
		const wrong = new Set<Backend>();
		const measured =
			this.#settings.policy === 'estimate' ? undefined : await this.#measured(prepared, image, target, { failed, wrong, signal });
		const { plan, fallbacks } = prepared.decision;
		const plans = prepared.mayFallBack ? [plan, ...fallbacks] : [plan];
		for (const [k, attempt] of plans.entries()) {
			const backend = backendOf(prepared, attempt);
			try {
				const out = target ?? measured ?? allocate(prepared.decision.problem, backend);
				const result = await this.#attempt({ prepared, plan: attempt, backend, image, out, signal }, began, failed);
				// only a right answer tells whose was wrong: where all are, the image was written meanwhile, or the memory is at fault
				for (const each of wrong) distrust(each);
				return result;
			} catch (error) {
				if (!mayFallBackOn(error, signal) || k === plans.length - 1) throw error;
				if (error.code === 'VERIFICATION_FAILED') wrong.add(backend);
				failed.push({ plan: attempt.name, code: error.code, message: error.message });
			}
		}
		throw new FaltungError('UNSUPPORTED', `No plan for ${describe(prepared.decision.problem)}.`);
	}

	/**
	 * Under policy 'measure': sees to it that the fastest plan is in front, by measuring on this image if nobody has yet.
	 *
	 * @returns where it measured, memory for the result
	 */
	async #measured(prepared: Prepared, image: Pixels, target: OutputTarget | undefined, trail: Trail): Promise<OutputTarget | undefined> {
		while (prepared.measuring !== undefined) await prepared.measuring; // another run measures, or has given up
		const { problem, contenders } = prepared.decision;
		if (contenders.length < 2 || elementCount(problem.output.shape) === 0) return undefined;
		let done = () => {};
		prepared.measuring = new Promise((resolve) => {
			done = resolve;
		});
		try {
			const out = target ?? allocate(problem, backendOf(prepared, contenders[0] as Plan));
			await this.#race(prepared, image, out, trail);
			return out;
		} finally {
			delete prepared.measuring;
			done();
		}
	}

	async #race(prepared: Prepared, image: Pixels, out: OutputTarget, { failed, wrong, signal }: Trail): Promise<void> {
		const { decision } = prepared;
		const order = await race(decision.contenders, {
			run: async (plan) => {
				const executable = await this.#executable(prepared, plan, backendOf(prepared, plan));
				const began = performance.now();
				await executable.run(image.host.view, out.view, signal);
				const took = performance.now() - began;
				throwIfAborted(signal);
				return took;
			},
			check: async (plan) => {
				await this.#verify({ prepared, plan, backend: backendOf(prepared, plan), image, out, signal });
			},
			forgive: (plan, error) => {
				if (!mayFallBackOn(error, signal)) return false;
				if (error.code === 'VERIFICATION_FAILED') wrong.add(backendOf(prepared, plan));
				failed.push({ plan: plan.name, code: error.code, message: error.message });
				return true;
			},
		});
		const [fastest] = order;
		if (fastest === undefined) return; // the usual attempts tell what is wrong
		prepared.decision = preferring(decision, fastest);
		for (const plan of decision.contenders) {
			if (plan === fastest) continue;
			(await prepared.executables.get(plan)?.catch(() => undefined))?.dispose();
			prepared.executables.delete(plan);
			prepared.ready.delete(plan);
		}
		(await choiceMemory()).remember(problemClass(decision), fastest.name);
	}

	async #attempt(attempt: Attempt, began: number, failed: Report['fallbacks']): Promise<ConvolveResult> {
		const { prepared, plan, backend, out, signal } = attempt;
		const { problem } = prepared.decision;
		const inPlace = attempt.image.fill === undefined ? undefined : await this.#inPlace(attempt, attempt.image.fill);
		const outcome = inPlace?.outcome ?? (await this.#compute(attempt));
		if (outcome.overflowAt !== undefined) throw overflowError(problem, outcome.overflowAt);
		let verification = inPlace?.verification ?? null;
		if (inPlace === undefined && this.#settings.verify !== false) verification = await this.#verify(attempt);
		throwIfAborted(signal);
		const report: Report = {
			plan: plan.name,
			backend: plan.backend,
			algorithm: plan.algorithm,
			bound: relativeBound(problem, plan),
			...(plan.device === undefined ? {} : { device: plan.device }),
			...(plan.isa === undefined ? {} : { isa: plan.isa }),
			...(plan.threads === undefined ? {} : { threads: plan.threads }),
			timings: { total: performance.now() - began, ...outcome.timings },
			verification,
			fallbacks: failed,
			warnings: [...(backend.capabilities.warnings ?? []), ...distrustOf(prepared.decision), ...(outcome.warnings ?? [])],
		};
		const view = out.strides === undefined ? {} : { strides: out.strides, offset: out.offset as number };
		return { data: out.data, shape: [...problem.output.shape], dtype: problem.output.dtype, ...view, report };
	}

	/** The work and its verification where a callback writes the pixels straight into the backend's memory and nothing needs them here. */
	async #inPlace({ prepared, plan, backend, out, signal }: Attempt, fill: NonNullable<Pixels['fill']>): ReturnType<typeof runInPlace> {
		const { problem } = prepared.decision;
		const { verify: method = 'sample' } = this.#settings;
		if (method === 'sample' || method === 'full' || elementCount(problem.output.shape) === 0) return undefined;
		const executable = await this.#executable(prepared, plan, backend);
		const task = { problem, model: plan.model, plan: plan.name, tile: plan.tile, result: out.view };
		return runInPlace(executable, fill, task, method, signal);
	}

	async #compute({ prepared, plan, backend, image, out, signal }: Attempt): Promise<RunOutcome> {
		const { problem } = prepared.decision;
		if (elementCount(problem.output.shape) === 0) return { timings: { compute: 0 } };
		const executable = prepared.ready.get(plan) ?? (await this.#executable(prepared, plan, backend));
		const { view } = image.host;
		checkInPlace(view, out.view);
		const running = executable.run(view, out.view, signal);
		const outcome = running instanceof Promise ? await running : running;
		checkInPlace(view, out.view);
		return outcome;
	}

	#executable(prepared: Prepared, plan: Plan, backend: Backend): Promise<Executable> {
		let executable = prepared.executables.get(plan);
		if (executable === undefined) {
			executable = backend.prepare(prepared.decision.problem, plan);
			prepared.executables.set(plan, executable);
			executable.then(
				(made) => prepared.ready.set(plan, made),
				() => prepared.executables.delete(plan), // a lost device may come back: try anew next time
			);
		}
		return executable;
	}

	async #verify({ prepared, plan, backend, image, out, signal }: Attempt): Promise<Verification | null> {
		const { problem } = prepared.decision;
		const method = this.#settings.verify ?? 'sample';
		if (method === false || elementCount(problem.output.shape) === 0) return null;
		const task = { problem, model: plan.model, plan: plan.name, tile: plan.tile, image: image.host.view, result: out.view };
		if (method === 'checksum') {
			const executable = await this.#executable(prepared, plan, backend);
			const choice = { seed: freshSeed(), signal, arithmetic: executable.checksumArithmetic };
			return verifyChecksum(task, choice, executable.checksum?.bind(executable));
		}
		const count = sampleCount(problem, plan.predicted.milliseconds);
		return verify(task, { method, count, seed: freshSeed(), signal });
	}

	/**
	 * Convolves an array in device memory, on its own device; the result stays there. Verified only if the options say so;
	 * then what is recomputed and compared is read back.
	 */
	async runResident(array: GpuArray, run: RunSettings): Promise<GpuArray> {
		throwIfAborted(run.signal);
		if (run.out !== undefined) throw invalid('none beside a GpuArray (the result stays on its device)', 'option out', 'one');
		const backend = this.#ownerOf(array);
		const { dtype, layout, shape } = array;
		if ((this.#settings.layout ?? layout) !== layout)
			throw invalid(`${layout}, the array's own`, 'option layout', `${this.#settings.layout}`);
		const problem = this.#problem({ dtype, layout, shape });
		const kept = this.#prepared.take(`resident ${dtype} ${layout} ${shape.join('x')}`, async () => {
			const policy = { order: 'preference', wish: { ...this.#wish(), memory: 'device' } } as const;
			return {
				backends: [backend],
				mayFallBack: false,
				executables: new Map(),
				ready: new Map(),
				decision: choose(problem, [backend], policy),
			};
		});
		try {
			return await this.#runResident(await kept.made, backend, array, run.signal);
		} finally {
			this.#prepared.release(kept);
		}
	}

	async #runResident(prepared: Prepared, backend: Backend, array: GpuArray, signal: AbortSignal | undefined): Promise<GpuArray> {
		if (!prepared.backends.includes(backend)) {
			throw invalid('arrays of one device', 'image', 'a GpuArray of another device than before', 'Make a convolver for each device.');
		}
		const { plan } = prepared.decision;
		const executable = await this.#executable(prepared, plan, backend);
		if (!isResident(executable))
			throw new FaltungError('UNSUPPORTED', `The backend ${backend.name} cannot work on arrays in device memory.`);
		const result = await executable.runResident(array, signal);
		if (this.#settings.verify !== undefined && this.#settings.verify !== false)
			await this.#verifyResident(prepared, backend, array, result, signal);
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

	/**
	 * Reads back what the verification looks at: the windows of the sampled pixels for 'sample', nothing for 'checksum' where the device forms
	 * the sums and they agree, all of both arrays else.
	 */
	async #verifyResident(
		prepared: Prepared,
		backend: Backend,
		array: GpuArray,
		result: GpuArray,
		signal: AbortSignal | undefined,
	): Promise<void> {
		const { problem, plan } = prepared.decision;
		const count = sampleCount(problem, plan.predicted.milliseconds);
		// a sum by Fourier transforms is judged by its whole region
		const sparse = plan.model.transformed === undefined && count < elementCount(problem.output.shape);
		if (this.#settings.verify === 'sample' && sparse) {
			await verifySample(problem, plan, { image: array, result }, count, signal);
			return;
		}
		if (this.#settings.verify === 'checksum' && elementCount(problem.output.shape) > 0) {
			const executable = await this.#executable(prepared, plan, backend);
			const find = isResident(executable) ? executable.checksumResident.bind(executable) : undefined;
			if (find !== undefined && (await verifySums(problem, plan, { image: array, result }, find, signal))) return;
		}
		const image = new Pixels(denseImage((await array.read()).data, array), signal);
		const { view } = denseImage((await result.read()).data, result);
		await this.#verify({ prepared, plan, backend, image, out: { view, data: view.data }, signal });
	}

	/** Frees every executable. */
	async dispose(): Promise<void> {
		this.#last = undefined;
		await this.#prepared.clear();
	}

	#select(): Promise<Selection> {
		this.#selection ??= selectBackends(this.#settings, this.#environment);
		return this.#selection;
	}

	#prepare(problem: Problem, image: Pick<ImageSnapshot, 'dtype' | 'layout' | 'shape'>): Kept<Prepared> {
		return this.#prepared.take(`${image.dtype} ${image.layout} ${image.shape.join('x')}`, () => this.#decide(problem));
	}

	async #decide(problem: Problem): Promise<Prepared> {
		const prepared = await this.#estimate(problem);
		const { decision } = prepared;
		if (this.#settings.policy === 'estimate' || decision.contenders.length < 2) return prepared;
		const remembered = (await choiceMemory()).recall(problemClass(decision));
		const plan = decision.contenders.find(({ name }) => name === remembered);
		return plan === undefined ? prepared : { ...prepared, decision: preferring(decision, plan) };
	}

	async #estimate(problem: Problem): Promise<Prepared> {
		const { backends, absent, order, mayFallBack, device } = await this.#select();
		const policy = { order, wish: this.#wish() };
		const prepared = { mayFallBack, executables: new Map(), ready: new Map() };
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
		return problemOf(this.#operation, this.#kernel, this.#settings, image);
	}
}

/** True where two images need the same plan. */
const isAlike = (a: Pick<ImageSnapshot, 'dtype' | 'layout' | 'shape'>, b: typeof a): boolean =>
	a.dtype === b.dtype &&
	a.layout === b.layout &&
	a.shape.length === b.shape.length &&
	a.shape.every((size, axis) => size === b.shape[axis]);
