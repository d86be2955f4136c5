/** One run in words. */
import type { Report } from '../api/report.ts';
import { elementCount } from '../core/ndarray.ts';
import { showMilliseconds } from '../plan/explain.ts';
import { figure } from './terminal.ts';

/** Millions of output samples (pixels × channels) a second, from the whole call. */
export const rate = (shape: readonly number[], report: Report): number => elementCount(shape) / report.timings.total / 1000;

/** `verified 1500 pixels (sample, seed 7), worst 3.2 % of the bound` */
export function verificationText({ verification }: Report): string {
	if (verification === null) return 'not verified';
	const { method, pixels, worst, seed } = verification;
	return `verified ${pixels} values (${method}, seed ${seed}), ${worst === 0 ? 'no difference' : `worst difference ${figure(worst * 100)} % of the bound`}`;
}

export function runText(shape: readonly number[], report: Report): string {
	const { plan, timings, device } = report;
	return `${plan}${device === undefined ? '' : ` on ${device}`}, ${showMilliseconds(timings.total)}, ${figure(rate(shape, report))} MP/s, ${verificationText(report)}`;
}
