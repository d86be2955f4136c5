/** Do an image's sizes go with the options and the kernel? */
import { FaltungError, invalid } from '../core/errors.ts';
import type { PerAxis } from '../core/ndarray.ts';
import { axisSize, dilatedSize } from '../core/problem.ts';
import type { KernelSnapshot } from './arrays.ts';
import { AXIS_LIMIT, type PlanSettings } from './options.ts';

/** Checks image sizes against mode, boundary, kernel and the per-channel lists. */
export function checkGeometry(settings: PlanSettings, kernel: KernelSnapshot, sizes: PerAxis): void {
	const [batch, channels, height, width] = sizes;
	const { mode, boundary, dilation } = settings;
	const sides = [
		{ name: 'height', n: height, kd: dilatedSize(kernel.height, dilation[0]), mode: boundary[0] },
		{ name: 'width', n: width, kd: dilatedSize(kernel.width, dilation[1]), mode: boundary[1] },
	];
	for (const { name, n, kd, mode: outside } of sides) {
		if (mode === 'valid' && n < kd) {
			throw invalid(
				`an image ${name} of at least ${kd}, the kernel's dilated ${name},`,
				"mode 'valid'",
				`${n}`,
				"Use mode 'same' or 'full'.",
			);
		}
		if (n === 0 && outside !== 'constant' && batch * channels > 0) {
			throw invalid(`an image ${name} of at least 1`, `boundary '${outside}'`, '0', "There is nothing to extend: use boundary 'constant'.");
		}
		if (axisSize(mode, n, kd) > AXIS_LIMIT) {
			throw new FaltungError(
				'LIMIT_EXCEEDED',
				`Expected a result ${name} of at most ${AXIS_LIMIT} but received ${axisSize(mode, n, kd)}. Cut the image into parts.`,
			);
		}
	}
	const results = channels * kernel.count;
	for (const name of ['scale', 'bias'] as const) {
		const { length } = settings[name];
		if (length === 1 || length === channels || length === results) continue;
		const wanted =
			results === 1
				? '1 number (the image has one channel)'
				: results === channels
					? `1 or ${channels} numbers (one per channel)`
					: `1, ${channels} (one per image channel) or ${results} numbers (one per result channel)`;
		throw invalid(wanted, `option ${name}`, `${length}`);
	}
}
