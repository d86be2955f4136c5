/** Memory: 500 runs, host and resident, leave nothing behind; what a run holds is bounded however large the image. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { openWebGpu } from '../../src/backend/webgpu/webgpu.ts';
import { imageOf, outOf, prepare, problemOf, runOnce } from './problems.ts';

const RUNS = 500;

setFlagsFromString('--expose_gc');
const collect = runInNewContext('gc') as () => void;

/** Resident set after a collection, MiB. */
async function resident(): Promise<number> {
	collect();
	await new Promise((resolve) => setTimeout(resolve, 50)); // wrappers of device objects are freed in a later turn
	collect();
	return process.memoryUsage.rss() / 2 ** 20;
}

describe('memory', () => {
	it(`does not grow over ${RUNS} runs`, async () => {
		using gpu = await openWebGpu();
		const problem = problemOf({ dtype: 'uint16', sizes: [1, 1, 192, 192], taps: [[1, 2, 1]] });
		const executable = await prepare(gpu, problem);
		const image = imageOf(problem);
		const out = outOf(problem);
		const cycle = async () => {
			await executable.run(image, out);
			using x = await gpu.upload({ data: image.data, shape: [192, 192] });
			using y = await executable.runResident(x);
			await y.read();
		};
		for (let k = 0; k < RUNS; k++) await cycle();
		const [held, before] = [gpu.memory.held, await resident()];
		for (let k = 0; k < RUNS; k++) await cycle();
		expect(gpu.memory.held).toBeLessThanOrEqual(held);
		// one image left behind a run would be 36 MiB; what is freed goes back to the system some turns later
		await expect.poll(async () => (await resident()) - before, { timeout: 20_000, interval: 200 }).toBeLessThan(24);
		executable.dispose();
	}, 600_000);

	it('comes back from failed and aborted runs, and from disposed convolvers', async () => {
		using gpu = await openWebGpu({ limits: { piece: 4096 } });
		const problem = problemOf({ sizes: [1, 1, 200, 200], taps: [[1, 2, 1]] });
		const image = imageOf(problem);
		await runOnce(gpu, problem, image);
		await expect.poll(() => gpu.memory.held - gpu.memory.idle, { timeout: 10_000 }).toBe(0);
		const { held } = gpu.memory;
		for (let k = 0; k < 20; k++) {
			const stop = new AbortController();
			const running = runOnce(gpu, problem, image, stop.signal);
			setTimeout(() => stop.abort(new Error('enough')), k);
			await running.catch(() => {});
		}
		const executable = await prepare(gpu, problem);
		for (let k = 0; k < 5; k++) {
			const data = (image.data as Uint8Array).slice();
			const running = executable.run({ ...image, data }, outOf(problem));
			structuredClone(data.buffer, { transfer: [data.buffer] }); // pieces fail halfway, their buffers taken
			await expect(running).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
		}
		executable.dispose();
		// staging buffers come back when they are mapped again
		await expect.poll(() => gpu.memory.held - gpu.memory.idle, { timeout: 10_000 }).toBe(0);
		expect(gpu.memory.held).toBeLessThan(2 * held);
	});

	it('of a run is bounded by its pieces, not by its image', async () => {
		const peaks: number[] = [];
		for (const height of [1000, 5000]) {
			using gpu = await openWebGpu({ limits: { piece: 65536 } });
			const problem = problemOf({ sizes: [1, 1, height, 500], taps: [[1, 2, 1]] });
			await runOnce(gpu, problem, imageOf(problem));
			peaks.push(gpu.memory.peak);
		}
		expect(peaks[1]).toBeLessThanOrEqual((peaks[0] as number) * 1.25);
		expect(peaks[1]).toBeLessThan(2_000_000);
	});

	it('is shared by runs that overlap: at most three pieces are under way', async () => {
		using gpu = await openWebGpu({ limits: { piece: 65536 } });
		const problem = problemOf({ sizes: [1, 1, 400, 500], taps: [[1, 2, 1]] });
		const executable = await prepare(gpu, problem);
		const images = Array.from({ length: 6 }, (_, k) => imageOf(problem, k));
		const outs = images.map(() => outOf(problem));
		await Promise.all(images.map((image, k) => executable.run(image, outs[k] as (typeof outs)[number])));
		expect(gpu.memory.peak).toBeLessThan(2_000_000);
		for (const [k, image] of images.entries()) {
			const alone = outOf(problem);
			await executable.run(image, alone);
			expect(outs[k]?.data).toEqual(alone.data);
		}
		executable.dispose();
	});
});
