/*
 * The tile of the strip kernel: bands of rows, taken a few rows at a time over the whole width of the tile.
 *
 *     image rows  --(where they lie, or extended and converted into `packed`)-->  kernel  -->  out, or `sums`  -->  store to out
 *
 * The columns of a tile fall into up to three segments: a middle whose windows lie inside an image of the accumulator's dtype, which is
 * read where it lies, and edges, which are packed. Packed rows and sums that wait for their store are so few that they stay in the
 * first-level cache.
 */
#include "rows.h"

/* Output rows of a band; a tile has as many bands as it takes. */
#define BAND 256

/* Larger windows go to the ring of open rows (tile.c), whose memory does not grow with them. */
#define MOST_ROWS 64
#define MOST_REACH 1024
/* With few rows of one residue in a tile the ring shares loads better. */
#define MOST_DILATION 8

/* Bytes of packed rows, and of sums, that wait at once; and the most rows of them: a call of the kernel takes so many. */
#define WAITING 16384
#define MOST_WAITING 64

/* A narrow tile is packed whole: segments of their own cost more than the copy. */
#define PACK_BELOW 512

int conv_strip_fits(const conv_exec *e, const conv_window *w, int64_t channels) {
	const conv_problem *p = &e->p;
	return p->stride_y == 1 && p->stride_x == 1 && w->rows <= MOST_ROWS && (p->dilation_y <= MOST_DILATION || w->rows == 1) &&
	       w->cols <= MOST_REACH && (w->cols - 1) * p->dilation_x <= MOST_REACH / channels;
}

/*
 * Taps of a window from which sums are stored without streaming, in lines that were read ahead. A streaming store costs a line about 8 cycles of a
 * Zen 5 that no arithmetic hides; a line read ahead costs fewer, though memory moves half as much again (4096 x 4096 float32, K = 3, 4, 5, 6, 7, 9, 11, 13:
 * 1.27, 1.22, 0.98, 0.83, 0.82, 0.87, 0.90, 0.93 of the time).
 */
#define CLAIM_FROM 20

typedef struct arena {
	const char **image;    /* the image rows of a band, NULL where the constant lies */
	const void **in_place; /* the same as the kernel reads them */
	const void **buffered; /* likewise, packed */
	char *packed, *constant, *open, *sums, *line;
	int64_t bytes; /* of all */
} arena;

static int64_t lines(int64_t bytes) { return (bytes + 63) / 64 * 64; }

static int64_t block_columns(const conv_exec *e) { return CONV_BLOCK_BYTES / e->bytes; }

static int64_t blocks_of(const conv_exec *e, int64_t columns) { return (columns + block_columns(e) - 1) / block_columns(e); }

/* Bytes from one packed row to the next: an odd number of lines, so that rows of one column fall into different sets of the cache. */
static int64_t pitch_of(const conv_exec *e, int64_t blocks, int64_t reach) {
	return blocks == 0 ? 0 : lines(blocks * CONV_BLOCK_BYTES + reach * e->bytes) | 64;
}

static int64_t at_least(int64_t x, int64_t least) { return x > least ? x : least; }
static int64_t at_most(int64_t x, int64_t most) { return x < most ? x : most; }

/* Sizes are those of the largest window of the bank. */
static arena lay_out(const conv_exec *e, char *memory) {
	const conv_problem *p = &e->p;
	int64_t rows = 0, reach = 0;
	for (int64_t m = 0; m < p->kernels; m++) {
		const conv_window *w = &p->windows[m];
		if (!e->plans[m].strips) continue;
		rows = at_least(rows, w->rows);
		reach = at_least(reach, (w->cols - 1) * p->dilation_x);
	}
	arena a;
	const int64_t all = BAND + rows;
	/* the first tile of a row is wider than tile_w by less than vector_bytes (run.c, grid.shift); each segment ends with a whole block */
	const int64_t blocks = blocks_of(e, at_most(p->tile_w, p->out_w) + e->isa->vector_bytes) + 3;
	char *at = memory;
#define TAKE(field, size) a.field = (void *)at, at += lines(size)
	TAKE(image, all * (int64_t)sizeof(void *));
	TAKE(in_place, all * (int64_t)sizeof(void *));
	TAKE(buffered, all * (int64_t)sizeof(void *));
	TAKE(packed, 3 * at_least(WAITING, pitch_of(e, blocks, reach)));
	TAKE(constant, blocks * CONV_BLOCK_BYTES + reach * e->bytes);
	TAKE(open, blocks * rows * CONV_BLOCK_BYTES);
	TAKE(sums, at_least(WAITING, blocks * CONV_BLOCK_BYTES));
	TAKE(line, blocks * block_columns(e) * 8);
#undef TAKE
	a.bytes = at - memory;
	return a;
}

int64_t conv_strip_arena_bytes(const conv_exec *e) { return lay_out(e, NULL).bytes; }

