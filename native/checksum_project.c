/*
 * Weighted sums over rows. Sums are walked in the order of their rows, up to CONV_CHECK_ROWS rows at a time; each of these is added to
 * every sum that wants it. Columns are read where they lie if possible, else converted a piece at a time.
 */
#include <stdlib.h>
#include <string.h>

#include "checksum_own.h"

static int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

static int by_row(const void *a, const void *b) {
	const conv_walk *p = a, *q = b;
	if (p->class != q->class) return p->class < q->class ? -1 : 1;
	return p->first < q->first ? -1 : p->first > q->first;
}

/*
 * Few sums wait for memory, and read eight rows at once: two threads read 64 MiB of 8 rows side by side in 1.3 ms, of one in 2.5, of 16 in
 * 1.8 (Zen 5). Many load and store as many open sums for each visit, and read sixteen.
 */
#define FEW_SUMS 6
#define FEW_ROWS 8
#define FEW_AHEAD 1024
#define MANY_AHEAD 384

/* Up to sixteen rows, h at position first + h*step, and the sums that want some of them: worker.sum_list, under .weights or .picks. */
typedef struct visit {
	const conv_rows *rows;
	int64_t first, step;
	int64_t used;    /* sums */
	unsigned wanted; /* a bit for each row that has a weight in some sum */
	int64_t height;  /* of the visit: only rows before are wanted */
	double *most;
} visit;

/* Bits of the weights from..from + 15; those before the first and behind the last are zeros. */
static unsigned bits_at(const conv_check *k, int64_t from) {
	const int64_t at = from + CONV_CHECK_ROWS;
	const uint64_t *word = &k->bits[at / 64];
	return (unsigned)(word[0] >> at % 64 | word[1] << 1 << (63 - at % 64)) & 0xffff;
}

/* The sums of `walks` that want rows from .. from + 15 of their class. */
static visit weigh(conv_check_worker *w, const conv_walk *walks, int64_t count, int64_t from, int64_t height) {
	const conv_check *k = w->check;
	visit v = {.height = height};
	for (int64_t p = 0; p < count; p++) {
		const conv_walk *s = &walks[p];
		const int64_t low = s->first > from ? s->first - from : 0, high = conv_at_most(s->end - from, height);
		if (low >= high) continue;
		const unsigned inside = ((1u << high) - 1) & ~((1u << low) - 1);
		const unsigned picks = k->bits ? bits_at(k, s->weight + from - s->first) & inside : inside;
		w->picks[v.used] = (uint16_t)picks;
		w->sum_list[v.used++] = s->sum;
		v.wanted |= picks;
	}
	if (k->bits) return v;
	int64_t used = 0;
	for (int64_t p = 0; p < count; p++) {
		const conv_walk *s = &walks[p];
		if (s->first >= from + height || s->end <= from) continue;
		for (int64_t h = 0; h < height; h++)
			w->weights[h * v.used + used] = w->picks[used] >> h & 1 ? k->what.weights[s->weight + from + h - s->first] : 0;
		used++;
	}
	return v;
}

/* Adds columns x .. x + width - 1 of rows that lie somewhere. */
static void add(conv_check_worker *w, const visit *v, conv_check_rows *rows, int64_t x, int64_t width, conv_project_fn project) {
	const conv_check *k = w->check;
	for (int64_t p = 0; p < v->used; p++) w->sum_list[p] = (char *)w->sum_list[p] + x * k->bytes;
	double *most = v->most ? v->most + x : NULL;
	if (k->what.modular) project(w->sum_list, w->picks, v->used, rows, most, width);
	else {
		rows->count = 32 - __builtin_clz(v->wanted); /* some sum wants the first row; behind the last that any wants nothing is read */
		project(w->sum_list, w->weights, v->used, rows, most, width);
	}
	for (int64_t p = 0; p < v->used; p++) w->sum_list[p] = (char *)w->sum_list[p] - x * k->bytes;
}

