/** faltung kernels: the list, or one kernel as a matrix. */
import type { Command } from 'commander';
import { rowMajorStrides } from '../../core/ndarray.ts';
import { sum } from '../../kernels/taps.ts';
import type { Context } from '../context.ts';
import { EXAMPLES, KERNEL_NAMES, type ParsedKernel, parseKernel } from '../kernel-spec.ts';
import { figure, print, printJson, table } from '../terminal.ts';

/** Options and meaning, in the order of the list. */
const ABOUT: Readonly<Record<string, readonly [options: string, meaning: string]>> = {
	box: ['size | height, width', 'mean of a rectangle'],
	disk: ['radius', 'mean of a disk: a lens out of focus'],
	dog: ['sigma, sigma2 = 1.6·sigma, truncate, radius', 'difference of two Gaussians'],
	emboss: ['', 'relief lit from the lower right'],
	gabor: ['wavelength, angle, sigma, gamma, phase, truncate, radius', 'a wave under a Gaussian: stripes of one direction'],
	gaussian: ['sigma (or YxX), truncate = 4, radius', 'blur'],
	identity: ['size', 'the image itself'],
	laplacian: ['connectivity = 4 | 8', 'second derivatives'],
	log: ['sigma, truncate, radius', 'Laplacian of Gaussian: blobs and edges'],
	motion: ['length, angle', 'blur along a line; degrees counter-clockwise'],
	prewitt: ['axis = x | y', 'derivative, unweighted'],
	scharr: ['axis = x | y', 'derivative, the most even over directions'],
	sharpen: ['amount = 1, connectivity = 4 | 8', 'the image less its Laplacian'],
	sobel: ['axis = x | y, size = 3 | 5 | 7', 'derivative, positive where the image grows along the axis'],
	unsharp: ['sigma, amount = 1, truncate, radius', 'the image plus what a blur takes from it'],
};

export function addKernels(program: Command, _context: Context): void {
	program
		.command('kernels')
		.description('List the kernels that have names, or show one as a matrix.')
		.argument('[kernel]', 'for example gaussian:sigma=1, or whatever --kernel takes')
		.option('--normalize', 'divide it by its sum')
		.option('--json', 'as JSON')
		.action(async (spec: string | undefined, flags: { normalize?: boolean; json?: boolean }) => {
			if (spec === undefined) return list(flags.json === true);
			show(await parseKernel(spec, { normalize: flags.normalize === true }), flags.json === true);
		});
}

function list(json: boolean): void {
	const rows = KERNEL_NAMES.map((name) => [name, ...(ABOUT[name] as readonly [string, string]), EXAMPLES[name] as string] as const);
	if (json) printJson(rows.map(([name, options, meaning, example]) => ({ name, options, meaning, example })));
	else print(table(['kernel', 'options', 'what it does', 'example'], rows));
}

function rowsOf({ weights, count, height, width }: ParsedKernel): string[][] {
	const [plane, line] = rowMajorStrides([count, height, width]) as [number, number];
	const text = (w: number) => (Number.isInteger(w) ? `${w}` : Math.abs(w) < 1e-4 ? w.toExponential(2) : w.toFixed(6));
	return Array.from({ length: count * height }, (_, row) => {
		const from = Math.floor(row / height) * plane + (row % height) * line;
		return [...weights.subarray(from, from + width)].map(text);
	});
}

function show(kernel: ParsedKernel, json: boolean): void {
	const { weights, count, height, width, label, integer } = kernel;
	const shape = count === 1 ? [height, width] : [count, height, width];
	if (json) {
		printJson({ kernel: label, shape, integer, sum: sum(weights), weights: [...weights] });
		return;
	}
	const rows = rowsOf(kernel);
	const cell = rows.flat().reduce((widest, entry) => Math.max(widest, entry.length), 0); // not Math.max(...rows): a kernel may have millions of taps
	print(`${label}: ${shape.join(' x ')}, ${integer ? 'integers' : 'floats'}, sum ${figureOfSum(sum(weights))}`);
	print(rows.map((row) => row.map((entry) => entry.padStart(cell)).join(' ')).join('\n'));
}

const figureOfSum = (total: number): string =>
	Number.isInteger(total)
		? `${total}`
		: Math.abs(total - 1) < 2 ** -23
			? `1 ${total < 1 ? '-' : '+'} ${figure(Math.abs(total - 1))}`
			: total.toPrecision(6);
