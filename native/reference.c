/* The scalar body: pixel by pixel, as conv.h defines it. Every vector kernel must give its bits. */
#include "lines.h"

typedef struct walk {
	const conv_exec *e;
	const conv_tile *tile;
	const conv_window *window;
	const char *plane;
	int64_t y, x;
} walk;

/* Address of the pixel under tap (j, i); NULL: the constant. */
static const char *pixel(const walk *w, int64_t j, int64_t i) {
	const conv_problem *p = &w->e->p;
	const int64_t *strides = w->tile->buffers->image_strides;
	const int64_t sy = conv_source(&p->y, p->sizes[2], w->window->first_y + w->y * p->stride_y + j * p->dilation_y);
	const int64_t sx = conv_source(&p->x, p->sizes[3], w->window->first_x + w->x * p->stride_x + i * p->dilation_x);
	if (sy < 0 || sx < 0) return NULL;
	return w->plane + (sy * strides[2] + sx * strides[3]) * conv_dtype_bytes(p->image_dtype);
}

static double value_as_double(const conv_problem *p) {
	double d;
	if (conv_is_float(p->image_dtype)) memcpy(&d, &p->value, 8);
	else d = conv_is_unsigned(p->image_dtype) ? (double)p->value : (double)(int64_t)p->value;
	return d;
}

static double tap_as_double(const conv_problem *p, uint64_t bits) {
	double d;
	if (p->tap_kind == CONV_TAPS_F64) memcpy(&d, &bits, 8);
	else d = p->tap_kind == CONV_TAPS_U64 ? (double)bits : (double)(int64_t)bits;
	return d;
}

/*
 * Float sums, once per type: direct, of products and of equal taps, in the orders that conv.h, separable.c and box.c state.
 *   T (float, double)  S (f32, f64)  FMA  GET (a pixel)
 */
#define FLOAT_SUMS(T, S, FMA, GET)                                                                                             \
	static T pixel_##S(const walk *w, int64_t j, int64_t i) {                                                                  \
		const char *at = pixel(w, j, i);                                                                                       \
		return at ? GET(at, w->e->p.image_dtype) : (T)value_as_double(&w->e->p);                                               \
	}                                                                                                                          \
	/* x*tap for the first one, else sum + x*tap */                                                                            \
	static T add_##S(const walk *w, T x, T tap, T sum, int64_t k) {                                                            \
		return k == 0 ? x * tap : w->e->fused ? FMA(x, tap, sum) : x * tap + sum;                                              \
	}                                                                                                                          \
	static T direct_##S(const walk *w) {                                                                                       \
		const conv_problem *p = &w->e->p;                                                                                      \
		T total = 0;                                                                                                           \
		for (int64_t j = 0; j < w->window->rows; j++) {                                                                        \
			T row = 0;                                                                                                         \
			for (int64_t i = 0; i < w->window->cols; i++) {                                                                    \
				const T tap = (T)tap_as_double(p, p->taps[w->window->taps + j * w->window->cols + i]);                         \
				row = add_##S(w, pixel_##S(w, j, i), tap, row, i);                                                             \
			}                                                                                                                  \
			total = j == 0 ? row : total + row;                                                                                \
		}                                                                                                                      \
		return total;                                                                                                          \
	}                                                                                                                          \
	static T products_##S(const walk *w) {                                                                                     \
		const conv_problem *p = &w->e->p;                                                                                      \
		const conv_split *split = &p->splits[w->tile->m];                                                                      \
		const int64_t rows = w->window->rows, cols = w->window->cols;                                                          \
		T total = 0;                                                                                                           \
		for (int64_t k = 0; k < split->rank && rows > 0; k++) {                                                                \
			const uint64_t *column = p->factors + split->at + k * (rows + cols), *row = column + rows;                         \
			T sum = 0;                                                                                                         \
			for (int64_t j = 0; j < rows; j++) {                                                                               \
				T along = 0;                                                                                                   \
				for (int64_t i = 0; i < cols; i++)                                                                             \
					along = add_##S(w, pixel_##S(w, j, i), (T)tap_as_double(p, row[i]), along, i);                             \
				sum = add_##S(w, along, (T)tap_as_double(p, column[j]), sum, j);                                               \
			}                                                                                                                  \
			total = k == 0 ? sum : total + sum;                                                                                \
		}                                                                                                                      \
		return total;                                                                                                          \
	}                                                                                                                          \
	/* m pixels from column i on, each times the tap */                                                                        \
	static T box_row_##S(const walk *w, int64_t j, int64_t i, int64_t m) {                                                     \
		if (m == 1) return pixel_##S(w, j, i) * (T)tap_as_double(&w->e->p, w->e->p.taps[w->window->taps]);                     \
		const T pair = box_row_##S(w, j, i, m / 2) + box_row_##S(w, j, i + m / 2, m / 2);                                      \
		return m % 2 ? pair + box_row_##S(w, j, i + m - 1, 1) : pair;                                                          \
	}                                                                                                                          \
	static T box_##S(const walk *w) {                                                                                          \
		const conv_strands s = conv_strands_of(w->e->p.stride_y, w->e->p.dilation_y, w->window->rows);                         \
		const int64_t rows = w->window->rows, cols = w->window->cols;                                                          \
		if (rows == 0) return 0;                                                                                               \
		const int64_t into = w->y / s.apart * s.stride % rows; /* lines between the beginning of a block and the window's */   \
		const int64_t next = into == 0 ? 0 : rows - into;      /* window row where the next block begins */                    \
		T prefix = box_row_##S(w, next, 0, cols), suffix = 0;                                                                  \
		for (int64_t j = next + 1; j < rows; j++) prefix = prefix + box_row_##S(w, j, 0, cols);                                \
		if (next == 0) return prefix;                                                                                          \
		suffix = box_row_##S(w, next - 1, 0, cols);                                                                            \
		for (int64_t j = next - 2; j >= 0; j--) suffix = box_row_##S(w, j, 0, cols) + suffix;                                  \
		return suffix + prefix;                                                                                                \
	}                                                                                                                          \
	static T sum_##S(const walk *w) {                                                                                          \
		return w->e->p.algorithm == CONV_SEPARABLE ? products_##S(w) : w->e->p.algorithm == CONV_BOX ? box_##S(w) : direct_##S(w); \
	}
