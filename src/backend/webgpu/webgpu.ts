/** The backend `webgpu`: compute shaders through the npm package `webgpu` in Node, through `navigator.gpu` elsewhere. */
import { DTYPES, type Dtype } from '../../core/dtype.ts';
import { FaltungError, invalid } from '../../core/errors.ts';
import type { ImageSnapshot } from '../../core/images.ts';
import { elementCount, LAYOUTS, type Layout, type NdArray, type PlaneView } from '../../core/ndarray.ts';
import type { Candidate, Plan } from '../../core/plan.ts';
import type { Problem } from '../../core/problem.ts';
import { guarded, word } from '../../core/snapshot.ts';
import { fillOnHost, type ImageSource, isSource, type SourceSnapshot, snapshotInput } from '../../core/source.ts';
import type { Backend, Capabilities, DeviceMeasurements, PlanWish } from '../backend.ts';
import { type MemoryUse, roundUp, USAGE } from './buffers.ts';
import { candidates, programOf } from './candidates.ts';
import { type DeviceOptions, type DeviceSession, openSession, SessionHolder } from './device.ts';
import { arrangementOf } from './direct.ts';
import { asUserError, OutOfDeviceMemory } from './errors.ts';
import { WebGpuExecutable } from './executable.ts';
import { bufferBytes, FILL_LIMIT, fillBuffer } from './filled.ts';
import { GpuArray, isGpuArray } from './gpu-array.ts';
import { checkPlan, checkProblem, checkWish, readWebGpuOptions, readWrapped } from './options.ts';
import { packBox, rawMemory } from './region.ts';
import type { TileLimits } from './tiler.ts';
import { tunedFor } from './tuning.ts';

/** Bytes of input or output of one piece: small enough to overlap transfers with work, large enough that a call's overhead is lost in it. */
const PIECE_BYTES = 32 * 2 ** 20;

/** Multiply-adds of one dispatch: tenths of a second on a small GPU (half of 10^12 a second), a second or so on an emulated one. */
const PIECE_PRODUCTS = 2 ** 36;
const SOFTWARE_PIECE_PRODUCTS = 2 ** 28;

/** Outputs of a piece from which the longer compile of a faster variant pays: on lavapipe it takes a third of a second more. */
const BLOCKED_FROM = 2 ** 16;

/** Bytes of one step of an upload. */
const UPLOAD_STEP = 32 * 2 ** 20;

export interface WebGpuOptions extends DeviceOptions {
	/** Smaller limits than the device's own; the pieces that a result is cut into keep to them. */
	readonly limits?: Partial<TileLimits>;
}

/** What the registry knows besides. */
export interface Known {
	/** What was measured on devices (faltung calibrate), by their names. */
	readonly measured?: Readonly<Record<string, DeviceMeasurements>>;
	/** What is to be said in every report. */
	readonly warnings?: readonly string[];
}

function tileLimits(session: DeviceSession, asked: Partial<TileLimits> = {}, { measured }: Known = {}): TileLimits {
	const { limits } = session.device;
	return {
		binding: Math.min(limits.maxStorageBufferBindingSize, asked.binding ?? Infinity),
		buffer: Math.min(limits.maxBufferSize, asked.buffer ?? Infinity),
		storage: Math.min(limits.maxComputeWorkgroupStorageSize, asked.storage ?? Infinity),
		threads: Math.min(limits.maxComputeInvocationsPerWorkgroup, asked.threads ?? Infinity),
		tuning: asked.tuning ?? tunedFor(session.facts.name, measured?.[session.facts.name]),
		piece: asked.piece ?? PIECE_BYTES,
		blocked: asked.blocked ?? BLOCKED_FROM,
		products: asked.products ?? (session.facts.software ? SOFTWARE_PIECE_PRODUCTS : PIECE_PRODUCTS),
	};
}

function capabilitiesOf({ device, facts }: DeviceSession, { tuning }: TileLimits, { warnings }: Known): Capabilities {
	const { limits } = device;
	return {
		backend: 'webgpu',
		device: facts.name,
		threads: 1,
		algorithms: ['direct', 'separable', 'lowrank', 'box', 'fft'],
		sums: ['integer', 'float32'],
		limits: {
			maxBufferSize: limits.maxBufferSize,
			maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
			maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
			maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
			maxComputeWorkgroupsPerDimension: limits.maxComputeWorkgroupsPerDimension,
			features: facts.features.join(' '),
			tuning: tuning.provenance,
		},
		resident: true,
		software: facts.software,
		...(warnings === undefined || warnings.length === 0 ? {} : { warnings }),
	};
}

