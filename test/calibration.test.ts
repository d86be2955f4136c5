/** The calibration file: written at once, believed only after it was checked; and what is measured into it. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { calibrate } from '../src/backend/native/calibrate.ts';
import {
	calibrationPath,
	libraryVersion,
	type Measured,
	machineName,
	measuredCosts,
	measuredDevices,
	parseCalibration,
	readCalibration,
	saveChoice,
	saveCosts,
	saveDevice,
	savedChoices,
} from '../src/backend/native/calibration.ts';
import { COST_NAMES, TERMS, withShipped } from '../src/backend/native/costs.ts';
import { fitNonNegative } from '../src/backend/native/fit.ts';
import { loadNative } from '../src/backend/native/native.ts';
import { backends, convolve } from '../src/index.ts';
import { faltung } from './cli-harness.ts';

const folder = mkdtempSync(join(tmpdir(), 'faltung-calibration-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.unstubAllEnvs());

let files = 0;
/** A file of its own for each test, which the library is told of. */
function fresh(content?: string): string {
	const path = join(folder, `${files++}`, 'calibration.json');
	mkdirSync(join(path, '..'));
	if (content !== undefined) writeFileSync(path, content);
	vi.stubEnv('FALTUNG_CALIBRATION', path);
	return path;
}

const measured = (numbers: Measured['numbers'], version = libraryVersion()): Measured => ({
	version,
	date: '2026-11-24T01:02:03.000Z',
	system: 'test',
	numbers,
});
const valid = (): string => {
	const machines = { [machineName()]: { costs: { avx2: measured({ 'direct.f32': [1, 2, 3, 4] }) }, choices: { a: 'b' } } };
	return JSON.stringify({ format: 'faltung calibration 2', machines });
};

describe('where it is', () => {
	test.each([
		[{ FALTUNG_CALIBRATION: '/x/y.json', XDG_CACHE_HOME: '/cache' }, '/x/y.json'],
		[{ XDG_CACHE_HOME: '/cache' }, '/cache/faltung/calibration.json'],
		[{ FALTUNG_CALIBRATION: 'off' }, undefined],
	])('%j', (env, path) => {
		expect(calibrationPath(env)).toBe(path);
	});
	test('a relative XDG_CACHE_HOME is not one', () => {
		expect(calibrationPath({ XDG_CACHE_HOME: 'cache' })).toMatch(/\.cache.faltung.calibration\.json$/);
	});
});

