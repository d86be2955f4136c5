/**
 * Direct sums of results wide and tall enough for what small problems never reach: a middle that is read where the image lies between
 * packed edges, rows that are packed one at a time, and more than 256 rows of one tile. Against src/core/oracle.ts.
 */
import { expect, test } from 'vitest';
import { loadNative } from '../../src/backend/native/native.ts';
import { BOUNDARIES } from '../../src/core/boundary.ts';
import type { Dtype } from '../../src/core/dtype.ts';
import { randomStream } from '../../src/core/random.ts';
import { between, denseOut, judge, pick, randomView, runOn, simpleProblem } from './harness.ts';

const backend = await loadNative();

test.each([
	['float32', 3, 1100],
	['float32', 9, 1055],
	['float64', 5, 2060],
	['uint8', 3, 2049],
	['float32', 3, 8],
	['float64', 6, 5],
] as const)('%s, %i taps a side, %i columns', async (dtype: Dtype, k, width) => {
	const random = randomStream(k * width);
	const height = width < 64 ? 600 : between(random, 2, 9);
	for (const boundary of BOUNDARIES) {
		const kernelDtype = dtype === 'float64' ? 'float64' : 'float32';
		const taps = Float64Array.from({ length: k * k }, () => between(random, -8, 8) / 8);
		const mode = pick(random, ['full', 'same'] as const);
		const problem = simpleProblem({ height, width, dtype, kernelDtype, k, taps, mode, boundary: [boundary, boundary] });
		const { sizes } = problem.image;
		const image = {
			...randomView(random, dtype, sizes, { repeat: false }),
			strides: [height * width, height * width, width, 1] as const,
			offset: 0,
		};
		const out = denseOut(problem);
		const tall = { height: 600, width: 4096 };
		const { plan, outcome } = await runOn(backend, problem, image, out, (p) => (width < 64 ? { ...p, tile: tall } : p));
		expect(judge(problem, plan, image, out, outcome), `${boundary}, ${mode}`).toBeUndefined();
	}
});