void conv_prepare_strip_arena(const conv_exec *e, void *memory) {
	const arena a = lay_out(e, memory);
	memset(a.packed, 0, (size_t)(a.constant - a.packed)); /* columns beyond a segment are computed, though never stored */
	conv_fill(e, a.constant, (a.open - a.constant) / e->bytes);
}

/* Columns x0 .. x1-1 of a tile. */
typedef struct segment {
	int64_t x0, x1, blocks;
	int64_t pitch; /* of its packed rows; 0: read where they lie */
	char *packed, *open, *sums;
	int direct; /* sums go straight to out; else to `sums` first, rows of b->sums_pitch */
} segment;

typedef struct band {
	const conv_exec *e;
	const conv_tile *t;
	const conv_window *w;
	arena a;
	int64_t y, step, outputs; /* output rows y, y + step ... */
	const char *plane;
	segment segments[3];
	int count;
	int64_t some; /* rows that are taken at once */
	int64_t sums_pitch;
	int ready, straight, stream; /* conv_lies_ready, conv_stores_straight; rows of the result are streamed from column `head` on */
	int claim;                   /* lines of the result are read ahead of their stores */
	int64_t head;
} band;

static int64_t reach_of(const band *b) { return (b->w->cols - 1) * b->e->p.dilation_x; }

/* ── before the rows ── */

/* Columns before the first whole vector of the result; -1 where its rows are not to be streamed. */
static int64_t head_columns(const conv_exec *e, const conv_tile *t) {
	const int64_t vector = e->isa->vector_bytes, element = conv_dtype_bytes(e->p.out_dtype);
	char *at = conv_out_pixel(e, t, t->y0, t->x0);
	const int64_t off = (int64_t)((uintptr_t)at % (uintptr_t)vector), head = off ? (vector - off) / element : 0;
	if (t->buffers->out_strides[3] != 1 || off % element != 0 || head >= t->x1 - t->x0) return -1;
	return conv_may_stream(e, t, at + head * element) ? head : -1;
}

/*
 * The middle of a tile: whole blocks that begin at a whole vector of the result. Where the image is read as it lies, those whose windows lie
 * inside it; where only the sums go straight to out, all that there are; else none: x1 .. x1.
 */
static void find_middle(const band *b, int64_t *from, int64_t *end) {
	const conv_exec *e = b->e;
	const conv_tile *t = b->t;
	const int64_t columns = block_columns(e);
	int64_t least = t->x0 + b->head, most = t->x1;
	*from = *end = t->x1;
	if (t->x1 - t->x0 < PACK_BELOW || !(b->ready || b->straight)) return;
	if (b->ready) {
		const int64_t unit = b->stream ? e->lanes : 1, inside = at_least(-b->w->first_x - least, 0);
		least += (inside + unit - 1) / unit * unit;
		most = at_most(most, e->p.sizes[3] - b->w->first_x - reach_of(b));
		/* columns left over are better spent at an edge that is packed anyway */
		const int64_t over = most > least ? (most - least) % columns : 0;
		if (most == t->x1 && least > t->x0 && over % unit == 0) least += over;
	}
	if (most - least < columns) return;
	*from = least;
	*end = least + (most - least) / columns * columns;
}

static void find_segments(band *b) {
	const conv_exec *e = b->e;
	const conv_tile *t = b->t;
	const int64_t columns = block_columns(e);
	int64_t middle[2];
	find_middle(b, &middle[0], &middle[1]);
	const int64_t ends[4] = {t->x0, middle[0], middle[1], t->x1};
	char *packed = b->a.packed, *open = b->a.open;
	int64_t widest = 0, sums = 0;
	for (int k = 0; k < 3; k++) {
		const int64_t x0 = ends[k], x1 = ends[k + 1], blocks = blocks_of(e, x1 - x0);
		if (x1 <= x0) continue;
		segment s = {.x0 = x0, .x1 = x1, .blocks = blocks, .packed = packed, .open = open};
		s.pitch = k == 1 && b->ready ? 0 : pitch_of(e, blocks, reach_of(b));
		s.direct = b->straight && (x1 - x0) % columns == 0 && (!b->stream || (x0 - t->x0 - b->head) % e->lanes == 0);
		/* what waits for a store lies as it will lie in the result, but for a middle that does not wait */
		s.sums = b->a.sums + (b->straight ? sums : (x0 - t->x0) * e->bytes);
		if (!s.direct) sums += blocks * CONV_BLOCK_BYTES;
		b->segments[b->count++] = s;
		if (s.pitch) packed += at_least(WAITING, s.pitch);
		open += blocks * b->w->rows * CONV_BLOCK_BYTES;
		widest = at_least(widest, s.pitch);
	}
	b->sums_pitch = sums;
	b->some = at_least(1, at_most(MOST_WAITING, WAITING / at_least(1, at_least(widest, sums))));
}

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
	}
}

/* ── a few rows ── */

