/*
 * Running sums, once per accumulator. Included by body.h with ACC, T and MULADD as direct.h.
 *
 * Along a row by doubling: a sum of 2n pixels is the sum of n at x and of n at x + n; an odd count takes one pixel more. Nothing is
 * carried from pixel to pixel, so lanes do not wait for each other. Down the lines by blocks (box.c).
 */
#define JOIN3_(a, b, c) a##_##b##_##c
#define JOIN3(a, b, c) JOIN3_(a, b, c)
#define FN(name) JOIN3(name, ACC, ISA)
#define L ((int64_t)(VECTOR_BYTES / sizeof(T)))
#define VEC FN(run)
#define LOOSE FN(loose_run)

typedef T VEC __attribute__((vector_size(VECTOR_BYTES)));
typedef T LOOSE __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(T)), may_alias));

#define LOAD_RUN(p) (*(const LOOSE *)(p))
#define STORE_RUN(p, v) (*(LOOSE *)(p) = (v))
#define EVERY(vectors) _Pragma("GCC unroll 8") for (int v = 0; v < (vectors); v++)

/* to[x] = from[x] * tap, fetching a row that is read soon */
static void FN(box_scale)(void *to, const void *from, const void *tap, int64_t width, const void *ahead) {
	const VEC w = *(const T *)tap - (VEC){};
	for (int64_t x = 0; x < width; x += L) {
		if (ahead) __builtin_prefetch((const T *)ahead + x);
		STORE_RUN((T *)to + x, LOAD_RUN((const T *)from + x) * w);
	}
}

/* to[x] = sums[x] + sums[x + n], and one[x + 2n] more where given; `to` may be `sums`: what is read lies at or behind what is written */
static inline __attribute__((always_inline)) void FN(double_block)(T *to, const T *sums, int64_t n, const T *one, int vectors) {
	VEC s[4];
	EVERY(vectors) s[v] = LOAD_RUN(sums + v * L) + LOAD_RUN(sums + n + v * L);
	if (one) EVERY(vectors) s[v] = s[v] + LOAD_RUN(one + 2 * n + v * L);
	EVERY(vectors) STORE_RUN(to + v * L, s[v]);
}

static void FN(box_double)(void *to, const void *sums, int64_t n, const void *one, int64_t width) {
	T *t = to;
	const T *s = sums, *o = one;
	int64_t x = 0;
	if (o) {
		for (; x + 4 * L <= width; x += 4 * L) FN(double_block)(t + x, s + x, n, o + x, 4);
		for (; x < width; x += L) FN(double_block)(t + x, s + x, n, o + x, 1);
		return;
	}
	for (; x + 4 * L <= width; x += 4 * L) FN(double_block)(t + x, s + x, n, NULL, 4);
	for (; x < width; x += L) FN(double_block)(t + x, s + x, n, NULL, 1);
}

/* The prefix takes one line more; the output is it, after the rest of the block before where there is one. */
static inline __attribute__((always_inline)) void FN(down_block)(const conv_down_call *call, int64_t x, int first, int after, int output,
                                                                int stream) {
	const T *line = (const T *)call->line + x;
	T *prefix = (T *)call->prefix + x;
	VEC s = LOAD_RUN(line);
	if (!first) s = LOAD_RUN(prefix) + s;
	STORE_RUN(prefix, s);
	if (after) s = LOAD_RUN((const T *)call->suffix + x) + s;
	if (output && stream) STREAM((T *)call->to + x, s);
	else if (output) STORE_RUN((T *)call->to + x, s);
}

#define DOWN(first, after, output, stream) \
	for (int64_t x = 0; x < call->width; x += L) FN(down_block)(call, x, first, after, output, stream);

static void FN(box_down)(const conv_down_call *call) {
	if (call->first) {
		if (!call->to) DOWN(1, 0, 0, 0)
		else if (call->suffix) DOWN(1, 1, 1, call->stream)
		else DOWN(1, 0, 1, call->stream)
	} else {
		if (!call->to) DOWN(0, 0, 0, 0)
		else if (call->suffix) DOWN(0, 1, 1, call->stream)
		else DOWN(0, 0, 1, call->stream)
	}
}

/* Lines from the last one back: each becomes the sum of itself and all behind it. */
static void FN(box_up)(void *const *lines, int64_t count, int64_t width) {
	for (int64_t x = 0; x < width; x += 4 * L) {
		const int whole = x + 4 * L <= width;
		VEC s[4];
		const T *last = (const T *)lines[count - 1] + x;
		if (whole) {
			EVERY(4) s[v] = LOAD_RUN(last + v * L);
			for (int64_t k = count - 2; k >= 0; k--) {
				T *line = (T *)lines[k] + x;
				EVERY(4) s[v] = LOAD_RUN(line + v * L) + s[v];
				EVERY(4) STORE_RUN(line + v * L, s[v]);
			}
			continue;
		}
		for (int64_t at = x; at < width; at += L) {
			s[0] = LOAD_RUN(last + at - x);
			for (int64_t k = count - 2; k >= 0; k--) {
				T *line = (T *)lines[k] + at;
				s[0] = LOAD_RUN(line) + s[0];
				STORE_RUN(line, s[0]);
			}
		}
	}
}

#undef DOWN
#undef EVERY
#undef STORE_RUN
#undef LOAD_RUN
#undef LOOSE
#undef VEC
#undef L
#undef FN
#undef JOIN3
#undef JOIN3_
