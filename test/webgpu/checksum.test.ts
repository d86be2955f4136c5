/**
 * `verify: 'checksum'` on the device: over host arrays and over arrays in device memory, whole and in pieces, the sums of clean results
 * agree and one wrong pixel is found, for random problems of everything that the backend takes.
 *
 *     FALTUNG_SEED=…  FALTUNG_CASES=… npx vitest run test/webgpu/checksum.test.ts
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { referenceBackend } from '../../src/backend/reference.ts';
import { type ChecksumArrays, findOnDevice } from '../../src/backend/webgpu/checksum.ts';
import { isCheckable } from '../../src/backend/webgpu/checksum-tables.ts';
import { type DeviceSession, openSession } from '../../src/backend/webgpu/device.ts';
import { DEVICE_MEMORY } from '../../src/backend/webgpu/program.ts';
import { packBox, rawMemory } from '../../src/backend/webgpu/region.ts';
import type { TileLimits } from '../../src/backend/webgpu/tiler.ts';
import { tuningOf } from '../../src/backend/webgpu/tuning.ts';
import { directModel } from '../../src/core/bounds.ts';
import { CERTAIN, type ChecksumScheme, checksumRefusal, checksumScheme } from '../../src/core/checksum-scheme.ts';
import { type ChecksumFindings, findSuspects } from '../../src/core/checksum-sums.ts';
import { DTYPES, numberToFloat16, reader, type TypedArray } from '../../src/core/dtype.ts';
import type { FaltungError } from '../../src/core/errors.ts';
import type { PerAxis, PlaneView } from '../../src/core/ndarray.ts';
import type { Problem } from '../../src/core/problem.ts';
import { freshSeed, randomStream } from '../../src/core/random.ts';
import { type Random, randomCase, randomFamily } from './cases.ts';
import { imageOf, outOf, problemOf, ragged, type Spec } from './problems.ts';

const ASKED = process.env.FALTUNG_CASES === undefined ? undefined : Number(process.env.FALTUNG_CASES);
const SEED = process.env.FALTUNG_SEED === undefined ? freshSeed() : Number(process.env.FALTUNG_SEED);
/** Consecutive seeds that share their dtypes: each combination costs a compile or two. */
const PER_FAMILY = 8;

type Out = PlaneView & { data: TypedArray };

const WHOLE: TileLimits = {
	binding: 128 * 2 ** 20,
	buffer: 256 * 2 ** 20,
	piece: 32 * 2 ** 20,
	products: 2 ** 28,
	storage: 16384,
	threads: 256,
	tuning: tuningOf(''),
	blocked: 2 ** 16,
};
/** Whole arrays are bound, a piece is a few rows; or pieces are copied out of arrays that fit no binding. Large kernels may fit neither. */
const CUT: TileLimits = { ...WHOLE, binding: 512 * 1024, piece: 8192 };
const PACKED: TileLimits = { ...WHOLE, binding: 16 * 1024, piece: 8192 };

let session: DeviceSession;
beforeAll(async () => {
	session = await openSession({});
});
afterAll(() => session.dispose());

/** The result of the reference, which every backend's error model admits; undefined where a sum overflows. */
async function resultOf(problem: Problem, image: PlaneView): Promise<Out | undefined> {
	const [candidate] = referenceBackend.candidates(problem, { method: 'direct', accuracy: 'norm' });
	if (candidate?.plan === undefined) return undefined;
	const executable = await referenceBackend.prepare(problem, candidate.plan);
	const out = outOf(problem);
	const { overflowAt } = await executable.run(image, out);
	return overflowAt === undefined ? out : undefined;
}

