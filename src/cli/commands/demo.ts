/** faltung demo (npm start): a picture through several kernels, verified, with a table of what happened. */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Command } from 'commander';
import { convolve } from '../../api/convolve.ts';
import type { ConvolveOptions } from '../../api/options.ts';
import type { Report } from '../../api/report.ts';
import { elementCount, type NdArray } from '../../core/ndarray.ts';
import { makeFolder, writeOutput } from '../../node/files.ts';
import { writePicture } from '../../node/images.ts';
import { rowMajor } from '../../node/npy.ts';
import type { Context } from '../context.ts';
import { type Job, makeJob } from '../filter.ts';
import { type ParsedKernel, parseKernel } from '../kernel-spec.ts';
import { resultName, slug } from '../output-name.ts';
import { makeScene } from '../scene.ts';
import { type FilterFlags, maxPixelsOf, withFilterOptions, withPictureOptions } from '../settings.ts';
import { loadSource, type Source } from '../source.ts';
import { rate } from '../summary.ts';
import { endProgress, figure, print, progress, say, table } from '../terminal.ts';
import { encode } from './convolve.ts';

interface Flags extends FilterFlags {
	out: string;
}

const KERNELS = ['gaussian:sigma=3', 'box:size=9', 'motion:length=15,angle=30', 'sharpen:amount=1', 'sobel:axis=x', 'log:sigma=1'];

/** Side of the crop on which the reference is timed for comparison. */
const CROP = 400;

export function addDemo(program: Command, context: Context): void {
	const command = program
		.command('demo')
		.description('Convolve a picture with several kernels, verify, write the results and print a table (npm start).')
		.argument('[input]', 'a picture or .npy file; without it a picture of 3000 x 2000 is made');
	withPictureOptions(withFilterOptions(command, 'optional'))
		.option('--out <folder>', 'where the results go', 'out')
		.addHelpText('after', '\nExamples:\n  npm start\n  npm start -- photo.jpg --kernel gaussian:sigma=3\n')
		.action((input: string | undefined, flags: Flags) => run(input, flags, context));
}

/** Makes the picture of the demo where it is not there yet. */
async function ensureScene(folder: string, signal: AbortSignal): Promise<string> {
	const path = join(folder, 'scene.png');
	if (!existsSync(path)) {
		progress('drawing a picture of 3000 x 2000');
		await writeOutput(path, [await writePicture(makeScene(), 'png')], signal);
		say(`made ${path} (3000 x 2000 RGB: ramps, fine text, a zone plate, noise)`);
	}
	return path;
}

async function run(input: string | undefined, flags: Flags, context: Context): Promise<void> {
	const { signal } = context;
	const kernels = await Promise.all(
		(flags.kernel === undefined ? KERNELS : [flags.kernel]).map((spec) =>
			parseKernel(spec, { normalize: flags.normalize === true, signal }),
		),
	);
	await makeFolder(flags.out);
	const path = input ?? (await ensureScene(flags.out, signal));
	progress(`reading ${path}`);
	const source = await loadSource(path, { maxPixels: maxPixelsOf(flags), signal });
	for (const note of source.notes) say(`note: ${source.label}: ${note}`);
	const rows: Row[] = [];
	for (const kernel of kernels) rows.push(await runOne(path, source, kernel, flags, signal));
	endProgress();
	const compared = rows.some(({ speed }) => speed !== '');
	const head = ['input', 'kernel', 'plan', 'backend', 'ms', 'MP/s', ...(compared ? ['speed'] : []), 'verification'];
	const cells = rows.map(({ cells, speed, verification }) => [...cells, ...(compared ? [speed] : []), verification]);
	print(`\n${source.label}: ${source.dtype} ${source.image.shape.join(' x ')}`);
	print(table(head, cells, [4, 5]));
	print(
		'MP/s: millions of result samples (pixels x channels) a second. Verification: values recomputed, worst difference as a share of its bound.',
	);
	if (compared) print(`Speed: against the plain reference backend, timed on the middle ${CROP} x ${CROP} pixels.`);
	print(`Results: ${rows.map(({ output }) => output).join(', ')}`);
}

interface Row {
	/** From input to MP/s. */
	readonly cells: readonly string[];
	/** Empty where the reference itself ran. */
	readonly speed: string;
	readonly verification: string;
	readonly output: string;
}

async function runOne(path: string, source: Source, kernel: ParsedKernel, flags: Flags, signal: AbortSignal): Promise<Row> {
	const format = flags.outputFormat ?? source.format;
	const job = makeJob(source, kernel, flags, format);
	const output = resultName(path === '-' ? 'stdin' : path, flags.out, `-${slug(kernel.label)}`, format, format === source.format);
	progress(`${kernel.label} on ${source.label}`);
	const { operation: _, ...options } = job.options;
	const result = await convolve(job.image, kernel.kernel, { ...options, signal } as ConvolveOptions);
	await writeOutput(output, await encode(await job.finish(result), format), signal);
	for (const note of [...job.notes, ...result.report.warnings]) say(`note: ${kernel.label}: ${note}`);
	for (const fallback of result.report.fallbacks) say(`note: ${kernel.label}: tried before: ${fallback.plan}: ${fallback.message}`);
	const { report } = result;
	const cells = [
		basename(path),
		`${kernel.label} ${kernel.height}x${kernel.width}`,
		report.plan,
		report.device ?? report.backend,
		report.timings.total.toFixed(0),
		figure(rate(result.shape, report)),
	];
	return { cells, speed: await speed(job, kernel, report, rate(result.shape, report), signal), verification: verified(report), output };
}

function verified({ verification }: Report): string {
	if (verification === null) return 'not verified';
	return `${verification.pixels} values, worst ${verification.worst === 0 ? '0' : figure(verification.worst * 100)} %`;
}

/** How much faster than the reference, which is timed on a crop: on a whole picture it would take many seconds. */
async function speed(job: Job, kernel: ParsedKernel, report: Report, measured: number, signal: AbortSignal): Promise<string> {
	if (report.backend === 'reference') return '';
	const crop = cropOf(job.image, job.options.layout ?? 'HW');
	if (crop === undefined) return '';
	progress(`timing the reference on a crop with ${kernel.label}`);
	const { operation: _, method: __, ...options } = job.options;
	const result = await convolve(crop, kernel.kernel, { ...options, backend: 'reference', verify: false, signal } as ConvolveOptions);
	return `${figure(measured / rate(result.shape, result.report))} x`;
}

/** The middle of a picture, densely packed. */
function cropOf(image: NdArray, layout: string): NdArray | undefined {
	if (layout !== 'HW' && layout !== 'HWC') return undefined;
	const [height, width, ...channels] = image.shape as [number, number, number?];
	const shape = [Math.min(CROP, height), Math.min(CROP, width), ...(channels as number[])];
	const strides = image.strides ?? [elementCount(image.shape.slice(1)), elementCount(image.shape.slice(2)), 1].slice(0, shape.length);
	const top = Math.floor((height - (shape[0] as number)) / 2);
	const left = Math.floor((width - (shape[1] as number)) / 2);
	const offset = (image.offset ?? 0) + top * (strides[0] as number) + left * (strides[1] as number);
	const view = { ...image, shape, strides, offset };
	return { data: rowMajor(view), shape, ...(image.dtype === undefined ? {} : { dtype: image.dtype }) };
}