describe('reading', () => {
	test('what was saved comes back; other instruction sets and machines stay', () => {
		const path = fresh();
		saveCosts(path, 'avx2', measured({ 'direct.f32': [1, 2, 3, 4] }));
		saveCosts(path, 'base', measured({ pool: [7] }));
		expect(measuredCosts('avx2').costs).toEqual({
			from: 'measured on this machine on 2026-11-24 (faltung calibrate)',
			numbers: { 'direct.f32': [1, 2, 3, 4] },
		});
		expect(measuredCosts('base').costs?.numbers).toEqual({ pool: [7] });
		expect(measuredCosts('avx512')).toEqual({});
		expect(readdirSync(join(path, '..'))).toEqual(['calibration.json']);
	});

	const device = (version = libraryVersion()) => ({
		version,
		date: '2026-11-24T01:02:03.000Z',
		system: 'test',
		variants: { bank: [2] },
		rates: { tiled: 1e10 },
	});

	test('what was measured on a device comes back beside the rest', () => {
		const path = fresh();
		saveCosts(path, 'avx2', measured({ pool: [7] }));
		saveDevice(path, 'one', device());
		saveDevice(path, 'other', device('0.0.0'));
		expect(measuredDevices()).toEqual({ devices: { one: device() }, problem: expect.stringContaining('measured with faltung 0.0.0') });
		expect(measuredCosts('avx2').costs?.numbers).toEqual({ pool: [7] });
	});

	test.each<[string, object, RegExp]>([
		['no table of variants', { variants: 3 }, /lacks variants/],
		['a variant that is text', { variants: { bank: ['2'] } }, /variant is none/],
		['a rate of nothing', { rates: { tiled: 0 } }, /rate is no number/],
		['no date', { date: 'soon' }, /date/],
	])('a device with %s: ignored, with the reason', (_, change, reason) => {
		saveDevice(fresh(), 'one', { ...device(), ...change });
		expect(measuredDevices()).toEqual({ devices: {}, problem: expect.stringMatching(reason) });
	});

	test('no file, or none wanted: nothing, and nothing to say', () => {
		fresh();
		expect(measuredCosts('avx2')).toEqual({});
		vi.stubEnv('FALTUNG_CALIBRATION', 'off');
		expect(measuredCosts('avx2')).toEqual({});
	});

	test('what was measured stands in for what is shipped, name by name', () => {
		const costs = withShipped('avx2', { from: 'here', numbers: { pool: [1] } });
		expect(costs.from).toBe('here');
		expect(costs.numbers.pool).toEqual([1]);
		expect(costs.numbers['direct.f32']).toEqual(withShipped('avx2').numbers['direct.f32']);
	});

	const machine = (change: (machine: Record<string, Record<string, Record<string, unknown>>>) => void): string => {
		const file = JSON.parse(valid());
		change(file.machines[machineName()]);
		return JSON.stringify(file);
	};
	test.each<[string, string, RegExp]>([
		['nothing', '', /JSON/],
		['half of it', valid().slice(0, 150), /JSON/],
		['another program’s', '{"name":"x"}', /not "faltung calibration 2"/],
		['a later format', valid().replace('calibration 2', 'calibration 3'), /not "faltung calibration 2"/],
		['a list', '[]', /not "faltung/],
		['null', 'null', /not "faltung/],
		['no machines', '{"format":"faltung calibration 2"}', /no machines/],
		['a machine without choices', machine((m) => delete m.choices), /lacks costs or choices/],
		[
			'an unknown constant',
			machine((m) => Object.assign(m.costs?.avx2?.numbers as object, { 'direct.f33': [1, 2, 3] })),
			/unknown constant/,
		],
		['too few numbers', machine((m) => Object.assign(m.costs?.avx2?.numbers as object, { 'direct.f32': [1] })), /not 4 numbers/],
		['a negative one', machine((m) => Object.assign(m.costs?.avx2?.numbers as object, { 'direct.f32': [1, -1, 1, 1] })), /not 4 numbers/],
		['a huge one', machine((m) => Object.assign(m.costs?.avx2?.numbers as object, { pool: [1e300] })), /not 1 numbers/],
		['text for a number', machine((m) => Object.assign(m.costs?.avx2?.numbers as object, { pool: ['1'] })), /not 1 numbers/],
		['a date that is none', machine((m) => Object.assign(m.costs?.avx2 as object, { date: 'soon' })), /date/],
		['a choice that is no name', machine((m) => Object.assign(m.choices as object, { a: 3 })), /choice/],
		['two megabytes', `${valid()}${' '.repeat(2e6)}`, /more than/],
	])('%s: ignored, with the reason', (_, content, reason) => {
		const path = fresh(content);
		const { costs, problem } = measuredCosts('avx2');
		expect(costs).toBeUndefined();
		expect(problem).toMatch(reason);
		for (const part of [path, 'ignored', 'faltung calibrate']) expect(problem).toContain(part);
		expect(savedChoices()).toEqual({});
	});

	test('the control case is fine', () => {
		expect(parseCalibration(valid()).machines[machineName()]?.choices).toEqual({ a: 'b' });
	});

	test('constants of another version are ignored, with the reason', () => {
		saveCosts(fresh(), 'avx2', measured({ pool: [1] }, '0.0.0'));
		expect(measuredCosts('avx2')).toEqual({ problem: expect.stringContaining('measured with faltung 0.0.0') });
	});

	test('a folder in its place', () => {
		const path = fresh();
		mkdirSync(path);
		expect(measuredCosts('avx2').problem).toContain(path);
	});
});

describe('writing', () => {
	test('a broken file is replaced', () => {
		const path = fresh('{');
		saveCosts(path, 'avx2', measured({ pool: [1] }));
		expect(measuredCosts('avx2').costs?.numbers).toEqual({ pool: [1] });
	});

	test('folders are made', () => {
		const path = join(folder, 'deep', 'er', 'file.json');
		saveCosts(path, 'avx2', measured({ pool: [1] }));
		expect(readCalibration(path).problem).toBeUndefined();
	});

	test('where it cannot be written: IO for constants, silence for a choice', () => {
		const path = join(fresh('no folder'), 'file.json');
		vi.stubEnv('FALTUNG_CALIBRATION', path);
		expect(() => saveCosts(path, 'avx2', measured({}))).toThrow(expect.objectContaining({ code: 'IO' }));
		expect(() => saveChoice('a', 'b')).not.toThrow();
	});

	test('choices: the newest 500, names of any kind', () => {
		fresh();
		for (let k = 0; k < 502; k++) saveChoice(`class ${k}`, `plan ${k}`);
		saveChoice('class 5', 'other');
		saveChoice('__proto__', 'p');
		const choices = savedChoices();
		expect(Object.keys(choices)).toHaveLength(500);
		expect(choices['class 2']).toBeUndefined();
		expect(choices['class 5']).toBe('other');
		expect(Object.entries(choices).at(-1)).toEqual(['__proto__', 'p']);
	});
});

describe('constants from measurements', () => {
	test('exact times give the constants back', () => {
		const rows = [3, 5, 9, 15].map((k) => [1e6, 1e6 * k, 1e6 * k * k]);
		const truth = [0.3, 0.05, 0.01];
		const fitted = fitNonNegative(
			rows,
			rows.map((row) => row.reduce((sum, count, k) => sum + count * (truth[k] as number), 0)),
		);
		for (const [k, x] of fitted.entries()) expect(x).toBeCloseTo(truth[k] as number, 4);
	});
	test('none is negative, and noise stays noise', () => {
		const rows = [3, 5, 9].map((k) => [1, k, k * k]);
		const fitted = fitNonNegative(rows, [1, 4, 16]); // falls faster than any model
		for (const x of fitted) expect(x).toBeGreaterThanOrEqual(0);
	});
});

const usable = (await backends()).some(({ name, usable }) => name === 'native' && usable);

describe.runIf(usable)('on this machine', () => {
	test('every algorithm and accumulator that the backend has gets its constants', async () => {
		vi.stubEnv('FALTUNG_CALIBRATION', 'off');
		const heard: string[] = [];
		const { numbers, points } = await calibrate(await loadNative(), { rounds: 2, side: 64, onProgress: (text) => heard.push(text) });
		for (const algorithm of Object.keys(TERMS)) expect(numbers).toHaveProperty([`${algorithm}.f32`]);
		for (const [name, list] of Object.entries(numbers)) {
			expect(list, name).toHaveLength(COST_NAMES.get(name) as number);
			for (const x of list) expect(x, name).toBeGreaterThanOrEqual(0);
		}
		expect(points.length).toBeGreaterThan(12);
		expect(heard.length).toBeGreaterThan(4);
	});

	test('an abort ends it with the reason', async () => {
		await expect(calibrate(await loadNative(), { side: 64, signal: AbortSignal.abort('enough') })).rejects.toBe('enough');
	});

	test('a backend without an instruction set is refused', async () => {
		const { referenceBackend } = await import('../src/backend/reference.ts');
		await expect(calibrate(referenceBackend)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
	});

	test('measured constants move the predicted time; a broken file is a warning in the report', async () => {
		const path = fresh();
		const native = await loadNative();
		const isa = native.capabilities.isa as string;
		const image = { data: new Float32Array(100), shape: [10, 10] };
		saveCosts(path, isa, measured({ 'direct.f32': [5e5, 0, 0, 0] }));
		const slow = await loadNative();
		expect(slow.capabilities.costs?.from).toMatch(/^measured on this machine/);
		const { report } = await convolve(image, [[1, 2, 4]], { backend: slow, method: 'direct' });
		expect(report.warnings).toEqual([]);
		writeFileSync(path, 'broken');
		const warned = await loadNative();
		const result = await convolve(image, [[1, 2, 4]], { backend: warned });
		expect(result.report.warnings).toEqual([expect.stringContaining(`The calibration file ${path} is ignored`)]);
	});
});

describe.runIf(usable)('faltung calibrate', () => {
	test('measures, shows and keeps; doctor tells', async () => {
		const path = fresh();
		const picture = join(folder, 'plot.svg');
		const env = { FALTUNG_CALIBRATION: path };
		const began = performance.now();
		const { code, text, stderr } = await faltung(folder, ['calibrate', '--no-gpu', '--plot', picture], { env });
		expect(performance.now() - began).toBeLessThan(60_000); // under 20 s on a machine that does nothing else
		expect(code).toBe(0);
		expect(text).toContain(machineName());
		expect(text).toContain('direct.f32');
		expect(stderr).toContain(`kept in ${path}`);
		expect(readCalibration(path).calibration.machines).toHaveProperty([machineName()]);
		expect(readFileSync(picture, 'utf8')).toMatch(/^<svg [\s\S]*<polyline[\s\S]*<\/svg>\n$/);
		expect((await faltung(folder, ['doctor'], { env })).text).toMatch(/calibration +\S+: \w+ measured today with faltung/);
	});

	test('--dry-run --json keeps nothing', async () => {
		const path = fresh();
		const { code, text } = await faltung(folder, ['calibrate', '--no-gpu', '--dry-run', '--json'], { env: { FALTUNG_CALIBRATION: path } });
		expect([code, existsSync(path)]).toEqual([0, false]);
		expect(JSON.parse(text)).toMatchObject({ file: null, machine: machineName(), numbers: { pool: [expect.any(Number)] } });
	});

	test('Ctrl-C leaves the old file', async () => {
		const path = fresh(valid());
		const { code } = await faltung(folder, ['calibrate'], {
			env: { FALTUNG_CALIBRATION: path },
			during: (child) => setTimeout(() => child.kill('SIGINT'), 1000),
		});
		expect([code, readFileSync(path, 'utf8')]).toEqual([130, valid()]);
		expect(readdirSync(join(path, '..'))).toEqual(['calibration.json']);
	});

	test('switched off: a sentence', async () => {
		const { code, stderr } = await faltung(folder, ['calibrate'], { env: { FALTUNG_CALIBRATION: 'off' } });
		expect([code, stderr]).toEqual([2, expect.stringContaining('--output or --dry-run')]);
	});

	test.runIf(process.getuid?.() !== 0)('a folder that may not be written to', async () => {
		const closed = join(folder, 'closed');
		mkdirSync(closed);
		chmodSync(closed, 0o500);
		const { code, stderr } = await faltung(folder, ['calibrate', '--no-gpu', '--output', join(closed, 'x.json')]);
		expect([code, stderr]).toEqual([1, expect.stringContaining('could not')]);
	});

	test('policy measure remembers from one process to the next', async () => {
		const path = fresh();
		const env = { FALTUNG_CALIBRATION: path };
		const image = join(folder, 'image.npy');
		const { npy } = await import('./cli-harness.ts');
		writeFileSync(image, npy({ data: new Float32Array(640 * 640).fill(1), shape: [640, 640] }));
		const args = ['convolve', image, join(folder, 'out.npy'), '-k', 'gaussian:sigma=4', '--policy', 'measure', '--backend', 'native'];
		expect((await faltung(folder, args, { env })).code).toBe(0);
		const choices = Object.entries(readCalibration(path).calibration.machines[machineName()]?.choices ?? {});
		for (const [problem, plan] of choices) {
			expect(problem).toContain('f32 640x640');
			expect(plan).toContain('@native.');
		}
	});
});
