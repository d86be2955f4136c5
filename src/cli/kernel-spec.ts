/**
 * Kernels as a person types them:
 *
 *     gaussian:sigma=3,truncate=2    sobel:axis=x    a kernel by name; a pair [y, x] is written 2x3
 *     "1 2 1; 2 4 2; 1 2 1"                          rows of numbers (1/9 is a number too), used as they are
 *     weights.npy    weights.txt                     a file: .npy, or rows of numbers, # begins a comment
 */
import type { KernelInput, NestedArray } from '../api/arrays.ts';
import { DTYPES, type Dtype, reader } from '../core/dtype.ts';
import { FaltungError, invalid, show } from '../core/errors.ts';
import { likeness } from '../core/snapshot.ts';
import * as kernels from '../kernels/index.ts';
import { floatTaps, sum } from '../kernels/taps.ts';
import { readInput } from '../node/files.ts';
import { isNpy, readNpy, rowMajor } from '../node/npy.ts';

/** Largest file of typed numbers worth reading, in bytes. */
const MAX_TEXT = 2 ** 26;

const MAKERS: Readonly<Record<string, (options: never) => kernels.Kernel>> = kernels;

export const KERNEL_NAMES = Object.keys(MAKERS).sort();

export interface ParsedKernel {
	readonly kernel: KernelInput;
	/** As typed, for tables and file names. */
	readonly label: string;
	/** Every weight, row-major; of a bank one kernel after the other. */
	readonly weights: Float64Array;
	/** Kernels in it: 1 for a plain one. */
	readonly count: number;
	readonly height: number;
	readonly width: number;
	/** True where every weight is an integer of an integer dtype, so that sums are exact. */
	readonly integer: boolean;
}

/** Reads a kernel spec. `normalize` divides the weights by their sum. */
export async function parseKernel(spec: string, options: { normalize?: boolean; signal?: AbortSignal } = {}): Promise<ParsedKernel> {
	const text = spec.trim();
	if (text === '') throw invalid('a kernel', '--kernel', 'nothing', 'For example --kernel gaussian:sigma=3.');
	const parsed = await parse(text, options.signal);
	return options.normalize === true ? normalize(parsed) : parsed;
}

