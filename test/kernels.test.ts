import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FaltungError } from '../src/core/errors.ts';
import * as kernels from '../src/kernels/index.ts';
import { floatTaps } from '../src/kernels/taps.ts';

const { box, disk, dog, emboss, gabor, gaussian, identity, laplacian, log, motion, prewitt, scharr, sharpen, sobel, unsharp } = kernels;

const rows = ({ data, shape: [height, width] }: kernels.Kernel): number[][] =>
	Array.from({ length: height }, (_, y) => [...data.subarray(y * width, (y + 1) * width)]);

const total = (kernel: kernels.Kernel): number => [...kernel.data].reduce((a, b) => a + b, 0);

/** Σ k·f over offsets (y, x) from the centre; the sign is +1 for a correlation, −1 for a convolution. */
const moment = (kernel: kernels.Kernel, f: (y: number, x: number) => number, sign = 1): number => {
	const [h, w] = kernel.shape;
	return rows(kernel).reduce((s, row, j) => row.reduce((t, k, i) => t + k * f(sign * (j - (h - 1) / 2), sign * (i - (w - 1) / 2)), s), 0);
};

/** What convolve() gives at the origin of an image f(y, x). */
const convolved = (kernel: kernels.Kernel, f: (y: number, x: number) => number) => moment(kernel, f, -1);

/** A tap is one of the two float32 neighbours of its weight: off by less than this share of it. */
const STEP = 2 ** -23;

/** w is a − b, where a is exact and b a float32 tap. */
const near = (w: number, a: number, b: number) => expect(Math.abs(w - (a - b))).toBeLessThanOrEqual(STEP * (Math.abs(b) + Math.abs(w)));

const failure = (f: () => unknown): FaltungError => {
	try {
		f();
	} catch (error) {
		expect(error).toBeInstanceOf(FaltungError);
		return error as FaltungError;
	}
	throw new Error('expected an error');
};

describe('integer kernels', () => {
	test('weights by hand', () => {
		expect(rows(sobel())).toEqual([
			[1, 0, -1],
			[2, 0, -2],
			[1, 0, -1],
		]);
		expect(rows(sobel({ axis: 'y' }))).toEqual([
			[1, 2, 1],
			[0, 0, 0],
			[-1, -2, -1],
		]);
		expect(rows(sobel({ axis: 'x', size: 5 }))[1]).toEqual([4, 8, 0, -8, -4]);
		expect(rows(sobel({ axis: 'y', size: 7 })).map((row) => row[3])).toEqual([20, 80, 100, 0, -100, -80, -20]);
		expect(rows(scharr({ axis: 'x' }))[1]).toEqual([10, 0, -10]);
		expect(rows(prewitt({ axis: 'y' }))[2]).toEqual([-1, -1, -1]);
		expect(rows(laplacian())).toEqual([
			[0, 1, 0],
			[1, -4, 1],
			[0, 1, 0],
		]);
		expect(rows(laplacian({ connectivity: 8 }))[1]).toEqual([1, -8, 1]);
		expect(rows(sharpen())).toEqual([
			[0, -1, 0],
			[-1, 5, -1],
			[0, -1, 0],
		]);
		expect(rows(sharpen({ amount: 2, connectivity: 8 }))).toEqual([
			[-2, -2, -2],
			[-2, 17, -2],
			[-2, -2, -2],
		]);
		expect(rows(emboss())).toEqual([
			[2, 1, 0],
			[1, 1, -1],
			[0, -1, -2],
		]);
		expect(rows(identity({ size: 3 }))).toEqual([
			[0, 0, 0],
			[0, 1, 0],
			[0, 0, 0],
		]);
		expect(rows(identity())).toEqual([[1]]);
	});

	test('are int32 and hold no negative zero', () => {
		for (const kernel of [sobel(), sobel({ size: 7 }), scharr(), prewitt(), laplacian(), sharpen(), emboss(), identity()]) {
			expect(kernel.data).toBeInstanceOf(Int32Array);
		}
		expect(sharpen({ amount: 0.5 }).data).toBeInstanceOf(Float32Array);
		expect(sharpen({ amount: 0.5 }).data.some((w) => Object.is(w, -0))).toBe(false);
	});

	test.each([
		['sobel 3', sobel, 3, 8],
		['sobel 5', sobel, 5, 128],
		['sobel 7', sobel, 7, 2048],
		['scharr', scharr, undefined, 32],
		['prewitt', prewitt, undefined, 6],
	] as const)('%s: convolve() gives a positive derivative of known gain along its axis only', (_, make, size, gain) => {
		const options = size === undefined ? {} : { size };
		const x = (make as typeof sobel)({ axis: 'x', ...options });
		const y = (make as typeof sobel)({ axis: 'y', ...options });
		expect(convolved(x, (_y, x) => x)).toBe(gain);
		expect(convolved(y, (y) => y)).toBe(gain);
		expect(convolved(x, (y) => y)).toBe(0);
		expect(convolved(x, () => 1)).toBe(0);
	});

	test('laplacian of x² + y² is 4; emboss is bright towards the lower right; sharpen keeps a ramp', () => {
		expect(convolved(laplacian(), (y, x) => x * x + y * y)).toBe(4);
		expect(convolved(laplacian({ connectivity: 8 }), (y, x) => x * x + y * y)).toBe(12);
		expect(convolved(emboss(), (y, x) => y + x)).toBeGreaterThan(0);
		expect(convolved(sharpen({ amount: 3, connectivity: 8 }), (y, x) => 5 + 2 * y - 3 * x)).toBe(5);
	});
});

