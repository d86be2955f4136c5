/** Images that a callback writes: on every backend the same result as the array, and every way that a callback can go wrong. */
import { beforeEach, describe, expect, test } from 'vitest';
import { referenceBackend } from '../src/backend/reference.ts';
import {
	type Backend,
	type ConvolveOptions,
	convolve,
	correlate,
	createConvolver,
	FaltungError,
	type ImageSource,
	type NdArray,
	naiveConvolve,
	type TypedArray,
} from '../src/index.ts';
import { tested } from './backends.ts';
import { sourceOf } from './call.ts';
import { arrayOf, DTYPES, type Dtype } from './oracle/dtypes.ts';

const kernel = [
	[1, -2, 1],
	[2, 4, 0],
];
const picture = Uint8Array.from({ length: 20 * 30 }, (_, k) => (k * 7919) % 251);
const array = { data: picture, shape: [20, 30] };

/** A source of `picture` that counts its calls and keeps what it was handed. */
function counted(before: () => unknown = () => undefined): ImageSource<'uint8'> & { calls: number; kept: Uint8Array[] } {
	return {
		shape: [20, 30],
		dtype: 'uint8',
		calls: 0,
		kept: [],
		fill(memory) {
			this.calls++;
			this.kept.push(memory);
			memory.set(picture);
			return before() as undefined;
		},
	};
}

const VERIFY = [false, 'checksum', 'sample', 'full'] as const;