FLOAT_SUMS(float, f32, fmaf, conv_get_float)
FLOAT_SUMS(double, f64, fma, conv_get_double)

/* Exact sums do not depend on their order: one for every algorithm. */
static conv_wide sum_wide(const walk *w) {
	const conv_problem *p = &w->e->p;
	const int pixel_unsigned = conv_is_unsigned(p->image_dtype);
	conv_wide total = conv_wide_from(0);
	for (int64_t j = 0; j < w->window->rows; j++)
		for (int64_t i = 0; i < w->window->cols; i++) {
			const char *at = pixel(w, j, i);
			const uint64_t x = at ? conv_get_bits(at, p->image_dtype) : p->value;
			const uint64_t tap = p->taps[w->window->taps + j * w->window->cols + i];
			total = conv_wide_add(total, conv_wide_product(conv_signed_from(x, pixel_unsigned),
			                                               conv_signed_from(tap, p->tap_kind == CONV_TAPS_U64)));
		}
	return total;
}

/* scale*sum + bias, rounded and stored; 1: does not fit. */
static int store(const walk *w, const conv_store *how, char *to) {
	const conv_problem *p = &w->e->p;
	if (how->exact) {
		const conv_wide sum = sum_wide(w);
		if (how->plain) return conv_store_integer(sum, to, p->out_dtype, p->overflow);
		return conv_store_real(how->scale * conv_wide_to_double(sum) + how->bias, to, p->out_dtype, p->rounding, p->overflow);
	}
	double v;
	if (p->sum == CONV_SUM_F32) {
		const float sum = sum_f32(w);
		v = how->plain ? sum : (float)how->scale * sum + (float)how->bias;
	} else {
		const double sum = sum_f64(w);
		v = how->plain ? sum : how->scale * sum + how->bias;
	}
	return conv_store_real(v, to, p->out_dtype, p->rounding, p->overflow);
}

void conv_reference_tile(const conv_exec *e, const conv_tile *tile) {
	const conv_store *how = &e->stores[tile->c * e->p.kernels + tile->m];
	walk w = {e, tile, &e->p.windows[tile->m], conv_image_plane(e, tile), 0, 0};
	for (w.y = tile->y0; w.y < tile->y1; w.y++)
		for (w.x = tile->x0; w.x < tile->x1; w.x++) {
			if (atomic_load_explicit(tile->cancelled, memory_order_relaxed)) return;
			if (store(&w, how, conv_out_pixel(e, tile, w.y, w.x)))
				conv_note_overflow(tile->overflow_at, conv_linear_index(e, tile, w.y, w.x));
		}
}
