/**
 * Separable, low-rank and box filters through the public API, on every backend that has them: forced methods within their own error
 * models, integers in every bit, what leaves the window leaves no trace, a tolerance certified and never taken unasked.
 *
 *     FALTUNG_SEED=…   the seed to replay      FALTUNG_CASE=…   only this request of it
 */
import { describe, expect, test } from 'vitest';
import { type ConvolveOptions, correlate, createConvolver, kernels, type NdArray } from '../src/index.ts';
import { tested } from './backends.ts';
import { call, VIEW_KINDS } from './call.ts';
import { answer, type Request } from './oracle/definition.ts';
import { judgeAll } from './oracle/judge.ts';
import { errorOf, Random, randomRequest, structured } from './oracle/random.ts';

const seed = Number(process.env.FALTUNG_SEED ?? Math.floor(Math.random() * 2 ** 31));
const only = process.env.FALTUNG_CASE === undefined ? undefined : Number(process.env.FALTUNG_CASE);
/** On webgpu every dtype's running sums are compiled for a second or more; test/webgpu has more of them. */
const CASES = {
	product: { reference: 1500, native: 1500, webgpu: 100 },
	constant: { reference: 1500, native: 1500, webgpu: 40 },
} as const;
const METHODS = { product: 'separable', constant: 'box' } as const;

type Kind = keyof typeof METHODS;

/** A random request whose kernels are all products, or all constant. */
function requestOf(random: Random, at: number, kind: Kind): Request {
	const request = randomRequest(at);
	const { dtype, shape } = request.kernel;
	const [rows, cols] = shape.slice(-2) as [number, number];
	const count = shape.length === 3 ? (shape[0] as number) : 1;
	const values = Array.from({ length: count }, () => structured(random, dtype, rows, cols, kind)).flat();
	return { ...request, kernel: { ...request.kernel, values }, options: { ...request.options } };
}

interface Verdict {
	readonly wrong?: string;
	readonly refused?: string;
}

async function forced(k: number, kind: Kind, backend: string, arithmetic: object): Promise<Verdict> {
	const random = new Random(seed + k * 104_729);
	const request = requestOf(random, seed + k * 7919, kind);
	if (errorOf(request) !== undefined) return {};
	if (request.options.overflow === 'throw') request.options.overflow = 'saturate';
	const views = { image: random.pick(VIEW_KINDS), kernel: random.pick(VIEW_KINDS) };
	const options = { backend, verify: false, method: METHODS[kind] } as ConvolveOptions;
	const expected = answer(request);
	let outcome: Awaited<ReturnType<typeof call>>;
	try {
		outcome = await call(request, options, views);
	} catch (error) {
		const { code, message } = error as { code?: string; message: string };
		return code === 'UNSUPPORTED' ? { refused: message } : { wrong: `${code}: ${message}` };
	}
	if (outcome.report.algorithm !== METHODS[kind]) return { wrong: `computed by ${outcome.report.algorithm}` };
	const [wrong] = judgeAll(outcome.values, request, expected, { ...arithmetic, algorithm: METHODS[kind] });
	return wrong === undefined ? {} : { wrong };
}

const has = (backend: (typeof tested)[number], method: string): Promise<boolean> =>
	correlate({ data: new Float32Array(9), shape: [3, 3] }, kernels.box({ size: 3 }), {
		backend: backend.name,
		method: method as 'box',
	}).then(
		() => true,
		() => false,
	);

const withSplits = (await Promise.all(tested.map(async (backend) => ((await has(backend, 'separable')) ? [backend] : [])))).flat();

