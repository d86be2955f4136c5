/*
 * Sums into result elements, for the pairs and rules that matter for speed; store_any.h does the others. numbers.h holds the
 * specification. Included by body.h.
 *
 * Rounding to integers after clamping to the range of the dtype (at most 32 bits, so nothing overflows on the way; clamping
 * to integers first gives the same as clamping last): adding and subtracting 1.5 * 2^23 (float) or 1.5 * 2^52 (double) leaves the
 * nearest integer, ties to even, for magnitudes up to 2^22 and 2^51.
 */

/* Float to half on bits, one rounding, ties to even. */
static inline uint16_t NAME(to_half)(float f) {
	union {
		float f;
		uint32_t u;
	} x = {f}, tiny;
	const uint32_t sign = (x.u >> 16) & 0x8000, a = x.u & 0x7fffffff;
	tiny.u = a;
	tiny.f += 0.5f; /* one unit in the last place of 0.5 is 2^-24, the smallest half */
	const uint32_t subnormal = tiny.u - 0x3f000000u;
	const uint32_t normal = ((a + 0xfff + ((a >> 13) & 1)) >> 13) - (112u << 10);
	uint32_t h = a < 0x38800000u ? subnormal : normal;
	h = a >= 0x477ff000u ? 0x7c00u : h; /* 65520 */
	h |= sign;
	return (uint16_t)(a > 0x7f800000u ? 0x7e00u : h);
}

static inline float NAME(same)(float x) { return x; }

/* dtype, element, range; W: the type that rounds (exact for every clamped value); MAGIC as above */
#define ROUND_LOOP(T, W, OUT, LOW, HIGH, EPILOGUE, STEP)         \
	for (int64_t i = 0; i < count; i++) {                        \
		W v = (W)s[i];                                           \
		EPILOGUE;                                                \
		/* NaN takes the lower bound below, which must become 0 */ \
		const int32_t ok = (LOW) == 0 ? -1 : -(int32_t)(v == v);  \
		v = v > (W)(LOW) ? v : (W)(LOW);                         \
		v = v < (W)(HIGH) ? v : (W)(HIGH);                       \
		STEP;                                                    \
	}

#define STEP_NEAREST(OUT, MAGIC) t[i] = (OUT)(ok & (int32_t)((v + (MAGIC)) - (MAGIC)))
#define STEP_TRUNCATE(OUT) t[i] = (OUT)(ok & (int32_t)v)
#define STEP_FLOOR(OUT, W) \
	const int32_t k = (int32_t)v; \
	t[i] = (OUT)(ok & (k - (v < (W)k)))
#define STEP_AWAY(OUT, W) \
	const int32_t k = (int32_t)v; \
	const W d = v - (W)k; \
	t[i] = (OUT)(ok & (k + (d >= (W)0.5) - (d <= (W)-0.5)))

#define SATURATE(T, acc, W, OUT, dtype, LOW, HIGH, MAGIC, tag)                                                           \
	static void NAME(store_##acc##_##dtype##_##tag)(void *to, const void *sums, int64_t count, const conv_store *how) {  \
		OUT *restrict t = to;                                                                                            \
		const T *restrict s = sums;                                                                                      \
		const W scale = (W)how->scale, bias = (W)how->bias;                                                              \
		if (how->rounding == CONV_NEAREST_EVEN) {                                                                        \
			if (how->plain) ROUND_LOOP(T, W, OUT, LOW, HIGH, , STEP_NEAREST(OUT, MAGIC))                                 \
			else ROUND_LOOP(T, W, OUT, LOW, HIGH, v = scale * v + bias, STEP_NEAREST(OUT, MAGIC))                        \
		} else if (how->rounding == CONV_TRUNCATE) {                                                                     \
			if (how->plain) ROUND_LOOP(T, W, OUT, LOW, HIGH, , STEP_TRUNCATE(OUT))                                       \
			else ROUND_LOOP(T, W, OUT, LOW, HIGH, v = scale * v + bias, STEP_TRUNCATE(OUT))                              \
		} else if (how->rounding == CONV_FLOOR) {                                                                        \
			if (how->plain) ROUND_LOOP(T, W, OUT, LOW, HIGH, , STEP_FLOOR(OUT, W))                                       \
			else ROUND_LOOP(T, W, OUT, LOW, HIGH, v = scale * v + bias, STEP_FLOOR(OUT, W))                              \
		} else {                                                                                                         \
			if (how->plain) ROUND_LOOP(T, W, OUT, LOW, HIGH, , STEP_AWAY(OUT, W))                                        \
			else ROUND_LOOP(T, W, OUT, LOW, HIGH, v = scale * v + bias, STEP_AWAY(OUT, W))                               \
		}                                                                                                                \
	}

