/**
 * Stores, bit by bit, where the sum is exact and so the stored value is one: every float32 class of value through every output dtype,
 * rounding and overflow rule, and NaN and infinity through every kind of window. Values come from buffers: a compiler cannot know them.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openWebGpu, type WebGpu } from '../../src/backend/webgpu/webgpu.ts';
import {
	DTYPE_NAMES,
	DTYPES,
	type Dtype,
	numberToFloat16,
	type Overflow,
	type Rounding,
	rawElement,
	storeInteger,
	storeReal,
} from '../../src/core/dtype.ts';
import { outOf, prepare, problemOf } from './problems.ts';

const ENDS = [7, 8, 15, 16, 31, 32, 63, 64].flatMap((bits) => [2 ** bits - 1, 2 ** bits - 0.5, 2 ** bits, 2 ** bits + 1, 2 ** bits * 1.5]);

/** Ties, ends of every dtype, halfway cases of float16, large and tiny magnitudes; subnormals, which may be flushed, are left out. */
const MAGNITUDES = [
	...[0, 0.25, 0.49999997, 0.5, 0.50000006, 1, 1.5, 2.5, 3.5, 126.5, 127.5, 254.5, 255.5, 4194304.5, 8388607.5, 16777215, 2 ** 24],
	...ENDS,
	...[
		65504,
		65519.99,
		65520,
		65536,
		1e5,
		2 ** -14,
		2 ** -14 * (1 - 2 ** -12),
		2 ** -24,
		2 ** -25,
		2 ** -25 * 1.0001,
		3 * 2 ** -25,
		2 ** -26,
		2 ** -126,
	],
	...[
		1 + 2 ** -11,
		1 + 3 * 2 ** -11,
		1 + 2 ** -11 + 2 ** -23,
		2 ** 65,
		2 ** 96 * 1.25,
		2 ** 127,
		3.4028234663852886e38,
		Number.POSITIVE_INFINITY,
	],
].map(Math.fround);

const VALUES = Float32Array.from([...MAGNITUDES, ...MAGNITUDES.map((value) => -value), Number.NaN]);

const INTEGERS = DTYPE_NAMES.filter((dtype) => !DTYPES[dtype].float);