describe.each(tested)('$name', ({ name: backend, mayRefuse }) => {
	const options = { backend, overflow: 'wrap', mode: 'same' } as const;
	const expected = async (more: ConvolveOptions = {}, image: NdArray = array) =>
		(await convolve(image, kernel, { backend, overflow: 'wrap', mode: 'same', ...more })).data;

	test.each(VERIFY)('verify: %s: the same result, from one call of the callback, which is handed all of the image', async (verify) => {
		const source = counted();
		const { data, report } = await convolve(source, kernel, { ...options, verify });
		expect(data).toEqual(await expected());
		expect(report.verification?.method).toBe(verify === false ? undefined : verify);
		expect(source.calls).toBe(1);
	});

	test.each(DTYPES.flatMap((dtype) => VERIFY.map((verify) => ({ dtype, verify }))))(
		'$dtype, verify: $verify',
		async ({ dtype, verify }) => {
			const sum = dtype === 'float64' ? 'float64' : dtype.startsWith('float') ? 'float32' : 'integer';
			if (mayRefuse({ image: dtype, kernel: 'int32', sum })) return;
			const shape = [2, 5, 7, 3];
			const values = Array.from({ length: 210 }, (_, k) => (dtype.endsWith('64') && !dtype.startsWith('f') ? BigInt(k % 23) : k % 23));
			const all = { ...options, verify, layout: 'NHWC', scale: 1 } as const;
			const { data } = await convolve(sourceOf(dtype as Dtype, shape, values), kernel, all);
			const given = { data: arrayOf(dtype as Dtype, values) as TypedArray, shape, dtype } as NdArray;
			expect(data).toEqual(await expected(all, given));
		},
	);

	test('is handed dense memory of its dtype, as a method of what was given', async () => {
		for (const verify of VERIFY) {
			const source = {
				shape: [2, 3, 4],
				dtype: 'float32' as const,
				seen: '',
				fill(memory: Float32Array) {
					this.seen = `${memory.constructor.name} ${memory.length}`;
					memory.fill(2);
				},
			};
			const { data } = await correlate(source, [[1, 1]], { backend, verify, mode: 'valid', layout: 'CHW' });
			expect(source.seen).toBe('Float32Array 24');
			expect([...data]).toEqual(new Array(18).fill(4));
		}
	});

	test('writes into an out, and follows the options', async () => {
		const out = new Int32Array(10 * 15);
		const more = { stride: 2, outputDtype: 'int32', boundary: 'mirror' } as const;
		const r = await convolve(counted(), kernel, { ...options, ...more, verify: false, out });
		expect(r.data).toBe(out);
		expect(out).toEqual(await expected(more));
	});

	test.each([
		[[0, 5], 'full', [1, 7]],
		[[5, 0], 'full', [6, 2]],
		[[0, 0], 'same', [0, 0]],
	] as const)('is not called where there is nothing to write: %j', async (shape, mode, size) => {
		for (const verify of VERIFY) {
			const fill = () => expect.fail('called');
			const r = await convolve({ shape, dtype: 'uint8', fill }, kernel, { backend, mode, verify, value: 3, overflow: 'wrap' });
			expect(r.shape).toEqual(size);
			expect(r.data).toEqual((await convolve({ data: new Uint8Array(0), shape }, kernel, { backend, mode, value: 3 })).data);
		}
	});

	test('batches mix sources and arrays', async () => {
		const c = await createConvolver(kernel, { ...options, verify: false });
		const images = Array.from({ length: 9 }, (_, k) => (k % 3 === 0 ? array : counted()));
		let count = 0;
		for await (const { index, data } of c.batch(images)) {
			expect(index).toBe(count++);
			expect(data).toEqual(await expected());
		}
		expect(count).toBe(9);
		for (const image of images) if ('calls' in image) expect(image.calls).toBe(1);
		await c.dispose();
	});

	test("policy 'measure' calls it once", async () => {
		const source = counted();
		const { data } = await convolve(source, kernel, { ...options, policy: 'measure', verify: false });
		expect(data).toEqual(await expected());
		expect(source.calls).toBe(1);
	});

	describe.each([false, 'sample'] as const)('verify: %s', (verify) => {
		const refusal = async (image: unknown, more: object = {}) => {
			const error = await convolve(image as ImageSource<'uint8'>, kernel, { ...options, verify, ...more }).catch((e: unknown) => e);
			expect(error).toBeInstanceOf(FaltungError);
			return error as FaltungError;
		};

		test('what it throws is the cause, and the next call works', async () => {
			const boom = new RangeError('the file ends here');
			const c = await createConvolver(kernel, { ...options, verify });
			const source = counted(() => {
				throw boom;
			});
			const error = await c.run(source).catch((e: unknown) => e);
			expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', cause: boom });
			expect((error as FaltungError).message).toBe(
				'Expected a function that writes every pixel for image.fill but received one that threw: the file ends here.',
			);
			expect((await c.run(counted())).data).toEqual(await expected());
			await c.dispose();
		});

		test('a code of ours that it throws makes no fallback', async () => {
			const source = counted(() => {
				throw new FaltungError('UNSUPPORTED', 'mine');
			});
			expect(await refusal(source, { backend: [backend, backend === 'reference' ? 'native' : 'reference'] })).toMatchObject({
				code: 'INVALID_ARGUMENT',
				cause: { code: 'UNSUPPORTED' },
			});
			expect(source.calls).toBe(1);
		});

		test('a promise is refused, and what becomes of it is nobody’s', async () => {
			const error = await refusal(counted(async () => Promise.reject(new Error('late'))));
			expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
			expect(error.message).toMatch(/^Expected a synchronous function for image.fill but received one that returned a promise\. Await/);
			const thenable = counted(() => Object.fromEntries([['then', () => {}]]));
			expect((await refusal(thenable)).message).toContain('a promise');
		});

		test('a generator would never run: it is refused', async () => {
			const lazy = {
				...counted(),
				*fill(memory: Uint8Array) {
					yield memory.set(picture);
				},
			};
			expect((await refusal(lazy)).message).toMatch(
				/^Expected a function that writes every pixel for image\.fill but received a generator\./,
			);
		});

		test('an abort before it or in it is the reason', async () => {
			const source = counted(() => {
				controller.abort(reason);
				controller.signal.throwIfAborted();
			});
			const reason = new Error('enough');
			let controller = new AbortController();
			const run = () => convolve(source, kernel, { ...options, verify, signal: controller.signal });
			await expect(run()).rejects.toBe(reason);
			expect(source.calls).toBe(1);
			controller = new AbortController();
			const pending = run();
			controller.abort(reason);
			await expect(pending).rejects.toBe(reason);
			expect(source.calls).toBe(1);
		});

		test('an out that it takes away, or shrinks, is refused', async () => {
			const Resizable = ArrayBuffer as unknown as new (bytes: number, options: object) => ArrayBuffer & { resize(bytes: number): void };
			for (const shrink of [false, true]) {
				const memory = new Resizable(600, { maxByteLength: 600 });
				const take = () => void (shrink ? memory.resize(9) : structuredClone(memory, { transfer: [memory] }));
				const error = await refusal(counted(take), { out: new Uint8Array(memory) });
				expect(error.message).toMatch(/^Expected image and out to stay where they are for a pending call/);
			}
		});

		test('the memory is dead when it returns: what it writes later changes no result', async () => {
			const source = counted();
			const c = await createConvolver(kernel, { ...options, verify });
			const pending = c.run(source);
			while (source.calls === 0) await new Promise((resolve) => setTimeout(resolve, 0));
			expect(source.kept.map(({ length }) => length)).toEqual([0]);
			const first = await pending;
			expect(first.data).toEqual(await expected());
			expect((await c.run(counted())).data).toEqual(await expected());
			await c.dispose();
		});
	});

	test('memory that it transfers is refused, or was never its own to give away', async () => {
		for (const verify of VERIFY) {
			const source = counted();
			const { fill } = source;
			source.fill = function (memory) {
				fill.call(this, memory);
				structuredClone(memory.buffer, { transfer: [memory.buffer] });
			};
			const outcome = await convolve(source, kernel, { ...options, verify }).catch((e: unknown) => e);
			if (outcome instanceof FaltungError) expect(outcome.message).toMatch(/^Expected memory that stays where it is for image\.fill/);
			else expect(outcome).toMatchObject({ data: await expected() });
		}
	});
});

