/**
 * Every option of API.md's table: its default, its values, its synonyms, and every pair of options together.
 * Titles carry the option as [option]: scripts/coverage-table.mjs reads them.
 */
import { describe, expect, test } from 'vitest';
import { type ConvolveOptions, convolve, correlate } from '../src/index.ts';
import { present, tested } from './backends.ts';
import { call } from './call.ts';
import { answer, type Options, type Request } from './oracle/definition.ts';
import { judgeAll, judgeOverflow } from './oracle/judge.ts';

const image = { data: Uint8Array.from({ length: 20 }, (_, k) => (k * 37) % 101), shape: [4, 5] };
const kernel = { data: Int32Array.of(1, -2, 3, 0, 1, 2), shape: [2, 3] };
const floats = { data: Float32Array.from({ length: 20 }, (_, k) => (((k * 37) % 101) - 50) / 8), shape: [4, 5] };

describe.each(tested)('$name', ({ name: backend, arithmetic }) => {
	const run = async (options: ConvolveOptions, what: typeof image | typeof floats = image) =>
		convolve(what, kernel, { backend, ...options });
	const plain = async (result: ReturnType<typeof run>) => {
		const { data, shape, dtype } = await result;
		return { data: [...data], shape, dtype };
	};

	describe('defaults: saying them changes nothing', () => {
		const defaults: [string, ConvolveOptions][] = [
			['mode', { mode: 'full' }],
			['boundary', { boundary: 'constant' }],
			['boundary', { boundary: ['constant', 'constant'] }],
			['value', { value: 0 }],
			['stride', { stride: 1 }],
			['stride', { stride: [1, 1] }],
			['dilation', { dilation: 1 }],
			['dilation', { dilation: [1, 1] }],
			['layout', { layout: 'HW' }],
			['outputDtype', { outputDtype: 'uint8' }],
			['overflow', { overflow: 'saturate' }],
			['rounding', { rounding: 'nearest-even' }],
			['scale', { scale: 1 }],
			['bias', { bias: 0 }],
			['accumulate', { accumulate: 'auto' }],
			['method', { method: 'auto' }],
			['method', { method: 'direct' }],
			['accuracy', { accuracy: 'norm' }],
			['accuracy', { accuracy: 'pixel' }],
			['policy', { policy: 'estimate' }],
			['policy', { policy: 'measure' }],
			['tolerance', { tolerance: 0 }],
			['verify', { verify: 'sample' }],
			['verify', { verify: false }],
			['verify', { verify: 'full' }],
			['threads', { threads: 1 }],
			['signal', { signal: new AbortController().signal }],
			['signal', { signal: undefined }],
		];
		test.each(defaults)('[%s] %j', async (_, options) => {
			expect(await plain(run(options))).toEqual(await plain(run({})));
		});

		test('[anchor] (K−1)//2 for convolve, K//2 for correlate, per axis', async () => {
			for (const [height, width] of [
				[1, 1],
				[2, 3],
				[3, 2],
				[4, 5],
				[5, 4],
			] as const) {
				const taps = { data: Int32Array.from({ length: height * width }, (_, k) => k + 1), shape: [height, width] };
				const same = { mode: 'same', backend, outputDtype: 'int32' } as const;
				const c = await convolve(image, taps, same);
				expect(c.data).toEqual((await convolve(image, taps, { ...same, anchor: [(height - 1) >> 1, (width - 1) >> 1] })).data);
				const r = await correlate(image, taps, same);
				expect(r.data).toEqual((await correlate(image, taps, { ...same, anchor: [height >> 1, width >> 1] })).data);
			}
		});

		test('[anchor] with a dilated kernel the default counts dilated elements', async () => {
			const taps = { data: Int32Array.of(1, 2), shape: [1, 2] };
			const same = { mode: 'same', backend, dilation: 3 } as const; // dilated width 4
			expect((await convolve(image, taps, same)).data).toEqual((await convolve(image, taps, { ...same, anchor: [0, 1] })).data);
			expect((await correlate(image, taps, same)).data).toEqual((await correlate(image, taps, { ...same, anchor: [0, 2] })).data);
		});

		test('no options, an empty object and undefined values are one', async () => {
			const expected = await plain(run({}));
			expect(await plain(convolve(image, kernel, { backend, mode: undefined, scale: undefined } as unknown as ConvolveOptions))).toEqual(
				expected,
			);
			expect(await plain(convolve(image, kernel, Object.create({ backend }) as ConvolveOptions))).toEqual(expected);
		});
	});

	test('[mode] sizes: full H+kh−1, same H, valid H−kh+1, dilated, strided', async () => {
		expect((await run({ mode: 'full' })).shape).toEqual([5, 7]);
		expect((await run({ mode: 'same' })).shape).toEqual([4, 5]);
		expect((await run({ mode: 'valid' })).shape).toEqual([3, 3]);
		expect((await run({ mode: 'full', dilation: [3, 2] })).shape).toEqual([7, 9]);
		expect((await run({ mode: 'valid', dilation: [3, 2] })).shape).toEqual([1, 1]);
		expect((await run({ mode: 'full', stride: [2, 3] })).shape).toEqual([3, 3]);
	});

	test('[mode] same and valid are cut out of full', async () => {
		const whole = await plain(run({ mode: 'full', outputDtype: 'int32' }));
		const cut = (top: number, left: number, height: number, width: number) =>
			Array.from({ length: height * width }, (_, k) => whole.data[(top + Math.floor(k / width)) * 7 + left + (k % width)]);
		expect((await plain(run({ mode: 'same', outputDtype: 'int32' }))).data).toEqual(cut(0, 1, 4, 5));
		expect((await plain(run({ mode: 'valid', outputDtype: 'int32' }))).data).toEqual(cut(1, 2, 3, 3));
	});

	test.each(['edge', 'symmetric', 'mirror', 'wrap'] as const)(
		'[value] beside boundary %s it does not matter, even where it would not fit',
		async (boundary) => {
			expect(await plain(run({ boundary, value: 1e6 }))).toEqual(await plain(run({ boundary })));
		},
	);

	test('[value] in mode valid it does not matter; elsewhere it must fit the image', async () => {
		expect(await plain(run({ mode: 'valid', value: -1 }))).toEqual(await plain(run({ mode: 'valid' })));
		await expect(run({ value: -1 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
		await expect(run({ value: -1, boundary: ['edge', 'constant'] })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
	});

	test('[value] is rounded to a float image’s dtype', async () => {
		const one = { data: Float32Array.of(1), shape: [1, 1] };
		const { data } = await correlate(one, [[1, 0]], { mode: 'same', value: 0.1, outputDtype: 'float64', backend });
		expect([...data]).toEqual([Math.fround(0.1)]);
		const half = await correlate({ data: Uint16Array.of(0x3c00), shape: [1, 1], dtype: 'float16' }, [[1, 0]], {
			mode: 'same',
			value: 0.1,
			outputDtype: 'float64',
			backend,
		});
		expect([...half.data]).toEqual([0.0999755859375]);
	});

	test('[value] a BigInt or a number beside 64-bit images', async () => {
		const big = { data: BigInt64Array.of(1n), shape: [1, 1] };
		for (const value of [-7, -7n]) {
			expect([...(await correlate(big, [[1, 0]], { mode: 'same', value, backend })).data]).toEqual([-7n]);
		}
		expect([...(await correlate(big, [[1, 0]], { mode: 'same', value: -(2n ** 63n), backend })).data]).toEqual([-(2n ** 63n)]);
	});

	test('[boundary] under constant on one axis only, a tap outside on that axis takes value', async () => {
		const one = { data: Uint8Array.of(1), shape: [1, 1] };
		const ones = { data: Int32Array.of(1, 1, 1, 1, 1, 1, 1, 1, 1), shape: [3, 3] };
		const sum = async (boundary: ConvolveOptions['boundary']) =>
			(await convolve(one, ones, { mode: 'same', boundary: boundary ?? 'edge', value: 10, backend })).data[0];
		expect(await sum(['constant', 'edge'])).toBe(3 + 60);
		expect(await sum(['edge', 'constant'])).toBe(3 + 60);
		expect(await sum(['constant', 'constant'])).toBe(1 + 80);
		expect(await sum(['edge', 'wrap'])).toBe(9);
	});

	test('[anchor] matters in mode same only', async () => {
		for (const mode of ['full', 'valid'] as const) expect(await plain(run({ mode, anchor: [1, 2] }))).toEqual(await plain(run({ mode })));
		await run({ mode: 'full', anchor: [100, 100] });
	});

	test('[anchor] every element of the kernel, both operations', async () => {
		const whole = await plain(run({ mode: 'full', outputDtype: 'int32' }));
		for (let ay = 0; ay < 2; ay++) {
			for (let ax = 0; ax < 3; ax++) {
				const same = await plain(run({ mode: 'same', outputDtype: 'int32', anchor: [ay, ax] }));
				expect(same.data).toEqual(Array.from({ length: 20 }, (_, k) => whole.data[(ay + Math.floor(k / 5)) * 7 + ax + (k % 5)]));
			}
		}
	});

	test.each([1, 2, 3, 4, 5, 9, 1000])('[stride] %i: every s-th output from the first', async (stride) => {
		const whole = await plain(run({ mode: 'same', boundary: 'wrap' }));
		const strided = await plain(run({ mode: 'same', boundary: 'wrap', stride: [1, stride] }));
		expect(strided.data).toEqual(whole.data.filter((_, k) => (k % 5) % stride === 0));
	});

	test.each([
		[1, 2],
		[3, 1],
		[2, 3],
	] as const)('[dilation] %i, %i: as if zeros stood between the taps', async (dy, dx) => {
		const [height, width] = [(2 - 1) * dy + 1, (3 - 1) * dx + 1];
		const wide = new Int32Array(height * width);
		for (let y = 0; y < 2; y++) for (let x = 0; x < 3; x++) wide[y * dy * width + x * dx] = kernel.data[y * 3 + x] as number;
		for (const mode of ['full', 'same'] as const) {
			const dilated = await plain(run({ mode, boundary: 'symmetric', dilation: [dy, dx] }));
			expect(dilated).toEqual(
				await plain(convolve(image, { data: wide, shape: [height, width] }, { mode, boundary: 'symmetric', backend })),
			);
		}
	});

	test('[scale] [bias] one per image channel and one per result channel', async () => {
		const two = { data: Uint8Array.of(1, 10, 2, 20), shape: [1, 2, 2] };
		const bank = { data: Int32Array.of(1, 2), shape: [2, 1, 1] };
		const sums = async (options: ConvolveOptions) => [...(await convolve(two, bank, { layout: 'HWC', backend, ...options })).data];
		expect(await sums({})).toEqual([1, 2, 10, 20, 2, 4, 20, 40]);
		expect(await sums({ scale: [3, 1] })).toEqual([3, 6, 10, 20, 6, 12, 20, 40]);
		expect(await sums({ scale: [1, 2, 3, 4] })).toEqual([1, 4, 30, 80, 2, 8, 60, 160]);
		expect(await sums({ bias: [5, 0] })).toEqual([6, 7, 10, 20, 7, 9, 20, 40]);
		expect(await sums({ bias: [1, 2, 3, 4], scale: 2 })).toEqual([3, 6, 23, 44, 5, 10, 43, 84]);
		expect(await sums({ bias: Float64Array.of(1, 2, 3, 4) as unknown as number[] })).toEqual([2, 4, 13, 24, 3, 6, 23, 44]);
		await expect(sums({ scale: [1, 2, 3] })).rejects.toMatchObject({
			code: 'INVALID_ARGUMENT',
			message: expect.stringContaining('option scale'),
		});
	});

	test.each(['separable', 'lowrank', 'box', 'fft'] as const)('[method] %s forced: done by it, or UNSUPPORTED', async (method) => {
		const outcome = await run({ method }).catch((error: unknown) => error as { code: string });
		if ('code' in outcome) expect(outcome.code).toBe('UNSUPPORTED');
		else expect(outcome.report.algorithm).toBe(method);
	});

	test('[accumulate] float64 sums keep what float32 loses', async () => {
		const cancelling = { data: Float32Array.of(2 ** 24, 1, -(2 ** 24)), shape: [1, 3] };
		const run64 = correlate(cancelling, [[1, 1, 1]], { mode: 'valid', accumulate: 'float64', backend });
		if (backend === 'webgpu') await expect(run64).rejects.toMatchObject({ code: 'UNSUPPORTED' });
		else expect((await run64).data[0]).toBe(1);
		const { data } = await correlate(cancelling, [[1, 1, 1]], { mode: 'valid', accumulate: 'float32', backend });
		expect(Math.abs((data[0] as number) - 1)).toBeLessThanOrEqual(8); // γ(n)·Σ|tap·pixel| ≈ n·2^−24·2^25, n ≤ 4
	});

	test('[backend] the report names it', async () => {
		const { report } = await run({ verify: 'full' });
		expect(report).toMatchObject({ backend, algorithm: 'direct', fallbacks: [], verification: { method: 'full', pixels: 35 } });
		expect(report.plan).toMatch(new RegExp(`^direct-u8-t\\d+x\\d+-r\\d+x\\d+@${backend}`));
		expect(report.timings.total).toBeGreaterThan(0);
	});

	test('[backend] an array of preference: the first usable one', async () => {
		const unusable = present.filter(({ usable }) => !usable).map(({ name }) => name);
		expect((await convolve(image, kernel, { backend: [...unusable, backend] })).report.backend).toBe(backend);
		const others = tested.map(({ name }) => name).filter((name) => name !== backend);
		expect((await convolve(image, kernel, { backend: [backend, ...others] })).report.backend).toBe(backend);
		expect((await convolve(image, kernel, { backend: [backend] })).report.backend).toBe(backend);
	});

	test('[verify] false reports null; sample and full report pixels, worst and seed', async () => {
		expect((await run({ verify: false })).report.verification).toBeNull();
		for (const verify of ['sample', 'full'] as const) {
			const { verification } = (await run({ verify })).report;
			expect(verification).toMatchObject({ method: verify, worst: 0 });
			expect(verification?.pixels).toBeGreaterThan(0);
			expect(Number.isInteger(verification?.seed)).toBe(true);
		}
	});

	test('[verify] checksum: done for every pixel, or UNSUPPORTED', async () => {
		const outcome = await run({ verify: 'checksum', overflow: 'wrap' }).catch((error: unknown) => error as { code: string });
		if ('code' in outcome) expect(outcome.code).toBe('UNSUPPORTED');
		else expect(outcome.report.verification?.method).toBe('checksum');
	});

	test('[threads] any number gives the same bits', async () => {
		const expected = (await run({}, floats)).data;
		for (const threads of [1, 2, 7]) expect((await run({ threads }, floats)).data).toEqual(expected);
	});

	test('[tolerance] is accepted; without a split the answer is exact', async () => {
		expect(await plain(run({ tolerance: 1e-3, outputDtype: 'int32', method: 'direct' }))).toEqual(
			await plain(run({ outputDtype: 'int32' })),
		);
	});

	test('[out] is filled and given back', async () => {
		const out = new Uint8Array(35);
		const result = await run({ out });
		expect(result.data).toBe(out);
		expect([...out]).toEqual((await plain(run({}))).data);
	});

	test('[signal] already aborted: rejected with its reason, whatever it is', async () => {
		for (const reason of [new Error('stop'), 'a string', undefined]) {
			const signal = reason === undefined ? AbortSignal.abort() : AbortSignal.abort(reason);
			await expect(run({ signal })).rejects.toBe(signal.reason);
		}
	});

	test('[signal] a timeout during the work', async () => {
		const size = 1500;
		const large = { data: BigInt64Array.from({ length: size * size }, () => 2n ** 62n), shape: [size, size] };
		const signal = AbortSignal.timeout(30);
		const began = performance.now();
		const slow = { data: new BigInt64Array(31 * 31).fill(2n ** 62n), shape: [31, 31] };
		const thrown: unknown = await convolve(large, slow, { signal, backend, mode: 'same', verify: false }).catch((error: unknown) => error);
		expect(signal.aborted).toBe(true);
		expect(thrown).toBe(signal.reason);
		expect(performance.now() - began).toBeLessThan(2000);
	});

	// ── pairs ────────────────────────────────────────────────────────────────────────────────────────────────────────

	const values: { [K in keyof Options]-?: readonly NonNullable<Options[K]>[] } = {
		mode: ['full', 'same', 'valid'],
		boundary: ['constant', 'edge', 'symmetric', 'mirror', 'wrap', ['edge', 'constant'], ['wrap', 'mirror']],
		value: [3],
		anchor: [
			[0, 0],
			[1, 2],
		],
		stride: [2, [1, 3]],
		dilation: [2, [3, 1]],
		outputDtype: ['int8', 'uint32', 'uint64', 'float16', 'float32', 'float64'],
		overflow: ['saturate', 'wrap', 'throw'],
		rounding: ['nearest-even', 'half-away', 'truncate', 'floor'],
		scale: [0.5, -1],
		bias: [7, 0.25],
		accumulate: ['float32'],
	};
	const names = Object.keys(values) as (keyof Options)[];
	const pairs = names.flatMap((a, i) => names.slice(i + 1).map((b) => [a, b] as const));

	test.each(pairs)('pair [%s] × [%s]: every value of one with every value of the other', async (a, b) => {
		for (const first of values[a]) {
			for (const second of values[b]) {
				for (const dtype of ['uint8', 'float32'] as const) await checkPair({ [a]: first, [b]: second }, dtype);
			}
		}
	});

	async function checkPair(options: Options, dtype: 'uint8' | 'float32'): Promise<void> {
		const source = dtype === 'uint8' ? image : floats;
		const request: Request = {
			operation: 'correlate',
			image: { dtype, layout: 'HW', shape: source.shape, values: [...source.data] },
			kernel: { dtype: 'int32', shape: kernel.shape, values: [...kernel.data] },
			options: { ...options, ...(options.anchor === undefined ? {} : { mode: options.mode ?? 'same' }) },
		};
		const expected = answer(request);
		const message = JSON.stringify({ ...options, dtype });
		const outcome = await call(request, { backend, verify: 'full' }).catch((error: unknown) => error as { code: string; message: string });
		if ('code' in outcome) {
			expect({ code: outcome.code, overflow: options.overflow }, message).toEqual({ code: 'OVERFLOW', overflow: 'throw' });
			expect(judgeOverflow(request, expected, outcome.message, arithmetic), message).toBeUndefined();
			return;
		}
		if (options.overflow === 'throw') expect(judgeOverflow(request, expected, undefined, arithmetic), message).toBeUndefined();
		const { values: got, shape, dtype: gotDtype } = outcome;
		expect({ shape, dtype: gotDtype }, message).toEqual({ shape: expected.shape, dtype: expected.dtype });
		const { algorithm } = outcome.report;
		expect(judgeAll(got, request, expected, { ...arithmetic, algorithm }), message).toEqual([]);
	}
});
