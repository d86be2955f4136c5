/* The kernels' spectra, formed in double and rounded once. */
#include <stdlib.h>

#include "fft_tile.h"

static int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

/* A tile of doubles in which one kernel after the other is transformed. */
typedef struct workshop {
	conv_fft_axis y, x;
	int64_t lanes, rows, blocks, pitch;
	char *memory;
	double *tile, *scratch;
} workshop;

static int open_workshop(workshop *s, const conv_exec *e) {
	memset(s, 0, sizeof *s);
	s->lanes = e->isa->vector_bytes / 8;
	s->rows = round_up(e->p.fft_h, s->lanes);
	s->blocks = (e->p.fft_w + s->lanes - 1) / s->lanes;
	s->pitch = s->rows * 2 * s->lanes;
	const int64_t tile = s->blocks * s->pitch * 8, scratch = s->blocks * s->lanes * 2 * s->lanes * 8;
	s->memory = malloc((size_t)(tile + scratch + 64));
	if (!conv_fft_axis_make(&s->y, e->p.fft_h, 8) || !conv_fft_axis_make(&s->x, e->p.fft_w, 8) || s->memory == NULL) return 0;
	s->tile = (double *)round_up((int64_t)(uintptr_t)s->memory, 64);
	s->scratch = s->tile + s->blocks * s->pitch;
	return 1;
}

static void close_workshop(workshop *s) {
	conv_fft_axis_free(&s->y);
	conv_fft_axis_free(&s->x);
	free(s->memory);
}

static double tap_of(const conv_exec *e, const conv_window *w, int64_t k) {
	const uint64_t bits = e->p.taps[w->taps + k];
	double d;
	if (e->p.tap_kind == CONV_TAPS_F64) memcpy(&d, &bits, 8);
	else d = e->p.tap_kind == CONV_TAPS_U64 ? (double)bits : (double)(int64_t)bits;
	return d;
}

/* Sum of the taps, and of their magnitudes, with the error of each addition carried along (Neumaier). */
static double sum_taps(const conv_exec *e, const conv_window *w, double *magnitude) {
	double sum = 0, lost = 0;
	*magnitude = 0;
	for (int64_t k = 0; k < w->rows * w->cols; k++) {
		const double tap = tap_of(e, w, k), next = sum + tap;
		lost += fabs(sum) >= fabs(tap) ? sum - next + tap : tap - next + sum;
		sum = next;
		*magnitude += fabs(tap);
	}
	return sum + lost;
}

/* conj(F taps) / (h w) * 2^-exponent, in the order that the transforms leave: blocks of `lanes` rows, column by column. */
static void put_spectrum(const conv_exec *e, const workshop *s, const conv_window *w, int exponent, char *to) {
	static const double one[2] = {1, 1}, none[2] = {0, 0};
	const conv_fft_kernels *fft = e->isa->fft[1];
	const int64_t h = s->y.n, width = s->x.n, lanes = e->isa->vector_bytes / e->bytes;
	const double unit = ldexp(1.0, -exponent);
	memset(s->tile, 0, (size_t)(s->blocks * s->pitch * 8));
	for (int64_t j = 0; j < w->rows; j++)
		for (int64_t i = 0; i < w->cols; i++)
			s->tile[i / s->lanes * s->pitch + j * 2 * s->lanes + i % s->lanes] = tap_of(e, w, j * w->cols + i) * unit;
	for (int64_t b = 0; b < s->blocks; b++) fft->columns_forward(&s->y, s->tile + b * s->pitch, one, none);
	for (int64_t y = 0; y < h; y += s->lanes) {
		const conv_fft_rows call = {.axis = &s->x, .rows = s->tile + y * 2 * s->lanes, .pitch = s->pitch, .blocks = s->blocks, .scratch = s->scratch};
		fft->rows(&call);
		for (int64_t k = 0; k < s->lanes && y + k < h; k++)
			for (int64_t x = 0; x < width; x++)
				for (int part = 0; part < 2; part++) {
					const double v = s->scratch[(2 * x + part) * s->lanes + k] / (double)(h * width) * (part ? -1 : 1);
					const int64_t at = (((y + k) / lanes * width + x) * 2 + part) * lanes + (y + k) % lanes;
					if (e->bytes == 4) ((float *)to)[at] = (float)v;
					else ((double *)to)[at] = v;
				}
	}
}

static conv_status put_kernels(conv_exec *e, conv_fft_exec *f, const workshop *s, const char **why) {
	const int64_t kernels = e->p.kernels, bytes = f->rows * e->p.fft_w * 2 * e->bytes;
	const void **spectra = conv_keep(e, kernels, sizeof *spectra);
	double *weights = conv_keep(e, kernels, 8), *magnitudes = conv_keep(e, kernels, 8);
	int *exponents = conv_keep(e, kernels, sizeof *exponents);
	if (!spectra || !weights || !magnitudes || !exponents) return CONV_NO_MEMORY;
	f->spectra = spectra, f->weights = weights, f->magnitudes = magnitudes, f->exponents = exponents;
	for (int64_t m = 0; m < kernels; m++) {
		const conv_window *w = &e->p.windows[m];
		weights[m] = sum_taps(e, w, &magnitudes[m]);
		if (!isfinite(magnitudes[m])) {
			*why = "a Fourier transform needs finite taps with a finite sum";
			return CONV_INVALID;
		}
		if (w->rows == 0) continue;
		exponents[m] = magnitudes[m] > 0x1p-900 ? ilogb(magnitudes[m]) : -900;
		char *memory = conv_keep(e, bytes + 64, 1);
		if (memory == NULL) return CONV_NO_MEMORY;
		char *to = (char *)round_up((int64_t)(uintptr_t)memory, 64);
		put_spectrum(e, s, w, exponents[m], to);
		spectra[m] = to;
	}
	return CONV_OK;
}

/* Rows apart by a power of two would share few sets of the cache. */
#define PADDING 64

conv_status conv_fft_prepare(conv_exec *e, const char **why) {
	conv_fft_exec *f = conv_keep(e, 1, sizeof *f);
	if (f == NULL) return CONV_NO_MEMORY;
	e->fft = f;
	const int64_t lanes = e->isa->vector_bytes / e->bytes, vector = e->isa->vector_bytes;
	f->rows = round_up(e->p.fft_h, lanes);
	f->blocks = (e->p.fft_w + lanes - 1) / lanes;
	f->pitch = f->rows * 2 * lanes + PADDING / e->bytes;
	f->tile_bytes = round_up(f->blocks * f->pitch * e->bytes, 64);
	f->scratch_bytes = f->blocks * lanes * 2 * vector;
	f->line_bytes = round_up(2 * round_up(e->p.fft_w, 64) * 8, 128);
	f->band_bytes = 3 * 16 * e->bytes; /* sums, lows and highs in 16 lanes */
	if (!conv_fft_axis_make(&f->y, e->p.fft_h, e->bytes) || !conv_fft_axis_make(&f->x, e->p.fft_w, e->bytes)) return CONV_NO_MEMORY;
	workshop s;
	const conv_status status = open_workshop(&s, e) ? put_kernels(e, f, &s, why) : CONV_NO_MEMORY;
	close_workshop(&s);
	return status;
}

void conv_fft_free(conv_fft_exec *fft) {
	if (fft == NULL) return;
	conv_fft_axis_free(&fft->y);
	conv_fft_axis_free(&fft->x);
}
