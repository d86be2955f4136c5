/** faltung explain: what would be done, and why, without doing it. */
import type { Command } from 'commander';
import { createConvolver } from '../../api/convolver.ts';
import { DTYPE_NAMES, type Dtype } from '../../core/dtype.ts';
import { invalid, show } from '../../core/errors.ts';
import type { Context } from '../context.ts';
import { makeJob } from '../filter.ts';
import { parseKernel } from '../kernel-spec.ts';
import { type FilterFlags, libraryOptions, maxPixelsOf, withFilterOptions, withPictureOptions } from '../settings.ts';
import { loadSource } from '../source.ts';
import { print, printJson, say } from '../terminal.ts';

interface Flags extends FilterFlags {
	size?: string;
	dtype?: string;
	json?: boolean;
}

export function addExplain(program: Command, context: Context): void {
	const command = program
		.command('explain')
		.description('Show the plan for a file or a size: what is chosen, what it should take, every other candidate and why not.')
		.argument('[input]', 'a picture or .npy file; or say --size and --dtype');
	withPictureOptions(withFilterOptions(command))
		.option('--size <size>', 'width x height, or width x height x channels (default 1024x1024)')
		.option('--dtype <dtype>', 'of the image (default uint8)')
		.option('--json', 'the plan as JSON')
		.addHelpText('after', '\nExample:\n  faltung explain --size 3000x2000x3 --kernel gaussian:sigma=3\n')
		.action((input: string | undefined, flags: Flags) => run(input, flags, context));
}

/** `3000x2000x3` as an array's shape and layout. */
export function parseSize(text: string): { shape: number[]; layout: 'HW' | 'HWC' } {
	const sizes = text.split(/[x×]/).map((part) => (/^\s*\d+\s*$/.test(part) ? Number(part) : Number.NaN));
	if ((sizes.length !== 2 && sizes.length !== 3) || !sizes.every(Number.isSafeInteger)) {
		throw invalid('width x height or width x height x channels, such as 3000x2000x3,', '--size', show(text));
	}
	const [width, height, ...channels] = sizes as [number, number, number?];
	return { shape: [height, width, ...(channels as number[])], layout: channels.length === 0 ? 'HW' : 'HWC' };
}

export function parseDtype(text: string): Dtype {
	const dtype = DTYPE_NAMES.find((name) => name === text);
	if (dtype === undefined) throw invalid(`one of ${DTYPE_NAMES.join(', ')}`, '--dtype', show(text));
	return dtype;
}

async function run(input: string | undefined, flags: Flags, context: Context): Promise<void> {
	for (const name of ['size', 'dtype'] as const) {
		if (input !== undefined && flags[name] !== undefined)
			throw invalid(`no --${name} beside an input`, `--${name}`, show(flags[name]), 'The input has its own.');
	}
	const kernel = await parseKernel(flags.kernel, { normalize: flags.normalize === true });
	let options = {
		mode: 'same',
		boundary: 'symmetric',
		...libraryOptions(flags),
		...parseSize(flags.size ?? '1024x1024'),
		dtype: parseDtype(flags.dtype ?? 'uint8'),
	} as Parameters<typeof createConvolver>[1];
	let notes: readonly string[] = [];
	if (input !== undefined) {
		const source = await loadSource(input, { maxPixels: maxPixelsOf(flags), signal: context.signal });
		const job = makeJob(source, kernel, flags, flags.outputFormat ?? source.format);
		options = { ...job.options, shape: job.image.shape, dtype: source.dtype };
		notes = job.notes;
	}
	const convolver = await createConvolver(kernel.kernel, options);
	try {
		if (flags.json === true) printJson(convolver.plan.toJSON());
		else print(convolver.plan.explain());
		for (const note of notes) say(`note: ${note}`);
	} finally {
		await convolver.dispose();
	}
}
