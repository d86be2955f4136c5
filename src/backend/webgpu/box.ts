/** The arithmetic of box.wgsl: how a row of equal taps is summed, and at what cost. Pure. */

/** Words of workgroup memory that a row sum reads and writes: a run and its sum, the runs of the row, what is left over. */
const rowWords = (cols: number, run: number): number => (run === 1 ? cols : run + 1 + Math.floor(cols / run) + (cols % run));

/** A barrier and a loop over the strip that only runs need, in words. */
const RUN_OVERHEAD = 2;

/**
 * Neighbours that are summed first in a row of `cols` taps, about √cols; 1: none. Depends on nothing else, so that a sum has the same bits
 * in every piece, strip and device.
 */
export function runOf(cols: number): number {
	let best = 1;
	for (let run = 2; run <= cols; run++) {
		if (rowWords(cols, run) + RUN_OVERHEAD < rowWords(cols, best) + (best === 1 ? 0 : RUN_OVERHEAD)) best = run;
	}
	return best;
}

/** Beside a row sum: it, a window's other end and the result; a block's rows again from the last one up; the store. */
const COLUMN_WORDS = 3 + 2 + 1;

/**
 * Words of workgroup memory for an output of a window of so many columns; its rows do not matter.
 *
 * @param beside elements of a row beside the strip, as a share of it: staged, and summed to runs, as well
 */
export function boxWork(cols: number, beside = 0): number {
	const length = Math.max(1, cols);
	const run = runOf(length);
	const pixel = 1;
	const repeated = pixel + (run === 1 ? 0 : run + 1);
	return pixel + rowWords(length, run) + COLUMN_WORDS + beside * repeated;
}
