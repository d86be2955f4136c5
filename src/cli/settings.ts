/** Options that several commands share: how they are typed, and what they become for the library. */
import { type Command, Option } from 'commander';
import type { ConvolverOptions } from '../api/convolver.ts';
import { invalid, show } from '../core/errors.ts';
import { MAX_PIXELS, PICTURE_FORMATS, type PictureFormat } from '../node/images.ts';

/** As commander hands them over; words are checked by the library, which names the nearest known one. */
export interface FilterFlags {
	kernel: string;
	normalize?: boolean;
	operation?: string;
	mode?: string;
	boundary?: string;
	value?: string;
	anchor?: string;
	stride?: string;
	dilation?: string;
	layout?: string;
	outputDtype?: string;
	overflow?: string;
	rounding?: string;
	scale?: string;
	bias?: string;
	accumulate?: string;
	method?: string;
	tolerance?: string;
	accuracy?: string;
	policy?: string;
	backend?: string;
	verify?: string;
	threads?: string;
	alpha?: Alpha;
	signed?: Signed;
	maxPixels?: string;
	outputFormat?: PictureFormat | 'npy';
}

export type Alpha = 'keep' | 'filter' | 'drop';
export type Signed = 'magnitude' | 'shift' | 'clip';

const KERNEL_HELP = 'gaussian:sigma=3, sobel:axis=x (see: faltung kernels), "1 2 1; 2 4 2; 1 2 1", or a .npy or text file';

/** Adds the options of a convolution. */
export function withFilterOptions(command: Command, kernel: 'required' | 'optional' = 'required'): Command {
	const kernelOption = new Option('-k, --kernel <kernel>', KERNEL_HELP);
	if (kernel === 'required') kernelOption.makeOptionMandatory();
	return command
		.addOption(kernelOption)
		.option('--normalize', 'divide the kernel by its sum')
		.option('--operation <name>', 'convolve (the kernel is flipped) or correlate', 'convolve')
		.option('--mode <name>', 'full, same or valid; default same for pictures, full for .npy')
		.option(
			'--boundary <name>',
			'constant, edge, symmetric, mirror or wrap, or two as y,x; default symmetric for pictures, constant for .npy',
		)
		.option('--value <number>', 'what lies outside under --boundary constant (default 0)')
		.option('--anchor <y,x>', 'element of the kernel that lies on the output pixel, for --mode same')
		.option('--stride <n>', 'only every n-th output, or y,x')
		.option('--dilation <n>', 'distance between taps, or y,x')
		.option('--layout <name>', 'axes of a .npy image: HW, HWC, CHW, NHW, NHWC, NCHW')
		.option('--output-dtype <dtype>', 'uint8 … float64; default that of the image')
		.option('--overflow <rule>', 'integers that do not fit: saturate, wrap or throw')
		.option('--rounding <rule>', 'nearest-even, half-away, truncate or floor')
		.option('--scale <number>', 'multiply each sum, or one number per channel: 1,1,0.5')
		.option('--bias <number>', 'then add, or one number per channel')
		.option('--accumulate <type>', 'float sums in float32 or float64')
		.option('--method <name>', 'direct, separable, lowrank, box or fft; default the fastest')
		.option('--tolerance <number>', 'largest relative error of an approximate low-rank split')
		.option('--accuracy <name>', 'pixel forbids FFT for floats; default norm')
		.option('--policy <name>', 'measure times the best few plans on the first image and remembers; default estimate')
		.option('--backend <names>', 'webgpu, native, reference, or several in order: native,reference')
		.option('--verify <method>', 'sample, checksum, full, or no (default sample)')
		.option('--threads <n>', 'threads of the native backend');
}

/** Adds the options of pictures. */
export function withPictureOptions(command: Command): Command {
	return command
		.addOption(
			new Option('--alpha <what>', 'keep: the alpha channel is left alone; filter: like a colour; drop: leave it out')
				.choices(['keep', 'filter', 'drop'])
				.default('keep'),
		)
		.addOption(
			new Option(
				'--signed <how>',
				'show results of both signs as magnitude |v|, shifted so that 0 is mid grey, or clipped at 0; default magnitude where the kernel sums to 0, else clip',
			).choices(['magnitude', 'shift', 'clip']),
		)
		.option('--max-pixels <n>', `refuse pictures of more pixels (default ${MAX_PIXELS}); read from the header, before decoding`)
		.addOption(
			new Option('--output-format <format>', 'default: by the name of the output, else that of the input').choices([
				...PICTURE_FORMATS,
				'npy',
			]),
		);
}

const NUMBER = /^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|Infinity|NaN)$/;

/** A typed number: decimal, since 0x3 is more likely meant as a pair than as sixteens. */
export function number(text: string, option: string): number {
	if (!NUMBER.test(text.trim())) throw invalid('a number', option, show(text));
	return Number(text);
}

/** One number, or several behind commas (a pair of sizes also as 2x3, as kernels take it). */
function numbers(text: string, option: string, separator: string | RegExp = ','): number | number[] {
	const list = text.split(separator).map((part) => number(part, option));
	return list.length === 1 ? (list[0] as number) : list;
}

function words(text: string): string | string[] {
	const list = text.split(',').map((part) => part.trim());
	return list.length === 1 ? (list[0] as string) : list;
}

/** An integer beyond 2^53 stays exact. */
function integerOrNumber(text: string, option: string): number | bigint {
	const value = number(text, option);
	return /^\s*[+-]?\d+\s*$/.test(text) && !Number.isSafeInteger(value) ? BigInt(text.trim().replace('+', '')) : value;
}

export function maxPixelsOf(flags: { maxPixels?: string }): number {
	if (flags.maxPixels === undefined) return MAX_PIXELS;
	const value = number(flags.maxPixels, '--max-pixels');
	if (!Number.isSafeInteger(value) || value < 1) throw invalid('a whole number of at least 1', '--max-pixels', show(flags.maxPixels));
	return value;
}

/** What the flags say for the library; the library checks it. */
export function libraryOptions(flags: FilterFlags): ConvolverOptions {
	const options: Record<string, unknown> = {};
	const set = (name: keyof FilterFlags, read: (text: string) => unknown) => {
		const text = flags[name];
		if (typeof text === 'string') options[name] = read(text);
	};
	for (const name of [
		'operation',
		'mode',
		'layout',
		'outputDtype',
		'overflow',
		'rounding',
		'accumulate',
		'method',
		'accuracy',
		'policy',
	] as const)
		set(name, (text) => text);
	for (const name of ['boundary', 'backend'] as const) set(name, words);
	for (const name of ['anchor', 'stride', 'dilation'] as const) set(name, (text) => numbers(text, `--${name}`, /[,x×]/));
	for (const name of ['scale', 'bias'] as const) set(name, (text) => numbers(text, `--${name}`));
	for (const name of ['tolerance', 'threads'] as const) set(name, (text) => number(text, `--${name}`));
	set('value', (text) => integerOrNumber(text, '--value'));
	set('verify', (text) => (['no', 'none', 'false', 'off'].includes(text) ? false : text));
	return options as ConvolverOptions;
}
