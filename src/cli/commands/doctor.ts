/** faltung doctor: what this machine offers, and why not more. */
import os from 'node:os';
import type { Command } from 'commander';
import { backends } from '../../api/backends.ts';
import { calibrationPath, machineName, readCalibration } from '../../backend/native/calibration.ts';
import { loadSharp } from '../../node/images.ts';
import type { Context } from '../context.ts';
import { print, printJson, table } from '../terminal.ts';
import { version } from '../version.ts';

const VARIABLES = ['FALTUNG_BACKEND', 'FALTUNG_ISA', 'FALTUNG_THREADS', 'FALTUNG_REQUIRE', 'FALTUNG_CALIBRATION'] as const;

export function addDoctor(program: Command, _context: Context): void {
	program
		.command('doctor')
		.description('Show what this machine offers: backends and why some are not usable, CPU, sharp, environment.')
		.option('--json', 'as JSON')
		.action((flags: { json?: boolean }) => run(flags.json === true));
}

async function sharpState(): Promise<string> {
	const state = await loadSharp().then(
		() => undefined,
		(error: Error) => error.message,
	);
	if (state !== undefined) return `not usable. ${state}`;
	const { default: sharp } = await import('sharp');
	return `${sharp.versions.sharp ?? ''} (libvips ${sharp.versions.vips}): pictures can be read and written`;
}

const DAY_MS = 86_400_000;

/** The calibration file, and how old this machine's part of it is. */
function calibrationState(): string {
	const path = calibrationPath();
	if (path === undefined) return 'switched off (FALTUNG_CALIBRATION)';
	const { calibration, problem } = readCalibration(path);
	if (problem !== undefined) return problem;
	const machine = calibration.machines[machineName()];
	const measured = Object.entries({ ...machine?.costs, ...machine?.devices }).map(([name, { date, version: by }]) => {
		const days = Math.floor((Date.now() - Date.parse(date)) / DAY_MS);
		const age = days === 0 ? 'today' : days === 1 ? 'yesterday' : `${days} days ago`;
		return `${name} measured ${age} with faltung ${by}${by === version() ? '' : ' and therefore ignored'}`;
	});
	const choices = Object.keys(machine?.choices ?? {}).length;
	if (measured.length === 0 && choices === 0) return `none for this machine in ${path}: shipped constants (faltung calibrate measures)`;
	return `${path}: ${[...measured, `${choices} remembered ${choices === 1 ? 'choice' : 'choices'}`].join(', ')}`;
}

async function run(json: boolean): Promise<void> {
	const cpus = os.cpus();
	const machine = {
		faltung: version(),
		node: process.version,
		platform: `${os.platform()} ${os.release()} ${os.arch()}`,
		cpu: `${cpus[0]?.model.trim() ?? 'unknown'}, ${cpus.length} logical cores`,
		memory: `${(os.totalmem() / 2 ** 30).toFixed(1)} GiB, ${(os.freemem() / 2 ** 30).toFixed(1)} GiB free`,
		sharp: await sharpState(),
		calibration: calibrationState(),
	};
	const environment = Object.fromEntries(VARIABLES.map((name) => [name, process.env[name] ?? null]));
	const list = await backends();
	if (json) {
		printJson({ ...machine, environment, backends: list });
		return;
	}
	const rows = [
		...Object.entries(machine),
		...Object.entries(environment).map(([name, value]) => [name, value ?? 'not set'] as [string, string]),
	];
	for (const [name, value] of rows) print(`${name.padEnd(19)} ${value}`);
	print('');
	const cells = list.map(({ name, usable, reason, device, isa, threads, limits }) => {
		const about = [
			device,
			isa,
			threads === undefined ? undefined : `${threads} ${threads === 1 ? 'thread' : 'threads'}`,
			...Object.entries(limits).map(([k, v]) => `${k} ${v}`),
			reason,
		];
		return [name, usable ? 'usable' : 'no', about.filter((part) => part !== undefined).join(', ')];
	});
	print(table(['backend', 'state', 'about'], cells));
}