#define MAGIC32 12582912.0f
SATURATE(float, f32, float, uint8_t, u8, 0, 255, MAGIC32, float)
SATURATE(float, f32, float, int8_t, i8, -128, 127, MAGIC32, float)
SATURATE(float, f32, float, uint16_t, u16, 0, 65535, MAGIC32, float)
SATURATE(float, f32, float, int16_t, i16, -32768, 32767, MAGIC32, float)

/*
 * The usual store of filtered bytes, to nearest, ties to even, on vectors: the compiler compares and blends for the clamp above, since
 * it knows no minimum that takes a number for a NaN. After adding MAGIC32 the integer stands in the low bits of the mantissa. A NaN
 * becomes the lower bound, 0, as it must.
 */
typedef float NAME(store_floats) __attribute__((vector_size(VECTOR_BYTES)));
typedef float NAME(loose_floats) __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));

#define STORE_BLOCK 64 /* elements; four vectors of AVX-512 */

static void NAME(store_f32_u8_even)(void *to, const void *sums, int64_t count, const conv_store *how) {
	const int64_t lanes = VECTOR_BYTES / 4, whole = count / STORE_BLOCK * STORE_BLOCK;
	const NAME(store_floats) zero = {}, most = 255.0f - zero;
	for (int64_t i = 0; i < whole; i += STORE_BLOCK) {
		uint8_t *restrict t = (uint8_t *)to + i;
		const float *s = (const float *)sums + i;
		_Alignas(VECTOR_BYTES) uint32_t bits[STORE_BLOCK];
		for (int64_t k = 0; k < STORE_BLOCK; k += lanes) {
			NAME(store_floats) v = *(const NAME(loose_floats) *)(s + k);
			v = MAX_f32(v, zero);
			v = MIN_f32(v, most) + MAGIC32;
			memcpy(bits + k, &v, sizeof v);
		}
		for (int64_t k = 0; k < STORE_BLOCK; k++) t[k] = (uint8_t)bits[k];
	}
	NAME(store_f32_u8_float)((uint8_t *)to + whole, (const float *)sums + whole, count - whole, how);
}
#undef STORE_BLOCK

/* Exact integers, plain. */
#define INTEGERS(T, acc, OUT, dtype, LOW, HIGH)                                                                               \
	static void NAME(store_##acc##_##dtype##_exact)(void *to, const void *sums, int64_t count, const conv_store *how) {       \
		OUT *restrict t = to;                                                                                                 \
		const T *restrict s = sums;                                                                                           \
		if (how->overflow == CONV_WRAP)                                                                                       \
			for (int64_t i = 0; i < count; i++) t[i] = (OUT)(int64_t)s[i];                                                    \
		else                                                                                                                  \
			for (int64_t i = 0; i < count; i++) {                                                                             \
				T v = s[i];                                                                                                   \
				v = v < (T)(LOW) ? (T)(LOW) : v;                                                                              \
				v = v > (T)(HIGH) ? (T)(HIGH) : v;                                                                            \
				t[i] = (OUT)v;                                                                                                \
			}                                                                                                                 \
	}
INTEGERS(int16_t, i16, uint8_t, u8, 0, 255)
INTEGERS(int16_t, i16, int8_t, i8, -128, 127)
INTEGERS(int16_t, i16, int16_t, i16, -32768, 32767)
INTEGERS(int16_t, i16, uint16_t, u16, 0, 32767)
INTEGERS(int16_t, i16, uint32_t, u32, 0, 32767)
INTEGERS(int16_t, i16, int32_t, i32, -32768, 32767)
INTEGERS(int64_t, i64, uint8_t, u8, 0, 255)
INTEGERS(int64_t, i64, int8_t, i8, -128, 127)
INTEGERS(int64_t, i64, uint16_t, u16, 0, 65535)
INTEGERS(int64_t, i64, int16_t, i16, -32768, 32767)
INTEGERS(int64_t, i64, uint32_t, u32, 0, UINT32_MAX)
INTEGERS(int64_t, i64, int32_t, i32, INT32_MIN, INT32_MAX)
INTEGERS(int64_t, i64, uint64_t, u64, 0, INT64_MAX)
INTEGERS(int64_t, i64, int64_t, i64, INT64_MIN, INT64_MAX)

#define WRAP(T, acc, VIA, OUT, dtype)                                                                                     \
	static void NAME(wrap_##acc##_##dtype)(void *to, const void *sums, int64_t count, const conv_store *how) {            \
		OUT *restrict t = to;                                                                                             \
		const T *restrict s = sums;                                                                                       \
		(void)how;                                                                                                        \
		for (int64_t i = 0; i < count; i++) t[i] = (OUT)(VIA)s[i];                                                        \
	}
WRAP(float, f32, int32_t, uint8_t, u8)
WRAP(float, f32, int32_t, uint16_t, u16)
WRAP(float, f32, int32_t, uint32_t, u32)
WRAP(float, f32, int64_t, uint64_t, u64)
WRAP(double, f64, int64_t, uint8_t, u8)
WRAP(double, f64, int64_t, uint16_t, u16)
WRAP(double, f64, int64_t, uint32_t, u32)
WRAP(double, f64, int64_t, uint64_t, u64)

