/*
 * The direct kernel, once per accumulator. Included by body.h with
 *   ACC (f32 ...)  T (element)  MULADD(a, b, c) = a*b + c
 *
 * It is input-stationary: a vector of pixels is loaded once per tap column and multiplied into the row sums of a group
 * of outputs (rows of the window). Output-stationary blocks of 4 x 48 reached half of the multiply-add peak on AVX-512, bound by loads
 * that straddle two cache lines (one thread of a Sapphire Rapids
 * Xeon, gcc 12, 512 columns in cache, peak 108 G/s: K = 7 46 -> 68, K = 15 56 -> 78, K = 31 66 -> 84).
 */
#define JOIN3_(a, b, c) a##_##b##_##c
#define JOIN3(a, b, c) JOIN3_(a, b, c)
#define FN(name) JOIN3(name, ACC, ISA)
#define L ((int64_t)(VECTOR_BYTES / sizeof(T)))
#define VEC FN(vector)

typedef T VEC __attribute__((vector_size(VECTOR_BYTES)));
typedef T FN(loose) __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(T)), may_alias));

/* Vectors side by side: g*v row sums, v pixels and one tap must fit the registers. */
#define SIDE(g) ((g)*4 + 5 <= REGISTERS ? 4 : (g)*3 + 4 <= REGISTERS ? 3 : (g)*2 + 3 <= REGISTERS ? 2 : 1)

/* `vectors` vectors of `outputs` outputs from column x on; `first`: output 0 starts with this row. */
static inline __attribute__((always_inline)) void FN(block)(const conv_direct *call, int64_t x, int outputs, int vectors, int first,
                                                            int64_t cols, const int64_t *offsets) {
	VEC sum[MAX_OUTPUTS][4];
	const T *row = (const T *)call->row + x;
	const T *taps = call->taps;
	if (call->ahead)
#pragma GCC unroll 8
		for (int v = 0; v < vectors; v++) __builtin_prefetch((const T *)call->ahead + x + v * L);
	{
		VEC p[4];
		const T *q = offsets ? row + offsets[0] : row;
#pragma GCC unroll 8
		for (int v = 0; v < vectors; v++) {
			p[v] = *(const FN(loose) *)(q + v * L);
			KEEP(p[v]);
		}
#pragma GCC unroll 8
		for (int o = 0; o < outputs; o++)
#pragma GCC unroll 8
			for (int v = 0; v < vectors; v++) sum[o][v] = p[v] * (taps[o] - (VEC){});
	}
	for (int64_t i = 1; i < cols; i++) {
		VEC p[4];
		const T *q = offsets ? row + offsets[i] : row + i;
		taps += call->tap_step;
#pragma GCC unroll 8
		for (int v = 0; v < vectors; v++) {
			p[v] = *(const FN(loose) *)(q + v * L);
			KEEP(p[v]);
		}
#pragma GCC unroll 8
		for (int o = 0; o < outputs; o++) {
			const VEC w = taps[o] - (VEC){}; /* not + : a tap of -0 keeps its sign */
#pragma GCC unroll 8
			for (int v = 0; v < vectors; v++) sum[o][v] = MULADD(p[v], w, sum[o][v]);
		}
	}
#pragma GCC unroll 8
	for (int o = 0; o < outputs; o++) {
		if (!first || o > 0) {
			const T *from = (const T *)call->from[o] + x;
#pragma GCC unroll 8
			for (int v = 0; v < vectors; v++) sum[o][v] = *(const FN(loose) *)(from + v * L) + sum[o][v];
		}
		T *to = (T *)call->to[o] + x;
		if (o == outputs - 1 && call->stream) {
#pragma GCC unroll 8
			for (int v = 0; v < vectors; v++) STREAM(to + v * L, sum[o][v]);
		} else {
#pragma GCC unroll 8
			for (int v = 0; v < vectors; v++) *(FN(loose) *)(to + v * L) = sum[o][v];
		}
	}
}

static inline __attribute__((always_inline)) void FN(columns)(const conv_direct *call, int outputs, int first, int64_t cols,
                                                              const int64_t *offsets) {
	int64_t x = 0;
	for (; x + SIDE(outputs) * L <= call->width; x += SIDE(outputs) * L)
		FN(block)(call, x, outputs, SIDE(outputs), first, cols, offsets);
	for (; x < call->width; x += L) FN(block)(call, x, outputs, 1, first, cols, offsets);
}

#define GROUP(n)                                                                                                                \
	static void FN(group##n)(const conv_direct *call) {                                                                         \
		if (call->offsets) {                                                                                                    \
			if (call->first) FN(columns)(call, n, 1, call->cols, call->offsets);                                                \
			else FN(columns)(call, n, 0, call->cols, call->offsets);                                                            \
		} else if (call->cols == 3) {                                                                                           \
			if (call->first) FN(columns)(call, n, 1, 3, NULL);                                                                  \
			else FN(columns)(call, n, 0, 3, NULL);                                                                              \
		} else {                                                                                                                \
			if (call->first) FN(columns)(call, n, 1, call->cols, NULL);                                                         \
			else FN(columns)(call, n, 0, call->cols, NULL);                                                                     \
		}                                                                                                                       \
	}
GROUP(1)
GROUP(2)
GROUP(3)
GROUP(4)
GROUP(5)
GROUP(6)
#if WIDE_GROUPS
GROUP(7)
GROUP(8)
#endif
#undef GROUP

void FN(direct)(const conv_direct *call) {
	static void (*const groups[])(const conv_direct *) = {
		FN(group1), FN(group2), FN(group3), FN(group4), FN(group5), FN(group6),
#if WIDE_GROUPS
		FN(group7), FN(group8),
#endif
	};
	groups[call->outputs - 1](call);
}

#undef SIDE
#undef VEC
#undef L
#undef FN
#undef JOIN3
#undef JOIN3_
