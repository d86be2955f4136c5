/** The native backend: hands a prepared problem to the addon, small work at once, the rest to the addon's own threads. */
import { availableParallelism } from 'node:os';
import { onAbort } from '../../core/abort.ts';
import type { ChecksumScheme } from '../../core/checksum-scheme.ts';
import type { ChecksumFindings } from '../../core/checksum-sums.ts';
import { DTYPES, type Dtype, type TypedArray } from '../../core/dtype.ts';
import { ERROR_CODES, type ErrorCode, FaltungError } from '../../core/errors.ts';
import type { PlaneView } from '../../core/ndarray.ts';
import type { Extent, Plan } from '../../core/plan.ts';
import { describe, type Problem } from '../../core/problem.ts';
import type { Backend, Capabilities, Executable, RunOutcome } from '../backend.ts';
import { ACCUMULATORS, type Addon, type Handle, MOST_THREADS, type Settled, STATUS_CANCELLED, STATUS_NO_MEMORY } from './addon.ts';
import { measuredCosts } from './calibration.ts';
import { accumulatorOf, type Blocks, candidates } from './candidates.ts';
import { checksumParameters, readFindings } from './checksum.ts';
import { INLINE_MS, withShipped } from './costs.ts';
import { prepareArguments, sameView, viewWords } from './geometry.ts';
import { loadAddon } from './loader.ts';

/** Node-API knows the eleven classic kinds; the bits of a Float16Array are those of a Uint16Array. */
const classic = (data: TypedArray): TypedArray =>
	Object.prototype.toString.call(data) === '[object Float16Array]' ? new Uint16Array(data.buffer, data.byteOffset, data.length) : data;

/** The addon's error as this library's, with the call that it belongs to. */
function translate(error: unknown, what: string): unknown {
	const { code, message } = error as { code?: string; message: string };
	if (code === undefined || !Object.hasOwn(ERROR_CODES, code)) return error;
	return new FaltungError(code as ErrorCode, `The native backend refused ${what}: ${message}`, { cause: error });
}

const noMemory = (problem: Problem): FaltungError =>
	new FaltungError(
		'LIMIT_EXCEEDED',
		`Expected memory and a thread for ${describe(problem)} but the system gave none. Use fewer threads or parts of the image.`,
	);

class NativeExecutable implements Executable {
	readonly plan: Plan;
	readonly #problem: Problem;
	readonly #addon: Addon;
	readonly #handle: Handle;
	#disposed = false;
	#last: { image: PlaneView; out: PlaneView; words: BigInt64Array } | undefined;

	constructor(addon: Addon, problem: Problem, plan: Plan) {
		this.plan = plan;
		this.#problem = problem;
		this.#addon = addon;
		try {
			this.#handle = addon.prepare(plan.isa as string, ...prepareArguments(problem, accumulatorOf(problem), plan));
		} catch (error) {
			throw translate(error, describe(problem));
		}
	}

	/** What computed so far: the body's name and its tiles. For tests of the path taken. */
	get body(): [name: string, tiles: number] {
		return this.#addon.body(this.#handle);
	}

	run(image: PlaneView, out: PlaneView, signal?: AbortSignal): RunOutcome | Promise<RunOutcome> {
		if (signal?.aborted) return Promise.reject(signal.reason);
		const words = this.#words(image, out);
		return this.plan.predicted.milliseconds < INLINE_MS ? this.#here(image, out, words) : this.#pooled(image, out, words, signal);
	}

	dispose(): void {
		if (this.#disposed) return;
		this.#disposed = true;
		this.#addon.dispose(this.#handle);
	}

	/** The words of the views; those of the last run where nothing has changed. */
	#words(image: PlaneView, out: PlaneView): BigInt64Array {
		const last = this.#last;
		if (last !== undefined && sameView(last.image, image) && sameView(last.out, out)) return last.words;
		const words = viewWords(image, out);
		// only the strides: holding the data would keep the caller's buffers alive
		this.#last = { image: { ...image, data: NOTHING }, out: { ...out, data: NOTHING }, words };
		return words;
	}

