/* The scalar body: pixel by pixel, as conv.h defines it. Every vector kernel must give its bits. */
#include "exec.h"

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

static float sum_f32(const walk *w) {
	const conv_problem *p = &w->e->p;
	float total = 0;
	for (int64_t j = 0; j < w->window->rows; j++) {
		float row = 0;
		for (int64_t i = 0; i < w->window->cols; i++) {
			const char *at = pixel(w, j, i);
			const float x = at ? conv_get_float(at, p->image_dtype) : (float)value_as_double(p);
			const float tap = (float)tap_as_double(p, p->taps[w->window->taps + j * w->window->cols + i]);
			if (i == 0) row = x * tap;
			else if (w->e->fused) row = fmaf(x, tap, row);
			else row = x * tap + row;
		}
		total = j == 0 ? row : total + row;
	}
	return total;
}

static double sum_f64(const walk *w) {
	const conv_problem *p = &w->e->p;
	double total = 0;
	for (int64_t j = 0; j < w->window->rows; j++) {
		double row = 0;
		for (int64_t i = 0; i < w->window->cols; i++) {
			const char *at = pixel(w, j, i);
			const double x = at ? conv_get_double(at, p->image_dtype) : value_as_double(p);
			const double tap = tap_as_double(p, p->taps[w->window->taps + j * w->window->cols + i]);
			if (i == 0) row = x * tap;
			else if (w->e->fused) row = fma(x, tap, row);
			else row = x * tap + row;
		}
		total = j == 0 ? row : total + row;
	}
	return total;
}

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
