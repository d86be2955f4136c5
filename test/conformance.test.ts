/** Every vector of test/vectors on every backend, and on the tests' own oracle. */
import { describe, expect, test } from 'vitest';
import { naiveConvolve } from '../src/index.ts';
import { tested } from './backends.ts';
import { call, given } from './call.ts';
import { answer } from './oracle/definition.ts';
import { valuesOf } from './oracle/dtypes.ts';
import { judgeAll } from './oracle/judge.ts';
import { requestOf, type Vector, valuesIn, vectorFiles } from './vectors.ts';

const files = vectorFiles();
const total = files.reduce((sum, { cases }) => sum + cases.length, 0);

test('the vectors are there, each with a reason and a name of its own', () => {
	expect(total).toBeGreaterThan(350);
	for (const { cases, file } of files) {
		expect(new Set(cases.map(({ name }) => name)).size, file).toBe(cases.length);
		for (const { expected, name } of cases) expect(expected.data.length, name).toBe(expected.shape.reduce((a, b) => a * b, 1));
	}
});

const convolutions = files.flatMap(({ file, cases }) =>
	cases.filter(({ operation }) => operation !== 'naive').map((vector) => ({ file, vector })),
);
const title = ({ file, vector }: { file: string; vector: Vector }) => `${file.replace('.json', '')}: ${vector.name}`;

describe('oracle', () => {
	test.each(convolutions.map((entry) => [title(entry), entry.vector] as const))('%s', (_, vector) => {
		const request = requestOf(vector);
		const expected = answer(request);
		expect(expected.shape).toEqual(vector.expected.shape);
		expect(expected.dtype).toBe(vector.expected.dtype);
		expect(judgeAll(valuesIn(vector.expected), request, expected)).toEqual([]);
	});
});

describe.each(tested)('$name', ({ name: backend, mayRefuse }) => {
	test.each(convolutions.map((entry) => [title(entry), entry.vector] as const))('%s', async (_, vector) => {
		const request = requestOf(vector);
		const { sum } = answer(request);
		const result = call(request, { backend, verify: 'full' });
		if (mayRefuse({ image: request.image.dtype, kernel: request.kernel.dtype, sum })) {
			await expect(result).rejects.toMatchObject({ code: 'UNSUPPORTED' });
			return;
		}
		const { values, shape, dtype, report } = await result;
		expect({ shape, dtype, values, backend: report.backend }).toEqual({
			shape: vector.expected.shape,
			dtype: vector.expected.dtype,
			values: valuesIn(vector.expected),
			backend,
		});
	});
});

describe('naiveConvolve', () => {
	const cases = files.flatMap(({ cases }) => cases.filter(({ operation }) => operation === 'naive'));
	test.each(cases.map((vector) => [vector.name, vector] as const))('%s', (_, vector) => {
		const { image, kernel } = requestOf(vector);
		const result = naiveConvolve(given(image.dtype, image.shape, image.values), given(kernel.dtype, kernel.shape, kernel.values));
		expect({ shape: result.shape, dtype: result.dtype, values: valuesOf(result.data, result.dtype) }).toEqual({
			shape: vector.expected.shape,
			dtype: vector.expected.dtype,
			values: valuesIn(vector.expected),
		});
	});
});
