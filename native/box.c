/*
 * Kernels whose taps are all equal: running sums, at a cost that depends on the kernel's rows not at all and on its columns by their
 * logarithm. Nothing is ever subtracted, so what has left the window leaves no trace.
 *
 *     input row times the tap  --doubling-->  line of row sums  --blocks of `rows` lines-->  out
 *
 * Each pixel is multiplied by the tap first: what is added then stays within the sums that a direct filter forms, however large the
 * window. Along the row, the sum of m pixels (box_sum): for m even that of m/2 plus that of the m/2 behind, for m odd one pixel more.
 * Down the lines (van Herk; Gil and Werman), in blocks of as many lines as the kernel has rows that begin at multiples of that number,
 * counted from the strand's first output (lines.h), so neither tile nor thread moves them: a window that is no block is the end of one,
 * summed from its last line back, plus the beginning of the next, summed from its first line on.
 */
#include "lines.h"

typedef struct arena {
	char *ring;   /* one line for each row of the kernel */
	char *prefix; /* sum of the lines of the block so far */
	char *sums;   /* an output row */
	char *line;   /* for conv_store_row */
	char *one;    /* an input row times the tap */
	char *more;   /* sums of several of its pixels */
	void **lines;
} arena;

typedef struct sizes {
	int64_t ring, line, store, one, lines;
} sizes;

/*
 * How a row of outputs is summed: in strands, each of which reads neighbours; or, where outputs lie side by side, all strands at once, as
 * one whose neighbours are `step` elements apart.
 */
typedef struct across {
	conv_strands strands;
	int64_t step;  /* elements of `one` between neighbours */
	int64_t apart; /* positions of the image between elements of `one` */
} across;

/* Elements that strands at once may reach beyond their outputs. */
#define MOST_REACH 16384

static across across_of(const conv_exec *e, const conv_window *w) {
	const int64_t dilation = w->cols > 1 ? e->p.dilation_x : 1;
	if (e->p.stride_x == 1 && (__int128)(w->cols - 1) * dilation <= MOST_REACH) return (across){{1, 1}, dilation, 1};
	return (across){conv_strands_of(e->p.stride_x, dilation, w->cols), 1, dilation};
}

/* Elements of `one` that `outputs` of a strand read. */
static int64_t reach_of(const across *a, int64_t outputs, int64_t cols) { return (outputs - 1) * a->strands.stride + (cols - 1) * a->step + 1; }

static sizes arena_sizes(const conv_exec *e) {
	const int64_t length = conv_line_length(e);
	int64_t rows = 1, one = 1;
	for (int64_t m = 0; m < e->p.kernels; m++) {
		const conv_window *w = &e->p.windows[m];
		if (w->rows == 0) continue;
		const across a = across_of(e, w);
		const int64_t reach = reach_of(&a, (length + a.strands.apart - 1) / a.strands.apart, w->cols);
		if (w->rows > rows) rows = w->rows;
		if (reach > one) one = reach;
	}
	return (sizes){conv_round_up(rows * length * e->bytes, 64), conv_round_up(length * e->bytes, 64), conv_round_up(length * 8, 64),
	               conv_round_up((one + 8 * e->lanes) * e->bytes, 64), conv_round_up(rows * (int64_t)sizeof(void *), 64)};
}

static int64_t arena_bytes(const conv_exec *e) {
	const __int128 most = (__int128)1 << 45;
	const int64_t length = conv_line_length(e);
	for (int64_t m = 0; m < e->p.kernels; m++) {
		const conv_window *w = &e->p.windows[m];
		if (w->rows == 0) continue;
		const across a = across_of(e, w);
		const __int128 reach = (__int128)(length / a.strands.apart + 1) * a.strands.stride + (__int128)w->cols * a.step;
		if ((__int128)w->rows * length * e->bytes > most || reach * e->bytes > most) return -1;
	}
	const sizes s = arena_sizes(e);
	return s.ring + 2 * s.line + s.store + 2 * s.one + s.lines;
}

static arena lay_out(const conv_exec *e, void *memory) {
	const sizes s = arena_sizes(e);
	arena a;
	a.ring = memory;
	a.prefix = a.ring + s.ring;
	a.sums = a.prefix + s.line;
	a.line = a.sums + s.line;
	a.one = a.line + s.store;
	a.more = a.one + s.one;
	a.lines = (void **)(a.more + s.one);
	return a;
}

