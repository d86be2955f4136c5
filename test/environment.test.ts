/** FALTUNG_* in child processes, and what the suites ran on. Nothing is skipped in silence: this prints and states it. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { backends, convolve } from '../src/index.ts';
import { present, tested } from './backends.ts';

const library = new URL('../dist/index.js', import.meta.url);

afterAll(() => {
	const lines = present.map(({ name, usable, device, isa, threads, reason }) => {
		const what = [device, isa, threads === undefined ? undefined : `${threads} threads`].filter((part) => part !== undefined).join(', ');
		return `  ${name}: ${usable ? `usable${what === '' ? '' : ` (${what})`}` : `not usable: ${reason}`}`;
	});
	const ran = tested.map(({ name }) => name).join(', ');
	const stated = process.env.FALTUNG_TEST_BACKENDS;
	process.stderr.write(
		`\nbackends on this machine\n${lines.join('\n')}\ncontract suites ran on: ${ran} (FALTUNG_TEST_BACKENDS ${stated === undefined ? 'not set: all that are usable' : `= ${stated}`})\n`,
	);
});

describe('what is tested', () => {
	test('the reference always; every usable backend unless FALTUNG_TEST_BACKENDS says which', () => {
		const names: string[] = tested.map(({ name }) => name);
		const wanted = process.env.FALTUNG_TEST_BACKENDS?.split(',').map((name) => name.trim());
		const usable = present.filter((backend) => backend.usable).map(({ name }) => name as string);
		expect([...names].sort()).toEqual([...(wanted ?? usable)].sort());
		expect(names.length).toBeGreaterThan(0);
	});

	test.each(tested)('$name computes here', async ({ name }) => {
		const { data, report } = await convolve({ data: Uint8Array.of(1, 2), shape: [1, 2] }, [[1, 1]], { backend: name, verify: 'full' });
		expect([...data]).toEqual([1, 3, 2]);
		expect(report.backend).toBe(name);
	});

	test('backends() lists all three, with a reason for each that is not usable', async () => {
		const list = await backends();
		expect(list.map(({ name }) => name).sort()).toEqual(['native', 'reference', 'webgpu']);
		for (const { usable, reason, limits } of list) {
			expect(typeof usable).toBe('boolean');
			expect(limits).toBeTypeOf('object');
			if (!usable) expect(reason).toMatch(/\w+ \w+/);
		}
		expect(list.find(({ name }) => name === 'reference')?.usable).toBe(true);
	});
});

interface Answer {
	ok?: unknown;
	code?: string;
	message?: string;
	/** What the library itself wrote, if anything. */
	printed: string;
}

const run = promisify(execFile);

/** Two lines that Mesa's llvmpipe driver itself writes to stderr for each adapter; nobody above it can stop them. */
const DRIVER_NOISE = /^Warning: maxDynamic(Uniform|Storage)BuffersPerPipelineLayout artificially reduced .*\n/gm;

/** Runs a program against the built library in a process of its own, with no FALTUNG_ variable but those given. */
async function child(program: string, env: Record<string, string>): Promise<Answer> {
	if (!existsSync(fileURLToPath(library))) throw new Error('The library is not built: run npm run build:ts first.');
	const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('FALTUNG_')));
	const text = `import { convolve, backends, createConvolver, naiveConvolve } from ${JSON.stringify(library.href)};
const image = { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2] };
const answer = await (async () => { ${program} })().then((ok) => ({ ok }), (e) => ({ code: e.code, message: e.message }));
process.stdout.write('\x1e' + JSON.stringify(answer));`;
	const { stdout, stderr } = await run(process.execPath, ['--input-type=module', '-e', text], { env: { ...clean, ...env } });
	const [before, json] = stdout.split('\x1e') as [string, string];
	return { ...(JSON.parse(json) as Omit<Answer, 'printed'>), printed: before + stderr.replaceAll(DRIVER_NOISE, '') };
}

const ONE = 'return (await convolve(image, [[1]])).report;';
const usable = (name: string) => present.some((backend) => backend.name === name && backend.usable);

describe('FALTUNG_BACKEND', () => {
	test.each(['reference', 'reference,native', ' reference '])("'%s' stands in for auto", async (value) => {
		expect((await child(ONE, { FALTUNG_BACKEND: value })).ok).toMatchObject({ backend: 'reference' });
	});
	test.each(['', 'auto'])("'%s' is as if it were not set", async (value) => {
		const [set, unset] = await Promise.all([child(ONE, { FALTUNG_BACKEND: value }), child(ONE, {})]);
		expect((set.ok as { plan: string }).plan).toBe((unset.ok as { plan: string }).plan);
	});
	test.each(['native', 'webgpu'])('%s: used, or an error that says why not', async (name) => {
		const { ok, code, message } = await child(ONE, { FALTUNG_BACKEND: name });
		if (usable(name)) expect(ok).toMatchObject({ backend: name });
		else expect({ code, message }).toEqual({ code: 'BACKEND_UNAVAILABLE', message: expect.stringContaining(name) });
	});
	test('a name that is none is an error that names the variable and the nearest', async () => {
		const { code, message } = await child(ONE, { FALTUNG_BACKEND: 'natve' });
		expect(code).toBe('INVALID_ARGUMENT');
		for (const part of ['FALTUNG_BACKEND', '"natve"', 'Did you mean "native"']) expect(message).toContain(part);
	});
	test('an explicit option beats it', async () => {
		expect(
			(await child("return (await convolve(image, [[1]], { backend: 'reference' })).report;", { FALTUNG_BACKEND: 'webgpu' })).ok,
		).toMatchObject({ backend: 'reference' });
	});
	test("an explicit 'auto' does not", async () => {
		expect(
			(await child("return (await convolve(image, [[1]], { backend: 'auto' })).report;", { FALTUNG_BACKEND: 'reference' })).ok,
		).toMatchObject({ backend: 'reference' });
	});
	test('a convolver obeys it', async () => {
		expect(
			(await child('const c = await createConvolver([[1]]); return (await c.run(image)).report;', { FALTUNG_BACKEND: 'reference' })).ok,
		).toMatchObject({ backend: 'reference' });
	});
});

