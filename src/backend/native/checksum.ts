/** A checksum in the words of the addon: the order is that of native/addon_run.c. */
import type { ChecksumScheme } from '../../core/checksum-scheme.ts';
import type { ChecksumFindings, Suspect } from '../../core/checksum-sums.ts';

export function checksumParameters(scheme: ChecksumScheme): Float64Array {
	const { length, samples, strip, largest, centre, weights, slope, offset } = scheme;
	const modular = scheme.kind === 'modular' ? 1 : 0;
	return Float64Array.from([modular, length, samples, strip, largest, centre, ...weights, ...slope, ...offset]);
}

const HEAD = 3;
const SUSPECT_WORDS = 5;

export function readFindings(words: Float64Array): ChecksumFindings {
	const [count, worst, threshold] = words as unknown as [number, number, number];
	const suspects: Suspect[] = [];
	for (let at = HEAD; at < words.length; at += SUSPECT_WORDS) {
		const [batch, channel, column, from, to] = words.subarray(at, at + SUSPECT_WORDS) as unknown as [
			number,
			number,
			number,
			number,
			number,
		];
		suspects.push({ batch, channel, column, from, to });
	}
	return { count, worst, threshold, suspects };
}
