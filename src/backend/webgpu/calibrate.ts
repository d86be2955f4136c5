/**
 * Measures a few variants of the tiled shaders on a device, and how fast it is with the best of them. Every variant's result is compared
 * with that of the first, bit for bit: one that differs is not taken. On a software adapter two variants are run on a small image, so
 * that it is known to work; its times say nothing of a GPU and are not kept.
 */
import { throwIfAborted } from '../../core/breathe.ts';
import type { Algorithm, Plan } from '../../core/plan.ts';
import { makeProblem, type Problem } from '../../core/problem.ts';
import type { DeviceMeasurements } from '../backend.ts';
import { boxWork } from './box.ts';
import type { WebGpuExecutable } from './executable.ts';
import { fftLayoutOf } from './fft.ts';
import type { GpuArray } from './gpu-array.ts';
import { Stopwatch } from './stopwatch.ts';
import { boxStripOf, stripOf } from './tiled.ts';
import { AXES, type Axis, type Tuning, tuningOf, withVariant } from './tuning.ts';
import { openWebGpu, type WebGpu } from './webgpu.ts';

/** One timed variant, or one kernel side with the variants that were chosen. */
export interface DevicePoint {
	readonly axis: Axis | 'rate';
	readonly algorithm: Algorithm;
	readonly variant: readonly number[];
	readonly side: number;
	readonly outputs: number;
	/** Milliseconds: the least of all rounds, and what the rates say. */
	readonly measured: number;
	readonly fitted?: number;
	/** Not the bits of the first variant. */
	readonly wrong?: true;
}

export interface DeviceOutcome {
	readonly device: string;
	readonly software: boolean;
	/** Absent on a software adapter. */
	readonly measurements?: DeviceMeasurements;
	readonly points: readonly DevicePoint[];
	readonly seconds: number;
}

export interface DeviceCalibrateOptions {
	readonly signal?: AbortSignal | undefined;
	readonly onProgress?: (text: string) => void;
	/** Image side; smaller ones are only good for tests. */
	readonly side?: number;
	/** Seconds after which no further variant is begun. */
	readonly seconds?: number;
}

const ROUNDS = 5;
/** Larger than a large GPU's cache of 50 MB. */
const SIDE = 4096;
const SMALL = 96;
const SECONDS = 10;

/** What each axis is measured on. */
const PROBES: Readonly<Record<Axis, { readonly algorithm: Algorithm; readonly side: number; readonly kernels: number }>> = {
	workgroup: { algorithm: 'direct', side: 7, kernels: 1 },
	bank: { algorithm: 'direct', side: 5, kernels: 4 },
	strip: { algorithm: 'separable', side: 15, kernels: 1 },
	box: { algorithm: 'box', side: 31, kernels: 1 },
};

/**
 * Kernel sides by which rates are measured, and the shader that does them; `moved` is the rate of its bytes. Those of transforms are their own: a
 * column of a spectrum is read in short runs. The planner takes them in tiles of its own choice, small ones for the first and large ones for the last.
 */
const RATES = [
	{ shader: 'tiled', algorithm: 'direct', sides: [3, 9, 17], moved: 'bytes' },
	{ shader: 'separable', algorithm: 'separable', sides: [3, 15, 31], moved: 'bytes' },
	{ shader: 'box', algorithm: 'box', sides: [9, 31], moved: 'bytes' },
	{ shader: 'fft', algorithm: 'fft', sides: [15, 63, 127], moved: 'fftBytes' },
] as const;

const FLOAT_BYTES = 4;

/** A square float32 image and kernels that are products; of running sums, equal taps. */
function problemOf(side: number, kernelSide: number, kernels: number, algorithm: Algorithm): Problem {
	const tap = (t: number) => {
		const [j, i] = [Math.floor(t / kernelSide) % kernelSide, t % kernelSide];
		return algorithm === 'box' ? 2 ** -5 : 2 ** -((j % 5) + (i % 3));
	};
	return makeProblem({
		operation: 'correlate',
		image: { dtype: 'float32', layout: 'HW', sizes: [1, 1, side, side] },
		kernel: {
			dtype: 'float32',
			taps: Float64Array.from({ length: kernels * kernelSide * kernelSide }, (_, t) => tap(t)),
			height: kernelSide,
			width: kernelSide,
			count: kernels,
			bank: kernels > 1,
		},
		mode: 'same',
		boundary: ['symmetric', 'symmetric'],
		value: 0,
		anchor: undefined,
		stride: [1, 1],
		dilation: [1, 1],
		outputDtype: 'float32',
		overflow: 'saturate',
		rounding: 'nearest-even',
		scale: [1],
		bias: [0],
		accumulate: 'auto',
	});
}

function imageOf(side: number): { readonly data: Float32Array; readonly shape: readonly number[] } {
	const data = new Float32Array(side * side);
	for (let i = 0; i < data.length; i++) data[i] = (i * 31) % 97;
	return { data, shape: [side, side] };
}

