/** Images as given → checked snapshots: every field read once, the view inside its memory. */
import { DTYPE_NAMES, DTYPE_OF_TAG, DTYPES, type Dtype, type TypedArray } from './dtype.ts';
import { invalid, show } from './errors.ts';
import { elementCount, extentOf, LAYOUTS, type Layout, type PlaneView, rowMajorStrides, toCanonical } from './ndarray.ts';
import { guarded, snapshotElements, snapshotList, whole, word } from './snapshot.ts';

/** A strided view, every field read once. `data` is a plain view over the caller's memory: float16 as Uint16Array. */
export interface ArraySnapshot {
	readonly data: TypedArray;
	/** The caller's own object. */
	readonly given: TypedArray;
	readonly dtype: Dtype;
	readonly shape: readonly number[];
	readonly strides: readonly number[];
	readonly offset: number;
}

// The intrinsic getters see through subclasses and own properties, and say undefined for everything that is no typed array.
const intrinsic = Object.getPrototypeOf(Uint8Array.prototype) as object;
const getter = (key: PropertyKey) => Object.getOwnPropertyDescriptor(intrinsic, key)?.get as (this: unknown) => unknown;
export const tagOf = getter(Symbol.toStringTag);
const lengthOf = getter('length');
const bufferOf = getter('buffer');
const byteOffsetOf = getter('byteOffset');

/** scijs ndarray's names that differ from ours. */
const DTYPE_SYNONYMS: Readonly<Record<string, Dtype>> = { uint8_clamped: 'uint8', bigint64: 'int64', biguint64: 'uint64' };

function isDetached(buffer: ArrayBufferLike): boolean {
	if (typeof SharedArrayBuffer !== 'undefined' && buffer instanceof SharedArrayBuffer) return false;
	try {
		new Uint8Array(buffer, 0, 0); // the one thing that Node 20 lets a detached buffer be told by
		return false;
	} catch {
		return true;
	}
}

const NESTED = 'Nested plain arrays are given directly: [[1, 2, 1]].';
const NO_PIXELS = 'Give data, or dtype and a function fill that writes the pixels.';

/** A typed array's own dtype and a fresh fixed-length plain view of its memory. */
export function plainView(data: unknown, stated: unknown, parameter: string): { data: TypedArray; dtype: Dtype } {
	const tag = tagOf.call(data) as string | undefined;
	const own = tag === undefined ? undefined : DTYPE_OF_TAG[tag];
	if (own === undefined)
		throw invalid('a typed array', `${parameter}.data`, show(data), data === undefined && parameter === 'image' ? NO_PIXELS : NESTED);
	const buffer = bufferOf.call(data) as ArrayBuffer;
	if (isDetached(buffer)) throw invalid('live memory', `${parameter}.data`, `a ${tag} whose buffer is detached`);
	let dtype = own;
	if (stated !== undefined) {
		const name = typeof stated === 'string' && Object.hasOwn(DTYPE_SYNONYMS, stated) ? DTYPE_SYNONYMS[stated] : stated;
		dtype = word(name, DTYPE_NAMES, `${parameter}.dtype`);
		if (dtype !== own && !(dtype === 'float16' && own === 'uint16')) {
			const fits = own === 'uint16' ? '"uint16" or "float16"' : show(own);
			throw invalid(`${fits} for a ${tag}`, `${parameter}.dtype`, show(stated));
		}
	}
	const plain = DTYPES[own].array as unknown as new (b: ArrayBuffer, o: number, n: number) => TypedArray;
	return { data: new plain(buffer, byteOffsetOf.call(data) as number, lengthOf.call(data) as number), dtype };
}

/** Whole numbers of at least `low`, each read once. */
export function sizesOf(value: unknown, parameter: string, low: number): number[] {
	const list = snapshotList(value, parameter, 64);
	if (list === undefined) throw invalid('an array of whole numbers', parameter, show(value));
	return list.map((size, axis) => whole(size, low, Number.MAX_SAFE_INTEGER, `${parameter}[${axis}]`));
}

/** An array's fields as they were given, each read once. */
export interface RawFields {
	readonly data: unknown;
	readonly shape: unknown;
	readonly dtype: unknown;
	readonly strides: unknown;
	readonly offset: unknown;
	readonly fill: unknown;
}

/** @throws INVALID_ARGUMENT for what has no fields, and for a bare typed array */
export function rawFields(value: unknown, parameter: string): RawFields {
	if (typeof value !== 'object' || value === null) {
		throw invalid('an array: { data, shape } or nested rows of numbers', parameter, show(value));
	}
	if (tagOf.call(value) !== undefined) {
		throw invalid('{ data, shape }', parameter, `a bare ${tagOf.call(value)}`, 'Wrap it: { data, shape: [height, width] }.');
	}
	return guarded(parameter, () => {
		const { data, shape, dtype, strides, stride, offset, fill } = value as Record<string, unknown>;
		return { data, shape, dtype, strides: strides ?? stride, offset, fill }; // `stride` is what scijs ndarray and zarrita say
	});
}