describe('a backend that has memory to fill', () => {
	/** The reference, with memory of its own to fill, and a way to fail once it is filled. */
	const staging = (fail?: () => never): Backend => ({
		...referenceBackend,
		candidates: referenceBackend.candidates.bind(referenceBackend),
		prepare: async (problem, plan) => {
			const inner = await referenceBackend.prepare(problem, plan);
			return {
				plan,
				run: inner.run.bind(inner),
				dispose: () => inner.dispose(),
				stage: async (fill) => {
					const data = new Uint8Array(600);
					fill(data);
					const image = { data, dtype: 'uint8', sizes: [1, 1, 20, 30], strides: [0, 0, 30, 1], offset: 0 } as const;
					return {
						run: async (out) => (fail === undefined ? inner.run(image, out) : fail()),
						checksum: () => expect.fail('asked'),
						read: async () => image,
						dispose: () => {
							disposed++;
						},
					};
				},
			};
		},
	});
	let disposed = 0;
	beforeEach(() => {
		disposed = 0;
	});

	test('gives it back', async () => {
		const { data } = await convolve(counted(), kernel, { backend: staging(), verify: false, mode: 'same', overflow: 'wrap' });
		expect(data).toEqual((await convolve(array, kernel, { backend: 'reference', mode: 'same', overflow: 'wrap' })).data);
		expect(disposed).toBe(1);
	});

	test.each([
		['LIMIT_EXCEEDED', undefined], // the same backend, from memory of the host
		['DEVICE_LOST', 'DEVICE_LOST'],
	] as const)('%s: the callback is called again', async (code, fallback) => {
		const source = counted();
		const broken = staging(() => {
			throw new FaltungError(code, 'told to fail');
		});
		const all = { verify: false, mode: 'same', overflow: 'wrap' } as const;
		const r = await convolve(source, kernel, { ...all, backend: fallback === undefined ? broken : [broken, 'native'] });
		expect(r.data).toEqual((await convolve(array, kernel, { backend: 'reference', mode: 'same', overflow: 'wrap' })).data);
		expect(r.report.fallbacks.map((failed) => failed.code)).toEqual(fallback === undefined ? [] : [fallback]);
		expect(source.calls).toBe(2);
		expect(disposed).toBe(1);
	});

	test('a bug in it is no fallback', async () => {
		const broken = staging(() => {
			throw new TypeError('bug');
		});
		await expect(convolve(counted(), kernel, { backend: broken, verify: false })).rejects.toThrow('bug');
		expect(disposed).toBe(1);
	});
});