describe('gaussian', () => {
	/** scipy 1.17.1: ndimage.gaussian_filter1d of an impulse, sigma 1. */
	const scipy = [0.00013383062461474175, 0.0044318616200312655, 0.05399112742070441, 0.24197144565660073, 0.39894346935609776];

	test('is what SciPy computes, within one float32 step', () => {
		const row = gaussian({ sigma: 1, radius: [0, 4] });
		expect(row.shape).toEqual([1, 9]);
		for (const [i, w] of scipy.entries()) {
			expect(Math.abs((row.data[i] as number) - w)).toBeLessThan(STEP * w);
			expect(row.data[8 - i]).toBe(row.data[i]);
		}
		const square = rows(gaussian({ sigma: 1 }));
		expect(square.length).toBe(9);
		for (let y = 0; y < 5; y++) {
			for (let x = 0; x < 5; x++) {
				const w = (scipy[y] as number) * (scipy[x] as number);
				expect(Math.abs((square[y]?.[x] as number) - w)).toBeLessThan(STEP * w);
			}
		}
	});

	test('radius is int(truncate·sigma + 0.5)', () => {
		expect(gaussian({ sigma: 3 }).shape).toEqual([25, 25]);
		expect(gaussian({ sigma: [0.6, 2.1] }).shape).toEqual([5, 17]);
		expect(gaussian({ sigma: 2, truncate: 2 }).shape).toEqual([9, 9]);
		expect(gaussian({ sigma: 0.1 }).shape).toEqual([1, 1]);
		expect([...gaussian({ sigma: 1e-300, radius: 1 }).data]).toEqual([0, 0, 0, 0, 1, 0, 0, 0, 0]);
		expect(gaussian({ sigma: 9, radius: [0, 2] }).shape).toEqual([1, 5]);
	});

	test('of sigma 1 and more misses 1 by less than 2^-32 in the median, by far less than nearest rounding', () => {
		const misses = Array.from({ length: 199 }, (_, i) => Math.abs(total(gaussian({ sigma: [1 + i / 20, 1 + ((i * 71) % 199) / 20] })) - 1));
		misses.sort((a, b) => a - b);
		expect(misses[99]).toBeLessThan(2 ** -32);
	});

	test('sums to 1, is symmetric, and has the variance of the samples', () => {
		fc.assert(
			fc.property(fc.double({ min: 0.3, max: 12, noNaN: true }), fc.double({ min: 0.3, max: 12, noNaN: true }), (sy, sx) => {
				const kernel = gaussian({ sigma: [sy, sx] });
				const grid = rows(kernel);
				expect(Math.abs(total(kernel) - 1)).toBeLessThanOrEqual(2 ** -24); // what nearest rounding of weights that sum to 1 guarantees
				expect([...kernel.data].reverse()).toEqual([...kernel.data]);
				expect(grid.map((row) => [...row].reverse())).toEqual(grid);
				// cut off at 4 sigma and sampled, a Gaussian keeps its variance to better than a percent
				if (sx > 1) expect(Math.abs(moment(kernel, (_, x) => x * x) / sx ** 2 - 1)).toBeLessThan(0.01);
			}),
		);
	});
});

