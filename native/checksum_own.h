/* What the files of a checksum share: checksum.c (blocks), _rows (what is read), _project (sums over rows), _measure, _compare. Private. */
#ifndef FALTUNG_CHECKSUM_OWN_H
#define FALTUNG_CHECKSUM_OWN_H

#include <pthread.h>

#include "check_sums.h"

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
	uint64_t *bits;    /* modular: weight t is bit t + CONV_CHECK_ROWS; zeros before and behind */
	int64_t strips, blocks;
	int64_t group, groups; /* strips of one item, and how often that is begun in a row */
	int64_t items;
	pthread_mutex_t lock;
	conv_findings findings;
};

/* Bytes of lanes that are converted at once: sixteen such rows are half of a first-level cache. */
#define CONV_CHECK_PIECE 1536

/* A sum over rows start + t*step for t in low .. high - 1, under the weights t. */
typedef struct conv_span {
	int64_t start, low, high;
} conv_span;

/* The same for the walk: rows are numbered within their class modulo step. */
typedef struct conv_walk {
	int64_t class, first, end; /* rows first .. end - 1 of the class */
	int64_t weight;            /* the number of that of row `first` */
	void *sum;
} conv_walk;

struct conv_check_worker {
	conv_check *check;
	/* the item at hand: strips side by side */
	int64_t n, c, m, channel, block, x0, width;
	int64_t padded;           /* width of a result row's sums */
	int64_t out_apart, row_apart; /* bytes from one sum to the next: of result rows, of image rows */
	int64_t extended, pieces; /* image row: `pieces` runs of `extended` positions, `apart` positions from one to the next */
	int64_t apart, row_width;
	/* memory, as long as needed so far */
	char *sums, *zeros;
	int64_t sums_bytes, zeros_bytes;
	char *rows;      /* converted: CONV_CHECK_ROWS of CONV_CHECK_PIECE bytes */
	double *largest; /* M of each strip of the item */
	conv_span *spans, *needed;
	conv_walk *walks;
	void **sum_list;
	double *weights;
	uint16_t *picks;
	int64_t *under, *slots, *offsets;
	int64_t span_room;
};

static inline int64_t conv_at_most(int64_t x, int64_t most) { return x < most ? x : most; }
static inline int64_t conv_round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

/* ── checksum_rows.c ── */

/* Rows of the image or of the result, as wide as the item at hand and padded. */
typedef struct conv_rows conv_rows;
struct conv_rows {
	/* Columns x .. x + count - 1 of the row at a position, as lanes. */
	void (*read)(const conv_check_worker *w, char *to, int64_t position, int64_t x, int64_t count);
	/* Where column 0 of the row at a position lies, or would; NULL for a row of constants. */
	const char *(*place)(const conv_check_worker *w, int64_t position);
	int64_t dtype, width, end; /* rows 0 .. end - 1 show themselves */
	int64_t low, high;                /* columns low .. high - 1 may be read where they lie */
	int64_t apart;                    /* bytes from column to column; 0 where these are no single run */
};

conv_rows conv_image_rows(const conv_check_worker *w);
conv_rows conv_out_rows(const conv_check_worker *w);

/* ── checksum_project.c ── */

/* Where sums lie. */
typedef struct conv_sums {
	char *first;
	int64_t apart; /* bytes from one to the next */
	double *most;  /* as in checksum_real.h, or NULL */
} conv_sums;

/* Every span's sum, as wide as the rows. */
void conv_project(conv_check_worker *w, const conv_span *spans, int64_t count, int64_t step, const conv_sums *sums, const conv_rows *rows);

/* ── checksum_measure.c ── */

/* Into worker.largest: M of every strip, from what conv_project has put into `most`. The other arguments are as there. */
void conv_measure(conv_check_worker *w, double *most, const conv_span *spans, int64_t count, int64_t step, const conv_rows *rows);

/* ── checksum_compare.c ── */

/* Compares two sums over the same rows of the result, column by column. */
void conv_compare(conv_check_worker *w, const conv_span *s, const char *expected, const char *actual);

#endif
