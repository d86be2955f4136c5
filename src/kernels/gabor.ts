/** The Gabor filter. */
import { turn } from './angle.ts';
import { checkSize, Options } from './options.ts';
import { floatKernel, type Kernel, sample, sum } from './taps.ts';

export interface GaborOptions {
	/** Period of the carrier wave in pixels, above 0. */
	wavelength: number;
	/** Direction in which the wave runs, in degrees counter-clockwise from the positive x axis as one sees the picture; default 0: vertical stripes. */
	angle?: number;
	/** Standard deviation of the envelope along the wave, in pixels; default 0.5622·wavelength, which is a bandwidth of one octave. */
	sigma?: number;
	/** Aspect of the envelope: its deviation across the wave is sigma / gamma; default 0.5. */
	gamma?: number;
	/** Phase of the wave in the centre, in degrees; default 0: a bright line. */
	phase?: number;
	/** The kernel ends this many deviations from its centre; default 3. */
	truncate?: number;
	/** Taps on each side of the centre, instead of `truncate`. */
	radius?: number;
}

/** σ/λ for a half-amplitude bandwidth of b octaves, √(ln 2 / 2)/π · (2^b + 1)/(2^b − 1), at b = 1 (Petkov and Kruizinga 1997). */
const SIGMA_PER_WAVELENGTH = (Math.sqrt(Math.log(2) / 2) / Math.PI) * 3;

/**
 * Real Gabor kernel (Daugman 1985): with u along the wave and v across,
 *
 *     w = exp(−(u² + γ²v²) / 2σ²) · cos(2π·u/λ + φ) · γ / (2πσ²)
 *
 * The last factor is that of the 2-D Gaussian envelope, so a wave of the right period passes with a gain of about ½. The array is the
 * impulse response under `convolve`. float32; its small mean is left as it is. Radius int(truncate·max(σ, σ/γ) + 0.5).
 *
 * @throws FaltungError INVALID_ARGUMENT for a wrong option, LIMIT_EXCEEDED for more than 2^24 taps
 */
export function gabor(options: GaborOptions): Kernel<Float32Array> {
	const read = new Options('gabor', options, ['wavelength', 'angle', 'sigma', 'gamma', 'phase', 'truncate', 'radius']);
	const wavelength = read.positive('wavelength');
	const { cos, sin } = turn(read.finite('angle', 0));
	const sigma = read.positive('sigma', SIGMA_PER_WAVELENGTH * wavelength);
	const gamma = read.positive('gamma', 0.5);
	const phase = (read.finite('phase', 0) * Math.PI) / 180;
	const widest = Math.floor(read.positive('truncate', 3) * Math.max(sigma, sigma / gamma) + 0.5);
	const radius = read.has('radius')
		? read.number('radius', undefined, 'an integer of at least 0', (x) => Number.isInteger(x) && x >= 0)
		: widest;
	checkSize('gabor', 2 * radius + 1, 2 * radius + 1);
	const factor = gamma / (2 * Math.PI * sigma * sigma);
	const weights = sample([radius, radius], (y, x) => {
		const u = x * cos - y * sin; // rows count downwards
		const v = x * sin + y * cos;
		return factor * Math.exp(-0.5 * ((u / sigma) ** 2 + ((gamma * v) / sigma) ** 2)) * Math.cos((2 * Math.PI * u) / wavelength + phase);
	});
	return floatKernel('gabor', [radius, radius], weights, sum(weights));
}