describe('rounding to float32', () => {
	test('each tap is a float32 neighbour of its weight, and the sum is much closer than nearest rounding leaves it', () => {
		const weights = Float64Array.from({ length: 1000 }, (_, i) => 1 / (i + 1));
		const scale = weights.reduce((a, b) => a + b, 0);
		const unit = weights.map((w) => w / scale);
		const taps = floatTaps(unit, 1);
		for (const [i, w] of unit.entries()) expect(Math.abs((taps[i] as number) - w)).toBeLessThan(STEP * w);
		const off = (list: Iterable<number>) => Math.abs([...list].reduce((a, b) => a + b, 0) - 1);
		expect(off(taps)).toBeLessThan(2 ** -32);
		expect(off(Float32Array.from(unit))).toBeGreaterThan(1e-9);
	});

	test('exact weights stay', () => {
		expect([...floatTaps(Float64Array.of(0.25, 0.5, 0.25), 1)]).toEqual([0.25, 0.5, 0.25]);
		expect([...floatTaps(Float64Array.of(-0.5, 2, -0.5), 1)]).toEqual([-0.5, 2, -0.5]);
	});
});

describe('smoothing', () => {
	test('box: equal taps', () => {
		expect([...box({ size: 2 }).data]).toEqual([0.25, 0.25, 0.25, 0.25]);
		expect(box({ height: 1, width: 3 })).toEqual({ data: new Float32Array(3).fill(Math.fround(1 / 3)), shape: [1, 3] });
		for (const size of [3, 5, 7, 15, 31, 101]) {
			const kernel = box({ size });
			expect(new Set(kernel.data).size).toBe(1);
			expect(Math.abs(total(kernel) - 1)).toBeLessThanOrEqual(2 ** -24);
		}
	});

	test('disk: areas of pixels in a circle', () => {
		expect(rows(disk({ radius: 0.5 }))).toEqual([[1]]);
		expect(rows(disk({ radius: 1e-200 }))).toEqual([[1]]);
		// radius √½: the pixel in the middle touches the circle at its corners; what is left is four equal caps
		const r = Math.SQRT1_2;
		const cap = (Math.PI * r * r - 1) / 4;
		const small = rows(disk({ radius: r }));
		near(small[1]?.[1] as number, 1 / (Math.PI * r * r), 0);
		near(small[0]?.[1] as number, cap / (Math.PI * r * r), 0);
		expect(small[0]?.[0]).toBe(0);
		// against counting points of a fine grid
		const radius = 2.3;
		const kernel = rows(disk({ radius }));
		expect(kernel.length).toBe(5);
		const n = 400;
		for (const [y, x] of [
			[0, 2],
			[1, 2],
			[2, 2],
		] as const) {
			let inside = 0;
			for (let a = 0; a < n; a++)
				for (let b = 0; b < n; b++) if (Math.hypot(y - 0.5 + (a + 0.5) / n, x - 0.5 + (b + 0.5) / n) <= radius) inside++;
			// the arc passes through at most 2n of the n² small squares
			expect(Math.abs((kernel[2 + y]?.[2 + x] as number) - inside / n / n / (Math.PI * radius * radius))).toBeLessThan(
				2 / n / (Math.PI * radius * radius),
			);
			expect(kernel[2 - x]?.[2 + y]).toBe(kernel[2 + y]?.[2 + x]);
		}
	});

	test('motion: a line of the length and direction asked for', () => {
		expect(rows(motion({ length: 5 }))).toEqual([new Array(5).fill(Math.fround(0.2))]);
		expect(motion({ length: 5, angle: 90 }).shape).toEqual([5, 1]);
		expect(rows(motion({ length: 4 }))).toEqual([[0.125, 0.25, 0.25, 0.25, 0.125]]);
		expect(rows(motion({ length: 1 }))).toEqual([[1]]);
		// 45° counter-clockwise rises to the right
		const rising = rows(motion({ length: 9, angle: 45 }));
		expect(rising[0]?.[rising.length - 1]).toBeGreaterThan(0);
		expect(rising[0]?.[0]).toBe(0);
		expect(motion({ length: 9, angle: 225 })).toEqual(motion({ length: 9, angle: 45 }));
		expect(moment(motion({ length: 21, angle: 30 }), (y, x) => -y * x)).toBeGreaterThan(0);
	});

	test('every smoothing kernel sums to 1 and is its own point reflection', () => {
		fc.assert(
			fc.property(fc.double({ min: 1, max: 30, noNaN: true }), fc.double({ min: -400, max: 400, noNaN: true }), (length, angle) => {
				for (const kernel of [motion({ length, angle }), disk({ radius: length })]) {
					expect(Math.abs(total(kernel) - 1)).toBeLessThan(2 ** -24);
					expect([...kernel.data].reverse()).toEqual([...kernel.data]);
					expect(Math.min(...kernel.data)).toBeGreaterThanOrEqual(0);
				}
			}),
			{ numRuns: 50 },
		);
	});
});