/** Reads an NdArray's fields once and checks that it lies within its memory. */
export const snapshotNdArray = (value: unknown, parameter: string): ArraySnapshot => arrayOf(rawFields(value, parameter), parameter);

export function arrayOf(raw: RawFields, parameter: string): ArraySnapshot {
	const { data, dtype } = plainView(raw.data, raw.dtype, parameter);
	const shape = sizesOf(raw.shape, `${parameter}.shape`, 0);
	const viewed = raw.strides !== undefined || raw.offset !== undefined;
	const strides =
		raw.strides === undefined ? rowMajorStrides(shape) : sizesOf(raw.strides, `${parameter}.strides`, Number.MIN_SAFE_INTEGER);
	if (strides.length !== shape.length) {
		throw invalid(`${shape.length} strides, one per axis`, `${parameter}.strides`, `${strides.length}`);
	}
	const offset = raw.offset === undefined ? 0 : whole(raw.offset, 0, Number.MAX_SAFE_INTEGER, `${parameter}.offset`);
	const count = elementCount(shape);
	if (!viewed && data.length !== count) {
		const next = data.length > count ? 'Give strides or offset to read a part of it.' : undefined;
		throw invalid(`${count} elements for shape [${shape.join(', ')}]`, `${parameter}.data`, `${data.length}`, next);
	}
	const extent = extentOf({ sizes: shape, strides, offset });
	if (extent !== undefined && (extent.low < 0 || extent.high >= data.length)) {
		throw invalid(
			`a view within its ${data.length} elements`,
			parameter,
			`shape [${shape.join(', ')}], strides [${strides.join(', ')}], offset ${offset}, which reaches from element ${extent.low} to ${extent.high}`,
		);
	}
	return { data, given: raw.data as TypedArray, dtype, shape, strides, offset };
}

/** Nested rows, every element read once. @returns undefined if the value is no array */
export function snapshotRows<T>(
	value: unknown,
	parameter: string,
	check: (element: unknown, name: string) => T,
): { rows: T[][]; height: number; width: number } | undefined {
	let width = 0;
	const rows = snapshotElements(value, parameter, (row, y) => {
		const name = `${parameter}[${y}]`;
		const list = snapshotElements(row, name, (element, x) => check(element, `${name}[${x}]`));
		if (list === undefined) throw invalid('an array of numbers (a 2-D array is rows of numbers)', name, show(row));
		if (y === 0) width = list.length;
		if (list.length !== width) throw invalid(`${width} numbers, as in the first row`, name, `${list.length}`);
		return list;
	});
	return rows === undefined ? undefined : { rows, height: rows.length, width };
}

export interface ImageSnapshot extends ArraySnapshot {
	readonly layout: Layout;
	readonly view: PlaneView;
}

/** @param named what the layout is called in the call, for messages */
export function inLayout(array: ArraySnapshot, layout: Layout | undefined, named: string): ImageSnapshot {
	const axes = layoutOf(array.shape.length, layout, named);
	const view: PlaneView = {
		data: array.data,
		dtype: array.dtype,
		sizes: toCanonical(axes, array.shape, 1),
		strides: toCanonical(axes, array.strides, 0),
		offset: array.offset,
	};
	return { ...array, layout: axes, view };
}

/** Memory of this size, dense and row-major, as an image. */
export const denseImage = (data: TypedArray, { dtype, shape, layout }: Pick<ImageSnapshot, 'dtype' | 'shape' | 'layout'>): ImageSnapshot =>
	inLayout({ data, given: data, dtype, shape, strides: rowMajorStrides(shape), offset: 0 }, layout, 'layout');

export function nestedImage(value: unknown): ArraySnapshot | undefined {
	const nested = snapshotRows(value, 'image', (pixel, name) => {
		if (typeof pixel === 'number') return pixel;
		throw invalid('a number', name, show(pixel), 'Use { data, shape } with a typed array for other dtypes.');
	});
	if (nested === undefined) return undefined;
	const { rows, height, width } = nested;
	const data = new Float64Array(height * width);
	for (const [y, row] of rows.entries()) data.set(row, y * width);
	return { data, given: data, dtype: 'float64', shape: [height, width], strides: [width, 1], offset: 0 };
}

/** The layout of a rank: 2 is HW, any other must be said. */
export function layoutOf(rank: number, layout: Layout | undefined, parameter: string): Layout {
	const fitting = () => LAYOUTS.filter((name) => name.length === rank).join(', ');
	if (rank < 2 || rank > 4) throw invalid('an array of rank 2, 3 or 4', 'image', `rank ${rank}`);
	if (layout === undefined) {
		if (rank === 2) return 'HW';
		throw invalid(`one of ${fitting()}`, parameter, 'none', `An image of rank ${rank} does not say by itself what its axes are.`);
	}
	if (layout.length !== rank)
		throw invalid(`a layout of ${rank} axes (${fitting()})`, parameter, show(layout), `The image has rank ${rank}.`);
	return layout;
}
