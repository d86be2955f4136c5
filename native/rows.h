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

/* Prefetches a row that is packed next; columns outside the image do no harm. */
void conv_fetch_row(const char *row, int64_t from, int64_t count, int64_t element);

/*
 * Stores the sums of outputs x0 .. x1-1 of row y: scale, bias, rounding, overflow. `line`: 8 bytes for each sum, for stores that need
 * an intermediate; `stream`: conv_may_stream holds for the first of them.
 */
void conv_store_row(const conv_exec *e, const conv_tile *t, int64_t y, int64_t x0, int64_t x1, const char *sums, char *line, int stream);

/* Whether result rows may be written from `at` on with non-temporal stores. */
int conv_may_stream(const conv_exec *e, const conv_tile *t, const char *at);

/* Whether sums of this tile are result elements as they are, side by side. */
int conv_is_straight(const conv_exec *e, const conv_tile *t);

/* Whether image rows are rows of the accumulator's type as they lie. */
int conv_is_in_place(const conv_exec *e, const conv_tile *t);

#endif
