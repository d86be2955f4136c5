/** The compiled addon, as native/addon.c and native/addon_run.c define it. Numbers are those of the enums in native/conv.h. */
import { DTYPE_NAMES, type Dtype, type TypedArray } from '../../core/dtype.ts';

/** An object that only the addon can read. */
export type Handle = object;

/** `status` 0: done, 2: no memory, 3: cancelled; `overflowAt` −1: everything fits; `findings` of a checksum that is done. */
export type Settled = (status: number, overflowAt: number, milliseconds: number, findings?: Float64Array) => void;

export interface Addon {
	/** Instruction sets of this build that this machine runs, best first. */
	isas(): string[];
	/** By accumulator number: rows and columns of a register block; a hole where the scalar body computes. */
	kernels(isa: string): ([rows: number, columns: number] | undefined)[];
	prepare(
		isa: string,
		geometry: BigInt64Array,
		windows: BigInt64Array,
		taps: Float64Array | BigInt64Array | BigUint64Array,
		maps: Int32Array,
		scale: Float64Array,
		bias: Float64Array,
		splits: BigInt64Array,
		factors: Float64Array | BigInt64Array | BigUint64Array,
	): Handle;
	dispose(executable: Handle): void;
	/** What computes ('scalar' or an instruction set), and how many tiles it has computed so far. */
	body(executable: Handle): [name: string, tiles: number];
	/** Computes on the calling thread; the first overflow, or −1. */
	runHere(executable: Handle, image: TypedArray, out: TypedArray, views: BigInt64Array): number;
	/** Computes on the pool. The buffers of image and out are kept until `settled` is called. */
	start(executable: Handle, image: TypedArray, out: TypedArray, views: BigInt64Array, threads: number, settled: Settled): Handle;
	/** Like start, for the sums of a checksum over a result; `parameters` in the order of the enum in native/addon_run.c. */
	checksum(
		executable: Handle,
		image: TypedArray,
		out: TypedArray,
		views: BigInt64Array,
		threads: number,
		settled: Settled,
		parameters: Float64Array,
	): Handle;
	cancel(run: Handle): void;
	/** Asks for large pages under fresh memory, which a run is going to fill; best effort. */
	preferLargePages(array: TypedArray): void;
	/** GB/s of result bytes: one streaming copy from one array to another. */
	probeCopy(isa: string, to: TypedArray, from: TypedArray, threads: number): number;
	/** float32 GFLOP/s of multiply-adds out of registers with all threads at once. */
	probeMultiplyAdd(isa: string, threads: number): number;
}

export const STATUS_NO_MEMORY = 2;
export const STATUS_CANCELLED = 3;

/** Most threads of the pool. */
export const MOST_THREADS = 256;

/** Accumulators of native/conv.h, in order. */
export const ACCUMULATORS = ['f32', 'f64', 'i16', 'i64', 'i128', 'i192'] as const;
export type NativeAccumulator = (typeof ACCUMULATORS)[number];

export const dtypeNumber = (dtype: Dtype): number => DTYPE_NAMES.indexOf(dtype);
