/*
 * The tile of the strip kernel: bands of rows, cut into strips of CONV_STRIP_BYTES of columns.
 *
 *     image rows  --(where they lie, or extended and converted into `packed`)-->  kernel  -->  out, or `sums`  -->  store to out
 *
 * A strip whose windows lie inside an image of the accumulator's dtype is read in place; all others are packed, a strip at a time, so
 * that the packed rows and the sums of a band stay in the nearest caches.
 */
#include "rows.h"

/* Rows of a band: sums that go straight to out need no memory and take tall bands; others should stay in the first-level cache. */
#define BAND 256
#define BUFFERED_BAND 64

/* Larger windows go to the ring of open rows (tile.c), whose memory does not grow with them. */
#define MOST_ROWS 64
#define MOST_REACH 1024
/* With few rows of one residue in a tile the ring shares loads better. */
#define MOST_DILATION 8

int conv_strip_fits(const conv_exec *e, const conv_window *w, int64_t channels) {
	const conv_problem *p = &e->p;
	return p->stride_y == 1 && p->stride_x == 1 && w->rows <= MOST_ROWS && (p->dilation_y <= MOST_DILATION || w->rows == 1) &&
	       w->cols <= MOST_REACH && (w->cols - 1) * p->dilation_x <= MOST_REACH / channels;
}

typedef struct arena {
	const char **image;                /* the image rows of a band, NULL where the constant lies */
	const void **in_place, **buffered; /* the same as the kernel reads them */
	char *packed, *constant, *open, *sums, *stored, *line;
	int64_t pitch; /* bytes of a packed row */
	int64_t bytes; /* of all */
} arena;

static int64_t lines(int64_t bytes) { return (bytes + 63) / 64 * 64; }

static int64_t strip_columns(const conv_exec *e) { return CONV_STRIP_BYTES / e->bytes; }

static int64_t buffered_band(const conv_window *w) { return BUFFERED_BAND + 2 * w->rows; }

/* Sizes are those of the largest window of the bank. */
static arena lay_out(const conv_exec *e, char *memory) {
	const conv_problem *p = &e->p;
	int64_t rows = 0, reach = 0;
	for (int64_t m = 0; m < p->kernels; m++) {
		const conv_window *w = &p->windows[m];
		if (!e->plans[m].strips) continue;
		if (w->rows > rows) rows = w->rows;
		if ((w->cols - 1) * p->dilation_x > reach) reach = (w->cols - 1) * p->dilation_x;
	}
	arena a;
	const int64_t columns = strip_columns(e), all = BAND + rows; /* BAND >= the buffered band of MOST_ROWS */
	const int64_t widest = (p->tile_w < p->out_w ? p->tile_w : p->out_w) + e->isa->vector_bytes;
	char *at = memory;
#define TAKE(field, size) a.field = (void *)at, at += lines(size)
	TAKE(image, all * (int64_t)sizeof(void *));
	TAKE(in_place, all * (int64_t)sizeof(void *));
	TAKE(buffered, all * (int64_t)sizeof(void *));
	/* an odd number of lines: rows of one column then fall into different sets of the cache */
	a.pitch = lines((columns + reach) * e->bytes) | 64;
	TAKE(packed, all * a.pitch);
	TAKE(constant, (widest + 2 * columns + reach) * e->bytes);
	TAKE(open, rows * CONV_STRIP_BYTES);
	TAKE(sums, BAND * CONV_STRIP_BYTES);
	TAKE(stored, BAND * columns * 8);
	TAKE(line, columns * 8);
#undef TAKE
	a.bytes = at - memory;
	return a;
}

int64_t conv_strip_arena_bytes(const conv_exec *e) { return lay_out(e, NULL).bytes; }

void conv_prepare_strip_arena(const conv_exec *e, void *memory) {
	const arena a = lay_out(e, memory);
	memset(a.packed, 0, (size_t)(a.constant - a.packed)); /* columns beyond a narrow strip are computed, though never stored */
	conv_fill(e, a.constant, (a.open - a.constant) / e->bytes);
}

typedef struct band {
	const conv_exec *e;
	const conv_tile *t;
	const conv_window *w;
	arena a;
	int64_t y, step, outputs; /* output rows y, y + step ... */
	const char *plane;
	int in_place, straight;
} band;

static const char *image_row(const band *b, int64_t p) {
	const conv_problem *problem = &b->e->p;
	const int64_t source = conv_source(&problem->y, problem->sizes[2], b->w->first_y + b->y + p * b->step);
	return source < 0 ? NULL : b->plane + source * b->t->buffers->image_strides[2] * conv_dtype_bytes(problem->image_dtype);
}

static void find_rows(const band *b) {
	const int64_t element = conv_dtype_bytes(b->e->p.image_dtype), all = b->outputs + b->w->rows - 1;
	for (int64_t p = 0; p < all; p++) {
		const char *row = image_row(b, p);
		b->a.image[p] = row;
		b->a.in_place[p] = row ? row + (b->w->first_x + b->t->x0) * element : b->a.constant;
		b->a.buffered[p] = row ? b->a.packed + p * b->a.pitch : b->a.constant;
	}
}

