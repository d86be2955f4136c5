/** faltung batch: many inputs through one kernel into a folder. */
import { realpath } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { type ConvolverOptions, createConvolver } from '../../api/convolver.ts';
import { invalid } from '../../core/errors.ts';
import type { NdArray } from '../../core/ndarray.ts';
import { makeFolder, writeOutput } from '../../node/files.ts';
import type { PictureFormat } from '../../node/images.ts';
import type { Context } from '../context.ts';
import { type Job, makeJob } from '../filter.ts';
import { type ParsedKernel, parseKernel } from '../kernel-spec.ts';
import { resultName } from '../output-name.ts';
import { type FilterFlags, maxPixelsOf, withFilterOptions, withPictureOptions } from '../settings.ts';
import { loadSource } from '../source.ts';
import { runText } from '../summary.ts';
import { endProgress, printJson, progress, say } from '../terminal.ts';
import { encode } from './convolve.ts';

interface Flags extends FilterFlags {
	out: string;
	suffix?: string;
	json?: boolean;
	quiet?: boolean;
	concurrency: string;
}

/** What became of one input. */
type Row = { input: string; output: string; ok: true; report: unknown } | { input: string; ok: false; error: string };

/** An input that is decoded and waits for its result. */
interface Loaded {
	readonly input: string;
	readonly output: string;
	readonly format: PictureFormat | 'npy';
	readonly job: Job;
}

const EXAMPLES = `
Examples:
  faltung batch photos/*.jpg --out blurred --kernel gaussian:sigma=3
  faltung batch *.png --out edges --kernel sobel --signed shift --suffix -sobel --output-format png
`;

export function addBatch(program: Command, context: Context): void {
	const command = program
		.command('batch')
		.description('Convolve many pictures or arrays with one kernel into a folder; exit code 1 if some failed.')
		.argument('<inputs...>', 'files');
	withPictureOptions(withFilterOptions(command))
		.requiredOption('--out <folder>', 'where the results go, under the names of the inputs')
		.option('--suffix <text>', 'goes between name and ending of each result')
		.option('--concurrency <n>', 'images held at once: read ahead while one is computed', '2')
		.option('--json', 'print what became of each input as JSON on standard output')
		.option('-q, --quiet', 'say nothing but errors')
		.addHelpText('after', EXAMPLES)
		.action((inputs: string[], flags: Flags) => run(inputs, flags, context));
}

/** Two inputs of one name would overwrite each other's result. */
function checkNames(inputs: readonly string[]): void {
	const seen = new Map<string, string>();
	for (const input of inputs) {
		const name = basename(input);
		const other = seen.get(name);
		if (other !== undefined)
			throw invalid(
				'inputs of different names',
				'faltung batch',
				`${other} and ${input}`,
				'Their results would have one name: run them apart.',
			);
		seen.set(name, input);
	}
}

async function run(inputs: string[], flags: Flags, context: Context): Promise<void> {
	if (inputs.includes('-')) throw invalid('files', 'faltung batch', '-', 'Use faltung convolve for standard input.');
	checkNames(inputs);
	suffixOf(flags.suffix);
	const kernel = await parseKernel(flags.kernel, { normalize: flags.normalize === true, signal: context.signal });
	await makeFolder(flags.out);
	const work = new Batch(kernel, flags, context);
	const rows = await work.run(inputs);
	endProgress();
	const failed = rows.filter(({ ok }) => !ok).length;
	if (flags.json === true) printJson(rows);
	if (flags.quiet !== true)
		say(`${rows.length - failed} of ${rows.length} done${failed === 0 ? '' : `, ${failed} failed`}, results in ${flags.out}`);
	if (failed > 0) context.setExitCode(1);
}

class Batch {
	readonly #kernel: ParsedKernel;
	readonly #flags: Flags;
	readonly #signal: AbortSignal;
	readonly #maxPixels: number;
	readonly #rows = new Map<string, Row>();
	/** Where each input lies, without links. */
	#places: ReadonlySet<string> = new Set();
	/** Which input each result is of: p.jpg and p.png may both become p.png. */
	readonly #taken = new Map<string, string>();
	#total = 0;

	constructor(kernel: ParsedKernel, flags: Flags, context: Context) {
		this.#kernel = kernel;
		this.#flags = flags;
		this.#signal = context.signal;
		this.#maxPixels = maxPixelsOf(flags);
	}

