/** Averages over a shape: box, disk, motion. All sum to 1. */
import { invalid } from '../core/errors.ts';
import { turn } from './angle.ts';
import { checkSize, Options } from './options.ts';
import { floatKernel, floatTaps, type Kernel, normalized, sample } from './taps.ts';

const isSize = (x: number) => Number.isInteger(x) && x >= 1;
const SIZE = 'an integer of at least 1';

/** `size` for a square, or both `height` and `width`; in taps. */
export type BoxOptions = { size: number; height?: undefined; width?: undefined } | { size?: undefined; height: number; width: number };

/**
 * Box: the mean of height × width pixels. float32, every tap the float32 nearest to 1/(height·width), so the sum is 1 to within 2^-24.
 *
 * @throws FaltungError INVALID_ARGUMENT for a wrong option, LIMIT_EXCEEDED for more than 2^24 taps
 */
export function box(options: BoxOptions): Kernel<Float32Array> {
	const read = new Options('box', options, ['size', 'height', 'width']);
	if (read.has('size') && (read.has('height') || read.has('width'))) {
		throw invalid('either size, or height and width,', 'kernels.box()', 'both', 'Leave one of them out.');
	}
	const size = read.has('size') || !(read.has('height') || read.has('width')) ? read.number('size', undefined, SIZE, isSize) : undefined;
	const height = size ?? read.number('height', undefined, SIZE, isSize);
	const width = size ?? read.number('width', undefined, SIZE, isSize);
	checkSize('box', height, width);
	return { data: floatTaps(new Float64Array(height * width).fill(1 / (height * width)), 1), shape: [height, width] };
}

/** Area of the disk of radius r about the origin within 0 ≤ X ≤ |x|, 0 ≤ Y ≤ |y|, with the sign of x·y. */
function quadrantArea(x: number, y: number, r: number): number {
	const a = Math.min(Math.abs(x), r);
	const b = Math.min(Math.abs(y), r);
	const sign = Math.sign(x) * Math.sign(y);
	if (a * a + b * b <= r * r) return sign * a * b;
	const antiderivative = (t: number) => (t * Math.sqrt(Math.max(0, r * r - t * t)) + r * r * Math.asin(Math.min(1, t / r))) / 2;
	const flat = Math.sqrt(r * r - b * b); // up to here the arc lies above Y = b
	return sign * (b * flat + antiderivative(a) - antiderivative(flat));
}

/**
 * Disk (pillbox, the blur of a lens out of focus): each tap is the area of its pixel that lies within `radius` pixels of the centre, over
 * the area of the disk. float32 of side 2·⌈radius − ½⌉ + 1. Areas are exact: ∫√(r² − t²)dt in closed form.
 *
 * @throws FaltungError INVALID_ARGUMENT for a wrong option, LIMIT_EXCEEDED for more than 2^24 taps
 */
export function disk(options: { radius: number }): Kernel<Float32Array> {
	const r = new Options('disk', options, ['radius']).positive('radius');
	const side = Math.max(0, Math.ceil(r - 0.5));
	checkSize('disk', 2 * side + 1, 2 * side + 1);
	if (side === 0) return { data: Float32Array.of(1), shape: [1, 1] };
	const corner = (y: number, x: number) => quadrantArea(x, y, r);
	const area = (y: number, x: number) =>
		corner(y + 0.5, x + 0.5) - corner(y + 0.5, x - 0.5) - corner(y - 0.5, x + 0.5) + corner(y - 0.5, x - 0.5);
	// through one octant, so that symmetric taps are the same to the last bit
	const weights = sample([side, side], (y, x) => Math.max(0, area(Math.max(Math.abs(y), Math.abs(x)), Math.min(Math.abs(y), Math.abs(x)))));
	return floatKernel('disk', [side, side], normalized(weights), 1);
}

/** Weights this small are rounding noise of the distance to the line. */
const NOISE = 1e-9;

/**
 * Motion blur along a straight line: a tap is max(0, 1 − d), d the distance of its centre from a segment of length − 1 pixels through
 * the kernel's centre, scaled to sum to 1. As MATLAB's fspecial('motion') describes it: length 5 at angle 0 is the row [1 1 1 1 1] / 5.
 * float32.
 *
 * @param options.length in pixels, at least 1
 * @param options.angle in degrees, counter-clockwise from the positive x axis as one sees the picture; default 0
 * @throws FaltungError INVALID_ARGUMENT for a wrong option, LIMIT_EXCEEDED for more than 2^24 taps
 */
export function motion(options: { length: number; angle?: number }): Kernel<Float32Array> {
	const read = new Options('motion', options, ['length', 'angle']);
	const half = (read.number('length', undefined, 'a finite number of at least 1', (x) => x >= 1) - 1) / 2;
	const { cos, sin } = turn(read.finite('angle', 0) % 180);
	const reach = (component: number) => Math.ceil(half * Math.abs(component)) + 1;
	const [ry, rx] = [reach(sin), reach(cos)];
	checkSize('motion', 2 * ry + 1, 2 * rx + 1);
	const weight = (y: number, x: number) => {
		const along = x * cos - y * sin; // rows count downwards
		const across = x * sin + y * cos;
		const w = 1 - Math.hypot(Math.max(0, Math.abs(along) - half), across);
		return w < NOISE ? 0 : w;
	};
	// the two halves are each other's point reflection: one rounding for both
	const symmetric = (y: number, x: number) => (y < 0 || (y === 0 && x < 0) ? weight(-y, -x) : weight(y, x));
	const used = (radius: number, onLine: (k: number) => boolean) => {
		let k = radius;
		while (k > 0 && !onLine(k)) k--;
		return k;
	};
	const span = (radius: number) => Array.from({ length: 2 * radius + 1 }, (_, i) => i - radius);
	const radius = [
		used(ry, (y) => span(rx).some((x) => symmetric(y, x) > 0)),
		used(rx, (x) => span(ry).some((y) => symmetric(y, x) > 0)),
	] as const;
	return floatKernel('motion', radius, normalized(sample(radius, symmetric)), 1);
}