static void pack(const band *b, int64_t x, int64_t count) {
	const conv_problem *p = &b->e->p;
	const int64_t stride = b->t->buffers->image_strides[3], element = conv_dtype_bytes(p->image_dtype), from = b->w->first_x + x;
	const int64_t all = b->outputs + b->w->rows - 1, ahead = strip_columns(b->e) * element;
	const conv_load_fn load = b->e->isa->load[b->e->accumulator][p->image_dtype];
	/* whole vectors where the image has them: the rest of a row took as long as its vectors */
	const int64_t whole = (count + b->e->lanes - 1) / b->e->lanes * b->e->lanes;
	const int inside = from >= 0 && from + whole <= p->sizes[3];
	for (int64_t k = 0; k < all; k++) {
		const char *row = b->a.image[k];
		char *to = b->a.packed + k * b->a.pitch;
		if (row == NULL) continue;
		if (inside) load(to, row + from * stride * element, stride, whole);
		else conv_pack_line(b->e, to, row, stride, from, 1, count);
		/* the next strip's pixels; addresses outside the image do no harm */
		if (stride == 1)
			for (int64_t i = 0; i < ahead; i += 64) __builtin_prefetch(row + (from + count) * element + i);
	}
}

/* Sums of a strip of `width` columns from x on, in rows of CONV_STRIP_BYTES, into the result. */
static void store(const band *b, int64_t x, int64_t width) {
	const conv_exec *e = b->e;
	const conv_tile *t = b->t;
	const int64_t channel = t->c * e->p.kernels + t->m, columns = strip_columns(e), element = conv_dtype_bytes(e->p.out_dtype);
	const int64_t step = t->buffers->out_strides[2] * b->step * element;
	const conv_store_fn fn = e->store_fns[channel];
	char *to = conv_out_pixel(e, t, b->y, x);
	if (b->straight) {
		e->isa->copy_rows(to, step, b->a.sums, CONV_STRIP_BYTES, width * element, b->outputs, 0);
		return;
	}
	const int stream = t->buffers->out_strides[3] == 1 && width * element % e->isa->vector_bytes == 0 && conv_may_stream(e, t, to);
	if (fn != NULL && t->buffers->out_strides[3] == 1) {
		fn(b->a.stored, b->a.sums, b->outputs * columns, &e->stores[channel]);
		e->isa->copy_rows(to, step, b->a.stored, columns * element, width * element, b->outputs, stream);
		return;
	}
	for (int64_t k = 0; k < b->outputs; k++)
		conv_store_row(e, t, b->y + k * b->step, x, x + width, b->a.sums + k * CONV_STRIP_BYTES, b->a.line, stream);
}

static void run_strip(const band *b, int64_t x, int64_t width) {
	const conv_exec *e = b->e;
	const conv_tile *t = b->t;
	const conv_kernel_plan *plan = &e->plans[t->m];
	const int64_t columns = strip_columns(e), reach = (b->w->cols - 1) * e->p.dilation_x, from = b->w->first_x + x;
	const int in_place = b->in_place && from >= 0 && from + columns + reach <= e->p.sizes[3];
	const int direct = b->straight && width == columns;
	if (!in_place) pack(b, x, width + reach);
	char *to = direct ? conv_out_pixel(e, t, b->y, x) : b->a.sums;
	const conv_strip call = {
		.rows = in_place ? b->a.in_place : b->a.buffered,
		.shift = in_place ? (x - t->x0) * e->bytes : 0,
		.outputs = b->outputs,
		.window_rows = b->w->rows,
		.cols = b->w->cols,
		.taps = plan->classes[0].taps,
		.gap = e->p.dilation_x,
		.to = to,
		.to_step = direct ? t->buffers->out_strides[2] * b->step * e->bytes : CONV_STRIP_BYTES,
		.open = b->a.open,
		.stream = direct && conv_may_stream(e, t, to),
		.ahead = in_place,
	};
	e->isa->strip[e->accumulator](&call);
	if (!direct) store(b, x, width);
}

/* Columns before the first whole vector of the result, where that lets the others be streamed. */
static int64_t head_columns(const conv_exec *e, const conv_tile *t) {
	const int64_t vector = e->isa->vector_bytes, element = conv_dtype_bytes(e->p.out_dtype);
	char *at = conv_out_pixel(e, t, t->y0, t->x0);
	const int64_t off = (int64_t)((uintptr_t)at % (uintptr_t)vector);
	return off && off % element == 0 && conv_may_stream(e, t, at + vector - off) ? (vector - off) / element : 0;
}

static void run_band(band *b) {
	const conv_tile *t = b->t;
	const int64_t columns = strip_columns(b->e);
	find_rows(b);
	int64_t width = t->buffers->out_strides[3] == 1 ? head_columns(b->e, t) : 0;
	if (width == 0 || width > columns) width = columns;
	for (int64_t x = t->x0; x < t->x1; x += width, width = columns) {
		if (atomic_load_explicit(t->cancelled, memory_order_relaxed)) return;
		if (width > t->x1 - x) width = t->x1 - x;
		run_strip(b, x, width);
	}
}

void conv_strip_tile(const conv_exec *e, const conv_tile *t, void *memory) {
	const conv_problem *p = &e->p;
	const conv_window *w = &p->windows[t->m];
	band b = {.e = e, .t = t, .w = w, .a = lay_out(e, memory), .plane = conv_image_plane(e, t)};
	b.straight = conv_stores_straight(e, t);
	b.in_place = conv_lies_ready(e, t);
	const int64_t most = b.straight && b.in_place ? BAND : buffered_band(w);
	b.step = w->rows == 1 ? 1 : p->dilation_y;
	for (int64_t r = 0; r < b.step; r++)
		for (int64_t y = t->y0 + r; y < t->y1; y += b.outputs * b.step) {
			b.y = y;
			b.outputs = (t->y1 - y + b.step - 1) / b.step;
			if (b.outputs > most) b.outputs = most;
			run_band(&b);
		}
}
