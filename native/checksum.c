/*
 * The checksum of a result: random sums over windows of its rows, against the same sums of what the image says. The scheme and
 * its words are those of src/core/checksum-scheme.ts, the steps those of src/core/checksum-sums.ts.
 *
 * A block is `length` rows of one strip of columns of one result plane; an item is the blocks of the same rows in strips side by side,
 * whose sums are formed together: rows of one strip are too short for a processor to see what it should read ahead.
 */
#include <stdlib.h>
#include <string.h>

#include "checksum_own.h"

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
			const conv_span want = {window->first_y + w->spans[k].start * p->stride_y + j * p->dilation_y, w->spans[k].low, w->spans[k].high};
			uint64_t h = ((uint64_t)want.start * 31 + (uint64_t)want.low) * UINT64_C(0x9e3779b97f4a7c15) >> 20;
			for (;; h++) {
				int64_t *slot = &w->slots[h & (uint64_t)(buckets - 1)];
				if (*slot < 0) {
					*slot = found;
					w->needed[found++] = want;
				}
				const conv_span *have = &w->needed[*slot];
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
	w->picks = malloc((size_t)want * sizeof *w->picks);
	w->under = malloc((size_t)want * sizeof *w->under);
	w->slots = malloc((size_t)(want + 8) * 4 * sizeof *w->slots);
	w->offsets = malloc((size_t)want * sizeof *w->offsets);
	w->span_room = w->needed && w->walks && w->sum_list && w->weights && w->picks && w->under && w->slots && w->offsets ? want : 0;
	return w->span_room > 0;
}

static char *at_least(char **memory, int64_t *have, int64_t want) {
	if (want > *have) {
		free(*memory);
		*memory = aligned_alloc(64, (size_t)conv_round_up(want, 64));
		*have = *memory ? want : 0;
	}
	return *memory;
}

/* ── blocks ── */

/* Sums open at once are kept below this where samples can be taken in several passes. */
#define SUMS_BYTES (4 << 20)

/* Between sums, so that not all of them lie in a few sets of a cache: each is a multiple of 128 bytes wide. */
#define SUM_GAP 64

/* Lays out an image row: one run of positions, or one for each tap column where those lie far apart. */
static void lay_out_row(conv_check_worker *w, const conv_window *window) {
	const conv_problem *p = &w->check->e->p;
	const int64_t run = (w->width - 1) * p->stride_x + 1, between = window->cols > 1 ? (window->cols - 1) * p->dilation_x : 0;
	const int together = between <= 2 * run;
	w->pieces = together ? 1 : window->cols;
	w->apart = together ? 0 : p->dilation_x;
	w->extended = together ? run + between : run;
	for (int64_t i = 0; i < window->cols; i++) w->offsets[i] = together ? i * p->dilation_x : i * w->extended;
	w->row_width = conv_round_up(w->pieces * w->extended, w->check->columns);
	w->row_apart = w->row_width * w->check->bytes + SUM_GAP;
}

/* Whether sample s + 1 begins one row before sample s, so that it needs the same filtered rows but one. */
static int shares_rows(const conv_check_worker *w, int64_t s, int64_t rows) {
	if (rows == 0) return 0;
	for (int64_t j = 1; j < rows; j++)
		if (w->under[(s + 1) * rows + j] != w->under[s * rows + j - 1]) return 0;
	return 1;
}

