/**
 * Properties that no stored output can fake: impulse, linearity, shift, commutativity, flipping, associativity of integers,
 * strips against the whole. Integers bitwise; floats within the sum of the bounds.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ConvolveOptions, convolve, correlate } from '../src/index.ts';
import { tested } from './backends.ts';

const seed = process.env.FALTUNG_SEED === undefined ? undefined : Number(process.env.FALTUNG_SEED);
const RUNS = { reference: 150, native: 150, webgpu: 40 } as const;
const MODES = ['full', 'same', 'valid'] as const;
const BOUNDARIES = ['constant', 'edge', 'symmetric', 'mirror', 'wrap'] as const;

interface Grid {
	height: number;
	width: number;
	values: number[];
}

const grid = (most: number, low: number, high: number, least = 1): fc.Arbitrary<Grid> =>
	fc
		.tuple(fc.integer({ min: least, max: most }), fc.integer({ min: least, max: most }))
		.chain(([height, width]) =>
			fc
				.array(fc.integer({ min: low, max: high }), { minLength: height * width, maxLength: height * width })
				.map((values) => ({ height, width, values })),
		);

const int32 = ({ height, width, values }: Grid) => ({ data: Int32Array.from(values), shape: [height, width] });
const float32 = ({ height, width, values }: Grid) => ({ data: Float32Array.from(values, (v) => v / 7), shape: [height, width] });
const flipped = (g: Grid): Grid => ({ ...g, values: g.values.toReversed() });

const mode = fc.constantFrom(...MODES);
const boundary = fc.constantFrom(...BOUNDARIES);

describe.each(tested)('$name', ({ name: backend, arithmetic }) => {
	const parameters = { numRuns: RUNS[backend], ...(seed === undefined ? {} : { seed }) };
	const property = <Ts extends [unknown, ...unknown[]]>(
		title: string,
		arbitraries: { [K in keyof Ts]: fc.Arbitrary<Ts[K]> },
		check: (...values: Ts) => Promise<void>,
	) =>
		test(title, () =>
			fc.assert(
				fc.asyncProperty(...(arbitraries as [fc.Arbitrary<unknown>]), check as unknown as (value: unknown) => Promise<void>),
				parameters,
			),
		);
	const conv = async (image: Grid, kernel: Grid, options: ConvolveOptions = {}) => {
		const { data, shape } = await convolve(int32(image), int32(kernel), { overflow: 'wrap', ...options, backend });
		return { height: shape[0] as number, width: shape[1] as number, values: Array.from(data as Int32Array) };
	};
	const fitting = (image: Grid, kernel: Grid, m: (typeof MODES)[number]) =>
		m !== 'valid' || (kernel.height <= image.height && kernel.width <= image.width);

	property('an impulse gives the kernel back, bit for bit, in every integer dtype', [grid(6, 0, 127)], async (kernel) => {
		for (const type of [Uint8Array, Int8Array, Uint16Array, Int16Array, Uint32Array, Int32Array]) {
			const { data, shape } = await convolve({ data: type.of(1), shape: [1, 1] }, int32(kernel), { backend });
			expect(shape).toEqual([kernel.height, kernel.width]);
			expect([...data]).toEqual(kernel.values);
		}
	});

	property('a 1×1 kernel of 1 gives the image back', [grid(12, -(2 ** 31), 2 ** 31 - 1), boundary, mode], async (image, b, m) => {
		expect(await conv(image, { height: 1, width: 1, values: [1] }, { boundary: b, mode: m })).toEqual(image);
	});

	property('full convolution commutes', [grid(8, -(2 ** 31), 2 ** 31 - 1), grid(8, -(2 ** 31), 2 ** 31 - 1)], async (a, b) => {
		expect(await conv(a, b)).toEqual(await conv(b, a));
	});

	property(
		'full convolution associates, modulo 2^32',
		[grid(6, -(2 ** 31), 2 ** 31 - 1), grid(4, -(2 ** 31), 2 ** 31 - 1), grid(4, -(2 ** 31), 2 ** 31 - 1)],
		async (a, b, c) => {
			expect(await conv(await conv(a, b), c)).toEqual(await conv(a, await conv(b, c)));
		},
	);

	property(
		'linear in the kernel, modulo 2^32',
		[grid(9, -(2 ** 31), 2 ** 31 - 1), grid(4, -(2 ** 31), 2 ** 31 - 1), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), boundary, mode],
		async (image, kernel, factor, b, m) => {
			fc.pre(fitting(image, kernel, m));
			const scaled = { ...kernel, values: kernel.values.map((v) => Math.imul(v, factor)) };
			const sums = (await conv(image, kernel, { boundary: b, mode: m })).values;
			expect((await conv(image, scaled, { boundary: b, mode: m })).values).toEqual(sums.map((v) => Math.imul(v, factor)));
		},
	);

	property(
		'additive in the image, modulo 2^32',
		[grid(9, -(2 ** 31), 2 ** 31 - 1), grid(4, -(2 ** 31), 2 ** 31 - 1), boundary, mode],
		async (image, kernel, b, m) => {
			fc.pre(fitting(image, kernel, m));
			const other = { ...image, values: image.values.map((v, k) => Math.imul(v, 2654435761) + k).map((v) => v | 0) };
			const both = { ...image, values: image.values.map((v, k) => (v + (other.values[k] as number)) | 0) };
			const options = { boundary: b, mode: m };
			const [x, y, z] = await Promise.all([conv(image, kernel, options), conv(other, kernel, options), conv(both, kernel, options)]);
			expect(z.values).toEqual(x.values.map((v, k) => (v + (y.values[k] as number)) | 0));
		},
	);

	property(
		'under wrap, shifting the image shifts the result',
		[grid(9, -1000, 1000), grid(5, -1000, 1000), fc.nat(8), fc.nat(8)],
		async (image, kernel, dy, dx) => {
			const roll = (g: Grid): Grid => ({
				...g,
				values: g.values.map(
					(_, k) => g.values[((Math.floor(k / g.width) + dy) % g.height) * g.width + (((k % g.width) + dx) % g.width)] as number,
				),
			});
			const options = { mode: 'same', boundary: 'wrap' } as const;
			expect(await conv(roll(image), kernel, options)).toEqual(roll(await conv(image, kernel, options)));
		},
	);

	property(
		'correlate is convolve with the kernel flipped, in every mode',
		[grid(8, -1000, 1000), grid(5, -1000, 1000), boundary, mode, fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })],
		async (image, kernel, b, m, stride, dilation) => {
			const K = (k: number) => (k - 1) * dilation + 1;
			fc.pre(m !== 'valid' || (K(kernel.height) <= image.height && K(kernel.width) <= image.width));
			const options = { boundary: b, mode: m, stride, dilation };
			const { data, shape } = await correlate(int32(image), int32(flipped(kernel)), { overflow: 'wrap', ...options, backend });
			const direct = await conv(image, kernel, options);
			expect({ shape, data: [...data] }).toEqual({ shape: [direct.height, direct.width], data: direct.values });
		},
	);

	property(
		'turning image and kernel upside down turns the result (symmetric rules)',
		[grid(8, -1000, 1000), grid(5, -1000, 1000), boundary, fc.constantFrom('full', 'valid')],
		async (image, kernel, b, m) => {
			fc.pre(fitting(image, kernel, m as 'full'));
			const options = { boundary: b, mode: m as 'full' };
			expect(await conv(flipped(image), flipped(kernel), options)).toEqual(flipped(await conv(image, kernel, options)));
		},
	);

	property(
		'separable kernels: columns then rows give the same integers',
		[
			grid(9, -1000, 1000),
			fc.array(fc.integer({ min: -99, max: 99 }), { minLength: 1, maxLength: 5 }),
			fc.array(fc.integer({ min: -99, max: 99 }), { minLength: 1, maxLength: 5 }),
			fc.constantFrom('edge', 'symmetric', 'mirror', 'wrap'),
		],
		async (image, column, row, b) => {
			const options = { mode: 'same', boundary: b as 'edge' } as const;
			const outer = { height: column.length, width: row.length, values: column.flatMap((v) => row.map((w) => v * w)) };
			const twice = await conv(
				await conv(image, { height: column.length, width: 1, values: column }, options),
				{ height: 1, width: row.length, values: row },
				options,
			);
			expect(await conv(image, outer, options)).toEqual(twice);
		},
	);

	property(
		'a constant image stays constant: value·Σw',
		[fc.integer({ min: -999, max: 999 }), fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }), grid(11, -999, 999), boundary],
		async (v, height, width, kernel, b) => {
			const image = { height, width, values: new Array(height * width).fill(v) as number[] };
			const sum = kernel.values.reduce((a, w) => a + w, 0);
			const { values } = await conv(image, kernel, { mode: 'same', boundary: b, value: v });
			expect(new Set(values)).toEqual(new Set([v * sum === 0 ? 0 : v * sum]));
		},
	);

	property(
		'rows cut out and joined again: strips with their halos give the whole',
		[grid(12, -1000, 1000, 3), grid(4, -1000, 1000), fc.integer({ min: 1, max: 11 })],
		async (image, kernel, at) => {
			fc.pre(fitting(image, kernel, 'valid') && at < image.height - kernel.height + 1);
			const rows = (from: number, to: number): Grid => ({
				height: to - from,
				width: image.width,
				values: image.values.slice(from * image.width, to * image.width),
			});
			const whole = await conv(image, kernel, { mode: 'valid' });
			const [top, bottom] = await Promise.all([
				conv(rows(0, at + kernel.height - 1), kernel, { mode: 'valid' }),
				conv(rows(at, image.height), kernel, { mode: 'valid' }),
			]);
			expect([...top.values, ...bottom.values]).toEqual(whole.values);
		},
	);

	property(
		'planes do not touch: a stack is its planes',
		[fc.array(grid(1, 0, 255), { minLength: 2, maxLength: 4 }), grid(6, -99, 99), grid(3, -99, 99), boundary],
		async (seeds, first, kernel, b) => {
			const planes = seeds.map((s, k) => first.values.map((v, i) => (v + (s.values[0] as number) * (i + k)) | 0));
			const stack = { data: Int32Array.from(planes.flat()), shape: [planes.length, first.height, first.width] };
			const options = { mode: 'same', boundary: b, overflow: 'wrap' } as const;
			const { data } = await convolve(stack, int32(kernel), { ...options, layout: 'NHW', backend });
			const single = await Promise.all(planes.map((values) => conv({ ...first, values }, kernel, options)));
			expect([...data]).toEqual(single.flatMap(({ values }) => values));
		},
	);

	property(
		'floats: linearity within the sum of the bounds',
		[grid(9, -1000, 1000), grid(5, -1000, 1000), boundary],
		async (image, kernel, b) => {
			// γ(n)·Σ|w||x| for each of three sums, n ≤ kw + kh (doubled where the arithmetic is relaxed), and the rounding of x + y
			const [x, w] = [float32(image), float32(kernel)];
			const y = { ...x, data: x.data.map((v, k) => Math.fround(v * 3 - k / 3)) };
			const z = { ...x, data: x.data.map((v, k) => Math.fround(v + (y.data[k] as number))) };
			const options = { mode: 'same', boundary: b, backend, verify: false } as const;
			const [cx, cy, cz] = await Promise.all([x, y, z].map(async (image_) => (await convolve(image_, w, options)).data));
			const magnitude = async (v: typeof x) =>
				(
					await convolve(
						{ data: Float64Array.from(v.data, Math.abs), shape: v.shape },
						{ data: Float64Array.from(w.data, Math.abs), shape: w.shape },
						{ mode: 'same', boundary: b, backend: 'reference', verify: false },
					)
				).data;
			const [ax, ay, az] = await Promise.all([magnitude(x), magnitude(y), magnitude(z)]);
			const u = 2 ** -24 * (arithmetic.relaxed ? 2 : 1);
			const n = kernel.height + kernel.width;
			const gamma = ((n + 1) * u) / (1 - (n + 1) * u); // one more: z itself was rounded, and so is each result
			for (const [k, v] of (cz as Float32Array).entries()) {
				const bound = gamma * ((ax[k] as number) + (ay[k] as number) + 2 * (az[k] as number));
				expect(Math.abs(v - ((cx?.[k] as number) + (cy?.[k] as number))), `pixel ${k}`).toBeLessThanOrEqual(bound);
			}
		},
	);
});
