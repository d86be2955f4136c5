/**
 * The ways in which the npm package `webgpu` can take a process down or spoil its output, each tried through this library. Some need a
 * process of their own: the library is built into build/webgpu-hazards for it.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { openWebGpu } from '../../src/backend/webgpu/webgpu.ts';
import { imageOf, outOf, prepare, problemOf, runOnce } from './problems.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const built = join(root, 'build', 'webgpu-hazards');

describe('in this process', () => {
	const problem = problemOf({ sizes: [1, 1, 33, 35], taps: [[1, 2, 1]], overflow: 'wrap' });
	const image = imageOf(problem);

	it('shared memory in and out is copied, never handed to the driver', async () => {
		using gpu = await openWebGpu();
		const expected = (await runOnce(gpu, problem, image)).out.data;
		const shared = new Uint8Array(new SharedArrayBuffer(33 * 35));
		shared.set(image.data as Uint8Array);
		const out = { ...outOf(problem), data: new Uint8Array(new SharedArrayBuffer(33 * 35)) };
		const executable = await prepare(gpu, problem);
		await executable.run({ ...image, data: shared }, out);
		expect(out.data).toEqual(expected);
		using x = await gpu.upload({ data: shared, shape: [33, 35] });
		expect((await x.read()).data).toEqual(image.data);
		executable.dispose();
	});

	it('writeBuffer sees whole words of unshared memory only, and never an image', async () => {
		using gpu = await openWebGpu();
		const { queue } = gpu.device;
		const original = queue.writeBuffer.bind(queue);
		const written: ArrayBufferView[] = [];
		queue.writeBuffer = (buffer: GPUBuffer, offset: number, data: unknown) => {
			written.push(data as ArrayBufferView);
			original(buffer, offset, data as ArrayBufferView<ArrayBuffer>);
		};
		await runOnce(gpu, problem, image);
		using _ = await gpu.upload({ data: image.data, shape: [33, 35] });
		expect(written.length).toBeGreaterThan(0);
		for (const data of written) {
			expect(data.byteLength % 4).toBe(0);
			expect(data.buffer).toBeInstanceOf(ArrayBuffer);
			expect(data.buffer).not.toBe(image.data.buffer);
		}
	});

	it('a mapped range never leaves the backend', async () => {
		using gpu = await openWebGpu();
		const prototype = Object.getPrototypeOf(gpu.device.createBuffer({ size: 4, usage: 8 })) as GPUBuffer;
		const original = prototype.getMappedRange;
		const mapped = new Set<ArrayBuffer>();
		prototype.getMappedRange = function (this: GPUBuffer, offset, size) {
			const range = original.call(this, offset, size);
			mapped.add(range);
			return range;
		};
		try {
			const { out } = await runOnce(gpu, problem, image);
			using x = await gpu.upload({ data: image.data, shape: [33, 35] });
			const { data } = await x.read();
			expect(mapped.size).toBeGreaterThanOrEqual(3);
			expect(mapped.has(out.data.buffer as ArrayBuffer)).toBe(false);
			expect(mapped.has(data.buffer as ArrayBuffer)).toBe(false);
			for (const range of mapped) expect(range.byteLength).toBe(0); // unmapped: detached
		} finally {
			prototype.getMappedRange = original;
		}
	});

	it('an image that is transferred while the call is pending is an error of the call', async () => {
		using gpu = await openWebGpu({ limits: { piece: 256 } });
		const executable = await prepare(gpu, problem);
		const data = (image.data as Uint8Array).slice();
		const running = executable.run({ ...image, data }, outOf(problem));
		structuredClone(data.buffer, { transfer: [data.buffer] });
		await expect(running).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('transferred') });
		executable.dispose();
	});

	it('starts no worker that could be terminated, and imports nothing of Node', () => {
		const folder = join(root, 'src', 'backend', 'webgpu');
		for (const file of readdirSync(folder)) {
			const text = readFileSync(join(folder, file), 'utf8');
			expect(text, file).not.toMatch(/from 'node:|import\('node:|require\(|new Worker/);
			expect(text, file).not.toMatch(/^import .* from 'webgpu'/m);
		}
	});
});

const LIBRARY = `
	import { openWebGpu } from './backend/webgpu/webgpu.js';
	import { makeProblem } from './core/problem.js';
	const problem = makeProblem({
		operation: 'convolve', image: { dtype: 'uint8', layout: 'HW', sizes: [1, 1, 64, 64] },
		kernel: { dtype: 'int32', height: 1, width: 3, count: 1, bank: false, taps: new Float64Array([1, 2, 1]) },
		mode: 'same', boundary: ['mirror', 'mirror'], value: 0, anchor: undefined, stride: [1, 1], dilation: [1, 1], outputDtype: 'uint8',
		overflow: 'saturate', rounding: 'nearest-even', scale: [1], bias: [0], accumulate: 'auto',
	});
	const view = () => ({ data: new Uint8Array(4096).fill(10), dtype: 'uint8', sizes: [1, 1, 64, 64], strides: [0, 0, 64, 1], offset: 0 });
	const once = async (gpu) => {
		const executable = await gpu.prepare(problem, gpu.candidates(problem, { method: 'direct', accuracy: 'norm' })[0].plan);
		const out = view();
		await executable.run(view(), out);
		if (out.data.some((value) => value !== 40)) throw new Error('wrong result');
	};
`;

/** Runs a module that uses the built library in a process of its own. */
function script(name: string, body: string) {
	const file = join(built, `${name}.mjs`);
	writeFileSync(file, LIBRARY + body);
	return spawnSync(process.execPath, [file], { encoding: 'utf8', timeout: 60_000 });
}

