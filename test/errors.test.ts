/**
 * Wrong calls. A control case, then one broken rule at a time, both sides of each limit. Every wrong argument has its own
 * sentence and a stable code; nothing throws synchronously; getters and proxies are read exactly once.
 */
import { describe, expect, test } from 'vitest';
import { convolve, correlate, createConvolver, FaltungError, kernels, naiveConvolve, VerificationError } from '../src/index.ts';

const image = { data: new Uint8Array(12), shape: [3, 4] };
const kernel = { data: Int32Array.of(1, 2, 1, 2), shape: [2, 2] };
const anything = convolve as (
	image: unknown,
	kernel?: unknown,
	options?: unknown,
) => Promise<{ data: unknown; report: { backend: string } }>;

/** The error that a call is rejected with; fails if it throws synchronously or succeeds. */
async function rejection(call: () => Promise<unknown>): Promise<FaltungError> {
	let pending: Promise<unknown>;
	try {
		pending = call();
	} catch (error) {
		expect.fail(`threw synchronously: ${String(error)}`);
	}
	const outcome = await pending.then(
		() => undefined,
		(error: unknown) => error,
	);
	expect(outcome, 'the call succeeded').toBeInstanceOf(FaltungError);
	return outcome as FaltungError;
}

test('the control case is fine', async () => {
	expect((await convolve(image, kernel, { backend: 'reference' })).data).toHaveLength(20);
});

