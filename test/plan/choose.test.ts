/** choose() is a pure function: what machines that are not there would take. */
import { describe, expect, test } from 'vitest';
import type { Backend } from '../../src/backend/backend.ts';
import { choose, preferring, problemClass } from '../../src/plan/choose.ts';
import { box, choice, decide, gaussian, gpu, problemOf, processor, reference } from './machines.ts';

const desk = [processor('avx512', 2), reference];
const workstation = [gpu(), ...desk];

describe('an AVX-512 machine with 2 threads takes', () => {
	test.each([
		['a dense 3×3', { kernel: 3 }, 'direct-f32-t128x1024-r8x16@native.avx512'],
		['bytes and integers', { kernel: 3, dtype: 'uint8', kernelDtype: 'int32' }, 'direct-u8-t128x1024-r8x32@native.avx512'],
		['float64', { kernel: 3, dtype: 'float64', kernelDtype: 'float64' }, 'direct-f64-t128x1024-r8x8@native.avx512'],
		['a thumbnail, inline on one thread', { kernel: 3, shape: [64, 64] }, 'direct-f32-t64x64-r8x16@native.avx512'],
	] as const)('%s: %j', (_, sketch, name) => {
		expect(choice(sketch, desk)).toBe(name);
	});

	test('one thread for what is below 0.1 ms, both above', () => {
		expect(decide({ kernel: 3, shape: [64, 64] }, desk).plan.threads).toBe(1);
		expect(decide({ kernel: 3, shape: [1024, 1024] }, desk).plan.threads).toBe(2);
		expect(decide({ kernel: 3, shape: [1024, 1024] }, desk, { threads: 1 }).plan.threads).toBe(1);
	});
});

describe('the structure of the kernel', () => {
	const large = [4096, 4096];
	const integers = { dtype: 'uint8', kernelDtype: 'int32', outputDtype: 'int32', shape: large } as const;
	const shifted = Array.from({ length: 101 }, (_, j) => Array.from({ length: 101 }, (_, i) => (j === 90 && i === 12 ? 1 : 0)));
	const rank2 = gaussian(21, 5).map((row, j) => row.map((w, i) => w - ((gaussian(21, 2)[j] as number[])[i] as number) / 2));

	test('dense and large: transforms; under accuracy pixel: direct', () => {
		expect(choice({ kernel: 63, shape: large }, desk)).toMatch(/^fft-f32-t\d+x\d+-r1x16@native\.avx512$/);
		expect(choice({ kernel: 63, shape: large }, desk, { accuracy: 'pixel' })).toMatch(/^direct-f32-/);
	});
	test('dense and small: direct', () => {
		expect(choice({ kernel: 3, shape: large }, desk)).toMatch(/^direct-f32-/);
		expect(choice({ kernel: 5, shape: large }, desk)).toMatch(/^direct-f32-/);
	});
	test('a column times a row', () => {
		expect(choice({ kernel: gaussian(7), shape: large }, desk)).toMatch(/^separable-f32-t\d+x\d+-r4x16@native\.avx512$/);
	});
	test('equal taps: running sums', () => {
		expect(choice({ ...integers, kernel: box(63) }, desk)).toMatch(/^box-u8-/);
	});
	test('equal taps on a GPU: running sums where they are large, products where those are as fast', () => {
		const onGpu = (side: number) => choice({ ...integers, kernel: box(side) }, workstation, { memory: 'device' });
		expect(onGpu(31)).toMatch(/^box-u8-t\d+x\d+-r4x1@webgpu$/);
		expect(onGpu(9)).toMatch(/^separable-u8-.*@webgpu$/);
	});
	test('integers never go through transforms or approximations', () => {
		const { candidates } = decide({ ...integers, kernel: 63 }, desk, { tolerance: 0.5 });
		for (const { algorithm, plan } of candidates) if (algorithm === 'fft' || algorithm === 'lowrank') expect(plan).toBeUndefined();
	});
	test('a shifted delta in a large array of zeros is one tap', () => {
		const { plan } = decide({ kernel: shifted }, desk);
		expect(plan.steps).toMatchObject([{ kind: 'direct', rows: 1, cols: 1 }]);
		expect(plan.predicted.milliseconds).toBeLessThan(2 * decide({ kernel: [[1]] }, desk).plan.predicted.milliseconds);
	});

	describe('tolerance', () => {
		const lowrank = (tolerance?: number) => {
			const wish = tolerance === undefined ? {} : { tolerance };
			return decide({ kernel: rank2, shape: large }, desk, wish).candidates.find(
				({ algorithm, backend }) => algorithm === 'lowrank' && backend === 'native',
			);
		};
		test('without one nothing is approximated', () => {
			expect(lowrank()).toMatchObject({ code: 'UNSUPPORTED', why: expect.stringContaining('needs a tolerance') });
		});
		test('the certified error is under it', () => {
			for (const tolerance of [0.3, 1e-2, 1e-5]) {
				const { relative, residual } = lowrank(tolerance)?.plan?.model.split ?? { relative: 0, residual: Infinity };
				const total = rank2.flat().reduce((sum, w) => sum + Math.abs(w), 0);
				expect(relative + residual / total).toBeLessThanOrEqual(tolerance);
			}
		});
		test('a looser one takes fewer products', () => {
			const rank = (tolerance: number) => {
				const [step] = lowrank(tolerance)?.plan?.steps ?? [];
				return step?.kind === 'separable' ? step.products.length : 0;
			};
			expect(rank(0.9)).toBeLessThan(rank(1e-5));
			expect(rank(1e-5)).toBe(2);
		});
	});
});

