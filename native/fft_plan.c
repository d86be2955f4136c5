#include "fft_plan.h"

#include <stdlib.h>
#include <string.h>

/* ── roots of unity, in integers: the mathematics library's sine is not the same everywhere ── */

#define ONE ((int64_t)1 << 62)
#define QUARTER_PI ((int64_t)0x3243f6a8885a308d) /* pi/4 * 2^62 */
#define TERMS 10 /* (pi/4)^22 / 22! < 2^-77 */

/* Product of two numbers of 62 fractional bits. */
static int64_t times(int64_t a, int64_t b) { return (int64_t)(((__int128)a * b) >> 62); }

void conv_fft_root(int64_t k, int64_t n, double *re, double *im) {
	const int64_t octant = 8 * k / n, rest = 8 * k - octant * n;
	/* the angle from the nearer axis, at most pi/4 */
	const int64_t angle = (int64_t)((__int128)QUARTER_PI * (octant & 1 ? n - rest : rest) / n), square = times(angle, angle);
	int64_t c = ONE, s = ONE;
	for (int64_t m = TERMS; m >= 1; m--) {
		c = ONE - times(square, c) / ((2 * m - 1) * (2 * m));
		s = ONE - times(square, s) / ((2 * m) * (2 * m + 1));
	}
	const double cosine = (double)c * 0x1p-62, sine = (double)times(angle, s) * 0x1p-62;
	const int swap = octant == 1 || octant == 2 || octant == 5 || octant == 6;
	const double x = swap ? sine : cosine, y = swap ? cosine : sine;
	*re = octant >= 2 && octant <= 5 ? -x : x;
	*im = octant >= 4 ? y : -y;
}

/* ── factors ── */

static int take(int64_t *n, int factor) {
	int count = 0;
	for (; *n % factor == 0; *n /= factor) count++;
	return count;
}

/*
 * Odd factors first, then 4s, then 8s: the last pass needs no twiddles and turns around in registers (fft.h), which pays most for the
 * largest radix. Radix 2 only for a single factor of 2.
 */
static int factorize(int64_t n, int radix[CONV_FFT_PASSES]) {
	if (n < 2 || n > CONV_FFT_LONGEST) return -1;
	const int fives = take(&n, 5), threes = take(&n, 3), twos = take(&n, 2);
	if (n != 1) return -1;
	const int fours = twos == 1 ? 0 : (3 - twos % 3) % 3, eights = (twos - 2 * fours) / 3;
	const int kinds[5][2] = {{5, fives}, {3, threes}, {2, twos == 1}, {4, fours}, {8, twos == 1 ? 0 : eights}};
	int passes = 0;
	for (int k = 0; k < 5; k++)
		for (int i = 0; i < kinds[k][1]; i++) radix[passes++] = kinds[k][0];
	return passes;
}

int conv_fft_is_length(int64_t n) {
	int radix[2 * CONV_FFT_PASSES];
	const int passes = factorize(n, radix);
	return passes >= 0 && passes <= CONV_FFT_PASSES;
}

int conv_fft_axis_make(conv_fft_axis *axis, int64_t n, int bytes) {
	memset(axis, 0, sizeof *axis);
	axis->n = n;
	axis->passes = factorize(n, axis->radix);
	axis->memory = malloc((size_t)(2 * n * CONV_FFT_PASSES * bytes) + 16);
	if (axis->memory == NULL) return 0;
	char *at = axis->memory;
	int64_t length = n;
	for (int k = 0; k < axis->passes; k++) {
		const int64_t radix = axis->radix[k], step = length / radix;
		axis->twiddles[k] = at;
		for (int64_t j = 1; j < step; j++)
			for (int64_t q = 1; q < radix; q++) {
				double root[2];
				conv_fft_root(j * q % length, length, &root[0], &root[1]);
				for (int part = 0; part < 2; part++, at += bytes) {
					const float narrow = (float)root[part];
					memcpy(at, bytes == 4 ? (const void *)&narrow : (const void *)&root[part], (size_t)bytes);
				}
			}
		length = step;
	}
	return 1;
}

void conv_fft_axis_free(conv_fft_axis *axis) {
	free(axis->memory);
	axis->memory = NULL;
}
