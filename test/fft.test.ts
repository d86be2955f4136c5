/**
 * `method: 'fft'` through the front end, against the tests' own oracle: random problems with every boundary, mode, layout and dtype, kernels larger
 * than the image, banks; what it refuses and why; the path taken; verification.
 *
 *     FALTUNG_SEED=…   the seed to replay (printed by a failure)
 *     FALTUNG_CASE=…   only this request of it
 */
import { describe, expect, test } from 'vitest';
import { loadNative } from '../src/backend/native/native.ts';
import { convolve, createConvolver, type FaltungError } from '../src/index.ts';
import { tested } from './backends.ts';
import { call, VIEW_KINDS } from './call.ts';
import { elementAt, fakeBackend } from './fake-backend.ts';
import { answer, type Request } from './oracle/definition.ts';
import { judgeAll } from './oracle/judge.ts';
import { errorOf, Random, randomRequest } from './oracle/random.ts';

const seed = Number(process.env.FALTUNG_SEED ?? Math.floor(Math.random() * 2 ** 31));
const only = process.env.FALTUNG_CASE === undefined ? undefined : Number(process.env.FALTUNG_CASE);
const CASES = 1500;

/** Backends that have Fourier transforms. */
const able = tested.filter(({ name }) => name === 'native');

/** A request that a Fourier transform can answer, or undefined. */
function requestOf(k: number): Request | undefined {
	const request = randomRequest(seed + k * 7919);
	const { stride: _stride, dilation: _dilation, anchor: _anchor, overflow: _overflow, ...options } = request.options;
	const plain = { ...request, options };
	return errorOf(plain) === undefined && answer(plain).sum !== 'integer' ? plain : undefined;
}

describe.each(able)(`$name, seed ${seed}`, ({ name, arithmetic }) => {
	test('random problems', { timeout: 60_000 }, async () => {
		let ran = 0;
		for (let k = only ?? 0; k < (only === undefined ? CASES : only + 1); k++) {
			const request = requestOf(k);
			if (request === undefined) continue;
			const random = new Random(seed ^ (k * 31));
			const views = { image: random.pick(VIEW_KINDS), kernel: random.pick(VIEW_KINDS) };
			const expected = answer(request);
			const { values, report } = await call(request, { backend: name, method: 'fft', verify: 'full' }, views);
			const message = `FALTUNG_SEED=${seed} FALTUNG_CASE=${k} npx vitest run test/fft.test.ts`;
			expect(report.algorithm, message).toBe('fft');
			expect(judgeAll(values, request, expected, { ...arithmetic, algorithm: 'fft' }), message).toEqual([]);
			ran++;
		}
		expect(ran).toBeGreaterThan(only === undefined ? 300 : 0);
	});

	const image = { data: Float32Array.from({ length: 300 * 400 }, (_, k) => ((k * 31) % 97) / 7 + (k >> 12)), shape: [300, 400] };
	const kernel = (k: number) => ({ data: Float32Array.from({ length: k * k }, (_, i) => ((i * 7) % 13) / 500 - 0.005), shape: [k, k] });

	test('auto takes it for large kernels; the plan says so', async () => {
		const { report } = await convolve(image, kernel(41), { mode: 'same', boundary: 'symmetric', backend: name });
		expect(report.algorithm).toBe('fft');
		expect(report.plan).toMatch(/^fft-f32-t\d+x\d+-r1x\d+@native\.\w+$/);
		const convolver = await createConvolver(kernel(41), { shape: image.shape, dtype: 'float32', backend: name, method: 'fft' });
		expect(convolver.plan.explain()).toMatch(/fft 41x41 in \d+x\d+/);
		await convolver.dispose();
	});

	test.each([
		[{ accuracy: 'pixel' }, /neighbourhood/],
		[{ stride: 2 }, /stride/],
		[{ dilation: [1, 3] }, /holes/],
	] as const)('%j is refused with its reason', async (options, reason) => {
		const failed = await convolve(image, kernel(5), { ...options, backend: name, method: 'fft' }).catch((error: FaltungError) => error);
		expect(failed).toMatchObject({ code: 'UNSUPPORTED', message: expect.stringMatching(reason) });
	});

	test('integer sums are not rounded back', async () => {
		const bytes = { data: new Uint8Array(64 * 64), shape: [64, 64] };
		const failed = convolve(bytes, { data: new Int32Array(25), shape: [5, 5] }, { backend: name, method: 'fft' });
		await expect(failed).rejects.toMatchObject({ code: 'UNSUPPORTED', message: expect.stringMatching(/integer sums/) });
	});

	test.each([1, 2, 7])('%d threads give the same bits', async (threads) => {
		const options = { mode: 'same', boundary: 'mirror', backend: name, method: 'fft', verify: 'sample' } as const;
		const [one, other] = [
			await convolve(image, kernel(31), { ...options, threads: 1 }),
			await convolve(image, kernel(31), { ...options, threads }),
		];
		if (one.report.plan === other.report.plan) expect(other.data).toEqual(one.data);
		else expect(threads).not.toBe(1); // another number of threads may suit other tiles
	});

	test('a NaN reaches its windows and nothing else', async () => {
		const strange = { data: image.data.slice(), shape: image.shape };
		strange.data[150 * 400 + 200] = Number.NaN;
		const { data } = await convolve(strange, kernel(31), { mode: 'same', boundary: 'edge', backend: name, method: 'fft' });
		const wrong = Array.from(data, (x, k) => ({ x, y: Math.floor(k / 400), c: k % 400 })).filter(
			({ x, y, c }) => Number.isNaN(x) !== (Math.abs(y - 150) <= 15 && Math.abs(c - 200) <= 15),
		);
		expect(wrong).toEqual([]);
	});

	test('a wrong pixel does not pass full verification', async () => {
		const small = { data: image.data.slice(0, 60 * 80), shape: [60, 80] };
		const inner = await loadNative();
		const spoiled = fakeBackend(inner, {
			spoil: (out) => {
				const at = elementAt(out, 0, 0, 33, 44);
				out.data[at] = (out.data[at] as number) + 0.01;
			},
		});
		const options = { mode: 'same', boundary: 'edge', method: 'fft', verify: 'full' } as const;
		const { report } = await convolve(small, kernel(9), { ...options, backend: name });
		expect(report.verification?.worst).toBeLessThanOrEqual(1);
		await expect(convolve(small, kernel(9), { ...options, backend: spoiled })).rejects.toMatchObject({ pixel: [33, 44] });
	});
});
