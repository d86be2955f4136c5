/*
 * The strip kernel, once per accumulator. Included by body.h with
 *   ACC (f32 ...)  T (element)  MULADD(a, b, c) = a*b + c
 *
 * Rows come in order and each is walked from left to right, a block of columns at a time, so that the memory sees long runs. A row's
 * pixels are loaded once per group of window rows and multiplied into as many row sums as the registers hold; the totals of the open
 * outputs move on by one window row each time:
 *
 *     open[j + 1] = open[j] + row sum j     (j = 0 starts an output, the last j finishes one, which goes to `to`)
 *
 * The row loop of up to CONV_STEADY window rows is one function each: with a call per group of rows instead, K = 5 reached 0.61 of the
 * multiply-add peak and 0.86 like this (Zen 5, gcc 12, one thread, in cache; K = 9 0.80 and 0.94).
 */
#ifndef CONV_STEADY
#define CONV_STEADY 15 /* or 3, where compiling must be short: under sanitizers */
#endif
#define JOIN3_(a, b, c) a##_##b##_##c
#define JOIN3(a, b, c) JOIN3_(a, b, c)
#define FN(name) JOIN3(name, ACC, ISA)
#define L ((int64_t)(VECTOR_BYTES / sizeof(T)))
#define VEC FN(vector)
#define VECTORS (CONV_BLOCK_BYTES / VECTOR_BYTES) /* of a block */

/*
 * V vectors side by side and row sums of up to G window rows: G*V sums, V pixels and one tap fit the registers. With 32 of them, 7 to 13 window
 * rows are one group too, of fewer vectors, and so load every pixel once: K = 7, 9, 11, 13 took 0.95, 0.91, 0.98, 0.95
 * of the time (in cache, 2048 columns, float32, a Zen 5).
 */
#define V (REGISTERS == 32 ? 4 : 2)
#define G 6
#define MOST_GROUP (REGISTERS == 32 ? 13 : G)
#define WIDTH(n) ((n) <= G || (n) > MOST_GROUP ? V : (n) <= 9 ? 3 : 2)
#define GROUPS(n) ((n) <= MOST_GROUP ? 1 : ((n) + G - 1) / G)

/*
 * Adds `wide` vectors of one row to the outputs whose window rows begin at `open` and `taps`: `count` of them, the first and the last of all `n`?
 * Vector v of output j lies at open[v * n + j].
 */
static inline __attribute__((always_inline)) void FN(add)(const T *row, const T *taps, int64_t n, int64_t cols, int64_t gap, VEC *open,
                                                          const int wide, const int count, int first, int last, T *to, int stream) {
	VEC sum[MOST_GROUP][V];
	{
		VEC p[V];
#pragma GCC unroll 8
		for (int v = 0; v < wide; v++) {
			p[v] = *(const FN(loose) *)(row + v * L);
			KEEP(p[v]);
		}
#pragma GCC unroll 16
		for (int j = 0; j < count; j++)
#pragma GCC unroll 8
			for (int v = 0; v < wide; v++) sum[j][v] = p[v] * (taps[j] - (VEC){});
	}
	for (int64_t i = 1; i < cols; i++) {
		const T *q = row + i * gap;
		VEC p[V];
		taps += n;
#pragma GCC unroll 8
		for (int v = 0; v < wide; v++) {
			p[v] = *(const FN(loose) *)(q + v * L);
			KEEP(p[v]);
		}
#pragma GCC unroll 16
		for (int j = 0; j < count; j++) {
			const VEC w = taps[j] - (VEC){}; /* not + : a tap of -0 keeps its sign */
#pragma GCC unroll 8
			for (int v = 0; v < wide; v++) sum[j][v] = MULADD(p[v], w, sum[j][v]);
		}
	}
#pragma GCC unroll 16
	for (int j = count - 1; j >= 0; j--) {
		if (j > 0 || !first)
#pragma GCC unroll 8
			for (int v = 0; v < wide; v++) sum[j][v] = open[v * n + j] + sum[j][v];
		if (j < count - 1 || !last) {
#pragma GCC unroll 8
			for (int v = 0; v < wide; v++) open[v * n + j + 1] = sum[j][v];
		} else if (stream) {
#pragma GCC unroll 8
			for (int v = 0; v < wide; v++) STREAM(to + v * L, sum[j][v]);
		} else {
#pragma GCC unroll 8
			for (int v = 0; v < wide; v++) *(FN(loose) *)(to + v * L) = sum[j][v];
		}
	}
}

