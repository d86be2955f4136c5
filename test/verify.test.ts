/** Wrong answers, injected through a backend that spoils the reference's: 'full' finds any, 'sample' finds corners, seams and stale tiles. */
import { describe, expect, test } from 'vitest';
import { referenceBackend } from '../src/backend/reference.ts';
import { type ConvolveOptions, convolve, type FaltungError, type PlaneView, VerificationError } from '../src/index.ts';
import { tested } from './backends.ts';
import { elementAt, fakeBackend } from './fake-backend.ts';

const [H, W] = [64, 96];
const TILE = { height: 16, width: 32 };
const bytes = { data: Uint8Array.from({ length: H * W }, (_, k) => (k * 31 + (k >> 5)) % 97), shape: [H, W] };
const floats = { data: Float32Array.from({ length: H * W }, (_, k) => ((k * 31 + (k >> 5)) % 97) / 7), shape: [H, W] };
const box = [
	[1, 2, 1],
	[2, 4, 2],
	[1, 2, 1],
];
const smooth = box.map((row) => row.map((tap) => tap / 16));

type Spoil = (out: PlaneView, image: PlaneView) => void;
/** Adds to one pixel. */
const nudge =
	(y: number, x: number, by: number): Spoil =>
	(out) => {
		const at = elementAt(out, 0, 0, y, x);
		out.data[at] = (out.data[at] as number) + by;
	};

async function outcome(
	spoil: Spoil | undefined,
	options: ConvolveOptions = {},
	image: typeof bytes | typeof floats = bytes,
	kernel = box,
): Promise<VerificationError | undefined> {
	const backend = fakeBackend(referenceBackend, { tile: TILE, ...(spoil === undefined ? {} : { spoil }) });
	try {
		await convolve(image, kernel, {
			mode: 'same',
			boundary: 'symmetric',
			outputDtype: image === bytes ? 'int32' : 'float32',
			...options,
			backend,
		});
		return undefined;
	} catch (error) {
		expect(error).toBeInstanceOf(VerificationError);
		return error as VerificationError;
	}
}