static void prepare_arena(const conv_exec *e, void *memory) {
	const sizes s = arena_sizes(e);
	memset(memory, 0, (size_t)(s.ring + 2 * s.line + s.store + 2 * s.one)); /* padding is computed with, though never stored */
}

typedef struct walk {
	const conv_exec *e;
	const conv_tile *t;
	const conv_window *window;
	const conv_box_fns *fns;
	const void *tap;
	across across;
	conv_pieces cut;
	arena a;
	int64_t length; /* bytes of a line */
} walk;

/* Below this the packed edges cost more than packing the whole row (as in tile.c). */
#define PACK_BELOW 192

static void pack_times_tap(const walk *k, char *to, const char *row, int64_t from, int64_t step, int64_t count) {
	if (count <= 0) return;
	conv_pack_line(k->e, to, row, k->t->buffers->image_strides[3], from, step, count);
	k->fns->scale(to, to, k->tap, conv_round_up(count, k->e->lanes), NULL);
}

/* Positions from, from + step ... of an image row (NULL: the constant), times the tap, into `one`. */
static void fill_one(const walk *k, const char *row, int64_t from, int64_t step, int64_t count) {
	const conv_exec *e = k->e;
	const int64_t n = e->p.sizes[3], stride = k->t->buffers->image_strides[3], element = conv_dtype_bytes(e->p.image_dtype);
	if (row == NULL) {
		conv_fill(e, k->a.one, count);
		k->fns->scale(k->a.one, k->a.one, k->tap, conv_round_up(count, e->lanes), NULL);
		return;
	}
	const char *next = row + k->t->buffers->image_strides[2] * element; /* a prefetch of what does not exist does no harm */
	int64_t low = from < 0 ? -from : 0, high = n - from;
	if (high > count) high = count;
	const int64_t whole = (high - low) / e->lanes * e->lanes;
	if (step != 1 || whole < PACK_BELOW || !conv_lies_ready(e, k->t)) {
		if (stride == 1) conv_fetch_row(next, from, count, element);
		pack_times_tap(k, k->a.one, row, from, step, count);
		return;
	}
	/* in this order: an edge is rounded up to whole vectors and writes over what is behind it */
	pack_times_tap(k, k->a.one, row, from, 1, low);
	k->fns->scale(k->a.one + low * e->bytes, row + (from + low) * element, k->tap, whole, next + (from + low) * element);
	pack_times_tap(k, k->a.one + (low + whole) * e->bytes, row, from + low + whole, 1, count - low - whole);
}

/* Sums of `cols` neighbours among `count` elements of `one`; the last step goes to `to` unless that is NULL. Returns where they are. */
static const char *sum_neighbours(const walk *k, int64_t count, char *to) {
	const int64_t cols = k->window->cols, step = k->across.step;
	const char *sums = k->a.one;
	int bit = 62 - __builtin_clzll((uint64_t)cols); /* below the leading one */
	for (int64_t n = 1; bit >= 0; bit--) {
		const int64_t twice = 2 * n + (cols >> bit & 1);
		char *target = bit == 0 && to ? to : k->a.more;
		k->fns->twice(target, sums, n * step, twice % 2 ? k->a.one : NULL, conv_round_up(count - (twice - 1) * step, k->e->lanes));
		sums = target;
		n = twice;
	}
	return sums;
}

static void pick(const walk *k, char *to, int64_t apart, const char *from, int64_t stride, int64_t count) {
	const int bytes = k->e->bytes;
	for (int64_t n = 0; n < count; n++) memcpy(to + n * apart * bytes, from + n * stride * bytes, (size_t)bytes);
}

/* The row sums of the tile's columns at image row `position`, into a line. */
static void sum_row(const walk *k, char *line, int64_t position) {
	const conv_exec *e = k->e;
	const conv_tile *t = k->t;
	const int64_t source = conv_source(&e->p.y, e->p.sizes[2], position);
	const char *row = source < 0 ? NULL
	                             : conv_image_plane(e, t) + source * t->buffers->image_strides[2] * conv_dtype_bytes(e->p.image_dtype);
	const across *a = &k->across;
	const int64_t cols = k->window->cols, apart = a->strands.apart;
	const int dense = apart == 1 && a->strands.stride == 1;
	char *first = line + k->cut.lead * e->bytes;
	for (int64_t x = t->x0; x < t->x1 && x < t->x0 + apart; x++) {
		const int64_t outputs = (t->x1 - x + apart - 1) / apart, count = reach_of(a, outputs, cols);
		fill_one(k, row, k->window->first_x + x * e->p.stride_x, a->apart, count);
		const char *sums = sum_neighbours(k, count, dense ? first : NULL);
		if (!dense || cols == 1) pick(k, first + (x - t->x0) * e->bytes, apart, sums, a->strands.stride, outputs);
	}
}