describe('band-pass and sharpening', () => {
	test('log: the formula, less its mean; zero on flat images and ramps', () => {
		const sigma = 2;
		const kernel = log({ sigma });
		expect(kernel.shape).toEqual([17, 17]);
		expect(Math.abs(total(kernel))).toBeLessThan(2 ** -32);
		expect(Math.abs(moment(kernel, (_, x) => x))).toBeLessThan(2 ** -32);
		// the Laplacian of x² + y² is 4, the nearer the less is cut off
		const off = (truncate: number) => Math.abs(convolved(log({ sigma, truncate }), (y, x) => x * x + y * y) - 4);
		expect(off(4)).toBeLessThan(0.1);
		expect(off(8)).toBeLessThan(off(4) / 1000);
	});

	test('log is the impulse response of scipy.ndimage.gaussian_laplace but for the correction of its mean', () => {
		/** scipy 1.17.1, gaussian_laplace of an impulse, sigma 1, radius 2: top left quarter. */
		const scipy = [
			[0.01781410046370298, 0.039918629673040947, 0.04387646255942927],
			[0.039918629673040947, 0, -0.09832033134884574],
			[0.04387646255942927, -0.09832033134884574, -0.3242056432742532],
		];
		const kernel = rows(log({ sigma: 1, radius: 2 }));
		const gauss = rows(gaussian({ sigma: 1, radius: 2 }));
		// Σ of scipy's 25 weights, by symmetry: 4 corners of 2 × 2, 2 + 2 arms, the centre
		const at = (y: number, x: number) => scipy[y]?.[x] as number;
		const sum = 4 * (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) + 4 * (at(0, 2) + at(1, 2)) + at(2, 2);
		for (let y = 0; y < 3; y++) for (let x = 0; x < 3; x++) near(kernel[y]?.[x] as number, at(y, x), sum * (gauss[y]?.[x] as number));
	});

	test('dog: the difference of the two Gaussians', () => {
		const kernel = dog({ sigma: 1 });
		expect(kernel.shape).toEqual([13, 13]);
		expect(Math.abs(total(kernel))).toBeLessThan(2 ** -32);
		const inner = gaussian({ sigma: 1, radius: 6 }).data;
		const outer = gaussian({ sigma: 1.6, radius: 6 }).data;
		for (const [i, w] of kernel.data.entries()) {
			const [a, b] = [inner[i] as number, outer[i] as number];
			expect(Math.abs(w - (a - b))).toBeLessThanOrEqual(STEP * (a + b + Math.abs(w)));
		}
		expect(dog({ sigma: 1, sigma2: 0.5 }).data[(9 * 9 - 1) / 2]).toBeLessThan(0);
	});

	test('unsharp: image plus amount times (image − blur)', () => {
		const kernel = unsharp({ sigma: 1.5, amount: 0.7 });
		const blur = gaussian({ sigma: 1.5 }).data;
		const centre = (blur.length - 1) / 2;
		for (const [i, w] of kernel.data.entries()) {
			const taken = 0.7 * (blur[i] as number);
			expect(Math.abs(w - ((i === centre ? 1.7 : 0) - taken))).toBeLessThanOrEqual(STEP * (taken + Math.abs(w)));
		}
		expect(Math.abs(total(kernel) - 1)).toBeLessThan(2 ** -32);
	});

	test('gabor: the formula; it answers to its own wave and direction', () => {
		const kernel = gabor({ wavelength: 8, angle: 30 });
		const [side] = kernel.shape;
		const sigma = ((Math.sqrt(Math.LN2 / 2) / Math.PI) * (2 ** 1 + 1) * 8) / (2 ** 1 - 1);
		expect(side).toBe(2 * Math.floor(3 * 2 * sigma + 0.5) + 1);
		const [y, x] = [-3, 2];
		const u = x * Math.cos(Math.PI / 6) - y * Math.sin(Math.PI / 6);
		const v = x * Math.sin(Math.PI / 6) + y * Math.cos(Math.PI / 6);
		const expected =
			(0.5 / (2 * Math.PI * sigma ** 2)) * Math.exp(-(u * u + 0.25 * v * v) / (2 * sigma ** 2)) * Math.cos((2 * Math.PI * u) / 8);
		const tap = rows(kernel)[(side - 1) / 2 + y]?.[(side - 1) / 2 + x] as number;
		expect(Math.abs(tap - expected)).toBeLessThanOrEqual(STEP * Math.abs(expected));
		// the wave itself passes with a gain of ½: ∫ g·cos² = ½ (1 + a term of e^−2(2πσ/λ)²)
		const direction = (angle: number) => (y: number, x: number) =>
			Math.cos((2 * Math.PI * (x * Math.cos((angle * Math.PI) / 180) - y * Math.sin((angle * Math.PI) / 180))) / 8);
		expect(Math.abs(convolved(kernel, direction(30)) - 0.5)).toBeLessThan(0.01);
		expect(Math.abs(convolved(kernel, direction(120)))).toBeLessThan(0.01);
		expect(Math.abs(convolved(gabor({ wavelength: 8, angle: 30, phase: 90 }), direction(30)))).toBeLessThan(0.01);
	});
});

