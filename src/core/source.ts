/** Images that a callback writes: what they are is known at once, their pixels come when there is memory for them. */
import { DTYPE_NAMES, DTYPES, type Dtype, type DtypeArrays, type TypedArray } from './dtype.ts';
import { FaltungError, invalid, show } from './errors.ts';
import { arrayOf, denseImage, type ImageSnapshot, inLayout, layoutOf, nestedImage, type RawFields, rawFields, sizesOf } from './images.ts';
import { elementCount, type Layout } from './ndarray.ts';
import { guarded, threw, word } from './snapshot.ts';

interface SourceOf<D extends Dtype> {
	readonly shape: readonly number[];
	readonly dtype: D;
	/**
	 * Writes every pixel into `memory`, row-major and dense, before it returns. `memory` is dead afterwards: keep no reference to it, read
	 * nothing from it that was not written, and neither transfer nor resize its buffer.
	 */
	fill(memory: DtypeArrays[D]): void;
}

/**
 * An image whose pixels are not there yet: `fill` is called once, when there is memory for them, between the call and the end of its promise. On a
 * device that is the mapped memory that is uploaded from, so that nothing is copied on the host, unless the pixels are needed here as well: to
 * verify by 'sample' or 'full', or to measure. It is called a second time, and must write the same pixels, only where the device was lost, was
 * wrong or ran out of memory after the first and another way is taken.
 */
export type ImageSource<D extends Dtype = Dtype> = { [K in D]: SourceOf<K> }[D];

/** A source, every field read once. */
export interface SourceSnapshot {
	readonly dtype: Dtype;
	readonly shape: readonly number[];
	readonly layout: Layout;
	/** Has the callback write dense row-major memory. @throws INVALID_ARGUMENT where it throws, or returns a promise */
	fill(memory: TypedArray): void;
}

export const isSource = (image: ImageSnapshot | SourceSnapshot): image is SourceSnapshot => 'fill' in image;

/**
 * An image in memory, or one whose pixels a callback will write.
 *
 * @param named what the layout is called in the call, for messages
 */
export function snapshotInput(value: unknown, layout: Layout | undefined, named = 'option layout'): ImageSnapshot | SourceSnapshot {
	const nested = nestedImage(value);
	if (nested !== undefined) return inLayout(nested, layout, named);
	const raw = rawFields(value, 'image');
	// what has data is an array, whatever its methods are called
	if (raw.data !== undefined || raw.fill === undefined) return inLayout(arrayOf(raw, 'image'), layout, named);
	return snapshotSource(value as object, raw, layout, named);
}

function snapshotSource(given: object, raw: RawFields, layout: Layout | undefined, named: string): SourceSnapshot {
	const { fill } = raw;
	if (typeof fill !== 'function') {
		throw invalid(
			'a function',
			'image.fill',
			show(fill),
			'It is handed memory and writes the pixels: fill(memory) { memory.set(pixels) }.',
		);
	}
	const dtype = word(raw.dtype, DTYPE_NAMES, 'image.dtype');
	const shape = sizesOf(raw.shape, 'image.shape', 0);
	for (const name of ['strides', 'offset'] as const) {
		if (raw[name] !== undefined) throw invalid('none beside fill', `image.${name}`, show(raw[name]), 'Its memory is dense and row-major.');
	}
	return { dtype, shape, layout: layoutOf(shape.length, layout, named), fill: (memory) => callFill(given, fill as () => unknown, memory) };
}

function callFill(given: object, fill: (memory: TypedArray) => unknown, memory: TypedArray): void {
	const { length } = memory;
	let returned: unknown;
	try {
		returned = Reflect.apply(fill, given, [memory]);
	} catch (error) {
		throw threw('a function that writes every pixel', 'image.fill', error);
	}
	if (hasMethod(returned, 'then')) {
		Promise.resolve(returned as PromiseLike<unknown>).catch(() => {}); // its rejection is nobody's any more
		throw invalid(
			'a synchronous function',
			'image.fill',
			'one that returned a promise',
			'Await what it needs before the call: the memory is gone when it returns.',
		);
	}
	if (hasMethod(returned, 'next')) {
		const next = 'Its body runs only when somebody asks for values, which nobody does: write fill(memory) { … }.';
		throw invalid('a function that writes every pixel', 'image.fill', 'a generator', next);
	}
	if (memory.length !== length) throw invalid('memory that stays where it is', 'image.fill', 'memory that was transferred or resized');
}

const hasMethod = (value: unknown, name: 'then' | 'next'): boolean =>
	guarded(
		'the value of image.fill',
		() => typeof value === 'object' && value !== null && typeof (value as Record<string, unknown>)[name] === 'function',
	);

/** The pixels of a source in memory of the host. @throws LIMIT_EXCEEDED, INVALID_ARGUMENT where the callback fails */
export function fillOnHost(source: SourceSnapshot): ImageSnapshot {
	const { dtype, shape } = source;
	const count = elementCount(shape);
	let data: TypedArray;
	try {
		data = new DTYPES[dtype].array(count);
	} catch (cause) {
		throw new FaltungError(
			'LIMIT_EXCEEDED',
			`Expected memory for an image of ${count * DTYPES[dtype].bytes} bytes, ${dtype} [${shape.join(', ')}], but it could not be allocated. Cut the image into parts.`,
			{ cause },
		);
	}
	if (count === 0) return denseImage(data, source);
	source.fill(data);
	// as on a device, the callback's view is dead now: what it still writes would be seen by some of the work. Moving takes microseconds at any size
	const held = guarded('image.fill', () => structuredClone(data.buffer as ArrayBuffer, { transfer: [data.buffer as ArrayBuffer] }));
	return denseImage(new (DTYPES[dtype].array as unknown as new (buffer: ArrayBuffer) => TypedArray)(held), source);
}
