/** What a native plan has to do, counted: the left-hand side of the cost model. */
import { DTYPES } from '../../core/dtype.ts';
import { type KernelWindow, type Problem, reach } from '../../core/problem.ts';
import type { FftStep, Step } from '../../core/steps.ts';
import type { NativeAccumulator } from './addon.ts';
import { cellName, GROUP_ROWS, STEADY_ROWS, type Work } from './costs.ts';
import { fftCounts } from './fft.ts';

/** Entries of the index maps: positions beyond the image, which a large dilation makes many. Others show themselves. */
function mapped(problem: Problem): number {
	const { sizes } = problem.image;
	const beyond = (window: KernelWindow, axis: 0 | 1) =>
		Math.max(0, reach(problem, window, axis).count - (axis === 0 ? sizes[2] : sizes[3]));
	return problem.windows.reduce((sum, window) => sum + beyond(window, 0) + beyond(window, 1), 0);
}

/** True where channels lie side by side and are taken one by one: transforms, banks and strides do; else they are one wide row. */
const interleavedBy = ({ image, windows, stride }: Problem, [step]: readonly Step[]): boolean =>
	image.layout.endsWith('C') && image.sizes[1] > 1 && (step?.kind === 'fft' || windows.length > 1 || stride[1] > 1);

/** Counts of one step, per output, in the order of TERMS. */
function perOutput({ stride: [down, across], output }: Problem, step: Exclude<Step, FftStep>): number[] {
	const { rows, cols } = step;
	const tall = output.sizes[2] === 0 ? 1 : (output.sizes[2] + (rows - 1) / down) / output.sizes[2]; // the rows above and below are summed too
	switch (step.kind) {
		case 'direct':
			return [1, rows > STEADY_ROWS ? rows : 0, rows * cols, cols * Math.ceil(rows / GROUP_ROWS)];
		case 'separable':
			return [1, step.products.length * cols * Math.min(down, rows) * tall, step.products.length * rows]; // rows between outputs are summed too
		case 'box': {
			const pixels = Math.min(down, rows) * across * tall; // a strided row is summed whole
			return [pixels, pixels * Math.log2(Math.max(3, cols))]; // nothing narrower than 3 was measured
		}
	}
}

/** Outputs that the vectors of a row hold together: a narrow result costs as much as a wider one. */
const LANES = 16;

/** Counts of all steps. */
function countsOf(problem: Problem, steps: readonly Step[], perKernel: number): readonly number[] {
	const [first] = steps;
	if (first?.kind === 'fft') return fftCounts(problem, first.size);
	const { 3: width } = problem.output.sizes;
	const padded = width === 0 ? 0 : (perKernel / width) * Math.ceil(width / LANES) * LANES;
	const counts: number[] = [];
	for (const step of steps as readonly Exclude<Step, FftStep>[]) {
		for (const [k, each] of perOutput(problem, step).entries()) counts[k] = (counts[k] ?? 0) + each * padded;
	}
	return counts;
}

/** @param steps of one plan, all of one kind */
export function workOf(problem: Problem, accumulator: NativeAccumulator, steps: readonly Step[]): Work {
	const [n, , height, width] = problem.output.sizes;
	const perKernel = n * problem.image.sizes[1] * height * width;
	const outputs = perKernel * problem.windows.length;
	const pixels = problem.image.sizes.reduce((a, b) => a * b, 1);
	return {
		cell: cellName(steps[0]?.kind ?? 'direct', accumulator),
		counts: countsOf(problem, steps, perKernel),
		bytes: pixels * DTYPES[problem.image.dtype].bytes + outputs * DTYPES[problem.output.dtype].bytes,
		interleaved: interleavedBy(problem, steps) ? pixels + outputs : 0,
		linedPlanes: steps[0]?.kind === 'separable' || steps[0]?.kind === 'box' ? n * problem.image.sizes[1] * steps.length : 0,
		mapEntries: mapped(problem),
	};
}