/** A WebGPU device as a backend, and a place for arrays. */
export class WebGpu implements Backend {
	readonly name = 'webgpu';
	readonly capabilities: Capabilities;
	readonly #holder: SessionHolder;
	readonly #limits: TileLimits;
	readonly #rates: DeviceMeasurements['rates'] | undefined;
	/** Nothing passes through staging memory: pieces may be as large as a binding. */
	readonly #residentLimits: TileLimits;

	constructor(session: DeviceSession, options: WebGpuOptions, known: Known) {
		this.#holder = new SessionHolder(session, options, this);
		this.#limits = tileLimits(session, options.limits, known);
		this.#rates = known.measured?.[session.facts.name]?.rates;
		this.#residentLimits = { ...this.#limits, piece: options.limits?.piece ?? this.#limits.binding };
		this.capabilities = capabilitiesOf(session, this.#limits, known);
	}

	/** The device in use; another one after a loss. */
	get device(): GPUDevice {
		return this.#holder.latest.device;
	}

	/** Bytes of device memory: held now, the most ever held on this device, idle for reuse. Uploaded arrays and results count. */
	get memory(): MemoryUse {
		return this.#holder.latest.buffers.use;
	}

	/** @throws INVALID_ARGUMENT where they are none */
	candidates(problem: Problem, wish: PlanWish): Candidate[] {
		checkProblem(problem);
		checkWish(wish);
		const { facts } = this.#holder.latest;
		return candidates(problem, wish, { device: facts.name, software: facts.software, limits: this.#limits, rates: this.#rates });
	}

	/** @throws INVALID_ARGUMENT where they are none, or do not belong together */
	async prepare(problem: Problem, plan: Plan): Promise<WebGpuExecutable> {
		checkProblem(problem);
		checkPlan(plan, problem);
		const program = programOf(problem, plan, this.#limits);
		const executable = new WebGpuExecutable(problem, plan, program, this.#holder, { host: this.#limits, resident: this.#residentLimits });
		await executable.warm();
		return executable;
	}

	/**
	 * Copies an image into device memory, or has a callback write it into the memory that is copied from.
	 *
	 * @param image an NdArray or ImageSource of any dtype but float64; `layout` is needed unless its rank is 2
	 * @throws INVALID_ARGUMENT, UNSUPPORTED, DEVICE_LOST, LIMIT_EXCEEDED
	 */
	async upload(image: (NdArray | ImageSource) & { layout?: Layout }): Promise<GpuArray> {
		const given = readImage(image);
		const { dtype, shape, layout } = given;
		const session = await this.#holder.current();
		const size = bufferBytes(elementCount(shape), dtype);
		if (size > session.device.limits.maxBufferSize) {
			throw new FaltungError(
				'LIMIT_EXCEEDED',
				`Expected an image of at most ${session.device.limits.maxBufferSize} bytes (the device's largest buffer) but received ${size}. Use run() on host memory.`,
			);
		}
		try {
			const buffer = await session.buffers.create(size, USAGE.STORAGE | USAGE.COPY_SRC | USAGE.COPY_DST);
			try {
				await bringTo(session, buffer, given);
			} catch (error) {
				session.buffers.destroy(buffer);
				throw error;
			}
			return new GpuArray(session, buffer, { shape, dtype, layout }, true);
		} catch (error) {
			if (!(error instanceof OutOfDeviceMemory)) throw asUserError(await session.errors.translate(error));
			throw new FaltungError('LIMIT_EXCEEDED', `Expected the device to have ${error.message}. Free device memory.`, { cause: error });
		}
	}

	/**
	 * Takes somebody else's buffer as an array: dense, row-major from byte 0. It must be of this device, STORAGE | COPY_SRC, unmapped, alive, and
	 * hold every element in whole words; WebGPU tells the device and whether it is alive only when the buffer is used, so those two
	 * are found out by the first use. The buffer is never destroyed here.
	 *
	 * @throws INVALID_ARGUMENT
	 */
	wrap(array: { buffer: GPUBuffer; shape: readonly number[]; dtype: Dtype; layout?: Layout }): GpuArray {
		this.#holder.check();
		const { buffer, ...is } = readWrapped(array);
		return new GpuArray(this.#holder.latest, buffer, is, false);
	}

	/** Frees what is idle and, unless it was borrowed, destroys the device; idempotent. */
	dispose(): void {
		this.#holder.dispose();
	}

	[Symbol.dispose](): void {
		this.dispose();
	}
}

/** An image of the host, checked. @throws INVALID_ARGUMENT, UNSUPPORTED */
function readImage(image: unknown): ImageSnapshot | SourceSnapshot {
	if (isGpuArray(image)) throw invalid('an image in memory of the host', 'image', 'a GpuArray', 'It lies on its device already.');
	const layout = guarded('image', () => (image as { layout?: unknown } | null | undefined)?.layout);
	const read = snapshotInput(image, layout === undefined ? undefined : word(layout, LAYOUTS, 'image.layout'), 'image.layout');
	if (read.dtype !== 'float64') return read;
	throw new FaltungError(
		'UNSUPPORTED',
		'Expected a dtype that a GPU computes with for image but received float64, which is also what nested arrays are. ' +
			'Give { data: Float32Array.from(…), shape: [height, width] }.',
	);
}

/** Fills a buffer; a callback writes staging memory in place where the image is not too large for that. */
async function bringTo(session: DeviceSession, buffer: GPUBuffer, image: ImageSnapshot | SourceSnapshot): Promise<void> {
	const { dtype, shape, layout } = image;
	const elements = elementCount(shape);
	if (!isSource(image)) await uploadTo(session, buffer, image.view, layout);
	else if (elements === 0 || bufferBytes(elements, dtype) > FILL_LIMIT) await uploadTo(session, buffer, fillOnHost(image).view, layout);
	else {
		const { settled } = await fillBuffer(session, buffer, { dtype, elements }, image.fill);
		await session.errors.all([settled]);
	}
}

/** Copies a view through staging memory, in steps of whole rows of whole words where it is large. */
async function uploadTo(session: DeviceSession, buffer: GPUBuffer, view: PlaneView, layout: Layout): Promise<void> {
	const { device, errors, buffers } = session;
	const arrangement = arrangementOf(layout);
	const [n, c, h, w] = view.sizes;
	const { bytes } = DTYPES[view.dtype];
	const side = arrangement === 'interleaved' ? c : 1;
	const lineBytes = w * side * bytes;
	// 4 rows are whole words at any width
	const step = Math.max(4, Math.floor(UPLOAD_STEP / Math.max(1, lineBytes) / 4) * 4);
	const planes = arrangement === 'interleaved' ? n : n * c;
	const whole = planes * h * lineBytes <= UPLOAD_STEP || (h * lineBytes) % 4 !== 0;
	for (let plane = 0; plane < (whole ? 1 : planes); plane++) {
		for (let row = 0; row < h; row += whole ? h : step) {
			const rows = whole ? h : Math.min(step, h - row);
			const batch = whole ? { start: 0, count: n } : { start: arrangement === 'interleaved' ? plane : Math.floor(plane / c), count: 1 };
			const channel = whole || arrangement === 'interleaved' ? { start: 0, count: c } : { start: plane % c, count: 1 };
			const box = { batch, channel, rows: [{ start: row, count: rows }], cols: [{ start: 0, count: w }] };
			const elements = batch.count * channel.count * rows * w;
			if (elements === 0) continue;
			const size = roundUp(elements * bytes, 4);
			const staging = await buffers.acquire(size, USAGE.MAP_WRITE | USAGE.COPY_SRC);
			buffers.fill(staging, size, (memory) => packBox(view, box, arrangement, rawMemory(memory, view.dtype, elements)));
			const { settled } = errors.scope(() => {
				const encoder = device.createCommandEncoder({ label: 'upload' });
				encoder.copyBufferToBuffer(staging, 0, buffer, whole ? 0 : (plane * h + row) * lineBytes, size);
				device.queue.submit([encoder.finish()]);
			});
			buffers.release(staging);
			await errors.all([settled]);
		}
	}
}

/**
 * Opens a WebGPU device.
 *
 * @throws INVALID_ARGUMENT; BACKEND_UNAVAILABLE with the reason: no package, no adapter, no device
 */
export async function openWebGpu(options: WebGpuOptions = {}, known: Known = {}): Promise<WebGpu> {
	const read = readWebGpuOptions(options);
	return new WebGpu(await openSession(read), read, known);
}
