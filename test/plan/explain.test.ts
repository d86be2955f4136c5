/** explain(): the whole table, sorted by time, with memory and error; toJSON() holds the same. */
import { describe, expect, test } from 'vitest';
import { explain, showBytes, showMilliseconds, toJSON } from '../../src/plan/explain.ts';
import { decide, gaussian, gpu, processor, reference } from './machines.ts';

const machine = [gpu(), processor('avx512', 2), reference];
const decision = decide({ kernel: gaussian(9), shape: [1024, 1024] }, machine);
const lines = explain(decision).split('\n');
const head = lines.findIndex((line) => line.startsWith('candidates'));
const rows = lines.slice(head + 1);

describe('the table', () => {
	test('has a row for every candidate, the chosen one marked', () => {
		expect(rows).toHaveLength(decision.candidates.length);
		const marked = rows.filter((row) => row.startsWith('>'));
		expect(marked).toHaveLength(1);
		expect(marked[0]).toContain(decision.plan.name);
	});

	test('possible ones first, by time', () => {
		const names = rows.map((row) => row.slice(2).split(' ')[0] as string);
		const time = (name: string) => decision.candidates.find((one) => one.name === name)?.plan?.predicted.milliseconds ?? Infinity;
		const times = names.map(time);
		expect(times).toEqual([...times].sort((a, b) => a - b));
	});

	test('columns are aligned: every reason begins where the heading says', () => {
		const at = (lines[head] as string).indexOf('why');
		for (const row of rows) {
			expect(row.slice(at - 2, at), row).toBe('  ');
			expect(row[at], row).not.toBe(' ');
		}
	});

	test('shows time, memory, error bound and why', () => {
		expect(rows[0]).toMatch(/^> \S+@native\.avx512 +[\d.]+ (µs|ms|s) +[\d.]+ (bytes|KiB|MiB) +\d\.\de-\d+ {2}\w/);
		const impossible = rows.filter((row) => / no {2}/.test(row));
		expect(impossible.length).toBeGreaterThan(2);
	});

	test('above it: the problem, the plan, where the constants come from, how sums are held', () => {
		for (const [k, pattern] of [
			/^f32 1024x1024 HW \* f32 9x9, correlate, same, symmetric {2}-> {2}float32 \[1024, 1024\]$/,
			/^plan +\S+@native\.avx512$/,
			/^predicted +[\d.]+ (µs|ms), [\d.]+ \w+ beside image and result$/,
			/^constants +shipped: /,
			/^sums +float32, within γ\(\d+\)·Σ\|tap·pixel\|, u = 2\^-24; \d\.\de-\d+ of max\|image\|·Σ\|kernel\|/,
		].entries())
			expect(lines[k]).toMatch(pattern);
	});

	test('an exact sum says so', () => {
		const text = explain(decide({ kernel: 3, dtype: 'uint8', kernelDtype: 'int32' }, machine));
		expect(text).toMatch(/^sums +int16, exact$/m);
		expect(text).toMatch(/ exact {2}/);
	});
});

describe('the overflow proof', () => {
	const store = (...given: Parameters<typeof decide>) => /^store +(.*)$/m.exec(explain(decide(...given)))?.[1];
	const bytes = { dtype: 'uint8', kernelDtype: 'int32' } as const;
	test('cannot: the range of all sums lies within the output', () => {
		expect(store({ ...bytes, kernel: [[1, -2, 1]], outputDtype: 'int16' }, [processor('avx512', 2)])).toMatch(
			/^int16, cannot overflow; sums need 11 bits/,
		);
	});
	test('may: the rule, and the bits that are needed', () => {
		expect(store({ ...bytes, kernel: [[1, -2, 1]], overflow: 'throw' }, [processor('avx512', 2)])).toMatch(
			/^uint8, throw where a sum leaves uint8; sums need/,
		);
	});
});

describe('JSON', () => {
	const data = JSON.parse(JSON.stringify(toJSON(decision)));
	test('every candidate in the order of the table, with time, memory, bound and reason', () => {
		expect(data.candidates.map(({ name }: { name: string }) => name)).toEqual(rows.map((row) => row.slice(2).split(' ')[0]));
		expect(data.candidates[0]).toEqual({
			name: decision.plan.name,
			algorithm: decision.plan.algorithm,
			backend: 'native',
			milliseconds: decision.plan.predicted.milliseconds,
			bytes: decision.plan.predicted.bytes,
			bound: expect.any(Number),
			why: expect.any(String),
		});
		expect(data.bound).toBe(data.candidates[0].bound);
	});
	test('the taps of windows are left out', () => {
		for (const window of data.problem.windows) expect(Object.keys(window).sort()).toEqual(['cols', 'first', 'rows']);
	});
});

test.each([
	[0.0123, '12.3 µs'],
	[1.234, '1.23 ms'],
	[123456, '123 s'],
])('%f ms is %s', (ms, text) => {
	expect(showMilliseconds(ms)).toBe(text);
});

test.each([
	[0, '0 bytes'],
	[999, '999 bytes'],
	[1000, '0.977 KiB'],
	[50 * 2 ** 20, '50.0 MiB'],
])('%i is %s', (bytes, text) => {
	expect(showBytes(bytes)).toBe(text);
});
