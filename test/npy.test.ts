import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DTYPE_NAMES, DTYPES, type Dtype, type TypedArray } from '../src/core/dtype.ts';
import { FaltungError } from '../src/core/errors.ts';
import { isNpy, readNpy, rowMajor, writeNpy } from '../src/node/npy.ts';
import { parseLiteral } from '../src/node/python-literal.ts';

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];

/** A .npy file put together by hand. */
function file(
	header: string,
	body: readonly number[],
	version: readonly [number, number] = [1, 0],
	declared = Buffer.byteLength(header),
): Uint8Array {
	const length =
		version[0] === 1 ? [declared & 255, declared >> 8] : [declared & 255, (declared >> 8) & 255, (declared >> 16) & 255, declared >>> 24];
	return Uint8Array.from([...MAGIC, ...version, ...length, ...Buffer.from(header), ...body]);
}

const header = (descr: string, shape: string, fortran = 'False') =>
	`{'descr': ${descr}, 'fortran_order': ${fortran}, 'shape': ${shape}, }\n`;

const failure = (f: () => unknown): FaltungError => {
	try {
		f();
	} catch (error) {
		expect(error).toBeInstanceOf(FaltungError);
		return error as FaltungError;
	}
	throw new Error('expected an error');
};

const joined = (chunks: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(chunks));