/* Adds a line to the prefix of its block; `y`: the output row that this completes, or -1; `suffix`: the rest of its window, or NULL. */
static void go_down(const walk *k, const char *line, int first, int64_t y, const char *suffix) {
	const conv_exec *e = k->e;
	for (int c = 0; c < k->cut.count; c++) {
		const conv_piece *piece = &k->cut.list[c];
		const int64_t at = piece->at * e->bytes;
		const conv_down_call call = {
			.line = line + at,
			.prefix = k->a.prefix + at,
			.first = first,
			.suffix = suffix ? suffix + at : NULL,
			.to = y < 0 ? NULL : piece->straight ? conv_out_pixel(e, k->t, y, piece->x0) : k->a.sums + at,
			.width = piece->width,
			.stream = piece->straight && piece->stream,
		};
		k->fns->down(&call);
		if (y >= 0 && !piece->straight) conv_store_row(e, k->t, y, piece->x0, piece->x1, k->a.sums + at + piece->skip * e->bytes, k->a.line, piece->stream);
	}
}

/* Lines from .. to of a block, each plus all behind it. */
static void go_up(const walk *k, int64_t from, int64_t to) {
	if (from >= to) return;
	const int64_t rows = k->window->rows;
	for (int64_t q = from; q <= to; q++) k->a.lines[q - from] = k->a.ring + q % rows * k->length;
	k->fns->up(k->a.lines, to - from + 1, conv_round_up(k->cut.lead + k->t->x1 - k->t->x0, k->e->lanes));
}

static void compute_strand(const walk *k, conv_strands strands, conv_strand strand) {
	const conv_exec *e = k->e;
	const int64_t rows = k->window->rows, dilation = rows > 1 ? e->p.dilation_y : 1;
	const int64_t start = strand.t * strands.stride, last = start + (strand.count - 1) * strands.stride + rows - 1;
	for (int64_t q = start; q <= last; q++) {
		if (q % strands.stride >= rows) continue; /* between two windows */
		if (atomic_load_explicit(k->t->cancelled, memory_order_relaxed)) return;
		char *line = k->a.ring + q % rows * k->length;
		sum_row(k, line, k->window->first_y + strand.position + q * dilation);
		const int64_t window = q - rows + 1; /* the line where the window that ends here begins */
		const int ends = window >= start && window % strands.stride == 0;
		const int64_t y = ends ? strand.first + (window / strands.stride - strand.t) * strands.apart : -1;
		go_down(k, line, q % rows == 0 || q == start, y, ends && window % rows != 0 ? k->a.ring + window % rows * k->length : NULL);
		if (q % rows != rows - 1 || q == last) continue;
		/* windows that begin behind the block's first line go on in the next block */
		int64_t from = window + 1 > start ? window + 1 : start;
		const int64_t newest = q / strands.stride * strands.stride;
		if (strands.stride >= rows && newest > from) from = newest;
		go_up(k, from, q);
	}
}

static void compute_tile(const conv_exec *e, const conv_tile *t, void *memory) {
	const conv_window *w = &e->p.windows[t->m];
	walk k = {.e = e, .t = t, .window = w, .fns = &e->isa->box[e->accumulator], .tap = &e->plans[t->m].tap, .a = lay_out(e, memory)};
	if (w->rows == 0) {
		conv_store_zeros(e, t, k.a.sums, k.a.line);
		return;
	}
	k.length = conv_line_length(e) * e->bytes;
	k.across = across_of(e, w);
	k.cut = conv_cut_columns(e, t, conv_stores_straight(e, t), 1);
	const conv_strands strands = conv_strands_of(e->p.stride_y, e->p.dilation_y, w->rows);
	for (int64_t y = t->y0; y < t->y1 && y < t->y0 + strands.apart; y++)
		compute_strand(&k, strands, conv_strand_at(strands, e->p.stride_y, y, t->y1));
}

const conv_method conv_box_method = {arena_bytes, prepare_arena, compute_tile};
