/*
 * Sums along one axis, once per accumulator: taps along a row of pixels, and taps down a stack of lines. Included by body.h with
 *   ACC (f32 ...)  T (element)  MULADD(a, b, c) = a*b + c  NARROW(to, v, dtype): stores sums as `dtype`
 *
 * A line of row sums is stored once and loaded by COLUMN_OUTPUTS outputs at a time, so that the column takes one load for several
 * multiply-adds. The row loads a vector per multiply-add, all but the first across two lines of the cache where a vector is a whole line
 * (AVX-512); there slide.h is used, and for 16-bit lanes, which nothing slides, neighbours are shuffled out of vectors that are loaded once:
 * K = 3, 5, 9 4.1, 6.1, 10.6 instead of 5.6, 8.1, 12.9 cycles for 32 sums (Zen 5, in cache).
 */
#define JOIN3_(a, b, c) a##_##b##_##c
#define JOIN3(a, b, c) JOIN3_(a, b, c)
#define FN(name) JOIN3(name, ACC, ISA)
#define L ((int64_t)(VECTOR_BYTES / sizeof(T)))
#define VEC FN(line)
#define LOOSE FN(loose_line)

typedef T VEC __attribute__((vector_size(VECTOR_BYTES)));
typedef T LOOSE __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(T)), may_alias));

#define LOAD_LINE(p) (*(const LOOSE *)(p))
#define STORE_LINE(p, v) (*(LOOSE *)(p) = (v))
#define BROADCAST(x) ((x) - (VEC){}) /* not + : a tap of -0 keeps its sign */

#ifdef SLIDE
#include "slide.h"
#endif

static inline __attribute__((always_inline)) void FN(row_block)(const conv_row_call *call, int64_t x, int vectors, int64_t cols,
                                                                const int64_t *offsets) {
	VEC sum[8];
	const T *row = (const T *)call->row + x, *taps = call->taps;
	if (call->ahead)
#pragma GCC unroll 8
		for (int v = 0; v < vectors; v++) __builtin_prefetch((const T *)call->ahead + x + v * L);
	{
		const T *q = offsets ? row + offsets[0] : row;
		const VEC w = BROADCAST(taps[0]);
#pragma GCC unroll 8
		for (int v = 0; v < vectors; v++) sum[v] = LOAD_LINE(q + v * L) * w;
	}
	for (int64_t i = 1; i < cols; i++) {
		const T *q = offsets ? row + offsets[i] : row + i;
		const VEC w = BROADCAST(taps[i]);
#pragma GCC unroll 8
		for (int v = 0; v < vectors; v++) sum[v] = MULADD(LOAD_LINE(q + v * L), w, sum[v]);
	}
#pragma GCC unroll 8
	for (int v = 0; v < vectors; v++) STORE_LINE((T *)call->to + x + v * L, sum[v]);
}

#if VECTOR_BYTES == 64 && !defined SLIDE
typedef __typeof__((VEC){} < (VEC){}) FN(order);

/* The same for eight vectors of neighbours, each loaded once for as many taps as it has lanes. */
static inline __attribute__((always_inline)) void FN(row_shuffled)(const conv_row_call *call, int64_t x) {
	enum { LANES = VECTOR_BYTES / sizeof(T) };
	VEC sum[8], p[9];
	FN(order) first;
	const T *taps = call->taps;
	for (int i = 0; i < LANES; i++) first[i] = i;
	if (call->ahead)
#pragma GCC unroll 8
		for (int v = 0; v < 8; v++) __builtin_prefetch((const T *)call->ahead + x + v * L);
	const VEC w0 = BROADCAST(taps[0]);
#pragma GCC unroll 8
	for (int v = 0; v < 8; v++) sum[v] = LOAD_LINE((const T *)call->row + x + v * L) * w0;
	for (int64_t i = 0; i < call->cols; i += L) {
		const T *row = (const T *)call->row + x + i;
		const int64_t count = call->cols - i < L ? call->cols - i : L;
#pragma GCC unroll 8
		for (int v = 0; v < 8; v++) p[v] = LOAD_LINE(row + v * L);
		if (x + i + 9 * L < call->width + call->cols) p[8] = LOAD_LINE(row + 8 * L);
		else { /* the row may end with the last pixel that is needed */
			T rest[LANES] = {0};
			memcpy(rest, row + 8 * L, (size_t)(count - 1) * sizeof(T));
			p[8] = LOAD_LINE(rest);
		}
		for (int64_t k = i == 0; k < count; k++) {
			const FN(order) order = first + (__typeof__(first[0]))k;
			const VEC w = BROADCAST(taps[i + k]);
#pragma GCC unroll 8
			for (int v = 0; v < 8; v++) sum[v] = MULADD(__builtin_shuffle(p[v], p[v + 1], order), w, sum[v]);
		}
	}
#pragma GCC unroll 8
	for (int v = 0; v < 8; v++) STORE_LINE((T *)call->to + x + v * L, sum[v]);
}
#endif