/* The window over the filtered rows of sample s, or of s and s + 1: into one or two rows from `to` on. Returns how many. */
static int64_t apply_window(conv_check_worker *w, int64_t s, int64_t count, const char *sums, char *to) {
	const conv_check *k = w->check;
	const conv_problem *p = &k->e->p;
	const conv_window *window = &p->windows[w->m];
	const void *taps = k->real_taps ? (const void *)(k->real_taps + window->taps) : p->taps + window->taps;
	const int64_t together = k->real_taps && p->stride_x == 1 && s + 1 < count && shares_rows(w, s, window->rows) ? 2 : 1;
	const void **rows = (const void **)w->sum_list;
	int64_t done = 0;
	if (together == 2) {
		for (int64_t j = 0; j <= window->rows; j++)
			rows[j] = sums + w->under[j == 0 ? (s + 1) * window->rows : s * window->rows + j - 1] * w->row_apart;
		done = k->isa->two_windows((double *[]){(double *)to, (double *)(to + w->out_apart)}, (const double *const *)rows, window, taps,
		                           w->offsets, w->width);
	}
	for (int64_t i = 0; i < together && done < w->width; i++) {
		for (int64_t j = 0; j < window->rows; j++)
			rows[j] = sums + w->under[(s + i) * window->rows + j] * w->row_apart + done * p->stride_x * k->bytes;
		k->isa->window[k->lanes](to + i * w->out_apart + done * k->bytes, rows, window, taps, w->offsets, p->stride_x, w->width - done);
	}
	return together;
}

/* Samples begin .. end - 1 of the block. */
static int check_samples(conv_check_worker *w, int64_t begin, int64_t end) {
	const conv_check *k = w->check;
	const conv_problem *p = &k->e->p;
	int64_t count = 0;
	for (int64_t s = begin; s < end; s++) {
		const int64_t start = w->block * k->what.length - s;
		const int64_t low = start < 0 ? -start : 0, high = conv_at_most(k->what.length, p->out_h - start);
		if (low < high) w->spans[count++] = (conv_span){start, low, high};
	}
	if (count == 0) return 1;
	const int64_t needed = image_spans(w, count);
	const int64_t image_bytes = needed * w->row_apart, out_bytes = count * w->out_apart;
	if (image_bytes > SUMS_BYTES && count > 1) {
		const int64_t half = (begin + end) / 2;
		return check_samples(w, begin, half) && check_samples(w, half, end);
	}
	const int64_t most_bytes = k->what.modular || k->what.largest != 0 ? 0 : w->row_width * 8;
	char *sums = at_least(&w->sums, &w->sums_bytes, image_bytes + out_bytes + 2 * w->out_apart + most_bytes);
	if (sums == NULL) return 0;
	char *actual = sums + image_bytes, *expected = actual + out_bytes;
	double *most = most_bytes ? (double *)(expected + 2 * w->out_apart) : NULL;
	if (most) memset(most, 0, (size_t)most_bytes);
	const conv_rows image = conv_image_rows(w), out = conv_out_rows(w);
	conv_project(w, w->needed, needed, p->stride_y, &(conv_sums){sums, w->row_apart, most}, &image);
	conv_project(w, w->spans, count, 1, &(conv_sums){actual, w->out_apart, NULL}, &out);
	conv_measure(w, most, w->needed, needed, p->stride_y, &image);
	for (int64_t s = 0; s < count;) {
		const int64_t together = apply_window(w, s, count, sums, expected);
		for (int64_t i = 0; i < together; i++, s++) conv_compare(w, &w->spans[s], expected + i * w->out_apart, actual + s * w->out_apart);
	}
	return 1;
}

int conv_check_item(conv_check_worker *w, int64_t item) {
	const conv_check *k = w->check;
	const conv_problem *p = &k->e->p;
	const int64_t first = item % k->groups * k->strips / k->groups, next = (item % k->groups + 1) * k->strips / k->groups;
	item /= k->groups;
	w->block = item % k->blocks;
	item /= k->blocks;
	w->m = item % p->kernels;
	item /= p->kernels;
	w->c = item % p->sizes[1];
	w->n = item / p->sizes[1];
	w->channel = w->c * p->kernels + w->m;
	w->x0 = first * k->what.strip;
	w->width = conv_at_most(next * k->what.strip, p->out_w) - w->x0;
	w->padded = conv_round_up(w->width, k->columns);
	w->out_apart = w->padded * k->bytes + SUM_GAP;
	const conv_window *window = &p->windows[w->m];
	if (!make_room(w, k->what.samples, window->rows, window->cols)) return 0;
	lay_out_row(w, window);
	const int64_t widest = (w->row_width > w->padded ? w->row_width : w->padded) * k->bytes;
	if (widest > w->zeros_bytes && at_least(&w->zeros, &w->zeros_bytes, widest)) memset(w->zeros, 0, (size_t)widest);
	return w->zeros && check_samples(w, 0, k->what.samples);
}

