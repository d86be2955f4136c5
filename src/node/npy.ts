/**
 * NumPy's .npy files, versions 1.0 to 3.0 (numpy/lib/_format_impl.py, NEP 1). Own code because npyjs neither reads big
 * endian nor writes.
 *
 *     \x93NUMPY  major minor  header length (2 bytes, from version 2 on 4)  header  elements
 *
 * The header is a Python dict literal, read by the parser in python-literal.ts and never evaluated. Read: the integer and float
 * dtypes of this library, and bool as uint8 (a mask is a picture of 0 and 1). Refused: pickled objects (they run code), complex,
 * text, dates, records.
 */
import { Buffer } from 'node:buffer';
import { endianness } from 'node:os';
import { DTYPE_OF_TAG, DTYPES, type Dtype, type TypedArray } from '../core/dtype.ts';
import { FaltungError } from '../core/errors.ts';
import { elementCount, extentOf, type NdArray, rowMajorStrides } from '../core/ndarray.ts';
import { type Literal, parseLiteral } from './python-literal.ts';

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];

/** NumPy's own limit is 64 axes (32 before 2.0). */
const MAX_RANK = 64;

/** Elements start at a multiple of this many bytes, as NumPy writes them. */
const ALIGNMENT = 64;

const DTYPE_OF_CODE: Readonly<Record<string, Dtype>> = {
	b1: 'uint8',
	u1: 'uint8',
	i1: 'int8',
	u2: 'uint16',
	i2: 'int16',
	u4: 'uint32',
	i4: 'int32',
	u8: 'uint64',
	i8: 'int64',
	f2: 'float16',
	f4: 'float32',
	f8: 'float64',
};

const CODE_OF_DTYPE: Readonly<Record<Dtype, string>> = {
	uint8: '|u1',
	int8: '|i1',
	uint16: '<u2',
	int16: '<i2',
	uint32: '<u4',
	int32: '<i4',
	uint64: '<u8',
	int64: '<i8',
	float16: '<f2',
	float32: '<f4',
	float64: '<f8',
};

const HOST_IS_LITTLE = endianness() === 'LE';

/** An array read from a file: its dtype is always said. */
export type NpyArray = NdArray & { dtype: Dtype };

const bad = (source: string, message: string) => new FaltungError('IO', `${source} is not a .npy file that can be read: ${message}`);

/** True where the bytes begin as a .npy file does. */
export const isNpy = (bytes: Uint8Array): boolean => MAGIC.every((byte, i) => bytes[i] === byte);

/**
 * Reads a .npy file. Elements are native-endian; a Fortran-ordered array comes as a strided view, float16 as its bits in a Uint16Array. The
 * result may lie in the same memory as `bytes`, and byte swapping writes to it.
 *
 * @param bytes the whole file
 * @param source what to call it in messages
 * @throws FaltungError IO where the header is broken, does not fit the file, or holds a dtype that is not read
 */
export function readNpy(bytes: Uint8Array, source: string): NpyArray {
	const { text, start } = headerText(bytes, source);
	const { descr, fortran, shape } = readHeader(text, source);
	const { dtype, swap } = readDescr(descr, source);
	const count = checkedCount(shape, DTYPES[dtype].bytes, bytes.length - start, source);
	const data = elements(bytes, start, count, dtype, swap);
	if (!fortran || shape.length < 2) return { data, dtype, shape };
	return { data, dtype, shape, strides: rowMajorStrides([...shape].reverse()).reverse() };
}

function headerText(bytes: Uint8Array, source: string): { text: string; start: number } {
	if (!isNpy(bytes)) throw bad(source, 'it does not begin with \\x93NUMPY.');
	const [major, minor] = [bytes[6], bytes[7]];
	if (major === undefined || minor === undefined) throw bad(source, 'it ends within its first 8 bytes.');
	if (major < 1 || major > 3 || minor !== 0) throw bad(source, `expected version 1.0, 2.0 or 3.0 but found ${major}.${minor}.`);
	const lengthBytes = major === 1 ? 2 : 4;
	const from = 8 + lengthBytes;
	if (bytes.length < from) throw bad(source, 'it ends within the length of its header.');
	const view = new DataView(bytes.buffer, bytes.byteOffset);
	const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
	if (from + length > bytes.length) {
		throw bad(source, `its header should have ${length} bytes but the file ends after ${bytes.length - from}.`);
	}
	const encoding = major === 3 ? 'utf8' : 'latin1';
	return { text: Buffer.from(bytes.buffer, bytes.byteOffset + from, length).toString(encoding), start: from + length };
}

function readHeader(text: string, source: string): { descr: Literal; fortran: boolean; shape: number[] } {
	let header: Literal;
	try {
		header = parseLiteral(text);
	} catch (cause) {
		throw bad(source, `its header is not a Python dict: ${(cause as Error).message}.`);
	}
	if (!(header instanceof Map)) throw bad(source, 'its header is not a Python dict.');
	const keys = [...header.keys()].sort().join(', ');
	if (keys !== 'descr, fortran_order, shape')
		throw bad(source, `expected the header keys descr, fortran_order, shape but found: ${keys || 'none'}.`);
	const fortran = header.get('fortran_order');
	const shape = header.get('shape');
	if (typeof fortran !== 'boolean') throw bad(source, 'fortran_order must be True or False.');
	if (!Array.isArray(shape) || !shape.every((size) => typeof size === 'bigint')) throw bad(source, 'shape must be a tuple of integers.');
	if (shape.length > MAX_RANK) throw bad(source, `shape has ${shape.length} axes; at most ${MAX_RANK} make sense.`);
	for (const size of shape as bigint[]) {
		if (size < 0n || size > BigInt(Number.MAX_SAFE_INTEGER)) throw bad(source, `shape holds ${size}; a size lies between 0 and 2^53 - 1.`);
	}
	return { descr: header.get('descr') as Literal, fortran, shape: shape.map(Number) };
}