describe('FALTUNG_THREADS', () => {
	test.each(['1', '2', '1024'])('%s', async (value) => {
		expect((await child(ONE, { FALTUNG_THREADS: value })).code).toBeUndefined();
	});
	test.each(['0', '-1', '1025', '1.5', 'many', '0x2', '1e1'])('%s is an error', async (value) => {
		const { code, message } = await child(ONE, { FALTUNG_THREADS: value });
		expect(code).toBe('INVALID_ARGUMENT');
		expect(message).toContain('FALTUNG_THREADS');
	});
	test('the native backend uses that many on a large image; the option beats it', async () => {
		const program = (options: string) =>
			`const large = { data: new Float32Array(4e6), shape: [2000, 2000] };
			return (await convolve(large, [[1, 2, 3]], { backend: ['native', 'reference'], verify: false${options} })).report;`;
		const [set, beaten] = await Promise.all([
			child(program(''), { FALTUNG_THREADS: '3' }),
			child(program(', threads: 2'), { FALTUNG_THREADS: '3' }),
		]);
		expect(set.ok).toMatchObject(usable('native') ? { backend: 'native', threads: 3 } : { backend: 'reference' });
		expect(beaten.ok).toMatchObject(usable('native') ? { backend: 'native', threads: 2 } : { backend: 'reference' });
	});
});

describe('FALTUNG_ISA', () => {
	test('an unknown one is an error that names the nearest', async () => {
		const { code, message } = await child(ONE, { FALTUNG_ISA: 'avx' });
		expect(code).toBe('INVALID_ARGUMENT');
		for (const part of ['FALTUNG_ISA', '"avx"', 'Did you mean']) expect(message).toContain(part);
	});
	test('one that this machine lacks is BACKEND_UNAVAILABLE, not a crash', async () => {
		const foreign = process.arch === 'arm64' ? 'avx512' : 'neon';
		expect((await child(ONE, { FALTUNG_ISA: foreign })).code).toBe('BACKEND_UNAVAILABLE');
		expect((await child(ONE, { FALTUNG_ISA: foreign, FALTUNG_BACKEND: 'native' })).code).toBe('BACKEND_UNAVAILABLE');
	});
	test('base runs wherever the native backend does', async () => {
		const { ok, code } = await child(ONE, { FALTUNG_ISA: 'base', FALTUNG_BACKEND: 'native' });
		if (usable('native')) expect(ok).toMatchObject({ backend: 'native', isa: 'base' });
		else expect(code).toBe('BACKEND_UNAVAILABLE');
	});
});

describe('FALTUNG_REQUIRE', () => {
	test.each(['webgpu', 'native', 'webgpu,native'])('%s: an unusable backend is an error instead of a fallback', async (value) => {
		const { ok, code, message } = await child(ONE, { FALTUNG_REQUIRE: value });
		if (value.split(',').every(usable)) expect(ok).toMatchObject({ backend: expect.stringMatching(/^(webgpu|native|reference)$/) });
		else expect({ code, message }).toEqual({ code: 'BACKEND_UNAVAILABLE', message: expect.stringContaining('FALTUNG_REQUIRE') });
	});
	test('reference is always there', async () => {
		expect((await child(ONE, { FALTUNG_REQUIRE: 'reference' })).code).toBeUndefined();
	});
	test('a name that is none is an error', async () => {
		expect(await child(ONE, { FALTUNG_REQUIRE: 'gpu' })).toMatchObject({
			code: 'INVALID_ARGUMENT',
			message: expect.stringContaining('FALTUNG_REQUIRE'),
		});
	});
});

describe('by itself', () => {
	test('importing throws nothing and prints nothing, whatever the environment says', async () => {
		const hostile = { FALTUNG_BACKEND: 'x', FALTUNG_ISA: 'y', FALTUNG_THREADS: 'z', FALTUNG_REQUIRE: '%' };
		const { ok, printed } = await child('return naiveConvolve(image, [[2]]).shape;', hostile);
		expect({ ok, printed }).toEqual({ ok: [2, 2], printed: '' });
	});
	test('nothing is printed by work, errors, warnings or backends()', async () => {
		const program =
			"await convolve(image, [[1]]); await convolve(image, [[1]], { mode: 'x' }).catch(() => {}); return (await backends()).length;";
		expect(await child(program, {})).toMatchObject({ ok: 3, printed: '' });
	});
	test('the process ends by itself: nothing keeps the event loop alive', async () => {
		const began = performance.now();
		await child('const c = await createConvolver([[1]]); await c.run(image); return 1;', {});
		expect(performance.now() - began).toBeLessThan(15_000);
	});
});