/** Option, wrong value, words that the sentence must hold. */
const WRONG_OPTIONS: [name: string, value: unknown, ...words: string[]][] = [
	['mode', 'ful', 'option mode', '"ful"', 'Did you mean "full"'],
	['mode', 3, 'option mode', '3'],
	['mode', null, 'option mode', 'null'],
	['boundary', 'reflect', 'option boundary', 'symmetric', 'mirror'],
	['boundary', ['edge', 'reflect'], 'option boundary[1]', 'symmetric', 'mirror'],
	['boundary', 'simmetric', 'option boundary', 'Did you mean "symmetric"'],
	['boundary', 'replicat', 'Did you mean "replicate"'],
	['boundary', 'reflekt', 'option boundary', '"reflekt"', "'symmetric'", "'mirror'"],
	['boundary', 'grid-mirror', 'Did you mean "symmetric"'],
	['boundary', 'grid_wrap', 'Did you mean "wrap"'],
	['boundary', 'clamp', 'Did you mean "edge"'],
	['boundary', ['edge'], 'option boundary', 'pair'],
	['boundary', ['edge', 'wrap', 'edge'], 'option boundary', 'pair'],
	['boundary', ['edge', 'x'], 'option boundary[1]'],
	['boundary', { 0: 'edge', 1: 'wrap' }, 'option boundary', 'an object'],
	['value', 'a', 'option value', '"a"'],
	['value', -1, 'option value', '-1', '0 to 255'],
	['value', 256, 'option value', '256', '0 to 255'],
	['value', 0.5, 'option value', '0.5'],
	['value', NaN, 'option value', 'NaN'],
	['value', 300n, 'option value', '300n'],
	['value', Symbol('x'), 'option value', 'a symbol'],
	['anchor', 1, 'option anchor', 'pair'],
	['anchor', [0], 'option anchor', 'pair'],
	['anchor', [0, 0, 0], 'option anchor', 'pair'],
	['anchor', [-1, 0], 'option anchor[0]', '-1'],
	['anchor', [0, 0.5], 'option anchor[1]', '0.5'],
	['anchor', [0, '0'], 'option anchor[1]', '"0"'],
	['stride', 0, 'option stride', '0'],
	['stride', -1, 'option stride', '-1'],
	['stride', 1.5, 'option stride', '1.5'],
	['stride', '2', 'option stride', '"2"'],
	['stride', [1, 0], 'option stride[1]', '0'],
	['stride', [1], 'option stride', 'pair'],
	['stride', 2n, 'option stride', '2n'],
	['stride', NaN, 'option stride', 'NaN'],
	['stride', Infinity, 'option stride', 'Infinity'],
	['stride', 2 ** 31, 'option stride', '2147483648'],
	['dilation', 0, 'option dilation', '0'],
	['dilation', [0, 1], 'option dilation[0]', '0'],
	['dilation', {}, 'option dilation', 'an object'],
	['layout', 'hw', 'option layout', 'Did you mean "HW"'],
	['layout', 'HWC', 'option layout', 'rank 2'],
	['outputDtype', 'uint7', 'option outputDtype', 'Did you mean "uint'],
	['outputDtype', 'Uint8', 'Did you mean "uint8"'],
	['outputDtype', Uint8Array, 'option outputDtype', 'a function'],
	['overflow', 'clamp', 'option overflow', '"clamp"', 'saturate'],
	['overflow', true, 'option overflow', 'true'],
	['rounding', 'nearest', 'option rounding', 'Did you mean "nearest-even"'],
	['scale', '1', 'option scale', '"1"'],
	['scale', NaN, 'option scale', 'NaN'],
	['scale', Infinity, 'option scale', 'Infinity'],
	['scale', [], 'option scale', '[]'],
	['scale', [1, 'x'], 'option scale[1]', '"x"'],
	['scale', [1, 2], 'option scale', '2'],
	['scale', 1n, 'option scale', '1n'],
	['bias', -Infinity, 'option bias', '-Infinity'],
	['bias', [0, 0, 0], 'option bias', '3'],
	['accumulate', 'float16', 'option accumulate', 'float32'],
	['method', 'FFT', 'option method', 'Did you mean "fft"'],
	['method', 'winograd', 'option method', '"winograd"'],
	['tolerance', -1, 'option tolerance', '-1'],
	['tolerance', '1', 'option tolerance', '"1"'],
	['tolerance', NaN, 'option tolerance', 'NaN'],
	['policy', 'mesure', 'option policy', 'Did you mean "measure"'],
	['policy', true, 'option policy', 'true', '"estimate"'],
	['accuracy', 'high', 'option accuracy', '"high"'],
	['backend', 'gpu', 'option backend', '"gpu"'],
	['backend', 'webgl', 'Did you mean "webgpu"'],
	['backend', [], 'option backend', 'empty'],
	['backend', ['reference', 'x'], 'option backend[1]', '"x"'],
	['backend', ['auto'], 'option backend[0]', '"auto"'],
	['backend', { name: 'mine' }, 'option backend', 'an object'],
	['backend', 1, 'option backend', '1'],
	['verify', true, 'option verify', 'true', '"sample"'],
	['verify', 'all', 'option verify', '"all"'],
	['threads', 0, 'option threads', '0'],
	['threads', 1.5, 'option threads', '1.5'],
	['threads', 1025, 'option threads', '1025'],
	['out', 5, 'out', '5'],
	['out', null, 'out', 'null'],
	['out', [[1]], 'out'],
	['out', new DataView(new ArrayBuffer(20)), 'out'],
	['signal', {}, 'option signal', 'AbortSignal'],
	['signal', new AbortController(), 'option signal', 'controller.signal'],
	['signal', true, 'option signal', 'true'],
	['signal', null, 'option signal', 'null'],
];