/** A dense copy in device memory, in the order of a layout. */
async function upload(view: PlaneView, layout: string): Promise<GPUBuffer> {
	const [n, c, h, w] = view.sizes;
	const elements = n * c * h * w;
	const bytes = Math.ceil(Math.max(4, elements * DTYPES[view.dtype].bytes) / 8) * 8;
	const memory = new ArrayBuffer(bytes);
	const range = (count: number) => ({ start: 0, count });
	const box = { batch: range(n), channel: range(c), rows: [range(h)], cols: [range(w)] };
	packBox(view, box, layout.endsWith('C') ? 'interleaved' : 'planar', rawMemory(memory, view.dtype, elements));
	const buffer = await session.buffers.create(bytes, DEVICE_MEMORY);
	session.device.queue.writeBuffer(buffer, 0, memory);
	return buffer;
}

const schemeOf = (problem: Problem, seed: number): ChecksumScheme =>
	checksumScheme(problem, directModel(problem, { relaxed: true, epilogue: 'float32' }), seed, 'float32');

/** What the device finds, by where the arrays are and how they are cut. */
async function findings(
	problem: Problem,
	scheme: ChecksumScheme,
	image: PlaneView,
	result: PlaneView,
): Promise<Map<string, ChecksumFindings>> {
	const found = new Map<string, ChecksumFindings>();
	const buffers = { image: await upload(image, problem.image.layout), result: await upload(result, problem.output.layout) };
	const host: ChecksumArrays = { at: 'host', image, result };
	const device: ChecksumArrays = { at: 'device', ...buffers };
	const filled: ChecksumArrays = { at: 'host', image: buffers.image, result };
	for (const [name, arrays, limits] of [
		['host', host, WHOLE],
		['host, cut', host, CUT],
		['image on the device', filled, WHOLE],
		['image on the device, cut', filled, CUT],
		['device', device, WHOLE],
		['device, cut', device, CUT],
		['device, packed', device, PACKED],
	] as const) {
		try {
			found.set(name, await findOnDevice(session, problem, scheme, arrays, limits, undefined));
		} catch (error) {
			if (limits === WHOLE || (error as FaltungError).code !== 'LIMIT_EXCEEDED') throw error;
		}
	}
	for (const buffer of Object.values(buffers)) session.buffers.destroy(buffer);
	return found;
}

const covers = ({ suspects }: ChecksumFindings, [n, c, y, x]: PerAxis): boolean =>
	suspects.some(({ batch, channel, column, from, to }) => batch === n && channel === c && column === x && from <= y && y < to);

/** Beyond it sums may leave float32 on the way, which only the oracle can tell from a fault. */
const LARGE = 1e29;

const isTame = ({ data, dtype }: PlaneView): boolean => {
	if (!DTYPES[dtype].float) return true;
	const read = reader(data, dtype);
	return Array.from({ length: data.length }, (_, k) => read(k)).every((value) => Math.abs(Number(value)) < LARGE);
};

const elementOf = ({ offset, strides }: PlaneView, at: PerAxis): number =>
	at.reduce((sum, index, axis) => sum + index * (strides[axis] as number), offset);

/** Makes one pixel wrong by more than is always found; false where its dtype has no room for that. */
function spoil(random: Random, out: Out, at: PerAxis, detects: number): boolean {
	const { dtype, data } = out;
	const { float, bytes, min, max } = DTYPES[dtype];
	const element = elementOf(out, at);
	const before = Number(reader(data, dtype)(element));
	const least = detects * 1.01;
	if (detects === 0) {
		data[element] = (before ^ (1 << random.below(8 * bytes))) as never; // a bit
		return true;
	}
	const sign = random.below(2) === 0 ? 1 : -1;
	const by = sign * (float ? least + Math.abs(before) * DTYPES[dtype].unit * 4 : Math.ceil(least));
	const after = before + by;
	if (!(after >= min && after <= max)) return false;
	data[element] = (dtype === 'float16' ? numberToFloat16(after) : after) as never;
	const off = Math.abs(Number(reader(data, dtype)(element)) - before);
	return off >= least && off < Infinity;
}

