/**
 * The chain under 'auto': what fails, is lost, is wrong or runs out of memory is followed by the next backend, and the report says so.
 * The registry is replaced: 'webgpu' and 'native' are backends that fail as they are told.
 */
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { referenceBackend } from '../src/backend/reference.ts';
import type { BackendName } from '../src/backend/registry.ts';
import { convolve, createConvolver, type ErrorCode, FaltungError, type Report } from '../src/index.ts';
import { type FakeBackend, type FakeOptions, fakeBackend } from './fake-backend.ts';

const registry = vi.hoisted(() => ({ backends: new Map<string, unknown>() }));
vi.mock('../src/backend/registry.ts', async (original) => ({
	...(await original<typeof import('../src/backend/registry.ts')>()),
	loadBackend: async (name: string) => {
		const backend = registry.backends.get(name);
		if (backend instanceof Error) throw backend;
		return backend;
	},
}));

const image = { data: Uint8Array.from({ length: 600 }, (_, k) => (k * 7) % 100), shape: [20, 30] };
const kernel = [[1, 0, 2]];
const expected = (await convolve(image, kernel, { backend: referenceBackend })).data;

/** Puts a machine together: the GPU is predicted to be the fastest, then the processor, then the reference. */
function machine(failures: Partial<Record<'webgpu' | 'native', FakeOptions>>): Record<'webgpu' | 'native', FakeBackend> {
	const made = {
		webgpu: fakeBackend(referenceBackend, { name: 'webgpu', predicted: 1, ...failures.webgpu }),
		native: fakeBackend(referenceBackend, { name: 'native', predicted: 30, ...failures.native }), // slow enough that the GPU is opened
	};
	const reference = fakeBackend(referenceBackend, { name: 'reference', predicted: 60 });
	registry.backends = new Map<string, unknown>([...Object.entries(made), ['reference', reference]]);
	return made;
}

const failing = (code: ErrorCode): FakeOptions => ({
	fail: () => {
		throw new FaltungError(code, `told to fail with ${code}`);
	},
});
const wrong: FakeOptions = { spoil: (out) => out.data.fill(251 as never) };
const path = ({ fallbacks, backend }: Report) => [...fallbacks.map(({ plan }) => plan.split('@')[1]), backend];

beforeEach(() => {
	machine({});
});

describe('auto', () => {
	test('takes the fastest where nothing fails', async () => {
		expect(path((await convolve(image, kernel)).report)).toEqual(['webgpu']);
	});

	test.each<[string, FakeOptions, ErrorCode]>([
		['a lost device', failing('DEVICE_LOST'), 'DEVICE_LOST'],
		['memory exhausted', failing('LIMIT_EXCEEDED'), 'LIMIT_EXCEEDED'],
		['what it finds that it cannot do', failing('UNSUPPORTED'), 'UNSUPPORTED'],
		['a driver that went away', failing('BACKEND_UNAVAILABLE'), 'BACKEND_UNAVAILABLE'],
		['a wrong answer', wrong, 'VERIFICATION_FAILED'],
	])('%s: the next backend, and the report says so', async (_, failure, code) => {
		machine({ webgpu: failure });
		const { data, report } = await convolve(image, kernel);
		expect(path(report)).toEqual(['webgpu', 'native']);
		expect(report.fallbacks[0]).toMatchObject({ code, message: expect.stringMatching(/\w+ \w+/) });
		expect(data).toEqual(expected);
	});

	test('memory for the result that cannot be had', async () => {
		const allocate = () => {
			throw new RangeError('Array buffer allocation failed');
		};
		machine({ webgpu: { allocate } });
		const { data, report } = await convolve(image, kernel);
		expect(path(report)).toEqual(['webgpu', 'native']);
		expect(report.fallbacks[0]).toMatchObject({ code: 'LIMIT_EXCEEDED', message: expect.stringContaining('bytes') });
		expect(data).toEqual(expected);
	});

	test('down to the reference, whatever fails before', async () => {
		machine({ webgpu: failing('DEVICE_LOST'), native: failing('LIMIT_EXCEEDED') });
		const { data, report } = await convolve(image, kernel);
		expect(path(report)).toEqual(['webgpu', 'native', 'reference']);
		expect(report.fallbacks.map(({ code }) => code)).toEqual(['DEVICE_LOST', 'LIMIT_EXCEEDED']);
		expect(data).toEqual(expected);
	});

	test('a backend that is not there is no fallback but a candidate with its reason', async () => {
		registry.backends.set('webgpu', new FaltungError('BACKEND_UNAVAILABLE', 'no adapter'));
		const c = await createConvolver(kernel, { shape: image.shape, dtype: 'uint8' });
		expect(c.plan.explain()).toMatch(/webgpu +no +no adapter/);
		expect(path((await c.run(image)).report)).toEqual(['native']);
		await c.dispose();
	});

	test('an overflow and a bug are final', async () => {
		const { native } = machine({});
		await expect(convolve(image, [[9]], { overflow: 'throw' })).rejects.toMatchObject({ code: 'OVERFLOW' });
		machine({
			webgpu: {
				fail: () => {
					throw new TypeError('bug');
				},
			},
		});
		await expect(convolve(image, kernel)).rejects.toThrow('bug');
		expect(native.runs()).toBe(0);
	});

	test('a backend that was named stands alone', async () => {
		const names: BackendName[] = ['webgpu', 'native'];
		const { native } = machine({ webgpu: failing('DEVICE_LOST') });
		await expect(convolve(image, kernel, { backend: 'webgpu' })).rejects.toMatchObject({ code: 'DEVICE_LOST' });
		expect(native.runs()).toBe(0);
		expect(path((await convolve(image, kernel, { backend: names })).report)).toEqual(names);
	});
});

