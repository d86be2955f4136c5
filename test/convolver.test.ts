/** createConvolver: run, batch (order, concurrency, progress, errors, abort, closing the source), dispose, plan. */
import { describe, expect, test, vi } from 'vitest';
import { referenceBackend } from '../src/backend/reference.ts';
import { type Backend, type BatchOptions, type Convolver, convolve, correlate, createConvolver, type NdArray } from '../src/index.ts';
import { tested } from './backends.ts';
import { fakeBackend } from './fake-backend.ts';

const kernel = { data: Int32Array.of(1, 2, 3), shape: [1, 3] };
const picture = (k: number, size = 4): NdArray<Uint8Array> => ({ data: new Uint8Array(size * size).fill(k), shape: [size, size] });
const bad = { data: new Uint8Array(3), shape: [2, 2] };
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** A backend of promises that the test settles itself: image k (all pixels k) is done when told. */
function gated(): { backend: Backend; finish: (k: number) => void; running: () => number; most: () => number } {
	const waiting = new Map<number, () => void>();
	const early = new Set<number>();
	let [running, most] = [0, 0];
	const backend: Backend = {
		...referenceBackend,
		name: 'gated',
		candidates: (problem, wish) =>
			referenceBackend
				.candidates(problem, wish)
				.map((c) =>
					c.plan === undefined ? { ...c, backend: 'gated' } : { ...c, backend: 'gated', plan: { ...c.plan, backend: 'gated' } },
				),
		prepare: async (_, plan) => ({
			plan,
			dispose: () => {},
			run: async (image, out, signal) => {
				const k = Number(image.data[image.offset]);
				running++;
				most = Math.max(most, running);
				try {
					await new Promise<void>((resolve, reject) => {
						if (early.has(k)) resolve();
						waiting.set(k, resolve);
						signal?.addEventListener('abort', () => reject(signal.reason));
					});
				} finally {
					running--;
				}
				out.data[out.offset] = k as never;
				return { timings: { compute: 0 } };
			},
		}),
	};
	return {
		backend,
		running: () => running,
		most: () => most,
		finish: (k) => {
			early.add(k);
			waiting.get(k)?.();
		},
	};
}

describe.each(tested)('$name', ({ name: backend }) => {
	test('run is convolve with the same kernel and options, for any shape and dtype that comes', async () => {
		const options = { mode: 'same', boundary: 'mirror', stride: [1, 2], backend } as const;
		const c = await createConvolver(kernel, options);
		for (const image of [
			picture(3),
			picture(9, 7),
			{ data: Float32Array.of(1, 2, 3), shape: [1, 3] },
			{ data: Int16Array.of(-5, 7), shape: [2, 1] },
		]) {
			const { data, shape, dtype, report } = await c.run(image);
			const once = await convolve(image, kernel, options);
			expect({ data, shape, dtype }).toEqual({ data: once.data, shape: once.shape, dtype: once.dtype });
			expect(report.backend).toBe(backend);
		}
		await c.dispose();
	});

	test('operation correlate', async () => {
		const c = await createConvolver(kernel, { operation: 'correlate', mode: 'same', backend });
		const image = { data: Uint8Array.of(0, 0, 1, 0, 0), shape: [1, 5] };
		expect((await c.run(image)).data).toEqual((await correlate(image, kernel, { mode: 'same', backend })).data);
		await c.dispose();
	});

	test('many runs at once, each with its own image and out', async () => {
		const c = await createConvolver(kernel, { mode: 'valid', backend });
		const results = await Promise.all(Array.from({ length: 30 }, (_, k) => c.run(picture(k), { out: new Uint8Array(8) })));
		for (const [k, { data }] of results.entries()) expect([...data]).toEqual(new Array(8).fill(Math.min(255, 6 * k)));
		await c.dispose();
	});

	test('the kernel is copied: changing it afterwards changes nothing', async () => {
		const taps = Int32Array.of(1, 2, 3);
		const c = await createConvolver({ data: taps, shape: [1, 3] }, { mode: 'valid', backend });
		taps.fill(100);
		expect((await c.run(picture(1))).data[0]).toBe(6);
		await c.dispose();
	});

	test('batch gives what run gives, in order, with the index', async () => {
		const c = await createConvolver(kernel, { mode: 'valid', backend });
		const images = Array.from({ length: 20 }, (_, k) => picture(k, 4 + (k % 3)));
		const seen: number[] = [];
		for await (const r of c.batch(images, { concurrency: 5 })) {
			expect(r.data).toEqual((await c.run(images[r.index] as NdArray)).data);
			seen.push(r.index);
		}
		expect(seen).toEqual(images.map((_, k) => k));
		await c.dispose();
	});

	test('aborting a run rejects with the reason; the convolver goes on', async () => {
		const c = await createConvolver([[1n]], { backend, verify: false });
		const large = { data: new BigInt64Array(1 << 20).fill(2n ** 62n), shape: [1024, 1024] };
		const controller = new AbortController();
		const pending = c.run(large, { signal: controller.signal });
		controller.abort('not wanted');
		await expect(pending).rejects.toBe('not wanted');
		expect((await c.run({ data: BigInt64Array.of(5n), shape: [1, 1] })).data[0]).toBe(5n);
		await c.dispose();
	});
});