describe('random problems', () => {
	const cases = ASKED ?? (process.env.FALTUNG_TEST_ADAPTER_KIND === 'swiftshader' ? 32 : 256);

	it(
		`${cases}, seed ${SEED}: clean results agree, one wrong pixel is found`,
		async () => {
			const counts = { modular: 0, float: 0, odd: 0, spoilt: 0, packed: 0 };
			const failures: string[] = [];
			let tried = 0;
			for (let k = 0; counts.modular + counts.float < cases && failures.length < 5; k++) {
				const seed = (SEED + k) >>> 0;
				const { problem, image } = randomCase(seed, randomFamily(Math.floor(seed / PER_FAMILY)));
				tried++;
				if (!isCheckable(problem) || checksumRefusal(problem) !== undefined || problem.output.sizes.includes(0)) continue;
				const result = await resultOf(problem, image);
				if (result === undefined) continue;
				const scheme = schemeOf(problem, seed);
				counts[scheme.kind as 'modular' | 'float']++;
				const tame = isTame(image) && isTame(result) && Math.abs(Number(problem.value)) < (DTYPES[image.dtype].float ? LARGE : Infinity);
				if (!tame) counts.odd++;
				const random = randomStream(seed);
				const at = result.sizes.map((size) => random.below(size)) as unknown as PerAxis;
				const clean = await findings(problem, scheme, image, result);
				if (clean.has('device, packed')) counts.packed++;
				for (const [where, { count, worst }] of clean) {
					if ((tame && count > 0) || !(worst <= 1)) failures.push(`seed ${seed}, ${where}: ${count} suspects, worst ${worst}`);
				}
				const threshold = Math.max(...[...clean.values()].map((each) => each.threshold));
				if (!tame || !spoil(random, result, at, CERTAIN * threshold)) continue;
				counts.spoilt++;
				for (const [where, found] of await findings(problem, scheme, image, result)) {
					if (!covers(found, at)) failures.push(`seed ${seed}, ${where}: [${at}] not among ${found.count} suspects`);
				}
			}
			process.stderr.write(`  checksums: ${JSON.stringify(counts)} of ${tried} problems, seed ${SEED}\n`);
			expect(failures, `FALTUNG_SEED=${SEED}`).toEqual([]);
			if (cases >= 256) for (const [what, count] of Object.entries(counts)) expect(count, what).toBeGreaterThan(0);
		},
		Math.max(300_000, 300 * cases),
	);
});

// ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

const BOX = [
	[1, 2, 1],
	[2, -3, 2],
	[1, 2, 1],
];

/** Tall enough for several blocks of rows. */
const SPECS: readonly (readonly [title: string, spec: Spec])[] = [
	['u8, wrap', { sizes: [1, 1, 600, 45], taps: BOX, overflow: 'wrap' }],
	[
		'u8 in channels, full, stride, dilation, wrap',
		{ layout: 'HWC', sizes: [1, 3, 560, 15], taps: BOX, mode: 'full', stride: [1, 2], dilation: [3, 2], overflow: 'wrap' },
	],
	[
		'i16, batch, bank, wrap',
		{
			dtype: 'int16',
			layout: 'NCHW',
			sizes: [2, 2, 130, 20],
			bank: [
				BOX,
				[
					[0, 0],
					[5, -1],
					[0, 0],
				].map((row) => [...row, 0]),
			],
			overflow: 'wrap',
			boundary: ['wrap', 'edge'],
		},
	],
	['i32, wrap', { dtype: 'int32', sizes: [1, 1, 70, 30], taps: BOX, overflow: 'wrap', boundary: ['constant', 'symmetric'], value: -7 }],
	['u8 to i32 that cannot overflow', { sizes: [1, 1, 520, 33], taps: BOX, outputDtype: 'int32' }],
	['f32', { dtype: 'float32', kernelDtype: 'float32', sizes: [1, 1, 150, 60], taps: ragged(5, 4) }],
	[
		'f16 to f32 in channels of a batch, scale, bias',
		{
			dtype: 'float16',
			kernelDtype: 'float32',
			layout: 'NHWC',
			sizes: [2, 3, 61, 20],
			taps: ragged(3, 3),
			outputDtype: 'float32',
			scale: [0.5, 1, -2],
			bias: [0, 3, 1],
			accumulate: 'float32',
		},
	],
	[
		'u8, rounded down',
		{ kernelDtype: 'float32', sizes: [1, 1, 90, 50], taps: [[0.25, 0.5, 0.25]], rounding: 'floor', accumulate: 'float32' },
	],
];

