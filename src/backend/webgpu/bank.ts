/** How the tiled shaders take the kernels of a bank: which share a dispatch, and how many a thread of tiled.wgsl holds at a time. Pure. */
import type { KernelWindow, Problem, WindowFrame } from '../../core/problem.ts';
import { arrangementOf } from './direct.ts';
import { mostQuads, QUAD, quadsOf } from './quads.ts';
import type { Tuning } from './tuning.ts';

/** Quads that a uniform binding of the default 64 KiB holds. */
export const MOST_TAP_QUADS = 4096;

/**
 * A frame may have so many times the taps of each window in it. Zeros are multiplied like taps, so a window that is smaller, or lies
 * elsewhere, has a dispatch of its own and reads the image once more. Not timed.
 */
const MOST_WASTE = 1.5;

/** Kernels of a bank that share a dispatch, and the smallest window that holds all of theirs. */
export interface Frame extends WindowFrame {
	readonly kernels: readonly number[];
}

/** The kernels of a bank lie side by side in the result: 4 of them are a quad of it. */
export const isAcross = (problem: Problem): boolean => problem.windows.length > 1 && arrangementOf(problem.output.layout) === 'interleaved';

/** Elements between those of neighbours in the image, in a result of kernels side by side that are whole quads. */
export const spreadOf = (problem: Problem): number => (isAcross(problem) ? QUAD * quadsOf(problem.windows.length) : 1);

/** The smallest window that holds all of some. */
export function unionOf(windows: readonly KernelWindow[]): WindowFrame {
	const { rows, cols, first } = windows.reduce<WindowFrame>(joined, EMPTY);
	return { rows, cols, first };
}

function joined(a: WindowFrame, b: WindowFrame): WindowFrame {
	if (a.rows === 0) return b;
	if (b.rows === 0) return a;
	const first = [Math.min(a.first[0], b.first[0]), Math.min(a.first[1], b.first[1])] as const;
	const rows = Math.max(a.first[0] + a.rows, b.first[0] + b.rows) - first[0];
	const cols = Math.max(a.first[1] + a.cols, b.first[1] + b.cols) - first[1];
	return { rows, cols, first };
}

/** Quads of uniform memory for the taps of so many kernels in a frame, and what is said of each. */
const frameQuads = (problem: Problem, { rows, cols }: Pick<Frame, 'rows' | 'cols'>, kernels: number): number =>
	kernels * (1 + rows * mostQuads(problem, cols));

/** Frames of kernels side by side: the groups of 4 stay in order, so all have one. */
function framesAcross(problem: Problem, kernels: readonly number[]): Frame[] {
	const whole = unionOf(kernels.map((kernel) => problem.windows[kernel] as KernelWindow));
	const most = Math.max(1, Math.floor(MOST_TAP_QUADS / frameQuads(problem, whole, QUAD))) * QUAD;
	const parts = Array.from({ length: Math.ceil(kernels.length / most) }, (_, k) => kernels.slice(k * most, (k + 1) * most));
	return parts.map((part) => ({ ...whole, kernels: part }));
}

const EMPTY = { rows: 0, cols: 0, first: [0, 0] } as const;

/** The frames of some kernels of the bank, in no order but the same each time. */
export function framesOf(problem: Problem, kernels: readonly number[]): Frame[] {
	if (isAcross(problem)) return framesAcross(problem, kernels);
	const areaOf = (kernel: number) => (problem.windows[kernel] as KernelWindow).taps.length;
	const frames: Frame[] = [];
	// from the largest down: what joins a frame is its smallest
	for (const kernel of kernels.toSorted((a, b) => areaOf(b) - areaOf(a) || a - b)) {
		const window = problem.windows[kernel] as KernelWindow;
		const last = frames.at(-1);
		const wider = last === undefined ? window : joined(last, window);
		const count = 1 + (last?.kernels.length ?? 0);
		const joins = wider.rows * wider.cols <= MOST_WASTE * window.taps.length && frameQuads(problem, wider, count) <= MOST_TAP_QUADS;
		if (last !== undefined && joins) frames[frames.length - 1] = { ...wider, kernels: [...last.kernels, kernel] };
		else frames.push({ rows: window.rows, cols: window.cols, first: window.first, kernels: [kernel] });
	}
	return frames;
}

/**
 * Kernels whose windows are alike, for the shaders that compute one a workgroup: products and running sums of another size would not fit their rows.
 *
 * @param most kernels of a dispatch
 */
export function alikeOf(problem: Problem, kernels: readonly number[], most: number): Frame[] {
	const frames: Frame[] = [];
	for (const kernel of kernels) {
		const { rows, cols, first } = problem.windows[kernel] as KernelWindow;
		const like = (frame: Frame) => frame.rows === rows && frame.cols === cols && (rows === 0 || String(frame.first) === String(first));
		const at = frames.findLastIndex(like);
		const frame = frames[at];
		if (frame !== undefined && frame.kernels.length < most) frames[at] = { ...frame, kernels: [...frame.kernels, kernel] };
		else frames.push({ kernels: [kernel], rows, cols, first });
	}
	return frames;
}

/** Kernels of a dispatch whose sums a thread holds at a time: a power of two, so that banks share pipelines; the last group may have fewer. */
export function groupSize(problem: Problem, kernels: number, most: Tuning['bank']): number {
	if (isAcross(problem)) return QUAD;
	return Math.min(most, 2 ** Math.ceil(Math.log2(kernels)));
}

/** Quads of uniform memory that the largest dispatch of a bank needs at least. */
export function leastTapQuads(problem: Problem): number {
	const all = problem.windows.map((_, kernel) => kernel);
	if (!isAcross(problem)) return Math.max(...problem.windows.map((window) => frameQuads(problem, window, 1)));
	return frameQuads(problem, framesAcross(problem, all)[0] as Frame, Math.min(QUAD, all.length));
}

/** The number of a kernel's row or column in its frame, and how many there are, as the shader's table has them. */
function axisWord(frame: Frame, window: KernelWindow, axis: 0 | 1): number {
	if (window.rows === 0) return 0;
	return window.first[axis] - frame.first[axis] + (axis === 0 ? window.rows : window.cols) * 2 ** 16;
}

/** What stands in front of the taps of a dispatch: a quad for each kernel. @param channelOf a kernel's first channel in the piece */
export const frameWords = (problem: Problem, frame: Frame, channelOf: (kernel: number) => number): number[] =>
	frame.kernels.flatMap((kernel) => {
		const window = problem.windows[kernel] as KernelWindow;
		return [channelOf(kernel), axisWord(frame, window, 0), axisWord(frame, window, 1), 0];
	});