describe('plan', () => {
	test('name, explain and toJSON say what was chosen and every other candidate', async () => {
		const c = await createConvolver([[1, 2, 1]], { shape: [20, 30], dtype: 'uint8', mode: 'same', backend: 'reference' });
		expect(c.plan.name).toMatch(/^direct-u8-t\d+x\d+-r\d+x\d+@reference$/);
		const text = c.plan.explain();
		for (const part of [c.plan.name, 'u8 20x30', '1x3', 'separable', 'fft', 'same']) expect(text).toContain(part);
		const json = JSON.parse(JSON.stringify(c.plan)) as Record<string, unknown>;
		expect(JSON.stringify(json)).toContain(c.plan.name);
		await c.dispose();
	});

	test('a method that cannot apply is refused when the convolver is made', async () => {
		await expect(createConvolver([[1]], { method: 'fft', backend: 'reference' })).rejects.toMatchObject({ code: 'UNSUPPORTED' });
	});

	test.each<[string, Parameters<typeof createConvolver>, NdArray]>([
		['one scale per channel', [[[1]], { layout: 'HWC', scale: [1, 2, 3] }], { data: new Uint8Array(12), shape: [2, 2, 3] }],
		[
			'one scale per channel, one bias per result of a bank',
			[
				{ data: Int32Array.of(1, 2), shape: [2, 1, 1] },
				{ layout: 'HWC', scale: [1, 2, 3], bias: [1, 2, 3, 4, 5, 6] },
			],
			{ data: new Uint8Array(12), shape: [2, 2, 3] },
		],
		['a BigInt outside', [[[1]], { value: 5n }], { data: new BigInt64Array(4), shape: [2, 2] }],
		['a value that only uint64 holds', [[[1, 1]], { value: 2n ** 64n - 1n }], { data: new BigUint64Array(4), shape: [2, 2] }],
		['nested BigInts and a value that only uint64 holds', [[[1n]], { value: 2n ** 63n }], { data: new BigUint64Array(4), shape: [2, 2] }],
		[
			'mode valid and a long kernel',
			[{ data: new Int32Array(1100), shape: [1, 1100] }, { mode: 'valid' }],
			{ data: new Uint8Array(1200), shape: [1, 1200] },
		],
		['a checksum of integers', [[[1, -1]], { verify: 'checksum', outputDtype: 'int32' }], picture(3)],
	])('options that only the real image goes with are taken without one: %s', async (_, [given, options], image) => {
		const { operation: _operation, shape: _shape, dtype: _dtype, ...plain } = options ?? {};
		const c = await createConvolver(given, { ...options, backend: 'reference' });
		expect((await c.run(image)).data).toEqual((await convolve(image, given, { ...plain, backend: 'reference' })).data);
		await c.dispose();
	});

	test('options that no image goes with are refused when the convolver is made', async () => {
		const refused = (options: object) => expect(createConvolver([[1, -1]], options)).rejects;
		await refused({ verify: 'checksum', dtype: 'uint8' }).toMatchObject({ code: 'UNSUPPORTED' });
		await refused({ value: 2n ** 64n }).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('option value') });
		await refused({ scale: [1, 2] }).toMatchObject({ message: expect.stringContaining('1 number (the image has one channel)') });
		await refused({ out: new Uint8Array(1) }).toMatchObject({ message: expect.stringContaining('run(image, { out })') });
		await refused({ signal: AbortSignal.timeout(1) }).toMatchObject({ message: expect.stringContaining('run(image, { signal })') });
	});

	test('without a shape the layout’s rank is planned for', async () => {
		const c = await createConvolver([[1]], { layout: 'NCHW', backend: 'reference' });
		expect(c.plan.explain()).toContain('NCHW');
		expect((await c.run({ data: new Uint8Array(16), shape: [1, 1, 4, 4] })).shape).toEqual([1, 1, 4, 4]);
	});
});

