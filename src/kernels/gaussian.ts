/** Gaussians and what is made of them: blur, Laplacian of Gaussian, difference of Gaussians, unsharp mask. */
import { checkSize, Options } from './options.ts';
import { floatKernel, type Kernel, normalized, sample, sum } from './taps.ts';

type PerAxis = readonly [y: number, x: number];

/** How far a sampled Gaussian reaches. */
export interface GaussianExtent {
	/** The kernel ends this many sigmas from its centre; default 4. */
	truncate?: number;
	/** Taps on each side of the centre, instead of `truncate`; a number or [y, x]. 0 leaves an axis alone. */
	radius?: number | readonly [y: number, x: number];
}

export interface GaussianOptions extends GaussianExtent {
	/** Standard deviation in pixels, above 0; a number or [y, x]. */
	sigma: number | readonly [y: number, x: number];
}

const positivePair = (options: Options, name: string): PerAxis => {
	const pair = options.pair(name, 'a finite number above 0', (x) => x > 0);
	return pair ?? [options.positive(name), 0];
};

/** Taps on each side of the centre: int(truncate·sigma + 0.5), as scipy.ndimage.gaussian_filter1d. */
function radiusOf(kernel: string, options: Options, sigma: PerAxis): PerAxis {
	const truncate = options.positive('truncate', 4);
	const side = (s: number) => Math.floor(truncate * s + 0.5);
	const radius = options.pair('radius', 'an integer of at least 0', (x) => Number.isInteger(x) && x >= 0) ?? [
		side(sigma[0]),
		side(sigma[1]),
	];
	checkSize(kernel, 2 * radius[0] + 1, 2 * radius[1] + 1);
	return radius;
}

/** exp(−x²/2σ²) at x = −radius … radius, scaled to sum to 1. */
function gaussian1d(sigma: number, radius: number): Float64Array {
	return normalized(Float64Array.from({ length: 2 * radius + 1 }, (_, i) => Math.exp(-0.5 * ((i - radius) / sigma) ** 2)));
}

/** Weights of the sampled 2-D Gaussian, summing to 1. */
function gaussianWeights(sigma: PerAxis, radius: PerAxis): Float64Array {
	const column = gaussian1d(sigma[0], radius[0]);
	const row = gaussian1d(sigma[1], radius[1]);
	return sample(radius, (y, x) => (column[y + radius[0]] as number) * (row[x + radius[1]] as number));
}

/**
 * Gaussian blur: w(y, x) = exp(−y²/2σy² − x²/2σx²), scaled to sum to 1, float32 of shape [2·ry + 1, 2·rx + 1].
 * The same weights and the same radius, int(truncate·sigma + 0.5), as scipy.ndimage.gaussian_filter.
 *
 * @throws FaltungError INVALID_ARGUMENT for a wrong option, LIMIT_EXCEEDED for more than 2^24 taps
 */
export function gaussian(options: GaussianOptions): Kernel<Float32Array> {
	const read = new Options('gaussian', options, ['sigma', 'truncate', 'radius']);
	const sigma = positivePair(read, 'sigma');
	const radius = radiusOf('gaussian', read, sigma);
	return floatKernel('gaussian', radius, gaussianWeights(sigma, radius), 1);
}

/** `weights` less the part of the Gaussian that makes them sum to 0. */
function withoutMean(weights: Float64Array, gauss: Float64Array): Float64Array {
	const total = sum(weights);
	return weights.map((w, i) => w - total * (gauss[i] as number));
}

/**
 * Laplacian of Gaussian (Marr and Hildreth 1980): w(y, x) = (r²/σ⁴ − 2/σ²)·g(y, x) with r² = x² + y² and g the Gaussian that sums to 1;
 * negative in the centre, so it is positive on dark blobs. A multiple of g is taken off so that it sums to 0: flat regions give 0.
 * float32, radius as for `gaussian`; apart from that correction the impulse response of scipy.ndimage.gaussian_laplace.
 *
 * @throws FaltungError INVALID_ARGUMENT for a wrong option, LIMIT_EXCEEDED for more than 2^24 taps
 */
export function log(options: { sigma: number } & GaussianExtent): Kernel<Float32Array> {
	const read = new Options('log', options, ['sigma', 'truncate', 'radius']);
	const sigma = read.positive('sigma');
	const radius = radiusOf('log', read, [sigma, sigma]);
	const gauss = gaussianWeights([sigma, sigma], radius);
	let i = 0;
	const weights = sample(radius, (y, x) => ((y / sigma) ** 2 + (x / sigma) ** 2 - 2) * (gauss[i++] as number)).map(
		(w) => w / sigma / sigma,
	);
	return floatKernel('log', radius, withoutMean(weights, gauss), 0);
}

/**
 * Difference of Gaussians: g(sigma) − g(sigma2), each summing to 1, so the kernel sums to 0; positive in the centre.
 * With the default sigma2 = 1.6·sigma it approximates −log (Marr and Hildreth 1980). float32; the radius is that of the larger sigma.
 *
 * @throws FaltungError INVALID_ARGUMENT for a wrong option, LIMIT_EXCEEDED for more than 2^24 taps
 */
export function dog(options: { sigma: number; sigma2?: number } & GaussianExtent): Kernel<Float32Array> {
	const read = new Options('dog', options, ['sigma', 'sigma2', 'truncate', 'radius']);
	const sigma = read.positive('sigma');
	const sigma2 = read.positive('sigma2', 1.6 * sigma);
	const larger = Math.max(sigma, sigma2);
	const radius = radiusOf('dog', read, [larger, larger]);
	const outer = gaussianWeights([sigma2, sigma2], radius);
	return floatKernel(
		'dog',
		radius,
		gaussianWeights([sigma, sigma], radius).map((w, i) => w - (outer[i] as number)),
		0,
	);
}

/**
 * Unsharp mask: (1 + amount)·δ − amount·g(sigma): the image plus `amount` (default 1) times what a Gaussian blur takes from it.
 * Sums to 1. float32, radius as for `gaussian`.
 *
 * @throws FaltungError INVALID_ARGUMENT for a wrong option, LIMIT_EXCEEDED for more than 2^24 taps
 */
export function unsharp(options: GaussianOptions & { amount?: number }): Kernel<Float32Array> {
	const read = new Options('unsharp', options, ['sigma', 'amount', 'truncate', 'radius']);
	const sigma = positivePair(read, 'sigma');
	const amount = read.finite('amount', 1);
	const radius = radiusOf('unsharp', read, sigma);
	const weights = gaussianWeights(sigma, radius).map((w) => -amount * w + 0);
	weights[(weights.length - 1) / 2] = (weights[(weights.length - 1) / 2] as number) + 1 + amount;
	return floatKernel('unsharp', radius, weights, 1);
}