describe('options', () => {
	test.each(WRONG_OPTIONS.map(([name, value, ...words], k) => ({ k, name, value, words })))(
		'$k [$name]',
		async ({ name, value, words }) => {
			const error = await rejection(() => anything(image, kernel, { mode: 'same', backend: 'reference', [name]: value }));
			expect(error.code).toBe('INVALID_ARGUMENT');
			for (const word of words) expect(error.message).toContain(word);
			expect(error.message).toMatch(/^Expected .+ for .+ but received .+\./s);
		},
	);

	test('each has a sentence of its own', async () => {
		const sentences = new Map<string, string>();
		for (const [name, value] of WRONG_OPTIONS) {
			const { message } = await rejection(() => anything(image, kernel, { mode: 'same', backend: 'reference', [name]: value }));
			const call = `${name}: ${typeof value} ${String(typeof value === 'object' ? JSON.stringify(value) : String(value))}`;
			// two objects are one kind of wrong value: neither is looked into for a message
			const known = message.includes('received an object') ? undefined : sentences.get(message);
			expect(known, `${call} and ${known} answer alike`).toBeUndefined();
			sentences.set(message, call);
		}
	});

	test.each([
		['bounday', 'boundary'],
		['padding', 'option', 'options'],
		['strides', 'stride'],
		['Mode', 'mode'],
		['outputdtype', 'outputDtype'],
		['dtype', 'options'],
		['fillvalue', 'value'],
		['kernel', 'options'],
	])('unknown option %s names the nearest', async (name, ...words) => {
		const error = await rejection(() => anything(image, kernel, { [name]: 1 }));
		expect(error.code).toBe('INVALID_ARGUMENT');
		expect(error.message).toContain(JSON.stringify(name));
		expect(error.message).toContain('Did you mean');
		for (const word of words) expect(error.message).toContain(word);
	});

	test.each([[null], [5], ['same'], [true], [Symbol('o')], [[]], [new Uint8Array(1)], [() => {}], [1n]])(
		'options may not be %s',
		async (options) => {
			const error = await rejection(() => anything(image, kernel, options));
			expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('options') });
		},
	);
});

describe('both sides of each limit', () => {
	const fine = async (options: object, what = image) =>
		expect((await anything(what, kernel, { backend: 'reference', ...options })).report.backend).toBe('reference');
	const wrong = async (options: object, what = image, code = 'INVALID_ARGUMENT') =>
		expect((await rejection(() => anything(what, kernel, { backend: 'reference', ...options }))).code).toBe(code);

	test('[value] of a uint8 image', async () => {
		for (const value of [0, -0, 255, 255n]) await fine({ value });
		for (const value of [-1, 256, 256n, 2 ** 53]) await wrong({ value });
	});
	test('[value] of an int64 image', async () => {
		const big = { data: new BigInt64Array(12), shape: [3, 4] } as unknown as typeof image;
		for (const value of [-(2n ** 63n), 2n ** 63n - 1n, 2 ** 53 - 1]) await fine({ value }, big);
		for (const value of [-(2n ** 63n) - 1n, 2n ** 63n, 2 ** 53]) await wrong({ value }, big);
	});
	test('[anchor] of a 2×2 kernel, of a dilated one', async () => {
		await fine({ mode: 'same', anchor: [1, 1] });
		await wrong({ mode: 'same', anchor: [2, 1] });
		await wrong({ mode: 'same', anchor: [1, 2] });
		await fine({ mode: 'same', anchor: [3, 2], dilation: [3, 2] });
		await wrong({ mode: 'same', anchor: [4, 2], dilation: [3, 2] });
		await wrong({ mode: 'same', anchor: [3, 3], dilation: [3, 2] });
	});
	test('[mode] valid: a kernel as large as the image, and larger by one', async () => {
		await fine({ mode: 'valid' }, { data: new Uint8Array(4), shape: [2, 2] });
		await wrong({ mode: 'valid' }, { data: new Uint8Array(2), shape: [1, 2] });
		await wrong({ mode: 'valid' }, { data: new Uint8Array(2), shape: [2, 1] });
		await fine({ mode: 'valid', dilation: [2, 3] });
		await wrong({ mode: 'valid', dilation: [3, 3] });
		await wrong({ mode: 'valid', dilation: [2, 4] });
	});
	test('[stride] [threads] largest', async () => {
		await fine({ stride: 2 ** 31 - 1 });
		await wrong({ stride: 2 ** 31 });
		await fine({ threads: 1024 });
		await wrong({ threads: 1025 });
	});
	test('[dilation] so large that the kernel passes its limit', async () => {
		await wrong({ dilation: 2 ** 25 }, image, 'LIMIT_EXCEEDED');
		await wrong({ dilation: 2 ** 31 - 1, mode: 'same' }, image, 'LIMIT_EXCEEDED');
	});
	test('data and shape must agree', async () => {
		const of = (length: number) => ({ data: new Uint8Array(length), shape: [3, 4] });
		await fine({}, of(12));
		await wrong({}, of(11));
		await wrong({}, of(13));
	});
	test('a view may reach its last element, not the one after', async () => {
		const of = (view: object) => ({ data: new Uint8Array(12), shape: [3, 2], ...view }) as typeof image;
		await fine({}, of({ strides: [4, 1], offset: 2 }));
		await wrong({}, of({ strides: [4, 1], offset: 3 }));
		await fine({}, of({ strides: [-4, -1], offset: 9 }));
		await wrong({}, of({ strides: [-4, -1], offset: 8 }));
		await wrong({}, of({ strides: [4] }));
		await wrong({}, of({ strides: [4, 1.5] }));
		await wrong({}, of({ offset: -1 }));
		await wrong({}, of({ strides: [2 ** 52, 1] }));
	});
	test('a result too large for any memory says the numbers', async () => {
		const endless = { data: Uint8Array.of(1), shape: [2 ** 30, 2 ** 30], strides: [0, 0] };
		const error = await rejection(() => anything(endless, [[1]], { backend: 'reference' }));
		expect(error.code).toBe('LIMIT_EXCEEDED');
		expect(error.message).toMatch(/\d{10}/);
		const wide = { data: Uint8Array.of(1), shape: [1, 2 ** 40], strides: [0, 0] };
		expect((await rejection(() => anything(wide, [[1]], { backend: 'reference' }))).code).toBe('LIMIT_EXCEEDED');
	});
});

