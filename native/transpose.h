/*
 * Shuffles for the transpose of a square of vectors, on 128-bit pieces as x86 likes them; on 16-byte vectors they are NEON's zips.
 * LOW32/HIGH32 and LOW64/HIGH64 interleave the halves of each piece; EVEN and ODD take every other piece of two vectors.
 * Included by body.h.
 */
#if VECTOR_BYTES == 64
#define LOW32 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29
#define HIGH32 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31
#define LOW64 0, 8, 2, 10, 4, 12, 6, 14
#define HIGH64 1, 9, 3, 11, 5, 13, 7, 15
#define EVEN 0, 1, 4, 5, 8, 9, 12, 13
#define ODD 2, 3, 6, 7, 10, 11, 14, 15
#elif VECTOR_BYTES == 32
#define LOW32 0, 8, 1, 9, 4, 12, 5, 13
#define HIGH32 2, 10, 3, 11, 6, 14, 7, 15
#define LOW64 0, 4, 2, 6
#define HIGH64 1, 5, 3, 7
#define EVEN 0, 1, 4, 5
#define ODD 2, 3, 6, 7
#else
#define LOW32 0, 4, 1, 5
#define HIGH32 2, 6, 3, 7
#define LOW64 0, 2
#define HIGH64 1, 3
#define EVEN 0, 1 /* one piece only: not used */
#define ODD 2, 3
#endif

typedef float NAME(floats) __attribute__((vector_size(VECTOR_BYTES)));
typedef double NAME(doubles) __attribute__((vector_size(VECTOR_BYTES)));

#define PAIR64(a, b, MASK) ((__typeof__(a))__builtin_shufflevector((NAME(doubles))(a), (NAME(doubles))(b), MASK))

/* Pieces (row group, column group) of v[k], v[k + step] ... change places. */
#if VECTOR_BYTES == 64
#define PIECES(v, k, step)                                                          \
	{                                                                               \
		const __typeof__((v)[0]) a = (v)[k], b = (v)[(k) + (step)];                 \
		const __typeof__((v)[0]) c = (v)[(k) + 2 * (step)], d = (v)[(k) + 3 * (step)]; \
		const __typeof__((v)[0]) e = PAIR64(a, b, EVEN), f = PAIR64(a, b, ODD);     \
		const __typeof__((v)[0]) g = PAIR64(c, d, EVEN), h = PAIR64(c, d, ODD);     \
		(v)[k] = PAIR64(e, g, EVEN);                                                \
		(v)[(k) + (step)] = PAIR64(f, h, EVEN);                                     \
		(v)[(k) + 2 * (step)] = PAIR64(e, g, ODD);                                  \
		(v)[(k) + 3 * (step)] = PAIR64(f, h, ODD);                                  \
	}
#elif VECTOR_BYTES == 32
#define PIECES(v, k, step)                                          \
	{                                                               \
		const __typeof__((v)[0]) a = (v)[k], b = (v)[(k) + (step)]; \
		(v)[k] = PAIR64(a, b, EVEN);                                \
		(v)[(k) + (step)] = PAIR64(a, b, ODD);                      \
	}
#else
#define PIECES(v, k, step) {}
#endif

/* Within each piece. */
static inline __attribute__((always_inline)) void NAME(transpose_f32)(NAME(floats) *v) {
#pragma GCC unroll 16
	for (int g = 0; g < VECTOR_BYTES / 4; g += 4) {
		const NAME(floats) a = __builtin_shufflevector(v[g], v[g + 1], LOW32), b = __builtin_shufflevector(v[g], v[g + 1], HIGH32);
		const NAME(floats) c = __builtin_shufflevector(v[g + 2], v[g + 3], LOW32), d = __builtin_shufflevector(v[g + 2], v[g + 3], HIGH32);
		v[g] = PAIR64(a, c, LOW64);
		v[g + 1] = PAIR64(a, c, HIGH64);
		v[g + 2] = PAIR64(b, d, LOW64);
		v[g + 3] = PAIR64(b, d, HIGH64);
	}
#pragma GCC unroll 4
	for (int k = 0; k < 4; k++) PIECES(v, k, 4)
}

static inline __attribute__((always_inline)) void NAME(transpose_f64)(NAME(doubles) *v) {
#pragma GCC unroll 8
	for (int g = 0; g < VECTOR_BYTES / 8; g += 2) {
		const NAME(doubles) a = v[g], b = v[g + 1];
		v[g] = PAIR64(a, b, LOW64);
		v[g + 1] = PAIR64(a, b, HIGH64);
	}
#pragma GCC unroll 2
	for (int k = 0; k < 2; k++) PIECES(v, k, 2)
}