/* Floats into floats. Exact integer sums with a scale are scaled in double, float sums in their own type. */
/* A product of 0 and a negative number is -0 in floats, but an exact sum of 0 has no sign: adding 0 drops it, adding -0 does not. */
#define FLOATS(T, acc, W, OUT, dtype, CONVERT, tag)                                                                             \
	static void NAME(store_##acc##_##dtype##_##tag)(void *to, const void *sums, int64_t count, const conv_store *how) {        \
		OUT *restrict t = to;                                                                                                   \
		const T *restrict s = sums;                                                                                             \
		const W scale = (W)how->scale, bias = (W)how->bias;                                                                     \
		const T zero = how->exact ? (T)0.0 : (T)-0.0;                                                                           \
		if (how->plain)                                                                                                         \
			for (int64_t i = 0; i < count; i++) t[i] = CONVERT(s[i] + zero);                                                    \
		else                                                                                                                    \
			for (int64_t i = 0; i < count; i++) t[i] = CONVERT(scale * (W)(s[i] + zero) + bias);                                \
	}
FLOATS(float, f32, float, float, f32, AS_FLOAT, float)
FLOATS(float, f32, float, uint16_t, f16, NAME(to_half), float)
FLOATS(double, f64, double, float, f32, AS_FLOAT, double)
FLOATS(double, f64, double, double, f64, AS_DOUBLE, double)

#include "store_any.h"

static conv_store_fn NAME(pick_float)(const conv_store *how) {
	const int wide = how->exact && !how->plain; /* scaled in double */
	if (how->accumulator == CONV_ACC_F32 && !wide) {
		if (how->dtype == CONV_F32) return NAME(store_f32_f32_float);
		if (how->dtype == CONV_F16) return NAME(store_f32_f16_float);
	}
	if (how->accumulator == CONV_ACC_F64 && how->dtype == CONV_F32) return NAME(store_f64_f32_double);
	if (how->accumulator == CONV_ACC_F64 && how->dtype == CONV_F64) return NAME(store_f64_f64_double);
	return NULL;
}

/* Exact sums as they are. */
static conv_store_fn NAME(pick_plain)(conv_accumulator acc, int64_t dtype, int64_t overflow) {
	static const conv_store_fn by_float[] = {NAME(wrap_f32_u8), NAME(wrap_f32_u16), NAME(wrap_f32_u32), NAME(wrap_f32_u64)};
	static const conv_store_fn by_double[] = {NAME(wrap_f64_u8), NAME(wrap_f64_u16), NAME(wrap_f64_u32), NAME(wrap_f64_u64)};
	static const conv_store_fn i16[] = {NAME(store_i16_u8_exact),  NAME(store_i16_i8_exact),  NAME(store_i16_u16_exact),
	                                    NAME(store_i16_i16_exact), NAME(store_i16_u32_exact), NAME(store_i16_i32_exact)};
	static const conv_store_fn i64[] = {NAME(store_i64_u8_exact),  NAME(store_i64_i8_exact),  NAME(store_i64_u16_exact),
	                                    NAME(store_i64_i16_exact), NAME(store_i64_u32_exact), NAME(store_i64_i32_exact),
	                                    NAME(store_i64_u64_exact), NAME(store_i64_i64_exact)};
	if (acc == CONV_ACC_I64) return i64[dtype];
	if (acc == CONV_ACC_I16) return dtype <= CONV_I32 ? i16[dtype] : NULL;
	/* floats hold integers up to 2^24, doubles up to 2^53: these fit as they are */
	const int fits = dtype == CONV_I64 || (dtype == CONV_I32 && acc == CONV_ACC_F32);
	if (overflow != CONV_WRAP && !fits) return NULL;
	return acc == CONV_ACC_F32 ? by_float[dtype / 2] : by_double[dtype / 2]; /* signed and unsigned share their bits */
}

static conv_store_fn NAME(pick_store)(const conv_store *how) {
	static const conv_store_fn by_float[] = {NAME(store_f32_u8_float), NAME(store_f32_i8_float), NAME(store_f32_u16_float),
	                                         NAME(store_f32_i16_float)};
	conv_store_fn found = NULL;
	if (conv_is_float(how->dtype)) found = NAME(pick_float)(how);
	else if (how->overflow == CONV_THROW) return NULL;
	else if (how->exact && how->plain) found = NAME(pick_plain)(how->accumulator, how->dtype, how->overflow);
	if (found == NULL && how->overflow == CONV_SATURATE && how->accumulator == CONV_ACC_F32 && how->dtype <= CONV_I16 && (!how->exact || how->plain))
		found = how->dtype == CONV_U8 && how->plain && how->rounding == CONV_NEAREST_EVEN ? NAME(store_f32_u8_even) : by_float[how->dtype];
	return found == NULL && NAME(stores_all)(how) ? NAME(store_any) : found;
}