describe("verify: 'full'", () => {
	test('an unspoiled result passes, every pixel counted', async () => {
		const backend = fakeBackend(referenceBackend);
		const { report } = await convolve(bytes, box, { mode: 'same', verify: 'full', backend });
		expect(report.verification).toMatchObject({ method: 'full', pixels: H * W, worst: 0 });
		const real = await convolve(floats, smooth, { mode: 'same', verify: 'full', backend });
		expect(real.report.verification?.worst).toBeLessThanOrEqual(1);
	});

	test('any single pixel off by one, wherever it lies', async () => {
		for (const [y, x] of [
			[0, 0],
			[0, W - 1],
			[H - 1, 0],
			[H - 1, W - 1],
			[15, 40],
			[16, 40],
			[30, 31],
			[30, 32],
			[7, 9],
			[45, 77],
		] as const) {
			const error = await outcome(nudge(y, x, 1), { verify: 'full' });
			expect(error?.pixel).toEqual([y, x]);
			expect(error?.actual).toBe(Number(error?.expected) + 1);
			expect(error?.bound).toBe(0);
		}
	});

	test('every one of 300 places, one at a time', async () => {
		for (let k = 0; k < 300; k++) {
			const [y, x] = [(k * 37) % H, (k * 53) % W];
			expect((await outcome(nudge(y, x, -1), { verify: 'full' }))?.pixel).toEqual([y, x]);
		}
	}, 60_000);

	test('a float just outside its bound is found, just inside is not', async () => {
		const at = [20, 30] as const;
		const off = (by: number) => outcome(nudge(...at, by), { verify: 'full', outputDtype: 'float64' }, floats, smooth);
		const found = await off(1e-3);
		expect(found?.pixel).toEqual([...at]);
		const { bound, expected } = found as VerificationError;
		expect(bound).toBeGreaterThan(0);
		expect(bound).toBeLessThan(1e-5 * Math.abs(Number(expected)));
		expect((await off(bound * 2.5))?.pixel).toEqual([...at]);
		expect(await off(bound / 4)).toBeUndefined();
	});

	test('the worst pixel is the one that is named', async () => {
		const error = await outcome(
			(out, image) => {
				nudge(3, 3, 1e-3)(out, image);
				nudge(40, 50, 0.5)(out, image);
				nudge(60, 60, 1e-2)(out, image);
			},
			{ verify: 'full' },
			floats,
			smooth,
		);
		expect(error?.pixel).toEqual([40, 50]);
	});

	test.each([NaN, Infinity, -Infinity, 0])('a pixel that is %f instead', async (wrong) => {
		const error = await outcome(
			(out) => {
				out.data[elementAt(out, 0, 0, 33, 44)] = wrong;
			},
			{ verify: 'full' },
			floats,
			smooth,
		);
		expect(error?.pixel).toEqual([33, 44]);
		expect(error?.actual).toBe(wrong);
	});

	test('a finite pixel where a NaN must be, and a NaN beside it', async () => {
		const holed = { data: Float32Array.from(floats.data), shape: floats.shape };
		holed.data[10 * W + 10] = NaN;
		const run = (spoil: Spoil) => outcome(spoil, { verify: 'full' }, holed, smooth);
		expect(await run(() => {})).toBeUndefined();
		expect(
			(
				await run((out) => {
					out.data[elementAt(out, 0, 0, 11, 9)] = 1;
				})
			)?.pixel,
		).toEqual([11, 9]);
		expect(
			(
				await run((out) => {
					out.data[elementAt(out, 0, 0, 12, 10)] = NaN;
				})
			)?.pixel,
		).toEqual([12, 10]);
	});

	test('one dtype’s rounding: truncated instead of rounded to nearest', async () => {
		const truncate: Spoil = (out) => {
			for (let y = 0; y < H; y++) {
				for (let x = 0; x < W; x++) {
					const exact = floats.data[y * W + x] as number;
					out.data[elementAt(out, 0, 0, y, x)] = Math.trunc(exact);
				}
			}
		};
		const error = await outcome(truncate, { verify: 'full', outputDtype: 'uint8' }, floats, [[1]]);
		expect(error).toBeInstanceOf(VerificationError);
		expect(await outcome(truncate, { verify: 'full', outputDtype: 'uint8', rounding: 'truncate' }, floats, [[1]])).toBeUndefined();
		expect(await outcome(truncate, { verify: 'sample', outputDtype: 'uint8' }, floats, [[1]]), "'sample' sees it as well").toBeInstanceOf(
			VerificationError,
		);
	});

	test('half-away instead of nearest-even differs on ties alone, and is found', async () => {
		const ties = { data: Float32Array.from({ length: H * W }, (_, k) => (k % 50) + 0.5), shape: [H, W] };
		const halfAway: Spoil = (out) => {
			for (let k = 0; k < H * W; k++) out.data[k] = Math.floor((k % 50) + 1);
		};
		// 0.5·1 is exact, but the bound of a one-tap sum holds the tie: either neighbour is allowed
		expect(await outcome(halfAway, { verify: 'full', outputDtype: 'uint8' }, ties, [[1]])).toBeUndefined();
		const integers = await outcome(
			(out) => {
				for (let k = 0; k < H * W; k++) out.data[k] = 255 - (out.data[k] as number);
			},
			{ verify: 'full', outputDtype: 'uint8' },
			bytes,
			[[1]],
		);
		expect(integers).toBeInstanceOf(VerificationError);
	});

	test('saturation instead of wrapping', async () => {
		const saturate: Spoil = (out, image) => {
			for (let k = 0; k < H * W; k++) out.data[k] = Math.min(255, 3 * (image.data[k] as number));
		};
		expect(await outcome(saturate, { verify: 'full', outputDtype: 'uint8', overflow: 'wrap' }, bytes, [[3]])).toBeInstanceOf(
			VerificationError,
		);
		expect(await outcome(saturate, { verify: 'full', outputDtype: 'uint8' }, bytes, [[3]])).toBeUndefined();
	});

	test('64-bit sums that lost their low bits in float64', async () => {
		const big = { data: BigInt64Array.from({ length: 12 }, (_, k) => 2n ** 53n + BigInt(k)), shape: [3, 4] };
		const backend = fakeBackend(referenceBackend, {
			spoil: (out) => {
				for (let k = 0; k < 12; k++) out.data[k] = BigInt(Number(out.data[k]));
			},
		});
		await expect(convolve(big, [[1]], { verify: 'full', backend })).rejects.toMatchObject({ code: 'VERIFICATION_FAILED', bound: 0 });
	});
});

