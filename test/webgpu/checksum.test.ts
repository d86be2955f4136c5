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
const PER_FAMILY = 16;

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
/** Whole arrays are bound, a piece is a few rows; or pieces are copied out of arrays that fit no binding, where sums do at all. */
const CUT: TileLimits = { ...WHOLE, binding: 512 * 1024, piece: 4096 };
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
	for (const [name, arrays, limits] of [
		['host', host, WHOLE],
		['host, cut', host, CUT],
		['device', device, WHOLE],
		['device, cut', device, CUT],
		['device, packed', device, PACKED],
	] as const) {
		try {
			found.set(name, await findOnDevice(session, problem, scheme, arrays, limits, undefined));
		} catch (error) {
			if (limits !== PACKED || (error as FaltungError).code !== 'LIMIT_EXCEEDED') throw error;
		}
	}
	for (const buffer of Object.values(buffers)) session.buffers.destroy(buffer);
	return found;
}

const covers = ({ suspects }: ChecksumFindings, [n, c, y, x]: PerAxis): boolean =>
	suspects.some(({ batch, channel, column, from, to }) => batch === n && channel === c && column === x && from <= y && y < to);

const allFinite = ({ data, dtype }: PlaneView): boolean => {
	if (!DTYPES[dtype].float) return true;
	const read = reader(data, dtype);
	return Array.from({ length: data.length }, (_, k) => read(k)).every((value) => Number.isFinite(value));
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
	const cases = ASKED ?? (process.env.FALTUNG_TEST_ADAPTER_KIND === 'swiftshader' ? 32 : 320);

	it(`${cases}, seed ${SEED}: clean results agree, one wrong pixel is found`, async () => {
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
			const finite = allFinite(image) && allFinite(result) && (Number.isFinite(Number(problem.value)) as boolean);
			if (!finite) counts.odd++;
			const random = randomStream(seed);
			const at = result.sizes.map((size) => random.below(size)) as unknown as PerAxis;
			const clean = await findings(problem, scheme, image, result);
			if (clean.has('device, packed')) counts.packed++;
			for (const [where, { count, worst }] of clean) {
				if ((finite && count > 0) || !(worst <= 1)) failures.push(`seed ${seed}, ${where}: ${count} suspects, worst ${worst}`);
			}
			const threshold = Math.max(...[...clean.values()].map((each) => each.threshold));
			if (!finite || !spoil(random, result, at, CERTAIN * threshold)) continue;
			counts.spoilt++;
			for (const [where, found] of await findings(problem, scheme, image, result)) {
				if (!covers(found, at)) failures.push(`seed ${seed}, ${where}: [${at}] not among ${found.count} suspects`);
			}
		}
		process.stderr.write(`  checksums: ${JSON.stringify(counts)} of ${tried} problems, seed ${SEED}\n`);
		expect(failures, `FALTUNG_SEED=${SEED}`).toEqual([]);
		if (ASKED === undefined) for (const [what, count] of Object.entries(counts)) expect(count, what).toBeGreaterThan(10);
	}, 300_000);
});
