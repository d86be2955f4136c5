/**
 * What a backend is: something that can run a Plan on host memory.
 *
 * It is NOT asked to validate (api/ did), to choose among backends (plan/ does), to know a boundary mode (it reads index maps from
 * core/boundary.ts), to verify, or to make error messages about the caller's arguments.
 *
 * Order: runs of one Executable may overlap; each sees its own image and out. Ownership: image and out belong to the
 * caller; whatever an Executable holds (kernel copies, pipelines, device buffers) is freed by its dispose().
 */
import type { ChecksumArithmetic } from '../core/bounds.ts';
import type { ChecksumScheme } from '../core/checksum-scheme.ts';
import type { ChecksumFindings } from '../core/checksum-sums.ts';
import type { Dtype, TypedArray } from '../core/dtype.ts';
import type { PlaneView } from '../core/ndarray.ts';
import type { Algorithm, Candidate, Plan } from '../core/plan.ts';
import type { Problem, SumKind } from '../core/problem.ts';

/** Constants of a cost model: plain data, shipped with the library or measured on this machine. */
export interface Costs {
	/** Where they come from: the machine and the date. */
	readonly from: string;
	/** By name; as many numbers each as the model has terms of that name. */
	readonly numbers: Readonly<Record<string, readonly number[]>>;
}

/** What was measured on a device that computes shaders: plain data, kept in the calibration file under the device's name. */
export interface DeviceMeasurements {
	/** The fastest variants: by axis of the table in src/backend/webgpu/tuning.ts. */
	readonly variants: Readonly<Record<string, readonly number[]>>;
	/** Multiply-adds a millisecond by shader, of `fft` complex numbers through a pass; and `bytes` of device memory, of transforms `fftBytes`. */
	readonly rates: Readonly<Record<string, number>>;
	/** ISO 8601. */
	readonly date: string;
}

/** What a backend can do on this machine: plain data, so that choosing stays a pure function of it. */
export interface Capabilities {
	readonly backend: string;
	readonly device?: string;
	readonly isa?: string;
	readonly threads: number;
	readonly algorithms: readonly Algorithm[];
	readonly sums: readonly SumKind[];
	/** Numbers worth showing: cache sizes, buffer limits. */
	readonly limits: Readonly<Record<string, number | string>>;
	/** True where it also works on arrays in its own device's memory. */
	readonly resident?: boolean;
	/** What its plans' predicted times rest on. */
	readonly costs?: Costs;
	/** What is to be said in every report: a calibration file that cannot be used. */
	readonly warnings?: readonly string[];
	/** True for emulated devices: used when asked for, never chosen by 'auto'. */
	readonly software?: boolean;
}

/** Milliseconds, as far as the backend can tell them apart. */
export interface RunTimings {
	compute: number;
	upload?: number;
	readback?: number;
}

export interface RunOutcome {
	timings: RunTimings;
	/**
	 * Under `overflow: 'throw'`: linear row-major index, in the result's shape, of the first pixel that does not fit.
	 * The caller turns it into an OVERFLOW error.
	 */
	overflowAt?: number;
	warnings?: readonly string[];
}

/** An image in a backend's own memory, for one run. */
export interface FilledImage {
	/** As Executable.run. */
	run(out: PlaneView, signal?: AbortSignal): Promise<RunOutcome>;
	/** As Executable.checksum. */
	checksum(out: PlaneView, scheme: ChecksumScheme, signal?: AbortSignal): Promise<ChecksumFindings>;
	/** Copies it to the host. */
	read(): Promise<PlaneView>;
	/** Gives the memory back; idempotent. */
	dispose(): void;
}

export interface Executable {
	readonly plan: Plan;
	/**
	 * Computes every output pixel. `image` has the problem's sizes and any strides; `out` has the output's sizes and any
	 * strides that do not overlap. Small work may return at once, without a promise.
	 *
	 * Rejects with the signal's reason when aborted, else with a FaltungError. Once settled it touches neither again.
	 */
	run(image: PlaneView, out: PlaneView, signal?: AbortSignal): RunOutcome | Promise<RunOutcome>;
	/**
	 * Optional: the sums of `verify: 'checksum'` over a result that run() gave, in the backend's own way. Without it those of
	 * core/checksum-sums.ts are taken, which also say what must be found.
	 */
	checksum?(image: PlaneView, out: PlaneView, scheme: ChecksumScheme, signal?: AbortSignal): Promise<ChecksumFindings>;
	/**
	 * Optional: an image in memory of the backend's own, which `fill` writes, dense and row-major, at most once and before this resolves.
	 * `fill` is the caller's code: what it throws comes through, and its memory is given back.
	 *
	 * @param need `checksum`: the sums must be possible over it
	 * @returns undefined, with `fill` not called, where there is no such memory: run() then takes host memory
	 */
	stage?(fill: (memory: TypedArray) => void, need: { checksum: boolean }, signal?: AbortSignal): Promise<FilledImage | undefined>;
	/** What checksum() sums floats in; default float64. */
	readonly checksumArithmetic?: ChecksumArithmetic | undefined;
	/** Frees what the executable holds; idempotent. Never called while a run is pending. */
	dispose(): void;
}

export interface Backend {
	readonly name: string;
	readonly capabilities: Capabilities;
	/** Every option of this backend for a problem, or the reason against it. Pure. */
	candidates(problem: Problem, wish: PlanWish): Candidate[];
	/** Compiles, copies the kernel: everything that does not depend on the pixels. */
	prepare(problem: Problem, plan: Plan): Promise<Executable>;
	/** Memory for a result of `length` elements; default: a plain typed array. */
	allocate?(dtype: Dtype, length: number): TypedArray;
}

/** The caller's wishes that candidates depend on beside the problem. */
export interface PlanWish {
	readonly method: 'auto' | Algorithm;
	readonly threads?: number;
	readonly tolerance?: number;
	readonly accuracy: 'norm' | 'pixel';
	/** 'device': image and result are in the device's memory. Default: both are in host memory, and transfers count. */
	readonly memory?: 'host' | 'device';
}
