/*
 * Overlap-save. A tile of outputs reads a region of the extended image, rows + R - 1 by cols + C - 1 for a window of R x C; a cyclic
 * correlation over fft_h x fft_w, at least that large, gives the tile in its first rows and columns.
 *
 *     pixels  --(index maps, conversion)-->  region less its mean, times 2^s  --columns, rows, spectrum, rows, columns-->  * 2^-s, + mean * sum of taps
 *
 * Two tiles go together as real and imaginary part, which the real kernel keeps apart. Each is scaled by its own power of two to a
 * 2-norm from 1 to 2, so that the rounding errors that they share are small beside either one.
 *
 * A region goes direct where it holds a NaN or an infinity, where scaling would leave the range of the type, and where an outlier would
 * smear over it (has_outlier).
 */
#include "fft_tile.h"

#include "rows.h"

/* Sums of so many rows, in so many lanes, are added up before they go on in double. */
#define BAND 16
#define SUM_LANES 16

/* A region is judged by so many of its pixels, */
#define SAMPLES 64
/* and holds an outlier where so many of them are quiet. */
#define QUIET 60

/* Above this power of two, of pixels and of sums, there is no room for a transform; below that one scaling would overflow. */
static int most_exponent(const conv_exec *e) { return e->bytes == 4 ? 110 : 980; }
static int least_exponent(const conv_exec *e) { return e->bytes == 4 ? -118 : -1010; }

typedef struct fft_arena {
	char *tile, *scratch, *line, *bands;
} fft_arena;

int64_t conv_fft_arena_bytes(const conv_exec *e) {
	const conv_fft_exec *f = e->fft;
	return f->tile_bytes + f->scratch_bytes + f->line_bytes + f->band_bytes;
}

/* Rows that fill the last vector are computed with, though never stored. */
void conv_fft_prepare_arena(const conv_exec *e, void *memory) {
	const int64_t bytes = conv_fft_arena_bytes(e);
	memset((char *)memory + e->arena_bytes - bytes, 0, (size_t)bytes);
}

static fft_arena lay_out(const conv_exec *e, void *memory) {
	const conv_fft_exec *f = e->fft;
	char *at = (char *)memory + e->arena_bytes - conv_fft_arena_bytes(e);
	return (fft_arena){at, at + f->tile_bytes, at + f->tile_bytes + f->scratch_bytes, at + f->tile_bytes + f->scratch_bytes + f->line_bytes};
}

static double get(const conv_exec *e, const void *from, int64_t k) {
	return e->bytes == 4 ? (double)((const float *)from)[k] : ((const double *)from)[k];
}

/* What is known of one part of the tile. */
typedef struct part {
	int used;           /* else it holds zeros */
	int flat;           /* all pixels are the mean: the sums owe nothing to the transform, nor to rounding in the other part */
	int64_t rows, cols; /* of the region */
	double mean;        /* exact in the accumulator's type */
	int exponent;       /* the part is scaled by 2^-exponent */
} part;

/* ── outliers ── */

static double pixel_of(const conv_exec *e, const char *top, int64_t y, int64_t x) {
	const int64_t lanes = e->isa->vector_bytes / e->bytes;
	return get(e, top + y * 2 * e->isa->vector_bytes, x / lanes * e->fft->pitch + x % lanes);
}

/*
 * One pixel of 10^20 among pixels near 1 would bury them all: errors of a transform are shared by the whole region. The region holds an
 * outlier where 15 of 16 pixels are within 2^-12 of its largest distance from their median, by SAMPLES pixels on a lattice.
 * (A maximum beyond 2^12 times the root mean square is a stronger condition: n pixels allow a ratio of at most the root of n.)
 * Pixels of integer dtypes have neighbours one apart, so 1 counts as quiet.
 */
static int has_outlier(const conv_exec *e, const part *p, const char *top, double low, double high) {
	double sorted[SAMPLES];
	for (int k = 0; k < SAMPLES; k++) {
		/* rows in order, columns by the golden ratio: points of a lattice without short lines */
		const double v = pixel_of(e, top, k * p->rows / SAMPLES, (k * INT64_C(40503) & 0xffff) * p->cols >> 16);
		int at = k;
		for (; at > 0 && sorted[at - 1] > v; at--) sorted[at] = sorted[at - 1];
		sorted[at] = v;
	}
	const double median = sorted[SAMPLES / 2], most = high - median > median - low ? high - median : median - low;
	const double floor = conv_is_float(e->p.image_dtype) ? 0 : 1, reach = most / 4096;
	if (most <= floor * 4096) return 0;
	int quiet = 0;
	for (int k = 0; k < SAMPLES; k++) quiet += fabs(sorted[k] - median) < reach;
	return quiet >= QUIET;
}

