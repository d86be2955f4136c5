/*
 * The strip kernel, once per accumulator. Included by body.h with
 *   ACC (f32 ...)  T (element)  MULADD(a, b, c) = a*b + c
 *
 * A strip is CONV_STRIP_BYTES of columns wide and is walked from top to bottom. Each input row is loaded once per group of window rows
 * and multiplied into as many row sums as the registers hold; the totals of the open outputs move on by one window row each time:
 *
 *     open[j + 1] = open[j] + row sum j     (j = 0 starts an output, the last j finishes one, which goes to `to`)
 *
 * so that an open total never leaves the first-level cache and a finished one is written once. The row loop of up to CONV_STEADY window rows is
 * one function each: with a call per group of rows instead it reached 0.61 of the multiply-add peak for K = 5, like this 0.86
 * (Zen 5, gcc 12, one thread, in cache; K = 9 0.80 and 0.94).
 */
#ifndef CONV_STEADY
#define CONV_STEADY 15 /* or 3, where compiling must be short: under sanitizers */
#endif
#define JOIN3_(a, b, c) a##_##b##_##c
#define JOIN3(a, b, c) JOIN3_(a, b, c)
#define FN(name) JOIN3(name, ACC, ISA)
#define L ((int64_t)(VECTOR_BYTES / sizeof(T)))
#define VEC FN(vector)

/* Vectors side by side and row sums of one group: G*V sums, V pixels and one tap fit the registers. B such blocks make the strip. */
#define V (REGISTERS == 32 ? 4 : 2)
#define G 6
#define B (CONV_STRIP_BYTES / (V * VECTOR_BYTES))

typedef VEC FN(block_of)[V];

/* Adds one input row to the outputs whose window rows begin at `open` and `taps`: `count` of them, the first and the last of all? */
static inline __attribute__((always_inline)) void FN(add)(const T *row, const T *taps, int64_t tap_step, int64_t cols, int64_t gap,
                                                          FN(block_of) * open, const int count, int first, int last, T *to, int stream) {
	VEC sum[G][V];
	{
		VEC p[V];
#pragma GCC unroll 8
		for (int v = 0; v < V; v++) {
			p[v] = *(const FN(loose) *)(row + v * L);
			KEEP(p[v]);
		}
#pragma GCC unroll 8
		for (int j = 0; j < count; j++)
#pragma GCC unroll 8
			for (int v = 0; v < V; v++) sum[j][v] = p[v] * (taps[j] - (VEC){});
	}
	for (int64_t i = 1; i < cols; i++) {
		const T *q = row + i * gap;
		VEC p[V];
		taps += tap_step;
#pragma GCC unroll 8
		for (int v = 0; v < V; v++) {
			p[v] = *(const FN(loose) *)(q + v * L);
			KEEP(p[v]);
		}
#pragma GCC unroll 8
		for (int j = 0; j < count; j++) {
			const VEC w = taps[j] - (VEC){}; /* not + : a tap of -0 keeps its sign */
#pragma GCC unroll 8
			for (int v = 0; v < V; v++) sum[j][v] = MULADD(p[v], w, sum[j][v]);
		}
	}
#pragma GCC unroll 8
	for (int j = count - 1; j >= 0; j--) {
		if (j > 0 || !first)
#pragma GCC unroll 8
			for (int v = 0; v < V; v++) sum[j][v] = open[j][v] + sum[j][v];
		if (j < count - 1 || !last) {
#pragma GCC unroll 8
			for (int v = 0; v < V; v++) open[j + 1][v] = sum[j][v];
		} else if (stream) {
#pragma GCC unroll 8
			for (int v = 0; v < V; v++) STREAM(to + v * L, sum[j][v]);
		} else {
#pragma GCC unroll 8
			for (int v = 0; v < V; v++) *(FN(loose) *)(to + v * L) = sum[j][v];
		}
	}
}

/* The same for any group, where rows are few: at the top and at the bottom, and under kernels of many rows. */
typedef void (*FN(part_fn))(const T *row, const T *taps, int64_t tap_step, int64_t cols, int64_t gap, FN(block_of) * open, int first,
                            int last, T *to, int stream);

#define PART(n)                                                                                                                  \
	static __attribute__((noinline)) void FN(part##n)(const T *row, const T *taps, int64_t tap_step, int64_t cols, int64_t gap,   \
	                                                  FN(block_of) * open, int first, int last, T *to, int stream) {             \
		FN(add)(row, taps, tap_step, cols, gap, open, n, first, last, to, stream);                                               \
	}
PART(1)
PART(2)
PART(3)
PART(4)
PART(5)
PART(6)
#undef PART