/* The same for any group, where rows are few: at the top and at the bottom, and under kernels of many rows. */
typedef void (*FN(part_fn))(const T *row, const T *taps, int64_t n, int64_t cols, int64_t gap, VEC *open, int first, int last, T *to,
                            int stream);

#define PART(count)                                                                                                                        \
	static __attribute__((noinline)) void FN(part##count)(const T *row, const T *taps, int64_t n, int64_t cols, int64_t gap, VEC *open, \
	                                                      int first, int last, T *to, int stream) {                                   \
		FN(add)(row, taps, n, cols, gap, open, V, count, first, last, to, stream);                                                \
	}
PART(1)
PART(2)
PART(3)
PART(4)
PART(5)
PART(6)
#undef PART

static inline __attribute__((always_inline)) const T *FN(row_at)(const conv_strip *s, int64_t p) {
	return (const T *)((const char *)s->rows[p] + s->shift);
}

/*
 * The row that comes next, at the same columns: rows are pages apart, where the hardware does not prefetch (K = 3, 5, 9 of 4096 x 4096
 * float32, 1024 columns, on 2 threads of a Zen 5: 4.3, 6.2, 13.3 ms without, 2.2, 3.3, 8.6 with it; two or four rows ahead the same).
 */
static inline __attribute__((always_inline)) const T *FN(row_ahead)(const conv_strip *s, int64_t p) {
	return s->ahead && p + 1 < s->outputs + s->window_rows - 1 ? FN(row_at)(s, p + 1) : FN(row_at)(s, p);
}

static inline __attribute__((always_inline)) T *FN(target)(const conv_strip *s, int64_t p) {
	const int64_t n = s->window_rows, first = s->from < n - 1 ? n - 1 : s->from;
	return p < first ? NULL : (T *)((char *)s->to + (p - first) * s->to_step);
}

static inline __attribute__((always_inline)) T *FN(below)(T *to, int64_t step) { return (T *)((char *)to + step); }

/*
 * The pixels of the next row, and the lines of the result below, which stores that are not streamed read first (without those K = 5, 7, 9 took 1.25,
 * 1.04, 1.01 of the time, a Zen 5). Addresses beyond the result do no harm.
 */
static inline __attribute__((always_inline)) void FN(fetch)(const T *ahead, const T *below, const int wide) {
#pragma GCC unroll 8
	for (int v = 0; v < wide * VECTOR_BYTES; v += 64) __builtin_prefetch((const char *)ahead + v);
	if (below)
#pragma GCC unroll 8
		for (int v = 0; v < wide * VECTOR_BYTES; v += 64) __builtin_prefetch((const char *)below + v, 1);
}

/* Rows from .. end-1 of the strip, each through the groups of its window rows that have an output. */
static void FN(some_rows)(const conv_strip *s, int64_t from, int64_t end) {
	static const FN(part_fn) parts[] = {NULL, FN(part1), FN(part2), FN(part3), FN(part4), FN(part5), FN(part6)};
	const int64_t n = s->window_rows;
	for (int64_t p = from; p < end; p++) {
		const T *row = FN(row_at)(s, p), *ahead = FN(row_ahead)(s, p);
		T *to = FN(target)(s, p);
		const int64_t j0 = p >= s->outputs ? p - s->outputs + 1 : 0, j1 = p < n ? p + 1 : n, groups = (j1 - j0 + G - 1) / G;
		for (int64_t k = 0; k < s->blocks * VECTORS / V; k++) {
			VEC *open = (VEC *)s->open + k * V * n;
			FN(fetch)(ahead + k * V * L, to && s->claim ? FN(below)(to, s->to_step) + k * V * L : NULL, V);
			for (int64_t g = groups - 1; g >= 0; g--) {
				const int64_t a = j0 + g * (j1 - j0) / groups, b = j0 + (g + 1) * (j1 - j0) / groups;
				parts[b - a](row + k * V * L, (const T *)s->taps + a, n, s->cols, s->gap, open + a, a == 0, b == n,
				             to ? to + k * V * L : NULL, s->stream);
			}
		}
	}
}