describe('image and kernel', () => {
	const junk: [string, unknown][] = [
		['undefined', undefined],
		['null', null],
		['a number', 5],
		['a string', 'image'],
		['a symbol', Symbol('i')],
		['a BigInt', 1n],
		['a function', () => {}],
		['an empty object', {}],
		['a bare typed array', new Uint8Array(4)],
		['an ArrayBuffer', new ArrayBuffer(4)],
		['a Map', new Map()],
		['a promise', Promise.resolve(1)],
		['a shape of strings', { data: new Uint8Array(4), shape: ['2', '2'] }],
		['a shape of fractions', { data: new Uint8Array(4), shape: [2.5, 2] }],
		['a negative shape', { data: new Uint8Array(4), shape: [-2, -2] }],
		['a shape of NaN', { data: new Uint8Array(4), shape: [NaN, 2] }],
		['no shape', { data: new Uint8Array(4) }],
		['a shape that is a number', { data: new Uint8Array(4), shape: 4 }],
		['a shape that is a typed array', { data: new Uint8Array(4), shape: Uint8Array.of(2, 2) }],
		['no data', { shape: [2, 2] }],
		['an unknown dtype', { data: new Uint8Array(4), shape: [2, 2], dtype: 'u8' }],
		['a dtype that lies', { data: new Uint8Array(4), shape: [2, 2], dtype: 'float32' }],
		['strides that are a string', { data: new Uint8Array(4), shape: [2, 2], strides: '11' }],
		['an offset that is a BigInt', { data: new Uint8Array(4), shape: [2, 2], offset: 0n }],
		['1000 axes', { data: new Uint8Array(1), shape: new Array(1000).fill(1) }],
	];
	test.each(junk)('image: %s', async (_, value) => {
		const error = await rejection(() => anything(value, kernel, { backend: 'reference' }));
		expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('image') });
	});
	test.each(junk)('kernel: %s', async (_, value) => {
		const error = await rejection(() => anything(image, value, { backend: 'reference' }));
		expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('kernel') });
	});
	test.each([
		['rank 1', { data: new Uint8Array(4), shape: [4] }],
		['rank 4', { data: new Uint8Array(4), shape: [1, 1, 2, 2] }],
		['NaN taps', { data: Float32Array.of(1, NaN), shape: [1, 2] }],
		['infinite taps', { data: Float32Array.of(1, Infinity), shape: [1, 2] }],
	])('kernel: %s', async (_, value) => {
		expect(await rejection(() => anything(image, value))).toMatchObject({
			code: 'INVALID_ARGUMENT',
			message: expect.stringContaining('kernel'),
		});
	});

	test.each([
		['2^33', [[2n ** 33n]], 'Give a BigInt64Array.'],
		['2^63', [[2n ** 63n]], 'Give a BigUint64Array'],
		['2^63 and −1', [[2n ** 63n, -1n]], 'Give a Float64Array'],
		['2^70', [[2n ** 70n]], 'Give a Float64Array'],
		['2^70 as a number', [[1, 2 ** 70]], 'Give a Float64Array'],
	])('an integer beyond int32 is told what can hold it: %s', async (_, value, advice) => {
		const error = await rejection(() => anything(image, value, { backend: 'reference' }));
		expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining(advice) });
	});

	test('a boundary like none is not likened to any', async () => {
		expect((await rejection(() => anything(image, kernel, { boundary: 'xyzzy' }))).message).not.toContain('Did you mean');
	});

	test('an array with a length that no memory holds is refused at once', async () => {
		const sparse: unknown[] = [];
		sparse.length = 2 ** 32 - 1;
		const began = performance.now();
		expect((await rejection(() => anything(image, sparse))).code).toBe('INVALID_ARGUMENT');
		expect((await rejection(() => anything(sparse, kernel))).code).toBe('INVALID_ARGUMENT');
		expect((await rejection(() => anything(image, [sparse]))).code).toBe('INVALID_ARGUMENT');
		expect((await rejection(() => anything([sparse], kernel))).code).toBe('INVALID_ARGUMENT');
		expect((await rejection(() => anything({ ...image, shape: sparse }, kernel))).code).toBe('INVALID_ARGUMENT');
		expect((await rejection(() => anything(image, kernel, { scale: sparse }))).code).toBe('INVALID_ARGUMENT');
		expect(performance.now() - began).toBeLessThan(3000);
	});
});

