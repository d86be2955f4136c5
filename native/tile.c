/*
 * The vector body: one tile of outputs. Most go to strips (strip.c); what strides or reaches far is walked one input row after the other:
 *
 *     input row p  --(as it lies, or extended and converted into `packed`)-->  kernel  -->  row y of the ring of open sums
 *                                                                                           |  after its last window row
 *                                                                                           v
 *                                                                                      store to out
 *
 * The columns of a tile fall into up to three segments: a middle whose windows lie inside the image, which is read where it
 * lies if its dtype is the accumulator's, and edges, which are packed through the index maps.
 */
#include "rows.h"

typedef struct segment {
	int64_t x0, x1;   /* outputs */
	int64_t ring_x;   /* column in the ring */
	int64_t width;    /* x1 - x0 rounded up to whole vectors */
	int packed;       /* else rows are read where they lie */
	int straight;     /* sums go to out as they are */
	int stream;
} segment;

typedef struct arena {
	char *ring, *packed, *constant, *line;
} arena;

static int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

/* The first tile of a row is wider than tile_w by less than vector_bytes (run.c, grid.shift); each segment is rounded up. */
static int64_t widest(const conv_exec *e) {
	return round_up(e->p.tile_w < e->p.out_w ? e->p.tile_w : e->p.out_w, e->lanes) + e->isa->vector_bytes + 4 * e->lanes;
}

typedef struct sizes {
	int64_t ring, packed, line;
} sizes;

static sizes arena_sizes(const conv_exec *e) {
	int64_t ring = 0, packed = 0;
	for (int64_t m = 0; m < e->p.kernels; m++) {
		const conv_kernel_plan *plan = &e->plans[m];
		if (plan->strips) continue;
		if (plan->ring > ring) ring = plan->ring;
		if (plan->phase_count * plan->phase_length > packed) packed = plan->phase_count * plan->phase_length;
	}
	const int64_t pitch = widest(e);
	return (sizes){round_up((ring > 0 ? ring : 1) * pitch * e->bytes, 64), round_up(packed * e->bytes, 64), round_up(pitch * 8, 64)};
}

static int64_t arena_bytes(const conv_exec *e) {
	for (int64_t m = 0; m < e->p.kernels; m++) {
		const conv_kernel_plan *plan = &e->plans[m];
		const __int128 most = (__int128)1 << 45;
		if (plan->strips) continue;
		if ((__int128)plan->ring * widest(e) * e->bytes > most || (__int128)plan->phase_count * plan->phase_length * e->bytes > most)
			return -1;
	}
	const sizes s = arena_sizes(e);
	return s.ring + 2 * s.packed + s.line + conv_strip_arena_bytes(e);
}

static arena lay_out(const conv_exec *e, void *memory) {
	const sizes s = arena_sizes(e);
	char *at = memory;
	return (arena){at, at + s.ring, at + s.ring + s.packed, at + s.ring + 2 * s.packed};
}

/* Behind the tile's own. */
static char *strip_arena(const conv_exec *e, void *memory) {
	const sizes s = arena_sizes(e);
	return (char *)memory + s.ring + 2 * s.packed + s.line;
}

static void prepare_arena(const conv_exec *e, void *memory) {
	const arena a = lay_out(e, memory);
	memset(a.packed, 0, (size_t)arena_sizes(e).packed); /* the padding of a row is computed with, though never stored */
	conv_fill(e, a.constant, arena_sizes(e).packed / e->bytes);
	conv_prepare_strip_arena(e, strip_arena(e, memory));
}

/* ── the walk over a tile ── */

/*
 * A narrow tile is packed whole: three calls of the kernel per row cost more than the copy (256 x 256 float32, K = 3: 40 us in
 * three segments, 20 us packed). With no edge, or only one, fewer columns pay.
 */
#define PACK_BELOW 640
#define PACK_INNER_BELOW 192

static int split(const conv_exec *e, const conv_tile *t, const conv_window *w, segment out[3]) {
	const conv_problem *p = &e->p;
	const int in_place = conv_lies_ready(e, t) && p->stride_x == 1, straight = conv_stores_straight(e, t);
	int64_t left = t->x1, right = t->x1; /* the middle */
	if (in_place) {
		left = -w->first_x > t->x0 ? -w->first_x : t->x0;
		right = p->sizes[3] - w->first_x - (w->cols - 1) * p->dilation_x;
		if (right > t->x1) right = t->x1;
		const int64_t least = left > t->x0 && right < t->x1 ? PACK_BELOW : PACK_INNER_BELOW;
		if (t->x1 - t->x0 < least) right = left;
		if (straight && left < t->x1 && left > t->x0) { /* begin at a whole vector of the result */
			const uintptr_t off = (uintptr_t)conv_out_pixel(e, t, t->y0, left) % (uintptr_t)e->isa->vector_bytes;
			if (off) left += (int64_t)((uintptr_t)e->isa->vector_bytes - off) / e->bytes;
		}
		if (right > left) right = left + (right - left) / e->lanes * e->lanes;
		if (right <= left) left = right = t->x1;
	}
	const int64_t ends[4] = {t->x0, left, right, t->x1};
	int count = 0;
	int64_t ring_x = 0;
	for (int k = 0; k < 3; k++) {
		const int64_t n = ends[k + 1] - ends[k];
		if (n <= 0) continue;
		segment *s = &out[count++];
		*s = (segment){ends[k], ends[k + 1], ring_x, round_up(n, e->lanes), k != 1, straight && n % e->lanes == 0, 0};
		s->stream = t->buffers->out_strides[3] == 1 && conv_may_stream(e, t, conv_out_pixel(e, t, t->y0, s->x0));
		ring_x += s->width;
	}
	return count;
}