type Fault = (out: Out, at: (y: number, x: number) => number, random: Random) => void;

/** Squares of another place's pixels, and the like; every one is far above any threshold on images of noise. */
const FAULTS: Readonly<Record<string, Fault>> = {
	'a stale tile': ({ data }, at) => {
		for (let y = 8; y < 24; y++) for (let x = 0; x < 6; x++) data[at(y, x)] = data[at(y + 20, x + 6)] as never;
	},
	'two rows swapped at a seam': ({ data, sizes }, at) => {
		for (let x = 0; x < sizes[3]; x++) [data[at(15, x)], data[at(16, x)]] = [data[at(16, x)] as never, data[at(15, x)] as never];
	},
	'a column moved': ({ data, sizes }, at) => {
		for (let y = 0; y < sizes[2]; y++) data[at(y, 5)] = data[at(y, 3)] as never;
	},
	zeros: ({ data }) => data.fill(0 as never),
};

describe.each(SPECS)('%s', (_, spec) => {
	it('clean, faults and single pixels', async () => {
		const problem = problemOf(spec);
		const image = imageOf(problem, SEED);
		const out = (await resultOf(problem, image)) as Out;
		const random = randomStream(SEED);
		const good = out.data.slice();
		const scheme = schemeOf(problem, SEED);
		const clean = await findings(problem, scheme, image, out);
		expect([...clean].filter(([, { count }]) => count > 0)).toEqual([]);
		const detects = CERTAIN * Math.max(...[...clean.values()].map(({ threshold }) => threshold));
		const [n, c, height, width] = out.sizes;
		const unseen: string[] = [];
		for (const [name, fault] of Object.entries(FAULTS)) {
			const plane: readonly [number, number] = [random.below(n), random.below(c)];
			fault(out, (y, x) => elementOf(out, [...plane, y, x]), random);
			for (const [where, found] of await findings(problem, schemeOf(problem, random.uint32()), image, out)) {
				if (found.count === 0) unseen.push(`${name}, ${where}`);
			}
			out.data.set(good as never);
		}
		// corners of the result and of blocks, and anywhere
		const places = [
			[0, 0],
			[height - 1, width - 1],
			[15, 0],
			[16, width - 1],
			...Array.from({ length: 4 }, () => [random.below(height), random.below(width)]),
		];
		for (const [y, x] of places as [number, number][]) {
			const at: PerAxis = [random.below(n), random.below(c), y, x];
			if (spoil(random, out, at, detects)) {
				for (const [where, found] of await findings(problem, schemeOf(problem, random.uint32()), image, out)) {
					if (!covers(found, at)) unseen.push(`[${at}], ${where}`);
				}
			}
			out.data.set(good as never);
		}
		expect(unseen, `FALTUNG_SEED=${SEED}`).toEqual([]);
	});
});