/* ── pixels in ── */

/* Row y of the region, converted: where it lies, or in `line`. */
static const void *region_row(const conv_exec *e, const conv_tile *t, const part *p, int64_t y, char *line) {
	const conv_problem *q = &e->p;
	const conv_window *w = &q->windows[t->m];
	const int64_t *strides = t->buffers->image_strides;
	const int64_t from = w->first_x + t->x0, source = conv_source(&q->y, q->sizes[2], w->first_y + t->y0 + y);
	if (source < 0) {
		conv_fill(e, line, p->cols);
		return line;
	}
	const int64_t element = conv_dtype_bytes(q->image_dtype);
	const char *row = conv_image_plane(e, t) + source * strides[2] * element;
	const int as_is = (e->accumulator == CONV_ACC_F32 && q->image_dtype == CONV_F32) || (e->accumulator == CONV_ACC_F64 && q->image_dtype == CONV_F64);
	if (strides[3] == 1) conv_fetch_row(row + strides[2] * element, from, p->cols, element);
	if (as_is && strides[3] == 1 && from >= 0 && from + p->cols <= q->sizes[3]) return row + from * element;
	conv_pack_line(e, line, row, strides[3], from, 1, p->cols);
	return line;
}

static int cancelled(const conv_tile *t) { return atomic_load_explicit(t->cancelled, memory_order_relaxed); }

/* Puts the region of a tile into one part. 0: it has to go direct. */
static int gather(const conv_exec *e, const conv_tile *t, const fft_arena *a, int which, part *p) {
	const conv_fft_exec *f = e->fft;
	const conv_fft_kernels *fft = e->isa->fft[e->bytes == 8];
	const conv_window *w = &e->p.windows[t->m];
	*p = (part){.rows = t->y1 - t->y0 + w->rows - 1, .cols = t->x1 - t->x0 + w->cols - 1};
	char *sum = a->bands, *lows = sum + SUM_LANES * e->bytes, *highs = lows + SUM_LANES * e->bytes;
	double total = 0, low = INFINITY, high = -INFINITY; /* of x - pivot */
	char *top = a->tile + which * e->isa->vector_bytes;
	conv_fft_put put = {.row = top, .pitch = f->pitch, .blocks = f->blocks, .count = p->cols, .sum = sum, .low = lows, .high = highs};
	for (int64_t y = 0; y < p->rows; y++) {
		if (y % BAND == 0 && cancelled(t)) return 1;
		const void *row = region_row(e, t, p, y, a->line);
		if (y == 0) put.pivot = get(e, row, 0);
		put.row = top + y * 2 * e->isa->vector_bytes;
		put.fresh = y % BAND == 0;
		fft->put_row(&put, row);
		if (y % BAND != BAND - 1 && y != p->rows - 1) continue;
		for (int64_t k = 0; k < SUM_LANES; k++) {
			const double l = get(e, lows, k), h = get(e, highs, k);
			total += get(e, sum, k);
			if (l < low) low = l;
			if (h > high) high = h;
		}
	}
	p->mean = put.pivot + total / (double)(p->rows * p->cols);
	if (e->bytes == 4) p->mean = (float)p->mean;
	if (!isfinite(p->mean) || has_outlier(e, p, top, put.pivot + low, put.pivot + high)) return 0;
	const double off = p->mean - put.pivot, largest = high - off > off - low ? high - off : off - low;
	const double reach = fabs(p->mean) > largest ? fabs(p->mean) : largest;
	const double most = ldexp(1.0, most_exponent(e));
	if (!(reach < most) || !(reach * f->magnitudes[t->m] < most)) return 0;
	p->used = 1;
	p->flat = largest == 0;
	if (p->flat) return 1;
	/* scaled so that squares neither overflow nor all vanish, then to a norm from 1 to 2 */
	const int least = least_exponent(e);
	int exponent = ilogb(largest) < least ? least : ilogb(largest);
	put.row = top;
	const double squares = fft->square_sum(&put, p->rows, p->mean, ldexp(1.0, -exponent));
	if (squares > 0) exponent += ilogb(sqrt(squares));
	p->exponent = exponent < least ? least : exponent;
	put.row = top + p->rows * 2 * e->isa->vector_bytes;
	fft->fill_rows(&put, f->y.n - p->rows, p->mean);
	return 1;
}