/* A block is a chain of dependent multiply-adds per vector: what is left after the blocks of eight goes in fours and twos first. */
static void FN(row_sums)(const conv_row_call *call) {
	int64_t x = 0;
	if (call->offsets) {
		for (; x + 8 * L <= call->width; x += 8 * L) FN(row_block)(call, x, 8, call->cols, call->offsets);
		for (; x + 2 * L <= call->width; x += 2 * L) FN(row_block)(call, x, 2, call->cols, call->offsets);
		for (; x < call->width; x += L) FN(row_block)(call, x, 1, call->cols, call->offsets);
		return;
	}
#ifdef SLIDE
	if (call->cols > 1) x = FN(slide_row)(call, -1, sizeof(T), 1);
#elif VECTOR_BYTES == 64
	if (call->cols > 2)
		for (; x + 8 * L <= call->width; x += 8 * L) FN(row_shuffled)(call, x);
#endif
	for (; x + 8 * L <= call->width; x += 8 * L) FN(row_block)(call, x, 8, call->cols, NULL);
	for (; x + 4 * L <= call->width; x += 4 * L) FN(row_block)(call, x, 4, call->cols, NULL);
	for (; x + 2 * L <= call->width; x += 2 * L) FN(row_block)(call, x, 2, call->cols, NULL);
	for (; x < call->width; x += L) FN(row_block)(call, x, 1, call->cols, NULL);
}

/* Output o of `outputs` sums lines o .. o + taps - 1; at least as many taps as outputs. `dtype`: what they are narrowed to, or -1. */
static inline __attribute__((always_inline)) void FN(column_block)(const conv_column_call *call, int64_t x, const int outputs, const int vectors,
                                                                  const int dtype, const int64_t element) {
	VEC sum[COLUMN_OUTPUTS][8], p[8];
	const T *taps = call->taps;
#pragma GCC unroll 8
	for (int k = 0; k < outputs; k++) {
		const T *line = (const T *)call->lines[k] + x;
#pragma GCC unroll 8
		for (int v = 0; v < vectors; v++) p[v] = LOAD_LINE(line + v * L);
#pragma GCC unroll 8
		for (int o = 0; o <= k; o++) {
			const VEC w = BROADCAST(taps[k - o]);
#pragma GCC unroll 8
			for (int v = 0; v < vectors; v++) sum[o][v] = o == k ? p[v] * w : MULADD(p[v], w, sum[o][v]);
		}
	}
	for (int64_t k = outputs; k < call->count; k++) {
		const T *line = (const T *)call->lines[k] + x;
#pragma GCC unroll 8
		for (int v = 0; v < vectors; v++) p[v] = LOAD_LINE(line + v * L);
#pragma GCC unroll 8
		for (int o = 0; o < outputs; o++) {
			const VEC w = BROADCAST(taps[k - o]);
#pragma GCC unroll 8
			for (int v = 0; v < vectors; v++) sum[o][v] = MULADD(p[v], w, sum[o][v]);
		}
	}
#pragma GCC unroll 8
	for (int k = 0; k < outputs - 1; k++) {
		const T *line = (const T *)call->lines[call->count + k] + x;
#pragma GCC unroll 8
		for (int v = 0; v < vectors; v++) p[v] = LOAD_LINE(line + v * L);
#pragma GCC unroll 8
		for (int o = k + 1; o < outputs; o++) {
			const VEC w = BROADCAST(taps[call->count + k - o]);
#pragma GCC unroll 8
			for (int v = 0; v < vectors; v++) sum[o][v] = MULADD(p[v], w, sum[o][v]);
		}
	}
#pragma GCC unroll 8
	for (int o = 0; o < outputs; o++) {
		if (call->add) {
			const T *before = (const T *)call->add[o] + x;
#pragma GCC unroll 8
			for (int v = 0; v < vectors; v++) sum[o][v] = LOAD_LINE(before + v * L) + sum[o][v];
		}
		char *to = (char *)call->to[o] + x * element;
		if (dtype < 0 && call->stream) {
#pragma GCC unroll 8
			for (int v = 0; v < vectors; v++) STREAM((T *)to + v * L, sum[o][v]);
		} else if (dtype < 0) {
#pragma GCC unroll 8
			for (int v = 0; v < vectors; v++) STORE_LINE((T *)to + v * L, sum[o][v]);
		} else {
#pragma GCC unroll 8
			for (int v = 0; v < vectors; v++) NARROW(to + v * L * element, sum[o][v], dtype);
		}
	}
}

#define COLUMNS(outputs, vectors)                                                                                               \
	{                                                                                                                           \
		int64_t x = 0;                                                                                                          \
		for (; x + (vectors)*L <= call->width; x += (vectors)*L) FN(column_block)(call, x, outputs, vectors, dtype, element);   \
		for (; x < call->width; x += L) FN(column_block)(call, x, outputs, 1, dtype, element);                                  \
	}

static inline __attribute__((always_inline)) void FN(column_passes)(const conv_column_call *call, const int dtype, const int64_t element) {
	if (call->outputs == 4) COLUMNS(4, REGISTERS == 32 ? 4 : 2)
	else if (call->outputs == 2) COLUMNS(2, 4)
	else COLUMNS(1, 8)
}

static void FN(column_sums)(const conv_column_call *call) { FN(column_passes)(call, -1, sizeof(T)); }

#undef COLUMNS
#undef BROADCAST
#undef STORE_LINE
#undef LOAD_LINE
#undef LOOSE
#undef VEC
#undef L
#undef FN
#undef JOIN3
#undef JOIN3_
