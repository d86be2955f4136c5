#include "rows.h"

void conv_fill(const conv_exec *e, char *to, int64_t count) {
	switch (e->bytes) {
	case 2:
		for (int64_t i = 0; i < count; i++) memcpy(to + i * 2, &e->constant, 2);
		break;
	case 4:
		for (int64_t i = 0; i < count; i++) memcpy(to + i * 4, &e->constant, 4);
		break;
	default:
		for (int64_t i = 0; i < count; i++) memcpy(to + i * 8, &e->constant, 8);
	}
}

void conv_pack_line(const conv_exec *e, char *to, const char *row, int64_t stride, int64_t from, int64_t step, int64_t count) {
	const conv_problem *p = &e->p;
	const int64_t n = p->sizes[3], element = conv_dtype_bytes(p->image_dtype);
	const conv_load_fn load = e->isa->load[e->accumulator][p->image_dtype];
	/* no division where it can be spared: two of them took as long as copying 64 pixels */
	int64_t inside = from >= 0 ? 0 : step == 1 ? -from : (-from + step - 1) / step; /* first one within the image */
	if (inside > count) inside = count;
	int64_t beyond = from >= n ? 0 : step == 1 ? n - from : (n - from + step - 1) / step; /* first one behind it */
	if (beyond > count) beyond = count;
	if (beyond < inside) beyond = inside;
	for (int64_t k = 0; k < count; k++) {
		if (k == inside) k = beyond;
		if (k == count) break;
		const int64_t source = conv_source(&p->x, n, from + k * step);
		if (source < 0) memcpy(to + k * e->bytes, &e->constant, (size_t)e->bytes);
		else load(to + k * e->bytes, row + source * stride * element, 1, 1);
	}
	if (beyond > inside)
		load(to + inside * e->bytes, row + (from + inside * step) * stride * element, stride * step, beyond - inside);
}

void conv_pack_row(const conv_exec *e, const conv_tile *t, char *to, const char *row, int64_t from, int64_t width) {
	const conv_kernel_plan *plan = &e->plans[t->m];
	const int64_t step = e->p.stride_x, last = (width - 1) * step + (e->p.windows[t->m].cols - 1) * e->p.dilation_x;
	for (int64_t f = 0; f < plan->phase_count; f++)
		conv_pack_line(e, to + f * plan->phase_length * e->bytes, row, t->buffers->image_strides[3], from + plan->phases[f], step,
		               (last - plan->phases[f]) / step + 1);
}

int conv_lies_ready(const conv_exec *e, const conv_tile *t) {
	const int same = (e->accumulator == CONV_ACC_F32 && e->p.image_dtype == CONV_F32) ||
	                 (e->accumulator == CONV_ACC_F64 && e->p.image_dtype == CONV_F64);
	return same && t->buffers->image_strides[3] == 1;
}

void conv_fetch_row(const char *row, int64_t from, int64_t count, int64_t element) {
	for (int64_t b = 0; b < count * element; b += 64) __builtin_prefetch(row + from * element + b);
}

/* ── storing ── */

static conv_wide sum_as_integer(const conv_exec *e, const char *sum) {
	switch (e->accumulator) {
	case CONV_ACC_F32: return conv_wide_from((int64_t) * (const float *)sum);
	case CONV_ACC_F64: return conv_wide_from((int64_t) * (const double *)sum);
	case CONV_ACC_I16: return conv_wide_from(*(const int16_t *)sum);
	default: return conv_wide_from(*(const int64_t *)sum);
	}
}

static int store_scalar(const conv_exec *e, const conv_store *how, const char *sum, char *to) {
	const int64_t dtype = e->p.out_dtype;
	if (how->exact) {
		const conv_wide s = sum_as_integer(e, sum);
		if (how->plain) return conv_store_integer(s, to, dtype, how->overflow);
		return conv_store_real(how->scale * conv_wide_to_double(s) + how->bias, to, dtype, how->rounding, how->overflow);
	}
	double v;
	if (e->accumulator == CONV_ACC_F32) {
		const float s = *(const float *)sum;
		v = how->plain ? s : (float)how->scale * s + (float)how->bias;
	} else {
		const double s = *(const double *)sum;
		v = how->plain ? s : how->scale * s + how->bias;
	}
	return conv_store_real(v, to, dtype, how->rounding, how->overflow);
}