describe('batch', () => {
	const make = (backend: Backend, options = {}): Promise<Convolver> =>
		createConvolver([[1]], { backend, verify: false, ...options }) as Promise<Convolver>;

	test('ordered: results wait for their turn; unordered: as they are done', async () => {
		for (const ordered of [true, false]) {
			const gate = gated();
			const c = await make(gate.backend);
			const seen: number[] = [];
			const reading = (async () => {
				for await (const { index } of c.batch(
					[0, 1, 2].map((k) => picture(k)),
					{ concurrency: 3, ordered },
				))
					seen.push(index);
			})();
			for (const k of [2, 1, 0]) {
				await sleep(20);
				gate.finish(k);
			}
			await reading;
			expect(seen).toEqual(ordered ? [0, 1, 2] : [2, 1, 0]);
			await c.dispose();
		}
	});

	test.each([1, 2, 3, 7])('concurrency %i: never more images held, counted from being read to being handed out', async (concurrency) => {
		const gate = gated();
		const c = await make(gate.backend);
		let [read, handed, most] = [0, 0, 0];
		function* source() {
			for (let k = 0; k < 20; k++) {
				read++;
				most = Math.max(most, read - handed);
				yield picture(k);
			}
		}
		for (let k = 0; k < 20; k++) gate.finish(k);
		for await (const _ of c.batch(source(), { concurrency })) {
			handed++;
			await sleep(1);
		}
		expect(handed).toBe(20);
		expect(gate.most()).toBeLessThanOrEqual(concurrency);
		expect(most).toBeLessThanOrEqual(concurrency + 1); // the one at hand counts as handed out only when the next is asked for
		await c.dispose();
	});

	test('concurrency is used: that many run at once', async () => {
		const gate = gated();
		const c = await make(gate.backend);
		const stream = c.batch(
			Array.from({ length: 10 }, (_, k) => picture(k)),
			{ concurrency: 4 },
		);
		const first = stream.next();
		await sleep(30);
		expect(gate.running()).toBe(4);
		for (let k = 0; k < 10; k++) gate.finish(k);
		await first;
		await stream.return();
		await c.dispose();
	});

	test('a source read ahead no further than concurrency, even one without end', async () => {
		const c = await make(referenceBackend);
		let read = 0;
		function* endless() {
			for (;;) yield picture(read++ % 9);
		}
		let count = 0;
		for await (const _ of c.batch(endless(), { concurrency: 3 })) if (++count === 10) break;
		expect(read).toBeLessThanOrEqual(14);
		await c.dispose();
	});

	test.each([
		['an array', () => [picture(1), picture(2)]],
		['a Set', () => new Set([picture(1), picture(2)])],
		[
			'a generator',
			function* () {
				yield picture(1);
				yield picture(2);
			},
		],
		[
			'an async generator',
			async function* () {
				yield picture(1);
				await sleep(5);
				yield picture(2);
			},
		],
	] as [string, () => Iterable<NdArray> | AsyncIterable<NdArray>][])('images from %s', async (_, images) => {
		const c = await make(referenceBackend);
		const seen: number[] = [];
		for await (const r of c.batch(images())) seen.push(Number(r.data[0]));
		expect(seen).toEqual([1, 2]);
		await c.dispose();
	});

	test('no images: nothing', async () => {
		const c = await make(referenceBackend);
		for await (const _ of c.batch([])) expect.fail('a result out of nothing');
		await c.dispose();
	});

	test('onProgress counts done, failed and the total where it is known', async () => {
		const c = await make(referenceBackend);
		const steps: object[] = [];
		for await (const _ of c.batch([picture(1), bad, picture(2)], { onError: 'yield', onProgress: (p) => steps.push({ ...p }) })) void _;
		expect(steps).toEqual([
			{ done: 1, failed: 0, total: 3 },
			{ done: 2, failed: 1, total: 3 },
			{ done: 3, failed: 1, total: 3 },
		]);
		const unknown: object[] = [];
		for await (const _ of c.batch(new Set([picture(1)]), { onProgress: (p) => unknown.push({ ...p }) })) void _;
		expect(unknown).toEqual([{ done: 1, failed: 0 }]);
		await c.dispose();
	});

	test("onError 'throw' ends at the failing image and closes the source; 'yield' goes on", async () => {
		const c = await make(referenceBackend);
		let closed = 0;
		function* source() {
			try {
				yield picture(1);
				yield bad;
				for (let k = 0; k < 50; k++) yield picture(2);
			} finally {
				closed++;
			}
		}
		const seen: unknown[] = [];
		await expect(
			(async () => {
				for await (const r of c.batch(source())) seen.push(r.index);
			})(),
		).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
		expect(seen).toEqual([0]);
		expect(closed).toBe(1);
		const all: unknown[] = [];
		for await (const r of c.batch([picture(1), bad, picture(3)], { onError: 'yield' }))
			all.push(r.error === undefined ? Number(r.data[0]) : [r.index, (r.error as { code: string }).code]);
		expect(all).toEqual([1, [1, 'INVALID_ARGUMENT'], 3]);
		await c.dispose();
	});

	test('a source that throws: its error, and work in flight is over', async () => {
		const gate = gated();
		const c = await make(gate.backend);
		async function* source() {
			yield picture(0);
			throw new Error('the disk is gone');
		}
		await expect(
			(async () => {
				for await (const _ of c.batch(source(), { concurrency: 3 })) void _;
			})(),
		).rejects.toThrow('the disk is gone');
		expect(gate.running()).toBe(0);
		await c.dispose();
	});

	test('a throwing onProgress ends the batch with its error', async () => {
		const c = await make(referenceBackend);
		let closed = false;
		function* source() {
			try {
				for (;;) yield picture(1);
			} finally {
				closed = true;
			}
		}
		const loop = (async () => {
			for await (const _ of c.batch(source(), {
				onProgress: () => {
					throw new Error('no');
				},
			}))
				void _;
		})();
		await expect(loop).rejects.toThrow('no');
		expect(closed).toBe(true);
		await c.dispose();
	});

	test('abort before the first image: its reason, nothing is read', async () => {
		const c = await make(referenceBackend);
		let read = 0;
		function* source() {
			read++;
			yield picture(1);
		}
		await expect(c.batch(source(), { signal: AbortSignal.abort('early') }).next()).rejects.toBe('early');
		expect(read).toBe(0);
		await c.dispose();
	});

	test('abort during the work: the reason, the work in flight stops, the source is closed', async () => {
		const gate = gated();
		const c = await make(gate.backend);
		const controller = new AbortController();
		let closed = 0;
		function* source() {
			try {
				for (let k = 0; ; k++) yield picture(k % 200);
			} finally {
				closed++;
			}
		}
		const stream = c.batch(source(), { concurrency: 3, signal: controller.signal });
		gate.finish(0);
		expect((await stream.next()).value).toMatchObject({ index: 0 });
		const next = stream.next();
		await sleep(10);
		controller.abort('late');
		await expect(next).rejects.toBe('late');
		await sleep(10);
		expect(gate.running()).toBe(0);
		expect(closed).toBe(1);
		expect(await stream.next()).toEqual({ done: true, value: undefined });
		await c.dispose();
	});

	test('abort while the source itself hangs', async () => {
		const c = await make(referenceBackend);
		const controller = new AbortController();
		async function* source() {
			yield picture(1);
			await new Promise(() => {});
		}
		const stream = c.batch(source(), { signal: controller.signal, concurrency: 1 });
		expect((await stream.next()).done).toBe(false);
		const next = stream.next();
		await sleep(5);
		controller.abort('hung');
		await expect(next).rejects.toBe('hung');
		await c.dispose();
	});

	test('leaving the loop closes the source once and stops the work', async () => {
		const gate = gated();
		const c = await make(gate.backend);
		let closed = 0;
		async function* source() {
			try {
				for (let k = 0; ; k++) yield picture(k % 200);
			} finally {
				closed++;
			}
		}
		gate.finish(0);
		for await (const _ of c.batch(source(), { concurrency: 4 })) break;
		expect(closed).toBe(1);
		expect(gate.running()).toBe(0);
		await c.dispose();
	});

	test.each<[string, unknown, unknown, string]>([
		['images: a number', 5, {}, 'images'],
		['images: null', null, {}, 'images'],
		['images: an object', {}, {}, 'images'],
		['an iterator without next', { [Symbol.iterator]: () => ({}) }, {}, 'iterable of images for images'],
		['an iterator that hands out nothing', { [Symbol.iterator]: () => ({ next() {} }) }, {}, 'what next() of images returns'],
		['concurrency 0', [], { concurrency: 0 }, 'option concurrency'],
		['concurrency 1.5', [], { concurrency: 1.5 }, 'option concurrency'],
		['concurrency 1025', [], { concurrency: 1025 }, 'option concurrency'],
		['ordered 1', [], { ordered: 1 }, 'option ordered'],
		['ordered null', [], { ordered: null }, 'option ordered'],
		['onError', [], { onError: 'skip' }, 'option onError'],
		['onProgress', [], { onProgress: 5 }, 'option onProgress'],
		['signal', [], { signal: {} }, 'option signal'],
		['unknown', [], { concurency: 2 }, 'Did you mean "concurrency"'],
	])('wrong: %s', async (_, images, options, says) => {
		const c = await make(referenceBackend);
		const stream = c.batch(images as NdArray[], options as BatchOptions);
		await expect(stream.next()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining(says) });
		await c.dispose();
	});
});

