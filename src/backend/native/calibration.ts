/**
 * The calibration file: what was measured on this machine. `faltung calibrate` writes the constants of the cost model, policy 'measure'
 * its choices. Anybody may edit, copy or delete it, so nothing in it is believed before it is checked.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { FaltungError } from '../../core/errors.ts';
import type { Costs, DeviceMeasurements } from '../backend.ts';
import { COST_NAMES } from './costs.ts';

const FORMAT = 'faltung calibration 2';
const MOST_BYTES = 2 ** 20;
/** Choices of policy 'measure' that are kept; the oldest go first. */
const MOST_CHOICES = 500;

/** Constants measured with one instruction set. */
export interface Measured {
	/** Version of the library: another one's kernels have other speeds. */
	readonly version: string;
	/** ISO 8601. */
	readonly date: string;
	/** System and runtime. */
	readonly system: string;
	readonly numbers: Readonly<Record<string, readonly number[]>>;
}

/** What was measured on a device. */
export interface MeasuredDevice extends DeviceMeasurements {
	readonly version: string;
	readonly system: string;
}

interface Machine {
	/** By instruction set. */
	readonly costs: Readonly<Record<string, Measured>>;
	/** Problem class → name of the fastest plan. */
	readonly choices: Readonly<Record<string, string>>;
	/** By the name of the device; absent in files from before devices were measured. */
	readonly devices?: Readonly<Record<string, MeasuredDevice>>;
}

export interface Calibration {
	readonly format: typeof FORMAT;
	readonly machines: Readonly<Record<string, Machine>>;
}

const EMPTY: Calibration = { format: FORMAT, machines: {} };
const NO_MACHINE: Machine = { costs: {}, choices: {} };

export const libraryVersion = (): string =>
	(JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }).version;

/** The processor and how many threads of it this process may use: the key of what was measured. */
export const machineName = (): string =>
	`${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${availableParallelism()} threads, ${process.platform} ${process.arch}`;

