/**
 * `verify: 'checksum'`: the sums of clean results agree, for random problems of every mode, boundary, stride, dilation, layout,
 * bank and dtype; injected faults are found; stores that are not linear are refused before running.
 * scripts/soak-checksum.mjs does the same ten thousand times.
 *
 *     FALTUNG_SEED=…  FALTUNG_CASES=…
 */
import { describe, expect, test } from 'vitest';
import { referenceBackend } from '../src/backend/reference.ts';
import { loadBackend } from '../src/backend/registry.ts';
import type { ChecksumArithmetic } from '../src/core/bounds.ts';
import { verifyChecksum } from '../src/core/checksum.ts';
import { type ChecksumScheme, checksumScheme } from '../src/core/checksum-scheme.ts';
import { type ChecksumFindings, findSuspects, SUSPECT_LIMIT } from '../src/core/checksum-sums.ts';
import type { VerifyTask } from '../src/core/verify.ts';
import {
	type Backend,
	type ConvolveOptions,
	convolve,
	createConvolver,
	type FaltungError,
	type PlaneView,
	type VerificationError,
} from '../src/index.ts';
import { tested } from './backends.ts';
import { call, VIEW_KINDS } from './call.ts';
import { elementAt, fakeBackend } from './fake-backend.ts';
import { arrayOf, valuesOf } from './oracle/dtypes.ts';
import { errorOf, Random, randomRequest } from './oracle/random.ts';

const seed = Number(process.env.FALTUNG_SEED ?? Math.floor(Math.random() * 2 ** 31));
const COUNTS = { reference: 600, native: 600, webgpu: 40 } as const;

interface Seen {
	readonly task: VerifyTask;
	readonly find: (scheme: ChecksumScheme) => Promise<ChecksumFindings>;
	readonly scheme: ChecksumScheme;
	readonly arithmetic: ChecksumArithmetic | undefined;
	readonly findings: ChecksumFindings;
}

/** A backend whose findings are seen: by its own sums, or by those of core/checksum-sums.ts. */
function watched(real: Backend, see: (seen: Seen) => void): Backend {
	return {
		name: real.name,
		capabilities: real.capabilities,
		candidates: (problem, wish) => real.candidates(problem, wish),
		prepare: async (problem, plan) => {
			const inner = await real.prepare(problem, plan);
			return {
				plan,
				run: (image, out, signal) => inner.run(image, out, signal),
				checksumArithmetic: inner.checksumArithmetic,
				checksum: async (image, result, scheme, signal) => {
					const find = (another: ChecksumScheme) =>
						inner.checksum?.(image, result, another, signal) ?? findSuspects({ problem, scheme: another, image, result }, signal);
					const findings = await find(scheme);
					const task = { problem, model: plan.model, plan: plan.name, tile: plan.tile, image, result };
					see({ task, find, scheme, arithmetic: inner.checksumArithmetic, findings });
					return findings;
				},
				dispose: () => {},
			};
		},
	};
}

const allFinite = (values: readonly (number | bigint)[]): boolean => values.every((value) => Number.isFinite(Number(value)));

/** A result of a real backend, with what its checksum needs. */
async function checked(
	name: 'reference' | 'native' | 'webgpu',
	image: Parameters<typeof convolve>[0],
	kernel: never,
	options: ConvolveOptions,
) {
	let last: Seen | undefined;
	const backend = watched(await loadBackend(name), (seen) => {
		last = seen;
	});
	const { report } = await convolve(image, kernel, { ...options, verify: 'checksum', backend });
	return { ...(last as Seen), verification: report.verification };
}

/** Pseudo-random pixels. */
const noise = (count: number, range: number): number[] => {
	const random = new Random(count ^ range);
	return Array.from({ length: count }, () => random.whole(0, range));
};

const taps = (rows: number, cols: number, most: number): number[][] =>
	Array.from({ length: rows }, (_, j) => Array.from({ length: cols }, (_, i) => ((2 * i + 3 * j) % most) - 1));

