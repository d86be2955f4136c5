/** How a sum becomes a stored value: rounding × overflow × every dtype pairing, exactness, NaN and infinity, 64-bit extremes, 'throw'. */
import { describe, expect, test } from 'vitest';
import { correlate } from '../src/index.ts';
import { tested } from './backends.ts';
import { call } from './call.ts';
import { answer, type Request, sumKindOf, type Value } from './oracle/definition.ts';
import { arrayOf, DTYPES, type Dtype, formatOf, isBig, isFloat, rangeOf, store, valuesOf } from './oracle/dtypes.ts';
import { dyadic, type RoundingRule, toFloat } from './oracle/dyadic.ts';
import { judgeAll, judgeOverflow, positionOf } from './oracle/judge.ts';

const ROUNDINGS: readonly RoundingRule[] = ['nearest-even', 'half-away', 'truncate', 'floor'];
const OVERFLOWS = ['saturate', 'wrap', 'throw'] as const;

/** Values that matter for a dtype: ends, neighbours of ends, zero, signs, halves. */
function telling(dtype: Dtype): Value[] {
	if (isFloat(dtype)) return [0, -0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 127.5, 128, 255.5, 256, -128.5, -129, 1000, -1000, 0.25, 0.75];
	const { min, max } = rangeOf(dtype);
	const all = [min, min + 1n, 0n, 1n, 2n, 3n, 100n, max - 1n, max, max / 2n + 1n];
	return isBig(dtype) ? all : all.map(Number);
}

