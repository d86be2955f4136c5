/**
 * `verify: 'checksum'`: every pixel of a result, at O(pixels) cost. Sums over windows of rows are compared first; the pixels of
 * those that differ are then recomputed by the oracle, so that nothing is reported that is not wrong, whatever a sum's rounding.
 */
import type { ChecksumArithmetic } from './bounds.ts';
import { breather } from './breathe.ts';
import { CERTAIN, type ChecksumScheme, checksumScheme } from './checksum-scheme.ts';
import { type ChecksumFindings, findSuspects, type Suspect } from './checksum-sums.ts';
import { reader } from './dtype.ts';
import { elementCount, type PlaneView } from './ndarray.ts';
import { Oracle } from './oracle.ts';
import type { Problem } from './problem.ts';
import { comparePixel, fail, regionsOf, type Verification, type VerifyTask, verify, type Worst } from './verify.ts';

/** A backend's own way to find suspects; core/checksum-sums.ts says what it must find. */
export type SuspectFinder = (image: PlaneView, out: PlaneView, scheme: ChecksumScheme, signal?: AbortSignal) => Promise<ChecksumFindings>;

/** Suspects that are looked at once a wrong pixel is known: they only serve to name the worst. */
const AFTER_THE_FIRST = 16;

/**
 * Checks a whole result by sums over it.
 *
 * @param find the backend's own sums, in choice.arithmetic; default: those of checksum-sums.ts
 * @throws VerificationError with the worst pixel of the windows that were looked at
 */
export async function verifyChecksum(
	task: VerifyTask,
	choice: { seed: number; signal?: AbortSignal | undefined; arithmetic?: ChecksumArithmetic | undefined },
	find?: SuspectFinder,
): Promise<Verification> {
	const { problem, image, result } = task;
	const { seed, signal } = choice;
	const scheme = checksumScheme(problem, task.model, seed, choice.arithmetic);
	const found = await (find === undefined ? findSuspects({ problem, scheme, image, result }, signal) : find(image, result, scheme, signal));
	await confirm(task, found.suspects, choice);
	// too many to be told apart and none of those wrong: pixels that are not finite, most likely
	if (found.count > found.suspects.length) await verify(task, { method: 'full', count: 0, seed, signal });
	return checksumCoverage(problem, scheme, found, seed);
}

/** What is known of a result whose sums agree, or whose suspects were right. */
export function checksumCoverage(problem: Problem, scheme: ChecksumScheme, found: ChecksumFindings, seed: number): Verification {
	const pixels = elementCount(problem.output.sizes);
	return { method: 'checksum', pixels, worst: found.worst, seed, detects: CERTAIN * found.threshold, miss: scheme.miss };
}

/** Recomputes the pixels of suspects. @throws VerificationError where one is wrong */
async function confirm(task: VerifyTask, suspects: readonly Suspect[], choice: { seed: number; signal?: AbortSignal | undefined }) {
	const oracle = new Oracle(task.problem, task.image);
	const regions = regionsOf(task);
	const read = reader(task.result.data, task.result.dtype);
	const breath = breather(choice.signal);
	let worst: Worst | undefined;
	let [checked, left] = [0, Infinity];
	for (const { batch, channel, column, from, to } of suspects) {
		for (let y = from; y < to; y++) {
			const here = comparePixel(task, oracle, read, [batch, channel, y, column], regions);
			if (worst === undefined || here.share > worst.share) worst = here;
			checked++;
			if (breath.due()) await breath.pause();
		}
		if (worst !== undefined && !(worst.share <= 1)) left = Math.min(left, AFTER_THE_FIRST);
		if (left-- === 0) break;
	}
	if (worst !== undefined && !(worst.share <= 1)) fail(task.problem, task.plan, worst, checked, choice.seed);
}