describe.each(tested)(`$name, seed ${seed}`, ({ name }) => {
	test('random problems: the sums of clean results agree', async () => {
		const kinds: Record<string, number> = {};
		for (let k = 0; k < Number(process.env.FALTUNG_CASES ?? COUNTS[name]); k++) {
			const request = randomRequest(seed + k * 7919);
			const views = { image: new Random(seed ^ k).pick(VIEW_KINDS) };
			const replay = `FALTUNG_SEED=${seed + k * 7919} FALTUNG_CASES=1`;
			let last: Seen | undefined;
			const backend = watched(await loadBackend(name), (seen) => {
				last = seen;
				kinds[seen.scheme.kind] = (kinds[seen.scheme.kind] ?? 0) + 1;
			});
			try {
				await call(request, { backend, verify: 'checksum' }, views);
			} catch (error) {
				const { code, message } = error as FaltungError;
				const allowed = code === 'UNSUPPORTED' || code === 'OVERFLOW' || (code === 'INVALID_ARGUMENT' && errorOf(request) === code);
				expect(allowed, `${replay}: ${message}`).toBe(true);
			}
			if (last === undefined) continue;
			const { result } = last.task;
			const finite = allFinite([...request.image.values, request.options.value ?? 0, ...valuesOf(result.data, result.dtype)]);
			if (finite) expect(last.findings.count, replay).toBe(0);
			expect(last.findings.worst).toBeLessThanOrEqual(1);
		}
		if (name !== 'webgpu' && Number(process.env.FALTUNG_CASES ?? 600) >= 600) {
			for (const kind of ['exact', 'modular', 'float']) expect(kinds[kind], kind).toBeGreaterThan(0);
		}
	}, 120_000);

	// several blocks of rows, several strips of columns, a last one of each that is not full
	test.each([
		['u8, wrap, two blocks and two strips', 'uint8', [530, 520], taps(3, 2, 7), { overflow: 'wrap' }],
		[
			'u8 in channels, full, stride, dilation',
			'uint8',
			[540, 20, 3],
			taps(4, 3, 5),
			{ layout: 'HWC', mode: 'full', stride: [1, 2], dilation: [3, 2], overflow: 'wrap' },
		],
		['i64, wrap, a kernel taller than the image', 'int64', [20, 7], taps(30, 2, 9), { boundary: 'wrap', mode: 'full' }],
		['u16 → i32, exact', 'uint16', [300, 600], taps(7, 7, 6), { outputDtype: 'int32', boundary: 'mirror' }],
		['f32, valid, stride', 'float32', [700, 40], taps(5, 5, 6), { mode: 'valid', stride: [2, 1] }],
		['f32, columns far apart', 'float32', [150, 700], taps(2, 3, 6), { dilation: [40, 900], boundary: 'wrap' }],
		['f64 → f16', 'float64', [260, 30], taps(3, 3, 6), { outputDtype: 'float16', scale: 0.25, bias: 3, boundary: 'edge' }],
		['u8 → u8 rounded down', 'uint8', [200, 40], [[0.25, 0.5, 0.25]], { rounding: 'floor', boundary: 'symmetric' }],
		['a kernel of zeros', 'float32', [140, 9], [[0, 0]], { bias: 2.5 }],
	] as const)(
		'%s',
		async (title, dtype, shape, kernel, options) => {
			// a software GPU looks into the holes of a kernel pixel by pixel: 40 x 900 of them take minutes
			if (name === 'webgpu' && title === 'f32, columns far apart') return;
			const count = shape.reduce<number>((a, b) => a * b, 1);
			const values = noise(count, 200);
			const image = {
				data: arrayOf(
					dtype,
					values.map((v) => (dtype === 'int64' ? BigInt(v) : dtype.startsWith('float') ? v / 7 : v)),
				),
				shape,
			};
			const options_ = { mode: 'same', overflow: 'wrap', ...options } as ConvolveOptions;
			if (name === 'webgpu' && dtype === 'float64') {
				await expect(checked(name, image as never, kernel as never, options_)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
				return;
			}
			const { findings, verification, task, find, scheme, arithmetic } = await checked(name, image as never, kernel as never, options_);
			expect(findings.count).toBe(0);
			expect(verification).toMatchObject({ method: 'checksum', pixels: task.result.data.length, miss: expect.any(Number) });
			if (verification?.detects === 0) expect(verification.miss).toBeLessThan(2 ** -30);

			// the plain sums and the backend's own find the same, wherever one pixel is wrong
			const random = new Random(count);
			for (let k = 0; k < 12; k++) {
				const at = random.whole(0, task.result.data.length - 1);
				const before = task.result.data[at] as number;
				const by = Math.max(1, Math.ceil(2 * (verification?.detects ?? 0)));
				if (by > 100) break; // more than a byte holds
				task.result.data[at] = (typeof before === 'bigint' ? before + 1n : task.result.dtype === 'float16' ? 0x7000 : before + by) as never;
				const another = { ...checksumScheme(task.problem, task.model, k, arithmetic), strip: scheme.strip };
				const [own, plain] = [await find(another), await findSuspects({ ...task, scheme: another }, undefined)];
				expect(own.suspects.toSorted(order)).toEqual(plain.suspects.map(bare).toSorted(order));
				expect(own.count, `${k}: one pixel of ${task.result.data.length}`).toBeGreaterThan(0);
				await expect(verifyChecksum(task, { seed: k, arithmetic }, (__, ___, chosen) => find(chosen))).rejects.toMatchObject({
					code: 'VERIFICATION_FAILED',
				});
				task.result.data[at] = before as never;
			}
		},
		60_000,
	);

	// M is that of each strip, of finite pixels only, wherever strips are summed side by side
	test('floats of another magnitude in every strip, some of them infinite: a fault is found from the same size on as by the plain sums', async () => {
		if (name !== 'native') return; // a block has all columns on webgpu, and the reference's sums are the plain ones
		const [rows, cols] = [140, 2100];
		const values = noise(rows * cols, 999).map((v, k) => ((v + 1) / 1000) * 8 ** Math.floor((k % cols) / 520));
		for (const [y, x, value] of [
			[60, 700, Infinity],
			[135, 20, -Infinity],
			[70, 1300, NaN],
		] as const)
			values[y * cols + x] = value;
		const image = { data: Float32Array.from(values), shape: [rows, cols] };
		const kernel = taps(3, 5, 6).map((row) => row.map((tap) => tap / 7));
		const first = await checked(name, image, kernel as never, { mode: 'same', boundary: 'edge' });
		const { task, find } = first;
		// as many strips as make a small image's items as wide as a large one's; the last magnitude begins inside the last item
		const scheme = { ...first.scheme, strip: 16 };
		const findings = await find(scheme);
		const plainly = await findSuspects({ ...task, scheme }, undefined);
		expect(findings.threshold / plainly.threshold).toBeCloseTo(1, 12);
		for (const column of [100, 600, 1100, 1700, 2099]) {
			const at = elementAt(task.result, 0, 0, 130, column);
			const before = task.result.data[at] as number;
			let seen = 0;
			for (let by = 2 ** -18; seen < 2; by *= 8) {
				task.result.data[at] = before + by;
				const [own, plain] = [await find(scheme), await findSuspects({ ...task, scheme }, undefined)];
				expect(own.suspects.toSorted(order), `column ${column}, ${by}`).toEqual(plain.suspects.map(bare).toSorted(order));
				if (own.count > findings.count) seen++;
			}
			task.result.data[at] = before;
		}
	}, 60_000);
});

type Suspects = ChecksumFindings['suspects'];
const bare = ({ batch, channel, column, from, to }: Suspects[number]) => ({ batch, channel, column, from, to });
const order = (a: Suspects[number], b: Suspects[number]): number =>
	a.batch - b.batch || a.channel - b.channel || a.column - b.column || a.from - b.from || a.to - b.to;

// ── faults, through the engine ───────────────────────────────────────────────────────────────────────────────────────

const [H, W] = [150, 96];
const bytes = { data: Uint8Array.from(noise(H * W, 255)), shape: [H, W] };
const floats = { data: Float32Array.from(noise(H * W, 1000), (v) => v / 1000), shape: [H, W] };
const whole = taps(3, 3, 5);
const smooth = whole.map((row) => row.map((tap) => tap / 9));

type Spoil = (out: PlaneView) => void;
const add = (out: PlaneView, y: number, x: number, by: number) => {
	const at = elementAt(out, 0, 0, y, x);
	out.data[at] = (out.data[at] as number) + by;
};

async function outcome(
	spoil: Spoil,
	options: ConvolveOptions,
	image: typeof bytes | typeof floats = bytes,
): Promise<VerificationError | undefined> {
	const backend = fakeBackend(referenceBackend, { spoil });
	const kernel = image === bytes ? whole : smooth;
	try {
		const { report } = await convolve(image, kernel, { mode: 'same', boundary: 'symmetric', ...options, verify: 'checksum', backend });
		expect(report.verification?.method).toBe('checksum');
		return undefined;
	} catch (error) {
		expect(error).toMatchObject({ code: 'VERIFICATION_FAILED' });
		return error as VerificationError;
	}
}

describe('faults', () => {
	const random = new Random(seed);
	const place = () => [random.whole(0, H - 1), random.whole(0, W - 1)] as const;

	test.each([
		['wrapped u8', { overflow: 'wrap' }],
		['i32 that cannot overflow', { outputDtype: 'int32' }],
	] as const)(
		'%s: one pixel by one, anywhere, is found and named',
		async (_, options) => {
			for (const [y, x] of [[0, 0], [0, W - 1], [H - 1, 0], [H - 1, W - 1], ...Array.from({ length: 40 }, place)] as const) {
				const error = await outcome((out) => add(out, y, x, 1), options);
				expect(error?.pixel).toEqual([y, x]);
				expect(error?.bound).toBe(0);
			}
		},
		60_000,
	);

	// every odd weight would cancel these: 128·(r + s) is 0 modulo 256
	test('two +128 in one column of u8 do not cancel', async () => {
		for (let k = 0; k < 60; k++) {
			const [[y, x], [other]] = [place(), place()];
			if (other === y) continue;
			const error = await outcome(
				(out) => {
					add(out, y, x, 128);
					add(out, other, x, 128);
				},
				{ overflow: 'wrap' },
			);
			expect(error?.pixel[1]).toBe(x);
		}
	}, 60_000);

	test('+128 on every pixel of a tile, an even number in each row and column', async () => {
		const error = await outcome(
			(out) => {
				for (let y = 30; y < 62; y++) for (let x = 16; x < 48; x++) add(out, y, x, 128);
			},
			{ overflow: 'wrap' },
		);
		expect(error?.code).toBe('VERIFICATION_FAILED');
	});

	test.each([
		[
			'a stale tile',
			(out: PlaneView) => {
				for (let y = 0; y < 32; y++) for (let x = 0; x < 32; x++) add(out, 64 + y, 32 + x, (y * x) % 3);
			},
		],
		[
			'two rows swapped at a seam',
			(out: PlaneView) => {
				for (let x = 0; x < W; x++) {
					const [a, b] = [elementAt(out, 0, 0, 63, x), elementAt(out, 0, 0, 64, x)];
					[out.data[a], out.data[b]] = [out.data[b] as number, out.data[a] as number];
				}
			},
		],
		[
			'a column of zeros',
			(out: PlaneView) => {
				for (let y = 0; y < H; y++) out.data[elementAt(out, 0, 0, y, 40)] = 0;
			},
		],
		['everything', (out: PlaneView) => out.data.fill(7 as never)],
	] as const)('%s', async (_, spoil) => {
		expect((await outcome(spoil, { overflow: 'wrap' }))?.code).toBe('VERIFICATION_FAILED');
		expect((await outcome(spoil, { outputDtype: 'int32' }))?.code).toBe('VERIFICATION_FAILED');
		const spoilFloats = (out: PlaneView) => {
			spoil(out);
			for (let k = 0; k < out.data.length; k++) out.data[k] = (out.data[k] as number) + 1e-2;
		};
		expect((await outcome(spoilFloats, {}, floats))?.code).toBe('VERIFICATION_FAILED');
	});

	test('floats: one pixel off by more than `detects` is always found, by a rounding error never reported', async () => {
		const { report } = await convolve(floats, smooth, { mode: 'same', verify: 'checksum', backend: 'reference' });
		const detects = report.verification?.detects as number;
		expect(detects).toBeGreaterThan(0);
		expect(detects).toBeLessThan(1e-3);
		for (let k = 0; k < 40; k++) {
			const [y, x] = place();
			expect((await outcome((out) => add(out, y, x, k % 2 ? detects * 1.01 : -detects * 1.01), {}, floats))?.pixel).toEqual([y, x]);
			expect(await outcome((out) => add(out, y, x, 1e-9), {}, floats)).toBeUndefined();
		}
	}, 60_000);

	test.each([NaN, Infinity, -Infinity])('a float result that is %f instead', async (wrong) => {
		const [y, x] = place();
		const error = await outcome(
			(out) => {
				out.data[elementAt(out, 0, 0, y, x)] = wrong;
			},
			{},
			floats,
		);
		expect(error?.pixel).toEqual([y, x]);
	});

	test('pixels that are not finite are told by the oracle: right ones pass, wrong ones beside them are found', async () => {
		const holed = { data: Float32Array.from(floats.data), shape: floats.shape };
		holed.data[70 * W + 50] = NaN;
		holed.data[10 * W + 3] = Infinity;
		expect(await outcome(() => {}, {}, holed)).toBeUndefined();
		const [y, x] = [71, 51]; // within the window of the NaN
		expect(
			(
				await outcome(
					(out) => {
						out.data[elementAt(out, 0, 0, y, x)] = 1;
					},
					{},
					holed,
				)
			)?.pixel,
		).toEqual([y, x]);
		expect((await outcome((out) => add(out, 90, 50, 1), {}, holed))?.pixel).toEqual([90, 50]);
		const nowhere = { data: new Float32Array(H * W).fill(NaN), shape: floats.shape };
		expect(await outcome(() => {}, {}, nowhere), 'more suspects than are told apart').toBeUndefined();
		expect(H * W).toBeGreaterThan(SUSPECT_LIMIT);
		expect(
			(
				await outcome(
					(out) => {
						out.data[elementAt(out, 0, 0, H - 1, W - 1)] = 1;
					},
					{},
					nowhere,
				)
			)?.pixel,
		).toEqual([H - 1, W - 1]);
	});

	test('the next backend takes over', async () => {
		const wrong = fakeBackend(referenceBackend, { name: 'wrong', spoil: (out) => add(out, 100, 50, 1) });
		const { report } = await convolve(bytes, whole, { overflow: 'wrap', verify: 'checksum', backend: [wrong, 'reference'] });
		expect(report).toMatchObject({ backend: 'reference', fallbacks: [{ code: 'VERIFICATION_FAILED' }] });
	});

	test('an abort ends it', async () => {
		const controller = new AbortController();
		const large = { data: new Float32Array(1500 * 1500), shape: [1500, 1500] };
		const backend = fakeBackend(await loadBackend(tested.some(({ name }) => name === 'native') ? 'native' : 'reference'), {
			spoil: () => setTimeout(() => controller.abort('enough'), 20),
		});
		await expect(convolve(large, [[1]], { verify: 'checksum', signal: controller.signal, backend })).rejects.toBe('enough');
	});
});

// ── what has no checksum ─────────────────────────────────────────────────────────────────────────────────────────────

describe('a store that is not linear is UNSUPPORTED before any work', () => {
	const kernel = [[1, 2, 1]];
	const real = [[0.25, 0.5, 0.25]];
	const loud = [[1.5]];
	test.each([
		['u8 sums that may saturate', bytes, kernel, {}],
		['float sums that may saturate in u8', bytes, loud, {}],
		['float sums that may wrap in u8', bytes, loud, { overflow: 'wrap' }],
		['scaled integer sums that may saturate', bytes, [[1]], { scale: 1.5 }],
		['sums a little below 0 that are rounded down in u8', bytes, [[-1e-4]], { rounding: 'floor' }],
		['a float image stored as u8', floats, real, { outputDtype: 'uint8' }],
	] as const)('%s', async (_, image, taps_, options) => {
		const never = fakeBackend(referenceBackend);
		const run = convolve(image, taps_ as never, { ...options, verify: 'checksum', backend: never });
		await expect(run).rejects.toMatchObject({
			code: 'UNSUPPORTED',
			message: expect.stringMatching(/linear store .*'checksum'.*Use verify 'sample' or 'full'/s),
		});
		expect(never.runs()).toBe(0);
		await expect(
			createConvolver(taps_ as never, { ...options, verify: 'checksum', shape: image.shape, dtype: image === bytes ? 'uint8' : 'float32' }),
		).rejects.toMatchObject({ code: 'UNSUPPORTED' });
	});

	test.each([
		['u8 sums proven within u8', bytes, [[1]], {}],
		['an average of u8', bytes, real, {}],
		['sums a little below 0 that are rounded to 0', bytes, [[-1e-4]], {}],
		['and that are cut off', bytes, [[-3e-3]], { rounding: 'truncate', overflow: 'wrap' }],
		['a throwing store that did not throw', { ...bytes, data: bytes.data.map((v) => v >> 2) }, kernel, { overflow: 'throw' }],
		['a float image under throw', floats, real, { outputDtype: 'uint8', overflow: 'throw' }],
		['scaled integer sums within u8', bytes, kernel, { scale: 0.25 }],
		['integers to floats', bytes, kernel, { outputDtype: 'float32' }],
	] as const)('%s: checked', async (_, image, taps_, options) => {
		const { report } = await convolve(image, taps_ as never, {
			...options,
			mode: 'same',
			boundary: 'edge',
			verify: 'checksum',
			backend: 'reference',
		});
		expect(report.verification).toMatchObject({ method: 'checksum', pixels: H * W });
	});
});
