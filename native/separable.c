/*
 * Kernels that are products of a column and a row, or sums of few such products: one fused pass over a tile.
 *
 *     input row  --(as it lies, or packed)-->  row sums of each product into a ring of lines  -->  columns of 4 output rows at once
 *
 * Per output: each row of the window left to right, first product rounded, then fused multiply-adds; the column over these row sums from
 * the top likewise; the products one after the other, added. A dilated or strided axis is walked by strands (lines.h), so a ring holds
 * no line that its outputs do not read.
 */
#include "lines.h"

typedef struct arena {
	char *ring;     /* product by product */
	char *packed;   /* an input row */
	char *constant; /* a row of the constant outside */
	char *sums;     /* COLUMN_OUTPUTS lines */
	char *line;     /* for conv_store_row */
	const void **lines;
} arena;

typedef struct sizes {
	int64_t ring, packed, sums, line, lines;
} sizes;

/* Lines of one product that are held at once. */
static int64_t ring_lines(const conv_window *w) { return w->rows + COLUMN_OUTPUTS - 1; }

static sizes arena_sizes(const conv_exec *e) {
	const int64_t length = conv_line_length(e);
	int64_t ring = 1, packed = 0, lines = 1;
	for (int64_t m = 0; m < e->p.kernels; m++) {
		const conv_kernel_plan *plan = &e->plans[m];
		const int64_t held = ring_lines(&e->p.windows[m]);
		if (plan->rank * held > ring) ring = plan->rank * held;
		if (held > lines) lines = held;
		if (plan->phase_count * plan->phase_length > packed) packed = plan->phase_count * plan->phase_length;
	}
	return (sizes){conv_round_up(ring * length * e->bytes, 64), conv_round_up(packed * e->bytes, 64),
	               conv_round_up(COLUMN_OUTPUTS * length * e->bytes, 64), conv_round_up(length * 8, 64),
	               conv_round_up(lines * (int64_t)sizeof(void *), 64)};
}

static int64_t arena_bytes(const conv_exec *e) {
	const __int128 most = (__int128)1 << 45;
	for (int64_t m = 0; m < e->p.kernels; m++) {
		const conv_kernel_plan *plan = &e->plans[m];
		if ((__int128)plan->rank * ring_lines(&e->p.windows[m]) * conv_line_length(e) * e->bytes > most ||
		    (__int128)plan->phase_count * plan->phase_length * e->bytes > most)
			return -1;
	}
	const sizes s = arena_sizes(e);
	return s.ring + 2 * s.packed + s.sums + s.line + s.lines;
}

static arena lay_out(const conv_exec *e, void *memory) {
	const sizes s = arena_sizes(e);
	arena a;
	a.ring = memory;
	a.packed = a.ring + s.ring;
	a.constant = a.packed + s.packed;
	a.sums = a.constant + s.packed;
	a.line = a.sums + s.sums;
	a.lines = (const void **)(a.line + s.line);
	return a;
}

static void prepare_arena(const conv_exec *e, void *memory) {
	const arena a = lay_out(e, memory);
	const sizes s = arena_sizes(e);
	memset(a.ring, 0, (size_t)s.ring); /* the padding of a line is computed with, though never stored */
	memset(a.packed, 0, (size_t)s.packed);
	conv_fill(e, a.constant, s.packed / e->bytes);
}

/* Columns whose windows lie inside the image, from a whole vector of the line on; none where rows must be packed whole. */
typedef struct middle {
	int64_t x0, x1;
} middle;

/* Below this the two packed edges cost more than packing the whole row (as in tile.c). */
#define PACK_BELOW 192

/* What sums rows of pixels that are to be widened first; NULL: they must be packed. */
static conv_row_fn row_sums_from(const conv_exec *e, const conv_tile *t) {
	const int lies = e->accumulator == CONV_ACC_F32 && t->buffers->image_strides[3] == 1 && !e->plans[t->m].offsets;
	return lies ? e->isa->row_sums_from[e->p.image_dtype] : NULL;
}

static middle read_in_place(const conv_exec *e, const conv_tile *t, int64_t lead) {
	const conv_window *w = &e->p.windows[t->m];
	const middle none = {t->x1, t->x1};
	if (!(conv_lies_ready(e, t) || row_sums_from(e, t)) || e->p.stride_x != 1) return none;
	int64_t x0 = -w->first_x > t->x0 ? -w->first_x : t->x0;
	int64_t x1 = e->p.sizes[3] - w->first_x - (w->cols - 1) * e->p.dilation_x;
	if (x1 > t->x1) x1 = t->x1;
	if (x0 > t->x0) x0 = t->x0 - lead + conv_round_up(x0 - t->x0 + lead, e->lanes);
	if (x1 - x0 < PACK_BELOW) return none;
	return (middle){x0, x0 + (x1 - x0) / e->lanes * e->lanes};
}