static void clear(const conv_exec *e, const fft_arena *a, int which) {
	const conv_fft_put put = {.row = a->tile + which * e->isa->vector_bytes, .pitch = e->fft->pitch, .blocks = e->fft->blocks};
	e->isa->fft[e->bytes == 8]->fill_rows(&put, e->fft->y.n, 0);
}

/* ── sums out ── */

static void scatter_sums(const conv_exec *e, const conv_tile *t, const fft_arena *a, int which, const part *p) {
	const conv_fft_exec *f = e->fft;
	const conv_fft_kernels *fft = e->isa->fft[e->bytes == 8];
	const conv_store *how = &e->stores[t->c * e->p.kernels + t->m];
	const int same = (e->accumulator == CONV_ACC_F32 && e->p.out_dtype == CONV_F32) ||
	                 (e->accumulator == CONV_ACC_F64 && e->p.out_dtype == CONV_F64);
	const int straight = same && how->plain && !how->exact && t->buffers->out_strides[3] == 1;
	const double scale = p->flat ? 0 : ldexp(1.0, p->exponent + f->exponents[t->m]), shift = p->mean * f->weights[t->m];
	const int64_t count = t->x1 - t->x0;
	for (int64_t y = t->y0; y < t->y1; y++) {
		const char *row = a->tile + ((y - t->y0) * 2 + which) * e->isa->vector_bytes;
		char *to = straight ? conv_out_pixel(e, t, y, t->x0) : a->line;
		fft->take_row(row, f->pitch, count, scale, shift, to);
		if (!straight) conv_store_row(e, t, y, t->x0, t->x1, to, a->line + f->line_bytes / 2, 0);
	}
}

void conv_fft_tiles(const conv_exec *e, const conv_tile *tiles, int count, void *memory) {
	const conv_fft_exec *f = e->fft;
	const conv_fft_kernels *fft = e->isa->fft[e->bytes == 8];
	const int64_t m = tiles[0].m, lanes = e->isa->vector_bytes / e->bytes;
	const fft_arena a = lay_out(e, memory);
	if (f->spectra[m] == NULL) { /* zeros */
		for (int k = 0; k < count; k++) e->method->tile(e, &tiles[k], memory);
		return;
	}
	part parts[2] = {{.used = 0}, {.used = 0}};
	int direct[2] = {0, 0};
	for (int k = 0; k < count; k++) direct[k] = !gather(e, &tiles[k], &a, k, &parts[k]);
	double scale[2], shift[2];
	int any = 0; /* something to transform */
	for (int k = 0; k < 2; k++) {
		const int zeros = !parts[k].used || parts[k].flat;
		if (zeros) clear(e, &a, k);
		scale[k] = zeros ? 1 : ldexp(1.0, -parts[k].exponent);
		shift[k] = zeros ? 0 : -parts[k].mean * scale[k];
		any = any || !zeros;
	}
	for (int64_t b = 0; any && b < f->blocks; b++) {
		if (cancelled(&tiles[0])) return;
		fft->columns_forward(&f->y, a.tile + b * f->pitch * e->bytes, scale, shift);
	}
	for (int64_t y = 0; any && y < f->rows; y += lanes) {
		if (cancelled(&tiles[0])) return;
		const conv_fft_rows call = {.axis = &f->x,
		                            .rows = a.tile + y * 2 * lanes * e->bytes,
		                            .pitch = f->pitch,
		                            .blocks = f->blocks,
		                            .spectrum = (const char *)f->spectra[m] + y * 2 * f->x.n * e->bytes,
		                            .scratch = a.scratch};
		fft->rows(&call);
	}
	const int64_t wide = count > 1 && tiles[1].x1 - tiles[1].x0 > tiles[0].x1 - tiles[0].x0 ? tiles[1].x1 - tiles[1].x0 : tiles[0].x1 - tiles[0].x0;
	for (int64_t b = 0; any && b * lanes < wide; b++) {
		if (cancelled(&tiles[0])) return;
		fft->columns_inverse(&f->y, a.tile + b * f->pitch * e->bytes);
	}
	for (int k = 0; k < count; k++) {
		if (cancelled(&tiles[0])) return;
		if (direct[k]) e->method->tile(e, &tiles[k], memory);
		else scatter_sums(e, &tiles[k], &a, k, &parts[k]);
	}
}
