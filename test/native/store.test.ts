/** Float sums into bytes, through the vector store: every instruction set, values at the rounding and clamping edges. */
import { expect, test } from 'vitest';
import { loadAddon } from '../../src/backend/native/loader.ts';
import { loadNative } from '../../src/backend/native/native.ts';
import type { PlaneView } from '../../src/core/ndarray.ts';
import { denseOut, runOn, simpleProblem } from './harness.ts';

const EDGES = [
	[Number.NaN, 0],
	[Number.POSITIVE_INFINITY, 255],
	[Number.NEGATIVE_INFINITY, 0],
	[-1e30, 0],
	[-0.5, 0],
	[-0, 0],
	[0.5, 0],
	[0.50001, 1],
	[1.5, 2],
	[2.5, 2],
	[127.49999, 127],
	[254.49998, 254],
	[254.5, 254],
	[254.50002, 255],
	[255.5, 255],
	[256, 255],
	[1e30, 255],
] as const;

test.each(loadAddon().isas())('float32 sums to uint8: %s', async (isa) => {
	const backend = await loadNative({ isa });
	for (const width of [700, 128, 63]) {
		const problem = simpleProblem({
			height: 9,
			width,
			dtype: 'float32',
			kernelDtype: 'float32',
			k: 1,
			taps: Float64Array.of(1),
			outputDtype: 'uint8',
		});
		const count = 9 * width;
		const edge = (k: number) => EDGES[(k * 7 + (k >> 5)) % EDGES.length] as (typeof EDGES)[number];
		const data = Float32Array.from({ length: count }, (_, k) => edge(k)[0]);
		const image: PlaneView = { data, dtype: 'float32', sizes: problem.image.sizes, strides: [0, 0, width, 1], offset: 0 };
		const out = denseOut(problem);
		const { body } = await runOn(backend, problem, image, out);
		expect(body[0]).toBe(isa);
		expect(out.data).toEqual(Uint8Array.from({ length: count }, (_, k) => edge(k)[1]));
	}
});
