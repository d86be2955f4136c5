/** Pages that are made by running something are as fresh as the code. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { ERROR_CODES } from '../src/core/errors.ts';
import { backends, convolve, kernels } from '../src/index.ts';

const path = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url));

test('docs/errors.md holds the answers that the library gives (node scripts/wrong-calls.mjs --write)', async () => {
	const { stdout } = await promisify(execFile)(process.execPath, [path('scripts/wrong-calls.mjs')]);
	expect(readFileSync(path('docs/errors.md'), 'utf8')).toBe(stdout);
});

test('README.md: the first example gives the pixels and the plan that stand there', async () => {
	const readme = readFileSync(path('README.md'), 'utf8');
	const [, pixels, plan] = /^\[ ([\d, ]+) \] (\S+)@native\.\S+ /m.exec(readme) ?? [];
	const image = { data: new Uint8Array([10, 10, 10, 90, 90, 90]), shape: [2, 3] };
	const options = { mode: 'same', boundary: 'symmetric', outputDtype: 'int32' } as const;
	const { data, report } = await convolve(image, kernels.sobel({ axis: 'y' }), options);
	expect([...data].join(', ')).toBe(pixels);
	const native = (await backends()).find(({ name }) => name === 'native');
	if (native?.isa === 'avx512' && process.env.FALTUNG_BACKEND === undefined) expect(report.plan).toBe(`${plan}@native.avx512`);
});

test('docs/coverage.md names every option (node scripts/coverage-table.mjs)', () => {
	const page = readFileSync(path('docs/coverage.md'), 'utf8');
	const options = /const PLAN_KEYS = \[([^\]]*)\]/.exec(readFileSync(path('src/api/options.ts'), 'utf8'))?.[1]?.match(/\w+/g) ?? [];
	expect(options.length).toBeGreaterThan(15);
	for (const option of [...options, 'out', 'signal']) expect(page).toContain(`| \`${option}\` |`);
	expect(page).toContain('of wrong values: none.');
});

test('the error codes are those that are promised', () => {
	expect(Object.keys(ERROR_CODES).sort()).toEqual([
		'BACKEND_UNAVAILABLE',
		'DEVICE_LOST',
		'INVALID_ARGUMENT',
		'IO',
		'LIMIT_EXCEEDED',
		'OVERFLOW',
		'UNSUPPORTED',
		'VERIFICATION_FAILED',
	]);
	for (const meaning of Object.values(ERROR_CODES)) expect(meaning.length).toBeGreaterThan(10);
});
