/** Pages that are made by running something are as fresh as the code. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { ERROR_CODES } from '../src/core/errors.ts';

const path = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url));

test('docs/errors.md holds the answers that the library gives (node scripts/wrong-calls.mjs --write)', async () => {
	const { stdout } = await promisify(execFile)(process.execPath, [path('scripts/wrong-calls.mjs')]);
	expect(readFileSync(path('docs/errors.md'), 'utf8')).toBe(stdout);
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