describe("verify: 'sample'", () => {
	test.each([
		[0, 0],
		[0, W - 1],
		[H - 1, 0],
		[H - 1, W - 1],
	] as const)('a wrong corner [%i, %i] is found every time', async (y, x) => {
		for (let k = 0; k < 20; k++) expect((await outcome(nudge(y, x, 1), { verify: 'sample' }))?.pixel).toEqual([y, x]);
	});

	test('the corners of the last plane, too', async () => {
		const stack = { data: new Uint8Array(2 * 3 * 200 * 200).fill(3), shape: [2, 3, 200, 200] };
		for (const [y, x] of [
			[0, 0],
			[0, 199],
			[199, 0],
			[199, 199],
		] as const) {
			const backend = fakeBackend(referenceBackend, {
				spoil: (out) => {
					out.data[elementAt(out, 1, 2, y, x)] = 9;
				},
			});
			await expect(convolve(stack, [[1]], { layout: 'NCHW', backend })).rejects.toMatchObject({ pixel: [1, 2, y, x] });
		}
	});

	const line: Record<string, Spoil> = {
		'the row below a seam': (out) => {
			for (let x = 0; x < W; x++) nudge(TILE.height, x, 1)(out, out);
		},
		'the row above a seam': (out) => {
			for (let x = 0; x < W; x++) nudge(2 * TILE.height - 1, x, 1)(out, out);
		},
		'the column right of a seam': (out) => {
			for (let y = 0; y < H; y++) nudge(y, TILE.width, 1)(out, out);
		},
		'the column left of a seam': (out) => {
			for (let y = 0; y < H; y++) nudge(y, 2 * TILE.width - 1, 1)(out, out);
		},
		'a stale tile': (out) => {
			for (let y = 0; y < TILE.height; y++) for (let x = 0; x < TILE.width; x++) nudge(16 + y, 32 + x, 1)(out, out);
		},
		'a tile of zeros': (out) => {
			for (let y = 0; y < TILE.height; y++) for (let x = 0; x < TILE.width; x++) out.data[elementAt(out, 0, 0, 32 + y, x)] = 0;
		},
	};

	// Pixels sampled here: 4,096 at most of 6,144, half of them beside seams. A seam row holds 2/6 of the seam samples (1/8 of
	// all) and one of two sides: a run of k samples misses it with (1 − 1/48)^k or less.
	test.each(Object.entries(line))('%s is found', async (_, spoil) => {
		for (let k = 0; k < 10; k++) {
			const backend = fakeBackend(referenceBackend, { tile: TILE, spoil, predicted: 1e6 });
			await expect(
				convolve(bytes, box, { mode: 'same', boundary: 'symmetric', outputDtype: 'int32', verify: 'sample', backend }),
			).rejects.toMatchObject({ code: 'VERIFICATION_FAILED' });
		}
	});

	// 4,096 samples of 512 × 512 pixels, a quarter of them beside one of 6 seam rows, a quarter beside one of 6 seam columns: a run
	// of 64 wrong pixels there is missed with (1 − 64/512/6)^1024 < 10^−9. Without seams it would be hit once on average: 12 runs
	// in a row would find it with (1 − 1/e)^12 = 0.4 %.
	test.each([
		['below a seam', (k: number) => [128, 100 + k]],
		['above a seam', (k: number) => [255, 300 + k]],
		['right of a seam', (k: number) => [200 + k, 384]],
		['left of a seam', (k: number) => [400 + k, 127]],
	] as const)('64 wrong pixels of 262,144 %s are found every time', async (_, place) => {
		const large = { data: new Uint8Array(512 * 512).fill(3), shape: [512, 512] };
		const spoil: Spoil = (out) => {
			for (let k = 0; k < 64; k++) {
				const [y, x] = place(k) as [number, number];
				nudge(y, x, 1)(out, out);
			}
		};
		for (let k = 0; k < 12; k++) {
			const backend = fakeBackend(referenceBackend, { tile: { height: 128, width: 128 }, spoil, predicted: 1e6 });
			await expect(convolve(large, [[1]], { backend })).rejects.toMatchObject({ code: 'VERIFICATION_FAILED' });
		}
	});

	test('at most 4,096 pixels, at least 64, never more than there are', async () => {
		const count = async (image: typeof bytes, predicted: number) =>
			(await convolve(image, [[1]], { backend: fakeBackend(referenceBackend, { predicted }) })).report.verification?.pixels;
		const large = { data: new Uint8Array(200 * 200), shape: [200, 200] };
		expect(await count(large, 1e9)).toBe(4096);
		expect(await count(large, 0)).toBe(64);
		expect(await count({ data: new Uint8Array(6), shape: [2, 3] }, 1e9)).toBe(6);
	});

	test('is the default; false checks nothing', async () => {
		expect((await outcome(nudge(0, 0, 1)))?.pixel).toEqual([0, 0]);
		expect(await outcome(nudge(0, 0, 1), { verify: false })).toBeUndefined();
	});

	test('an empty result has nothing to verify', async () => {
		const { report } = await convolve({ data: new Uint8Array(0), shape: [0, 2, 2] }, [[1]], {
			layout: 'NHW',
			verify: 'full',
			backend: 'reference',
		});
		expect(report.verification).toBeNull();
	});
});

