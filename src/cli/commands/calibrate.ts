/** faltung calibrate: measure the constants of the cost model on this machine, show them, keep them. */
import os from 'node:os';
import type { Command } from 'commander';
import { calibrate, type Outcome } from '../../backend/native/calibrate.ts';
import { calibrationPath, machineName, saveCosts } from '../../backend/native/calibration.ts';
import { COMMON, type CommonName, TERMS, withShipped } from '../../backend/native/costs.ts';
import { loadBackend } from '../../backend/registry.ts';
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
}

export function addCalibrate(program: Command, context: Context): void {
	program
		.command('calibrate')
		.description('Measure how fast this machine is at each algorithm, in under 20 seconds, and keep it for the planner.')
		.option('--json', 'the constants and every measurement as JSON')
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

async function run(flags: Flags, { signal }: Context): Promise<void> {
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
	if (flags.plot !== undefined) {
		const heading = `${machineName()}, ${outcome.isa}`;
		await writeOutput(flags.plot, [Buffer.from(svgPlot(heading, panelsOf(outcome)))]);
	}
	const kept = flags.dryRun === true ? undefined : (path as string);
	if (kept !== undefined) {
		const system = `${os.type()} ${os.release()}, Node ${process.version}`;
		saveCosts(kept, outcome.isa, { version: version(), date: new Date().toISOString(), system, numbers: outcome.numbers });
	}
	if (flags.json === true) printJson({ machine: machineName(), file: kept ?? null, ...outcome });
	else show(outcome);
	say(kept === undefined ? 'note: nothing was kept (--dry-run)' : `kept in ${kept}; delete the file to return to the shipped constants`);
}
