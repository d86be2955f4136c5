/*
 * Sums along a row for vectors of a whole cache line, once per accumulator. Included by separable.h, whose names it uses, with
 *   SLIDE(low, high, k)      the vector that begins k elements into two that lie side by side; k is a constant
 *   PIXELS(vector, p, from)  a vector of pixels of dtype `from`, in the accumulator's type; `from` is a constant, or -1: of that type already
 *   FIRST_PIXELS(vector, p, n, from)  the first n < L of them, and zeros; nothing behind them is read
 *   SOURCES(X)               X(name, dtype, bytes of an element) for every such dtype
 *
 * All but one in 16 loads of neighbours straddle two lines and take as long as two. Pixels are loaded once here, and neighbours slid out of
 * them by valignd, 8 of which and 8 multiply-adds take 5.5 cycles (a probe), as if they shared three ports: 16 float32 sums of K = 5, 9, 31 take 4.7, 7.1,
 * 21 cycles of a Zen 5, in the second-level cache; slid by a permutation with an index (vpermt2ps) 6.0, 9.7, 30.
 */
#define EVERY _Pragma("GCC unroll 8") for (int v = 0; v < vectors; v++)

/*
 * Tap k of up to L. Pixels that need no conversion are loaded for every fourth tap, since load ports are idle otherwise (K = 9, 31: 7.7, 23.7
 * cycles without).
 */
#define TAP(k)                                                                                  \
	if ((k) < LANES && (k) < count) {                                                           \
		const VEC w = BROADCAST(taps[i + (k)]);                                                 \
		if (ready && (k) % 4 == 3)                                                              \
			EVERY sum[v] = MULADD(*(const LOOSE *)((const T *)row + (k) + v * L), w, sum[v]);   \
		else                                                                                    \
			EVERY sum[v] = MULADD(SLIDE(p[v], p[v + 1], (k) % LANES), w, sum[v]);               \
	}

static inline __attribute__((always_inline)) void FN(slide_block)(const conv_row_call *call, int64_t x, const int vectors,
                                                                  const int from, const int64_t element, const int ready) {
	enum { LANES = VECTOR_BYTES / sizeof(T) };
	VEC sum[8], p[9];
	const T *taps = call->taps;
	if (call->ahead)
#pragma GCC unroll 8
		for (int64_t b = 0; b < vectors * L * element; b += 64) __builtin_prefetch((const char *)call->ahead + x * element + b);
	(void)from; /* there may be one type only */
	int64_t i = 0;
	do {
		const char *row = (const char *)call->row + (x + i) * element;
		const int64_t count = call->cols - i < L ? call->cols - i : L;
		EVERY {
			p[v] = PIXELS(VEC, row + v * L * element, from);
			KEEP(p[v]);
		}
		/* the row may end with the last pixel that is needed */
		p[vectors] = FIRST_PIXELS(VEC, row + vectors * L * element, count - 1, from);
		KEEP(p[vectors]);
		const VEC w = BROADCAST(taps[i]);
		if (i == 0) EVERY sum[v] = p[v] * w;
		else EVERY sum[v] = MULADD(p[v], w, sum[v]);
		TAP(1) TAP(2) TAP(3) TAP(4) TAP(5) TAP(6) TAP(7) TAP(8) TAP(9) TAP(10) TAP(11) TAP(12) TAP(13) TAP(14) TAP(15)
		i += L;
	} while (i < call->cols);
	EVERY *(LOOSE *)((T *)call->to + x + v * L) = sum[v];
}

/*
 * Blocks of eight vectors, the last of which may overlap the one before: single vectors are chains of dependent multiply-adds (six of them took
 * an eighth of the time of 4064 columns, K = 5). Returns how many columns are done: all, or none of fewer than a block.
 */
static inline __attribute__((always_inline)) int64_t FN(slide_row)(const conv_row_call *call, const int from, const int64_t element,
                                                                  const int ready) {
	if (call->width < 8 * L) return 0;
	for (int64_t x = 0; x < call->width; x += 8 * L) {
		const int64_t last = call->width - 8 * L;
		FN(slide_block)(call, x < last ? x : last, 8, from, element, ready);
	}
	return call->width;
}

/* row_sums from pixels of another dtype */
#define ROW_SUMS_FROM(name, from, element)                                                                    \
	static void JOIN3(row_sums_##name, ACC, ISA)(const conv_row_call *call) {                                                  \
		for (int64_t x = FN(slide_row)(call, from, element, 0); x < call->width; x += L)                          \
			FN(slide_block)(call, x, 1, from, element, 0);                                                        \
	}
SOURCES(ROW_SUMS_FROM)

#undef ROW_SUMS_FROM
#undef TAP
#undef EVERY