/* Columns from .. to - 1, converted a piece at a time; the next piece is asked for meanwhile. */
static void add_converted(conv_check_worker *w, const visit *v, int64_t from, int64_t to) {
	const conv_check *k = w->check;
	const int64_t piece = CONV_CHECK_PIECE / k->bytes;
	for (int64_t x = from; x < to; x += piece) {
		const int64_t width = conv_at_most(piece, to - x), next = conv_at_most(piece, to - x - width) * v->rows->apart;
		conv_check_rows rows = {.count = CONV_CHECK_ROWS};
		for (int h = 0; h < CONV_CHECK_ROWS; h++) {
			rows.row[h] = w->zeros;
			if (!(v->wanted >> h & 1)) continue;
			const int64_t position = v->first + h * v->step;
			const char *row = next > 0 ? v->rows->place(w, position) : NULL;
			for (int64_t at = 0; row && at < next; at += 64) __builtin_prefetch(row + (x + width) * v->rows->apart + at, 0, 3);
			rows.row[h] = w->rows + h * CONV_CHECK_PIECE;
			v->rows->read(w, w->rows + h * CONV_CHECK_PIECE, position, x, width);
		}
		for (int h = 0; h < CONV_CHECK_ROWS; h++) rows.next[h] = rows.row[h]; /* the piece is in the cache already */
		add(w, v, &rows, x, width, k->isa->project[k->lanes]);
	}
}

/* Where the rows of the next visit begin, for the inner loops to ask for at the end of these. */
static void look_ahead(const conv_check_worker *w, const visit *v, conv_check_rows *rows) {
	const int64_t element = conv_dtype_bytes(v->rows->dtype);
	rows->bytes = (v->rows->high - v->rows->low) * element;
	rows->ahead = v->height < CONV_CHECK_ROWS ? FEW_AHEAD : MANY_AHEAD;
	for (int h = 0; h < v->height; h++) {
		const int64_t next = v->first + (v->height + h) * v->step;
		const char *row = next >= 0 && next < v->rows->end ? v->rows->place(w, next) : NULL;
		rows->next[h] = row ? row + v->rows->low * element : rows->row[h];
	}
}

static void add_rows(conv_check_worker *w, const visit *v) {
	const conv_check *k = w->check;
	const conv_rows *r = v->rows;
	const int64_t element = conv_dtype_bytes(r->dtype);
	conv_check_rows rows = {.count = CONV_CHECK_ROWS};
	int direct = r->low < r->high;
	for (int h = 0; h < CONV_CHECK_ROWS && direct; h++) {
		const char *row = v->wanted >> h & 1 ? r->place(w, v->first + h * v->step) : NULL;
		rows.row[h] = row ? row + r->low * element : w->zeros;
		direct = row || !(v->wanted >> h & 1);
	}
	if (!direct) {
		add_converted(w, v, 0, r->width);
		return;
	}
	look_ahead(w, v, &rows);
	add(w, v, &rows, r->low, r->high - r->low, k->what.modular ? k->isa->project[k->lanes] : k->isa->real[r->dtype]);
	add_converted(w, v, 0, r->low);
	add_converted(w, v, r->high, r->width);
}

void conv_project(conv_check_worker *w, const conv_span *spans, int64_t count, int64_t step, const conv_sums *sums, const conv_rows *rows) {
	const int64_t height = !w->check->what.modular && count <= FEW_SUMS ? FEW_ROWS : CONV_CHECK_ROWS;
	memset(sums->first, 0, (size_t)(count * sums->apart));
	for (int64_t p = 0; p < count; p++) {
		const int64_t top = spans[p].start + spans[p].low * step, row = floor_div(top, step);
		w->walks[p] = (conv_walk){top - row * step, row, row + spans[p].high - spans[p].low, spans[p].low,
		                         sums->first + p * sums->apart};
	}
	qsort(w->walks, (size_t)count, sizeof(conv_walk), by_row);
	int64_t begin = 0, end = 0, row = 0;
	while (begin < count) {
		const conv_walk *first = &w->walks[begin];
		if (end <= begin) {
			end = begin;
			row = first->first; /* nothing is open: go on where the next sum begins */
		}
		while (end < count && w->walks[end].class == first->class && w->walks[end].first < row + height) end++;
		visit v = weigh(w, first, end - begin, row, height);
		v.rows = rows;
		v.first = first->class + row * step;
		v.step = step;
		v.most = sums->most;
		if (v.wanted) add_rows(w, &v);
		row += height;
		while (begin < end && w->walks[begin].end <= row) begin++;
	}
}
