/* Rows of pixels in, rows of sums out: what every kind of tile shares. Private. */
#ifndef FALTUNG_ROWS_H
#define FALTUNG_ROWS_H

#include "exec.h"

/* `count` times the constant outside, in the accumulator's type. */
void conv_fill(const conv_exec *e, char *to, int64_t count);

/*
 * The pixels that positions from, from + step ... of one image row show, converted to the accumulator's type. `row`: pixel 0 of that
 * row; `stride`: elements between its pixels.
 */
void conv_pack_line(const conv_exec *e, char *to, const char *row, int64_t stride, int64_t from, int64_t step, int64_t count);

/*
 * What `width` outputs read of one image row, phase by phase as the tile's kernel plan says; `from`: position under tap column 0 of the
 * first one.
 */
void conv_pack_row(const conv_exec *e, const conv_tile *t, char *to, const char *row, int64_t from, int64_t width);

/* Whether pixels side by side lie there in the accumulator's type. */
int conv_lies_ready(const conv_exec *e, const conv_tile *t);

/* Prefetches a row that is packed next; columns outside the image do no harm. */
void conv_fetch_row(const char *row, int64_t from, int64_t count, int64_t element);

/*
 * Stores the sums of outputs x0 .. x1-1 of row y: scale, bias, rounding, overflow. `line`: 8 bytes for each sum, for stores that need
 * an intermediate; `stream`: conv_may_stream holds for the first of them.
 */
void conv_store_row(const conv_exec *e, const conv_tile *t, int64_t y, int64_t x0, int64_t x1, const char *sums, char *line, int stream);

/* Whether sums side by side are the result as they are. */
int conv_stores_straight(const conv_exec *e, const conv_tile *t);

/* A window without taps: every sum is 0. `sums`: room for the tile's width. */
void conv_store_zeros(const conv_exec *e, const conv_tile *t, char *sums, char *line);

/* Whether the result leaves the caches before it is read. */
int conv_is_large(const conv_tile *t);

/* Whether result rows may be written from `at` on with non-temporal stores. */
int conv_may_stream(const conv_exec *e, const conv_tile *t, const char *at);

#endif
