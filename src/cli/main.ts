#!/usr/bin/env node
/** The command line. Exit codes: 0 done, 1 some inputs failed, 2 usage, 130 interrupted. */
import { CommanderError } from 'commander';
import { FaltungError } from '../core/errors.ts';
import { makeProgram } from './program.ts';
import { endProgress, say } from './terminal.ts';

const FAILED = 1;
const USAGE = 2;
const INTERRUPTED = 130;

const controller = new AbortController();

/** The first Ctrl-C stops the work and tidies up, a second one ends at once: process.exit() would wait for a thread that opens a pipe nobody writes to. */
function interrupt(signal: NodeJS.Signals): void {
	if (controller.signal.aborted) {
		process.removeListener(signal, interrupt);
		process.kill(process.pid, signal);
		return;
	}
	controller.abort(new Error('interrupted'));
	process.exitCode = INTERRUPTED;
}

/** A reader such as `head` that has enough is no error. */
function quietPipe(error: NodeJS.ErrnoException): void {
	if (error.code === 'EPIPE') process.exit(0);
	say(`faltung: cannot write to standard output: ${error.message}`);
	process.exit(FAILED);
}

function exitCodeOf(error: unknown): number {
	if (controller.signal.aborted) return INTERRUPTED;
	if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE;
	return error instanceof FaltungError && error.code === 'INVALID_ARGUMENT' ? USAGE : FAILED;
}

function report(error: unknown): void {
	endProgress();
	if (controller.signal.aborted) say('faltung: interrupted');
	else if (error instanceof FaltungError) say(`faltung: ${error.message}`);
	else if (!(error instanceof CommanderError))
		say(`faltung: unexpected error, please report it: ${error instanceof Error ? error.stack : error}`);
}

process.on('SIGINT', interrupt);
process.on('SIGTERM', interrupt);
process.stdout.on('error', quietPipe);
process.stderr.on('error', () => {}); // messages that nobody reads any more are no reason to leave the work undone

try {
	const program = makeProgram({
		signal: controller.signal,
		setExitCode: (code) => {
			process.exitCode = code;
		},
	});
	await program.parseAsync(process.argv);
	if (controller.signal.aborted) process.exitCode = INTERRUPTED;
} catch (error) {
	report(error);
	process.exitCode = exitCodeOf(error);
}
