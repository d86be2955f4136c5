/** faltung convolve: one image in, one out. */
import type { Command } from 'commander';
import { convolve, correlate } from '../../api/convolve.ts';
import type { ConvolveOptions } from '../../api/options.ts';
import { invalid } from '../../core/errors.ts';
import type { NdArray } from '../../core/ndarray.ts';
import { checkWritable, writeOutput } from '../../node/files.ts';
import { formatOfName, type PictureFormat, writePicture } from '../../node/images.ts';
import { writeNpy } from '../../node/npy.ts';
import type { Context } from '../context.ts';
import { makeJob } from '../filter.ts';
import { parseKernel } from '../kernel-spec.ts';
import { type FilterFlags, maxPixelsOf, withFilterOptions, withPictureOptions } from '../settings.ts';
import { loadSource, type Source } from '../source.ts';
import { runText } from '../summary.ts';
import { endProgress, printJson, progress, say } from '../terminal.ts';

interface Flags extends FilterFlags {
	json?: boolean;
	quiet?: boolean;
}

const EXAMPLES = `
Examples:
  faltung convolve photo.jpg blurred.png --kernel gaussian:sigma=3
  faltung convolve photo.jpg edges.png --kernel sobel:axis=x --signed shift
  faltung convolve photo.jpg soft.jpg --kernel "1 2 1; 2 4 2; 1 2 1" --normalize
  faltung convolve data.npy out.npy --kernel weights.npy --mode valid --output-dtype float32
  cat photo.png | faltung convolve - - --kernel box:size=9 > out.png
`;

export function addConvolve(program: Command, context: Context): void {
	const command = program
		.command('convolve')
		.description('Convolve a picture (PNG, JPEG, WebP, TIFF; 8 or 16 bits) or a .npy array with a kernel.')
		.argument('<input>', 'a file, or - for standard input')
		.argument('[output]', 'a file, or - for standard output', '-');
	withPictureOptions(withFilterOptions(command))
		.option('--json', 'print the report as JSON on standard output')
		.option('-q, --quiet', 'say nothing but errors')
		.addHelpText('after', EXAMPLES)
		.action((input: string, output: string, flags: Flags) => run(input, output, flags, context));
}

/** By option, by the name of the output, else that of the input. */
export function outputFormat(output: string, flags: FilterFlags, source: Source): PictureFormat | 'npy' {
	if (flags.outputFormat !== undefined) return flags.outputFormat;
	if (output === '-') return source.format;
	const format = formatOfName(output);
	if (format === undefined)
		throw invalid('a name ending in .png, .jpg, .webp, .tif or .npy', 'the output', output, 'Or say --output-format.');
	return format;
}

/** The bytes of a result in a format. */
export async function encode(array: NdArray, format: PictureFormat | 'npy'): Promise<Uint8Array[]> {
	return format === 'npy' ? writeNpy(array) : [await writePicture(array, format)];
}

async function run(input: string, output: string, flags: Flags, context: Context): Promise<void> {
	if (output === '-' && flags.json === true) throw invalid('an output file', '--json', 'standard output, which the JSON itself goes to');
	if (output === '-' && process.stdout.isTTY === true)
		throw invalid('an output file', 'the output', 'a terminal', 'Name a file, or send it on: > out.png.');
	const { signal } = context;
	await checkWritable(output);
	const kernel = await parseKernel(flags.kernel, { normalize: flags.normalize === true, signal });
	progress(`reading ${input}`);
	const source = await loadSource(input, { maxPixels: maxPixelsOf(flags), signal });
	const format = outputFormat(output, flags, source);
	const job = makeJob(source, kernel, flags, format);
	progress(`convolving ${source.label} with ${kernel.label}`);
	const { operation = 'convolve', ...options } = job.options;
	if (operation !== 'convolve' && operation !== 'correlate')
		throw invalid('convolve or correlate', '--operation', JSON.stringify(operation));
	const call = operation === 'convolve' ? convolve : correlate;
	const result = await call(job.image, kernel.kernel, { ...options, signal } as ConvolveOptions);
	progress(`writing ${output}`);
	const made = await job.finish(result);
	signal.throwIfAborted();
	await writeOutput(output, await encode(made, format), signal);
	endProgress();
	const notes = [...source.notes, ...job.notes, ...result.report.warnings];
	if (flags.json === true) {
		printJson({
			input,
			output,
			format,
			kernel: kernel.label,
			shape: made.shape,
			dtype: made.dtype ?? result.dtype,
			notes,
			report: result.report,
		});
	}
	if (flags.quiet === true) return;
	const shape = source.image.shape.join(' x ');
	say(
		`${source.label} (${source.dtype} ${shape}) * ${kernel.label} (${kernel.height} x ${kernel.width}) -> ${output} (${made.dtype ?? result.dtype} ${made.shape.join(' x ')})`,
	);
	say(runText(result.shape, result.report));
	for (const fallback of result.report.fallbacks) say(`tried before: ${fallback.plan}: ${fallback.message}`);
	for (const note of notes) say(`note: ${note}`);
}