	#here(image: PlaneView, out: PlaneView, words: BigInt64Array): RunOutcome {
		const began = performance.now();
		try {
			const overflowAt = this.#addon.runHere(this.#handle, classic(image.data), classic(out.data), words);
			const timings = { compute: performance.now() - began };
			return overflowAt < 0 ? { timings } : { timings, overflowAt };
		} catch (error) {
			throw translate(error, 'the run');
		}
	}

	async #pooled(image: PlaneView, out: PlaneView, words: BigInt64Array, signal: AbortSignal | undefined): Promise<RunOutcome> {
		const threads = this.plan.threads as number;
		const [overflowAt, compute] = await this.#settle('the run', signal, (settled) =>
			this.#addon.start(this.#handle, classic(image.data), classic(out.data), words, threads, settled),
		);
		return overflowAt < 0 ? { timings: { compute } } : { timings: { compute }, overflowAt };
	}

	async checksum(image: PlaneView, out: PlaneView, scheme: ChecksumScheme, signal?: AbortSignal): Promise<ChecksumFindings> {
		if (signal?.aborted) throw signal.reason;
		const words = this.#words(image, out);
		const parameters = checksumParameters(scheme);
		const threads = this.plan.threads as number;
		const [, , findings] = await this.#settle('the checksum', signal, (settled) =>
			this.#addon.checksum(this.#handle, classic(image.data), classic(out.data), words, threads, settled, parameters),
		);
		return readFindings(findings as Float64Array);
	}

	/** Starts work on the pool and waits for it. */
	#settle(
		what: string,
		signal: AbortSignal | undefined,
		start: (settled: Settled) => Handle,
	): Promise<[overflowAt: number, milliseconds: number, findings: Float64Array | undefined]> {
		return new Promise((resolve, reject) => {
			const cancel = () => this.#addon.cancel(run);
			let run: Handle;
			let release = () => {};
			try {
				run = start((status, overflowAt, milliseconds, findings) => {
					release();
					if (status === STATUS_NO_MEMORY) reject(noMemory(this.#problem));
					else if (status === STATUS_CANCELLED) reject(signal?.reason);
					else resolve([overflowAt, milliseconds, findings]);
				});
			} catch (error) {
				reject(translate(error, what));
				return;
			}
			release = onAbort(signal, cancel);
		});
	}
}

/** Bytes from which large pages are asked for. */
const LARGE_RESULT = 2 ** 22;

const NOTHING = new Uint8Array(0);

class NativeBackend implements Backend {
	readonly name = 'native';
	readonly capabilities: Capabilities;
	readonly #addon: Addon;
	readonly #blocks: Blocks;

	constructor(addon: Addon, isa: string, threads: number) {
		this.#addon = addon;
		const found: Partial<Record<(typeof ACCUMULATORS)[number], Extent>> = {};
		for (const [k, block] of addon.kernels(isa).entries()) {
			if (block !== undefined) found[ACCUMULATORS[k] as (typeof ACCUMULATORS)[number]] = { height: block[0], width: block[1] };
		}
		this.#blocks = found;
		const { costs, problem } = measuredCosts(isa);
		this.capabilities = {
			backend: 'native',
			isa,
			threads,
			algorithms: ['direct', 'separable', 'lowrank', 'box', 'fft'],
			sums: ['integer', 'float32', 'float64'],
			limits: { isas: addon.isas().join(' '), mostThreads: MOST_THREADS },
			costs: withShipped(isa, costs),
			...(problem === undefined ? {} : { warnings: [problem] }),
		};
	}

	candidates: Backend['candidates'] = (problem, wish) => candidates(problem, this.capabilities, this.#blocks, wish);

	/** Faults of 4 KiB pages took a fresh 64 MiB result 25 times as long as its K = 3 (bench/results/native-direct.md). */
	allocate(dtype: Dtype, length: number): TypedArray {
		const data = new DTYPES[dtype].array(length);
		if (data.byteLength >= LARGE_RESULT) this.#addon.preferLargePages(classic(data));
		return data;
	}

	async prepare(problem: Problem, plan: Plan): Promise<Executable> {
		return new NativeExecutable(this.#addon, problem, plan);
	}
}

/**
 * The native backend on this machine.
 *
 * @param options.isa the only instruction set that it may use; default: the best that build, processor and system have
 * @param options.threads most threads of one run; default: all cores that this process may use
 * @throws BACKEND_UNAVAILABLE where the addon or the instruction set is missing
 */
export async function loadNative(options: { isa?: string | undefined; threads?: number | undefined } = {}): Promise<Backend> {
	const addon = loadAddon();
	const isas = addon.isas();
	const isa = options.isa ?? (isas[0] as string);
	if (!isas.includes(isa)) {
		throw new FaltungError(
			'BACKEND_UNAVAILABLE',
			`Expected one of ${isas.join(', ')} for the instruction set (FALTUNG_ISA) but received ${JSON.stringify(isa)}, ` +
				'which this build or this machine does not have. Unset FALTUNG_ISA to take the best one.',
		);
	}
	return new NativeBackend(addon, isa, Math.min(options.threads ?? availableParallelism(), MOST_THREADS));
}