describe('VerificationError', () => {
	test('code, pixel, both values, the bound, and a sentence with all of them', async () => {
		const error = (await outcome(nudge(5, 6, 10), { verify: 'full' })) as VerificationError;
		expect(error.code).toBe('VERIFICATION_FAILED');
		expect(error.name).toBe('VerificationError');
		expect(error.pixel).toEqual([5, 6]);
		for (const part of ['[5, 6]', String(error.expected), String(error.actual), '@fake', 'seed']) expect(error.message).toContain(part);
	});

	test('the pixel is an index into the result’s own layout', async () => {
		const hwc = { data: new Uint8Array(4 * 5 * 3), shape: [4, 5, 3] };
		const backend = fakeBackend(referenceBackend, {
			spoil: (out) => {
				out.data[elementAt(out, 0, 2, 1, 3)] = 7;
			},
		});
		await expect(convolve(hwc, [[1]], { layout: 'HWC', verify: 'full', backend })).rejects.toMatchObject({
			pixel: [1, 3, 2],
			expected: 0n,
			actual: 7,
		});
	});

	test('a strided out is verified where it lies', async () => {
		const out = { data: new Uint8Array(24), shape: [3, 4], strides: [8, 2], offset: 0 };
		const image = { data: Uint8Array.from({ length: 12 }, (_, k) => k), shape: [3, 4] };
		const fine = fakeBackend(referenceBackend);
		expect((await convolve(image, [[1]], { out, verify: 'full', backend: fine })).report.verification?.pixels).toBe(12);
		const bad = fakeBackend(referenceBackend, { spoil: nudge(2, 1, 1) });
		await expect(convolve(image, [[1]], { out, verify: 'full', backend: bad })).rejects.toMatchObject({ pixel: [2, 1] });
	});
});

