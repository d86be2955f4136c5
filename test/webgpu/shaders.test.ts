/** The shaders as text: fresh, replaceable by name only, and every variant compiles; needs no driver. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { MAX_LIMBS } from '../../src/backend/webgpu/direct.ts';
import { boxOverrides, stripOverrides } from '../../src/backend/webgpu/jobs.ts';
import { bindGroupLayoutEntries, type Specialisation, specialisationKey, specialise } from '../../src/backend/webgpu/shaders.ts';
import { boxStripBytes, boxStripOf, stripBytes, stripOf } from '../../src/backend/webgpu/tiled.ts';
import { tuningOf } from '../../src/backend/webgpu/tuning.ts';
import { DTYPE_NAMES, DTYPES, type Dtype } from '../../src/core/dtype.ts';
import { problemOf, ragged } from './problems.ts';

/** Every variant that the backend may ask for. */
function* variants(): Generator<Specialisation> {
	const direct = (overrides: Record<string, number>, limbs: number, entry = 'main'): Specialisation => ({
		shader: 'direct',
		entry,
		overrides: { WORKGROUP: 64, ...overrides },
		constants: { LIMBS: limbs },
	});
	for (const [IN, image] of DTYPE_NAMES.entries()) {
		if (image === 'float64') continue;
		for (const OUT of DTYPE_NAMES.keys()) {
			if (DTYPES[image].float || DTYPES[image].bytes <= 2) {
				for (const BLOCKED of [0, 1]) yield direct({ IN, OUT, FLOAT_SUM: 1, TAP_LIMBS: 1, BLOCKED }, 1);
				yield direct({ IN, OUT, FLOAT_SUM: 1, TAP_LIMBS: 1, BLOCKED: 1 }, 1, 'bank');
			}
			if (DTYPES[image].float) continue;
			for (const BLOCKED of [0, 1]) yield direct({ IN, OUT, FLOAT_SUM: 0, TAP_LIMBS: 1, BLOCKED }, 1);
			yield direct({ IN, OUT, FLOAT_SUM: 0, TAP_LIMBS: 1, BLOCKED: 1 }, 1, 'bank');
			for (let limbs = 2; limbs <= MAX_LIMBS; limbs++) {
				for (const TAP_LIMBS of [1, 2]) yield direct({ IN, OUT, FLOAT_SUM: 0, TAP_LIMBS, BLOCKED: 0 }, limbs);
			}
		}
	}
	yield { shader: 'move', overrides: { WORKGROUP: 64 }, constants: {} };
	yield { shader: 'compact', overrides: { WORKGROUP: 64 }, constants: {} };
	yield* tiledVariants();
	yield* fftVariants();
	yield* checksumVariants();
}

/** Every dtype in both kinds of sums that take it. */
function* checksumVariants(): Generator<Specialisation> {
	for (const [SUM, SAMPLES] of [
		[0, 2],
		[2, 32],
	] as const) {
		yield { shader: 'checksum', entry: 'compare', overrides: { SUM, SAMPLES, WORKGROUP: 64 }, constants: {} };
		for (const [IN, name] of DTYPE_NAMES.entries()) {
			const { bytes, float } = DTYPES[name];
			if (bytes > 4 || (float && SUM === 2)) continue;
			yield { shader: 'checksum', entry: 'project', overrides: { IN, SUM, SAMPLES, WORKGROUP: 64 }, constants: {} };
		}
	}
}

