/*
 * The checksum of a result: random sums over windows of its rows, against the same sums of what the image says. The scheme and
 * its words are those of src/core/checksum-scheme.ts, the steps those of src/core/checksum-sums.ts.
 *
 * A block is `length` rows of one strip of columns of one result plane. Rows are read eight at a time, converted to lanes and
 * extended through the index maps, and added to every sum that wants them.
 */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "check_sums.h"

/* A sum over rows start + t*step for t in low .. high - 1, under the weights t. */
typedef struct span {
	int64_t start, low, high;
} span;

/* The same for the walk: rows are numbered within their class modulo step. */
typedef struct walk {
	int64_t class, first, end; /* rows first .. end - 1 of the class */
	const double *weights;     /* of row `first` */
	void *sum;
} walk;

struct conv_check {
	const conv_exec *e;
	conv_buffers buffers;
	conv_checksum what; /* arrays are owned */
	const conv_checks *isa;
	conv_lanes lanes;
	int bytes;         /* of a lane */
	int64_t columns;   /* sums are as wide as a multiple of this */
	uint64_t constant; /* outside, as a lane, in the first bytes */
	double *real_taps; /* NULL where modular */
	int64_t strips, blocks, items;
	pthread_mutex_t lock;
	conv_findings findings;
};

struct conv_check_worker {
	conv_check *check;
	/* the block at hand */
	int64_t n, c, m, channel, block, x0, width;
	int64_t padded;               /* width of a result row's sums */
	int64_t extended, pieces;     /* image row: `pieces` runs of `extended` positions, `apart` positions from one to the next */
	int64_t apart, row_width;
	double largest;
	/* memory, as long as needed so far */
	char *sums;
	int64_t sums_bytes;
	span *spans, *needed;
	walk *walks;
	void **sum_list;
	double *weights;
	uint8_t *picks;
	int64_t *under, *slots, *offsets;
	int64_t span_room;
	char *rows;
	int64_t rows_bytes;
};

static int64_t at_most(int64_t x, int64_t most) { return x < most ? x : most; }
static int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }
static int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

/* ── rows ── */

typedef void (*row_fn)(conv_check_worker *w, char *to, int64_t position);

/* Where a row lies, from the strip's first column on; NULL for a row of constants. */
typedef const char *(*place_fn)(const conv_check_worker *w, int64_t position);

typedef struct source {
	row_fn read;
	place_fn place;
	int64_t dtype, rows; /* rows 0 .. rows - 1 show themselves */
	int direct;          /* columns may be read where they lie, padding included */
	int measured;        /* the largest pixel is wanted */
} source;

static const char *out_row(const conv_check_worker *w, int64_t y) {
	const conv_buffers *b = &w->check->buffers;
	const int64_t at = b->out_offset + w->n * b->out_strides[0] + w->channel * b->out_strides[1] + y * b->out_strides[2] + w->x0 * b->out_strides[3];
	return (const char *)b->out + at * conv_dtype_bytes(w->check->e->p.out_dtype);
}

static void read_out(conv_check_worker *w, char *to, int64_t y) {
	const conv_check *k = w->check;
	k->isa->load[k->lanes][k->e->p.out_dtype](to, out_row(w, y), k->buffers.out_strides[3], w->width);
}

