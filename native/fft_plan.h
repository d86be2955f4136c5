/* Lengths, factors and roots of unity of the Fourier transforms. Private. */
#ifndef FALTUNG_FFT_PLAN_H
#define FALTUNG_FFT_PLAN_H

#include <stdint.h>

/* Longest transform, and most passes of one (2^2 * 3^5 = 972 has six, 3^6 = 729 too, 5^3 * 3^2 ... fewer). */
#define CONV_FFT_LONGEST 2048
#define CONV_FFT_PASSES 8

/*
 * One axis of a transform in place. Forward, pass k splits every block of n / (radix[0] ... radix[k-1]) elements into radix[k]
 * blocks (decimation in frequency), so results lie in digit-reversed order; inverse, the passes run backwards (decimation in
 * time) and put them back. Convolution needs no other order.
 */
typedef struct conv_fft_axis {
	int64_t n;
	int passes;
	int radix[CONV_FFT_PASSES];
	const void *twiddles[CONV_FFT_PASSES]; /* of pass k, block length b: for j = 1 .. b/radix-1, q = 1 .. radix-1 e^(-2 pi i j q / b): re, im */
	void *memory;                          /* that holds them */
} conv_fft_axis;

/* Whether n is a length that conv_fft_axis_make takes: 2^a 3^b 5^c from 2 to CONV_FFT_LONGEST. */
int conv_fft_is_length(int64_t n);

/* Twiddles as floats (bytes 4) or doubles (8), rounded once. 0: out of memory. */
int conv_fft_axis_make(conv_fft_axis *axis, int64_t n, int bytes);
void conv_fft_axis_free(conv_fft_axis *axis);

/* e^(-2 pi i k / n), 0 <= k < n: each part within 2^-53.9 of the exact one, the same on every machine. */
void conv_fft_root(int64_t k, int64_t n, double *re, double *im);

#endif