/** Every dtype in and out, and workgroups of every size. */
function* fftVariants(): Generator<Specialisation> {
	const small = DTYPE_NAMES.flatMap((name, k) => (DTYPES[name].bytes <= 4 ? [k] : []));
	const variant = (
		entry: string,
		overrides: Record<string, number>,
		constants: Specialisation<'fft'>['constants'] = {},
	): Specialisation => ({
		shader: 'fft',
		entry,
		overrides,
		constants,
	});
	for (const IN of small) {
		yield variant('survey', { IN, THREADS: 256 });
		yield variant('forward', { IN, THREADS: 256, POINTS: 2048 });
		for (const OUT of small) {
			for (const entry of ['direct', 'interleave']) yield variant(entry, { IN, OUT, SUM: 0, THREADS: 256 });
			yield variant('inverse', { IN, OUT, SUM: 0, THREADS: 256, POINTS: 2048 });
		}
	}
	for (const [THREADS, POINTS] of [
		[256, 2048],
		[64, 512],
		[16, 512],
		[4, 64],
	] as const) {
		yield variant('columns', { THREADS, POINTS });
		yield variant('columns_of_bank', { THREADS, POINTS }, { KEPT: POINTS / 8 / THREADS });
		yield variant('inverse', { IN: 0, OUT: 0, SUM: 0, THREADS, POINTS: POINTS / 2 });
	}
}

/** dtypes and sums of the tiled shaders; every width that is compiled in; every strip that a kernel of up to 97 rows needs. */
function* tiledVariants(): Generator<Specialisation> {
	const [REAL, EXACT, WORD] = [0, 1, 2];
	const small = DTYPE_NAMES.flatMap((name, k) => (DTYPES[name].bytes <= 4 ? [k] : []));
	const constants = { TAP_QUADS: 16 };
	const group = { WORKGROUP_X: 16, WORKGROUP_Y: 8 };
	const wide = { SPAN: 1, LEAD: 0, LANES: 1, WIDE: 1, KERNELS: 1, ACROSS: 0, ...group };
	const columns = { COLUMNS: 64, CHUNK: 8, WINDOW_QUADS: 4, BLOCK_ROWS: 32 };
	const strip = { TILE_QUADS: 16, CHUNK: 16, THREAD_ROWS: 4, PRIME: 16, WINDOW_QUADS: 5, TERMS: 1 };
	for (const IN of small) {
		const { float, bytes } = DTYPES[DTYPE_NAMES[IN] as Dtype];
		for (const OUT of small) {
			for (const SUM of float ? [REAL] : [...(bytes <= 2 ? [REAL] : []), EXACT, ...(OUT < 8 ? [WORD] : [])]) {
				yield { shader: 'tiled', overrides: { IN, OUT, SUM, ...wide }, constants };
				yield { shader: 'tiled', overrides: { IN, OUT, SUM, ...group, SPAN: 7, LEAD: 1, LANES: 3, WIDE: 0 }, constants };
				yield { shader: 'tiled', overrides: { IN, OUT, SUM, ...wide, KERNELS: 4, ACROSS: 1 }, constants };
				yield { shader: 'separable', overrides: { IN, OUT, SUM, ...strip }, constants };
				yield { shader: 'box', overrides: { IN, OUT, SUM, ...columns }, constants };
			}
		}
	}
	for (let LEAD = 0; LEAD < 4; LEAD++) {
		for (let SPAN = 1; LEAD + SPAN <= 24; SPAN++) {
			for (const [IN, OUT, SUM] of [
				[9, 9, REAL],
				[0, 0, EXACT],
			] as const) {
				const width = { SPAN, LEAD, LANES: 1, WIDE: 0, ...group };
				yield { shader: 'tiled', overrides: { IN, OUT, SUM, ...width }, constants };
				if (SPAN % 4 !== 3) continue; // every number of quads
				for (const KERNELS of [2, 4]) {
					for (const ACROSS of KERNELS === 4 ? [0, 1] : [0]) {
						yield { shader: 'tiled', overrides: { IN, OUT, SUM, ...width, KERNELS, ACROSS }, constants };
					}
				}
			}
		}
	}
	const strips = new Map<string, Specialisation>();
	for (const storage of [4096, 16384]) {
		for (const terms of [1, 2, 3]) {
			for (let side = 1; side <= 97; side += 2) {
				const problem = problemOf({ dtype: 'float32', kernelDtype: 'float32', taps: ragged(side, side), sizes: [1, 1, 99, 99] });
				const found = stripOf(problem, terms, { storage, threads: 256, tuning: tuningOf('') });
				if (found === undefined) continue;
				expect(stripBytes(found)).toBeLessThanOrEqual(16384);
				const overrides = { IN: 9, OUT: 8, SUM: REAL, ...stripOverrides(found) };
				strips.set(JSON.stringify(overrides), { shader: 'separable', overrides, constants });
			}
		}
	}
	for (const storage of [4096, 16384]) {
		for (let side = 1; side <= 97; side += 2) {
			const problem = problemOf({ dtype: 'float32', kernelDtype: 'float32', taps: ragged(side, side), sizes: [1, 1, 99, 99] });
			const found = boxStripOf(problem, { storage, threads: 256, tuning: tuningOf('') });
			if (found === undefined) continue;
			expect(boxStripBytes(found)).toBeLessThanOrEqual(storage);
			const overrides = { IN: 9, OUT: 8, SUM: REAL, ...boxOverrides(found) };
			strips.set(JSON.stringify(overrides), { shader: 'box', overrides, constants });
		}
	}
	yield* strips.values();
}