describe.each(tested)('$name', ({ name: backend, arithmetic, mayRefuse, every }) => {
	const mayRefusePair = (image: Dtype, kernel: Dtype) => mayRefuse({ image, kernel, sum: sumKindOf(image, kernel) });

	const combinations = DTYPES.flatMap((outputDtype) =>
		OVERFLOWS.flatMap((overflow) =>
			(isFloat(outputDtype) ? ROUNDINGS.slice(0, 1) : ROUNDINGS).map((rounding) => ({ outputDtype, overflow, rounding })),
		),
	);
	const pairings = DTYPES.flatMap((image) => DTYPES.map((kernel) => ({ image, kernel })));
	const share = every === 1 ? 'all' : `one in ${every}`;

	describe(`every image dtype × kernel dtype; output dtype × rounding × overflow: ${share}`, () => {
		test.each(pairings.map((pairing, k) => ({ ...pairing, k })))('$image * $kernel', async ({ image, kernel, k }) => {
			const values = telling(image);
			const taps: Value[] = isBig(kernel) ? [3n] : isFloat(kernel) ? [0.5] : [3];
			for (const options of combinations.filter((_, at) => at % every === k % every)) {
				const request: Request = {
					operation: 'convolve',
					image: { dtype: image, layout: 'HW', shape: [1, values.length], values },
					kernel: { dtype: kernel, shape: [1, 1], values: taps },
					options,
				};
				await check(request, JSON.stringify(options));
			}
		});
	});

	async function check(request: Request, message: string): Promise<void> {
		const expected = answer(request);
		const run = call(request, { backend, verify: 'full' });
		if (mayRefusePair(request.image.dtype, request.kernel.dtype)) {
			await expect(run, message).rejects.toMatchObject({ code: 'UNSUPPORTED' });
			return;
		}
		const outcome = await run.catch((error: unknown) => error as { code: string; message: string });
		if ('code' in outcome) {
			expect(outcome, message).toMatchObject({ code: 'OVERFLOW' });
			expect(judgeOverflow(request, expected, outcome.message, arithmetic), message).toBeUndefined();
			return;
		}
		if (request.options.overflow === 'throw') expect(judgeOverflow(request, expected, undefined, arithmetic), message).toBeUndefined();
		const { values, dtype, report } = outcome;
		expect(dtype, message).toBe(expected.dtype);
		expect(judgeAll(values, request, expected, { ...arithmetic, algorithm: report.algorithm }), message).toEqual([]);
	}

	describe('an exact integer sum to a float is rounded once', () => {
		// sums on, just beside and between ties of each format, up to 2^100
		const sums = [0n, 1n, -1n];
		for (const p of [11, 24, 53]) {
			for (const e of [p, p + 1, p + 5, 62, 90, 100].filter((x) => x >= p)) {
				const half = 1n << BigInt(e - p);
				const base = 1n << BigInt(e);
				for (const off of [-1n, 0n, 1n])
					for (const odd of [0n, 1n]) sums.push(base + odd * 2n * half + half + off, -(base + odd * 2n * half + half + off));
			}
		}
		test.each(['float16', 'float32', 'float64'] as const)('to %s', async (dtype) => {
			// each sum as a·2^40 + b·1 with 64-bit a and b
			for (const sum of sums) {
				const [high, low] = [sum >> 40n, sum & ((1n << 40n) - 1n)];
				const image = { data: BigInt64Array.of(high, low), shape: [1, 2] };
				const kernel = { data: BigInt64Array.of(1n << 40n, 1n), shape: [1, 2] };
				const { data } = await correlate(image, kernel, { mode: 'valid', outputDtype: dtype, backend });
				expect(valuesOf(data, dtype)[0], `${sum}`).toBe(toFloat(dyadic(sum), formatOf(dtype)));
			}
		});
	});

	test('every float16 stored from the float32 nearest to it and its neighbours', async () => {
		const values: number[] = [];
		for (let bits = 0; bits < 0x7c00; bits += 7) {
			const [here, next] = [valuesOf([bits], 'float16')[0] as number, valuesOf([bits + 1], 'float16')[0] as number];
			const tie = (here + next) / 2;
			if (!Number.isFinite(tie)) continue;
			const beside = 1 + 2 ** -23;
			values.push(here, tie, Math.fround(tie * beside), Math.fround(tie / beside), -tie);
		}
		const image = { data: Float32Array.from(values), shape: [1, values.length] };
		const { data } = await correlate(image, [[1]], { outputDtype: 'float16', backend, verify: false });
		const subnormal = 2 ** -14;
		for (const [k, got] of valuesOf(data, 'float16').entries()) {
			const x = Math.fround(values[k] as number);
			const expected = toFloat(dyadic(x), formatOf('float16'));
			const flushed = Math.abs(x) < subnormal && got === 0; // API.md: subnormals may be flushed
			if (!flushed) expect(got, String(x)).toBe(expected);
			if (backend !== 'webgpu') expect(flushed && expected !== 0, 'the CPU keeps subnormals').toBe(false);
		}
	});

	test.each(ROUNDINGS)('%s: every quarter from −3 to 3, and the halves beside the ends', async (rounding) => {
		const values = [
			...Array.from({ length: 25 }, (_, k) => (k - 12) / 4),
			126.5,
			127.25,
			127.5,
			-127.5,
			-128.25,
			-128.5,
			8388607.5,
			-8388607.5,
		];
		for (const dtype of ['int8', 'int16', 'int32'] as const) {
			const { data } = await correlate({ data: Float32Array.from(values), shape: [1, values.length] }, [[1]], {
				outputDtype: dtype,
				rounding,
				backend,
			});
			expect([...data], dtype).toEqual(values.map((v) => store(dyadic(v), dtype, rounding, 'saturate')));
			for (const v of data) expect(Object.is(v, -0)).toBe(false);
		}
	});

	test('half-away of the largest number below a half is 0', async () => {
		const below = Math.fround(0.5 - 2 ** -25);
		const { data } = await correlate({ data: Float32Array.of(below, -below), shape: [1, 2] }, [[1]], {
			outputDtype: 'int32',
			rounding: 'half-away',
			backend,
		});
		expect([...data]).toEqual([0, 0]);
	});

	test.each([
		['saturate', [0, 255, 0]],
		['wrap', [0, 0, 0]],
	] as const)('NaN and infinities to uint8, %s', async (overflow, expected) => {
		const image = { data: Float32Array.of(NaN, Infinity, -Infinity), shape: [1, 3] };
		const { data } = await correlate(image, [[1]], { outputDtype: 'uint8', overflow, backend });
		expect([...data]).toEqual(expected);
	});

	test("NaN to uint8 under 'throw' is 0; an infinity is OVERFLOW", async () => {
		const options = { outputDtype: 'uint8', overflow: 'throw', backend } as const;
		expect([...(await correlate({ data: Float32Array.of(NaN), shape: [1, 1] }, [[1]], options)).data]).toEqual([0]);
		const infinite = correlate({ data: Float32Array.of(1, -Infinity), shape: [1, 2] }, [[1]], options);
		await expect(infinite).rejects.toMatchObject({ code: 'OVERFLOW', message: expect.stringContaining('pixel [0, 1]') });
	});

	describe('64-bit extremes', () => {
		const I = { min: -(2n ** 63n), max: 2n ** 63n - 1n };
		const U = 2n ** 64n - 1n;
		const cases: [string, Dtype, bigint[], Dtype, bigint[]][] = [
			['min·min four times', 'int64', [I.min, I.min, I.min, I.min], 'int64', [I.min, I.min, I.min, I.min]],
			['min·max four times', 'int64', [I.min, I.min, I.min, I.min], 'int64', [I.max, I.max, I.max, I.max]],
			['cancels beyond 2^128 to 1', 'int64', [I.min, I.min, I.min, I.min, 1n], 'int64', [I.min, I.min, -I.max - 1n + 1n, I.max, 1n]],
			['U·U twice', 'uint64', [U, U], 'uint64', [U, U]],
			['U·min', 'uint64', [U, U], 'int64', [I.min, I.max]],
			['U·(3 − 2)', 'uint64', [U, U], 'int64', [3n, -2n]],
			['U·(2 − 3)', 'uint64', [U, U], 'int64', [2n, -3n]],
			['min·(−1)', 'int64', [I.min], 'int64', [-1n]],
			['min·1', 'int64', [I.min], 'int64', [1n]],
			['min·U', 'int64', [I.min, 0n], 'uint64', [U, U]],
			['max + 1 − 1', 'int64', [I.max, 1n, -1n], 'int64', [1n, 1n, 1n]],
			['max + 1', 'int64', [I.max, 1n], 'int64', [1n, 1n]],
		];
		const outputs: readonly Dtype[] = ['int64', 'uint64', 'int32', 'uint8', 'float64', 'float16'];
		test.each(cases)('%s', async (_, image, values, kernel, taps) => {
			for (const outputDtype of outputs) {
				for (const overflow of OVERFLOWS) {
					const request: Request = {
						operation: 'correlate',
						image: { dtype: image, layout: 'HW', shape: [1, values.length], values },
						kernel: { dtype: kernel, shape: [1, taps.length], values: taps },
						options: { mode: 'valid', outputDtype, overflow },
					};
					await check(request, `${outputDtype} ${overflow}`);
				}
			}
		});

		test('a long sum: 1,000 products of 2^63·2^63', async () => {
			const long = (dtype: Dtype, value: bigint) => ({ data: arrayOf(dtype, new Array(1000).fill(value)), shape: [1, 1000] });
			for (const [overflow, expected] of [
				['saturate', I.max],
				['wrap', 0n],
			] as const) {
				const { data } = await correlate(long('int64', I.min), long('int64', I.min), { mode: 'valid', overflow, backend });
				expect(data[0]).toBe(expected);
			}
		});
	});

	describe("'throw' names the first pixel in row-major order of the result", () => {
		test.each([
			['HW', [3, 4]],
			['HWC', [3, 4, 2]],
			['CHW', [2, 3, 4]],
			['NHW', [2, 3, 4]],
			['NHWC', [2, 3, 4, 2]],
			['NCHW', [2, 2, 3, 4]],
		] as const)('%s', async (layout, shape) => {
			const count = shape.reduce<number>((a, b) => a * b, 1);
			for (const first of [0, 1, 5, count - 2, count - 1]) {
				const data = new Uint8Array(count).fill(1);
				data[first] = 200;
				data[count - 1] = 200;
				const run = correlate({ data, shape: [...shape] }, [[2]], { layout, overflow: 'throw', backend });
				await expect(run).rejects.toMatchObject({
					code: 'OVERFLOW',
					message: expect.stringContaining(`pixel [${positionOf(first, shape).join(', ')}]`),
				});
			}
		});

		test('a bank: the second kernel overflows first in row-major order only where the layout says so', async () => {
			const image = { data: Uint8Array.of(1, 1, 1, 1), shape: [1, 4] };
			const bank = { data: Int32Array.of(1, 300), shape: [2, 1, 1] };
			await expect(correlate(image, bank, { overflow: 'throw', backend })).rejects.toMatchObject({
				message: expect.stringContaining('pixel [1, 0, 0]'),
			});
			const hwc = { data: Uint8Array.of(1, 1, 1, 1), shape: [1, 4, 1] };
			await expect(correlate(hwc, bank, { layout: 'HWC', overflow: 'throw', backend })).rejects.toMatchObject({
				message: expect.stringContaining('pixel [0, 0, 1]'),
			});
		});

		test('nothing overflows, by a hair', async () => {
			const { data } = await correlate({ data: Uint8Array.of(255, 0), shape: [1, 2] }, [[1]], { overflow: 'throw', backend });
			expect([...data]).toEqual([255, 0]);
			await expect(
				correlate({ data: Uint8Array.of(255, 0), shape: [1, 2] }, [[1]], { bias: 1, overflow: 'throw', backend }),
			).rejects.toMatchObject({ code: 'OVERFLOW' });
			await expect(correlate({ data: Uint8Array.of(1, 0), shape: [1, 2] }, [[-1]], { overflow: 'throw', backend })).rejects.toMatchObject({
				code: 'OVERFLOW',
			});
		});
	});

	test('float outputs have no overflow rule: beyond the range is infinity', async () => {
		const { data } = await correlate({ data: Float32Array.of(3e38, -3e38), shape: [1, 2] }, [[1]], {
			outputDtype: 'float16',
			overflow: 'throw',
			backend,
		});
		expect(valuesOf(data, 'float16')).toEqual([Infinity, -Infinity]);
	});
});