	/** Rows in the order of the inputs. */
	async run(inputs: readonly string[]): Promise<Row[]> {
		this.#total = inputs.length;
		this.#places = new Set(await Promise.all(inputs.map(placeOf)));
		// One convolver holds one set of options, and these depend on the picture (8 or 16 bits, array or picture). Inputs that
		// need others wait for the next round.
		for (let waiting = [...inputs]; waiting.length > 0; ) waiting = await this.#round(waiting);
		return inputs.map((input) => this.#rows.get(input) as Row);
	}

	#fail(input: string, error: unknown): void {
		this.#signal.throwIfAborted();
		const message = error instanceof Error ? error.message : String(error);
		this.#rows.set(input, { input, ok: false, error: message });
		say(`faltung: ${input}: ${message}`);
	}

	async #load(input: string): Promise<Loaded> {
		const source = await loadSource(input, { maxPixels: this.#maxPixels, signal: this.#signal });
		const format = this.#flags.outputFormat ?? source.format;
		const output = resultName(input, this.#flags.out, suffixOf(this.#flags.suffix), format, format === source.format);
		await this.#claim(input, output);
		return { input, output, format, job: makeJob(source, this.#kernel, this.#flags, format) };
	}

	/** @throws where the result would be written over an input or over another result */
	async #claim(input: string, output: string): Promise<void> {
		const place = join(await placeOf(this.#flags.out), basename(output));
		if (this.#places.has(place) || this.#places.has(await placeOf(place)))
			throw invalid('a result that is no input', '--out', output, 'Name another folder, or say --suffix.');
		const other = this.#taken.get(place);
		if (other !== undefined && other !== input)
			throw invalid('results of different names', 'faltung batch', `${output}, which is that of ${other} already`, 'Run them apart.');
		this.#taken.set(place, input);
	}

	/** Runs every input whose options are those of the first readable one; gives back the rest. */
	async #round(inputs: readonly string[]): Promise<string[]> {
		const later: string[] = [];
		let first: Loaded | undefined;
		let at = 0;
		while (first === undefined && at < inputs.length) {
			const input = inputs[at++] as string;
			first = await this.#load(input).catch((error: unknown) => {
				this.#fail(input, error);
				return undefined;
			});
		}
		if (first === undefined) return [];
		const key = keyOf(first.job.options);
		const convolver = await createConvolver(this.#kernel.kernel, first.job.options);
		const queue: Loaded[] = [];
		const load = async (input: string): Promise<Loaded | undefined> => {
			try {
				const loaded = await this.#load(input);
				if (keyOf(loaded.job.options) === key) return loaded;
				later.push(input);
			} catch (error) {
				this.#fail(input, error);
			}
			return undefined;
		};
		async function* images(head: Loaded): AsyncGenerator<NdArray> {
			queue.push(head);
			yield head.job.image;
			for (const input of inputs.slice(at)) {
				const loaded = await load(input);
				if (loaded === undefined) continue;
				queue.push(loaded);
				yield loaded.job.image;
			}
		}
		try {
			const concurrency = Number(this.#flags.concurrency);
			for await (const result of convolver.batch(images(first), { concurrency, signal: this.#signal, onError: 'yield' })) {
				const loaded = queue[result.index] as Loaded;
				delete queue[result.index]; // its pixels can go
				if ('data' in result) await this.#write(loaded, result).catch((error: unknown) => this.#fail(loaded.input, error));
				else this.#fail(loaded.input, result.error);
				progress(`${this.#rows.size} of ${this.#total} ${loaded.input}`);
			}
		} finally {
			await convolver.dispose();
		}
		return later;
	}

	async #write(loaded: Loaded, result: Parameters<Job['finish']>[0]): Promise<void> {
		const { input, output, format, job } = loaded;
		const made = await job.finish(result);
		await writeOutput(output, await encode(made, format), this.#signal);
		this.#rows.set(input, { input, output, ok: true, report: result.report });
		if (this.#flags.quiet !== true) say(`${input} -> ${output}: ${runText(result.shape, result.report)}`);
	}
}

/** Where a file lies, without links; what is not there yet lies where it is said. */
const placeOf = (path: string): Promise<string> => realpath(path).catch(() => resolve(path));

const keyOf = (options: ConvolverOptions): string =>
	JSON.stringify(options, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));

/** A suffix must not lead into another folder. */
function suffixOf(suffix: string | undefined): string {
	if (suffix !== undefined && /[/\\]/.test(suffix)) throw invalid('a text without slashes', '--suffix', suffix);
	return suffix ?? '';
}