describe('dispose', () => {
	test('frees every executable once, waits for pending runs, and may be called again', async () => {
		const fake = fakeBackend(referenceBackend);
		const c = await createConvolver([[1]], { backend: fake });
		await c.run(picture(1));
		const pending = c.run(picture(2, 5));
		const disposing = c.dispose();
		expect([...(await pending).data].every((v) => v === 2)).toBe(true);
		await disposing;
		await c.dispose();
		await c[Symbol.asyncDispose]();
		expect(fake.disposed()).toBe(fake.prepared());
		expect(fake.prepared()).toBe(2);
	});

	test('a disposed convolver says so', async () => {
		const c = await createConvolver([[1]], { backend: 'reference' });
		await c.dispose();
		await expect(c.run(picture(1))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('disposed') });
		await expect(c.batch([picture(1)]).next()).rejects.toMatchObject({
			code: 'INVALID_ARGUMENT',
			message: expect.stringContaining('disposed'),
		});
	});

	test('an image that cannot be read is refused with a code', async () => {
		const { proxy, revoke } = Proxy.revocable({}, {});
		revoke();
		const c = await createConvolver([[1]], { backend: 'reference' });
		await expect(c.run(proxy as NdArray)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('image') });
		await c.dispose();
	});

	test('a stream of ever new sizes: only the latest stay prepared, and none is freed while it is used', async () => {
		const fake = fakeBackend(referenceBackend);
		const c = await createConvolver([[2]], { backend: fake });
		let most = 0;
		for (let size = 1; size <= 60; size++) {
			expect((await c.run(picture(1, size))).data).toEqual(new Uint8Array(size * size).fill(2));
			most = Math.max(most, fake.prepared() - fake.disposed());
		}
		expect(most).toBeGreaterThan(8);
		expect(most).toBeLessThan(20);
		const before = fake.prepared();
		await c.run(picture(1, 60));
		await c.run(picture(1, 55));
		expect(fake.prepared()).toBe(before);
		await c.run(picture(1, 2)); // was dropped: prepared anew
		expect(fake.prepared()).toBe(before + 1);
		const gate = gated();
		const freed: number[] = [];
		const watched: Backend = {
			...gate.backend,
			prepare: async (problem, plan) => {
				const executable = await gate.backend.prepare(problem, plan);
				return { ...executable, dispose: () => freed.push(gate.running()) };
			},
		};
		const d = await createConvolver([[1]], { backend: watched, verify: false });
		const runs = Array.from({ length: 30 }, (_, k) => d.run(picture(k + 1, k + 1)));
		await vi.waitFor(() => expect(gate.running()).toBe(30));
		expect(freed).toEqual([]);
		for (let k = 1; k <= 30; k++) gate.finish(k);
		await Promise.all(runs);
		await vi.waitFor(() => expect(freed.length).toBeGreaterThanOrEqual(14));
		expect(freed.length).toBeLessThanOrEqual(15);
		await c.dispose();
		await d.dispose();
		expect([fake.disposed(), freed.length]).toEqual([fake.prepared(), 30]);
	});

	test('one kernel is prepared once for images of one shape and dtype', async () => {
		const fake = fakeBackend(referenceBackend);
		const c = await createConvolver([[1]], { backend: fake });
		for (let k = 0; k < 10; k++) await c.run(picture(k));
		expect(fake.prepared()).toBe(1);
		await c.run(picture(1, 9));
		expect(fake.prepared()).toBe(2);
		await c.dispose();
	});

	test('convolve disposes what it prepared, also after an error', async () => {
		const fake = fakeBackend(referenceBackend);
		await convolve(picture(1), [[1]], { backend: fake });
		await expect(convolve(picture(200), [[2]], { backend: fake, overflow: 'throw' })).rejects.toMatchObject({ code: 'OVERFLOW' });
		expect(fake.disposed()).toBe(fake.prepared());
	});
});
