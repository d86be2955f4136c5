/**
 * Devices: where WebGPU comes from, which adapter is taken, what is asked of it, and whether it is a real GPU.
 *
 * A browser (or Deno) has `navigator.gpu`; Node gets the optional npm package `webgpu` (Dawn), imported only here and only when
 * wanted. An own device is asked for with the adapter's own limits; a borrowed one is used within the limits it has.
 */

import { FaltungError, invalid } from '../../core/errors.ts';
import type { Backend } from '../backend.ts';
import { BufferPool, Semaphore } from './buffers.ts';
import { DeviceErrors } from './errors.ts';
import { PipelineCache } from './pipelines.ts';

export interface DeviceOptions {
	/** A device to borrow: used within its limits, never destroyed. */
	readonly device?: GPUDevice;
	/** Default 'high-performance'. */
	readonly powerPreference?: GPUPowerPreference;
	/** Part of the adapter's name, where the npm package `webgpu` provides it. */
	readonly adapter?: string;
	/**
	 * Bounds checks of every buffer access in the shader; default true. Off (npm package `webgpu` only) is faster on some devices and
	 * leaves nothing between a defect and foreign memory.
	 */
	readonly robustness?: boolean;
	/** Ask for the feature timestamp-query, where the adapter has it. Default false. */
	readonly timestamps?: boolean;
	/** Most bytes of device memory held at a time; default: what the device gives. */
	readonly memory?: number;
}

/** What is known of an adapter. */
export interface AdapterFacts {
	/** Vendor, architecture and description, as the driver says them. */
	readonly name: string;
	/** An emulation on the CPU. */
	readonly software: boolean;
	readonly features: readonly string[];
}

/** Pieces of work that may be under way on one device at a time: one is filled while one computes and one is drained. */
export const PIECES_IN_FLIGHT = 3;

/** The limits that the shaders and the tiler live by. */
const REQUESTED_LIMITS = [
	'maxBufferSize',
	'maxStorageBufferBindingSize',
	'maxStorageBuffersPerShaderStage',
	'maxComputeWorkgroupStorageSize',
	'maxComputeInvocationsPerWorkgroup',
	'maxComputeWorkgroupSizeX',
	'maxComputeWorkgroupSizeY',
	'maxComputeWorkgroupSizeZ',
	'maxComputeWorkgroupsPerDimension',
] as const;

/**
 * Toggles of an own device under Dawn (npm package `webgpu`): buffers are always written before they are read, so nothing needs
 * clearing on first use, and timestamps are wanted as they are.
 */
const DISABLED_TOGGLES = ['timestamp_quantization', 'lazy_clear_resource_on_first_use'];
const UNCHECKED_TOGGLES = ['disable_robustness', 'disable_workgroup_init'];

const unavailable = (expected: string, received: string, next: string): FaltungError =>
	new FaltungError('BACKEND_UNAVAILABLE', `Expected ${expected} for backend webgpu but received ${received}. ${next}`);

interface DawnPackage {
	create(options: string[]): GPU;
}

/** Dawn instances by their options: a process needs one of each. */
const instances = new Map<string, GPU>();

async function dawn(options: DeviceOptions): Promise<GPU> {
	const list = [`disable-dawn-features=${DISABLED_TOGGLES.join(',')}`];
	if (options.robustness === false) list.push(`enable-dawn-features=${UNCHECKED_TOGGLES.join(',')}`);
	if (options.adapter !== undefined) list.push(`adapter=${options.adapter}`);
	const key = list.join(' ');
	let gpu = instances.get(key);
	if (gpu === undefined) {
		const name = 'webgpu'; // not a literal import: bundlers must not look for it
		let found: DawnPackage;
		try {
			found = (await import(name)) as DawnPackage;
		} catch (cause) {
			const why = `${(cause as Error).message.split('\n')[0]}`;
			throw new FaltungError(
				'BACKEND_UNAVAILABLE',
				`Expected navigator.gpu or the npm package webgpu for backend webgpu but received: ${why} Install it with npm install webgpu, or use backend: 'native'.`,
				{ cause },
			);
		}
		gpu = found.create(list);
		instances.set(key, gpu);
	}
	return gpu;
}

function findGpu(options: DeviceOptions): Promise<GPU> {
	const present = (globalThis as { navigator?: { gpu?: GPU } }).navigator?.gpu;
	const needsDawn = options.robustness === false || options.adapter !== undefined;
	return present && !needsDawn ? Promise.resolve(present) : dawn(options);
}

/** Known emulations, for drivers that do not say so themselves. */
const SOFTWARE = /llvmpipe|lavapipe|swiftshader|softpipe|microsoft basic render|\bwarp\b/i;

