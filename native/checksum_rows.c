/* Rows of the image and of the result, for the sums of a checksum: as lanes, the image extended through its index maps. */
#include <string.h>

#include "checksum_own.h"

/* Whether lanes may be read as the elements that they come from. */
static int lies_as_lanes(const conv_check *k, int64_t dtype) {
	if (k->lanes == CONV_LANES_F64) return k->isa->real[dtype] != NULL;
	return conv_dtype_bytes(dtype) == k->bytes;
}

static void fill(const conv_check *k, char *to, int64_t count, const void *lane) {
	for (int64_t x = 0; x < count; x++) memcpy(to + x * k->bytes, lane, (size_t)k->bytes);
}

static const uint64_t zero;

/* ── the result ── */

static const char *place_out(const conv_check_worker *w, int64_t y) {
	const conv_buffers *b = &w->check->buffers;
	const int64_t at = b->out_offset + w->n * b->out_strides[0] + w->channel * b->out_strides[1] + y * b->out_strides[2] + w->x0 * b->out_strides[3];
	return (const char *)b->out + at * conv_dtype_bytes(w->check->e->p.out_dtype);
}

static void read_out(const conv_check_worker *w, char *to, int64_t y, int64_t x, int64_t count) {
	const conv_check *k = w->check;
	const int64_t dtype = k->e->p.out_dtype, stride = k->buffers.out_strides[3], there = x < w->width ? conv_at_most(count, w->width - x) : 0;
	if (there > 0) k->isa->load[k->lanes][dtype](to, place_out(w, y) + x * stride * conv_dtype_bytes(dtype), stride, there);
	fill(k, to + there * k->bytes, count - there, &zero);
}

conv_rows conv_out_rows(const conv_check_worker *w) {
	const conv_check *k = w->check;
	const conv_problem *p = &k->e->p;
	conv_rows r = {.read = read_out, .place = place_out, .dtype = p->out_dtype, .width = w->padded, .end = p->out_h};
	r.apart = k->buffers.out_strides[3] * conv_dtype_bytes(p->out_dtype);
	if (k->buffers.out_strides[3] == 1 && lies_as_lanes(k, p->out_dtype)) r.high = w->width / k->columns * k->columns;
	return r;
}

/* ── the image ── */

/* `count` positions from `from` on of one image row, extended. */
static void read_run(const conv_check *k, char *to, const char *row, int64_t from, int64_t count) {
	const conv_problem *p = &k->e->p;
	const int64_t n = p->sizes[3], s = k->buffers.image_strides[3], element = conv_dtype_bytes(p->image_dtype);
	const conv_load_fn load = k->isa->load[k->lanes][p->image_dtype];
	const int64_t inside = conv_at_most(from < 0 ? -from : 0, count);
	int64_t beyond = conv_at_most(from < n ? n - from : 0, count);
	if (beyond < inside) beyond = inside;
	for (int64_t x = 0; x < count; x++) {
		if (x == inside) x = beyond;
		if (x == count) break;
		const int64_t source = conv_source(&p->x, n, from + x);
		if (source < 0) memcpy(to + x * k->bytes, &k->constant, (size_t)k->bytes);
		else load(to + x * k->bytes, row + source * s * element, s, 1);
	}
	if (beyond > inside) load(to + inside * k->bytes, row + (from + inside) * s * element, s, beyond - inside);
}

static const char *image_row(const conv_check_worker *w, int64_t row) {
	const conv_buffers *b = &w->check->buffers;
	const int64_t at = b->image_offset + w->n * b->image_strides[0] + w->c * b->image_strides[1] + row * b->image_strides[2];
	return (const char *)b->image + at * conv_dtype_bytes(w->check->e->p.image_dtype);
}

/* Position under tap column 0 of the item's first output. */
static int64_t first_column(const conv_check_worker *w) {
	const conv_problem *p = &w->check->e->p;
	return p->windows[w->m].first_x + w->x0 * p->stride_x;
}

static const char *place_image(const conv_check_worker *w, int64_t position) {
	const conv_problem *p = &w->check->e->p;
	const int64_t row = conv_source(&p->y, p->sizes[2], position);
	if (row < 0) return NULL;
	return image_row(w, row) + first_column(w) * w->check->buffers.image_strides[3] * conv_dtype_bytes(p->image_dtype);
}

static void read_image(const conv_check_worker *w, char *to, int64_t position, int64_t x, int64_t count) {
	const conv_check *k = w->check;
	const conv_problem *p = &k->e->p;
	const int64_t row = conv_source(&p->y, p->sizes[2], position), first = first_column(w), end = x + count;
	for (int64_t i = x / w->extended; i < w->pieces && x < end; i++) {
		const int64_t begin = i * w->extended, run = conv_at_most(end, begin + w->extended) - x;
		if (row < 0) fill(k, to, run, &k->constant);
		else read_run(k, to, image_row(w, row), first + i * w->apart + x - begin, run);
		to += run * k->bytes;
		x += run;
	}
	fill(k, to, end - x, &zero);
}

conv_rows conv_image_rows(const conv_check_worker *w) {
	const conv_check *k = w->check;
	const conv_problem *p = &k->e->p;
	conv_rows r = {.read = read_image, .place = place_image, .dtype = p->image_dtype, .width = w->row_width, .end = p->sizes[2]};
	if (w->pieces == 1) r.apart = k->buffers.image_strides[3] * conv_dtype_bytes(p->image_dtype);
	if (w->pieces > 1 || k->buffers.image_strides[3] != 1 || !lies_as_lanes(k, p->image_dtype)) return r;
	const int64_t first = first_column(w), end = conv_at_most(p->sizes[3] - first, r.width);
	r.low = first < 0 ? conv_round_up(-first, k->columns) : 0;
	r.high = end > r.low ? end / k->columns * k->columns : r.low;
	return r;
}
