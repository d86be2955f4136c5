/**
 * From a source, a kernel and flags to a call of the library, and from its result to what is written: alpha is split off and put
 * back, results of both signs are made visible.
 */
import { convolve } from '../api/convolve.ts';
import type { ConvolverOptions } from '../api/convolver.ts';
import type { ConvolveResult } from '../api/report.ts';
import { DTYPES, type Dtype, reader, storeReal, type TypedArray } from '../core/dtype.ts';
import { invalid } from '../core/errors.ts';
import { elementCount, type NdArray } from '../core/ndarray.ts';
import { dilatedSize } from '../core/problem.ts';
import { sum } from '../kernels/taps.ts';
import type { PictureFormat } from '../node/images.ts';
import type { ParsedKernel } from './kernel-spec.ts';
import { type FilterFlags, libraryOptions, type Signed } from './settings.ts';
import type { Source } from './source.ts';
import { figure } from './terminal.ts';

export interface Job {
	/** For convolve() or a convolver; `layout` is among them. */
	readonly options: ConvolverOptions;
	readonly image: NdArray;
	/** What will be done to the values, in words. */
	readonly notes: readonly string[];
	/** Makes the result what is written. */
	finish(result: ConvolveResult): Promise<NdArray>;
}

/** How a wide signed result becomes samples: gain·v, or gain·|v|, plus an offset. */
interface Display {
	readonly signed: 'magnitude' | 'shift';
	readonly gain: number;
	readonly offset: number;
	readonly dtype: 'uint8' | 'uint16';
}

const isSample = (dtype: Dtype): dtype is 'uint8' | 'uint16' => dtype === 'uint8' || dtype === 'uint16';

/** A kernel sums to 0 where what is left is rounding of its float32 weights. */
const ZERO_SUM = 2 ** -20;

function signsOf(kernel: ParsedKernel): { zeroSum: boolean; strongest: number; magnitude: number } {
	const positive = sum(kernel.weights.map((w) => Math.max(w, 0)));
	const negative = sum(kernel.weights.map((w) => Math.max(-w, 0)));
	return {
		zeroSum: negative > 0 && Math.abs(positive - negative) <= ZERO_SUM * (positive + negative),
		strongest: Math.max(positive, negative),
		magnitude: positive + negative,
	};
}

/** Decides everything that can be decided before the work. @throws FaltungError INVALID_ARGUMENT for what the output format cannot hold */
export function makeJob(source: Source, kernel: ParsedKernel, flags: FilterFlags, format: PictureFormat | 'npy'): Job {
	const defaults: ConvolverOptions = source.format === 'npy' ? {} : { mode: 'same', boundary: 'symmetric', layout: 'HWC' };
	const options: ConvolverOptions = { ...defaults, ...libraryOptions(flags) };
	if (source.format !== 'npy' && flags.layout !== undefined)
		throw invalid('no --layout beside a picture', '--layout', flags.layout, 'A picture is HWC.');
	const { image, alpha } = splitAlpha(source, flags);
	const shown = format === 'npy' ? keepValues(source, kernel, options, flags) : asPicture(source, kernel, options, flags, format);
	const layout = options.layout ?? (source.image.shape.length === 2 ? 'HW' : undefined);
	if (format !== 'npy' && layout !== undefined && layout !== 'HW' && layout !== 'HWC') {
		throw invalid('layout HW or HWC', `an output in ${format}`, layout, 'Write .npy.');
	}
	if (format === 'jpeg' && alpha !== undefined)
		throw invalid('no alpha channel', 'an output in jpeg', 'one', 'Add --alpha drop, or write PNG or WebP.');
	const squeeze = format === 'npy' && source.format !== 'npy' && source.grey && kernel.count === 1;
	return {
		image,
		options: shown.options,
		notes: shown.notes,
		async finish(result) {
			const made = shown.display === undefined ? result : applyDisplay(result, shown.display);
			const whole = alpha === undefined ? made : await putAlphaBack(made, alpha, source.dtype, kernel, options);
			return squeeze && whole.shape[2] === 1 ? { ...whole, shape: whole.shape.slice(0, 2) } : whole;
		},
	};
}