describe('wrong options', () => {
	test.each([
		[
			() => gaussian({ sigma: Number.NaN }),
			'INVALID_ARGUMENT',
			/Expected a finite number above 0, or a pair \[y, x\] of such for kernels\.gaussian\(\) option sigma but received NaN/,
		],
		[() => gaussian({ sigma: 0 }), 'INVALID_ARGUMENT', /above 0.*received 0/],
		[() => gaussian({ sigma: [1, 2, 3] as never }), 'INVALID_ARGUMENT', /pair/],
		[() => gaussian({ sigma: '3' as never }), 'INVALID_ARGUMENT', /received "3"/],
		[() => gaussian({} as never), 'INVALID_ARGUMENT', /sigma but received none\. It has no default/],
		[() => gaussian(undefined as never), 'INVALID_ARGUMENT', /sigma/],
		[() => gaussian(3 as never), 'INVALID_ARGUMENT', /an object of options.*received 3/],
		[() => gaussian({ sigm: 3 } as never), 'INVALID_ARGUMENT', /received "sigm"\. Did you mean "sigma"\?/],
		[() => gaussian({ sigma: 1, radius: 1.5 }), 'INVALID_ARGUMENT', /radius/],
		[() => gaussian({ sigma: 1e9 }), 'LIMIT_EXCEEDED', /at most 16777216 taps.*8000000001 x 8000000001/],
		[() => gaussian({ sigma: 1e308 }), 'LIMIT_EXCEEDED', /Infinity/],
		[() => log({ sigma: Number.POSITIVE_INFINITY }), 'INVALID_ARGUMENT', /received Infinity/],
		[() => log({ sigma: 1e-200, radius: 1 }), 'INVALID_ARGUMENT', /finite float32 weights/],
		[() => dog({ sigma: 1, sigma2: -1 }), 'INVALID_ARGUMENT', /sigma2 but received -1/],
		[() => unsharp({ sigma: 1, amount: Number.NaN }), 'INVALID_ARGUMENT', /amount but received NaN/],
		[() => box({ size: 0 }), 'INVALID_ARGUMENT', /size but received 0/],
		[() => box({ size: 3, width: 2 } as never), 'INVALID_ARGUMENT', /either size, or height and width/],
		[() => box({ width: 2 } as never), 'INVALID_ARGUMENT', /height but received none/],
		[() => box({ size: 1e9 }), 'LIMIT_EXCEEDED', /1000000000 x 1000000000/],
		[() => box({ height: 4096, width: 4097 }), 'LIMIT_EXCEEDED', /16781312/],
		[() => disk({ radius: -1 }), 'INVALID_ARGUMENT', /radius but received -1/],
		[() => disk({ radius: 1e12 }), 'LIMIT_EXCEEDED', /taps/],
		[() => motion({ length: 0.5 }), 'INVALID_ARGUMENT', /at least 1.*received 0.5/],
		[() => motion({ length: 1e9 }), 'LIMIT_EXCEEDED', /3 x 1000000003/],
		[() => motion({ length: 3, angle: Number.NaN }), 'INVALID_ARGUMENT', /angle/],
		[() => sobel({ axis: 'z' as never }), 'INVALID_ARGUMENT', /one of "x", "y" for kernels\.sobel\(\) option axis but received "z"/],
		[() => sobel({ size: 4 as never }), 'INVALID_ARGUMENT', /one of 3, 5, 7/],
		[() => scharr({ size: 3 } as never), 'INVALID_ARGUMENT', /Did you mean "axis"/],
		[() => laplacian({ connectivity: 6 as never }), 'INVALID_ARGUMENT', /one of 4, 8/],
		[() => emboss({ strength: 1 } as never), 'INVALID_ARGUMENT', /no options.*"strength"/],
		[() => identity({ size: 2 }), 'INVALID_ARGUMENT', /odd integer.*received 2/],
		[() => gabor({ wavelength: 0 }), 'INVALID_ARGUMENT', /wavelength/],
		[() => gabor({ wavelength: 1e300, gamma: 1e-300 }), 'LIMIT_EXCEEDED', /Infinity/],
	])('%s', (call, code, message) => {
		const error = failure(call);
		expect(error.code).toBe(code);
		expect(error.message).toMatch(message);
	});

	test('the largest box is allowed, and options are read once', () => {
		expect(box({ size: 4096 }).data.length).toBe(2 ** 24);
		let reads = 0;
		const options = {
			get sigma() {
				reads++;
				return reads === 1 ? 1 : Number.NaN;
			},
		};
		expect(gaussian(options).shape).toEqual([9, 9]);
		expect(reads).toBe(1);
	});
});