describe.each(withSplits)(`$name, seed ${seed}`, ({ name, arithmetic }) => {
	test.each(['product', 'constant'] as const)('forced on random kernels: %s', { timeout: 300_000 }, async (kind) => {
		const count = only === undefined ? CASES[kind][name] : only + 1;
		let refused = 0;
		for (let k = only ?? 0; k < count; k++) {
			const verdict = await forced(k, kind, name, arithmetic);
			if (verdict.wrong !== undefined)
				expect.fail(`${verdict.wrong}\n  replay: FALTUNG_SEED=${seed} FALTUNG_CASE=${k} npx vitest run test/split.test.ts (${kind})`);
			if (verdict.refused !== undefined) refused++;
		}
		// sums beyond 64 bits, products of floats that no pair of factors meets within a rounding
		if (name !== 'webgpu') expect(refused / count).toBeLessThan(0.35);
	});

	const size = 48;
	const noise = new Random(5);
	const clean = Float32Array.from({ length: size * size }, () => noise.unit() - 0.5);
	const disk = kernels.disk({ radius: 4 });
	const strangers = [
		['separable', kernels.gaussian({ sigma: 1.5, radius: 4 }), {}],
		['box', kernels.box({ size: 9 }), {}],
		['lowrank', disk, { tolerance: 0.2 }],
	] as const;
	test.each(strangers)('%s: what has left the window leaves no trace', async (method, kernel, more) => {
		const run = async (data: Float32Array) =>
			(await correlate({ data, shape: [size, size] }, kernel, { method, mode: 'same', backend: name, ...more })).data as Float32Array;
		const plain = await run(clean);
		for (const strange of [Number.NaN, Infinity, -Infinity, 1e20, 3e38]) {
			for (const [y, x] of [
				[20, 23],
				[0, 47],
				[47, 9],
			] as const) {
				const data = clean.slice();
				data[y * size + x] = strange;
				const out = await run(data);
				for (let k = 0; k < out.length; k++) {
					const inside = Math.abs(Math.floor(k / size) - y) <= 4 && Math.abs((k % size) - x) <= 4;
					if (!inside) expect(out[k]).toBe(plain[k]);
					else if (!Number.isFinite(strange)) expect(Number.isFinite(out[k])).toBe(false);
				}
			}
		}
	});

	test('a mean of the largest floats is finite', async () => {
		const image = { data: new Float32Array(64 * 64).fill(3e38), shape: [64, 64] };
		for (const method of ['box', 'separable'] as const) {
			const { data } = await correlate(image, kernels.box({ size: 31 }), { method, boundary: 'edge', backend: name });
			for (const value of data as Float32Array) expect(Math.abs(value / 3e38 - 1)).toBeLessThan(1e-5);
		}
	});

	test('integers are the bits of the direct sum', async () => {
		const image = { data: Uint8Array.from({ length: 90 * 70 }, (_, k) => (k * 37) % 256), shape: [90, 70] };
		const binomial = {
			data: Int32Array.of(1, 4, 6, 4, 1, 4, 16, 24, 16, 4, 6, 24, 36, 24, 6, 4, 16, 24, 16, 4, 1, 4, 6, 4, 1),
			shape: [5, 5],
		};
		const ones = { data: new Int32Array(63).fill(3), shape: [9, 7] };
		for (const [kernel, method] of [
			[binomial, 'separable'],
			[ones, 'box'],
			[ones, 'separable'],
		] as const) {
			const options = { outputDtype: 'int32', boundary: 'mirror', backend: name } as const;
			const direct = await correlate(image, kernel, { ...options, method: 'direct' });
			const other = await correlate(image, kernel, { ...options, method });
			expect(other.report.algorithm).toBe(method);
			expect(other.data).toEqual(direct.data);
		}
	});

	describe('a tolerance', () => {
		const image: NdArray = { data: Float32Array.from({ length: 60 * 60 }, () => noise.unit() * 9 - 3), shape: [60, 60] };
		const taps = Array.from(disk.data as Float32Array);
		const side = disk.shape[0] as number;
		const total = taps.reduce((sum, tap) => sum + Math.abs(tap), 0);

		test('is needed: nothing approximates unasked', async () => {
			await expect(correlate(image, disk, { method: 'lowrank', backend: name })).rejects.toMatchObject({
				code: 'UNSUPPORTED',
				message: expect.stringContaining('tolerance'),
			});
			const { report } = await correlate(image, disk, { backend: name });
			expect(report.algorithm).toBe('direct');
			await expect(correlate(image, disk, { method: 'separable', backend: name })).rejects.toMatchObject({ code: 'UNSUPPORTED' });
		});

		test.each([0.4, 0.2, 0.05])('of %d: the plan states a residual within it, and the pixels keep it', async (tolerance) => {
			const options = { method: 'lowrank', tolerance, boundary: 'symmetric', mode: 'same', backend: name } as const;
			const convolver = await createConvolver(disk, { operation: 'correlate', shape: [60, 60], dtype: 'float32', ...options });
			const { steps, model } = convolver.plan.toJSON() as unknown as {
				steps: { products: { column: number[]; row: number[] }[] }[];
				model: { split: { residual: number } };
			};
			const products = steps[0]?.products ?? [];
			const split = { rank: products.length, residual: 0, excess: 0 };
			for (const [k, tap] of taps.entries()) {
				const terms = products.map(({ column, row }) => (column[Math.floor(k / side)] as number) * (row[k % side] as number));
				split.residual += Math.abs(tap - terms.reduce((a, b) => a + b, 0));
				split.excess += Math.max(0, terms.reduce((a, b) => a + Math.abs(b), 0) - Math.abs(tap));
			}
			expect(split.residual).toBeLessThanOrEqual(model.split.residual);
			expect(model.split.residual).toBeLessThanOrEqual(tolerance * total);
			expect(convolver.plan.explain()).toMatch(new RegExp(`within [\\d.e-]+ of rank ${products.length} \\(tolerance ${tolerance}\\)`));
			const { data, report } = await convolver.run(image);
			expect(report.algorithm).toBe('lowrank');
			const request: Request = {
				operation: 'correlate',
				image: { dtype: 'float32', layout: 'HW', shape: [60, 60], values: Array.from(image.data as Float32Array) },
				kernel: { dtype: 'float32', shape: disk.shape, values: taps },
				options: { mode: 'same', boundary: 'symmetric' },
			};
			expect(judgeAll(Array.from(data as Float32Array), request, answer(request), { ...arithmetic, split })).toEqual([]);
			await convolver.dispose();
		});

		test('does not touch integer sums', async () => {
			const whole = { data: Int32Array.from(taps, (tap) => Math.round(tap * 1000)), shape: disk.shape };
			const bytes = { data: Uint8Array.from({ length: 400 }, (_, k) => k % 251), shape: [20, 20] };
			await expect(correlate(bytes, whole, { method: 'lowrank', tolerance: 0.5, backend: name })).rejects.toMatchObject({
				code: 'UNSUPPORTED',
			});
		});
	});
});