/* Pixels beside the middle: position under output x0's first tap and the next ones. count 0: too many, or not all of the image. */
#define EDGE 512
typedef struct edge {
	int64_t x0, x1; /* outputs */
	int count;
	int64_t at[EDGE];
} edge;

/* What sums columns into results of another dtype at once; NULL: their sums wait for a store. */
static conv_column_fn narrow_columns(const conv_exec *e, const conv_tile *t) {
	const conv_store *how = &e->stores[t->c * e->p.kernels + t->m];
	const int fits = how->accumulator == CONV_ACC_F32 && how->plain && how->overflow == CONV_SATURATE &&
	                 (how->exact || how->rounding == CONV_NEAREST_EVEN) && t->buffers->out_strides[3] == 1;
	return fits ? e->isa->narrow_columns[e->p.out_dtype] : NULL;
}

typedef struct walk {
	const conv_exec *e;
	const conv_tile *t;
	const conv_kernel_plan *plan;
	const conv_window *window;
	conv_pieces cut;
	middle inside;
	edge left, right;
	arena a;
	int64_t length; /* bytes of a line */
	conv_row_fn ready; /* sums rows in the accumulator's type */
	conv_row_fn lying; /* those of the image where they lie */
	conv_column_fn sums; /* sums columns as they are */
	conv_column_fn last; /* those whose whole vectors go to out */
} walk;

/* `slot`: the number of the line modulo ring_lines. */
static char *ring_line(const walk *k, int64_t product, int64_t slot) {
	return k->a.ring + (product * ring_lines(k->window) + slot) * k->length;
}

static const char *row_taps(const walk *k, int64_t product) {
	return (const char *)k->plan->factors + (product * (k->window->rows + k->window->cols) + k->window->rows) * k->e->bytes;
}

static const char *column_taps(const walk *k, int64_t product) {
	return (const char *)k->plan->factors + product * (k->window->rows + k->window->cols) * k->e->bytes;
}

/* Row sums of outputs x0 .. x1-1 for every product by `sum`; `input`: what lies under tap 0 of x0. */
static void add_rows(const walk *k, conv_row_fn sum, int64_t slot, int64_t x0, int64_t x1, const void *input, const void *ahead) {
	for (int64_t product = 0; product < k->plan->rank; product++) {
		const conv_row_call call = {
			.row = input,
			.taps = row_taps(k, product),
			.cols = k->window->cols,
			.offsets = k->plan->offsets,
			.to = ring_line(k, product, slot) + (k->cut.lead + x0 - k->t->x0) * k->e->bytes,
			.width = conv_round_up(x1 - x0, k->e->lanes),
			.ahead = product == 0 ? ahead : NULL,
		};
		sum(&call);
	}
}

static void add_packed(const walk *k, int64_t slot, int64_t x0, int64_t x1, const char *row) {
	conv_pack_row(k->e, k->t, k->a.packed, row, k->window->first_x + x0 * k->e->p.stride_x, x1 - x0);
	add_rows(k, k->ready, slot, x0, x1, k->a.packed, NULL);
}

/* Where the outputs beside the middle find their pixels; the same in every row. */
static edge find_edge(const walk *k, int64_t x0, int64_t x1) {
	const conv_problem *p = &k->e->p;
	const int64_t count = x1 - x0 + (k->window->cols - 1) * p->dilation_x;
	edge found = {.x0 = x0, .x1 = x1, .count = count <= EDGE ? (int)count : 0};
	for (int i = 0; i < found.count; i++) {
		found.at[i] = conv_source(&p->x, p->sizes[3], k->window->first_x + x0 + i);
		if (found.at[i] < 0) found.count = 0; /* the constant is known in the accumulator's type only */
	}
	return found;
}

#define GATHER(T)                                                                              \
	for (int i = 0; i < found->count; i++) ((T *)k->a.packed)[i] = ((const T *)row)[found->at[i]]

static void add_edge(const walk *k, const edge *found, int64_t slot, const char *row) {
	if (found->x1 <= found->x0) return;
	if (found->count == 0) {
		add_packed(k, slot, found->x0, found->x1, row);
		return;
	}
	switch (conv_dtype_bytes(k->e->p.image_dtype)) {
	case 1: GATHER(uint8_t); break;
	case 2: GATHER(uint16_t); break;
	case 4: GATHER(uint32_t); break;
	default: GATHER(uint64_t);
	}
	add_rows(k, k->lying, slot, found->x0, found->x1, k->a.packed, NULL);
}

