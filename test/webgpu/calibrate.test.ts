/** What `faltung calibrate` measures on a device, and what comes of it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { libraryVersion, saveDevice } from '../../src/backend/native/calibration.ts';
import { openWebGpu as openMeasured } from '../../src/backend/registry.ts';
import { calibrateDevice, ratesOf } from '../../src/backend/webgpu/calibrate.ts';
import { candidates } from '../../src/backend/webgpu/candidates.ts';
import { AXES, tunedFor, tuningOf } from '../../src/backend/webgpu/tuning.ts';
import { openWebGpu, type WebGpu } from '../../src/backend/webgpu/webgpu.ts';
import type { Plan } from '../../src/core/plan.ts';
import { problemOf, ragged } from './problems.ts';

afterEach(() => vi.unstubAllEnvs());

const measured = { variants: { workgroup: [8, 8], bank: [1], strip: [8, 16], box: [64, 4] }, rates: {}, date: '2026-11-24T01:02:03Z' };

describe('a tuning that was measured', () => {
	it('stands above the table', () => {
		const tuning = tunedFor('any', measured);
		expect(tuning).toMatchObject({ workgroup: { x: 8, y: 8 }, bank: 1, provenance: expect.stringContaining('2026-11-24') });
		expect([tuning.strips[0], tuning.boxes[0]]).toEqual([
			[8, 16],
			[64, 4],
		]);
		expect(tuning.strips).toHaveLength(tuningOf('any').strips.length); // what does not fit still finds another
	});

	it('takes no variant that nobody offers', () => {
		const { bank, workgroup } = tunedFor('any', { ...measured, variants: { bank: [3], workgroup: [1e9, 8] } });
		expect({ bank, workgroup }).toEqual({ bank: tuningOf('any').bank, workgroup: tuningOf('any').workgroup });
	});

	it('of transforms is what the planner predicts by, and a bank pays for one transform forward', () => {
		const limits = { binding: 2 ** 27, buffer: 2 ** 28, piece: 2 ** 25, products: 2 ** 40, storage: 16384, threads: 256, blocked: 1 };
		const milliseconds = (rates: Record<string, number>, kernels = 1) => {
			const bank = Array.from({ length: kernels }, () => ragged(31, 31));
			const problem = problemOf({ dtype: 'float32', kernelDtype: 'float32', sizes: [1, 1, 4096, 4096], bank });
			const facts = { device: 'any', software: false, limits: { ...limits, tuning: tuningOf('any') }, rates };
			const [candidate] = candidates(problem, { method: 'fft', accuracy: 'norm', memory: 'device' }, facts);
			return (candidate as { plan: Plan }).plan.predicted.milliseconds;
		};
		const latency = milliseconds({ fft: 1e15, fftBytes: 1e15 });
		const work = milliseconds({ fft: 1e7, fftBytes: 1e15 });
		const bytes = milliseconds({ fft: 1e15, fftBytes: 1e7 });
		expect(milliseconds({ fft: 1e6, fftBytes: 1e15 }) - latency).toBeCloseTo(10 * (work - latency), 4);
		expect(milliseconds({ fft: 1e15, fftBytes: 1e6 }) - latency).toBeCloseTo(10 * (bytes - latency), 4);
		// 8 kernels: 9 transforms instead of 16
		const eight = milliseconds({ fft: 1e7, fftBytes: 1e15 }, 8);
		expect((eight - latency) / (work - latency)).toBeCloseTo(9 / 2, 2);
	});

	it('has no rates from a clock that stands still or runs backwards', () => {
		const one = { shader: 'fft', moved: 'fftBytes', products: 4e9, bytes: 2e8 };
		expect(ratesOf([0, -3, 1e-6, Number.NaN].map((least) => ({ ...one, least })))).toEqual({});
		const timed = [0, 4, 8].map((least) => ({ ...one, least }));
		expect(ratesOf(timed)).toEqual({ fft: 1e9, fftBytes: 5e7 });
	});

	it('has axes that begin with the general row', () => {
		const { workgroup, bank, strips, boxes } = tuningOf('any');
		expect(Object.values(AXES).map(([first]) => first)).toEqual([[workgroup.x, workgroup.y], [bank], strips[0], boxes[0]]);
	});
});

describe('a device', () => {
	it.runIf(process.env.FALTUNG_TEST_ADAPTER_KIND !== undefined)('that is software is run a little, and nothing is kept', async () => {
		const gpu = await openWebGpu({ timestamps: true });
		const outcome = await calibrateDevice(gpu);
		if (gpu.capabilities.software) {
			expect(outcome).toMatchObject({ software: true, device: gpu.capabilities.device });
			expect(outcome.measurements).toBeUndefined();
			expect(outcome.points.map(({ variant }) => variant)).toEqual([[4], [2]]);
		}
		for (const { measured, wrong } of outcome.points)
			expect({ positive: measured > 0, wrong }).toEqual({ positive: true, wrong: undefined });
		gpu.dispose();
	});

	/** The same device, whatever it is, as a GPU: everything is then measured. */
	const asGpu = (gpu: WebGpu): WebGpu =>
		Object.create(gpu, { capabilities: { value: { ...gpu.capabilities, software: false } }, device: { value: gpu.device } });

	it('is measured whole: every variant of every axis gives the same bits, the fastest is kept, and rates come from it', async () => {
		using gpu = await openWebGpu({ timestamps: true });
		const { measurements, points } = await calibrateDevice(asGpu(gpu), { seconds: 100, side: 64 });
		const { maxComputeWorkgroupStorageSize: storage, maxComputeInvocationsPerWorkgroup: threads } = gpu.device.limits;
		const roomy = storage >= 32768 && threads >= 512;
		for (const [axis, variants] of Object.entries(AXES)) {
			const timed = points.filter((point) => point.axis === axis);
			expect(timed.map(({ wrong }) => wrong)).toEqual(timed.map(() => undefined));
			// sums of 256 columns take 46 KiB
			const fitting = variants.filter((variant) => axis !== 'box' || variant[0] < 256 || storage >= 48 * 1024);
			if (roomy) expect(timed.map(({ variant }) => variant)).toEqual(fitting);
			const least = Math.min(...timed.map((point) => point.measured));
			expect(least).toBeGreaterThan(0);
			expect(measurements?.variants[axis]).toEqual(timed.find((point) => point.measured === least)?.variant);
		}
		expect(Object.keys(measurements?.rates ?? {}).sort()).toEqual(['box', 'bytes', 'fft', 'fftBytes', 'separable', 'tiled']);
		for (const rate of Object.values(measurements?.rates ?? {})) expect(rate).toBeGreaterThan(0);
		const rated = points.filter(({ axis }) => axis === 'rate');
		expect(rated).toHaveLength(11);
		expect(rated.filter(({ algorithm }) => algorithm === 'fft').map(({ side }) => side)).toEqual([15, 63, 127]);
		for (const { measured: time, fitted } of rated) expect(fitted).toBeLessThanOrEqual(time * (1 + 1e-12)); // rates are the best of all sides
		expect(tunedFor('any', measurements).provenance).toContain('measured on this device');
		expect(gpu.memory.held).toBe(0);
	});

	it('that has no time left is measured no further', async () => {
		const gpu = await openWebGpu({ timestamps: true });
		const { measurements, points } = await calibrateDevice(asGpu(gpu), { seconds: 0, side: 64 });
		expect({ measurements, points }).toEqual({ measurements: { variants: {}, rates: {}, date: expect.any(String) }, points: [] });
		gpu.dispose();
	});

	it('is opened with what was measured on it', async () => {
		const folder = mkdtempSync(join(tmpdir(), 'faltung-device-'));
		const path = join(folder, 'calibration.json');
		vi.stubEnv('FALTUNG_CALIBRATION', path);
		const plain = await openMeasured();
		saveDevice(path, plain.capabilities.device as string, {
			...measured,
			rates: { tiled: 1e3 },
			version: libraryVersion(),
			system: 'test',
		});
		const tuned = await openMeasured();
		rmSync(folder, { recursive: true });
		expect(plain.capabilities.limits.tuning).toMatch(/not timed/);
		expect(tuned.capabilities.limits.tuning).toMatch(/measured on this device on 2026-11-24/);
		const problem = problemOf({ dtype: 'float32', kernelDtype: 'float32', taps: ragged(5, 5), sizes: [1, 1, 512, 512] });
		const [candidate] = tuned.candidates(problem, { method: 'direct', accuracy: 'norm' });
		expect(candidate?.plan?.predicted.from).toBe(
			tuned.capabilities.software ? 'shipped: lavapipe on two cores' : tuned.capabilities.limits.tuning,
		);
		plain.dispose();
		tuned.dispose();
	});
});