describe('in a process of its own', () => {
	beforeAll(() => {
		mkdirSync(built, { recursive: true });
		const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript')), 'tsc.js');
		const args = [compiler, '-p', join(root, 'tsconfig.build.json'), '--outDir', built, '--declaration', 'false'];
		execFileSync(process.execPath, args, { stdio: 'pipe' });
	});

	it('nothing is written to stdout, also where devices are lost, memory runs out or calls are refused', () => {
		const { stdout, status, stderr } = script(
			'stdout',
			`
			const gpu = await openWebGpu();
			await once(gpu);
			gpu.device.destroy();
			await gpu.device.lost;
			await once(gpu);
			gpu.dispose();
			const small = await openWebGpu({ memory: 3000 });
			await once(small).catch((error) => { if (error.code !== 'LIMIT_EXCEEDED') throw error; });
			await small.upload({ data: new Uint8Array(4096), shape: [64, 64] }).catch(() => {});
			await openWebGpu({ adapter: 'none like this' }).catch((error) => { if (error.code !== 'BACKEND_UNAVAILABLE') throw error; });
		`,
		);
		expect({ stdout, status }, stderr).toEqual({ stdout: '', status: 0 });
	});

	it('the process ends by itself with a device open and work under way', () => {
		const { status, signal, stderr } = script('exit', 'const gpu = await openWebGpu(); await once(gpu); void once(gpu).catch(() => {});');
		expect({ status, signal }, stderr).toEqual({ status: 0, signal: null });
	});

	it('process.exit during work is no crash', () => {
		const { status, signal, stderr } = script('exit-now', 'const gpu = await openWebGpu(); void once(gpu); process.exit(3);');
		expect({ status, signal }, stderr).toEqual({ status: 3, signal: null });
	});

	it('several threads have a device each', () => {
		const { stdout, status, stderr } = script(
			'threads',
			`
			import { Worker, isMainThread, parentPort } from 'node:worker_threads';
			import { fileURLToPath } from 'node:url';
			if (isMainThread) {
				const ended = [1, 2].map(() => new Promise((resolve, reject) => {
					new Worker(fileURLToPath(import.meta.url)).once('exit', resolve).once('error', reject);
				}));
				await once(await openWebGpu());
				await Promise.all(ended);
				process.stdout.write('done');
			} else {
				const gpu = await openWebGpu();
				for (let k = 0; k < 5; k++) await once(gpu);
				gpu.dispose();
			}
		`,
		);
		expect({ stdout, status }, stderr).toEqual({ stdout: 'done', status: 0 });
	});
});
