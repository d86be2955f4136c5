/** Wrong calls of openWebGpu() and of what it gives: each has a code and a sentence of its own. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { referenceBackend } from '../../src/backend/reference.ts';
import { convolve, createConvolver, FaltungError, type GpuArray, isGpuArray, openWebGpu, type WebGpu } from '../../src/index.ts';
import { planOf, problemOf } from './problems.ts';

const STORAGE = 128;
const COPY_SRC = 4;
const bytes = () => ({ data: new Uint8Array(12), shape: [3, 4] });

/** Fails unless the call is refused with a code and with every one of these words. */
async function refuses(call: () => unknown, code: string, ...words: (string | RegExp)[]): Promise<void> {
	const outcome = await (async () => call())().then(
		() => 'it succeeded',
		(error: unknown) => error,
	);
	expect(outcome).toBeInstanceOf(FaltungError);
	const { message } = outcome as FaltungError;
	expect({ code: (outcome as FaltungError).code, message }).toMatchObject({ code });
	expect(message).toMatch(/^Expected .* for .* but received /s);
	for (const word of words) expect(message).toMatch(word instanceof RegExp ? word : new RegExp(word.replace(/[[\]{}()?.+*]/g, '\\$&')));
}
const invalid = (call: () => unknown, ...words: (string | RegExp)[]) => refuses(call, 'INVALID_ARGUMENT', ...words);
const open = openWebGpu as (options: unknown) => Promise<WebGpu>;

const revocable = Proxy.revocable({}, {});
revocable.revoke();

describe('openWebGpu refuses', () => {
	it.each<[name: string, options: unknown, ...words: (string | RegExp)[]]>([
		['null', null, 'options but received null'],
		['a number', 5, 'options but received 5'],
		['an array', [], 'options'],
		['a revoked proxy', revocable.proxy, 'options'],
		['an option that does not exist', { devise: 1 }, '"devise"', 'Did you mean "device"?'],
		['device: null', { device: null }, 'a GPUDevice for option device but received null', 'requestDevice()'],
		['device: {}', { device: {} }, 'a GPUDevice for option device but received an object'],
		['a promise of a device', { device: Promise.resolve() }, 'option device', 'await'],
		['a device that cannot be read', { device: revocable.proxy }, 'option device'],
		['powerPreference', { powerPreference: 'max' }, 'one of "high-performance", "low-power" for option powerPreference but received "max"'],
		['a misspelt powerPreference', { powerPreference: 'low_power' }, 'Did you mean "low-power"?'],
		['adapter: a number', { adapter: 5 }, "a part of an adapter's name for option adapter but received 5"],
		['adapter: nothing', { adapter: '' }, 'option adapter but received ""'],
		['robustness', { robustness: 'no' }, 'true or false for option robustness but received "no"'],
		['a negative memory', { memory: -1 }, 'option memory but received -1'],
		['a NaN memory', { memory: NaN }, 'option memory but received NaN'],
		['limits: a number', { limits: 3 }, 'option limits but received 3'],
		['a limit that does not exist', { limits: { foo: 1 } }, 'option limits but received "foo"'],
		['a limit of 0', { limits: { piece: 0 } }, 'option limits.piece but received 0'],
		['a limit of words', { limits: { threads: 'all' } }, 'option limits.threads but received "all"'],
		['tuning: a number', { limits: { tuning: 5 } }, 'option limits.tuning but received 5'],
	])('%s', async (_, options, ...words) => {
		await invalid(() => open(options), ...words);
	});
});

