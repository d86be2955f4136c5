/* Numbers: float16, wide integers, and how one sum becomes one stored value. Plain scalar C; src/core/dtype.ts says the same. */
#ifndef FALTUNG_NUMBERS_H
#define FALTUNG_NUMBERS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "conv.h"

static inline int conv_dtype_bytes(int64_t dtype) {
	static const int8_t bytes[16] = {1, 1, 2, 2, 4, 4, 8, 8, 2, 4, 8};
	return bytes[dtype];
}

static inline int conv_is_float(int64_t dtype) { return dtype >= CONV_F16; }

static inline double conv_half_to_double(uint16_t bits) {
	const double sign = bits & 0x8000 ? -1.0 : 1.0;
	const int exponent = (bits >> 10) & 31;
	const int fraction = bits & 0x3ff;
	if (exponent == 31) return fraction ? NAN : sign * INFINITY;
	if (exponent == 0) return sign * fraction * 0x1p-24;
	return sign * ldexp(1024 + fraction, exponent - 25);
}

/* The nearest float16, ties to even, in one rounding. */
static inline uint16_t conv_half_from_double(double x) {
	const uint16_t sign = signbit(x) ? 0x8000 : 0;
	const double a = fabs(x);
	if (isnan(x)) return 0x7e00;
	if (a >= 65520.0) return sign | 0x7c00;
	if (a < 0x1p-14) return sign | (uint16_t)rint(a * 0x1p24); /* 1024 carries into the exponent: the smallest normal */
	const int e = ilogb(a);
	return (uint16_t)(sign + ((e + 15) << 10) + ((int)rint(ldexp(a, 10 - e)) - 1024)); /* 2048 carries likewise */
}

/* A two's complement integer of 192 bits: room for the products of two 64-bit numbers, 2^63 times. */
typedef struct conv_wide {
	uint64_t limb[3]; /* least first */
} conv_wide;

static inline conv_wide conv_wide_from(int64_t x) {
	const uint64_t sign = x < 0 ? ~UINT64_C(0) : 0;
	return (conv_wide){{(uint64_t)x, sign, sign}};
}

static inline conv_wide conv_wide_add(conv_wide a, conv_wide b) {
	unsigned __int128 t = (unsigned __int128)a.limb[0] + b.limb[0];
	const uint64_t low = (uint64_t)t;
	t = (t >> 64) + a.limb[1] + b.limb[1];
	return (conv_wide){{low, (uint64_t)t, a.limb[2] + b.limb[2] + (uint64_t)(t >> 64)}};
}

static inline conv_wide conv_wide_negate(conv_wide a) {
	const conv_wide inverse = {{~a.limb[0], ~a.limb[1], ~a.limb[2]}};
	return conv_wide_add(inverse, conv_wide_from(1));
}

static inline int conv_wide_negative(conv_wide a) { return (int)(a.limb[2] >> 63); }

/* A 64-bit number with its sign told apart: int64 and uint64 alike. */
typedef struct conv_signed {
	uint64_t magnitude;
	int negative;
} conv_signed;

static inline conv_signed conv_signed_from(uint64_t bits, int is_unsigned) {
	const int negative = !is_unsigned && (bits >> 63);
	return (conv_signed){negative ? 0 - bits : bits, negative};
}

static inline conv_wide conv_wide_product(conv_signed a, conv_signed b) {
	const unsigned __int128 p = (unsigned __int128)a.magnitude * b.magnitude;
	const conv_wide w = {{(uint64_t)p, (uint64_t)(p >> 64), 0}};
	return a.negative != b.negative ? conv_wide_negate(w) : w;
}

static inline conv_wide conv_wide_from_128(__int128 x) {
	const uint64_t sign = x < 0 ? ~UINT64_C(0) : 0;
	return (conv_wide){{(uint64_t)x, (uint64_t)((unsigned __int128)x >> 64), sign}};
}

/* |a| as top * 2^shift with at most 64 bits; what was shifted out is kept as a sticky lowest bit, so one rounding follows. */
static inline uint64_t conv_wide_top(conv_wide a, int *shift) {
	if (conv_wide_negative(a)) a = conv_wide_negate(a);
	if (a.limb[2] == 0 && a.limb[1] == 0) {
		*shift = 0;
		return a.limb[0];
	}
	const int high = a.limb[2] ? 2 : 1;
	const int zeros = __builtin_clzll(a.limb[high]);
	const unsigned __int128 pair = ((unsigned __int128)a.limb[high] << 64) | a.limb[high - 1];
	const unsigned __int128 up = pair << zeros;
	const int lost = (uint64_t)up != 0 || (high == 2 && a.limb[0] != 0);
	*shift = high * 64 - zeros;
	return (uint64_t)(up >> 64) | (uint64_t)lost;
}

static inline double conv_wide_to_double(conv_wide a) {
	int shift;
	const uint64_t top = conv_wide_top(a, &shift);
	const double m = ldexp((double)top, shift);
	return conv_wide_negative(a) ? -m : m;
}

static inline float conv_wide_to_float(conv_wide a) {
	int shift;
	const uint64_t top = conv_wide_top(a, &shift);
	const float m = ldexpf((float)top, shift);
	return conv_wide_negative(a) ? -m : m;
}

/* The raw low bits of a value, put into an element of an integer dtype. */
static inline void conv_put(void *to, int64_t dtype, uint64_t bits) {
	switch (conv_dtype_bytes(dtype)) {
	case 1: *(uint8_t *)to = (uint8_t)bits; break;
	case 2: *(uint16_t *)to = (uint16_t)bits; break;
	case 4: *(uint32_t *)to = (uint32_t)bits; break;
	default: *(uint64_t *)to = bits; break;
	}
}