describe('what is hard', () => {
	it('pairs of +2^(n−1) in one column do not cancel', async () => {
		const problem = problemOf({ sizes: [1, 1, 300, 40], taps: BOX, overflow: 'wrap' });
		const image = imageOf(problem, SEED);
		const out = (await resultOf(problem, image)) as Out;
		const random = randomStream(SEED);
		for (let k = 0; k < 40; k++) {
			const [y, x] = [random.below(299), random.below(40)];
			const pair = [y, y + 1 + random.below(299 - y)].map((row) => row * 40 + x);
			for (const at of pair) out.data[at] = (out.data[at] as number) + 128;
			const found = await findOnDevice(session, problem, schemeOf(problem, k), { at: 'host', image, result: out }, WHOLE, undefined);
			expect(covers(found, [0, 0, y, x]), `FALTUNG_SEED=${SEED}, ${k}`).toBe(true);
			for (const at of pair) out.data[at] = (out.data[at] as number) + 128;
		}
	});

	it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('%f instead of a pixel, and in the image', async (wrong) => {
		const problem = problemOf({ dtype: 'float32', kernelDtype: 'float32', sizes: [1, 1, 64, 40], taps: ragged(3, 3) });
		const image = imageOf(problem, SEED);
		const out = (await resultOf(problem, image)) as Out;
		const before = out.data[37 * 40 + 11] as number;
		out.data[37 * 40 + 11] = wrong;
		for (const [where, found] of await findings(problem, schemeOf(problem, SEED), image, out)) {
			expect(covers(found, [0, 0, 37, 11]), where).toBe(true);
			expect(found.suspects.every(({ column }) => column === 11)).toBe(true);
		}
		out.data[37 * 40 + 11] = before;
		image.data[20 * 40 + 30] = wrong;
		for (const [where, found] of await findings(problem, schemeOf(problem, SEED), image, out)) {
			for (const y of [19, 20, 21]) for (const x of [29, 30, 31]) expect(covers(found, [0, 0, y, x]), where).toBe(true);
			expect(found.suspects.every(({ column }) => column >= 29 && column <= 31)).toBe(true);
		}
	});

	it('pixels so large that thresholds overflow, and so small that sums are flushed', async () => {
		for (const [size, suspicious] of [
			[3e38, true],
			[1e-42, false],
			[2e-38, false],
		] as const) {
			const problem = problemOf({ dtype: 'float32', kernelDtype: 'float32', sizes: [1, 1, 40, 20], taps: ragged(3, 3) });
			const image = imageOf(problem, SEED);
			for (let k = 0; k < image.data.length; k++) image.data[k] = (image.data[k] as number) * size;
			const out = (await resultOf(problem, image)) as Out;
			for (const [where, { count }] of await findings(problem, schemeOf(problem, SEED), image, out)) {
				expect(count > 0, `${size}, ${where}`).toBe(suspicious);
			}
		}
	});

	it('integers modulo 2^n: the suspects of the plain sums', async () => {
		const problem = problemOf({
			sizes: [1, 1, 1100, 9],
			taps: ragged(9, 2).map((row) => row.map((tap) => Math.round(9 * tap))),
			overflow: 'wrap',
			stride: [1, 2],
		});
		const image = imageOf(problem, SEED);
		const out = (await resultOf(problem, image)) as Out;
		const random = randomStream(SEED);
		for (let k = 0; k < 30; k++) out.data[random.below(out.data.length)] = random.below(256);
		const scheme = schemeOf(problem, SEED);
		const plain = await findSuspects({ problem, scheme, image, result: out }, undefined);
		const own = await findOnDevice(session, problem, scheme, { at: 'host', image, result: out }, WHOLE, undefined);
		const keys = ({ suspects }: ChecksumFindings) => suspects.map(({ column, from, to }) => `${column} ${from} ${to}`).sort();
		expect(keys(own)).toEqual(keys(plain));
		expect(own.count).toBe(plain.count);
		expect(own.count).toBeGreaterThan(100);
	});

	it('an abort ends it', async () => {
		const problem = problemOf({ sizes: [1, 1, 64, 64], taps: BOX, overflow: 'wrap' });
		const image = imageOf(problem);
		const controller = new AbortController();
		const finding = findOnDevice(session, problem, schemeOf(problem, 1), { at: 'host', image, result: image }, CUT, controller.signal);
		controller.abort('enough');
		await expect(finding).rejects.toBe('enough');
	});
});
