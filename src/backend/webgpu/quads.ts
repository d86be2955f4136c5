/** How rows of memory are counted in the tiled shaders. Pure. */
import type { Problem } from '../../core/problem.ts';
import { arrangementOf } from './direct.ts';

/** Elements of a quad. */
export const QUAD = 4;

export const quadsOf = (elements: number): number => Math.ceil(elements / QUAD);

/** Channels side by side in a row of memory. */
export const lanesOf = (problem: Problem): number => (arrangementOf(problem.output.layout) === 'interleaved' ? problem.image.sizes[1] : 1);

/** Elements from the first of so many taps in a row to the last. */
export const spanOf = (problem: Problem, cols: number): number => Math.max(1, (cols - 1) * lanesOf(problem) + 1);

/** The widest row of so many taps, whatever zeros stand in front. */
export const mostQuads = (problem: Problem, cols: number): number => quadsOf(spanOf(problem, cols) + QUAD - 1);
