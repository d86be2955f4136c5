/** Constants from measurements: least squares of relative errors, no constant below 0. */

const PASSES = 5000;

/**
 * Non-negative x that makes Σ ((rows[i]·x − values[i]) / values[i])² least, by coordinate descent; the problem is convex and has a
 * handful of unknowns.
 */
export function fitNonNegative(rows: readonly (readonly number[])[], values: readonly number[]): number[] {
	const scaled = rows.map((row, i) => row.map((count) => count / (values[i] as number)));
	const unknowns = scaled[0]?.length ?? 0;
	const x = new Array<number>(unknowns).fill(0);
	const left = scaled.map(() => 1); // what is not explained yet
	for (let pass = 0; pass < PASSES; pass++) {
		for (let k = 0; k < unknowns; k++) {
			let [dot, norm] = [0, 0];
			for (const [i, row] of scaled.entries()) {
				dot += (row[k] as number) * (left[i] as number);
				norm += (row[k] as number) ** 2;
			}
			if (norm === 0) continue;
			const next = Math.max(0, (x[k] as number) + dot / norm);
			const change = next - (x[k] as number);
			x[k] = next;
			for (const [i, row] of scaled.entries()) left[i] = (left[i] as number) - change * (row[k] as number);
		}
	}
	return x;
}
