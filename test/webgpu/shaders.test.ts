/** The shaders as text: fresh, replaceable by name only, and every variant compiles; needs no driver. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { MAX_LIMBS } from '../../src/backend/webgpu/direct.ts';
import { bindGroupLayoutEntries, type Specialisation, specialisationKey, specialise } from '../../src/backend/webgpu/shaders.ts';
import { DTYPE_NAMES, DTYPES } from '../../src/core/dtype.ts';

/** Every variant that the backend may ask for. */
function* variants(): Generator<Specialisation> {
	const direct = (overrides: Record<string, number>, limbs: number): Specialisation => ({
		shader: 'direct',
		overrides: { WORKGROUP: 64, ...overrides },
		constants: { LIMBS: limbs },
	});
	for (const [IN, image] of DTYPE_NAMES.entries()) {
		if (image === 'float64') continue;
		for (const OUT of DTYPE_NAMES.keys()) {
			if (DTYPES[image].float || DTYPES[image].bytes <= 2) {
				for (const BLOCKED of [0, 1]) yield direct({ IN, OUT, FLOAT_SUM: 1, TAP_LIMBS: 1, BLOCKED }, 1);
			}
			if (DTYPES[image].float) continue;
			for (const BLOCKED of [0, 1]) yield direct({ IN, OUT, FLOAT_SUM: 0, TAP_LIMBS: 1, BLOCKED }, 1);
			for (let limbs = 2; limbs <= MAX_LIMBS; limbs++) {
				for (const TAP_LIMBS of [1, 2]) yield direct({ IN, OUT, FLOAT_SUM: 0, TAP_LIMBS, BLOCKED: 0 }, limbs);
			}
		}
	}
	yield { shader: 'move', overrides: { WORKGROUP: 64 }, constants: {} };
}

describe('shaders', () => {
	it('are what the committed module holds', () => {
		const script = fileURLToPath(new URL('../../scripts/shaders.mjs', import.meta.url));
		execFileSync(process.execPath, [script, '--check'], { stdio: 'pipe' });
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
				bindGroupLayouts: [device.createBindGroupLayout({ entries: bindGroupLayoutEntries(variant.shader) })],
			});
			const constants = variant.overrides as Record<string, number>;
			const compiling = device.createComputePipelineAsync({ layout, compute: { module, entryPoint: 'main', constants } });
			await expect(compiling, specialisationKey(variant)).resolves.toBeDefined();
			expect(await device.popErrorScope()).toBeNull();
			compiled++;
		}
		expect(compiled).toBeGreaterThan(1000);
		device.destroy();
		expect(gpu).toBeDefined(); // keeps the instance: collected while its device is at work, it takes the process with it
	});
});
