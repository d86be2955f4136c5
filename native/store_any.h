/*
 * Sums into result elements, whatever the pair and the rule: sums become doubles, a block at a time, doubles are rounded and put. What
 * store.h has no loop of its own for. Included by body.h.
 *
 * A double of magnitude below 2^51, with 1.5 * 2^52 added, holds its nearest integer in the low bits: modulo 2^n where n of them are taken.
 */
#define MAGIC64 6755399441055744.0
#define MAGIC64_BITS UINT64_C(0x4338000000000000)

#define EACH_SUM(T, EXPRESSION)                     \
	do {                                            \
		const T *restrict s = sums;                 \
		for (int64_t i = 0; i < n; i++) v[i] = EXPRESSION; \
	} while (0)

/* Sums, scaled, in the type that numbers.h scales in. 0 where one is an integer that a double must round first. */
static int NAME(sums_as_doubles)(double *restrict v, const void *sums, int64_t n, const conv_store *how) {
	const double scale = how->scale, bias = how->bias;
	/* an exact sum of 0 has no sign: adding 0 drops it, adding -0 does not */
	const double zero = how->exact ? 0.0 : -0.0;
	if (how->accumulator == CONV_ACC_F64) {
		if (how->plain) EACH_SUM(double, s[i] + zero);
		else EACH_SUM(double, scale * (s[i] + zero) + bias);
	} else if (how->accumulator == CONV_ACC_F32) {
		const float narrow_scale = (float)scale, narrow_bias = (float)bias;
		if (how->plain) EACH_SUM(float, (double)s[i] + zero);
		else if (how->exact) EACH_SUM(float, scale * ((double)s[i] + zero) + bias);
		else EACH_SUM(float, (double)(narrow_scale * s[i] + narrow_bias));
	} else if (how->accumulator == CONV_ACC_I16) {
		if (how->plain) EACH_SUM(int16_t, (double)s[i]);
		else EACH_SUM(int16_t, scale * (double)s[i] + bias);
	} else if (how->plain) {
		const int64_t *s = sums;
		uint64_t far = 0; /* any beyond +-2^53 */
		for (int64_t i = 0; i < n; i++) far |= (uint64_t)(((uint64_t)s[i] + (UINT64_C(1) << 53)) > UINT64_C(1) << 54);
		if (far) return 0;
		EACH_SUM(int64_t, (double)s[i]);
	} else EACH_SUM(int64_t, scale * (double)s[i] + bias);
	return 1;
}

static void NAME(round_doubles)(double *v, int64_t n, int64_t rounding) {
	if (rounding == CONV_TRUNCATE)
		for (int64_t i = 0; i < n; i++) v[i] = __builtin_trunc(v[i]);
	else if (rounding == CONV_FLOOR)
		for (int64_t i = 0; i < n; i++) v[i] = __builtin_floor(v[i]);
	else if (rounding == CONV_HALF_AWAY)
		for (int64_t i = 0; i < n; i++) {
			const double k = __builtin_trunc(v[i]), d = v[i] - k;
			v[i] = d >= 0.5 ? k + 1 : d <= -0.5 ? k - 1 : k;
		}
	else
		for (int64_t i = 0; i < n; i++) v[i] = __builtin_rint(v[i]);
}

/* A double to half in one rounding: to float first, rounding to odd, which leaves the second one as it would have been. */
static inline uint16_t NAME(double_to_half)(double d) {
	union {
		float f;
		uint32_t u;
	} x = {(float)d};
	const double back = (double)x.f;
	const uint32_t inexact = back != d, beyond = __builtin_fabs(back) > __builtin_fabs(d);
	x.u = (x.u - beyond) | inexact;
	return NAME(to_half)(x.f);
}

static int NAME(all_within)(const double *v, int64_t n, double low, double high) {
	int64_t outside = 0;
	for (int64_t i = 0; i < n; i++) outside |= v[i] < low || v[i] > high;
	return !outside;
}

/* NaN becomes 0. */
static void NAME(clamp_doubles)(double *v, int64_t n, double low, double high) {
	for (int64_t i = 0; i < n; i++) {
		double x = v[i] == v[i] ? v[i] : 0;
		x = x > low ? x : low;
		v[i] = x < high ? x : high;
	}
}

static inline uint64_t NAME(integer_bits)(double v) {
	const double shifted = v + MAGIC64;
	uint64_t bits;
	memcpy(&bits, &shifted, 8);
	return bits - MAGIC64_BITS;
}

#define PUT(OUT, EXPRESSION)                          \
	do {                                              \
		OUT *restrict t = to;                         \
		for (int64_t i = 0; i < n; i++) t[i] = (OUT)(EXPRESSION); \
	} while (0)

static void NAME(put_doubles)(void *to, const double *restrict v, int64_t n, int64_t dtype) {
	if (dtype == CONV_F64) PUT(double, v[i]);
	else if (dtype == CONV_F32) PUT(float, v[i]);
	else if (dtype == CONV_F16) PUT(uint16_t, NAME(double_to_half)(v[i]));
	else if (conv_dtype_bytes(dtype) == 8) PUT(uint64_t, NAME(integer_bits)(v[i]));
	else if (conv_dtype_bytes(dtype) == 4) PUT(uint32_t, NAME(integer_bits)(v[i]));
	else if (conv_dtype_bytes(dtype) == 2) PUT(uint16_t, NAME(integer_bits)(v[i]));
	else PUT(uint8_t, NAME(integer_bits)(v[i]));
}

/* Whether no block can stop store_some. */
static int NAME(stores_all)(const conv_store *how) {
	if (how->accumulator == CONV_ACC_I64 && how->plain) return 0;
	if (conv_is_float(how->dtype)) return 1;
	return how->overflow == CONV_SATURATE && conv_dtype_bytes(how->dtype) < 8;
}

/* Returns how many were stored: all, or those before a block that holds a value to be reported, or one that takes more than a double. */
static int64_t NAME(store_some)(void *to, const void *sums, int64_t count, const conv_store *how) {
	const int64_t dtype = how->dtype, element = conv_dtype_bytes(dtype), bits = element * 8, sum = conv_accumulator_bytes(how->accumulator);
	const int whole = !conv_is_float(dtype), is_unsigned = conv_is_unsigned(dtype);
	const double most = 0x1p51, above = bits == 64 ? most : (double)(UINT64_C(1) << (bits - !is_unsigned));
	const int wraps = how->overflow == CONV_WRAP;
	const double low = wraps ? -most : is_unsigned ? 0 : -above, high = wraps ? most : above - 1;
	const int clamps = how->overflow == CONV_SATURATE && bits < 64;
	double v[CONV_STORE_BLOCK];
	for (int64_t i = 0; i < count; i += CONV_STORE_BLOCK) {
		const int64_t n = count - i < CONV_STORE_BLOCK ? count - i : CONV_STORE_BLOCK;
		if (!NAME(sums_as_doubles)(v, (const char *)sums + i * sum, n, how)) return i;
		if (whole) {
			NAME(round_doubles)(v, n, how->rounding);
			if (!clamps && !NAME(all_within)(v, n, low, high)) return i;
			NAME(clamp_doubles)(v, n, low, high);
		}
		NAME(put_doubles)((char *)to + i * element, v, n, dtype);
	}
	return count;
}

static void NAME(store_any)(void *to, const void *sums, int64_t count, const conv_store *how) { NAME(store_some)(to, sums, count, how); }
#undef EACH_SUM
#undef PUT
#undef MAGIC64_BITS
