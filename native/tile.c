/*
 * The vector body: one tile of outputs, one input row after the other.
 *
 *     input row p  --(as it lies, or extended and converted into `packed`)-->  kernel  -->  row y of the ring of open sums
 *                                                                                           |  after its last window row
 *                                                                                           v
 *                                                                                      store to out
 *
 * The columns of a tile fall into up to three segments: a middle whose windows lie inside the image, which is read where it
 * lies if its dtype is the accumulator's, and edges, which are packed through the index maps.
 */
#include "exec.h"

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
		if (plan->ring > ring) ring = plan->ring;
		if (plan->phase_count * plan->phase_length > packed) packed = plan->phase_count * plan->phase_length;
	}
	const int64_t pitch = widest(e);
	return (sizes){round_up((ring > 0 ? ring : 1) * pitch * e->bytes, 64), round_up(packed * e->bytes, 64), round_up(pitch * 8, 64)};
}

int64_t conv_arena_bytes(const conv_exec *e) {
	for (int64_t m = 0; m < e->p.kernels; m++) {
		const conv_kernel_plan *plan = &e->plans[m];
		const __int128 most = (__int128)1 << 45;
		if ((__int128)plan->ring * widest(e) * e->bytes > most || (__int128)plan->phase_count * plan->phase_length * e->bytes > most)
			return -1;
	}
	const sizes s = arena_sizes(e);
	return s.ring + 2 * s.packed + s.line;
}

static arena lay_out(const conv_exec *e, void *memory) {
	const sizes s = arena_sizes(e);
	char *at = memory;
	return (arena){at, at + s.ring, at + s.ring + s.packed, at + s.ring + 2 * s.packed};
}