describe('afterwards', () => {
	test('a device that was lost is tried again', async () => {
		let lost = true;
		const { webgpu } = machine({
			webgpu: {
				fail: (() => {
					if (lost) throw new FaltungError('DEVICE_LOST', 'gone');
				}) as () => never,
			},
		});
		expect(path((await convolve(image, kernel)).report)).toEqual(['webgpu', 'native']);
		lost = false;
		expect(path((await convolve(image, kernel)).report)).toEqual(['webgpu']);
		expect(webgpu.runs()).toBe(2);
	});

	test('one that was wrong is not chosen again, and every report warns', async () => {
		const { webgpu } = machine({ webgpu: wrong });
		await convolve(image, kernel);
		const { report } = await convolve(image, kernel);
		expect(path(report)).toEqual(['native']);
		expect(report.warnings).toEqual([expect.stringMatching(/^The backend webgpu gave a wrong answer earlier/)]);
		expect(webgpu.runs()).toBe(1);
	});

	test('where every answer is wrong, the image was written meanwhile: nobody is blamed', async () => {
		const scribbled = { data: image.data.slice(), shape: image.shape };
		const writing: FakeOptions = { spoil: () => scribbled.data.set(scribbled.data.map((pixel) => pixel ^ 1)) };
		machine({ webgpu: writing, native: writing });
		const reference = fakeBackend(referenceBackend, { name: 'reference', predicted: 60, ...writing });
		registry.backends.set('reference', reference);
		for (const policy of ['estimate', 'measure'] as const) {
			await expect(convolve(scribbled, kernel, { policy })).rejects.toThrow(/the image was written meanwhile/);
		}
		expect(path((await convolve(image, kernel)).report)).toEqual(['webgpu']);
	});

	test.each<ErrorCode>(['VERIFICATION_FAILED', 'DEVICE_LOST', 'LIMIT_EXCEEDED'])(
		'an abort is final, and blames nobody, where its reason is an error of another call: %s',
		async (code) => {
			const reason = new FaltungError(code, 'of another call');
			const controller = new AbortController();
			const { webgpu, native } = machine({ webgpu: { spoil: () => controller.abort(reason) } });
			await expect(convolve(image, kernel, { signal: controller.signal })).rejects.toBe(reason);
			expect([webgpu.runs(), native.runs()]).toEqual([1, 0]);
			expect((await convolve(image, kernel)).report).toMatchObject({ backend: 'webgpu', warnings: [] });
		},
	);

	test('… but it may be named', async () => {
		const { webgpu } = machine({ webgpu: wrong });
		await convolve(image, kernel);
		await expect(convolve(image, kernel, { backend: 'webgpu' })).rejects.toMatchObject({ code: 'VERIFICATION_FAILED' });
		expect(webgpu.runs()).toBe(2);
	});

	test('a convolver goes on with the next one, run after run', async () => {
		machine({ native: wrong, webgpu: failing('DEVICE_LOST') });
		const c = await createConvolver(kernel, { shape: image.shape, dtype: 'uint8' });
		for (let k = 0; k < 3; k++) expect((await c.run(image)).data).toEqual(expected);
		await c.dispose();
	});

	test('measuring: what fails is out, the rest races', async () => {
		machine({ webgpu: { ...failing('DEVICE_LOST'), predicted: 25 } });
		const { data, report } = await convolve(image, kernel, { policy: 'measure' });
		expect([...new Set(path(report))]).toEqual(['webgpu', 'native']);
		expect(data).toEqual(expected);
	});
});