describe('transfers count', () => {
	const megapixel = { kernel: 3, shape: [1024, 1024] };
	test('1 megapixel of host memory and 3×3: the processor', () => {
		expect(choice(megapixel, workstation)).toMatch(/@native\.avx512$/);
	});
	test('the same image in the memory of the GPU: the GPU', () => {
		expect(choice(megapixel, workstation, { memory: 'device' })).toMatch(/^direct-f32-.*@webgpu$/);
	});
	test('the processor says why it cannot', () => {
		const { candidates } = decide(megapixel, workstation, { memory: 'device' });
		expect(candidates.filter(({ backend, plan }) => backend === 'native' && plan !== undefined)).toEqual([]);
		expect(candidates.find(({ backend }) => backend === 'native')?.why).toBe('image and result are in device memory');
	});
	test('a large dense kernel is worth the way to the GPU and back', () => {
		expect(choice({ kernel: 31, shape: [4096, 4096] }, workstation, { method: 'direct' })).toMatch(/@webgpu$/);
	});
	test('what the GPU cannot do stays on the processor, with the reason', () => {
		const { plan, candidates } = decide({ kernel: 31, shape: [4096, 4096], dtype: 'float64', kernelDtype: 'float64' }, workstation);
		expect(plan.backend).toBe('native');
		expect(candidates.find(({ backend }) => backend === 'webgpu')?.why).toMatch(/float64/);
	});
});

describe('what the caller forces', () => {
	test('a method: that one, or UNSUPPORTED with the reasons', () => {
		expect(choice({ kernel: gaussian(15) }, desk, { method: 'direct' })).toMatch(/^direct-/);
		expect(() => decide({ kernel: 5 }, desk, { method: 'box' })).toThrow(
			expect.objectContaining({ code: 'UNSUPPORTED', message: expect.stringMatching(/box@native\.avx512: .*box@reference: /) }),
		);
	});
	test('an order of backends beats the cost', () => {
		expect(choice({ kernel: 3 }, [reference, processor('avx512', 2)], {}, 'preference')).toMatch(/@reference$/);
		expect(choice({ kernel: 3 }, [reference, processor('avx512', 2)], {}, 'cost')).toMatch(/@native/);
	});
	test('… and the first that can do it is taken', () => {
		expect(choice({ kernel: 3, dtype: 'float64', kernelDtype: 'float64' }, [gpu(), reference], {}, 'preference')).toMatch(/@reference$/);
	});
});