function readDescr(descr: Literal, source: string): { dtype: Dtype; swap: boolean } {
	if (typeof descr !== 'string') throw bad(source, 'it holds records (a structured dtype). Save one field by itself.');
	const match = /^([<>=|]?)([A-Za-z]\d*)(\[.*\])?$/.exec(descr);
	const code = match?.[2] ?? '';
	if (code.startsWith('O'))
		throw bad(source, 'it holds pickled Python objects, which can run code when loaded. Save a numeric array instead.');
	const dtype = Object.hasOwn(DTYPE_OF_CODE, code) ? DTYPE_OF_CODE[code] : undefined;
	if (dtype === undefined) {
		throw bad(
			source,
			`its dtype ${JSON.stringify(descr)} is none of ${Object.keys(DTYPE_OF_CODE).join(', ')}. Convert it with astype() first.`,
		);
	}
	const little = match?.[1] === '>' ? false : match?.[1] === '<' ? true : HOST_IS_LITTLE;
	return { dtype, swap: DTYPES[dtype].bytes > 1 && little !== HOST_IS_LITTLE };
}

/** Elements that the shape asks for, proven to be what the file holds. */
function checkedCount(shape: readonly number[], bytes: number, held: number, source: string): number {
	const needed = shape.reduce((product, size) => product * BigInt(size), BigInt(bytes));
	if (needed === BigInt(held)) return held / bytes;
	const found = needed > BigInt(held) ? `only ${held} follow; it is cut short` : `${held} follow; ${BigInt(held) - needed} too many`;
	throw bad(source, `shape (${shape.join(', ')}) at ${bytes} bytes an element needs ${needed} bytes but ${found}.`);
}

type Constructor = new (buffer: ArrayBufferLike, offset: number, length: number) => TypedArray;

function elements(bytes: Uint8Array, start: number, count: number, dtype: Dtype, swap: boolean): TypedArray {
	const { bytes: size, array } = DTYPES[dtype];
	let body = bytes.subarray(start);
	if (body.byteOffset % size !== 0) body = body.slice();
	if (swap) {
		const buffer = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
		if (size === 2) buffer.swap16();
		else if (size === 4) buffer.swap32();
		else buffer.swap64();
	}
	return new (array as unknown as Constructor)(body.buffer, body.byteOffset, count);
}

/**
 * An array as a .npy file, version 1.0, C order, little endian: first the header, then the elements (the array's own memory
 * where it already lies that way).
 */
export function writeNpy(array: NdArray): Uint8Array[] {
	const dtype = array.dtype ?? DTYPE_OF_TAG[Object.prototype.toString.call(array.data).slice(8, -1)];
	if (dtype === undefined) throw new FaltungError('INVALID_ARGUMENT', 'Expected a typed array of a known dtype for writeNpy().');
	const shape = array.shape.length === 1 ? `${array.shape[0]},` : array.shape.join(', ');
	const text = `{'descr': '${CODE_OF_DTYPE[dtype]}', 'fortran_order': False, 'shape': (${shape}), }`;
	const from = 10;
	const padded = Math.ceil((from + text.length + 1) / ALIGNMENT) * ALIGNMENT;
	const header = Buffer.alloc(padded, ' ');
	header.set([...MAGIC, 1, 0]);
	header.writeUInt16LE(padded - from, 8);
	header.write(text, from, 'latin1');
	header[padded - 1] = 0x0a;
	const data = rowMajor(array);
	const body = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
	if (HOST_IS_LITTLE || DTYPES[dtype].bytes === 1) return [header, body];
	const swapped = Buffer.from(body);
	if (DTYPES[dtype].bytes === 2) swapped.swap16();
	else if (DTYPES[dtype].bytes === 4) swapped.swap32();
	else swapped.swap64();
	return [header, swapped];
}

/** The elements in row-major order without gaps. */
export function rowMajor(array: NdArray): TypedArray {
	const { data, shape, offset = 0 } = array;
	const dense = rowMajorStrides(shape);
	const strides = array.strides ?? dense;
	const count = elementCount(shape);
	if (shape.every((size, axis) => size <= 1 || strides[axis] === dense[axis])) return data.subarray(offset, offset + count) as TypedArray;
	const extent = extentOf({ sizes: shape, strides, offset });
	if (extent !== undefined && (extent.low < 0 || extent.high >= data.length)) {
		throw new FaltungError(
			'INVALID_ARGUMENT',
			`Expected strides within ${data.length} elements but received a view of elements ${extent.low} to ${extent.high}.`,
		);
	}
	const out = data.slice(0, 0).constructor as new (length: number) => TypedArray;
	const copy = new out(count);
	const index = new Array<number>(shape.length).fill(0);
	let at = offset;
	for (let k = 0; k < count; k++) {
		copy[k] = data[at] as never;
		for (let axis = shape.length - 1; axis >= 0; axis--) {
			index[axis] = (index[axis] as number) + 1;
			at += strides[axis] as number;
			if ((index[axis] as number) < (shape[axis] as number)) break;
			at -= (index[axis] as number) * (strides[axis] as number);
			index[axis] = 0;
		}
	}
	return copy;
}
