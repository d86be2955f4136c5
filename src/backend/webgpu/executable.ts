/**
 * A prepared convolution on a device. A host run goes piece by piece through a ring of mapped staging buffers, a few pieces under
 * way at a time; a resident run reads and writes device buffers and copies nothing to the host.
 */
import type { ChecksumArithmetic } from '../../core/bounds.ts';
import { throwIfAborted } from '../../core/breathe.ts';
import type { ChecksumScheme } from '../../core/checksum-scheme.ts';
import { type ChecksumFindings, findSuspects } from '../../core/checksum-sums.ts';
import { DTYPES, type TypedArray } from '../../core/dtype.ts';
import { FaltungError } from '../../core/errors.ts';
import { denseImage } from '../../core/images.ts';
import { fromCanonical, type PerAxis, type PlaneView, rowMajorStrides, toCanonical } from '../../core/ndarray.ts';
import type { Plan } from '../../core/plan.ts';
import { describe, type Problem } from '../../core/problem.ts';
import type { Executable, FilledImage, RunOutcome } from '../backend.ts';
import { Lease, roundUp, USAGE } from './buffers.ts';
import { type ChecksumArrays, findOnDevice } from './checksum.ts';
import { isCheckable } from './checksum-tables.ts';
import type { DeviceSession, SessionHolder } from './device.ts';
import { arrangementOf, pieceSources, stagedDense, wholeSources } from './direct.ts';
import { asUserError, OutOfDeviceMemory } from './errors.ts';
import { bufferBytes, FILL_LIMIT, FilledBuffer } from './filled.ts';
import { GpuArray } from './gpu-array.ts';
import { boxRuns, prepareMoves, reversed } from './moves.ts';
import { DEVICE_MEMORY, NOWHERE, type PieceInput, type PieceMemory, type Program } from './program.ts';
import { packBox, rawMemory, type SourceBox, unpackBox } from './region.ts';
import { chooseSizes, type Grain, type Piece, pieceSizes, pieces, type TileLimits, workOf } from './tiler.ts';

/** Below this many bytes a smaller piece will not help a device that is out of memory. */
const LEAST_PIECE = 16 * 1024;

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

type Sources = ReturnType<typeof pieceSources>;

const elementsOf = (piece: Piece, { channel, rows, cols }: Sources): number => piece.batch.count * channel.count * rows.total * cols.total;
const boxOf = ({ batch }: Piece, { channel, rows, cols }: Sources): SourceBox => ({ batch, channel, rows: rows.runs, cols: cols.runs });

/** Where a piece's pixels come from. */
interface PieceSource {
	readonly place: PieceInput;
	readonly memory: PieceMemory;
	/** Copies on the host, last before the submit. */
	readonly pack: () => void;
	/** Records copies on the device. */
	readonly bring: (encoder: GPUCommandEncoder) => void;
}

/** What a run collects from its pieces. */
interface Tally {
	upload: number;
	readback: number;
	overflowAt: number;
}

export class WebGpuExecutable implements Executable {
	readonly plan: Plan;
	readonly #problem: Problem;
	readonly #holder: SessionHolder;
	readonly #limits: TileLimits;
	readonly #residentLimits: TileLimits;
	readonly #interleaved: boolean;
	readonly #program: Program;
	/** Multiply-adds of one output: bounds the length of a dispatch. */
	readonly #work: number;
	readonly #grain: Grain | undefined;

	/** @param limits for pieces that pass through staging memory, and for those that stay on the device */
	constructor(problem: Problem, plan: Plan, program: Program, holder: SessionHolder, limits: { host: TileLimits; resident: TileLimits }) {
		this.plan = plan;
		this.#problem = problem;
		this.#holder = holder;
		this.#limits = limits.host;
		this.#residentLimits = limits.resident;
		this.#interleaved = arrangementOf(problem.output.layout) === 'interleaved';
		this.#program = program;
		this.#work = workOf(plan);
		this.#grain = program.grain;
	}