describe('the decision', () => {
	test('falls back on the best plan of every other backend, in order', () => {
		const { plan, fallbacks } = decide({ kernel: 3 }, workstation);
		expect(plan.backend).toBe('native');
		expect(fallbacks.map(({ backend }) => backend)).toEqual(['webgpu', 'reference']);
	});
	test('is the same for the same question', () => {
		expect(decide({ kernel: gaussian(9) }, workstation)).toEqual(decide({ kernel: gaussian(9) }, workstation));
	});
	test('a tie goes to the backend that was named first', () => {
		const twin = (name: string): Backend => ({
			...reference,
			name,
			candidates: (problem, wish) =>
				reference.candidates(problem, wish).map((one) => {
					if (one.plan === undefined) return one;
					return { ...one, backend: name, plan: { ...one.plan, backend: name, name: one.plan.name.replace('reference', name) } };
				}),
		});
		expect(choice({ kernel: 3 }, [twin('a'), twin('b')])).toMatch(/@a$/);
		expect(choice({ kernel: 3 }, [twin('b'), twin('a')])).toMatch(/@b$/);
	});
	test.each([
		[1.05, 'separable'],
		[1.2, 'fft'],
	])('takes the smaller error bound where two predictions are within a tenth: %f', (factor, taken) => {
		const backend = processor('avx512', 2);
		const candidates: Backend['candidates'] = (problem, wish) =>
			backend.candidates(problem, wish).map((one) => {
				if (one.plan === undefined) return one;
				const milliseconds = one.algorithm === 'fft' ? 1 : one.algorithm === 'separable' ? factor : 9;
				return { ...one, plan: { ...one.plan, predicted: { ...one.plan.predicted, milliseconds } } };
			});
		expect(decide({ kernel: gaussian(17) }, [{ ...backend, candidates }]).plan.algorithm).toBe(taken);
	});
	test('names an absent backend with its reason', () => {
		const policy = { order: 'cost', wish: { method: 'auto', accuracy: 'norm' } } as const;
		const { candidates } = choose(problemOf({ kernel: 3 }), desk, policy, [{ name: 'webgpu', reason: 'no adapter' }]);
		expect(candidates.at(-1)).toMatchObject({ backend: 'webgpu', code: 'BACKEND_UNAVAILABLE', why: 'no adapter' });
	});
	test('every algorithm is a plan or has a reason, on every backend', () => {
		const { candidates } = decide({ kernel: box(5, 0.04) }, workstation);
		for (const backend of ['native', 'reference', 'webgpu']) {
			const own = candidates.filter((one) => one.backend === backend);
			expect([...new Set(own.map(({ algorithm }) => algorithm))].sort()).toEqual(['box', 'direct', 'fft', 'lowrank', 'separable']);
			for (const { why } of own) expect(why).toMatch(/\w+ \w+/);
		}
	});
});

describe('what measuring would try', () => {
	test('the chosen plan first, the others by time, none above three times the best', () => {
		const { plan, contenders } = decide({ kernel: gaussian(9) }, workstation);
		expect(contenders[0]).toBe(plan);
		const times = contenders.slice(1).map(({ predicted }) => predicted.milliseconds);
		expect(times).toEqual([...times].sort((a, b) => a - b));
		expect(Math.max(...times)).toBeLessThanOrEqual(3 * plan.predicted.milliseconds);
		expect(contenders.some(({ backend }) => backend === 'reference')).toBe(false);
	});
	test('of an order of backends only the first', () => {
		const { contenders } = decide({ kernel: 3 }, [reference, processor('avx512', 2)], {}, 'preference');
		expect(contenders.map(({ backend }) => backend)).toEqual(['reference']);
	});
	test('preferring another plan keeps every backend reachable', () => {
		const decision = decide({ kernel: 3 }, workstation);
		const [other] = decision.fallbacks;
		const { plan, fallbacks, contenders } = preferring(decision, other as typeof decision.plan);
		expect([plan.backend, fallbacks.map(({ backend }) => backend), contenders]).toEqual(['webgpu', ['native', 'reference'], [other]]);
	});
	test('a class is the problem and the plans that are compared', () => {
		const one = problemClass(decide({ kernel: 3 }, desk));
		expect(problemClass(decide({ kernel: 3 }, desk))).toBe(one);
		expect(problemClass(decide({ kernel: 3 }, desk, { threads: 1 }))).not.toBe(one);
		expect(problemClass(decide({ kernel: 3 }, [processor('avx2', 2)]))).not.toBe(one);
		expect(problemClass(decide({ kernel: 3, shape: [1024, 1023] }, desk))).not.toBe(one);
	});
});
