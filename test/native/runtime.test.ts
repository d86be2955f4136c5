/** How the native backend runs: which body, on which thread, with what buffers, and how it stops. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import type { Executable } from '../../src/backend/backend.ts';
import { ACCUMULATORS } from '../../src/backend/native/addon.ts';
import { accumulatorOf } from '../../src/backend/native/candidates.ts';
import { loadAddon, places } from '../../src/backend/native/loader.ts';
import { loadNative } from '../../src/backend/native/native.ts';
import type { PlaneView } from '../../src/core/ndarray.ts';
import type { Plan } from '../../src/core/plan.ts';
import type { Problem, Request } from '../../src/core/problem.ts';
import { bitsOf, denseOut, judge, runOn, simpleProblem } from './harness.ts';

const addon = loadAddon();
const isas = addon.isas();
const root = fileURLToPath(new URL('../..', import.meta.url));

const ramp = (k: number) => Float64Array.from({ length: k * k }, (_, i) => ((i * 5) % 7) - 2);
const floatProblem = (side: number, change: Partial<Request> = {}) =>
	simpleProblem({ height: side, width: side, dtype: 'float32', kernelDtype: 'float32', k: 3, taps: ramp(3).map((w) => w / 7), ...change });

function floatImage(problem: Problem, data = new Float32Array(problem.image.sizes[2] * problem.image.sizes[3])): PlaneView {
	for (let k = 0; k < data.length; k++) data[k] = ((k * 37) % 101) / 10;
	return { data, dtype: 'float32', sizes: problem.image.sizes, strides: [0, 0, problem.image.sizes[3], 1], offset: 0 };
}

async function prepared(problem: Problem, change: (plan: Plan) => Plan = (plan) => plan): Promise<Executable> {
	const backend = await loadNative();
	const plan = backend.candidates(problem, { method: 'auto', accuracy: 'norm' })[0]?.plan as Plan;
	return backend.prepare(problem, change(plan));
}

test.each(isas)('the instruction set that was asked for computes: %s', async (isa) => {
	const backend = await loadNative({ isa });
	const problem = floatProblem(40);
	const { plan, body } = await runOn(backend, problem, floatImage(problem), denseOut(problem));
	expect(plan.isa).toBe(isa);
	expect(plan.name).toMatch(new RegExp(`^direct-f32-t40x40-r\\d+x\\d+@native\\.${isa}$`));
	expect(body).toEqual([isa, 1]);
});

const WIDTHS: [string, Partial<Request> & { taps: Float64Array }, (typeof ACCUMULATORS)[number], string][] = [
	['uint8', { taps: ramp(3) }, 'i16', 'vector'],
	['uint8', { taps: ramp(3).map((w) => w * 500) }, 'f32', 'vector'],
	['uint16', { taps: ramp(3).map((w) => w * 1e6) }, 'f64', 'vector'],
	['int32', { taps: ramp(3).map((w) => w * 1e8) }, 'i64', 'vector'],
	['int64', { taps: ramp(3), overflow: 'wrap' }, 'i64', 'vector'],
	['int64', { taps: ramp(3) }, 'i128', 'scalar'],
	['int64', { taps: ramp(3).map((w) => w * 2 ** 58), overflow: 'throw' }, 'i128', 'scalar'],
	['int64', { taps: ramp(3).map((w) => w * 2 ** 61) }, 'i192', 'scalar'],
];

test.each(WIDTHS)('sums of %s are held where the taps need it: %#', async (dtype, change, accumulator, kind) => {
	const kernelDtype = dtype === 'int64' ? 'int64' : 'int32';
	const taps = kernelDtype === 'int64' ? BigInt64Array.from(change.taps, BigInt) : change.taps;
	const plain = simpleProblem({ height: 5, width: 6, dtype: dtype as 'uint8', kernelDtype, k: 3, ...change });
	const problem = { ...plain, windows: plain.windows.map((w) => ({ ...w, taps: taps as Float64Array })) };
	expect(accumulatorOf(problem)).toBe(accumulator);
	const backend = await loadNative();
	const out = denseOut(problem);
	const data = denseOut(problem).data;
	for (let k = 0; k < data.length; k++) data[k] = typeof data[0] === 'bigint' ? BigInt(k) * -(3n ** 35n) : (k * 1234567) % 65536;
	const image: PlaneView = { ...out, data };
	const { plan, outcome, body } = await runOn(backend, problem, image, out);
	expect(judge(problem, plan, image, out, outcome)).toBeUndefined();
	expect(body[0]).toBe(kind === 'scalar' ? 'scalar' : isas[0]);
});

test('small work returns at once, larger work as a promise', async () => {
	const small = await prepared(floatProblem(64));
	const problem = floatProblem(64);
	expect(small.run(floatImage(problem), denseOut(problem))).not.toBeInstanceOf(Promise);
	const large = floatProblem(1024);
	const executable = await prepared(large);
	const running = executable.run(floatImage(large), denseOut(large));
	expect(running).toBeInstanceOf(Promise);
	await running;
});

test('an instruction set that is not there', async () => {
	const missing = process.arch === 'x64' ? 'neon' : 'avx512';
	await expect(loadNative({ isa: missing })).rejects.toMatchObject({
		code: 'BACKEND_UNAVAILABLE',
		message: expect.stringContaining('base'),
	});
	expect(() =>
		addon.prepare(
			missing,
			new BigInt64Array(34),
			new BigInt64Array(0),
			new Float64Array(0),
			new Int32Array(0),
			new Float64Array(0),
			new Float64Array(0),
			new BigInt64Array(0),
			new Float64Array(0),
		),
	).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
});

test('a missing addon: one message with the platform, every place and what to do', () => {
	const looked = places('linux', 'riscv64');
	expect(looked.slice(1)).toEqual(['@faltung/native-linux-riscv64', '@faltung/native-linux-riscv64-musl']);
	expect(() => loadAddon(['/nowhere/faltung.node', ...looked.slice(1)])).toThrow(
		expect.objectContaining({
			code: 'BACKEND_UNAVAILABLE',
			message: expect.stringMatching(
				/nowhere\/faltung\.node: .+; @faltung\/native-linux-riscv64: .+; @faltung\/native-linux-riscv64-musl: .+npm run build:native/s,
			),
		}),
	);
});

// 100 megapixels: 10^4 x 10^4 of bytes, 15 x 15 float taps
const large = simpleProblem({
	height: 10_000,
	width: 10_000,
	dtype: 'uint8',
	kernelDtype: 'float32',
	k: 15,
	taps: ramp(15).map((w) => w / 99),
});

test('an abort ends a 100-megapixel run within 50 ms', { timeout: 60_000 }, async () => {
	const executable = await prepared(large);
	const image = denseOut(large);
	const out = denseOut(large);
	const reason = new Error('enough');
	const delays: number[] = [];
	// other work on the machine delays one abort or another; the least of a few is the library's own
	while (delays.length < 5 && !(Math.min(...delays) < 50)) {
		const controller = new AbortController();
		const running = executable.run(image, out, controller.signal) as Promise<unknown>;
		await new Promise((resolve) => setTimeout(resolve, 60));
		const began = performance.now();
		controller.abort(reason);
		await expect(running).rejects.toBe(reason);
		delays.push(performance.now() - began);
		await expect(Promise.resolve(executable.run(image, out, controller.signal))).rejects.toBe(reason);
	}
	expect(Math.min(...delays)).toBeLessThan(50);
	executable.dispose();
});

test('shared and resizable buffers, and views of them', async () => {
	const problem = floatProblem(300);
	const backend = await loadNative();
	const plain = denseOut(problem);
	await runOn(backend, problem, floatImage(problem), plain);
	const bytes = 300 * 300 * 4;
	const Resizable = ArrayBuffer as new (length: number, options: { maxByteLength: number }) => ArrayBuffer;
	for (const buffer of [new SharedArrayBuffer(bytes + 8), new Resizable(bytes + 8, { maxByteLength: bytes * 2 })]) {
		const image = floatImage(problem, new Float32Array(buffer as ArrayBuffer, 8, 300 * 300));
		for (const milliseconds of [0, 1]) {
			const out = denseOut(problem);
			await runOn(backend, problem, image, out, (plan) => ({ ...plan, predicted: { ...plan.predicted, milliseconds } }));
			expect(bitsOf(problem, out) === bitsOf(problem, plain)).toBe(true);
		}
	}
});

test('buffers that do not fit are refused before any work', async () => {
	const problem = floatProblem(64);
	const executable = await prepared(problem);
	const image = floatImage(problem);
	const out = denseOut(problem);
	const refused = (change: () => [PlaneView, PlaneView]) =>
		expect(() => executable.run(...change())).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
	expect(() => executable.run(image, out)).not.toThrow();
	refused(() => [image, { ...out, data: new Float32Array(64 * 64 - 1) }]);
	refused(() => [{ ...image, data: new Float32Array(64 * 64 - 1) }, out]);
	refused(() => [image, { ...out, offset: 1 }]);
	refused(() => [image, { ...out, data: image.data }]);
	refused(() => [image, { ...out, strides: [0, 0, 0, 1] }]);
	refused(() => {
		const detached = new Float32Array(64 * 64);
		structuredClone(detached, { transfer: [detached.buffer] });
		return [image, { ...out, data: detached }];
	});
});

test('several executables at once, each with its own result', async () => {
	const backend = await loadNative();
	const runs = Array.from({ length: 12 }, async (_, k) => {
		const problem = floatProblem(200 + k * 17, { scale: [k + 1] });
		const image = floatImage(problem);
		const out = denseOut(problem);
		const { plan, outcome } = await runOn(backend, problem, image, out, (p) => ({
			...p,
			threads: 1 + (k % 5),
			predicted: { ...p.predicted, milliseconds: 1 },
		}));
		if (k % 4 === 0) expect(judge(problem, plan, image, out, outcome)).toBeUndefined();
	});
	await Promise.all(runs);
});

test('worker threads: results, and an end in the middle of the work', { timeout: 60_000 }, async () => {
	const program = `
		const { parentPort, workerData } = require('node:worker_threads');
		const addon = require(workerData.path);
		const [h, w] = [3000, 3000];
		const geometry = [1, 1, h, w, 1, h, w, 1, 1, 1, 1, 64, 512, h * w, h * w, w, 1, 9, 9, 1, 0, 0, 0, 0, -1, 1, 1, -1, 1, 1, 0, 0, 0, 0];
		const handle = addon.prepare(addon.isas()[0], BigInt64Array.from(geometry, BigInt), BigInt64Array.of(3n, 3n, -1n, -1n, 0n),
			new Float64Array(9).fill(1), Int32Array.of(0, h - 1, 0, w - 1), Float64Array.of(1), Float64Array.of(0), new BigInt64Array(0), new Float64Array(0));
		const views = BigInt64Array.from([0, 0, w, 1, 0, 0, 0, w, 1, 0], BigInt);
		const image = new Float32Array(h * w).fill(1);
		let left = 4;
		for (let k = 0; k < 4; k++) {
			const out = new Float32Array(h * w);
			addon.start(handle, image, out, views, 3, (status) => {
				if (status !== 0 || out[0] !== 9 || out[h * w - 1] !== 9) throw new Error('wrong ' + status + ' ' + out[0]);
				if (--left === 0) parentPort.postMessage('done');
			});
		}
		if (workerData.leave) process.exit(0);
	`;
	const path = places(process.platform, process.arch)[0] as string;
	const start = (leave: boolean) => new Worker(program, { eval: true, workerData: { path, leave } });
	const message = (worker: Worker) =>
		new Promise((resolve, reject) => {
			worker.once('message', resolve);
			worker.once('error', reject);
		});
	const ended = (worker: Worker) => new Promise((resolve) => worker.once('exit', resolve));
	const [a, b] = [start(false), start(false)];
	expect(await Promise.all([message(a), message(b)])).toEqual(['done', 'done']);
	for (let k = 0; k < 5; k++) expect(await ended(start(true))).toBe(0);
	const stopped = start(false);
	await new Promise((resolve) => setTimeout(resolve, 80));
	await stopped.terminate();
});

test('a process that never loaded it elsewhere survives workers that come and go', { timeout: 60_000 }, () => {
	const path = places(process.platform, process.arch)[0] as string;
	const program = `
		const { Worker } = require('node:worker_threads');
		const one = () => new Promise((r) => new Worker('require(' + JSON.stringify(${JSON.stringify(path)}) + ').probeCopy("base", new Uint8Array(65536), new Uint8Array(65536), 3)', { eval: true }).once('exit', r));
		(async () => { for (let k = 0; k < 10; k++) await Promise.all([one(), one()]); console.log('well'); })();
	`;
	const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', program], { encoding: 'utf8' });
	expect({ status, stdout: stdout.trim(), stderr }).toEqual({ status: 0, stdout: 'well', stderr: '' });
});

test('garbage calls are answered or refused', { timeout: 60_000 }, () => {
	const { status, stdout, stderr } = spawnSync(process.execPath, [`${root}scripts/fuzz-native.mjs`, '5000'], { encoding: 'utf8' });
	expect({ status, stderr, stdout }).toMatchObject({ status: 0, stderr: '' });
});

test('a disposed executable is refused, a pending run of it still ends', async () => {
	const problem = floatProblem(1500);
	const executable = await prepared(problem);
	const out = denseOut(problem);
	const running = executable.run(floatImage(problem), out);
	executable.dispose();
	executable.dispose();
	await running;
	await expect((async () => executable.run(floatImage(problem), out))()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});

test('no growth of memory over 2,000 runs', { timeout: 120_000 }, async () => {
	const problem = floatProblem(256);
	const image = floatImage(problem);
	const out = denseOut(problem);
	const inline = await prepared(problem);
	const pooled = await prepared(problem, (plan) => ({ ...plan, threads: 2, predicted: { ...plan.predicted, milliseconds: 1 } }));
	const run = async (times: number) => {
		for (let k = 0; k < times; k++) await (k % 2 === 0 ? inline : pooled).run(image, out);
	};
	await run(1000); // pools, caches and the heap have their size by now
	const before = process.memoryUsage().rss;
	await run(2000);
	expect((process.memoryUsage().rss - before) / 2 ** 20).toBeLessThan(16);
});

test('accumulators are numbered as in conv.h', () => {
	expect(addon.kernels('base').map((block, k) => (block === undefined ? '' : ACCUMULATORS[k]))).toEqual(['f32', 'f64', 'i16', 'i64']);
});