static void pack(const band *b, const segment *s, int64_t from, int64_t end) {
	const conv_problem *p = &b->e->p;
	const int64_t stride = b->t->buffers->image_strides[3], element = conv_dtype_bytes(p->image_dtype);
	const int64_t x = b->w->first_x + s->x0, count = s->x1 - s->x0 + reach_of(b), all = b->outputs + b->w->rows - 1;
	const conv_load_fn load = b->e->isa->load[b->e->accumulator][p->image_dtype];
	/* whole vectors where the image has them: the rest of a row took as long as its vectors */
	const int64_t whole = (count + b->e->lanes - 1) / b->e->lanes * b->e->lanes;
	const int inside = x >= 0 && x + whole <= p->sizes[3];
	for (int64_t k = from; k < end; k++) {
		const char *row = b->a.image[k];
		char *to = s->packed + (k - from) * s->pitch;
		b->a.buffered[k] = row ? to : b->a.constant;
		if (row == NULL) continue;
		/* the row that comes next; addresses outside the image do no harm */
		if (stride == 1 && k + 1 < all && b->a.image[k + 1]) conv_fetch_row(b->a.image[k + 1], x, count, element);
		if (inside) load(to, row + x * stride * element, stride, whole);
		else conv_pack_line(b->e, to, row, stride, x, 1, count);
	}
}

/* Columns x0 .. x1-1 of a result row. */
static void store_columns(const band *b, int64_t y, int64_t x0, int64_t x1, const char *sums) {
	const int64_t whole = b->t->x0 + b->head, split = b->stream && whole > x0 ? at_most(whole, x1) : x0;
	if (split > x0) conv_store_row(b->e, b->t, y, x0, split, sums, b->a.line, 0);
	if (x1 > split) conv_store_row(b->e, b->t, y, split, x1, sums + (split - x0) * b->e->bytes, b->a.line, b->stream);
}

static void store_rows(const band *b, int64_t from, int64_t end) {
	for (int64_t k = from; k < end; k++) {
		const int64_t y = b->y + k * b->step, row = (k - from) * b->sums_pitch;
		if (!b->straight) store_columns(b, y, b->t->x0, b->t->x1, b->a.sums + row);
		for (int i = 0; b->straight && i < b->count; i++) {
			const segment *s = &b->segments[i];
			if (!s->direct) store_columns(b, y, s->x0, s->x1, s->sums + row);
		}
	}
}

static void run_rows(const band *b, int64_t from, int64_t end) {
	const conv_exec *e = b->e;
	const conv_tile *t = b->t;
	const int64_t first = at_least(from - b->w->rows + 1, 0); /* row of the band's results that is finished first */
	/* from left to right: a segment's last block may reach into the sums of the next one, which come later */
	for (int k = 0; k < b->count; k++) {
		const segment *s = &b->segments[k];
		if (s->pitch) pack(b, s, from, end);
		const conv_strip call = {
			.rows = s->pitch ? b->a.buffered : b->a.in_place,
			.shift = s->pitch ? 0 : (s->x0 - t->x0) * e->bytes,
			.from = from,
			.end = end,
			.blocks = s->blocks,
			.outputs = b->outputs,
			.window_rows = b->w->rows,
			.cols = b->w->cols,
			.taps = e->plans[t->m].classes[0].taps,
			.gap = e->p.dilation_x,
			.to = s->direct ? conv_out_pixel(e, t, b->y + first * b->step, s->x0) : s->sums,
			.to_step = s->direct ? t->buffers->out_strides[2] * b->step * e->bytes : b->sums_pitch,
			.open = s->open,
			.stream = s->direct && b->stream,
			.ahead = s->pitch == 0,
			.claim = s->direct && b->claim,
		};
		e->isa->strip[e->accumulator](&call);
	}
	store_rows(b, first, end - b->w->rows + 1);
}

void conv_strip_tile(const conv_exec *e, const conv_tile *t, void *memory) {
	const conv_problem *p = &e->p;
	const conv_window *w = &p->windows[t->m];
	band b = {.e = e, .t = t, .w = w, .a = lay_out(e, memory), .plane = conv_image_plane(e, t)};
	const int64_t head = head_columns(e, t);
	b.ready = conv_lies_ready(e, t);
	b.straight = conv_stores_straight(e, t);
	b.stream = head >= 0 && (!b.straight || w->rows * w->cols < CLAIM_FROM);
	b.claim = !b.stream && conv_is_large(t);
	b.head = at_least(head, 0);
	b.step = w->rows == 1 ? 1 : p->dilation_y;
	find_segments(&b);
	for (int64_t r = 0; r < b.step; r++)
		for (int64_t y = t->y0 + r; y < t->y1; y += b.outputs * b.step) {
			b.y = y;
			b.outputs = at_most((t->y1 - y + b.step - 1) / b.step, BAND);
			const int64_t all = b.outputs + w->rows - 1;
			find_rows(&b);
			for (int64_t from = 0; from < all; from += b.some) {
				if (atomic_load_explicit(t->cancelled, memory_order_relaxed)) return;
				run_rows(&b, from, at_most(from + b.some, all));
			}
		}
}