test('naiveConvolve takes one too', () => {
	const { data } = naiveConvolve(counted(), [[1, 2, 1]]);
	expect(data).toEqual(naiveConvolve(array, [[1, 2, 1]]).data);
});

test('what has data is an array, whatever its methods are called', async () => {
	const image = { ...array, dtype: 'uint8' as const, fill: () => expect.fail('called') };
	expect((await convolve(image, kernel, { backend: 'reference' })).data).toHaveLength(21 * 32);
});

test('an image too large for memory says the numbers', async () => {
	const endless = { shape: [2 ** 26, 2 ** 26], dtype: 'float64' as const, fill: () => expect.fail('called') };
	const error = await convolve(endless, [[1]], { backend: 'reference', stride: 2 ** 26 }).catch((e: unknown) => e);
	expect(error).toMatchObject({ code: 'LIMIT_EXCEEDED', message: expect.stringContaining(`${2 ** 55} bytes`) });
});

const fill = () => {};
test.each<[string, unknown, string]>([
	['no function', { shape: [2, 2], dtype: 'uint8', fill: 5 }, 'a function for image.fill but received 5. It is handed memory'],
	['null', { shape: [2, 2], dtype: 'uint8', fill: null }, 'a function for image.fill but received null.'],
	['no fill and no data', { shape: [2, 2], dtype: 'uint8' }, 'image.data but received undefined. Give data, or dtype and a function fill'],
	['no dtype', { shape: [2, 2], fill }, 'for image.dtype but received undefined.'],
	['a wrong dtype', { shape: [2, 2], dtype: 'unit8', fill }, 'image.dtype but received "unit8". Did you mean "uint8"?'],
	['no shape', { dtype: 'uint8', fill }, 'an array of whole numbers for image.shape but received undefined.'],
	['a negative shape', { shape: [2, -2], dtype: 'uint8', fill }, 'image.shape[1] but received -2.'],
	['rank 1', { shape: [4], dtype: 'uint8', fill }, 'an array of rank 2, 3 or 4 for image but received rank 1.'],
	['no layout', { shape: [2, 2, 3], dtype: 'uint8', fill }, 'for option layout but received none.'],
	['strides', { shape: [2, 2], dtype: 'uint8', fill, strides: [2, 1] }, 'none beside fill for image.strides but received [2, 1].'],
	['an offset', { shape: [2, 2], dtype: 'uint8', fill, offset: 0 }, 'none beside fill for image.offset but received 0.'],
])('refused before any work: %s', async (_, image, sentence) => {
	const error = await convolve(image as NdArray, kernel).catch((e: unknown) => e);
	expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
	expect((error as FaltungError).message).toContain(sentence);
});

test('every field is read once', async () => {
	const reads = new Map<PropertyKey, number>();
	const proxy = new Proxy(counted(), {
		get(target, key, receiver) {
			reads.set(key, (reads.get(key) ?? 0) + 1);
			return Reflect.get(target, key, receiver) as unknown;
		},
	});
	await convolve(proxy, kernel, { backend: 'reference' });
	for (const key of ['shape', 'dtype', 'fill', 'data', 'strides', 'offset']) expect(reads.get(key), key).toBe(1);
});