/* One row, from vector `x` on, `wide` vectors at a time; returns the first that is left. */
static inline __attribute__((always_inline)) int64_t FN(sweep)(const conv_strip *s, int64_t p, int64_t x, const int wide, const int n,
                                                               int64_t cols, int64_t gap) {
	/* read before the stores, after which gcc would read them anew for every block (K = 3, 4, 5 in cache: 1.13, 1.08, 1.07 of the time) */
	const int groups = GROUPS(n), stream = s->stream, claim = s->claim;
	const int64_t vectors = s->blocks * VECTORS, step = s->to_step;
	const T *taps = s->taps, *row = FN(row_at)(s, p) + x * L, *ahead = FN(row_ahead)(s, p) + x * L;
	T *to = FN(target)(s, p) + x * L;
	VEC *open = (VEC *)s->open + x * n;
#pragma GCC unroll 1
	for (; x + wide <= vectors; x += wide, row += wide * L, ahead += wide * L, to += wide * L, open += wide * n) {
		FN(fetch)(ahead, claim ? FN(below)(to, step) : NULL, wide);
#pragma GCC unroll 4
		for (int g = groups - 1; g >= 0; g--) {
			const int a = g * n / groups, b = (g + 1) * n / groups;
			FN(add)(row, taps + a, n, cols, gap, open + a, wide, b - a, a == 0, b == n, to, stream);
		}
	}
	return x;
}

/* Rows that all `n` window rows use, n known to the compiler. */
static inline __attribute__((always_inline)) void FN(steady)(const conv_strip *s, int64_t from, int64_t end, const int n, int64_t cols,
                                                             int64_t gap) {
	for (int64_t p = from; p < end; p++) {
		const int64_t x = FN(sweep)(s, p, 0, WIDTH(n), n, cols, gap);
		if (VECTORS % WIDTH(n) != 0) FN(sweep)(s, p, x, 1, n, cols, gap);
	}
}

#define STEADY_ROWS(n)                                                                                    \
	static __attribute__((noinline)) void FN(steady##n)(const conv_strip *s, int64_t from, int64_t end) { \
		if (n == s->cols && n == 3 && s->gap == 1) FN(steady)(s, from, end, n, n, 1);                     \
		else FN(steady)(s, from, end, n, s->cols, s->gap);                                                \
	}
STEADY_ROWS(1)
STEADY_ROWS(2)
STEADY_ROWS(3)
#if CONV_STEADY > 3
STEADY_ROWS(4)
STEADY_ROWS(5)
STEADY_ROWS(6)
STEADY_ROWS(7)
STEADY_ROWS(8)
STEADY_ROWS(9)
STEADY_ROWS(10)
STEADY_ROWS(11)
STEADY_ROWS(12)
STEADY_ROWS(13)
STEADY_ROWS(14)
STEADY_ROWS(15)
#endif
#undef STEADY_ROWS

void FN(strip)(const conv_strip *s) {
	static void (*const steady[])(const conv_strip *, int64_t, int64_t) = {
		FN(steady1),  FN(steady2),  FN(steady3),
#if CONV_STEADY > 3
		FN(steady4),  FN(steady5),  FN(steady6),  FN(steady7),  FN(steady8),  FN(steady9),
		FN(steady10), FN(steady11), FN(steady12), FN(steady13), FN(steady14), FN(steady15),
#endif
	};
	const int64_t n = s->window_rows;
	/* rows n-1 .. outputs-1 use all window rows */
	int64_t first = n > CONV_STEADY ? s->end : n - 1 > s->from ? n - 1 : s->from;
	if (first > s->end) first = s->end;
	int64_t last = s->outputs < s->end ? s->outputs : s->end;
	if (last < first) last = first;
	FN(some_rows)(s, s->from, first);
	if (first < last) steady[n - 1](s, first, last);
	FN(some_rows)(s, last, s->end);
}

#undef GROUPS
#undef WIDTH
#undef MOST_GROUP
#undef VECTORS
#undef G
#undef V
#undef VEC
#undef L
#undef FN
#undef JOIN3
#undef JOIN3_