conv_check_worker *conv_check_worker_make(conv_check *check) {
	conv_check_worker *w = calloc(1, sizeof *w);
	if (w == NULL) return NULL;
	w->check = check;
	w->spans = malloc((size_t)check->what.samples * sizeof *w->spans);
	w->rows = aligned_alloc(64, CONV_CHECK_ROWS * CONV_CHECK_PIECE);
	w->largest = malloc((size_t)check->group * sizeof *w->largest);
	if (w->spans && w->rows && w->largest) return w;
	conv_check_worker_free(w);
	return NULL;
}

void conv_check_worker_free(conv_check_worker *w) {
	if (w == NULL) return;
	free(w->sums), free(w->spans), free(w->needed), free(w->walks), free(w->sum_list), free(w->weights), free(w->picks);
	free(w->under), free(w->slots), free(w->offsets), free(w->rows), free(w->zeros), free(w->largest);
	free(w);
}

/* ── the whole ── */

/* Columns of an item, where its sums then stay in the second-level cache, and items that are enough for any number of threads. */
#define ITEM_COLUMNS 2048
#define ITEM_BYTES (256 << 10)
#define ENOUGH_ITEMS 64

static void cut_into_items(conv_check *k) {
	const conv_problem *p = &k->e->p;
	int64_t rows = 1, most = ITEM_COLUMNS / k->what.strip;
	for (int64_t m = 0; m < p->kernels; m++) rows = p->windows[m].rows > rows ? p->windows[m].rows : rows;
	k->strips = (p->out_w + k->what.strip - 1) / k->what.strip;
	k->blocks = p->out_h == 0 ? 0 : (p->out_h + k->what.samples - 2) / k->what.length + 1;
	/* a block has `samples` sums of result rows and, as a rule, rows + samples - 1 of image rows */
	most = conv_at_most(most, ITEM_BYTES / ((2 * k->what.samples + rows) * k->what.strip * k->bytes));
	most = conv_at_most(most, p->sizes[0] * p->sizes[1] * p->kernels * k->blocks * k->strips / ENOUGH_ITEMS);
	k->group = most < 1 ? 1 : conv_at_most(most, k->strips);
	k->groups = k->strips == 0 ? 0 : (k->strips + k->group - 1) / k->group;
	k->items = p->sizes[0] * p->sizes[1] * p->kernels * k->groups * k->blocks;
}

/* Modular weights as bits, with zeros around them. */
static uint64_t *bits_of(const conv_checksum *what) {
	uint64_t *bits = calloc((size_t)(what->length + 2 * CONV_CHECK_ROWS) / 64 + 2, 8);
	for (int64_t t = 0; bits && t < what->length; t++) {
		const int64_t at = t + CONV_CHECK_ROWS;
		bits[at / 64] |= (uint64_t)(what->weights[t] != 0) << at % 64;
	}
	return bits;
}

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
	cut_into_items(k);
	pthread_mutex_init(&k->lock, NULL);
	k->what.weights = copy_of(what->weights, what->length * 8);
	k->what.slope = copy_of(what->slope, channels * 8);
	k->what.offset = copy_of(what->offset, channels * 8);
	if (what->modular) k->bits = bits_of(what);
	else k->real_taps = malloc((size_t)p->tap_count * 8 + 8);
	if (!k->what.weights || !k->what.slope || !k->what.offset || !(what->modular ? (void *)k->bits : k->real_taps)) {
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
	free((void *)k->what.weights), free((void *)k->what.slope), free((void *)k->what.offset), free(k->real_taps), free(k->bits);
	free(k);
}

int64_t conv_check_items(const conv_check *k) { return k->items; }
const conv_findings *conv_check_findings(const conv_check *k) { return &k->findings; }
