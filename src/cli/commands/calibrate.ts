/** faltung calibrate: measure the constants of the cost model on this machine, show them, keep them. */
import os from 'node:os';
import type { Command } from 'commander';
import { calibrate, type Outcome } from '../../backend/native/calibrate.ts';
import { calibrationPath, machineName, saveCosts, saveDevice } from '../../backend/native/calibration.ts';
import { COMMON, type CommonName, TERMS, withShipped } from '../../backend/native/costs.ts';
import { loadBackend } from '../../backend/registry.ts';
import type { DeviceOutcome } from '../../backend/webgpu/calibrate.ts';
import { FaltungError } from '../../core/errors.ts';
import { writeOutput } from '../../node/files.ts';
import type { Context } from '../context.ts';
import { type Panel, svgPlot, textPlot } from '../plot.ts';
import { figure, print, printJson, progress, say, table } from '../terminal.ts';
import { version } from '../version.ts';

interface Flags {
	json?: boolean;
	dryRun?: boolean;
	output?: string;
	plot?: string;
	gpu: boolean;
}

export function addCalibrate(program: Command, context: Context): void {
	program
		.command('calibrate')
		.description('Measure how fast this machine and its GPU are at each algorithm, in under 20 seconds, and keep it for the planner.')
		.option('--json', 'the constants and every measurement as JSON')
		.option('--no-gpu', 'leave the GPU out')
		.option('--dry-run', 'measure and show, keep nothing')
		.option(
			'-o, --output <file>',
			'keep it there; default $FALTUNG_CALIBRATION, else faltung/calibration.json under $XDG_CACHE_HOME or ~/.cache',
		)
		.option('--plot <file.svg>', 'draw the measurements')
		.action((flags: Flags) => run(flags, context));
}

/** Accumulators side by side, algorithms as series. Those wider than 64 bits are a hundred times slower and have one algorithm. */
function panelsOf({ points }: Outcome): Panel[] {
	const cells = [...new Set(points.map(({ cell }) => cell))];
	const accumulators = [...new Set(cells.map((cell) => cell.split('.')[1] as string))].filter((name) => !/^i\d{3}$/.test(name));
	return accumulators.map((accumulator) => ({
		title: `sums in ${accumulator}`,
		series: cells
			.filter((cell) => cell.endsWith(`.${accumulator}`))
			.map((cell) => ({
				name: cell.split('.')[0] as string,
				points: points
					.filter((point) => point.cell === cell)
					.map(({ side, outputs, measured, fitted }) => ({
						x: side,
						measured: (measured * 1e6) / outputs,
						fitted: (fitted * 1e6) / outputs,
					})),
			})),
	}));
}

/** How far the model is from the measurements of a cell: the worst ratio. */
function worstRatio({ points }: Outcome, cell: string): string {
	const own = points.filter((point) => point.cell === cell);
	if (own.length === 0) return '';
	return Math.max(...own.map(({ measured, fitted }) => Math.max(measured / fitted, fitted / measured))).toFixed(2);
}

function show(outcome: Outcome): void {
	const shipped = withShipped(outcome.isa).numbers;
	const rows = Object.entries(outcome.numbers).flatMap(([name, numbers]) =>
		numbers.map((value, k) => {
			const algorithm = name.split('.')[0] as keyof typeof TERMS;
			const term = TERMS[algorithm]?.[k] ?? COMMON[name as CommonName];
			return [name, term, figure(value), figure(shipped[name]?.[k] ?? 0), k === 0 ? worstRatio(outcome, name) : ''];
		}),
	);
	print(`${machineName()}, ${outcome.isa}; ${outcome.points.length} problems in ${outcome.seconds.toFixed(1)} s`);
	print(table(['constant', 'counts', 'measured', 'shipped', 'model off by'], rows, [2, 3, 4]));
	const panel = panelsOf(outcome).find(({ title }) => title.endsWith('f32'));
	if (panel !== undefined) print(`\n${textPlot(panel)}`);
}