static void fill(const conv_exec *e, char *to, int64_t count) {
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

void conv_prepare_arena(const conv_exec *e, void *memory) {
	const arena a = lay_out(e, memory);
	memset(a.packed, 0, (size_t)arena_sizes(e).packed); /* the padding of a row is computed with, though never stored */
	fill(e, a.constant, arena_sizes(e).packed / e->bytes);
}

/* The pixels that positions from, from + step ... of one image row show, converted. */
static void pack_line(const conv_exec *e, char *to, const char *row, int64_t stride, int64_t from, int64_t step, int64_t count) {
	const conv_problem *p = &e->p;
	const int64_t n = p->sizes[3], element = conv_dtype_bytes(p->image_dtype);
	const conv_load_fn load = e->isa->load[e->accumulator][p->image_dtype];
	int64_t inside = from < 0 ? (-from + step - 1) / step : 0; /* first one within the image */
	if (inside > count) inside = count;
	int64_t beyond = from < n ? (n - from + step - 1) / step : 0; /* first one behind it */
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

/* What `width` outputs read of one image row, phase by phase; `from`: position under tap column 0 of the first one. */
static void pack_row(const conv_exec *e, const conv_tile *t, char *to, const char *row, int64_t from, int64_t width) {
	const conv_kernel_plan *plan = &e->plans[t->m];
	const int64_t step = e->p.stride_x, last = (width - 1) * step + (e->p.windows[t->m].cols - 1) * e->p.dilation_x;
	for (int64_t f = 0; f < plan->phase_count; f++)
		pack_line(e, to + f * plan->phase_length * e->bytes, row, t->buffers->image_strides[3], from + plan->phases[f], step,
		          (last - plan->phases[f]) / step + 1);
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

static void store_row(const conv_exec *e, const conv_tile *t, const segment *seg, int64_t y, const char *sums, char *line) {
	const int64_t channel = t->c * e->p.kernels + t->m, stride = t->buffers->out_strides[3], count = seg->x1 - seg->x0;
	const int element = conv_dtype_bytes(e->p.out_dtype);
	const conv_store *how = &e->stores[channel];
	const conv_store_fn fn = e->store_fns[channel];
	char *to = conv_out_pixel(e, t, y, seg->x0);
	if (fn != NULL && stride == 1 && seg->stream) {
		const int64_t whole = count * element / e->isa->vector_bytes * e->isa->vector_bytes;
		fn(line, sums, count, how);
		e->isa->copy(to, line, whole);
		memcpy(to + whole, line + whole, (size_t)(count * element - whole));
		return;
	}
	if (fn != NULL) {
		fn(stride == 1 ? to : line, sums, count, how);
		if (stride != 1) scatter(to, line, stride, count, element);
		return;
	}
	for (int64_t x = 0; x < count; x++)
		if (store_scalar(e, how, sums + x * e->bytes, to + x * stride * element))
			conv_note_overflow(t->overflow_at, conv_linear_index(e, t, y, seg->x0 + x));
}

/* ── the walk over a tile ── */

static int is_straight(const conv_exec *e, const conv_tile *t) {
	const conv_store *how = &e->stores[t->c * e->p.kernels + t->m];
	const int same = (e->accumulator == CONV_ACC_F32 && e->p.out_dtype == CONV_F32) ||
	                 (e->accumulator == CONV_ACC_F64 && e->p.out_dtype == CONV_F64);
	return same && how->plain && !how->exact && t->buffers->out_strides[3] == 1;
}

/* Non-temporal stores save the read of a line that is about to be overwritten; they pay where the result leaves the caches. */
#define STREAM_FROM_BYTES (8 << 20)

static int may_stream(const conv_exec *e, const conv_tile *t, const char *at) {
	const int64_t vector = e->isa->vector_bytes, rows = t->buffers->out_strides[2] * conv_dtype_bytes(e->p.out_dtype);
	return (uintptr_t)at % (uintptr_t)vector == 0 && rows % vector == 0 && t->buffers->out_bytes >= STREAM_FROM_BYTES;
}

/*
 * A narrow tile is packed whole: three calls of the kernel per row cost more than the copy (256 x 256 float32, K = 3: 40 us in
 * three segments, 20 us packed). With no edge, or only one, fewer columns pay.
 */
#define PACK_BELOW 640
#define PACK_INNER_BELOW 192

static int split(const conv_exec *e, const conv_tile *t, const conv_window *w, segment out[3]) {
	const conv_problem *p = &e->p;
	const int in_place = ((e->accumulator == CONV_ACC_F32 && p->image_dtype == CONV_F32) ||
	                      (e->accumulator == CONV_ACC_F64 && p->image_dtype == CONV_F64)) &&
	                     p->stride_x == 1 && t->buffers->image_strides[3] == 1;
	const int straight = is_straight(e, t);
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
		s->stream = t->buffers->out_strides[3] == 1 && may_stream(e, t, conv_out_pixel(e, t, t->y0, s->x0));
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
			store_row(e, t, seg, y, sums[to - 1 - from], a->line);
		}
	}
}

/* A window without taps: every sum is 0. */
static void store_zeros(const conv_exec *e, const conv_tile *t, const arena *a) {
	const segment all = {.x0 = t->x0, .x1 = t->x1};
	memset(a->ring, 0, (size_t)((t->x1 - t->x0) * e->bytes));
	for (int64_t y = t->y0; y < t->y1; y++) store_row(e, t, &all, y, a->ring, a->line);
}

/*
 * Rows of the image that are fetched ahead. A tile's rows are pages apart, where the hardware does not prefetch: without this
 * K = 7 took 23 ms on one thread, with it 16 (2 rows ahead 17, 4 rows 20; 4096 x 4096 float32, Sapphire Rapids).
 */
#define AHEAD 1

/* Fetches the row that is packed next; columns outside the image do no harm. */
static void fetch_row(const char *row, int64_t from, int64_t count, int64_t element) {
	for (int64_t b = 0; b < count * element; b += 64) __builtin_prefetch(row + from * element + b);
}

void conv_vector_tile(const conv_exec *e, const conv_tile *t, void *memory) {
	const conv_problem *p = &e->p;
	const conv_window *w = &p->windows[t->m];
	const conv_kernel_plan *plan = &e->plans[t->m];
	const arena a = lay_out(e, memory);
	if (w->rows == 0) {
		store_zeros(e, t, &a);
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
				if (strides[3] == 1) fetch_row(row + AHEAD * strides[2] * element, from, (seg->x1 - seg->x0) * p->stride_x, element);
				pack_row(e, t, a.packed, row, from, seg->x1 - seg->x0);
				input = a.packed;
			}
			add_row(e, t, &a, seg, class, k0, k1, input, ahead, r, pitch);
		}
	}
}