describe('reading', () => {
	test('little endian, big endian, and what has no order', () => {
		expect(readNpy(file(header("'<u2'", '(2,)'), [1, 0, 0, 1]), 'a').data).toEqual(Uint16Array.of(1, 256));
		expect(readNpy(file(header("'>u2'", '(2,)'), [1, 0, 0, 1]), 'a').data).toEqual(Uint16Array.of(256, 1));
		expect(readNpy(file(header("'>i4'", '(1,)'), [255, 255, 255, 254]), 'a').data).toEqual(Int32Array.of(-2));
		expect(readNpy(file(header("'>f4'", '(1,)'), [0x3f, 0xc0, 0, 0]), 'a').data).toEqual(Float32Array.of(1.5));
		expect(readNpy(file(header("'>f8'", '(1,)'), [0xc0, 0, 0, 0, 0, 0, 0, 0]), 'a').data).toEqual(Float64Array.of(-2));
		expect(readNpy(file(header("'>i8'", '(1,)'), [255, 255, 255, 255, 255, 255, 255, 253]), 'a').data).toEqual(BigInt64Array.of(-3n));
		expect(readNpy(file(header("'<u8'", '(1,)'), [7, 0, 0, 0, 0, 0, 0, 128]), 'a').data).toEqual(BigUint64Array.of(2n ** 63n + 7n));
		expect(readNpy(file(header("'|i1'", '(1,)'), [0x80]), 'a').data).toEqual(Int8Array.of(-128));
	});

	test('float16 comes as bits, bool as uint8', () => {
		expect(readNpy(file(header("'<f2'", '(1, 1)'), [0x00, 0x3c]), 'a')).toEqual({
			data: Uint16Array.of(0x3c00),
			dtype: 'float16',
			shape: [1, 1],
		});
		expect(readNpy(file(header("'|b1'", '(3,)'), [0, 1, 1]), 'a')).toEqual({ data: Uint8Array.of(0, 1, 1), dtype: 'uint8', shape: [3] });
	});

	test('Fortran order is a strided view of the same pixels', () => {
		// [[1, 2, 3], [4, 5, 6]] column by column
		const array = readNpy(file(header("'|u1'", '(2, 3)', 'True'), [1, 4, 2, 5, 3, 6]), 'a');
		expect(array.strides).toEqual([1, 2]);
		expect(rowMajor(array)).toEqual(Uint8Array.of(1, 2, 3, 4, 5, 6));
		expect(readNpy(file(header("'|u1'", '(2, 1, 3)', 'True'), [1, 4, 2, 5, 3, 6]), 'a').strides).toEqual([1, 2, 2]);
	});

	test('versions 1.0, 2.0 and 3.0, headers as other programs write them', () => {
		expect(readNpy(file(header("'|u1'", '(1,)'), [9], [2, 0]), 'a').data).toEqual(Uint8Array.of(9));
		expect(readNpy(file(header("'|u1'", '(1,)'), [9], [3, 0]), 'a').data).toEqual(Uint8Array.of(9));
		expect(readNpy(file('{"shape":(2L,),"fortran_order":False,"descr":u"<i2"}', [1, 0, 2, 0]), 'a').data).toEqual(Int16Array.of(1, 2));
		expect(readNpy(file(header("'<f8'", '()'), [0, 0, 0, 0, 0, 0, 0xf0, 0x3f]), 'a')).toMatchObject({
			shape: [],
			data: Float64Array.of(1),
		});
		expect(readNpy(file(header("'<f8'", '(0, 5)'), []), 'a')).toMatchObject({ shape: [0, 5], data: new Float64Array(0) });
	});

	test('a file that does not lie at an aligned address', () => {
		const bytes = file(header("'<f8'", '(1,)'), [0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
		for (let shift = 0; shift < 8; shift++) {
			const buffer = new Uint8Array(bytes.length + 8);
			buffer.set(bytes, shift);
			expect(readNpy(buffer.subarray(shift, shift + bytes.length), 'a').data).toEqual(Float64Array.of(1));
		}
	});
});

describe('refusing', () => {
	const u1 = (shape: string, body: readonly number[] = [1]) => file(header("'|u1'", shape), body);
	test.each<[string, () => Uint8Array, RegExp]>([
		['no .npy', () => Uint8Array.of(1, 2, 3), /photo is not a \.npy file that can be read: it does not begin with/],
		['only the magic', () => Uint8Array.from(MAGIC), /first 8 bytes/],
		['a version to come', () => file(header("'|u1'", '(1,)'), [1], [4, 0]), /version 1\.0, 2\.0 or 3\.0 but found 4\.0/],
		['an end within the length', () => Uint8Array.from([...MAGIC, 2, 0, 1]), /within the length/],
		[
			'a header longer than the file',
			() => file("{'descr'", [], [2, 0], 0xfffffff0),
			/header should have 4294967280 bytes but the file ends after 8/,
		],
		['an empty header', () => file('', []), /not a Python dict/],
		['code instead of a dict', () => file("__import__('os').system('id')", []), /expected a string, an integer.*at character 0/],
		['deep nesting', () => file('('.repeat(30000), []), /less nesting/],
		['a missing key', () => file("{'descr': '|u1', 'shape': (1,)}", [1]), /keys descr, fortran_order, shape but found: descr, shape/],
		['a strange key', () => file("{'descr': '|u1', 'shape': (1,), 'fortran_order': False, 'x': 1}", [1]), /shape, x/],
		['a key twice', () => file("{'descr': '|u1', 'descr': '|u1'}", [1]), /no second "descr"/],
		['a pickle', () => file(header("'|O'", '(1,)'), [0x80, 4]), /pickled Python objects/],
		['records', () => file(header("[('a', '<i4')]", '(1,)'), [1, 0, 0, 0]), /records/],
		['complex', () => file(header("'<c8'", '(1,)'), new Array(8).fill(0)), /dtype "<c8" is none of b1/],
		['text', () => file(header("'<U3'", '(1,)'), new Array(12).fill(0)), /dtype "<U3"/],
		['a name of Object.prototype', () => file(header("'constructor'", '(1,)'), [1]), /dtype "constructor"/],
		['fortran_order 1', () => file(header("'|u1'", '(1,)', '1'), [1]), /True or False/],
		['a negative size', () => u1('(-1,)'), /shape holds -1/],
		['two negative sizes', () => u1('(-1, -1)'), /shape holds -1/],
		['a size beyond 2^53', () => u1('(9007199254740993,)'), /shape holds 9007199254740993/],
		['a product beyond 2^64', () => u1('(4294967296, 4294967296)'), /needs 18446744073709551616 bytes but only 1 follow/],
		['a float size', () => u1('(1.5,)'), /character/],
		['a huge integer', () => u1(`(${'9'.repeat(5000)},)`), /shorter integer/],
		['a text size', () => u1("('1',)"), /tuple of integers/],
		[
			'a truncated file',
			() => u1('(2, 3)', [1, 2, 3, 4, 5]),
			/shape \(2, 3\) at 1 bytes an element needs 6 bytes but only 5 follow; it is cut short/,
		],
		['trailing data', () => u1('(2,)', [1, 2, 3]), /3 follow; 1 too many/],
		['too many axes', () => u1(`(${'1, '.repeat(65)})`), /65 axes/],
	])('%s', (_, make, message) => {
		const error = failure(() => readNpy(make(), 'photo'));
		expect(error.code).toBe('IO');
		expect(error.message).toMatch(message);
	});

	test('any bytes behind the magic give an array or an IO error', () => {
		const text = fc.string({ unit: fc.constantFrom(...`{}()[]':,<>|u1f4 0123456789-TrueFalsedescrshapefortran_order`) });
		fc.assert(
			fc.property(text, fc.uint8Array({ maxLength: 16 }), (head, body) => {
				const bytes = file(head, [...body]);
				try {
					readNpy(bytes, 'x');
				} catch (error) {
					expect((error as FaltungError).code).toBe('IO');
				}
			}),
			{ numRuns: 500 },
		);
	});
});

describe('writing', () => {
	const make = (dtype: Dtype, values: readonly number[]): TypedArray => {
		const data = new DTYPES[dtype].array(values.length);
		for (const [i, v] of values.entries()) data[i] = (DTYPES[dtype].big ? BigInt(v) : v) as never;
		return data;
	};

	test('the bytes that NumPy writes', () => {
		const [head, body] = writeNpy({ data: Uint8Array.of(1, 2, 3), shape: [1, 3] }) as [Uint8Array, Uint8Array];
		expect(Buffer.from(head.subarray(0, 10)).toString('hex')).toBe('934e554d505901007600');
		expect(Buffer.from(head.subarray(10)).toString('latin1')).toBe(
			"{'descr': '|u1', 'fortran_order': False, 'shape': (1, 3), }".padEnd(117).concat('\n'),
		);
		expect(head.length).toBe(128);
		expect([...body]).toEqual([1, 2, 3]);
		const one = Buffer.concat(writeNpy({ data: Float32Array.of(1), shape: [1] })).toString('latin1');
		expect(one).toContain("'shape': (1,), }");
		expect(one).toContain("'<f4'");
	});

	test.each(DTYPE_NAMES)('%s there and back', (dtype) => {
		const array = { data: make(dtype, [0, 1, 2, 3, 4, 100]), dtype, shape: [2, 3] };
		const bytes = joined(writeNpy(array));
		expect(isNpy(bytes)).toBe(true);
		expect(readNpy(bytes, 'a')).toEqual(array);
	});

	test('views are written as they look', () => {
		const data = Int16Array.from({ length: 24 }, (_, i) => i);
		const view = { data, shape: [2, 3], strides: [-6, 2], offset: 10 };
		expect(readNpy(joined(writeNpy(view)), 'a').data).toEqual(Int16Array.of(10, 12, 14, 4, 6, 8));
		expect(rowMajor({ data, shape: [2, 2], strides: [0, 1], offset: 3 })).toEqual(Int16Array.of(3, 4, 3, 4));
		expect(rowMajor({ data, shape: [2, 0], strides: [99, 99] })).toEqual(new Int16Array(0));
		expect(failure(() => rowMajor({ data, shape: [2, 2], strides: [30, 1] })).code).toBe('INVALID_ARGUMENT');
		expect(failure(() => rowMajor({ data, shape: [2, 2], strides: [-1, 3] })).message).toMatch(/elements -1 to 3/);
	});
});

describe('Python literals', () => {
	test('what a header may hold', () => {
		expect(parseLiteral(" {'a': (1, -2,), \"b\": [True, None], 'c': {}} \n")).toEqual(
			new Map<string, unknown>([
				['a', [1n, -2n]],
				['b', [true, null]],
				['c', new Map()],
			]),
		);
	});

	test.each(["{'a' 1}", '(1 2)', "{'a': 1", "'a\\x00'", '1 2', 'Truely', '', '{1: 2}', '(,)', "'a"])('%s is refused', (text) => {
		expect(() => parseLiteral(text)).toThrow(/expected .* at character \d+/);
	});
});
