/** Non-finite pixels make non-finite exactly those outputs whose window holds them. */
import { describe, expect, test } from 'vitest';
import { correlate } from '../src/index.ts';
import { tested } from './backends.ts';
import { call } from './call.ts';
import { answer, type Request } from './oracle/definition.ts';
import { arrayOf, type Dtype, valuesOf } from './oracle/dtypes.ts';
import { judgeAll } from './oracle/judge.ts';

const FLOATS = ['float16', 'float32', 'float64'] as const;
const STRANGE = [NaN, Infinity, -Infinity] as const;

describe.each(tested)('$name', ({ name: backend, arithmetic, mayRefuse }) => {
	const runs = (dtype: Dtype, kernel: Dtype) => !mayRefuse({ image: dtype, kernel, sum: dtype === 'float64' ? 'float64' : 'float32' });
	const floats = FLOATS.filter((dtype) => runs(dtype, dtype));

	test.each(FLOATS.filter((dtype) => !runs(dtype, dtype)))('%s images are refused', async (dtype) => {
		const refused = correlate({ data: arrayOf(dtype, [1]), shape: [1, 1], dtype }, [[1.5]], { backend });
		await expect(refused).rejects.toMatchObject({ code: 'UNSUPPORTED' });
	});

	describe.each(floats)('%s', (dtype) => {
		test.each(STRANGE)('one %f at every place of a 5×6 image, 3×3 kernel with a zero row, column and middle', async (strange) => {
			const kernels = {
				full: [1, 2, 1, 2, 4, 2, 1, 2, 1],
				middle: [1, 1, 1, 1, 0, 1, 1, 1, 1],
				row: [0, 0, 0, 1, -2, 1, 3, 4, 5],
				column: [0, 1, 2, 0, 0, 4, 0, 5, 6],
				none: [0, 0, 0, 0, 0, 0, 0, 0, 0],
			};
			for (const [name, taps] of Object.entries(kernels)) {
				for (let at = 0; at < 30; at++) {
					const values = Array.from({ length: 30 }, (_, k) => (k === at ? strange : k % 7));
					await check(
						{ values, shape: [5, 6], taps, kernelShape: [3, 3], options: { mode: 'same', boundary: 'symmetric' } },
						`${name}, pixel ${at}`,
					);
				}
			}
		});

		test.each(['full', 'valid'] as const)('mode %s', async (mode) => {
			for (let at = 0; at < 12; at++) {
				const values = Array.from({ length: 12 }, (_, k) => (k === at ? NaN : k));
				await check({ values, shape: [3, 4], taps: [0, 1, 0, 2], kernelShape: [2, 2], options: { mode, boundary: 'wrap' } }, `pixel ${at}`);
			}
		});

		test.each([2, 3, [1, 3], [4, 1]] as const)('dilation %j: a hole counts as a zero tap', async (dilation) => {
			for (let at = 0; at < 49; at++) {
				const values = Array.from({ length: 49 }, (_, k) => (k === at ? Infinity : k % 5));
				await check(
					{ values, shape: [7, 7], taps: [1, -1, 2, 3], kernelShape: [2, 2], options: { mode: 'same', dilation, boundary: 'mirror' } },
					`pixel ${at}`,
				);
			}
		});

		test('dilation and stride together', async () => {
			for (let at = 0; at < 49; at++) {
				const values = Array.from({ length: 49 }, (_, k) => (k === at ? NaN : k % 5));
				await check(
					{
						values,
						shape: [7, 7],
						taps: [1, -1, 2, 3],
						kernelShape: [2, 2],
						options: { mode: 'full', dilation: [2, 3], stride: [2, 3], boundary: 'edge' },
					},
					`pixel ${at}`,
				);
			}
		});

		test.each([NaN, Infinity])('the constant outside is %f', async (value) => {
			const values = Array.from({ length: 12 }, (_, k) => k);
			for (const dilation of [1, 2]) {
				await check(
					{ values, shape: [3, 4], taps: [1, 2, 3, 4], kernelShape: [2, 2], options: { mode: 'full', value, dilation } },
					`dilation ${dilation}`,
				);
				await check(
					{
						values,
						shape: [3, 4],
						taps: [1, 2, 3, 4],
						kernelShape: [2, 2],
						options: { mode: 'full', value, dilation, boundary: ['edge', 'constant'] },
					},
					`columns only, dilation ${dilation}`,
				);
			}
		});

		async function check(
			what: { values: number[]; shape: number[]; taps: number[]; kernelShape: number[]; options: Request['options'] },
			message: string,
		): Promise<void> {
			const request: Request = {
				operation: 'correlate',
				image: { dtype, layout: 'HW', shape: what.shape, values: what.values },
				kernel: { dtype, shape: what.kernelShape, values: what.taps },
				options: what.options,
			};
			const { values, report } = await call(request, { backend, verify: false });
			expect(judgeAll(values, request, answer(request), { ...arithmetic, algorithm: report.algorithm }), message).toEqual([]);
		}

		test('NaN stays NaN, one infinity keeps its sign, two of opposite sign give NaN', async () => {
			const image = (values: number[]) => ({ data: arrayOf(dtype, values), shape: [1, values.length], dtype });
			const sum = async (values: number[], taps: number[]) => {
				const { data } = await correlate(
					image(values),
					{ data: Float32Array.from(taps), shape: [1, taps.length] },
					{ mode: 'valid', backend, verify: false },
				);
				return valuesOf(data, dtype)[0];
			};
			expect(await sum([NaN, 1], [1, 1])).toBeNaN();
			expect(await sum([Infinity, 1], [1, 1])).toBe(Infinity);
			expect(await sum([Infinity, 1], [-1, 1])).toBe(-Infinity);
			expect(await sum([Infinity, Infinity], [1, -1])).toBeNaN();
			expect(await sum([1, Infinity, 2], [1, 0, 1])).toBeNaN(); // 0·∞
		});

		test('a finite outlier does not smear', async () => {
			const largest = dtype === 'float16' ? 65504 : 2 ** 100;
			const values = Array.from({ length: 81 }, (_, k) => (k === 40 ? largest : 0));
			const { data } = await correlate({ data: arrayOf(dtype, values), shape: [9, 9], dtype }, [[0.5, 0.5, 0.5]], {
				mode: 'same',
				backend,
			});
			const out = valuesOf(data, dtype);
			for (const [k, x] of out.entries()) expect(x, `pixel ${k}`).toBe([39, 40, 41].includes(k) ? largest / 2 : 0);
		});
	});

	test('an integer image with a constant outside knows no NaN', async () => {
		await expect(correlate({ data: new Uint8Array(1), shape: [1, 1] }, [[1, 1, 1]], { value: NaN, backend })).rejects.toMatchObject({
			code: 'INVALID_ARGUMENT',
		});
	});
});