describe('hostile objects', () => {
	/** A copy of an object that counts the reads of each property. */
	function counting(target: object): { proxy: object; reads: Map<PropertyKey, number> } {
		const reads = new Map<PropertyKey, number>();
		const proxy = new Proxy(target, {
			get(object, key, receiver) {
				reads.set(key, (reads.get(key) ?? 0) + 1);
				return Reflect.get(object, key, receiver) as unknown;
			},
		});
		return { proxy, reads };
	}
	const once = (reads: Map<PropertyKey, number>, keys: readonly string[]) => {
		for (const [key, count] of reads) expect(count, String(key)).toBe(1);
		for (const key of keys) expect(reads.get(key), key).toBe(1);
	};

	test('image, kernel, options, shapes, strides, pairs and out are read exactly once', async () => {
		const shape = counting([3, 4]);
		const strides = counting([4, 1]);
		const picture = counting({ data: new Uint8Array(12), shape: shape.proxy, strides: strides.proxy, offset: 0, dtype: 'uint8' });
		const taps = counting({ data: Int32Array.of(1), shape: [1, 1] });
		const stride = counting([1, 2]);
		const scale = counting([2]);
		const out = counting({ data: new Uint8Array(6), shape: [3, 2] });
		const options = counting({
			mode: 'same',
			boundary: 'edge',
			stride: stride.proxy,
			scale: scale.proxy,
			out: out.proxy,
			backend: 'reference',
		});
		await anything(picture.proxy, taps.proxy, options.proxy);
		once(picture.reads, ['data', 'shape', 'strides', 'offset', 'dtype']);
		once(taps.reads, ['data', 'shape']);
		once(options.reads, ['mode', 'boundary', 'stride', 'scale', 'out', 'backend', 'signal', 'verify']);
		once(out.reads, ['data', 'shape']);
		for (const { reads } of [shape, strides, stride, scale]) once(reads, ['length', '0']);
	});

	test('nested rows are read exactly once', async () => {
		const row = counting([1, 2, 3]);
		const rows = counting([row.proxy]);
		await anything(rows.proxy, [[1]], { backend: 'reference' });
		once(row.reads, ['length', '0', '1', '2']);
		once(rows.reads, ['length', '0']);
		const taps = counting([1, 2, 3]);
		const tapRows = counting([taps.proxy]);
		await anything(image, tapRows.proxy, { backend: 'reference' });
		once(taps.reads, ['length', '0', '1', '2']);
		once(tapRows.reads, ['length', '0']);
	});

	test('a getter that changes its mind cannot show one shape to the check and another to the work', async () => {
		let reads = 0;
		const liar = {
			data: new Uint8Array(12),
			get shape() {
				return reads++ === 0 ? [3, 4] : [3000, 4000];
			},
		};
		expect((await convolve(liar, [[1]], { backend: 'reference' })).shape).toEqual([3, 4]);
		expect(reads).toBe(1);
	});

	const bomb = () => {
		throw new Error('boom');
	};
	const revoked = () => {
		const { proxy, revoke } = Proxy.revocable({}, {});
		revoke();
		return proxy;
	};
	const revokedArray = () => {
		const { proxy, revoke } = Proxy.revocable([], {});
		revoke();
		return proxy;
	};
	test.each<[string, () => [unknown, unknown, unknown]]>([
		['image.data throws', () => [Object.defineProperty({ shape: [1, 1] }, 'data', { get: bomb }), kernel, {}]],
		['image.shape throws', () => [Object.defineProperty({ data: new Uint8Array(1) }, 'shape', { get: bomb }), kernel, {}]],
		['a row throws', () => [[Object.defineProperty([1], 0, { get: bomb })], kernel, {}]],
		['kernel.data throws', () => [image, Object.defineProperty({ shape: [1, 1] }, 'data', { get: bomb }), {}]],
		['an option throws', () => [image, kernel, Object.defineProperty({}, 'mode', { get: bomb, enumerable: true })]],
		['ownKeys throws', () => [image, kernel, new Proxy({}, { ownKeys: bomb })]],
		['backend.name throws', () => [image, kernel, { backend: Object.defineProperty({}, 'name', { get: bomb }) }]],
		['signal.aborted throws', () => [image, kernel, { signal: Object.defineProperty({}, 'aborted', { get: bomb }) }]],
		['out.data throws', () => [image, kernel, { out: Object.defineProperty({ shape: [1] }, 'data', { get: bomb }) }]],
		['a revoked image', () => [revoked(), kernel, {}]],
		['a revoked kernel', () => [image, revoked(), {}]],
		['a revoked array image', () => [revokedArray(), kernel, {}]],
		['a revoked array kernel', () => [image, revokedArray(), {}]],
		['revoked options', () => [image, kernel, revoked()]],
		['a revoked shape', () => [{ data: new Uint8Array(1), shape: revokedArray() }, kernel, {}]],
		['a revoked stride', () => [image, kernel, { stride: revokedArray() }]],
		['a revoked scale', () => [image, kernel, { scale: revokedArray() }]],
		['a revoked backend', () => [image, kernel, { backend: revoked() }]],
		['a revoked signal', () => [image, kernel, { signal: revoked() }]],
		['a revoked out', () => [image, kernel, { out: revoked() }]],
		['a revoked mode', () => [image, kernel, { mode: revoked() }]],
		['a revoked value', () => [image, kernel, { value: revoked() }]],
		['an object whose toString throws', () => [image, kernel, { mode: { toString: bomb, [Symbol.toPrimitive]: bomb } }]],
		[
			'an error that cannot be read',
			() => [
				image,
				kernel,
				Object.defineProperty({}, 'mode', {
					enumerable: true,
					get: () => {
						throw revoked();
					},
				}),
			],
		],
	])('%s', async (_, make) => {
		const [a, b, c] = make();
		expect((await rejection(() => anything(a, b, c))).code).toBe('INVALID_ARGUMENT');
	});

	test('what the caller’s own code threw is the cause', async () => {
		const error = await rejection(() => anything(image, kernel, Object.defineProperty({}, 'mode', { get: bomb, enumerable: true })));
		expect(error.message).toContain('boom');
		expect((error.cause as Error).message).toBe('boom');
	});

	test('__proto__ and constructor are no options', async () => {
		expect((await rejection(() => anything(image, kernel, JSON.parse('{"__proto__": 1}')))).code).toBe('INVALID_ARGUMENT');
		expect((await rejection(() => anything(image, kernel, { constructor: 1 }))).code).toBe('INVALID_ARGUMENT');
		expect((await rejection(() => anything(image, kernel, { boundary: 'constructor' }))).code).toBe('INVALID_ARGUMENT');
		expect((await rejection(() => anything(image, kernel, { boundary: '__proto__' }))).code).toBe('INVALID_ARGUMENT');
	});

	test('a polluted prototype changes nothing that was not said', async () => {
		const { data } = await anything(image, kernel, Object.create(null));
		expect(data).toHaveLength(20);
	});

	test('thousands of random wrong calls: a coded error or an answer, never anything else', async () => {
		const pool: unknown[] = [
			undefined,
			null,
			0,
			-0,
			-1,
			1.5,
			2 ** 31,
			2 ** 53,
			1e308,
			NaN,
			Infinity,
			'',
			'same',
			'x',
			true,
			1n,
			Symbol('s'),
			[],
			[1],
			[[1]],
			[1, 2],
			{},
			() => {},
			new Uint8Array(2),
			image,
			kernel,
			[NaN, 1],
			new Date(0),
			/x/,
		];
		const names = WRONG_OPTIONS.map(([name]) => name);
		let state = 7;
		const pick = <T>(list: readonly T[]): T => {
			state = (Math.imul(state, 1103515245) + 12345) >>> 0;
			return list[(state >>> 8) % list.length] as T;
		};
		for (let k = 0; k < 4000; k++) {
			const options = pick([true, true, true, false]) ? { [pick(names)]: pick(pool), [pick(names)]: pick(pool) } : pick(pool);
			const [a, b] = [pick([image, image, image, pick(pool)]), pick([kernel, kernel, kernel, pick(pool)])];
			try {
				await anything(a, b, options);
			} catch (error) {
				expect(error, `call ${k}`).toBeInstanceOf(FaltungError);
			}
		}
	});
});