describe('shaders', () => {
	it('are what the committed module holds', () => {
		const script = fileURLToPath(new URL('../../scripts/shaders.mjs', import.meta.url));
		execFileSync(process.execPath, [script, '--check'], { stdio: 'pipe' });
	});

	it('are valid as they lie', async () => {
		const { create } = await import('webgpu');
		const gpu = create(['backend=null']);
		const device = await ((await gpu.requestAdapter()) as GPUAdapter).requestDevice();
		const folder = new URL('../../shaders/', import.meta.url);
		const files = readdirSync(folder);
		expect(files.length).toBeGreaterThan(4);
		for (const file of files) {
			const { messages } = await device.createShaderModule({ code: readFileSync(new URL(file, folder), 'utf8') }).getCompilationInfo();
			expect(
				messages.map(({ lineNum, message }) => `${file}:${lineNum} ${message}`),
				file,
			).toEqual([]);
		}
		device.destroy();
		expect(gpu).toBeDefined();
	});

	it('replace constants by exact name or not at all', () => {
		expect(specialise({ shader: 'direct', overrides: {}, constants: { LIMBS: 5 } })).toContain('\nconst LIMBS = 5u;\n');
		const unknown = { shader: 'direct', overrides: {}, constants: { LIMB: 5 } } as unknown as Specialisation;
		expect(() => specialise(unknown)).toThrow('const LIMB');
	});

	it('have keys that differ with every constant', () => {
		const keys = [...variants()].map(specialisationKey);
		expect(new Set(keys).size).toBe(keys.length);
	});

	it('compile in every variant', async () => {
		const { create } = await import('webgpu');
		const gpu = create(['backend=null']);
		const device = await ((await gpu.requestAdapter()) as GPUAdapter).requestDevice();
		let compiled = 0;
		for (const variant of variants()) {
			device.pushErrorScope('validation');
			const module = device.createShaderModule({ code: specialise(variant) });
			const layout = device.createPipelineLayout({
				bindGroupLayouts: [device.createBindGroupLayout({ entries: bindGroupLayoutEntries(variant.shader, variant.entry) })],
			});
			const constants = variant.overrides as Record<string, number>;
			const compiling = device.createComputePipelineAsync({ layout, compute: { module, entryPoint: variant.entry ?? 'main', constants } });
			await expect(compiling, specialisationKey(variant)).resolves.toBeDefined();
			expect(await device.popErrorScope()).toBeNull();
			compiled++;
		}
		expect(compiled).toBeGreaterThan(1000);
		device.destroy();
		expect(gpu).toBeDefined(); // keeps the instance: collected while its device is at work, it takes the process with it
	});
});
