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

/*
 * Vectors side by side and row sums of one group: G*V sums, V pixels and one tap fit the registers; B times V vectors make a block. Seven
 * and eight window rows are one group of half as many vectors: two groups would load every pixel twice (K = 7 6.7 -> 5.7 ms,
 * 4096 x 4096 float32, 2 threads of a Zen 5).
 */
#define V (REGISTERS == 32 ? 4 : 2)
#define G 6
#define B (CONV_BLOCK_BYTES / (V * VECTOR_BYTES))
#define HALVED(n) (REGISTERS == 32 && ((n) == 7 || (n) == 8))

typedef VEC FN(block_of)[V];

/* Adds vectors v0 .. v0+wide-1 of one row to the outputs whose window rows begin at `open` and `taps`: `count` of them, the first and the last of all? */
static inline __attribute__((always_inline)) void FN(add)(const T *row, const T *taps, int64_t tap_step, int64_t cols, int64_t gap,
                                                          FN(block_of) * open, const int v0, const int wide, const int count, int first,
                                                          int last, T *to, int stream) {
	VEC sum[8][V];
	row += v0 * L;
	{
		VEC p[V];
#pragma GCC unroll 8
		for (int v = 0; v < wide; v++) {
			p[v] = *(const FN(loose) *)(row + v * L);
			KEEP(p[v]);
		}
#pragma GCC unroll 8
		for (int j = 0; j < count; j++)
#pragma GCC unroll 8
			for (int v = 0; v < wide; v++) sum[j][v] = p[v] * (taps[j] - (VEC){});
	}
	for (int64_t i = 1; i < cols; i++) {
		const T *q = row + i * gap;
		VEC p[V];
		taps += tap_step;
#pragma GCC unroll 8
		for (int v = 0; v < wide; v++) {
			p[v] = *(const FN(loose) *)(q + v * L);
			KEEP(p[v]);
		}
#pragma GCC unroll 8
		for (int j = 0; j < count; j++) {
			const VEC w = taps[j] - (VEC){}; /* not + : a tap of -0 keeps its sign */
#pragma GCC unroll 8
			for (int v = 0; v < wide; v++) sum[j][v] = MULADD(p[v], w, sum[j][v]);
		}
	}
#pragma GCC unroll 8
	for (int j = count - 1; j >= 0; j--) {
		if (j > 0 || !first)
#pragma GCC unroll 8
			for (int v = 0; v < wide; v++) sum[j][v] = open[j][v0 + v] + sum[j][v];
		if (j < count - 1 || !last) {
#pragma GCC unroll 8
			for (int v = 0; v < wide; v++) open[j + 1][v0 + v] = sum[j][v];
		} else if (stream) {
#pragma GCC unroll 8
			for (int v = 0; v < wide; v++) STREAM(to + (v0 + v) * L, sum[j][v]);
		} else {
#pragma GCC unroll 8
			for (int v = 0; v < wide; v++) *(FN(loose) *)(to + (v0 + v) * L) = sum[j][v];
		}
	}
}

/* The same for any group, where rows are few: at the top and at the bottom, and under kernels of many rows. */
typedef void (*FN(part_fn))(const T *row, const T *taps, int64_t tap_step, int64_t cols, int64_t gap, FN(block_of) * open, int first,
                            int last, T *to, int stream);

#define PART(n)                                                                                                                  \
	static __attribute__((noinline)) void FN(part##n)(const T *row, const T *taps, int64_t tap_step, int64_t cols, int64_t gap,   \
	                                                  FN(block_of) * open, int first, int last, T *to, int stream) {             \
		FN(add)(row, taps, tap_step, cols, gap, open, 0, V, n, first, last, to, stream);                                         \
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

static inline __attribute__((always_inline)) void FN(fetch)(const T *at) {
#pragma GCC unroll 8
	for (int v = 0; v < V * VECTOR_BYTES; v += 64) __builtin_prefetch((const char *)at + v);
}

static inline __attribute__((always_inline)) T *FN(target)(const conv_strip *s, int64_t p) {
	const int64_t n = s->window_rows, first = s->from < n - 1 ? n - 1 : s->from;
	return p < first ? NULL : (T *)((char *)s->to + (p - first) * s->to_step);
}

/* Rows from .. end-1 of the strip, each through the groups of its window rows that have an output. */
static void FN(some_rows)(const conv_strip *s, int64_t from, int64_t end) {
	static const FN(part_fn) parts[] = {NULL, FN(part1), FN(part2), FN(part3), FN(part4), FN(part5), FN(part6)};
	const int64_t n = s->window_rows;
	for (int64_t p = from; p < end; p++) {
		const T *row = FN(row_at)(s, p), *ahead = FN(row_ahead)(s, p);
		T *to = FN(target)(s, p);
		const int64_t j0 = p >= s->outputs ? p - s->outputs + 1 : 0, j1 = p < n ? p + 1 : n, groups = (j1 - j0 + G - 1) / G;
		for (int64_t k = 0; k < s->blocks * B; k++) {
			FN(block_of) *open = (FN(block_of) *)s->open + k * n;
			FN(fetch)(ahead + k * V * L);
			for (int64_t g = groups - 1; g >= 0; g--) {
				const int64_t a = j0 + g * (j1 - j0) / groups, b = j0 + (g + 1) * (j1 - j0) / groups;
				parts[b - a](row + k * V * L, (const T *)s->taps + a, n, s->cols, s->gap, open + a, a == 0, b == n,
				             to ? to + k * V * L : NULL, s->stream);
			}
		}
	}
}

/* Rows that all `n` window rows use, n known to the compiler. */
static inline __attribute__((always_inline)) void FN(steady)(const conv_strip *s, int64_t from, int64_t end, const int n, int64_t cols,
                                                             int64_t gap) {
	const int groups = (n + G - 1) / G;
	const T *taps = s->taps;
	for (int64_t p = from; p < end; p++) {
		const T *row = FN(row_at)(s, p), *ahead = FN(row_ahead)(s, p);
		T *to = FN(target)(s, p);
		FN(block_of) *open = s->open;
#pragma GCC unroll 1
		for (int64_t k = s->blocks * B; k > 0; k--, row += V * L, ahead += V * L, to += V * L, open += n) {
			FN(fetch)(ahead);
			if (HALVED(n)) {
				FN(add)(row, taps, n, cols, gap, open, 0, V / 2, n, 1, 1, to, s->stream);
				FN(add)(row, taps, n, cols, gap, open, V / 2, V / 2, n, 1, 1, to, s->stream);
			} else
#pragma GCC unroll 4
				for (int g = groups - 1; g >= 0; g--) {
					const int a = g * n / groups, b = (g + 1) * n / groups;
					FN(add)(row, taps + a, n, cols, gap, open + a, 0, V, b - a, a == 0, b == n, to, s->stream);
				}
		}
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

#undef HALVED
#undef B
#undef G
#undef V
#undef VEC
#undef L
#undef FN
#undef JOIN3
#undef JOIN3_
