/** What a call gives back beside the pixels. */
import type { Dtype, DtypeArrays, TypedArray } from '../core/dtype.ts';
import type { NdArray } from '../core/ndarray.ts';
import type { Verification } from '../core/verify.ts';
import type { ImageInput } from './arrays.ts';

export interface Report {
	/** Name of the plan that gave the result. */
	plan: string;
	backend: string;
	algorithm: string;
	/** Largest error of a sum, relative to max|image|·Σ|kernel|; 0: exact. That of a split taken under `tolerance` is in it. */
	bound: number;
	device?: string;
	isa?: string;
	threads?: number;
	/** Milliseconds. */
	timings: { total: number; upload?: number; compute?: number; readback?: number };
	/** null: not verified. */
	verification: null | Verification;
	/** Plans that were tried before and failed. */
	fallbacks: { plan: string; code: string; message: string }[];
	warnings: string[];
}

export interface ConvolveResult<T extends TypedArray = TypedArray> {
	/** The result's elements; `out`'s own typed array where one was given. */
	data: T;
	shape: readonly number[];
	dtype: Dtype;
	/** Present where `out` was a strided view. */
	strides?: readonly number[];
	/** Present where `out` was a strided view. */
	offset?: number;
	report: Report;
}

/** The typed array of a result: that of `outputDtype`, else the image's own (a nested image is float64, a source says its dtype). */
export type DataOf<I extends ImageInput, O> = O extends { outputDtype: infer D extends Dtype }
	? DtypeArrays[D]
	: I extends NdArray<infer T>
		? T extends Uint8ClampedArray
			? Uint8Array
			: T
		: I extends { readonly dtype: infer D extends Dtype }
			? DtypeArrays[D]
			: Float64Array;