/** Measures the GPU; undefined where there is none. */
async function measureDevice({ signal }: Context): Promise<DeviceOutcome | undefined> {
	const { openWebGpu } = await import('../../backend/webgpu/webgpu.ts');
	const { calibrateDevice } = await import('../../backend/webgpu/calibrate.ts');
	let gpu: Awaited<ReturnType<typeof openWebGpu>>;
	try {
		gpu = await openWebGpu({ timestamps: true });
	} catch (error) {
		if (!(error instanceof FaltungError) || error.code !== 'BACKEND_UNAVAILABLE') throw error;
		say(`note: no GPU was measured: ${error.message}`);
		return undefined;
	}
	try {
		return await calibrateDevice(gpu, { signal, onProgress: progress });
	} finally {
		gpu.dispose();
	}
}

/** The variants that were timed, and how fast the device is with the best of them. */
function showDevice({ device, software, measurements, points, seconds }: DeviceOutcome): void {
	print(`\n${device}; ${points.length} ${points.length === 1 ? 'variant' : 'variants'} in ${seconds.toFixed(1)} s`);
	const rows = points.map(({ axis, algorithm, variant, side, measured, fitted, wrong }) => {
		const chosen = measurements?.variants[axis];
		const mark = wrong ? 'other bits' : chosen !== undefined && `${chosen}` === `${variant}` ? 'taken' : '';
		const off = fitted === undefined ? mark : `model off by ${Math.max(measured / fitted, fitted / measured).toFixed(2)}`;
		return [axis, variant.join(' x '), `${algorithm} ${side} x ${side}`, figure(measured), off];
	});
	print(table(['measured', 'variant', 'on', 'milliseconds', ''], rows, [3]));
	if (software)
		print('A software adapter: a few variants were run to see that it works. Their times say nothing of a GPU, and nothing is kept.');
}

/** Shaders as series, over the whole device. */
function devicePanel({ points }: DeviceOutcome): Panel[] {
	const measured = points.filter(({ axis }) => axis === 'rate');
	if (measured.length === 0) return [];
	const series = [...new Set(measured.map(({ algorithm }) => algorithm))].map((name) => ({
		name,
		points: measured
			.filter(({ algorithm }) => algorithm === name)
			.map(({ side, outputs, measured: milliseconds, fitted = 0 }) => ({
				x: side,
				measured: (milliseconds * 1e6) / outputs,
				fitted: (fitted * 1e6) / outputs,
			})),
	}));
	return [{ title: 'the GPU, float32', series }];
}

async function run(flags: Flags, context: Context): Promise<void> {
	const { signal } = context;
	const path = flags.output ?? calibrationPath();
	if (path === undefined && flags.dryRun !== true) {
		throw new FaltungError(
			'INVALID_ARGUMENT',
			'Expected a file for what is measured but FALTUNG_CALIBRATION is off. Say --output or --dry-run.',
		);
	}
	const { FALTUNG_ISA: isa } = process.env;
	const backend = await loadBackend('native', isa === undefined || isa === '' || isa === 'auto' ? {} : { isa });
	const outcome = await calibrate(backend, { signal, onProgress: progress });
	const device = flags.gpu ? await measureDevice(context) : undefined;
	if (flags.plot !== undefined) {
		const heading = `${machineName()}, ${outcome.isa}`;
		const panels = [...panelsOf(outcome), ...(device === undefined ? [] : devicePanel(device))];
		await writeOutput(flags.plot, [Buffer.from(svgPlot(heading, panels))]);
	}
	const kept = flags.dryRun === true ? undefined : (path as string);
	if (kept !== undefined) {
		const origin = { version: version(), date: new Date().toISOString(), system: `${os.type()} ${os.release()}, Node ${process.version}` };
		saveCosts(kept, outcome.isa, { ...origin, numbers: outcome.numbers });
		if (device?.measurements !== undefined) saveDevice(kept, device.device, { ...origin, ...device.measurements });
	}
	if (flags.json === true) printJson({ machine: machineName(), file: kept ?? null, ...outcome, device: device ?? null });
	else {
		show(outcome);
		if (device !== undefined) showDevice(device);
	}
	say(kept === undefined ? 'note: nothing was kept (--dry-run)' : `kept in ${kept}; delete the file to return to the shipped constants`);
}