describe('stores', () => {
	let gpu: WebGpu;
	beforeAll(async () => {
		gpu = await openWebGpu({ robustness: false }); // the differential test has it both ways
	});
	afterAll(() => gpu.dispose());

	const row = (data: Float32Array) => ({
		data,
		dtype: 'float32' as const,
		sizes: [1, 1, 1, data.length] as const,
		strides: [0, 0, data.length, 1] as const,
		offset: 0,
	});

	async function stored(values: Float32Array, outputDtype: Dtype, rounding: Rounding, overflow: Overflow) {
		const problem = problemOf({
			dtype: 'float32',
			kernelDtype: 'float32',
			sizes: [1, 1, 1, values.length],
			outputDtype,
			rounding,
			overflow,
		});
		const executable = await prepare(gpu, problem);
		const out = outOf(problem);
		const outcome = await executable.run(row(values), out);
		executable.dispose();
		return { data: out.data, outcome };
	}

	const expectedRaw = (value: number, dtype: Dtype, rounding: Rounding, overflow: Overflow) =>
		rawElement(storeReal(value, dtype, rounding, overflow) as number | bigint, dtype, new DTYPES[dtype].array(0));

	it.each(['float16', 'float32', 'float64'] as const)('of floats as %s', async (dtype) => {
		const { data } = await stored(VALUES, dtype, 'nearest-even', 'saturate');
		for (const [i, value] of VALUES.entries()) {
			const expected = expectedRaw(value, dtype, 'nearest-even', 'saturate');
			if (Number.isNaN(value) && dtype === 'float16') expect((data[i] as number) & 0x7fff, String(value)).toBeGreaterThan(0x7c00);
			else expect(data[i], `${value}`).toBe(value === 0 && Object.is(data[i], 0) ? 0 : expected); // 0 + −0 is 0
		}
	});

	it.each(INTEGERS)('of floats as %s, by every rounding, saturated and wrapped', async (dtype) => {
		for (const rounding of ['nearest-even', 'half-away', 'truncate', 'floor'] as const) {
			for (const overflow of ['saturate', 'wrap'] as const) {
				const { data } = await stored(VALUES, dtype, rounding, overflow);
				for (const [i, value] of VALUES.entries()) {
					expect(data[i], `${value} ${rounding} ${overflow}`).toBe(expectedRaw(value, dtype, rounding, overflow));
				}
			}
		}
	});

	it.each(INTEGERS)("of floats as %s under 'throw', one value at a time", async (dtype) => {
		for (const value of [...ENDS, Number.POSITIVE_INFINITY, Number.NaN].map(Math.fround).flatMap((v) => [v, -v])) {
			const { outcome } = await stored(Float32Array.of(0, value, value), dtype, 'nearest-even', 'throw');
			expect(outcome.overflowAt, String(value)).toBe(storeReal(value, dtype, 'nearest-even', 'throw') === undefined ? 1 : undefined);
		}
	});

	/** Exact sums that lie on, just above and just below the ties of every float dtype, to 2^126. */
	const TIES = [11n, 24n, 53n].flatMap((p) =>
		[p + 1n, p + 2n, p + 9n]
			.filter((bits) => bits < 62n)
			.flatMap((bits) => {
				const half = 1n << (bits - p - 1n);
				const odd = (1n << (bits - 1n)) + 2n * half;
				return [
					odd + half,
					odd + half - 1n,
					odd + half + 1n,
					odd - half,
					odd + 2n * half - 1n,
					(1n << bits) - half,
					(1n << bits) - half - 1n,
				];
			}),
	);

	it.each(['float16', 'float32', 'float64'] as const)('of exact integer sums as %s, rounded once', async (outputDtype) => {
		const values = BigInt64Array.from([...TIES, ...TIES.map((value) => -value), 0n, 65519n, 65520n, -65520n, 2n ** 63n - 1n, -(2n ** 63n)]);
		const sizes = [1, 1, 1, values.length] as const;
		for (const tap of [1, -1, 2 ** 31, 2 ** 40 + 2 ** 20, 2 ** 62]) {
			const problem = problemOf({ dtype: 'int64', kernelDtype: 'int64', sizes, taps: [[tap]], outputDtype });
			const out = outOf(problem);
			const executable = await prepare(gpu, problem);
			await executable.run({ data: values, dtype: 'int64', sizes, strides: [0, 0, values.length, 1], offset: 0 }, out);
			executable.dispose();
			for (const [i, value] of values.entries()) {
				const expected = storeInteger(value * BigInt(tap), outputDtype, 'saturate') as number;
				expect(out.data[i], `${value} * ${tap}`).toBe(rawElement(expected, outputDtype, new DTYPES[outputDtype].array(0)));
			}
		}
	});

	const SPECIAL = [1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
	const TRIPLES = SPECIAL.flatMap((a) => SPECIAL.flatMap((b) => SPECIAL.map((c) => [a, b, c])));

	it.each([
		['sum', [1, 1, 1]],
		['difference', [1, 1, -1]],
		['zero tap inside', [1, 0, 1]],
	])('of NaN and infinity follow IEEE arithmetic: %s', async (_, taps) => {
		for (const dtype of ['float32', 'float16'] as const) {
			for (const [outputDtype, overflow] of [
				['float32', 'saturate'],
				['float16', 'saturate'],
				['float64', 'saturate'],
				['int16', 'saturate'],
				['uint8', 'wrap'],
			] as const) {
				for (const scale of [1, -2, 0]) {
					const spec = { dtype, kernelDtype: 'float32', sizes: [1, 1, TRIPLES.length, 3], taps: [taps], scale: [scale] } as const;
					const problem = problemOf({ ...spec, operation: 'correlate', mode: 'valid', outputDtype, overflow });
					const data = Float32Array.from(TRIPLES.flat());
					const image = { ...row(data), sizes: problem.image.sizes, strides: [0, 0, 3, 1] as const };
					const half = { ...image, dtype: 'float16' as const, data: Uint16Array.from(data, numberToFloat16) };
					const executable = await prepare(gpu, problem);
					const out = outOf(problem);
					await executable.run(dtype === 'float16' ? half : image, out);
					executable.dispose();
					for (const [k, triple] of TRIPLES.entries()) {
						const sum = scale * triple.reduce((total, value, i) => total + value * (taps[i] as number), 0);
						const got = out.data[k];
						const text = `${triple} by ${taps}, scale ${scale}, ${dtype} to ${outputDtype}: ${got}`;
						if (outputDtype === 'float16' && Number.isNaN(sum)) expect((got as number) & 0x7fff, text).toBeGreaterThan(0x7c00);
						else expect(Number(got), text).toBe(Number(expectedRaw(sum === 0 ? 0 : sum, outputDtype, 'nearest-even', overflow)));
					}
				}
			}
		}
	});
});