/* `count` positions from `from` on of one image row, extended. */
static void read_run(const conv_check *k, char *to, const char *row, int64_t from, int64_t count) {
	const conv_problem *p = &k->e->p;
	const int64_t n = p->sizes[3], s = k->buffers.image_strides[3], element = conv_dtype_bytes(p->image_dtype);
	const conv_load_fn load = k->isa->load[k->lanes][p->image_dtype];
	const int64_t inside = at_most(from < 0 ? -from : 0, count);
	int64_t beyond = at_most(from < n ? n - from : 0, count);
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

/* Position under tap column 0 of the first output. */
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

static void read_image(conv_check_worker *w, char *to, int64_t position) {
	const conv_check *k = w->check;
	const conv_problem *p = &k->e->p;
	const int64_t row = conv_source(&p->y, p->sizes[2], position), first = first_column(w);
	if (row < 0)
		for (int64_t x = 0; x < w->pieces * w->extended; x++) memcpy(to + x * k->bytes, &k->constant, (size_t)k->bytes);
	else
		for (int64_t i = 0; i < w->pieces; i++)
			read_run(k, to + i * w->extended * k->bytes, image_row(w, row), first + i * w->apart, w->extended);
}

/* Whether lanes may be read as the elements that they come from; float32 has a loop of its own. */
static int lies_as_lanes(const conv_check *k, int64_t dtype) {
	if (k->lanes == CONV_LANES_F64) return dtype == CONV_F32 || dtype == CONV_F64;
	return conv_dtype_bytes(dtype) == k->bytes;
}

static source image_source(const conv_check_worker *w) {
	const conv_check *k = w->check;
	const conv_problem *p = &k->e->p;
	const int64_t first = first_column(w);
	const int inside = w->pieces == 1 && first >= 0 && first + w->row_width <= p->sizes[3] && k->buffers.image_strides[3] == 1;
	return (source){read_image, place_image, p->image_dtype, p->sizes[2], inside && lies_as_lanes(k, p->image_dtype),
	                k->what.largest == 0 && !k->what.modular};
}

static source out_source(const conv_check_worker *w) {
	const conv_check *k = w->check;
	const conv_problem *p = &k->e->p;
	const int inside = w->x0 + w->padded <= p->out_w && k->buffers.out_strides[3] == 1;
	return (source){read_out, out_row, p->out_dtype, p->out_h, inside && lies_as_lanes(k, p->out_dtype), 0};
}

/* ── sums over rows ── */

static int by_row(const void *a, const void *b) {
	const walk *p = a, *q = b;
	if (p->class != q->class) return p->class < q->class ? -1 : 1;
	return p->first < q->first ? -1 : p->first > q->first;
}

/* Adds rows class + (from .. from + 7)*step to the walks begin .. end - 1, as far as these want them. */
static void add_rows(conv_check_worker *w, const walk *walks, int64_t count, int64_t from, int64_t step, int64_t width, const source *source) {
	const conv_check *k = w->check;
	const int64_t row_bytes = width * k->bytes;
	conv_check_rows rows = {.element = conv_dtype_bytes(source->dtype)};
	int wanted = 0;
	int64_t used = 0;
	for (int64_t p = 0; p < count; p++) {
		const walk *s = &walks[p];
		const int64_t low = s->first > from ? s->first - from : 0, high = at_most(s->end - from, CONV_CHECK_ROWS);
		if (low >= high) continue;
		unsigned picks = 0;
		for (int h = 0; h < CONV_CHECK_ROWS; h++) {
			const double weight = h >= low && h < high ? s->weights[from + h - s->first] : 0;
			w->weights[used * CONV_CHECK_ROWS + h] = weight;
			picks |= (unsigned)(weight != 0) << h;
		}
		w->picks[used] = (uint8_t)picks;
		wanted |= (int)picks;
		w->sum_list[used++] = s->sum;
	}
	if (!wanted) return;
	int direct = source->direct;
	for (int h = 0; h < CONV_CHECK_ROWS; h++) {
		const int64_t position = walks->class + (from + h) * step, next = position + CONV_CHECK_ROWS * step;
		rows.row[h] = w->rows + CONV_CHECK_ROWS * row_bytes; /* zeros */
		rows.ahead[h] = source->direct && next >= 0 && next < source->rows ? source->place(w, next) : NULL;
		if (!(wanted >> h & 1) || !direct) continue;
		const char *row = source->place(w, position);
		if (row) rows.row[h] = row;
		else direct = 0;
	}
	for (int h = 0; h < CONV_CHECK_ROWS && !direct; h++) {
		if (!(wanted >> h & 1)) continue;
		rows.row[h] = w->rows + h * row_bytes;
		source->read(w, w->rows + h * row_bytes, walks->class + (from + h) * step);
	}
	if (k->lanes == CONV_LANES_F64 && direct && source->dtype == CONV_F32) {
		const double most = k->isa->project_f32(w->sum_list, w->weights, used, &rows, width);
		if (source->measured && most > w->largest) w->largest = most;
		return;
	}
	for (int h = 0; h < CONV_CHECK_ROWS && source->measured; h++) {
		const double most = k->isa->magnitude(rows.row[h], width);
		if (most > w->largest) w->largest = most;
	}
	k->isa->project[k->lanes](w->sum_list, k->lanes == CONV_LANES_F64 ? (void *)w->weights : w->picks, used, &rows, width);
}

/* Every span's sum, one behind the other from `sums` on, `width` lanes each. */
static void project(conv_check_worker *w, const span *spans, int64_t count, int64_t step, char *sums, int64_t width, source source) {
	const conv_check *k = w->check;
	memset(sums, 0, (size_t)(count * width * k->bytes));
	memset(w->rows, 0, (size_t)((CONV_CHECK_ROWS + 1) * width * k->bytes));
	for (int64_t p = 0; p < count; p++) {
		const int64_t top = spans[p].start + spans[p].low * step, row = floor_div(top, step);
		w->walks[p] = (walk){top - row * step, row, row + spans[p].high - spans[p].low, k->what.weights + spans[p].low,
		                     sums + p * width * k->bytes};
	}
	qsort(w->walks, (size_t)count, sizeof(walk), by_row);
	int64_t begin = 0, end = 0, row = 0;
	while (begin < count) {
		const walk *first = &w->walks[begin];
		if (end <= begin) {
			end = begin;
			row = first->first; /* nothing is open: go on where the next sum begins */
		}
		while (end < count && w->walks[end].class == first->class && w->walks[end].first < row + CONV_CHECK_ROWS) end++;
		add_rows(w, first, end - begin, row, step, width, &source);
		row += CONV_CHECK_ROWS;
		while (begin < end && w->walks[begin].end <= row) begin++;
	}
}

/* ── the spans of a block ── */

/* The spans of image rows that `count` spans of result rows need, each once; under[k*rows + j] is that of tap row j. */
static int64_t image_spans(conv_check_worker *w, int64_t count) {
	const conv_problem *p = &w->check->e->p;
	const conv_window *window = &p->windows[w->m];
	int64_t buckets = 16, found = 0;
	while (buckets < 2 * count * window->rows) buckets *= 2;
	for (int64_t h = 0; h < buckets; h++) w->slots[h] = -1;
	for (int64_t k = 0; k < count; k++)
		for (int64_t j = 0; j < window->rows; j++) {
			const span want = {window->first_y + w->spans[k].start * p->stride_y + j * p->dilation_y, w->spans[k].low, w->spans[k].high};
			uint64_t h = ((uint64_t)want.start * 31 + (uint64_t)want.low) * UINT64_C(0x9e3779b97f4a7c15) >> 20;
			for (;; h++) {
				int64_t *slot = &w->slots[h & (uint64_t)(buckets - 1)];
				if (*slot < 0) {
					*slot = found;
					w->needed[found++] = want;
				}
				const span *have = &w->needed[*slot];
				if (have->start != want.start || have->low != want.low || have->high != want.high) continue;
				w->under[k * window->rows + j] = *slot;
				break;
			}
		}
	return found;
}

/* Room for the spans of `count` samples under the window. */
static int make_room(conv_check_worker *w, int64_t count, int64_t rows, int64_t cols) {
	const int64_t want = count * (rows + 1) + cols;
	if (want <= w->span_room) return 1;
	free(w->needed), free(w->walks), free(w->sum_list), free(w->weights), free(w->picks), free(w->under), free(w->slots), free(w->offsets);
	w->needed = malloc((size_t)want * sizeof *w->needed);
	w->walks = malloc((size_t)want * sizeof *w->walks);
	w->sum_list = malloc((size_t)want * sizeof *w->sum_list);
	w->weights = malloc((size_t)want * CONV_CHECK_ROWS * sizeof *w->weights);
	w->picks = malloc((size_t)want);
	w->under = malloc((size_t)want * sizeof *w->under);
	w->slots = malloc((size_t)(want + 8) * 4 * sizeof *w->slots);
	w->offsets = malloc((size_t)want * sizeof *w->offsets);
	w->span_room = w->needed && w->walks && w->sum_list && w->weights && w->picks && w->under && w->slots && w->offsets ? want : 0;
	return w->span_room > 0;
}

static char *at_least(char **memory, int64_t *have, int64_t want) {
	if (want > *have) {
		free(*memory);
		*memory = aligned_alloc(64, (size_t)round_up(want, 64));
		*have = *memory ? want : 0;
	}
	return *memory;
}

/* ── comparing ── */

static double read_real(const char *sum, int64_t x) { return ((const double *)sum)[x]; }

static int same_lane(const conv_check *k, const char *a, const char *b, int64_t x) {
	return memcmp(a + x * k->bytes, b + x * k->bytes, (size_t)k->bytes) == 0;
}

static void suspect(conv_check_worker *w, const span *s, int64_t x) {
	conv_findings *f = &w->check->findings;
	pthread_mutex_lock(&w->check->lock);
	if (f->count < CONV_SUSPECTS) f->suspects[f->count] = (conv_suspect){w->n, w->channel, w->x0 + x, s->start + s->low, s->start + s->high};
	f->count++;
	pthread_mutex_unlock(&w->check->lock);
}

static void compare(conv_check_worker *w, const span *s, const char *expected, const char *actual) {
	conv_check *k = w->check;
	if (k->what.modular) {
		if (memcmp(expected, actual, (size_t)(w->width * k->bytes)) == 0) return;
		for (int64_t x = 0; x < w->width; x++)
			if (!same_lane(k, expected, actual, x)) suspect(w, s, x);
		return;
	}
	double weight = 0, worst = 0;
	for (int64_t t = s->low; t < s->high; t++) weight += k->what.weights[t];
	const double limit = k->what.slope[w->channel] * w->largest + k->what.offset[w->channel];
	const double scale = k->e->p.scale[w->channel], bias = (k->e->p.bias[w->channel] - k->what.centre) * weight;
	for (int64_t x = 0; x < w->width; x++) {
		const double apart = fabs(read_real(expected, x) * scale + bias - read_real(actual, x));
		if (!(apart <= limit)) suspect(w, s, x);
		else if (apart > worst) worst = apart;
	}
	pthread_mutex_lock(&k->lock);
	if (limit > k->findings.threshold) k->findings.threshold = limit;
	if (worst > 0 && worst / limit > k->findings.worst) k->findings.worst = worst / limit;
	pthread_mutex_unlock(&k->lock);
}

/* ── blocks ── */

/* Sums open at once are kept below this where samples can be taken in several passes. */
#define SUMS_BYTES (4 << 20)

/* Lays out an image row: one run of positions, or one for each tap column where those lie far apart. */
static void lay_out_row(conv_check_worker *w, const conv_window *window) {
	const conv_problem *p = &w->check->e->p;
	const int64_t run = (w->width - 1) * p->stride_x + 1, between = window->cols > 1 ? (window->cols - 1) * p->dilation_x : 0;
	const int together = between <= 2 * run;
	w->pieces = together ? 1 : window->cols;
	w->apart = together ? 0 : p->dilation_x;
	w->extended = together ? run + between : run;
	for (int64_t i = 0; i < window->cols; i++) w->offsets[i] = together ? i * p->dilation_x : i * w->extended;
	w->row_width = round_up(w->pieces * w->extended, w->check->columns);
}

/* Samples begin .. end - 1 of the block. */
static int check_samples(conv_check_worker *w, int64_t begin, int64_t end) {
	const conv_check *k = w->check;
	const conv_problem *p = &k->e->p;
	const conv_window *window = &p->windows[w->m];
	int64_t count = 0;
	for (int64_t s = begin; s < end; s++) {
		const int64_t start = w->block * k->what.length - s;
		const int64_t low = start < 0 ? -start : 0, high = at_most(k->what.length, p->out_h - start);
		if (low < high) w->spans[count++] = (span){start, low, high};
	}
	if (count == 0) return 1;
	const int64_t needed = image_spans(w, count);
	const int64_t image_bytes = needed * w->row_width * k->bytes, out_bytes = count * w->padded * k->bytes;
	if (image_bytes > SUMS_BYTES && count > 1) {
		const int64_t half = (begin + end) / 2;
		return check_samples(w, begin, half) && check_samples(w, half, end);
	}
	char *sums = at_least(&w->sums, &w->sums_bytes, image_bytes + out_bytes + w->padded * k->bytes);
	if (sums == NULL) return 0;
	char *actual = sums + image_bytes, *expected = actual + out_bytes;
	project(w, w->needed, needed, p->stride_y, sums, w->row_width, image_source(w));
	project(w, w->spans, count, 1, actual, w->padded, out_source(w));
	const void *taps = k->real_taps ? (const void *)(k->real_taps + window->taps) : p->taps + window->taps;
	for (int64_t s = 0; s < count; s++) {
		for (int64_t j = 0; j < window->rows; j++)
			w->sum_list[j] = sums + w->under[s * window->rows + j] * w->row_width * k->bytes;
		k->isa->window[k->lanes](expected, (const void *const *)w->sum_list, window, taps, w->offsets, p->stride_x, w->width);
		compare(w, &w->spans[s], expected, actual + s * w->padded * k->bytes);
	}
	return 1;
}

int conv_check_item(conv_check_worker *w, int64_t item) {
	const conv_check *k = w->check;
	const conv_problem *p = &k->e->p;
	w->x0 = item % k->strips * k->what.strip;
	item /= k->strips;
	w->block = item % k->blocks;
	item /= k->blocks;
	w->m = item % p->kernels;
	item /= p->kernels;
	w->c = item % p->sizes[1];
	w->n = item / p->sizes[1];
	w->channel = w->c * p->kernels + w->m;
	w->width = at_most(k->what.strip, p->out_w - w->x0);
	w->padded = round_up(w->width, k->columns);
	w->largest = k->what.largest;
	const conv_window *window = &p->windows[w->m];
	if (!make_room(w, k->what.samples, window->rows, window->cols)) return 0;
	lay_out_row(w, window);
	const int64_t widest = w->row_width > w->padded ? w->row_width : w->padded;
	return at_least(&w->rows, &w->rows_bytes, (CONV_CHECK_ROWS + 1) * widest * k->bytes) && check_samples(w, 0, k->what.samples);
}

conv_check_worker *conv_check_worker_make(conv_check *check) {
	conv_check_worker *w = calloc(1, sizeof *w);
	if (w == NULL) return NULL;
	w->check = check;
	w->spans = malloc((size_t)check->what.samples * sizeof *w->spans);
	if (w->spans) return w;
	free(w);
	return NULL;
}

void conv_check_worker_free(conv_check_worker *w) {
	if (w == NULL) return;
	free(w->sums), free(w->spans), free(w->needed), free(w->walks), free(w->sum_list), free(w->weights), free(w->picks);
	free(w->under), free(w->slots), free(w->offsets), free(w->rows);
	free(w);
}

/* ── the whole ── */

static void *copy_of(const void *from, int64_t bytes) {
	void *to = malloc((size_t)bytes + 8);
	if (to && bytes > 0) memcpy(to, from, (size_t)bytes);
	return to;
}

static double tap_as_double(int64_t kind, uint64_t bits) {
	double d;
	memcpy(&d, &bits, 8);
	return kind == CONV_TAPS_F64 ? d : kind == CONV_TAPS_U64 ? (double)bits : (double)(int64_t)bits;
}

static void set_constant(conv_check *k) {
	const conv_problem *p = &k->e->p;
	k->constant = p->value; /* lanes of n bits are the lowest n: little-endian, as everything here */
	if (k->lanes != CONV_LANES_F64 || conv_is_float(p->image_dtype)) return;
	const double d = conv_is_unsigned(p->image_dtype) ? (double)p->value : (double)(int64_t)p->value;
	memcpy(&k->constant, &d, 8);
}

#define REQUIRE(condition, text)         \
	do {                                 \
		if (!(condition)) {              \
			*why = text;                 \
			*status = CONV_INVALID;      \
			return NULL;                 \
		}                                \
	} while (0)

conv_check *conv_check_make(const conv_exec *e, const conv_buffers *b, const conv_checksum *what, conv_status *status, const char **why) {
	const conv_problem *p = &e->p;
	const int64_t channels = p->sizes[1] * p->kernels;
	const int integers = p->sum == CONV_SUM_INTEGER && !conv_is_float(p->out_dtype);
	REQUIRE(what->length >= 1 && what->length <= 1 << 20, "the length of a checksum is out of range");
	REQUIRE(what->samples >= 1 && what->samples <= 64 && what->samples <= what->length, "the samples of a checksum are out of range");
	REQUIRE(what->strip >= 1 && what->strip <= 1 << 20, "the strip of a checksum is out of range");
	REQUIRE(!what->modular || integers, "modular checksums need integer sums and an integer result");
	*why = "out of memory";
	*status = CONV_NO_MEMORY;
	conv_check *k = calloc(1, sizeof *k);
	if (k == NULL) return NULL;
	const char *names[8];
	conv_isas(names);
	k->e = e;
	k->buffers = *b;
	k->what = *what;
	k->isa = (e->isa ? e->isa : conv_find_isa(names[0]))->checks;
	k->bytes = what->modular ? conv_dtype_bytes(p->out_dtype) : 8;
	k->lanes = !what->modular    ? CONV_LANES_F64
	           : k->bytes == 1 ? CONV_LANES_U8
	           : k->bytes == 2 ? CONV_LANES_U16
	           : k->bytes == 4 ? CONV_LANES_U32
	                           : CONV_LANES_U64;
	k->columns = CONV_CHECK_BYTES / k->bytes;
	set_constant(k);
	k->strips = (p->out_w + what->strip - 1) / what->strip;
	k->blocks = p->out_h == 0 ? 0 : (p->out_h + what->samples - 2) / what->length + 1;
	k->items = p->sizes[0] * channels * k->strips * k->blocks;
	pthread_mutex_init(&k->lock, NULL);
	k->what.weights = copy_of(what->weights, what->length * 8);
	k->what.slope = copy_of(what->slope, channels * 8);
	k->what.offset = copy_of(what->offset, channels * 8);
	if (!what->modular) k->real_taps = malloc((size_t)p->tap_count * 8 + 8);
	if (!k->what.weights || !k->what.slope || !k->what.offset || (!what->modular && !k->real_taps)) {
		conv_check_free(k);
		return NULL;
	}
	if (k->real_taps)
		for (int64_t t = 0; t < p->tap_count; t++) k->real_taps[t] = tap_as_double(p->tap_kind, p->taps[t]);
	*status = CONV_OK;
	return k;
}

void conv_check_free(conv_check *k) {
	if (k == NULL) return;
	pthread_mutex_destroy(&k->lock);
	free((void *)k->what.weights), free((void *)k->what.slope), free((void *)k->what.offset), free(k->real_taps);
	free(k);
}

int64_t conv_check_items(const conv_check *k) { return k->items; }
const conv_findings *conv_check_findings(const conv_check *k) { return &k->findings; }