/** FALTUNG_CALIBRATION, else under $XDG_CACHE_HOME or ~/.cache; undefined: switched off. */
export function calibrationPath(env: NodeJS.ProcessEnv = process.env): string | undefined {
	const said = env.FALTUNG_CALIBRATION?.trim();
	if (said === 'off') return undefined;
	if (said !== undefined && said !== '') return said;
	const cache = env.XDG_CACHE_HOME?.startsWith('/') ? env.XDG_CACHE_HOME : join(homedir(), '.cache');
	return join(cache, 'faltung', 'calibration.json');
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

function checkNumbers(value: unknown, where: string): asserts value is Measured['numbers'] {
	if (!isRecord(value)) throw new Error(`${where} is no table`);
	for (const [name, list] of Object.entries(value)) {
		const length = COST_NAMES.get(name);
		if (length === undefined) throw new Error(`${where} has an unknown constant ${JSON.stringify(name.slice(0, 40))}`);
		const fine = Array.isArray(list) && list.length === length && list.every((x) => typeof x === 'number' && x >= 0 && x < 1e9);
		if (!fine) throw new Error(`${where}, ${name}: not ${length} numbers of at least 0`);
	}
}

/** Texts that say where measurements come from. */
function checkOrigin(value: Record<string, unknown>, where: string): void {
	for (const key of ['version', 'date', 'system'] as const)
		if (typeof value[key] !== 'string') throw new Error(`${where} lacks its ${key}`);
	if (Number.isNaN(Date.parse(value.date as string))) throw new Error(`${where}: the date is none`);
}

const isCount = (x: unknown): boolean => typeof x === 'number' && x > 0 && x < 1e15;

function checkDevices(value: unknown, where: string): void {
	if (!isRecord(value)) throw new Error(`${where}: devices is no table`);
	for (const [name, device] of Object.entries(value)) {
		const here = `${where}, ${name.slice(0, 80)}`;
		if (!isRecord(device) || !isRecord(device.variants) || !isRecord(device.rates)) throw new Error(`${here} lacks variants or rates`);
		checkOrigin(device, here);
		const lists = Object.values(device.variants);
		if (!lists.every((list) => Array.isArray(list) && list.length <= 4 && list.every(isCount)))
			throw new Error(`${here}: a variant is none`);
		if (!Object.values(device.rates).every(isCount)) throw new Error(`${here}: a rate is no number above 0`);
	}
}

function checkMachine(value: unknown, where: string): asserts value is Machine {
	if (!isRecord(value) || !isRecord(value.costs) || !isRecord(value.choices)) throw new Error(`${where} lacks costs or choices`);
	for (const [isa, costs] of Object.entries(value.costs)) {
		if (!isRecord(costs)) throw new Error(`${where}, ${isa} is no table`);
		checkOrigin(costs, `${where}, ${isa}`);
		checkNumbers(costs.numbers, `${where}, ${isa}`);
	}
	if (!Object.values(value.choices).every((plan) => typeof plan === 'string')) throw new Error(`${where}: a choice is no plan's name`);
	if (value.devices !== undefined) checkDevices(value.devices, where);
}

/** The file's text as a Calibration. @throws Error with the reason */
export function parseCalibration(text: string): Calibration {
	const value: unknown = JSON.parse(text);
	if (!isRecord(value) || value.format !== FORMAT) throw new Error(`not ${JSON.stringify(FORMAT)}`);
	if (!isRecord(value.machines)) throw new Error('no machines');
	for (const [name, machine] of Object.entries(value.machines)) checkMachine(machine, name.slice(0, 80));
	return value as unknown as Calibration;
}

/** What the file holds; `problem` where there is one that cannot be used. */
export function readCalibration(path: string | undefined = calibrationPath()): { calibration: Calibration; problem?: string } {
	if (path === undefined) return { calibration: EMPTY };
	try {
		if (statSync(path).size > MOST_BYTES) throw new Error(`more than ${MOST_BYTES} bytes`);
		return { calibration: parseCalibration(readFileSync(path, 'utf8')) };
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { calibration: EMPTY };
		const reason = error instanceof Error ? error.message : String(error);
		return { calibration: EMPTY, problem: `The calibration file ${path} is ignored: ${reason}. Delete it, or run faltung calibrate.` };
	}
}

const staleText = (path: string | undefined, version: string): string =>
	`The constants in ${path} are ignored: they were measured with faltung ${version}, this is ${libraryVersion()}. Run faltung calibrate.`;

/** What was measured on this machine's devices with this version, and what is to be said about the rest. */
export function measuredDevices(): { devices: Readonly<Record<string, MeasuredDevice>>; problem?: string } {
	const path = calibrationPath();
	const { calibration, problem } = readCalibration(path);
	if (problem !== undefined) return { devices: {}, problem };
	const all = Object.entries(calibration.machines[machineName()]?.devices ?? {});
	const [stale] = all.filter(([, { version }]) => version !== libraryVersion());
	const devices = Object.fromEntries(all.filter(([, { version }]) => version === libraryVersion()));
	return stale === undefined ? { devices } : { devices, problem: staleText(path, stale[1].version) };
}

/** This machine's constants for an instruction set, and what is to be said about a file that cannot be used. */
export function measuredCosts(isa: string): { costs?: Costs; problem?: string } {
	const path = calibrationPath();
	const { calibration, problem } = readCalibration(path);
	if (problem !== undefined) return { problem };
	const measured = calibration.machines[machineName()]?.costs[isa];
	if (measured === undefined) return {};
	if (measured.version !== libraryVersion()) return { problem: staleText(path, measured.version) };
	return { costs: { from: `measured on this machine on ${measured.date.slice(0, 10)} (faltung calibrate)`, numbers: measured.numbers } };
}

/**
 * Reads the file, changes this machine's part of it and puts the new one in its place at once: who reads meanwhile sees the old one or
 * the new one.
 *
 * @throws IO where it cannot be written
 */
function update(path: string, change: (machine: Machine) => Machine): void {
	const { calibration } = readCalibration(path);
	const name = machineName();
	const machines = { ...calibration.machines, [name]: change(calibration.machines[name] ?? NO_MACHINE) };
	const beside = `${path}.${process.pid}.part`;
	try {
		mkdirSync(dirname(path), { recursive: true });
		writeFileSync(beside, `${JSON.stringify({ ...EMPTY, machines }, null, '\t')}\n`);
		renameSync(beside, path);
	} catch (cause) {
		if (existsSync(beside)) rmSync(beside);
		const reason = cause instanceof Error ? cause.message : String(cause);
		throw new FaltungError('IO', `Expected to write the calibration file ${path} but could not: ${reason}. Set FALTUNG_CALIBRATION.`, {
			cause,
		});
	}
}

/** Keeps the constants of an instruction set. Choices made before rest on nothing older, so they stay. */
export const saveCosts = (path: string, isa: string, measured: Measured): void =>
	update(path, (machine) => ({ ...machine, costs: { ...machine.costs, [isa]: measured } }));

/** Keeps what was measured on a device. */
export const saveDevice = (path: string, name: string, measured: MeasuredDevice): void =>
	update(path, (machine) => ({ ...machine, devices: { ...machine.devices, [name]: measured } }));

/** What policy 'measure' found in earlier processes. */
export const savedChoices = (): Readonly<Record<string, string>> => readCalibration().calibration.machines[machineName()]?.choices ?? {};

/** Keeps a choice of policy 'measure'; a file that cannot be written is no reason to fail. */
export function saveChoice(problemClass: string, plan: string): void {
	const path = calibrationPath();
	if (path === undefined) return;
	try {
		update(path, (machine) => {
			const { [problemClass]: _, ...others } = machine.choices;
			return { ...machine, choices: Object.fromEntries([...Object.entries(others), [problemClass, plan]].slice(-MOST_CHOICES)) };
		});
	} catch (error) {
		if (!(error instanceof FaltungError)) throw error;
	}
}