/** Reads what an adapter says of itself. */
export function adapterFacts(info: GPUAdapterInfo | undefined, features: Iterable<string>): AdapterFacts {
	const parts = [info?.vendor, info?.architecture, info?.device, info?.description].filter((part) => part);
	const name = [...new Set(parts)].join(' ') || 'unnamed adapter';
	// the flag alone is not enough: not every implementation has it
	return { name, software: info?.isFallbackAdapter === true || SOFTWARE.test(name), features: [...features].sort() };
}

/** One device with all that lives and dies with it. */
export class DeviceSession {
	readonly device: GPUDevice;
	readonly facts: AdapterFacts;
	readonly errors: DeviceErrors;
	readonly buffers: BufferPool;
	readonly pipelines: PipelineCache;
	readonly slots = new Semaphore(PIECES_IN_FLIGHT);
	/** Images that callbacks filled: as many are held at a time. */
	readonly fills = new Semaphore(PIECES_IN_FLIGHT);
	/** The backend that runs on this device. */
	owner: Backend | undefined;
	/** Its device was destroyed because the user is done with it. */
	closed = false;
	readonly #borrowed: boolean;

	constructor(device: GPUDevice, facts: AdapterFacts, options: DeviceOptions) {
		this.device = device;
		this.facts = facts;
		this.errors = new DeviceErrors(device);
		this.buffers = new BufferPool(device, this.errors, options.memory ?? Infinity);
		this.pipelines = new PipelineCache(device, this.errors);
		this.#borrowed = options.device !== undefined;
	}

	dispose(): void {
		this.buffers.dispose();
		if (!this.#borrowed) this.device.destroy();
	}
}

/** Opens a device, or takes the borrowed one. @throws BACKEND_UNAVAILABLE with the reason */
export async function openSession(options: DeviceOptions): Promise<DeviceSession> {
	if (options.device !== undefined) {
		const { device } = options;
		return new DeviceSession(device, adapterFacts(device.adapterInfo, device.features), options);
	}
	const gpu = await findGpu(options);
	// a fresh adapter each time: one adapter gives one device
	let adapter: GPUAdapter | null = null;
	let received = 'none';
	try {
		adapter = await gpu.requestAdapter({ powerPreference: options.powerPreference ?? 'high-performance' });
	} catch (cause) {
		received = (cause as Error).message.replace(/\s+/g, ' ').trim(); // Dawn throws where no adapter bears the name
	}
	if (adapter === null) {
		const next = "Install a driver (Vulkan on Linux: apt install mesa-vulkan-drivers libvulkan1), or use backend: 'native'.";
		throw unavailable(options.adapter === undefined ? 'a GPU adapter' : `an adapter named like "${options.adapter}"`, received, next);
	}
	const timed = options.timestamps === true && adapter.features.has('timestamp-query');
	const requiredLimits = Object.fromEntries(REQUESTED_LIMITS.map((name) => [name, adapter.limits[name]]));
	try {
		const device = await adapter.requestDevice({ label: 'faltung', requiredLimits, requiredFeatures: timed ? ['timestamp-query'] : [] });
		return new DeviceSession(device, adapterFacts(adapter.info, device.features), options);
	} catch (cause) {
		throw unavailable('a device', (cause as Error).message, "Close other programs that use the GPU, or use backend: 'native'.");
	}
}

/** The current device of a backend; a lost one of its own is replaced at the next call. */
export class SessionHolder {
	readonly #options: DeviceOptions;
	#session: DeviceSession;
	#opening: Promise<DeviceSession> | undefined;
	#disposed = false;

	constructor(session: DeviceSession, options: DeviceOptions, owner?: Backend) {
		this.#session = session;
		this.#options = options;
		session.owner = owner;
	}

	/** The last opened one, which may be lost by now. */
	get latest(): DeviceSession {
		return this.#session;
	}

	/** @throws INVALID_ARGUMENT where it has been disposed */
	check(): void {
		if (this.#disposed) throw invalid('a live WebGpu', 'gpu', 'a disposed one', 'Open another with openWebGpu().');
	}

	/** A live one. @throws DEVICE_LOST where a borrowed device is lost */
	current(): Promise<DeviceSession> {
		this.check();
		if (this.#session.errors.lost === undefined) return Promise.resolve(this.#session);
		if (this.#options.device !== undefined) throw this.#session.errors.lossError();
		this.#opening ??= openSession(this.#options)
			.then((session) => {
				session.owner = this.#session.owner;
				this.#session.dispose();
				this.#session = session;
				return session;
			})
			.finally(() => {
				this.#opening = undefined;
			});
		return this.#opening;
	}

	dispose(): void {
		if (this.#disposed) return;
		this.#disposed = true;
		this.#session.closed = this.#options.device === undefined;
		this.#session.dispose();
	}
}