/** The colours as a view that leaves alpha out, and alpha as a view of its own. */
function splitAlpha(source: Source, flags: FilterFlags): { image: NdArray; alpha: NdArray | undefined } {
	const { image } = source;
	if (!source.alpha || flags.alpha === 'filter') return { image, alpha: undefined };
	const [height, width, channels] = image.shape as [number, number, number];
	const strides = [width * channels, channels, 1];
	const colours = { data: image.data, shape: [height, width, channels - 1], strides };
	const alpha = { data: image.data, shape: [height, width], strides: strides.slice(0, 2), offset: channels - 1 };
	return { image: colours, alpha: flags.alpha === 'drop' ? undefined : alpha };
}

type Shown = { options: ConvolverOptions; notes: string[]; display?: Display };

/** For .npy the numbers are what matters: nothing is scaled. */
function keepValues(source: Source, kernel: ParsedKernel, options: ConvolverOptions, flags: FilterFlags): Shown {
	if (flags.signed !== undefined && flags.signed !== 'clip') {
		throw invalid('a picture as output', `--signed ${flags.signed}`, '.npy', 'Keep the signs with --output-dtype int32 or float32.');
	}
	const dtype = flags.outputDtype ?? source.dtype;
	const lost = signsOf(kernel).zeroSum && dtype.startsWith('uint');
	return { options, notes: lost ? [`results below 0 are stored as 0 in ${dtype}; --output-dtype int32 or float32 keeps them`] : [] };
}

/** The dtype of a picture's samples, and what 1 of the image's range is there. */
function sampleDtype(source: Source, flags: FilterFlags, format: PictureFormat): { dtype: 'uint8' | 'uint16'; range: number } {
	const narrow = format === 'jpeg' || format === 'webp';
	const dtype = (flags.outputDtype ?? (narrow && source.dtype === 'uint16' ? 'uint8' : source.dtype)) as Dtype;
	if (!isSample(dtype)) {
		const next = 'Add --output-dtype uint8 (with --scale and --bias to bring the values into 0 … 255), or write .npy.';
		throw invalid('uint8 or uint16', `the samples of an output in ${format}`, dtype, next);
	}
	if (narrow && dtype === 'uint16') throw invalid('uint8', `the samples of an output in ${format}`, dtype, 'PNG and TIFF hold 16 bits.');
	const converted = flags.outputDtype === undefined && isSample(source.dtype) && dtype !== source.dtype;
	return { dtype, range: converted ? DTYPES[dtype].max / DTYPES[source.dtype].max : 1 };
}

const times = (value: number | readonly number[] | undefined, factor: number, otherwise: number): number | number[] =>
	typeof value === 'object' ? value.map((v) => v * factor) : (value ?? otherwise) * factor;