/* The row sums of the line in `slot`, which shows image row `position`. */
static void sum_row(const walk *k, int64_t slot, int64_t position) {
	const conv_exec *e = k->e;
	const conv_tile *t = k->t;
	const int64_t source = conv_source(&e->p.y, e->p.sizes[2], position), element = conv_dtype_bytes(e->p.image_dtype);
	if (source < 0) {
		add_rows(k, k->ready, slot, t->x0, t->x1, k->a.constant, NULL);
		return;
	}
	const int64_t *strides = t->buffers->image_strides;
	const char *row = conv_image_plane(e, t) + source * strides[2] * element;
	const char *next = row + strides[2] * element; /* a prefetch of what does not exist does no harm */
	if (k->inside.x1 <= k->inside.x0) {
		if (strides[3] == 1)
			conv_fetch_row(next, k->window->first_x + t->x0 * e->p.stride_x, (t->x1 - t->x0) * e->p.stride_x, element);
		add_packed(k, slot, t->x0, t->x1, row);
		return;
	}
	/* in this order: an edge is rounded up to whole vectors and writes over the columns behind it */
	const int64_t from = (k->window->first_x + k->inside.x0) * element;
	add_edge(k, &k->left, slot, row);
	add_rows(k, k->lying, slot, k->inside.x0, k->inside.x1, row + from, next + from);
	add_edge(k, &k->right, slot, row);
}

/* The columns of outputs y, y + apart ... from line q on. */
static void sum_columns(const walk *k, int64_t q, int outputs, int64_t y, int64_t apart) {
	const conv_exec *e = k->e;
	const int64_t held = ring_lines(k->window), first = q % held;
	for (int64_t product = 0; product < k->plan->rank; product++) {
		const int last = product == k->plan->rank - 1;
		for (int c = 0; c < k->cut.count; c++) {
			const conv_piece *piece = &k->cut.list[c];
			void *sums[COLUMN_OUTPUTS], *targets[COLUMN_OUTPUTS];
			for (int64_t j = 0, slot = first; j < k->window->rows + outputs - 1; j++, slot = slot + 1 == held ? 0 : slot + 1)
				k->a.lines[j] = ring_line(k, product, slot) + piece->at * e->bytes;
			for (int o = 0; o < outputs; o++) {
				sums[o] = k->a.sums + o * k->length + piece->at * e->bytes;
				targets[o] = last && piece->straight ? conv_out_pixel(e, k->t, y + o * apart, piece->x0) : sums[o];
			}
			const conv_column_call call = {
				.lines = k->a.lines,
				.taps = column_taps(k, product),
				.count = k->window->rows,
				.outputs = outputs,
				.add = product == 0 ? NULL : (const void *const *)sums,
				.to = targets,
				.width = piece->width,
				.stream = last && piece->straight && piece->stream,
			};
			(last && piece->straight ? k->last : k->sums)(&call);
			for (int o = 0; o < outputs && last && !piece->straight; o++)
				conv_store_row(e, k->t, y + o * apart, piece->x0, piece->x1, (char *)sums[o] + piece->skip * e->bytes, k->a.line, piece->stream);
		}
	}
}

static void compute_tile(const conv_exec *e, const conv_tile *t, void *memory) {
	const conv_window *w = &e->p.windows[t->m];
	walk k = {.e = e, .t = t, .plan = &e->plans[t->m], .window = w, .a = lay_out(e, memory), .length = conv_line_length(e) * e->bytes};
	if (w->rows == 0) {
		conv_store_zeros(e, t, k.a.sums, k.a.line);
		return;
	}
	const conv_column_fn narrow = narrow_columns(e, t);
	k.sums = e->isa->column_sums[e->accumulator];
	k.last = narrow ? narrow : k.sums;
	k.cut = conv_cut_columns(e, t, narrow != NULL || conv_stores_straight(e, t), narrow == NULL);
	k.inside = read_in_place(e, t, k.cut.lead);
	k.ready = e->isa->row_sums[e->accumulator];
	k.left = find_edge(&k, t->x0, k.inside.x0);
	k.right = find_edge(&k, k.inside.x1, t->x1);
	k.lying = conv_lies_ready(e, t) ? k.ready : row_sums_from(e, t);
	const int64_t dilation = w->rows > 1 ? e->p.dilation_y : 1;
	const conv_strands strands = conv_strands_of(e->p.stride_y, dilation, w->rows);
	const int64_t held = ring_lines(w);
	for (int64_t y = t->y0; y < t->y1 && y < t->y0 + strands.apart; y++) {
		const conv_strand strand = conv_strand_at(strands, e->p.stride_y, y, t->y1);
		int64_t next = strand.t * strands.stride; /* the first line that is not summed yet */
		for (int64_t done = 0; done < strand.count;) {
			const int64_t left = strand.count - done;
			const int outputs = strands.stride > 1              ? 1
			                    : left >= 4 && w->rows >= 4     ? 4
			                    : left >= 2 && w->rows >= 2     ? 2
			                                                    : 1;
			const int64_t q = (strand.t + done) * strands.stride, end = q + (outputs - 1) * strands.stride + w->rows;
			for (next = next < q ? q : next; next < end; next++) {
				if (atomic_load_explicit(t->cancelled, memory_order_relaxed)) return;
				sum_row(&k, next % held, w->first_y + strand.position + next * dilation);
			}
			sum_columns(&k, q, outputs, y + done * strands.apart, strands.apart);
			done += outputs;
		}
	}
}

const conv_method conv_separable_method = {arena_bytes, prepare_arena, compute_tile};