async function parse(text: string, signal: AbortSignal | undefined): Promise<ParsedKernel> {
	if (/^[\d\s.,;+\-/eE]*\d[\d\s.,;+\-/eE]*$/.test(text)) return fromRows(text, parseRows(text, '--kernel'));
	const name = /^([a-z]+)(?::(.*))?$/s.exec(text);
	if (name !== null && Object.hasOwn(MAKERS, name[1] as string)) return fromArray(text, named(name[1] as string, name[2] ?? ''));
	const looksLikeFile = /[./\\]/.test(text) && !/^[a-z]+:/.test(text);
	if (!looksLikeFile) {
		const given = text.split(':')[0] as string;
		throw invalid(
			`a kernel name (${KERNEL_NAMES.join(', ')}), rows of numbers ("1 2 1; 2 4 2; 1 2 1") or a file`,
			'--kernel',
			show(text),
			[likeness(given, KERNEL_NAMES), 'faltung kernels lists them with their options.'].filter(Boolean).join(' '),
		);
	}
	const bytes = await readInput(text, signal);
	if (isNpy(bytes)) return fromArray(text, readNpy(bytes, text));
	if (bytes.length > MAX_TEXT || bytes.includes(0))
		throw new FaltungError('IO', `Cannot read a kernel from ${text}: it is neither .npy nor text.`);
	const lines = new TextDecoder()
		.decode(bytes)
		.replace(/^\uFEFF/, '')
		.replace(/#.*$/gm, '');
	return fromRows(text, parseRows(lines, text));
}

/** One weight: a number or a fraction. */
function weight(entry: string, source: string): number {
	const [numerator, denominator, more] = entry.split('/');
	const value = denominator === undefined ? Number(entry) : Number(numerator || Number.NaN) / Number(denominator || Number.NaN);
	if (more !== undefined || !Number.isFinite(value))
		throw invalid('finite numbers', source, show(entry), 'Separate numbers by spaces or commas, rows by ";".');
	return value;
}

/** Rows behind `;` or line ends, numbers behind spaces or commas. */
function parseRows(text: string, source: string): NestedArray {
	const rows = text
		.split(/[;\n\r]+/)
		.map((row) => row.trim().replace(/,$/, ''))
		.filter((row) => row !== '')
		.map((row) => row.split(/\s*,\s*|\s+/).map((entry) => weight(entry, source)));
	const width = rows[0]?.length;
	if (width === undefined) throw invalid('rows of numbers', source, 'none');
	const odd = rows.findIndex((row) => row.length !== width);
	if (odd >= 0)
		throw invalid(
			`${width} numbers in every row, as in the first,`,
			source,
			`${(rows[odd] as readonly number[]).length} in row ${odd + 1}`,
		);
	return rows;
}

/** `sigma=3,truncate=2` as the options of a kernel; numbers, pairs 2x3, words. */
function named(name: string, text: string): kernels.Kernel {
	const options: Record<string, unknown> = Object.create(null);
	for (const part of text.split(',').filter((piece) => piece.trim() !== '')) {
		const match = /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/s.exec(part);
		if (match === null)
			throw invalid(`option=value, separated by commas, behind ${name}:`, '--kernel', show(part), `For example ${EXAMPLES[name] ?? name}.`);
		const [, key, value] = match as unknown as [string, string, string];
		if (key in options) throw invalid(`each option of ${name} once`, '--kernel', `${show(key)} twice`);
		options[key] = optionValue(value);
	}
	try {
		return (MAKERS[name] as (options: never) => kernels.Kernel)(options as never);
	} catch (error) {
		if (!(error instanceof FaltungError) || error.code !== 'INVALID_ARGUMENT') throw error;
		throw new FaltungError(error.code, `${error.message} For example ${EXAMPLES[name] ?? name}.`, { cause: error });
	}
}

function optionValue(text: string): unknown {
	if (text === '') return text;
	const pair = /^([^x]+)x([^x]+)$/.exec(text);
	if (pair !== null && Number.isFinite(Number(pair[1])) && Number.isFinite(Number(pair[2]))) return [Number(pair[1]), Number(pair[2])];
	const number = Number(text);
	return Number.isNaN(number) && text !== 'NaN' ? text : number;
}

/** One that works for each kernel, for help and messages. */
export const EXAMPLES: Readonly<Record<string, string>> = {
	box: 'box:size=15',
	disk: 'disk:radius=6',
	dog: 'dog:sigma=2',
	emboss: 'emboss',
	gabor: 'gabor:wavelength=8,angle=30',
	gaussian: 'gaussian:sigma=3',
	identity: 'identity',
	laplacian: 'laplacian:connectivity=8',
	log: 'log:sigma=2',
	motion: 'motion:length=21,angle=30',
	prewitt: 'prewitt:axis=y',
	scharr: 'scharr:axis=x',
	sharpen: 'sharpen:amount=1',
	sobel: 'sobel:axis=x,size=3',
	unsharp: 'unsharp:sigma=2,amount=1.5',
};

function fromRows(label: string, rows: NestedArray): ParsedKernel {
	const weights = Float64Array.from(rows.flat());
	return {
		kernel: rows,
		label,
		weights,
		count: 1,
		height: rows.length,
		width: (rows[0] as readonly number[]).length,
		integer: weights.every(Number.isInteger),
	};
}

function fromArray(label: string, array: kernels.Kernel | (ReturnType<typeof readNpy> & { dtype: Dtype })): ParsedKernel {
	const { shape } = array;
	if (shape.length !== 2 && shape.length !== 3)
		throw invalid('a kernel [height, width] or a bank [count, height, width]', label, `an array [${shape.join(', ')}]`);
	const [height, width] = shape.slice(-2) as [number, number];
	const data = rowMajor(array);
	const dtype = array.dtype ?? (data instanceof Int32Array ? 'int32' : 'float32');
	const read = reader(data, dtype);
	const weights = Float64Array.from({ length: data.length }, (_, i) => Number(read(i)));
	return {
		kernel: array,
		label,
		weights,
		count: shape.length === 3 ? (shape[0] as number) : 1,
		height,
		width,
		integer: !DTYPES[dtype].float,
	};
}

function normalize(parsed: ParsedKernel): ParsedKernel {
	if (parsed.count !== 1) throw invalid('a single kernel', '--normalize', 'a bank of kernels', 'Normalize it before saving it.');
	const total = sum(parsed.weights);
	const magnitude = sum(parsed.weights.map(Math.abs));
	if (Math.abs(total) <= magnitude * 2 ** -40)
		throw invalid('a kernel whose sum is not 0', '--normalize', `one that sums to ${total}`, 'Leave --normalize out.');
	const weights = parsed.weights.map((w) => w / total);
	const { height, width } = parsed;
	return { ...parsed, kernel: { data: floatTaps(weights, 1), shape: [height, width] }, weights, integer: false };
}