	/** Compiles and uploads the kernel, so that the first run does not have to. */
	async warm(): Promise<void> {
		const session = await this.#holder.current();
		try {
			const [piece] = pieces(this.#problem, this.#sizes(this.#limits));
			if (piece === undefined) return;
			const sources = pieceSources(this.#problem, piece);
			const staged = stagedDense(arrangementOf(this.#problem.output.layout), piece.batch.count, sources);
			await this.#program.warm(session, piece, { ...sources, staged });
		} catch (error) {
			throw asUserError(this.#describeMemory(error));
		}
	}

	async run(image: PlaneView, out: PlaneView, signal?: AbortSignal): Promise<RunOutcome> {
		throwIfAborted(signal);
		return this.#run(await this.#holder.current(), image, out, signal);
	}

	async #run(session: DeviceSession, image: PlaneView | GPUBuffer, out: PlaneView, signal: AbortSignal | undefined): Promise<RunOutcome> {
		const began = performance.now();
		const tally: Tally = { upload: 0, readback: 0, overflowAt: Infinity };
		if (product(this.#problem.output.sizes) > 0) {
			await this.#withMemory(this.#limits, (limits) =>
				this.#eachPiece(session, limits, signal, (piece) => this.#hostPiece(session, piece, image, out, tally)),
			);
		}
		throwIfAborted(signal);
		const { upload, readback, overflowAt } = tally;
		const outcome = { timings: { upload, compute: performance.now() - began - upload - readback, readback } };
		return overflowAt === Infinity ? outcome : { ...outcome, overflowAt };
	}

	/** Staging memory as large as the image, mapped, for `fill` to write; undefined where the image is too large for that, or memory is short. */
	async stage(fill: (memory: TypedArray) => void, need: { checksum: boolean }, signal?: AbortSignal): Promise<FilledImage | undefined> {
		throwIfAborted(signal);
		const { dtype, layout, sizes } = this.#problem.image;
		const elements = product(sizes);
		if (bufferBytes(elements, dtype) > Math.min(FILL_LIMIT, this.#limits.binding, this.#limits.buffer)) return undefined;
		if (need.checksum && !isCheckable(this.#problem)) return undefined;
		const session = await this.#holder.current();
		const filled = await FilledBuffer.of(session, { dtype, elements }, fill).catch(async (error: unknown) => {
			throw asUserError(await session.errors.translate(error));
		});
		if (filled === undefined) return undefined;
		const shape = fromCanonical(layout, sizes);
		const array = new GpuArray(session, filled.buffer, { shape, dtype, layout }, true);
		const read = async () => denseImage((await array.read()).data, array).view;
		return {
			run: async (out, signal) => {
				const outcome = await this.#run(session, filled.buffer, out, signal);
				await session.errors.all([filled.settled]);
				return { ...outcome, timings: { ...outcome.timings, upload: filled.took } };
			},
			checksum: async (result, scheme, signal) => {
				const found = await this.#find(session, scheme, { at: 'host', image: filled.buffer, result }, signal);
				return found ?? findSuspects({ problem: this.#problem, scheme, image: await read(), result }, signal);
			},
			read,
			dispose: () => filled.dispose(),
		};
	}

	/**
	 * Convolves an array in device memory; the result stays there. Under `overflow: 'throw'` four bytes are read back to see
	 * whether every sum fits, else nothing.
	 *
	 * @throws INVALID_ARGUMENT where the array does not fit the problem or the device; OVERFLOW; DEVICE_LOST; LIMIT_EXCEEDED
	 */
	async runResident(x: GpuArray, signal?: AbortSignal): Promise<GpuArray> {
		throwIfAborted(signal);
		const problem = this.#problem;
		const { dtype, layout, sizes, shape } = problem.output;
		const session = await this.#holder.current();
		x.expect(session, problem.image);
		const bytes = roundUp(Math.max(4, product(sizes) * DTYPES[dtype].bytes), 4);
		if (bytes > session.device.limits.maxBufferSize) {
			throw this.#limitError(`one buffer of ${bytes} bytes for the result and the device allows ${session.device.limits.maxBufferSize}`);
		}
		const tally: Tally = { upload: 0, readback: 0, overflowAt: Infinity };
		let result: GPUBuffer | undefined;
		try {
			result = await session.buffers.create(bytes, DEVICE_MEMORY);
			const target = result;
			if (product(sizes) > 0) {
				await this.#withMemory(this.#residentLimits, (limits) =>
					this.#eachPiece(session, limits, signal, (piece) => this.#residentPiece(session, piece, x.buffer, target, tally)),
				);
			}
			throwIfAborted(signal);
			if (tally.overflowAt !== Infinity) throw this.#overflowError(tally.overflowAt);
			return new GpuArray(session, target, { shape, dtype, layout }, true);
		} catch (error) {
			if (result !== undefined) session.buffers.destroy(result);
			throw x.blame(error);
		}
	}

	/** Sums that do not fit the device are formed on the host, under the same thresholds; elements of 8 bytes under those of float64. */
	get checksumArithmetic(): ChecksumArithmetic {
		return isCheckable(this.#problem) ? 'float32' : 'float64';
	}

	async checksum(image: PlaneView, result: PlaneView, scheme: ChecksumScheme, signal?: AbortSignal): Promise<ChecksumFindings> {
		const found = await this.#find(await this.#holder.current(), scheme, { at: 'host', image, result }, signal);
		return found ?? findSuspects({ problem: this.#problem, scheme, image, result }, signal);
	}

	/**
	 * The sums of a checksum over arrays in device memory; what comes back is which of them differ.
	 *
	 * @returns undefined where the device cannot form them
	 */
	async checksumResident(x: GpuArray, y: GpuArray, scheme: ChecksumScheme, signal?: AbortSignal): Promise<ChecksumFindings | undefined> {
		const session = await this.#holder.current();
		x.expect(session, this.#problem.image);
		y.expect(session, this.#problem.output);
		try {
			return await this.#find(session, scheme, { at: 'device', image: x.buffer, result: y.buffer }, signal);
		} catch (error) {
			throw x.blame(error);
		}
	}

	async #find(
		session: DeviceSession,
		scheme: ChecksumScheme,
		arrays: ChecksumArrays,
		signal?: AbortSignal,
	): Promise<ChecksumFindings | undefined> {
		if (!isCheckable(this.#problem)) return undefined;
		const limits = arrays.at === 'host' ? this.#limits : this.#residentLimits;
		try {
			return await findOnDevice(session, this.#problem, scheme, arrays, limits, signal);
		} catch (error) {
			const tooLarge = error instanceof OutOfDeviceMemory || (error instanceof FaltungError && error.code === 'LIMIT_EXCEEDED');
			if (tooLarge) return undefined;
			throw arrays.at === 'host' ? asUserError(error) : error;
		}
	}

	dispose(): void {
		this.#program.dispose();
	}

	#sizes(limits: TileLimits): PerAxis {
		return chooseSizes(this.#problem, limits, this.#work, this.#grain);
	}

	// ── pieces ─────────────────────────────────────────────────────────────────────────────────────────────────────────

	/** Tries again with pieces of half the size while device memory runs out. */
	async #withMemory<T>(most: TileLimits, work: (limits: TileLimits) => Promise<T>): Promise<T> {
		let limits = most;
		for (;;) {
			try {
				return await work(limits);
			} catch (error) {
				if (!(error instanceof OutOfDeviceMemory) || limits.piece < 2 * LEAST_PIECE) throw this.#describeMemory(error);
				const needs = product(this.#problem.output.sizes) * 8; // no use in trying sizes that change nothing
				limits = { ...limits, piece: Math.max(LEAST_PIECE, Math.min(limits.piece, needs) / 2) };
			}
		}
	}

	/** Runs every piece, a few at a time; all have settled when this does. */
	async #eachPiece(
		session: DeviceSession,
		limits: TileLimits,
		signal: AbortSignal | undefined,
		run: (piece: Piece) => Promise<void>,
	): Promise<void> {
		const sizes = this.#sizes(limits);
		const running = new Set<Promise<void>>();
		let failure: { error: unknown } | undefined;
		for (const piece of pieces(this.#problem, sizes)) {
			await session.slots.acquire();
			if (signal?.aborted || failure !== undefined) {
				session.slots.release();
				break;
			}
			const work: Promise<void> = run(piece)
				.catch((error) => {
					failure ??= { error };
				})
				.finally(() => {
					session.slots.release();
					running.delete(work);
				});
			running.add(work);
		}
		await Promise.all(running);
		if (failure !== undefined) throw await session.errors.translate(failure.error);
	}

	/** Upload (where the image is on the host), compute, readback of one piece. */
	async #hostPiece(session: DeviceSession, piece: Piece, image: PlaneView | GPUBuffer, out: PlaneView, tally: Tally): Promise<void> {
		const problem = this.#problem;
		const lease = new Lease(session.buffers);
		try {
			const inHost = 'data' in image;
			const whole = !inHost && piece.batch.count === problem.image.sizes[0]; // its first image is at element 0
			const from = await (inHost ? this.#fromHost(session, lease, piece, image) : this.#fromDevice(session, lease, piece, image, whole));
			const bytes = bufferBytes(product(pieceSizes(piece)), problem.output.dtype);
			const output = await lease.take(bytes, DEVICE_MEMORY);
			const drain = await lease.take(bytes + 4, USAGE.MAP_READ | USAGE.COPY_DST);
			const step = await this.#program.step(session, lease, piece, from.place);

			const uploading = performance.now();
			from.pack();
			tally.upload += performance.now() - uploading;

			const { settled } = session.errors.scope(() => {
				const encoder = session.device.createCommandEncoder({ label: this.plan.name });
				from.bring(encoder);
				step.encode(encoder, from.memory, { buffer: output, size: bytes });
				encoder.copyBufferToBuffer(output, 0, drain, 0, bytes);
				if (step.overflow !== undefined) encoder.copyBufferToBuffer(step.overflow, 0, drain, bytes, 4);
				session.device.queue.submit([encoder.finish()]);
			}, bytes);
			const drained = session.buffers.drain(drain, bytes + 4, (memory) => {
				const draining = performance.now();
				if (step.overflow !== undefined) this.#tallyOverflow(tally, piece, new Uint32Array(memory, bytes, 1)[0] as number);
				const count = product(pieceSizes(piece));
				const starts: PerAxis = [piece.batch.start, piece.channel.start, piece.row.start, piece.col.start];
				const source = rawMemory(memory, problem.output.dtype, count);
				unpackBox(source, arrangementOf(problem.output.layout), { starts, counts: pieceSizes(piece) }, out);
				tally.readback += performance.now() - draining;
			});
			await session.errors.all([drained, settled]);
			lease.release();
		} catch (error) {
			lease.destroy();
			throw error;
		}
	}

	/** One piece from a device buffer into a device buffer; straight, where both fit a binding whole. */
	async #residentPiece(session: DeviceSession, piece: Piece, image: GPUBuffer, result: GPUBuffer, tally: Tally): Promise<void> {
		const { image: from, output: to } = this.#problem;
		const lease = new Lease(session.buffers);
		try {
			const inBinding = bufferBytes(product(from.sizes), from.dtype) <= this.#limits.binding;
			const whole = product(pieceSizes(piece)) === product(to.sizes) && inBinding;
			const input = await this.#fromDevice(session, lease, piece, image, whole);
			const bytes = bufferBytes(product(pieceSizes(piece)), to.dtype);
			const output = whole ? result : await lease.take(bytes, DEVICE_MEMORY);
			const step = await this.#program.step(session, lease, piece, input.place);
			const drain = step.overflow === undefined ? undefined : await lease.take(4, USAGE.MAP_READ | USAGE.COPY_DST);
			const target: SourceBox = { batch: piece.batch, channel: piece.channel, rows: [piece.row], cols: [piece.col] };
			const runs = whole ? [] : reversed(boxRuns(arrangementOf(to.layout), to.sizes, target, DTYPES[to.dtype].bytes));
			const back = await prepareMoves(session, runs, (bytes, usage) => lease.take(bytes, usage));
			const { settled } = session.errors.scope(() => {
				const encoder = session.device.createCommandEncoder({ label: this.plan.name });
				input.bring(encoder);
				step.encode(encoder, input.memory, { buffer: output, size: bytes });
				back(encoder, output, result);
				if (step.overflow !== undefined && drain !== undefined) encoder.copyBufferToBuffer(step.overflow, 0, drain, 0, 4);
				session.device.queue.submit([encoder.finish()]);
			}, bytes);
			if (drain !== undefined) {
				await session.buffers.drain(drain, 4, (memory) => this.#tallyOverflow(tally, piece, new Uint32Array(memory, 0, 1)[0] as number));
			}
			await session.errors.all([settled]);
			lease.release();
		} catch (error) {
			lease.destroy();
			throw error;
		}
	}

	/** The sources of a piece, packed into staging memory. */
	async #fromHost(session: DeviceSession, lease: Lease, piece: Piece, image: PlaneView): Promise<PieceSource> {
		const sources = pieceSources(this.#problem, piece);
		const arrangement = this.#program.arrangement(image);
		const elements = elementsOf(piece, sources);
		const size = bufferBytes(elements, image.dtype);
		const staging = await lease.take(size, USAGE.MAP_WRITE | USAGE.COPY_SRC);
		const buffer = await lease.take(size, DEVICE_MEMORY);
		return {
			place: { ...sources, staged: stagedDense(arrangement, piece.batch.count, sources) },
			memory: { buffer, size },
			pack: () =>
				session.buffers.fill(staging, size, (memory) =>
					packBox(image, boxOf(piece, sources), arrangement, rawMemory(memory, image.dtype, elements)),
				),
			bring: (encoder) => encoder.copyBufferToBuffer(staging, 0, buffer, 0, size),
		};
	}

	/**
	 * The sources of a piece of an image in device memory.
	 *
	 * @param whole the image is read where it lies, for all images of its batch; else the sources are copied out of it
	 */
	async #fromDevice(session: DeviceSession, lease: Lease, piece: Piece, image: GPUBuffer, whole: boolean): Promise<PieceSource> {
		const { layout, sizes, dtype } = this.#problem.image;
		const arrangement = arrangementOf(layout);
		const sources = whole ? wholeSources(this.#problem, piece) : pieceSources(this.#problem, piece);
		const place = { ...sources, staged: stagedDense(arrangement, piece.batch.count, sources) };
		const pack = () => {};
		if (whole) return { place, memory: { buffer: image, size: bufferBytes(product(sizes), dtype) }, pack, bring: () => {} };
		const size = bufferBytes(elementsOf(piece, sources), dtype);
		const buffer = await lease.take(size, DEVICE_MEMORY);
		const runs = boxRuns(arrangement, sizes, boxOf(piece, sources), DTYPES[dtype].bytes);
		const into = await prepareMoves(session, runs, (bytes, usage) => lease.take(bytes, usage));
		return { place, memory: { buffer, size }, pack, bring: (encoder) => into(encoder, image, buffer) };
	}

	// ── what went wrong ────────────────────────────────────────────────────────────────────────────────────────────────

	/** Turns an element of a piece into the linear row-major index of the result, and keeps the lowest. */
	#tallyOverflow(tally: Tally, piece: Piece, at: number): void {
		if (at === NOWHERE) return;
		const [, k, h, w] = pieceSizes(piece);
		const side = this.#interleaved ? k : 1;
		const line = Math.floor(at / (w * side));
		const within = at % (w * side);
		const plane = Math.floor(line / h);
		const local = this.#interleaved
			? [plane, within % k, line % h, Math.floor(within / k)]
			: [Math.floor(plane / k), plane % k, line % h, within];
		const starts = [piece.batch.start, piece.channel.start, piece.row.start, piece.col.start];
		const { layout, shape } = this.#problem.output;
		const strides = toCanonical(layout, rowMajorStrides(shape), 0);
		const linear = local.reduce((sum, index, axis) => sum + (index + (starts[axis] as number)) * (strides[axis] as number), 0);
		tally.overflowAt = Math.min(tally.overflowAt, linear);
	}

	#overflowError(at: number): FaltungError {
		const { dtype, shape } = this.#problem.output;
		const index = rowMajorStrides(shape).map((stride, axis) => Math.floor(at / stride) % (shape[axis] as number));
		return new FaltungError(
			'OVERFLOW',
			`Expected every sum to fit ${dtype} under overflow: 'throw' but pixel [${index.join(', ')}] does not. Use another outputDtype, or overflow: 'saturate'.`,
		);
	}

	#limitError(needs: string, cause?: unknown): FaltungError {
		return new FaltungError(
			'LIMIT_EXCEEDED',
			`Expected the device to hold ${describe(this.#problem)} but it needs ${needs}. Free device memory, or use backend: 'native'.`,
			{ cause },
		);
	}

	#describeMemory(error: unknown): unknown {
		if (!(error instanceof OutOfDeviceMemory)) return error;
		return this.#limitError(`${error.bytes} bytes of device memory at once, even in the smallest pieces (${error.message})`, error);
	}
}
