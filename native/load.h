/* Pixels into the accumulator's type, and the search for pixels that are not finite. Included by body.h. */

/* Half to float on bits. The exponent of a half, moved into a float's field, is 112 too small; 2^112 repairs subnormals too. */
static inline float NAME(half)(uint16_t h) {
	const uint32_t magnitude = (uint32_t)(h & 0x7fff) << 13;
	union {
		uint32_t u;
		float f;
	} small = {magnitude}, out;
	out.f = small.f * 0x1p112f;
	out.u = magnitude >= 0x0f800000u ? magnitude | 0x7f800000u : out.u; /* infinity, NaN */
	out.u |= (uint32_t)(h & 0x8000) << 16;
	return out.f;
}

#define LOAD(S, from_dtype, T, to_acc, CONVERT)                                                              \
	static void NAME(load_##from_dtype##_##to_acc)(void *to, const void *from, int64_t stride, int64_t n) {  \
		T *restrict t = to;                                                                                  \
		const S *restrict s = from;                                                                          \
		if (stride == 1)                                                                                     \
			for (int64_t i = 0; i < n; i++) t[i] = CONVERT(s[i]);                                            \
		else                                                                                                 \
			for (int64_t i = 0; i < n; i++) t[i] = CONVERT(s[i * stride]);                                   \
	}

#define AS_FLOAT(x) ((float)(x))
#define AS_DOUBLE(x) ((double)(x))
#define AS_BITS(x) ((uint64_t)(int64_t)(x))
#define AS_SHORT(x) ((uint16_t)(int16_t)(x))
#define HALF_AS_DOUBLE(x) ((double)NAME(half)(x))

#define LOAD_FLOATS(S, dtype)                 \
	LOAD(S, dtype, float, f32, AS_FLOAT)      \
	LOAD(S, dtype, double, f64, AS_DOUBLE)
LOAD_FLOATS(uint8_t, u8)
LOAD_FLOATS(int8_t, i8)
LOAD_FLOATS(uint16_t, u16)
LOAD_FLOATS(int16_t, i16)
LOAD_FLOATS(uint32_t, u32)
LOAD_FLOATS(int32_t, i32)
LOAD_FLOATS(uint64_t, u64)
LOAD_FLOATS(int64_t, i64)
LOAD_FLOATS(float, f32)
LOAD_FLOATS(double, f64)
LOAD(uint16_t, f16, float, f32, NAME(half))
LOAD(uint16_t, f16, double, f64, HALF_AS_DOUBLE)
LOAD(uint8_t, u8, uint64_t, i64, AS_BITS)
LOAD(int8_t, i8, uint64_t, i64, AS_BITS)
LOAD(uint16_t, u16, uint64_t, i64, AS_BITS)
LOAD(int16_t, i16, uint64_t, i64, AS_BITS)
LOAD(uint32_t, u32, uint64_t, i64, AS_BITS)
LOAD(int32_t, i32, uint64_t, i64, AS_BITS)
LOAD(uint64_t, u64, uint64_t, i64, AS_BITS)
LOAD(int64_t, i64, uint64_t, i64, AS_BITS)
LOAD(uint8_t, u8, uint16_t, i16, AS_SHORT)
LOAD(int8_t, i8, uint16_t, i16, AS_SHORT)

#ifdef WIDEN_u8_f32
#define LOAD_WIDE(S, T, from_dtype, acc)                                                                          \
	static void NAME(widen_##from_dtype##_##acc)(void *to, const void *from, int64_t stride, int64_t n) {         \
		const int64_t lanes = VECTOR_BYTES / (int64_t)sizeof(T), whole = stride == 1 ? n / lanes * lanes : 0;     \
		for (int64_t i = 0; i < whole; i += lanes) WIDEN_##from_dtype##_##acc((T *)to + i, (const S *)from + i);  \
		if (whole < n) NAME(load_##from_dtype##_##acc)((T *)to + whole, (const S *)from + whole, stride, n - whole); \
	}
LOAD_WIDE(uint8_t, float, u8, f32)
LOAD_WIDE(uint16_t, float, u16, f32)
LOAD_WIDE(uint8_t, uint16_t, u8, i16)
#else
#define widen_u8_f32 load_u8_f32
#define widen_u16_f32 load_u16_f32
#define widen_u8_i16 load_u8_i16
#endif

#define LOADS_INTEGER(acc)                                                                                     \
	NAME(load_u8_##acc), NAME(load_i8_##acc), NAME(load_u16_##acc), NAME(load_i16_##acc), NAME(load_u32_##acc), \
		NAME(load_i32_##acc), NAME(load_u64_##acc), NAME(load_i64_##acc)

static const conv_load_fn NAME(loads)[CONV_VECTOR_ACCUMULATORS][CONV_DTYPES] = {
	[CONV_ACC_F32] = {NAME(widen_u8_f32), NAME(load_i8_f32), NAME(widen_u16_f32), NAME(load_i16_f32), NAME(load_u32_f32), NAME(load_i32_f32),
	                  NAME(load_u64_f32), NAME(load_i64_f32), NAME(load_f16_f32), NAME(load_f32_f32), NAME(load_f64_f32)},
	[CONV_ACC_F64] = {LOADS_INTEGER(f64), NAME(load_f16_f64), NAME(load_f32_f64), NAME(load_f64_f64)},
	[CONV_ACC_I16] = {NAME(widen_u8_i16), NAME(load_i8_i16)},
	[CONV_ACC_I64] = {LOADS_INTEGER(i64)},
};

/* An exponent of all ones means infinity or NaN. */
#define ANY_ALL_ONES(U, mask)                                                                  \
	{                                                                                          \
		const U *p = from;                                                                     \
		int found = 0;                                                                         \
		for (int64_t i = 0; i < count; i++) found |= (p[i * stride] & (mask)) == (U)(mask);    \
		return found;                                                                          \
	}

static int NAME(has_non_finite)(const void *from, int64_t dtype, int64_t stride, int64_t count) {
	if (dtype == CONV_F16) ANY_ALL_ONES(uint16_t, 0x7c00)
	if (dtype == CONV_F32) ANY_ALL_ONES(uint32_t, 0x7f800000u)
	if (dtype == CONV_F64) ANY_ALL_ONES(uint64_t, UINT64_C(0x7ff0000000000000))
	return 0;
}
