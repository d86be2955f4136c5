/* Convolution by Fourier transforms on tiles. Private. */
#ifndef FALTUNG_FFT_TILE_H
#define FALTUNG_FFT_TILE_H

#include "exec.h"

/* What CONV_FFT keeps beside what direct tiles need. */
typedef struct conv_fft_exec {
	conv_fft_axis y, x;
	int64_t rows, blocks, pitch;   /* of a tile in memory: whole vectors; elements between blocks */
	const void *const *spectra;    /* per kernel; NULL: a kernel of zeros */
	const double *weights;         /* per kernel: the sum of its taps */
	const double *magnitudes;      /* and of their magnitudes */
	const int *exponents;          /* the spectrum is that of the taps times 2^-exponent */
	int64_t tile_bytes, scratch_bytes, line_bytes, band_bytes;
} conv_fft_exec;

/* Builds the spectra. Memory of the result that is not in conv_fft_free comes from conv_keep. */
conv_status conv_fft_prepare(conv_exec *e, const char **why);
void conv_fft_free(conv_fft_exec *fft);

/* Beside the arena of direct tiles. */
int64_t conv_fft_arena_bytes(const conv_exec *e);
void conv_fft_prepare_arena(const conv_exec *e, void *memory);

/*
 * One or two tiles of the same kernel at once: one is the real part of what is transformed, one the imaginary part. `memory`: the arena
 * of direct tiles, e->arena_bytes, of which the last conv_fft_arena_bytes(e) are used here.
 */
void conv_fft_tiles(const conv_exec *e, const conv_tile *tiles, int count, void *memory);

#endif
