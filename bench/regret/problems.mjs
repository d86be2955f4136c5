/** The grid of bench/regret: dtype × kernel structure × kernel side × image side; layout, boundary, mode and stride vary along it. */
import { makeProblem } from '../../dist/core/problem.js';

/** Image dtype, kernel dtype. */
const DTYPES = [
	['float32', 'float32'],
	['uint8', 'int32'],
	['uint8', 'float32'],
	['float64', 'float64'],
	['int16', 'int32'],
];
const STRUCTURES = ['dense', 'separable', 'box', 'two products'];
const SIDES = [3, 7, 15, 31, 63];
const IMAGES = [64, 256, 1000, 2048];
const BOUNDARIES = ['symmetric', 'constant', 'wrap', 'edge'];
const LAYOUTS = ['HW', 'HW', 'HWC', 'CHW'];

const gauss = (k, sigma) => Array.from({ length: k }, (_, i) => Math.exp(-(((i - (k - 1) / 2) / sigma) ** 2) / 2));
const outer = (column, row) => column.flatMap((a) => row.map((b) => a * b));
const scaled = (taps) => {
	const total = taps.reduce((sum, w) => sum + Math.abs(w), 0);
	return taps.map((w) => w / total);
};

/** Taps of a structure; integers where the kernel's dtype is one of integers. */
function taps(structure, k, integer) {
	switch (structure) {
		case 'dense': {
			const all = Array.from({ length: k * k }, (_, i) => ((i * i * 7 + i * 5) % 11) - 3);
			return integer ? all : scaled(all);
		}
		case 'separable': {
			if (!integer) return scaled(outer(gauss(k, k / 5), gauss(k, k / 6)));
			const line = Array.from({ length: k }, (_, i) => 1 + (Math.min(i, k - 1 - i) % 3));
			return outer(line, line);
		}
		case 'box':
			return new Array(k * k).fill(integer ? 1 : 1 / (k * k));
		default: {
			const [a, b] = [outer(gauss(k, k / 5), gauss(k, k / 5)), outer(gauss(k, k / 9), gauss(k, k / 4))];
			const sum = a.map((w, i) => w - 0.7 * b[i]);
			return integer ? sum.map((w) => Math.round(20 * w)) : scaled(sum);
		}
	}
}

/** Every problem of the grid, with its label, and what the caller wishes beside it. */
export function grid() {
	const all = [];
	for (const [dtype, kernelDtype] of DTYPES) {
		for (const structure of STRUCTURES) {
			for (const k of SIDES) {
				for (const side of IMAGES) {
					const n = all.length;
					const layout = LAYOUTS[(n * 7 + (n >> 2)) % LAYOUTS.length];
					const channels = layout === 'HW' ? 1 : 3;
					const boundary = BOUNDARIES[(n * 5 + (n >> 3)) % BOUNDARIES.length];
					const mode = n % 3 === 2 && k <= side ? 'valid' : 'same';
					const stride = n % 11 === 10 ? 2 : 1;
					const side1 = channels === 3 ? Math.round(side / Math.sqrt(3)) : side;
					if (mode === 'valid' && k > side1) continue;
					const count = k * k;
					const request = {
						operation: 'correlate',
						image: { dtype, layout, sizes: [1, channels, side1, side1] },
						kernel: {
							dtype: kernelDtype,
							taps: Float64Array.from(
								taps(structure, k, kernelDtype === 'int32').map((w) => (kernelDtype === 'float32' ? Math.fround(w) : w)),
							),
							height: k,
							width: k,
							count: 1,
							bank: false,
						},
						mode,
						boundary: [boundary, boundary],
						value: 0,
						anchor: undefined,
						stride: [stride, stride],
						dilation: [1, 1],
						outputDtype: dtype === 'uint8' && kernelDtype === 'int32' && n % 2 === 1 ? 'int16' : dtype,
						overflow: n % 5 === 4 ? 'wrap' : 'saturate',
						rounding: 'nearest-even',
						scale: [1],
						bias: [0],
						accumulate: 'auto',
					};
					if (request.kernel.taps.length !== count) throw new Error(`${structure} ${k}`);
					const wish = { method: 'auto', accuracy: 'norm', ...(structure === 'two products' ? { tolerance: 1e-5 } : {}) };
					all.push({ structure, k, side, dtype, kernelDtype, problem: makeProblem(request), wish });
				}
			}
		}
	}
	return all;
}