static void scatter(char *to, const char *from, int64_t stride, int64_t count, int element) {
	switch (element) {
	case 1:
		for (int64_t i = 0; i < count; i++) to[i * stride] = from[i];
		break;
	case 2:
		for (int64_t i = 0; i < count; i++) ((uint16_t *)to)[i * stride] = ((const uint16_t *)from)[i];
		break;
	case 4:
		for (int64_t i = 0; i < count; i++) ((uint32_t *)to)[i * stride] = ((const uint32_t *)from)[i];
		break;
	default:
		for (int64_t i = 0; i < count; i++) ((uint64_t *)to)[i * stride] = ((const uint64_t *)from)[i];
	}
}

/* Sums of row y from column x on into consecutive elements. */
static void store_sums(const conv_exec *e, const conv_tile *t, int64_t y, int64_t x, int64_t count, const char *sums, char *to) {
	const int64_t channel = t->c * e->p.kernels + t->m, element = conv_dtype_bytes(e->p.out_dtype);
	const conv_store *how = &e->stores[channel];
	if (e->store_fns[channel]) {
		e->store_fns[channel](to, sums, count, how);
		return;
	}
	for (int64_t k = 0; k < count;) {
		if (e->isa) k += e->isa->store_some(to + k * element, sums + k * e->bytes, count - k, how);
		const int64_t end = e->isa && count - k > CONV_STORE_BLOCK ? k + CONV_STORE_BLOCK : count;
		for (; k < end; k++)
			if (store_scalar(e, how, sums + k * e->bytes, to + k * element))
				conv_note_overflow(t->overflow_at, conv_linear_index(e, t, y, x + k));
	}
}

void conv_store_row(const conv_exec *e, const conv_tile *t, int64_t y, int64_t x0, int64_t x1, const char *sums, char *line, int stream) {
	const int64_t stride = t->buffers->out_strides[3], count = x1 - x0;
	const int element = conv_dtype_bytes(e->p.out_dtype);
	char *to = conv_out_pixel(e, t, y, x0);
	if (stride != 1) {
		store_sums(e, t, y, x0, count, sums, line);
		scatter(to, line, stride, count, element);
	} else if (stream) {
		const int64_t whole = count * element / e->isa->vector_bytes * e->isa->vector_bytes;
		store_sums(e, t, y, x0, count, sums, line);
		e->isa->copy(to, line, whole);
		memcpy(to + whole, line + whole, (size_t)(count * element - whole));
	} else store_sums(e, t, y, x0, count, sums, to);
}

int conv_stores_straight(const conv_exec *e, const conv_tile *t) {
	const conv_store *how = &e->stores[t->c * e->p.kernels + t->m];
	const int same = (e->accumulator == CONV_ACC_F32 && e->p.out_dtype == CONV_F32) ||
	                 (e->accumulator == CONV_ACC_F64 && e->p.out_dtype == CONV_F64);
	return same && how->plain && !how->exact && t->buffers->out_strides[3] == 1;
}

void conv_store_zeros(const conv_exec *e, const conv_tile *t, char *sums, char *line) {
	memset(sums, 0, (size_t)((t->x1 - t->x0) * e->bytes));
	for (int64_t y = t->y0; y < t->y1; y++) conv_store_row(e, t, y, t->x0, t->x1, sums, line, 0);
}

/* Non-temporal stores save the read of a line that is about to be overwritten; they pay where the result leaves the caches. */
#ifndef STREAM_FROM_BYTES /* tests stream small results too */
#define STREAM_FROM_BYTES (8 << 20)
#endif

int conv_is_large(const conv_tile *t) { return t->buffers->out_bytes >= STREAM_FROM_BYTES; }

int conv_may_stream(const conv_exec *e, const conv_tile *t, const char *at) {
	const int64_t vector = e->isa->vector_bytes, rows = t->buffers->out_strides[2] * conv_dtype_bytes(e->p.out_dtype);
	return (uintptr_t)at % (uintptr_t)vector == 0 && rows % vector == 0 && conv_is_large(t);
}