function asPicture(source: Source, kernel: ParsedKernel, options: ConvolverOptions, flags: FilterFlags, format: PictureFormat): Shown {
	if (kernel.count > 1) throw invalid('a single kernel', `an output in ${format}`, `a bank of ${kernel.count}`, 'Write .npy.');
	const { dtype, range } = sampleDtype(source, flags, format);
	const notes = range === 1 ? [] : [`16 bits a sample become 8, which is what ${format} holds`];
	const { zeroSum, strongest, magnitude } = signsOf(kernel);
	const signed: Signed = flags.signed ?? (zeroSum ? 'magnitude' : 'clip');
	if (signed === 'clip') {
		if (range === 1) return { options: { ...options, outputDtype: dtype }, notes };
		return {
			options: { ...options, outputDtype: dtype, scale: times(options.scale, range, 1), bias: times(options.bias, range, 0) },
			notes,
		};
	}
	const scaled = options.scale !== undefined || options.bias !== undefined;
	const { max } = DTYPES[dtype];
	// the largest |v| that pixels of the whole range can give lands on the end of the scale
	const fit = scaled || strongest === 0 ? 1 : 1 / (signed === 'shift' ? 2 * strongest : strongest);
	const sourceMax = isSample(source.dtype) ? DTYPES[source.dtype].max : DTYPES.uint8.max;
	const exact = kernel.integer && !scaled && isSample(source.dtype) && magnitude * sourceMax < 2 ** 31;
	const by = fit === 1 ? '' : ` · ${figure(fit)}`;
	const why = flags.signed === undefined ? 'the kernel sums to 0, so results have both signs: ' : '';
	const how = signed === 'magnitude' ? `shown as |v|${by}` : `shown as v${by} + ${(max + 1) / 2}, 0 is mid grey`;
	const others = flags.signed === undefined ? ' (--signed shift or clip for others)' : '';
	return {
		options: { ...options, outputDtype: exact ? 'int32' : 'float32' },
		notes: [...notes, `${why}${how}${others}`],
		display: { signed, gain: fit * range, offset: signed === 'shift' ? (max + 1) / 2 : 0, dtype },
	};
}

function applyDisplay(result: ConvolveResult, display: Display): NdArray & { dtype: Dtype } {
	const { signed, gain, offset, dtype } = display;
	const { max } = DTYPES[dtype];
	const values = result.data as Int32Array | Float32Array;
	// Uint8ClampedArray rounds to nearest even and clamps, as the library does for 'nearest-even' and 'saturate'
	const out = dtype === 'uint8' ? new Uint8ClampedArray(values.length) : new Uint16Array(values.length);
	const magnitude = signed === 'magnitude';
	for (let i = 0; i < values.length; i++) {
		const v = values[i] as number;
		const shown = gain * (magnitude ? Math.abs(v) : v) + offset;
		out[i] = dtype === 'uint8' ? shown : Math.min(max, Math.max(0, Math.round(shown)));
	}
	const data = out instanceof Uint16Array ? out : new Uint8Array(out.buffer);
	return { data, shape: result.shape, dtype };
}

/** Alpha where the result's pixels lie: the same positions, extended and strided like the colours. */
async function alignedAlpha(alpha: NdArray, kernel: ParsedKernel, options: ConvolverOptions): Promise<TypedArray> {
	const { mode = 'full', boundary = 'constant', stride = 1, dilation = 1 } = options;
	const [dy, dx] = typeof dilation === 'number' ? [dilation, dilation] : dilation;
	const [height, width] = mode === 'same' ? [1, 1] : [dilatedSize(kernel.height, dy), dilatedSize(kernel.width, dx)];
	// a 1 where the kernel's centre is: it moves the picture as the kernel does and changes nothing else
	const impulse = new Int32Array(height * width);
	impulse[Math.floor((height - 1) / 2) * width + Math.floor((width - 1) / 2)] = 1;
	const { data } = await convolve(alpha, { data: impulse, shape: [height, width] }, { mode, boundary, stride });
	return data;
}

async function putAlphaBack(
	colours: NdArray & { dtype: Dtype },
	alpha: NdArray,
	from: Dtype,
	kernel: ParsedKernel,
	options: ConvolverOptions,
): Promise<NdArray & { dtype: Dtype }> {
	const { dtype, data } = colours;
	const [height, width, channels] = colours.shape as [number, number, number];
	const plane = await alignedAlpha(alpha, kernel, options);
	const range = isSample(dtype) ? DTYPES[dtype].max / DTYPES[from].max : 1;
	const out = new DTYPES[dtype].array(elementCount([height, width, channels + 1])) as Uint8Array;
	const read = reader(plane, from);
	for (let i = 0, at = 0; i < height * width; i++) {
		for (let c = 0; c < channels; c++) out[at++] = data[i * channels + c] as number;
		out[at++] = storeReal(Number(read(i)) * range, dtype, 'nearest-even', 'saturate') as number;
	}
	return { data: out, shape: [height, width, channels + 1], dtype };
}