typedef struct input_row {
	int64_t p;      /* counted from the window's first row */
	int64_t source; /* image row, or -1 */
} input_row;

/* Adds one input row to window rows k0 .. k1 of its class, in groups that fill the registers, and stores what is finished. */
static void add_row(const conv_exec *e, const conv_tile *t, const arena *a, const segment *seg, const conv_class *class, int64_t k0,
                    int64_t k1, const void *row, const void *ahead, int64_t p, int64_t pitch) {
	const conv_kernel_plan *plan = &e->plans[t->m];
	const conv_window *w = &e->p.windows[t->m];
	const int64_t count = k1 - k0 + 1, most = e->isa->group[e->accumulator], groups = (count + most - 1) / most;
	for (int64_t g = 0; g < groups; g++) {
		if (atomic_load_explicit(t->cancelled, memory_order_relaxed)) return;
		const int64_t from = k0 + g * count / groups, to = k0 + (g + 1) * count / groups;
		const void *sums[MAX_OUTPUTS];
		void *targets[MAX_OUTPUTS];
		for (int64_t k = from; k < to; k++) {
			const int64_t y = (p - class->rows[k] * e->p.dilation_y) / e->p.stride_y;
			char *open = a->ring + ((y - t->y0) % plan->ring * pitch + seg->ring_x) * e->bytes;
			const int finished = class->rows[k] == w->rows - 1;
			sums[k - from] = open;
			targets[k - from] = finished && seg->straight ? conv_out_pixel(e, t, y, seg->x0) : open;
		}
		const int finishes = class->rows[to - 1] == w->rows - 1;
		const conv_direct call = {
			.row = row,
			.taps = (const char *)class->taps + from * e->bytes,
			.tap_step = class->count,
			.cols = w->cols,
			.offsets = plan->offsets,
			.from = sums,
			.to = targets,
			.width = seg->width,
			.outputs = (int)(to - from),
			.first = class->rows[from] == 0,
			.ahead = g == 0 ? ahead : NULL,
			.stream = finishes && seg->straight && seg->stream,
		};
		e->isa->direct[e->accumulator](&call);
		if (finishes && !seg->straight) {
			const int64_t y = (p - (w->rows - 1) * e->p.dilation_y) / e->p.stride_y;
			conv_store_row(e, t, y, seg->x0, seg->x1, sums[to - 1 - from], a->line, seg->stream);
		}
	}
}

/*
 * Rows of the image that are fetched ahead. A tile's rows are pages apart, where the hardware does not prefetch: without this
 * K = 7 took 23 ms on one thread, with it 16 (2 rows ahead 17, 4 rows 20; 4096 x 4096 float32, Sapphire Rapids).
 */
#define AHEAD 1

static void compute_tile(const conv_exec *e, const conv_tile *t, void *memory) {
	const conv_problem *p = &e->p;
	const conv_window *w = &p->windows[t->m];
	const conv_kernel_plan *plan = &e->plans[t->m];
	const arena a = lay_out(e, memory);
	if (w->rows == 0) {
		conv_store_zeros(e, t, a.ring, a.line);
		return;
	}
	if (plan->strips) {
		conv_strip_tile(e, t, strip_arena(e, memory));
		return;
	}
	const int64_t *strides = t->buffers->image_strides;
	const int64_t element = conv_dtype_bytes(p->image_dtype);
	const char *plane = conv_image_plane(e, t);
	const int64_t pitch = widest(e), last = (t->y1 - 1) * p->stride_y + (w->rows - 1) * p->dilation_y;
	segment segments[3];
	const int count = split(e, t, w, segments);
	for (int64_t r = t->y0 * p->stride_y; r <= last; r++) {
		const conv_class *class = &plan->classes[r % p->stride_y];
		int64_t k0 = 0, k1 = class->count - 1;
		while (k1 >= 0 && class->rows[k1] * p->dilation_y > r - t->y0 * p->stride_y) k1--;
		while (k0 <= k1 && class->rows[k0] * p->dilation_y < r - (t->y1 - 1) * p->stride_y) k0++;
		if (k0 > k1) continue;
		if (atomic_load_explicit(t->cancelled, memory_order_relaxed)) return;
		const int64_t source = conv_source(&p->y, p->sizes[2], w->first_y + r);
		const char *row = source < 0 ? NULL : plane + source * strides[2] * element;
		for (int s = 0; s < count; s++) {
			const segment *seg = &segments[s];
			const int64_t from = w->first_x + seg->x0 * p->stride_x;
			const void *input = a.constant, *ahead = NULL;
			if (row != NULL && !seg->packed) {
				input = row + from * element;
				ahead = (const char *)input + AHEAD * strides[2] * element; /* a prefetch of what does not exist does no harm */
			}
			if (row != NULL && seg->packed) {
				if (strides[3] == 1) conv_fetch_row(row + AHEAD * strides[2] * element, from, (seg->x1 - seg->x0) * p->stride_x, element);
				conv_pack_row(e, t, a.packed, row, from, seg->x1 - seg->x0);
				input = a.packed;
			}
			add_row(e, t, &a, seg, class, k0, k1, input, ahead, r, pitch);
		}
	}
}

const conv_method conv_direct_method = {arena_bytes, prepare_arena, compute_tile};
