/** Runs the built command line as a person does. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

export interface Outcome {
	code: number | null;
	stdout: Buffer;
	/** Standard output as text. */
	text: string;
	stderr: string;
}

export const freshFolder = (): string => mkdtempSync(join(tmpdir(), 'faltung-cli-'));

/** Starts the command line (another copy of it: `main`) in a folder. `during` may talk to the process while it runs. */
export function faltung(
	folder: string,
	args: readonly string[],
	options: { input?: Uint8Array; env?: Record<string, string>; during?: (child: ChildProcess) => void; main?: string } = {},
): Promise<Outcome> {
	if (!existsSync(MAIN)) throw new Error('The command line is not built: run npm run build:ts first.');
	const child = spawn(process.execPath, [options.main ?? MAIN, ...args], { cwd: folder, env: { ...process.env, ...options.env } });
	const out: Buffer[] = [];
	let stderr = '';
	child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
	child.stderr.on('data', (chunk: Buffer) => {
		stderr += chunk;
	});
	child.stdin.on('error', () => {}); // it may end before it has read everything
	child.stdin.end(options.input ?? '');
	options.during?.(child);
	return new Promise((resolve, reject) => {
		child.on('error', reject);
		child.on('close', (code) => {
			const stdout = Buffer.concat(out);
			resolve({ code, stdout, text: stdout.toString(), stderr });
		});
	});
}