/*
 * Into the second-level cache: the same row of the next strip. Rows are pages apart, where the hardware does not prefetch; eight rows of
 * this strip ahead into the first level did not hide the memory (4096 x 4096 float32, one thread of a Zen 5 with busy neighbours, K = 7:
 * 40 ms without, 21 eight rows ahead, 12 one strip ahead; K = 15 79, 67, 43).
 */
static inline __attribute__((always_inline)) void FN(fetch)(const conv_strip *s, const T *row) {
	if (!s->ahead) return;
#pragma GCC unroll 8
	for (int k = 1; k <= CONV_STRIP_BYTES / 64; k++) __builtin_prefetch((const char *)row + CONV_STRIP_BYTES + k * 64 - 32, 0, 2);
}

/* Rows from .. end-1 of the strip, each through the groups of its window rows that have an output. */
static void FN(some_rows)(const conv_strip *s, int64_t from, int64_t end) {
	static const FN(part_fn) parts[] = {NULL, FN(part1), FN(part2), FN(part3), FN(part4), FN(part5), FN(part6)};
	FN(block_of) *open = s->open;
	const int64_t n = s->window_rows;
	for (int64_t p = from; p < end; p++) {
		const T *row = (const T *)((const char *)s->rows[p] + s->shift);
		T *to = (T *)((char *)s->to + (p - n + 1) * s->to_step);
		const int64_t j0 = p >= s->outputs ? p - s->outputs + 1 : 0, j1 = p < n ? p + 1 : n, groups = (j1 - j0 + G - 1) / G;
		FN(fetch)(s, row);
		for (int64_t g = groups - 1; g >= 0; g--) {
			const int64_t a = j0 + g * (j1 - j0) / groups, b = j0 + (g + 1) * (j1 - j0) / groups;
			for (int k = 0; k < B; k++)
				parts[b - a](row + k * V * L, (const T *)s->taps + a, n, s->cols, s->gap, open + k * n + a, a == 0, b == n, to + k * V * L,
				             s->stream);
		}
	}
}

static inline __attribute__((always_inline)) void FN(copy_open)(FN(block_of) * to, FN(block_of) * from, const int count) {
#pragma GCC unroll 16
	for (int k = 0; k < count; k++)
#pragma GCC unroll 4
		for (int v = 0; v < V; v++) to[k][v] = from[k][v];
}

/* Rows that all `n` window rows use, n known to the compiler. */
static inline __attribute__((always_inline)) void FN(steady)(const conv_strip *s, FN(block_of) * open, const int n, int64_t cols, int64_t gap) {
	const int groups = (n + G - 1) / G;
	char *to = s->to;
	for (int64_t p = n - 1; p < s->outputs; p++) {
		const T *row = (const T *)((const char *)s->rows[p] + s->shift);
		FN(fetch)(s, row);
#pragma GCC unroll 1
		for (int k = 0; k < B; k++)
#pragma GCC unroll 4
			for (int g = groups - 1; g >= 0; g--) {
				const int a = g * n / groups, b = (g + 1) * n / groups;
				FN(add)(row + k * V * L, (const T *)s->taps + a, n, cols, gap, open + k * n + a, b - a, a == 0, b == n, (T *)to + k * V * L,
				        s->stream);
			}
		to += s->to_step;
	}
}

/* The open totals lie in a local array meanwhile: the compiler keeps as many of them in registers as it can. */
#define STEADY_ROWS(n)                                                                    \
	static __attribute__((noinline)) void FN(steady##n)(const conv_strip *s) {            \
		FN(block_of) open[B * n];                                                         \
		FN(copy_open)(open, s->open, B * n);                                              \
		if (n == s->cols && n == 3 && s->gap == 1) FN(steady)(s, open, n, n, 1);          \
		else FN(steady)(s, open, n, s->cols, s->gap);                                     \
		FN(copy_open)(s->open, open, B * n);                                              \
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
	static void (*const steady[])(const conv_strip *) = {
		FN(steady1),  FN(steady2),  FN(steady3),
#if CONV_STEADY > 3
		FN(steady4),  FN(steady5),  FN(steady6),  FN(steady7),  FN(steady8),  FN(steady9),
		FN(steady10), FN(steady11), FN(steady12), FN(steady13), FN(steady14), FN(steady15),
#endif
	};
	const int64_t n = s->window_rows, all = s->outputs + n - 1;
	if (n > CONV_STEADY || s->outputs < n) {
		FN(some_rows)(s, 0, all);
		return;
	}
	FN(some_rows)(s, 0, n - 1);
	steady[n - 1](s);
	FN(some_rows)(s, s->outputs, all);
}

#undef B
#undef G
#undef V
#undef VEC
#undef L
#undef FN
#undef JOIN3
#undef JOIN3_
