/** The commands. */
import { Command } from 'commander';
import { addBatch } from './commands/batch.ts';
import { addBench } from './commands/bench.ts';
import { addCalibrate } from './commands/calibrate.ts';
import { addConvolve } from './commands/convolve.ts';
import { addDemo } from './commands/demo.ts';
import { addDoctor } from './commands/doctor.ts';
import { addExplain } from './commands/explain.ts';
import { addKernels } from './commands/kernels.ts';
import type { Context } from './context.ts';
import { version } from './version.ts';

const AFTER = `
Exit codes: 0 done, 1 some inputs failed, 2 wrong usage, 130 interrupted.
Data goes to standard output, messages and progress to standard error.
Environment: FALTUNG_BACKEND, FALTUNG_ISA, FALTUNG_THREADS stand in for auto; FALTUNG_REQUIRE=webgpu,native makes an unusable backend an error;
FALTUNG_CALIBRATION is the file that faltung calibrate writes, or off.
`;

export function makeProgram(context: Context): Command {
	const program = new Command('faltung')
		.description('2-D convolution of pictures and arrays that explains its choice and verifies its result.')
		.version(version())
		.showHelpAfterError('(faltung <command> --help shows the options)')
		.addHelpText('after', AFTER)
		.exitOverride();
	for (const add of [addConvolve, addBatch, addExplain, addKernels, addBench, addCalibrate, addDoctor, addDemo]) add(program, context);
	return program;
}