describe('the next backend', () => {
	test('takes over after a wrong answer, and the report says so', async () => {
		const wrong = fakeBackend(referenceBackend, { name: 'wrong', spoil: nudge(0, 0, 1) });
		const { data, report } = await convolve(bytes, box, { mode: 'same', outputDtype: 'int32', backend: [wrong, 'reference'] });
		expect(report.backend).toBe('reference');
		expect(report.fallbacks).toHaveLength(1);
		expect(report.fallbacks[0]).toMatchObject({
			code: 'VERIFICATION_FAILED',
			plan: expect.stringContaining('@wrong'),
			message: expect.stringContaining('pixel [0, 0]'),
		});
		expect(data).toEqual((await convolve(bytes, box, { mode: 'same', outputDtype: 'int32', backend: 'reference' })).data);
	});

	test('… into the same out, too', async () => {
		const out = new Int32Array(H * W);
		const wrong = fakeBackend(referenceBackend, { name: 'wrong', spoil: (view) => view.data.fill(77 as never) });
		const { data } = await convolve(bytes, box, { mode: 'same', outputDtype: 'int32', out, backend: [wrong, 'reference'] });
		expect(data).toBe(out);
		expect(out).toEqual((await convolve(bytes, box, { mode: 'same', outputDtype: 'int32', backend: 'reference' })).data);
	});

	test.each(['DEVICE_LOST', 'LIMIT_EXCEEDED', 'UNSUPPORTED', 'BACKEND_UNAVAILABLE'] as const)('takes over after %s', async (code) => {
		const { FaltungError: Coded } = await import('../src/index.ts');
		const broken = fakeBackend(referenceBackend, {
			name: 'broken',
			fail: () => {
				throw new Coded(code, 'the device is gone');
			},
		});
		const { report } = await convolve(bytes, box, { backend: [broken, 'reference'] });
		expect(report).toMatchObject({ backend: 'reference', fallbacks: [{ code, message: 'the device is gone' }] });
		await expect(convolve(bytes, box, { backend: broken })).rejects.toMatchObject({ code });
	});

	test('an overflow, an abort and a bug are not tried again elsewhere', async () => {
		const never = fakeBackend(referenceBackend, { name: 'never' });
		const first = fakeBackend(referenceBackend, { name: 'first' });
		await expect(convolve(bytes, [[9]], { overflow: 'throw', backend: [first, never] })).rejects.toMatchObject({ code: 'OVERFLOW' });
		const buggy = fakeBackend(referenceBackend, {
			name: 'buggy',
			fail: () => {
				throw new TypeError('bug');
			},
		});
		await expect(convolve(bytes, box, { backend: [buggy, never] })).rejects.toThrow('bug');
		const controller = new AbortController();
		const aborting = fakeBackend(referenceBackend, { name: 'aborting', spoil: () => controller.abort('enough') });
		await expect(convolve(bytes, box, { signal: controller.signal, backend: [aborting, never] })).rejects.toBe('enough');
		expect(never.runs()).toBe(0);
	});

	test('all of them wrong: the last one’s error', async () => {
		const [a, b] = ['a', 'b'].map((name) => fakeBackend(referenceBackend, { name, spoil: nudge(1, 1, 1) }));
		const error = await convolve(bytes, box, { verify: 'full', outputDtype: 'int32', backend: [a, b] as never }).catch(
			(e: unknown) => e as FaltungError,
		);
		expect(error).toMatchObject({ code: 'VERIFICATION_FAILED', message: expect.stringContaining('@b') });
	});

	test('a backend of one’s own, alone, is used as it is', async () => {
		const mine = fakeBackend(referenceBackend, { name: 'mine' });
		const { report } = await convolve(bytes, box, { backend: mine });
		expect(report).toMatchObject({ backend: 'mine', plan: expect.stringContaining('@mine') });
		expect(mine.runs()).toBe(1);
		expect(mine.disposed()).toBe(mine.prepared());
	});
});

test.each(tested)("$name: what it computes passes 'full' with room to spare or exactly", async ({ name: backend }) => {
	const exact = await convolve(bytes, box, { verify: 'full', mode: 'same', backend });
	expect(exact.report.verification?.worst).toBe(0);
	const real = await convolve(floats, smooth, { verify: 'full', mode: 'same', backend });
	expect(real.report.verification?.worst).toBeLessThanOrEqual(1);
});