static inline int conv_is_unsigned(int64_t dtype) { return dtype < CONV_F16 && (dtype & 1) == 0; }

static inline uint64_t conv_max_bits(int64_t dtype) {
	const int bits = conv_dtype_bytes(dtype) * 8 - !conv_is_unsigned(dtype);
	return ~UINT64_C(0) >> (64 - bits);
}

static inline uint64_t conv_min_bits(int64_t dtype) { return conv_is_unsigned(dtype) ? 0 : ~conv_max_bits(dtype); }

/* Whether a wide integer lies in the range of an integer dtype: -1 below, 0 within, 1 above. */
static inline int conv_wide_side(conv_wide a, int64_t dtype) {
	const int negative = conv_wide_negative(a);
	if (negative) {
		const uint64_t ones = ~UINT64_C(0);
		if (a.limb[2] != ones || a.limb[1] != ones || !(a.limb[0] >> 63) || a.limb[0] < conv_min_bits(dtype)) return -1;
		return conv_is_unsigned(dtype) ? -1 : 0;
	}
	return a.limb[2] || a.limb[1] || a.limb[0] > conv_max_bits(dtype) ? 1 : 0;
}

/* Stores a float sum. Returns 1 where it does not fit under CONV_THROW. */
static inline int conv_store_real(double v, void *to, int64_t dtype, int64_t rounding, int64_t overflow) {
	if (dtype == CONV_F64) return *(double *)to = v, 0;
	if (dtype == CONV_F32) return *(float *)to = (float)v, 0;
	if (dtype == CONV_F16) return *(uint16_t *)to = conv_half_from_double(v), 0;
	if (isnan(v)) return conv_put(to, dtype, 0), 0;
	const double r = rounding == CONV_NEAREST_EVEN ? rint(v)
	                 : rounding == CONV_HALF_AWAY  ? round(v)
	                 : rounding == CONV_TRUNCATE   ? trunc(v)
	                                               : floor(v);
	const int is_unsigned = conv_is_unsigned(dtype);
	/* 2^bits is a double, the largest integer of 64 bits is not */
	const double above = ldexp(1.0, conv_dtype_bytes(dtype) * 8 - !is_unsigned);
	if (r < above && r >= (is_unsigned ? 0.0 : -above)) {
		conv_put(to, dtype, r < 0 ? (uint64_t)(int64_t)r : (uint64_t)r);
		return 0;
	}
	if (overflow == CONV_THROW) return 1;
	if (overflow == CONV_SATURATE) return conv_put(to, dtype, r < 0 ? conv_min_bits(dtype) : conv_max_bits(dtype)), 0;
	if (isinf(v)) return conv_put(to, dtype, 0), 0;
	const uint64_t magnitude = (uint64_t)fmod(fabs(r), 0x1p64);
	conv_put(to, dtype, r < 0 ? 0 - magnitude : magnitude);
	return 0;
}

/* Stores an exact integer sum, rounded once where the dtype is a float. Returns 1 where it does not fit under CONV_THROW. */
static inline int conv_store_integer(conv_wide s, void *to, int64_t dtype, int64_t overflow) {
	if (dtype == CONV_F64) return *(double *)to = conv_wide_to_double(s), 0;
	if (dtype == CONV_F32) return *(float *)to = conv_wide_to_float(s), 0;
	/* an integer that float64 must round is far beyond float16's range */
	if (dtype == CONV_F16) return *(uint16_t *)to = conv_half_from_double(conv_wide_to_double(s)), 0;
	const int side = conv_wide_side(s, dtype);
	if (side == 0 || overflow == CONV_WRAP) return conv_put(to, dtype, s.limb[0]), 0;
	if (overflow == CONV_THROW) return 1;
	return conv_put(to, dtype, side < 0 ? conv_min_bits(dtype) : conv_max_bits(dtype)), 0;
}

/* An element as a double, rounded where it must be (64-bit integers). */
static inline double conv_get_double(const void *from, int64_t dtype) {
	switch (dtype) {
	case CONV_U8: return *(const uint8_t *)from;
	case CONV_I8: return *(const int8_t *)from;
	case CONV_U16: return *(const uint16_t *)from;
	case CONV_I16: return *(const int16_t *)from;
	case CONV_U32: return *(const uint32_t *)from;
	case CONV_I32: return *(const int32_t *)from;
	case CONV_U64: return (double)*(const uint64_t *)from;
	case CONV_I64: return (double)*(const int64_t *)from;
	case CONV_F16: return conv_half_to_double(*(const uint16_t *)from);
	case CONV_F32: return *(const float *)from;
	default: return *(const double *)from;
	}
}

/* An element as a float, in one rounding. */
static inline float conv_get_float(const void *from, int64_t dtype) {
	switch (dtype) {
	case CONV_U64: return (float)*(const uint64_t *)from;
	case CONV_I64: return (float)*(const int64_t *)from;
	default: return (float)conv_get_double(from, dtype);
	}
}

/* An element of an integer dtype, sign-extended to 64 bits. */
static inline uint64_t conv_get_bits(const void *from, int64_t dtype) {
	switch (dtype) {
	case CONV_U8: return *(const uint8_t *)from;
	case CONV_I8: return (uint64_t)(int64_t) * (const int8_t *)from;
	case CONV_U16: return *(const uint16_t *)from;
	case CONV_I16: return (uint64_t)(int64_t) * (const int16_t *)from;
	case CONV_U32: return *(const uint32_t *)from;
	case CONV_I32: return (uint64_t)(int64_t) * (const int32_t *)from;
	default: return *(const uint64_t *)from;
	}
}

#endif
