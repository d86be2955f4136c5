/**
 * Thousands of random requests: every backend against the tests' own oracle. Integers must agree in every bit, floats within
 * the bound of src/core/bounds.ts, errors in their code and in the pixel that they name.
 *
 *     FALTUNG_SEED=…   the seed to replay (printed by a failure)
 *     FALTUNG_CASE=…   only this request of it
 *     FALTUNG_CASES=…  how many
 */
import { describe, expect, test } from 'vitest';
import { tested } from './backends.ts';
import { call, given, IMAGE_KINDS, VIEW_KINDS } from './call.ts';
import { answer, type Request } from './oracle/definition.ts';
import { valuesOf } from './oracle/dtypes.ts';
import { type Arithmetic, judgeAll, judgeOverflow, positionOf } from './oracle/judge.ts';
import { errorOf, Random, randomRequest } from './oracle/random.ts';

const seed = Number(process.env.FALTUNG_SEED ?? Math.floor(Math.random() * 2 ** 31));
const only = process.env.FALTUNG_CASE === undefined ? undefined : Number(process.env.FALTUNG_CASE);
const PER_TEST = 500;
/** So many take a few seconds each: a software adapter compiles a pipeline for most of them. */
const COUNTS = { reference: 8000, native: 8000, webgpu: 200 } as const;

const show = (request: Request): string =>
	JSON.stringify(request, (_, v: unknown) =>
		typeof v === 'bigint' ? `${v}n` : typeof v === 'number' && !Number.isFinite(v) ? String(v) : v,
	);

interface Failure {
	code?: string;
	message: string;
}

/** Undefined where the backend does what API.md says. */
async function difference(
	k: number,
	backend: string,
	arithmetic: Arithmetic,
	mayRefuse: (typeof tested)[number]['mayRefuse'],
): Promise<string | undefined> {
	const request = randomRequest(seed + k * 7919);
	const random = new Random(seed ^ (k * 31));
	const views = { image: random.pick(IMAGE_KINDS), kernel: random.pick(VIEW_KINDS) };
	const wanted = errorOf(request);
	const throws = request.options.overflow === 'throw';
	const expected = wanted === undefined ? answer(request) : undefined;
	const out =
		expected !== undefined && random.chance(0.2)
			? given(
					expected.dtype,
					expected.shape,
					new Array(expected.pixels.length).fill(expected.dtype.endsWith('int64') ? 0n : 0),
					random.pick(['dense', 'reversed', 'gaps', 'transposed']),
				)
			: undefined;
	let outcome: Awaited<ReturnType<typeof call>>;
	try {
		outcome = await call(request, { backend: backend as 'reference', verify: false, ...(out === undefined ? {} : { out }) }, views);
	} catch (error) {
		const { code, message } = error as Failure;
		if (wanted !== undefined || expected === undefined) return code === wanted ? undefined : `${code}: ${message}, expected ${wanted}`;
		if (
			code === 'UNSUPPORTED' &&
			mayRefuse({ image: request.image.dtype, kernel: request.kernel.dtype, sum: expected.sum, plain: expected.plain })
		)
			return undefined;
		if (code !== 'OVERFLOW' || !throws) return `${code}: ${message}`;
		return judgeOverflow(request, expected, message, arithmetic);
	}
	if (expected === undefined) return `an answer, expected ${wanted}`;
	if (outcome.report.backend !== backend) return `answered by ${outcome.report.backend}`;
	if (outcome.shape.join() !== expected.shape.join()) return `shape [${outcome.shape}], expected [${expected.shape}]`;
	if (outcome.dtype !== expected.dtype) return `dtype ${outcome.dtype}, expected ${expected.dtype}`;
	const overflow = throws ? judgeOverflow(request, expected, undefined, arithmetic) : undefined;
	if (overflow !== undefined) return overflow;
	const values = out === undefined ? outcome.values : gathered(out);
	return judgeAll(values, request, expected, { ...arithmetic, algorithm: outcome.report.algorithm })[0];
}

/** The values of a strided array in row-major order. */
function gathered(array: ReturnType<typeof given>): (number | bigint)[] {
	const { shape, strides, offset = 0 } = array;
	const all = valuesOf(array.data, array.dtype);
	if (strides === undefined) return all;
	return Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, k) => {
		const at = positionOf(k, shape).reduce((sum, i, axis) => sum + i * (strides[axis] as number), offset);
		return all[at] as number | bigint;
	});
}

describe.each(tested)(`$name, seed ${seed}`, ({ name, arithmetic, mayRefuse }) => {
	const count = Number(process.env.FALTUNG_CASES ?? COUNTS[name]);
	const first = only ?? 0;
	const last = only === undefined ? count : only + 1;
	for (let start = first; start < last; start += PER_TEST) {
		const end = Math.min(last, start + PER_TEST);
		test(`random problems ${start} to ${end - 1}`, async () => {
			for (let k = start; k < end; k++) {
				const wrong = await difference(k, name, arithmetic, mayRefuse);
				if (wrong === undefined) continue;
				const replay = `FALTUNG_SEED=${seed} FALTUNG_CASE=${k} FALTUNG_TEST_BACKENDS=${name} npx vitest run test/differential.test.ts`;
				expect.fail(`${wrong}\n  replay: ${replay}\n  ${show(randomRequest(seed + k * 7919)).slice(0, 4000)}`);
			}
		});
	}
});
