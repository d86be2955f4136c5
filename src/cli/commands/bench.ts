/** faltung bench: how long a call takes here, backend by backend. The result is verified before it is timed. */
import type { Command } from 'commander';
import { backends } from '../../api/backends.ts';
import { convolve } from '../../api/convolve.ts';
import { type Convolver, type ConvolverOptions, createConvolver } from '../../api/convolver.ts';
import { DTYPES, type Dtype, type TypedArray } from '../../core/dtype.ts';
import { FaltungError, invalid, show } from '../../core/errors.ts';
import { elementCount, type NdArray } from '../../core/ndarray.ts';
import { randomStream } from '../../core/random.ts';
import type { Context } from '../context.ts';
import { parseKernel } from '../kernel-spec.ts';
import { type FilterFlags, libraryOptions, number, withFilterOptions } from '../settings.ts';
import { figure, print, printJson, progress, say, table } from '../terminal.ts';
import { parseDtype, parseSize } from './explain.ts';

interface Flags extends FilterFlags {
	size: string;
	dtype: string;
	runs: string;
	json?: boolean;
}

interface Row {
	backend: string;
	plan: string;
	/** Median and least milliseconds of a whole call; median of the part that computes, where the backend tells. */
	median: number;
	least: number;
	compute: number | undefined;
	/** Millions of result samples a second, from the median. */
	rate: number;
}

const SEED = 1;

export function addBench(program: Command, context: Context): void {
	const command = program
		.command('bench')
		.description('Time a convolution on each usable backend, in turn, and show medians. Each result is verified before it is timed.');
	withFilterOptions(command)
		.option('--size <size>', 'width x height, or width x height x channels', '1024x1024')
		.option('--dtype <dtype>', 'of the image', 'float32')
		.option('--runs <n>', 'timed calls of each backend', '5')
		.option('--json', 'as JSON')
		.addHelpText('after', '\nExample:\n  faltung bench --size 4096x4096 --dtype float32 --kernel box:size=9 --backend native,reference\n')
		.action((flags: Flags) => run(flags, context));
}

/** Random pixels: integers over the whole range (64 bits: 32 of them), floats in 0 … 1. */
function randomImage(shape: readonly number[], dtype: Dtype): NdArray {
	const { array, float, big, bytes } = DTYPES[dtype];
	const data: TypedArray = new array(elementCount(shape));
	const random = randomStream(SEED);
	const next = (): number | bigint => {
		if (dtype === 'float16') return random.below(0x3c00); // bits of 0 … 1
		if (float) return random.float();
		return big ? BigInt(random.uint32()) : random.uint32() >>> (32 - 8 * Math.min(4, bytes));
	};
	for (let i = 0; i < data.length; i++) data[i] = next() as never;
	return { data, shape, dtype };
}

const median = (list: readonly number[]): number => [...list].sort((a, b) => a - b)[Math.floor((list.length - 1) / 2)] as number;

async function run(flags: Flags, context: Context): Promise<void> {
	const { signal } = context;
	const runs = number(flags.runs, '--runs');
	if (!Number.isSafeInteger(runs) || runs < 1) throw invalid('a whole number of at least 1', '--runs', show(flags.runs));
	const kernel = await parseKernel(flags.kernel, { normalize: flags.normalize === true, signal });
	const { backend: wanted, ...given } = libraryOptions(flags);
	const size = parseSize(flags.size);
	const options: ConvolverOptions = { mode: 'same', boundary: 'symmetric', ...given, layout: given.layout ?? size.layout };
	const image = randomImage(size.shape, parseDtype(flags.dtype));
	const names =
		wanted === undefined || wanted === 'auto'
			? (await backends()).filter(({ usable }) => usable).map(({ name }) => name)
			: [wanted].flat().map(String);

	const timed: { name: string; convolver: Convolver; totals: number[]; computes: number[]; shape: readonly number[] }[] = [];
	for (const name of names) {
		progress(`verifying ${name}`);
		try {
			const { operation: _, ...once } = options;
			const { shape } = await convolve(image, kernel.kernel, {
				...once,
				backend: name as 'reference',
				verify: options.verify ?? 'sample',
				signal,
			});
			const convolver = await createConvolver(kernel.kernel, {
				...options,
				backend: name as 'reference',
				verify: false,
				shape: size.shape,
				dtype: image.dtype as Dtype,
			});
			timed.push({ name, convolver, totals: [], computes: [], shape });
		} catch (error) {
			if (!(error instanceof FaltungError) || error.code === 'INVALID_ARGUMENT') throw error;
			say(`note: ${name} is left out: ${error.message}`);
		}
	}
	// in turn, so that a slow minute of the machine meets all of them
	for (let k = 0; k < runs; k++) {
		for (const entry of timed) {
			progress(`run ${k + 1} of ${runs}: ${entry.name}`);
			const { report } = await entry.convolver.run(image, { signal });
			entry.totals.push(report.timings.total);
			if (report.timings.compute !== undefined) entry.computes.push(report.timings.compute);
		}
	}
	const rows = timed.map(({ name, convolver, totals, computes, shape }): Row => {
		const middle = median(totals);
		return {
			backend: name,
			plan: convolver.plan.name,
			median: middle,
			least: Math.min(...totals),
			compute: computes.length === 0 ? undefined : median(computes),
			rate: elementCount(shape) / middle / 1000,
		};
	});
	for (const { convolver } of timed) await convolver.dispose();
	if (rows.length === 0) throw new FaltungError('UNSUPPORTED', 'No backend can do this: see the notes above.');
	if (flags.json === true) printJson({ size: flags.size, dtype: flags.dtype, kernel: kernel.label, runs, rows });
	else {
		const cells = rows.map((row) => [
			row.backend,
			row.plan,
			figure(row.median),
			figure(row.least),
			row.compute === undefined ? '' : figure(row.compute),
			figure(row.rate),
		]);
		print(`${flags.dtype} ${flags.size} * ${kernel.label} (${kernel.height} x ${kernel.width}), ${runs} runs each, in turn; milliseconds`);
		print(table(['backend', 'plan', 'median', 'least', 'compute', 'MP/s'], cells, [2, 3, 4, 5]));
	}
}