describe('every entry rejects or throws as it says', () => {
	test('correlate and createConvolver reject', async () => {
		expect((await rejection(() => correlate(image, kernel, { mode: 'x' as 'full' }))).code).toBe('INVALID_ARGUMENT');
		expect((await rejection(() => createConvolver(kernel, { mode: 'x' as 'full' }))).code).toBe('INVALID_ARGUMENT');
		expect((await rejection(() => createConvolver(kernel, { out: new Uint8Array(1) } as object))).message).toContain('option out');
		expect((await rejection(() => createConvolver(kernel, { operation: 'conv' as 'convolve' }))).message).toContain(
			'Did you mean "convolve"',
		);
		expect((await rejection(() => createConvolver(undefined as unknown as number[][]))).message).toContain('kernel');
		expect((await rejection(() => createConvolver(kernel, { shape: [3] }))).message).toContain('option shape');
		expect((await rejection(() => createConvolver(kernel, { shape: [3, 4, 3] }))).message).toContain('option layout');
		expect((await rejection(() => createConvolver(kernel, { shape: 5 as unknown as number[] }))).message).toContain('option shape');
		expect((await rejection(() => createConvolver(kernel, { dtype: 'f32' as 'float32' }))).message).toContain('option dtype');
	});

	test('naiveConvolve throws: it is synchronous', () => {
		expect(() => naiveConvolve(image, [[1, 1]])).toThrow('Only odd dimensions on filter supported');
		expect(() => naiveConvolve(undefined as unknown as number[][], [[1]])).toThrow(FaltungError);
	});

	test('kernels throw for a wrong parameter', () => {
		expect(() => kernels.gaussian({ sigma: NaN })).toThrow(FaltungError);
		expect(() => kernels.gaussian({ sigma: -1 })).toThrow(FaltungError);
		expect(() => kernels.gaussian({} as { sigma: number })).toThrow('option sigma but received none. It has no default.');
	});

	test('an error says its class and code', () => {
		const error = new VerificationError('m', { pixel: [0, 1], expected: 1, actual: 2, bound: 0 });
		expect(error).toBeInstanceOf(FaltungError);
		expect(error).toBeInstanceOf(Error);
		expect({ name: error.name, code: error.code }).toEqual({ name: 'VerificationError', code: 'VERIFICATION_FAILED' });
		expect(new FaltungError('IO', 'x').name).toBe('FaltungError');
	});
});
