/** Reads test/vectors/*.json: cases as data, so that any language can use them (format: test/vectors/README.md). */
import { readdirSync, readFileSync } from 'node:fs';
import type { Options, Request, Value } from './oracle/definition.ts';
import type { Dtype } from './oracle/dtypes.ts';

export interface VectorArray {
	dtype: Dtype;
	shape: number[];
	/** Row-major; 64-bit integers, NaN and infinities as strings. */
	data: (number | string)[];
}

export interface Vector {
	name: string;
	reason: string;
	operation: 'convolve' | 'correlate' | 'naive';
	image: VectorArray & { layout?: Request['image']['layout'] };
	kernel: VectorArray;
	options: Omit<Options, 'value'> & { value?: number | string };
	expected: VectorArray;
}

export interface VectorFile {
	file: string;
	about: string;
	/** Floats may differ by this many units in the last place of Σ|tap·pixel|; absent: exact. */
	cases: Vector[];
}

const folder = new URL('./vectors/', import.meta.url);

export const vectorFiles = (): VectorFile[] =>
	readdirSync(folder)
		.filter((name) => name.endsWith('.json'))
		.sort()
		.map((file) => ({ file, ...(JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as Omit<VectorFile, 'file'>) }));

/** A value as JSON holds it. */
export const valueIn = (stored: number | string, dtype: Dtype): Value =>
	dtype.endsWith('int64') ? BigInt(stored) : typeof stored === 'string' ? Number(stored) : stored;

export const valuesIn = ({ data, dtype }: VectorArray): Value[] => data.map((stored) => valueIn(stored, dtype));

/** A vector as a request of the oracle and of the library. */
export function requestOf(vector: Vector): Request {
	const { image, kernel, operation } = vector;
	const { value, ...options } = vector.options;
	return {
		operation: operation === 'naive' ? 'convolve' : operation,
		image: { dtype: image.dtype, layout: image.layout ?? 'HW', shape: image.shape, values: valuesIn(image) },
		kernel: { dtype: kernel.dtype, shape: kernel.shape, values: valuesIn(kernel) },
		options: value === undefined ? options : { ...options, value: valueIn(value, image.dtype) },
	};
}