/** A variant on the device, ready to run. */
interface Runner {
	readonly gpu: WebGpu;
	readonly tuning: Tuning;
	readonly executable: WebGpuExecutable;
	readonly image: GpuArray;
	/** Multiply-adds; of transforms, complex numbers times passes. */
	readonly products: number;
	readonly outputs: number;
	readonly bytes: number;
	readonly variant: readonly number[];
	least: number;
	result: Uint8Array | undefined;
}

/** Milliseconds that no pass over an image takes: a clock that says less stands still, or runs backwards. */
const LEAST_TIME = 1e-3;

/** The best rates of what was timed. None comes from a time that is none: the file that holds it would be refused, with all else in it. */
export function ratesOf(
	timed: readonly (Pick<Runner, 'products' | 'bytes' | 'least'> & { readonly shader: string; readonly moved: string })[],
): Record<string, number> {
	const rates: Record<string, number> = {};
	for (const { shader, moved, products, bytes, least } of timed.filter(({ least }) => least >= LEAST_TIME)) {
		rates[shader] = Math.max(rates[shader] ?? 0, products / least);
		rates[moved] = Math.max(rates[moved] ?? 0, bytes / least);
	}
	return rates;
}

class DeviceCalibration {
	readonly #gpu: WebGpu;
	readonly #watch: Stopwatch;
	readonly #options: DeviceCalibrateOptions;
	readonly #began = performance.now();
	readonly #points: DevicePoint[] = [];
	/** Made once: of 4096 x 4096 pixels it takes a quarter of a second, and there are two dozen uploads. */
	readonly #image: ReturnType<typeof imageOf>;
	#tuning: Tuning;

	constructor(gpu: WebGpu, options: DeviceCalibrateOptions) {
		this.#gpu = gpu;
		this.#watch = new Stopwatch(gpu);
		this.#options = options;
		this.#tuning = tuningOf(gpu.capabilities.device ?? '');
		this.#image = imageOf(this.#side);
	}