describe('an open device', () => {
	let gpu: WebGpu;
	let buffer: GPUBuffer;
	let x: GpuArray;
	beforeAll(async () => {
		gpu = await openWebGpu();
		buffer = gpu.device.createBuffer({ size: 16, usage: STORAGE | COPY_SRC });
		x = await gpu.upload(bytes());
	});
	afterAll(() => gpu.dispose());

	const detached = new Uint8Array(12);
	structuredClone(detached.buffer, { transfer: [detached.buffer] });
	const { data } = bytes();
	it.each<[name: string, image: unknown, ...words: (string | RegExp)[]]>([
		['null', null, 'image but received null'],
		['nothing', undefined, 'image but received undefined'],
		['a word', 'x', 'image but received "x"'],
		['a bare typed array', data, 'a bare Uint8Array', 'Wrap it'],
		['no data', { shape: [3, 4] }, 'image.data but received undefined'],
		['no shape', { data }, 'image.shape but received undefined'],
		['a detached array', { data: detached, shape: [3, 4] }, 'live memory for image.data', 'detached'],
		['too few sizes', { data, shape: [2, 2] }, '4 elements for shape [2, 2] for image.data but received 12'],
		['a view outside its memory', { data, shape: [3, 4], offset: 1 }, 'a view within its 12 elements for image'],
		['a negative offset', { data, shape: [3, 4], offset: -1 }, 'image.offset but received -1'],
		['strides of another rank', { data, shape: [3, 4], strides: [1] }, '2 strides'],
		['another dtype', { data, shape: [3, 4], dtype: 'float32' }, '"uint8" for a Uint8Array for image.dtype but received "float32"'],
		['no layout', { data, shape: [1, 3, 4] }, 'one of HWC, CHW, NHW for image.layout but received none'],
		['a wrong layout', { data, shape: [1, 3, 4], layout: 'WHC' }, 'image.layout but received "WHC"'],
		['a layout of another rank', { data, shape: [3, 4], layout: 'HWC' }, 'a layout of 2 axes (HW) for image.layout'],
		['rank 1', { data, shape: [12] }, 'rank 2, 3 or 4 for image but received rank 1'],
	])('upload refuses %s', async (_, image, ...words) => {
		await invalid(() => gpu.upload(image as never), ...words);
	});

	it('upload refuses float64 and nested arrays, which are float64, and says what to give', async () => {
		await refuses(() => gpu.upload([[1, 2]] as never), 'UNSUPPORTED', 'image but received float64', 'nested', 'Float32Array');
		await refuses(() => gpu.upload({ data: new Float64Array(1), shape: [1, 1] }), 'UNSUPPORTED', 'float64');
	});

	it('upload refuses an array that is in device memory', async () => {
		await invalid(() => gpu.upload(x as never), 'image but received a GpuArray', 'already');
	});

	it.each<[name: string, array: (b: GPUBuffer) => unknown, ...words: (string | RegExp)[]]>([
		['null', () => null, '{ buffer, shape, dtype } for the array to wrap but received null'],
		['nothing', () => undefined, 'the array to wrap but received undefined'],
		['no shape', (b) => ({ buffer: b, dtype: 'uint8' }), 'shape but received undefined'],
		['a shape of words', (b) => ({ buffer: b, shape: 'ab', dtype: 'uint8' }), 'shape but received "ab"'],
		['a negative size', (b) => ({ buffer: b, shape: [-1, 2], dtype: 'uint8' }), 'shape[0] but received -1'],
		['no dtype', (b) => ({ buffer: b, shape: [2, 2] }), 'dtype but received undefined'],
		['a dtype of the prototype', (b) => ({ buffer: b, shape: [2, 2], dtype: 'constructor' }), 'dtype but received "constructor"'],
		['no buffer', () => ({ shape: [2, 2], dtype: 'uint8' }), 'a GPUBuffer for buffer but received undefined'],
		[
			'an empty buffer object',
			() => ({ buffer: {}, shape: [2, 2], dtype: 'uint8' }),
			'a GPUBuffer for buffer but received an object',
			'createBuffer()',
		],
		['a typed array', () => ({ buffer: new Uint8Array(4), shape: [2, 2], dtype: 'uint8' }), 'buffer but received a Uint8Array', 'upload()'],
		[
			'a small buffer',
			(b) => ({ buffer: b, shape: [3, 6], dtype: 'uint8' }),
			'20 bytes for uint8 [3, 6] for buffer but received one of 16',
		],
		['no layout', (b) => ({ buffer: b, shape: [1, 2, 2], dtype: 'uint8' }), 'for layout but received none'],
		['a wrong layout', (b) => ({ buffer: b, shape: [1, 2, 2], dtype: 'uint8', layout: 'XYZ' }), 'layout but received "XYZ"'],
	])('wrap refuses %s', async (_, array, ...words) => {
		await invalid(() => gpu.wrap(array(buffer) as never), ...words);
	});

	it('a thing that only looks like a buffer is told by its first use', async () => {
		const like = { size: 2 ** 60, usage: STORAGE | COPY_SRC, mapState: 'unmapped', destroy() {}, unmap() {}, async mapAsync() {} };
		const wrapped = gpu.wrap({ buffer: like as unknown as GPUBuffer, shape: [2, 2], dtype: 'uint8' });
		await expect(wrapped.read()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
		const c = await createConvolver([[1]], { backend: gpu });
		await expect(c.run(wrapped)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
		const huge = gpu.wrap({ buffer: like as unknown as GPUBuffer, shape: [2 ** 30, 2 ** 28], dtype: 'uint8' });
		await expect(huge.read()).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED', message: expect.stringContaining('read({ start, count })') });
		await c.dispose();
	});

	it.each<[name: string, range: unknown, ...words: (string | RegExp)[]]>([
		['null', null, 'range but received null'],
		['a number', 5, 'range but received 5'],
		['no start', {}, 'range.start but received undefined'],
		['no count', { start: 0 }, 'range.count but received undefined'],
		['a negative start', { start: -1, count: 2 }, 'range.start but received -1'],
		['more than there is', { start: 10, count: 5 }, 'from 0 to 2 for range.count but received 5'],
		['an unknown name', { start: 0, cuont: 1 }, 'Did you mean "count"?'],
	])('read refuses %s', async (_, range, ...words) => {
		await invalid(() => x.read(range as never), ...words);
	});

	describe('what a backend is driven with', () => {
		const problem = problemOf({ sizes: [1, 1, 8, 8] });
		const other = problemOf({ sizes: [1, 1, 8, 8], taps: [[1, 2]] });
		const wish = { method: 'auto', accuracy: 'norm' } as const;
		const plan = () => planOf(gpu, problem);
		const rubbish: [string, unknown][] = [
			['nothing', undefined],
			['null', null],
			['a number', 5],
			['a word', 'x'],
			['an empty object', {}],
			['an array', []],
			['a revoked proxy', revocable.proxy],
			['empty windows of nothing', { windows: [null], boundary: [], scale: [] }],
		];
		it.each(rubbish)('prepare refuses %s as a problem and as a plan', async (_, value) => {
			await invalid(() => gpu.prepare(value as never, plan()), /for problem but received/);
			await invalid(() => gpu.prepare(problem, value as never), /for plan but received/);
			await invalid(() => gpu.candidates(value as never, wish), /for problem but received/);
		});
		it('prepare refuses the plan of another backend, and of another problem', async () => {
			const [native] = referenceBackend.candidates(problem, wish);
			await invalid(() => gpu.prepare(problem, native?.plan as never), 'a plan of backend webgpu for plan', '@reference', 'gpu.candidates');
			await invalid(() => gpu.prepare(other, plan()), 'a plan of this problem for plan', 'of another');
			await invalid(() => gpu.prepare(problem, { ...plan(), steps: [] }), 'a plan of this problem');
		});
		it.each([Number.NaN, Infinity, -1, 0.5])('candidates refuses a problem of %s rows, and does not cut it for ever', async (rows) => {
			const image = { ...problem.image, sizes: [1, 1, rows, 4] as const };
			for (const more of [{ image }, { output: { ...problem.output, sizes: image.sizes } }, { stride: [1, rows - 1] as const }])
				await invalid(() => gpu.candidates({ ...problem, ...more }, wish), /for problem but received/);
		});
		it('candidates refuses a wish that is none', async () => {
			await invalid(() => gpu.candidates(problem, undefined as never), 'for wish but received undefined');
			await invalid(() => gpu.candidates(problem, { method: 'ftt' } as never), 'wish.method', 'Did you mean "fft"');
		});
		it('and take what is right', async () => {
			expect(gpu.candidates(problem, wish).length).toBeGreaterThan(2);
			(await gpu.prepare(problem, plan())).dispose();
		});
	});

	it('what only inherits from a GpuArray, or stands before one, is none', async () => {
		const c = await createConvolver([[1]], { backend: gpu });
		for (const fake of [Object.create(Object.getPrototypeOf(x) as object), new Proxy(x, {})] as GpuArray[]) {
			expect(isGpuArray(fake)).toBe(false);
			await invalid(() => c.run(fake), 'image');
		}
		expect([isGpuArray(x), isGpuArray(revoked()), isGpuArray(null), isGpuArray(undefined), isGpuArray({})]).toEqual([
			true,
			false,
			false,
			false,
			false,
		]);
		await c.dispose();
	});

	it('an array that is disposed while it is read or convolved says so', async () => {
		const c = await createConvolver([[1]], { backend: gpu });
		for (const use of [(array: GpuArray) => array.read(), (array: GpuArray) => c.run(array)]) {
			const array = await gpu.upload(bytes());
			const using = use(array);
			array.dispose();
			array.dispose();
			await invalid(() => using, 'a live GpuArray', 'a disposed one');
			await invalid(() => use(array), 'a live GpuArray', 'a disposed one');
		}
		await c.dispose();
	});
});

const revoked = () => {
	const { proxy, revoke } = Proxy.revocable({}, {});
	revoke();
	return proxy;
};

describe('a disposed WebGpu', () => {
	it('says so to every use, and so do its arrays', async () => {
		const gpu = await openWebGpu();
		const c = await createConvolver([[1]], { backend: gpu });
		const buffer = gpu.device.createBuffer({ size: 16, usage: STORAGE | COPY_SRC });
		const x = await gpu.upload(bytes());
		const pending = x.read();
		gpu.dispose();
		gpu.dispose();
		await invalid(() => pending, 'one of a disposed WebGpu');
		await invalid(() => x.read(), 'one of a disposed WebGpu');
		await invalid(() => gpu.upload(bytes()), 'a disposed one', 'openWebGpu()');
		await invalid(() => gpu.wrap({ buffer, shape: [3, 4], dtype: 'uint8' }), 'a disposed one');
		await invalid(() => c.run(bytes()), 'a disposed one');
		await invalid(() => c.run(x), 'disposed');
		await invalid(() => convolve(bytes(), [[1]], { backend: gpu }), 'a disposed one');
		x.dispose();
		await c.dispose();
	});
});