	get #side(): number {
		return this.#options.side ?? (this.#gpu.capabilities.software === true ? SMALL : SIDE);
	}

	get #late(): boolean {
		return performance.now() - this.#began > 1000 * (this.#options.seconds ?? SECONDS);
	}

	async #open(tuning: Tuning, algorithm: Algorithm, kernelSide: number, kernels: number, variant: readonly number[]): Promise<Runner> {
		// a view of the same device with another table
		const gpu = await openWebGpu({ device: this.#gpu.device, limits: { blocked: 1, tuning } });
		const prepare = (side: number) => {
			const problem = problemOf(side, kernelSide, kernels, algorithm);
			const [candidate] = gpu.candidates(problem, { method: algorithm, accuracy: 'norm', memory: 'device' });
			if (candidate?.plan === undefined) throw new Error(candidate?.why); // it fits every device
			return gpu.prepare(problem, candidate.plan);
		};
		const small = await prepare(SMALL);
		using x = await gpu.upload(imageOf(SMALL));
		using y = await small.runResident(x, this.#options.signal);
		const { data } = await y.read();
		small.dispose();
		const outputs = kernels * this.#side ** 2;
		const executable = await prepare(this.#side);
		return {
			gpu,
			tuning,
			executable,
			image: await gpu.upload(this.#image),
			outputs,
			...this.#work(tuning, executable.plan, kernelSide, outputs),
			variant,
			least: Infinity,
			result: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
		};
	}

	/** What a plan does, and moves, by the counts that rates are of. */
	#work(tuning: Tuning, { algorithm, steps: [step] }: Plan, side: number, outputs: number): { products: number; bytes: number } {
		const bytes = 2 * outputs * FLOAT_BYTES;
		switch (algorithm) {
			case 'direct':
				return { products: outputs * side ** 2, bytes };
			case 'box': {
				const { columns = 1 } = boxStripOf(problemOf(SMALL, side, 1, 'box'), this.#workgroup(tuning)) ?? {};
				return { products: outputs * boxWork(side, (side - 1) / columns), bytes };
			}
			default: {
				const layout =
					step?.kind === 'fft' ? fftLayoutOf(problemOf(this.#side, side, 1, 'fft'), step.size, this.#workgroup(tuning)) : undefined;
				return layout === undefined ? { products: outputs * 2 * side, bytes } : { products: layout.work, bytes: layout.bytes };
			}
		}
	}

	#workgroup(tuning: Tuning) {
		const { maxComputeWorkgroupStorageSize: storage, maxComputeInvocationsPerWorkgroup: threads } = this.#gpu.device.limits;
		return { storage, threads, tuning };
	}

	/** The device's workgroups are large enough for a variant. */
	#fits(axis: Axis, [a, b]: readonly number[]): boolean {
		const { algorithm, side } = PROBES[axis];
		const limits = this.#workgroup(withVariant(this.#tuning, axis, [a as number, b as number]));
		const problem = problemOf(SMALL, side, 1, algorithm);
		const strip = axis === 'strip' ? stripOf(problem, 1, limits) : undefined;
		if (strip !== undefined) return strip.quads === a && strip.chunk === b;
		const box = axis === 'box' ? boxStripOf(problem, limits) : undefined;
		if (box !== undefined) return box.columns === a && box.chunk === b;
		return (a as number) * (b ?? 1) <= limits.threads;
	}

	#close({ gpu, executable, image }: Runner): void {
		executable.dispose();
		image.dispose();
		gpu.dispose();
	}

	async #time(runners: readonly Runner[], rounds: number): Promise<void> {
		for (let round = 0; round < rounds; round++) {
			for (const one of runners) {
				throwIfAborted(this.#options.signal);
				const time = await this.#watch.time(async () => (await one.executable.runResident(one.image, this.#options.signal)).dispose());
				if (round > 0 || rounds === 1) one.least = Math.min(one.least, time); // the first meets a cold clock
			}
		}
	}

	/** The fastest variant of an axis whose result is that of the first. */
	async #axis(axis: Axis, variants: readonly (readonly number[])[]): Promise<readonly number[] | undefined> {
		const { algorithm, side, kernels } = PROBES[axis];
		const runners: Runner[] = [];
		try {
			for (const variant of variants) {
				if (this.#late) break;
				if (!this.#fits(axis, variant)) continue;
				this.#options.onProgress?.(`${axis} ${variant.join(' x ')}`);
				runners.push(await this.#open(withVariant(this.#tuning, axis, variant), algorithm, side, kernels, variant));
			}
			await this.#time(runners, this.#gpu.capabilities.software === true ? 1 : ROUNDS);
			const [first] = runners;
			const right = runners.filter(({ result }) => result?.every((byte, k) => byte === first?.result?.[k]));
			for (const one of runners) {
				const wrong = right.includes(one) ? {} : { wrong: true as const };
				this.#points.push({ axis, algorithm, variant: one.variant, side, outputs: one.outputs, measured: one.least, ...wrong });
			}
			const best = right.reduce<Runner | undefined>((a, b) => (a === undefined || b.least < a.least ? b : a), undefined);
			if (best !== undefined) this.#tuning = best.tuning;
			return best?.variant;
		} finally {
			for (const one of runners) this.#close(one);
		}
	}

	/** How fast each shader is with the variants that were chosen. */
	async #rates(): Promise<Record<string, number>> {
		const found: { rated: (typeof RATES)[number]; side: number; one: Runner }[] = [];
		for (const rated of RATES) {
			const { shader, algorithm, sides } = rated;
			for (const side of sides) {
				if (this.#late) break;
				this.#options.onProgress?.(`${shader} ${side} x ${side}`);
				const one = await this.#open(this.#tuning, algorithm, side, 1, []);
				await this.#time([one], ROUNDS);
				this.#close(one);
				found.push({ rated, side, one });
			}
		}
		const rates = ratesOf(found.map(({ rated, one }) => ({ ...rated, ...one })));
		for (const { rated, side, one } of found) {
			const { algorithm, shader, moved } = rated;
			const { [shader]: rate, [moved]: bytes } = rates;
			const fitted = rate === undefined || bytes === undefined ? {} : { fitted: Math.max(one.products / rate, one.bytes / bytes) };
			this.#points.push({ axis: 'rate', algorithm, variant: [], side, outputs: one.outputs, measured: one.least, ...fitted });
		}
		return rates;
	}

	async run(): Promise<DeviceOutcome> {
		const { software = false, device = '' } = this.#gpu.capabilities;
		const done = () => ({ device, software, points: this.#points, seconds: (performance.now() - this.#began) / 1000 });
		try {
			if (software) {
				await this.#axis('bank', AXES.bank.slice(0, 2));
				return done();
			}
			const variants: Partial<Record<Axis, readonly number[]>> = {};
			for (const axis of Object.keys(AXES) as Axis[]) {
				const chosen = await this.#axis(axis, AXES[axis]);
				if (chosen !== undefined) variants[axis] = chosen;
			}
			const rates = await this.#rates();
			return { ...done(), measurements: { variants, rates, date: new Date().toISOString() } };
		} finally {
			this.#watch.dispose();
		}
	}
}

/**
 * Measures a device. Nothing is stored.
 *
 * @param gpu opened with `timestamps`, so that its own clock is used
 * @throws the signal's reason where it is aborted
 */
export const calibrateDevice = (gpu: WebGpu, options: DeviceCalibrateOptions = {}): Promise<DeviceOutcome> =>
	new DeviceCalibration(gpu, options).run();
