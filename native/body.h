/*
 * Everything that is compiled once per ISA. A wrapper file sets ISA (a name), VECTOR_BYTES and SIMD_LEVEL and includes this.
 * Nothing here may be reached before conv_find_isa() has asked the machine. Loops without intrinsics are left to the compiler's
 * vectoriser, which never changes a result: no option here lets it reorder or contract floating-point operations.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "kernels.h"
#include "numbers.h"
#include "simd.h"

#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)
#define NAME(name) PASTE(name, ISA)

/* Sums of columns into a narrower dtype. */
#ifdef NARROW_u8
#define NARROW_f32(to, v, dtype)           \
	if ((dtype) == CONV_U8) NARROW_u8(to, v); \
	else NARROW_u16(to, v)
#else
#define NARROW_f32 NO_NARROW
#endif
#define NO_NARROW(to, v, dtype) (void)0

/* What row sums take as it lies (slide.h): whole vectors, and the first n pixels of one. */
#define PIXELS_AS_THEY_LIE(vector, p, from) ((vector)_mm512_loadu_si512(p))
#define PIXELS_f32(vector, p, from)                 \
	((from) == CONV_U8    ? LOAD_u8_f32(vector, p)  \
	 : (from) == CONV_U16 ? LOAD_u16_f32(vector, p) \
	 : (from) == CONV_I16 ? LOAD_i16_f32(vector, p) \
	 : (from) == CONV_F16 ? LOAD_f16_f32(vector, p) \
	                      : PIXELS_AS_THEY_LIE(vector, p, from))
#define FIRST_PIXELS_f32(vector, p, n, from)            \
	((from) == CONV_U8    ? FIRST_u8_f32(vector, p, n)  \
	 : (from) == CONV_U16 ? FIRST_u16_f32(vector, p, n) \
	 : (from) == CONV_I16 ? FIRST_i16_f32(vector, p, n) \
	 : (from) == CONV_F16 ? FIRST_f16_f32(vector, p, n) \
	                      : FIRST_f32(vector, p, n))
#define FIRST_PIXELS_f64(vector, p, n, from) FIRST_f64(vector, p, n)
#define FIRST_PIXELS_i64(vector, p, n, from) FIRST_i64(vector, p, n)
#define NO_SOURCES(X)
#define SOURCES_f32(X) X(u8, CONV_U8, 1) X(u16, CONV_U16, 2) X(i16, CONV_I16, 2) X(f16, CONV_F16, 2)

#define ACC f32
#define T float
#define MULADD MULADD_f32
#define NARROW NARROW_f32
#ifdef SLIDE_f32
#define SLIDE SLIDE_f32
#define FIRST_PIXELS FIRST_PIXELS_f32
#define PIXELS PIXELS_f32
#define SOURCES SOURCES_f32
#endif
#include "direct.h"
#include "strip.h"
#include "separable.h"
#ifdef NARROW_u8
static void NAME(narrow_columns_u8)(const conv_column_call *call) { NAME(column_passes_f32)(call, CONV_U8, 1); }
static void NAME(narrow_columns_u16)(const conv_column_call *call) { NAME(column_passes_f32)(call, CONV_U16, 2); }
#endif
#include "box.h"
#undef ACC
#undef T
#undef MULADD
#undef NARROW
#undef SLIDE
#undef PIXELS
#undef FIRST_PIXELS
#undef SOURCES

#define ACC f64
#define T double
#define MULADD MULADD_f64
#define NARROW NO_NARROW
#ifdef SLIDE_f64
#define SLIDE SLIDE_f64
#define FIRST_PIXELS FIRST_PIXELS_f64
#define PIXELS PIXELS_AS_THEY_LIE
#define SOURCES NO_SOURCES
#endif
#include "direct.h"
#include "strip.h"
#include "separable.h"
#include "box.h"
#undef ACC
#undef T
#undef MULADD
#undef NARROW
#undef SLIDE
#undef PIXELS
#undef FIRST_PIXELS
#undef SOURCES

#define ACC i16
#define T uint16_t /* modulo 2^16: unsigned, since signed overflow is undefined */
#define MULADD MULADD_i16
#define NARROW NO_NARROW
#include "direct.h"
#include "strip.h"
#include "separable.h"
#include "box.h"
#undef ACC
#undef T
#undef MULADD
#undef NARROW

#define ACC i64
#define T uint64_t
#define MULADD MULADD_i64
#define NARROW NO_NARROW
#ifdef SLIDE_i64
#define SLIDE SLIDE_i64
#define FIRST_PIXELS FIRST_PIXELS_i64
#define PIXELS PIXELS_AS_THEY_LIE
#define SOURCES NO_SOURCES
#endif
#include "direct.h"
#include "strip.h"
#include "separable.h"
#include "box.h"
#undef ACC
#undef T
#undef MULADD
#undef NARROW
#undef SLIDE
#undef PIXELS
#undef FIRST_PIXELS
#undef SOURCES

#include "transpose.h"
#define ACC f32
#define T float
#define MULADD MULADD_f32
#define MULSUB MULSUB_f32
#define SUBMUL SUBMUL_f32
#define MAX MAX_f32
#define MIN MIN_f32
#include "fft.h"
#undef ACC
#undef T
#undef MULADD
#undef MULSUB
#undef SUBMUL
#undef MAX
#undef MIN

#define ACC f64
#define T double
#define MULADD MULADD_f64
#define MULSUB MULSUB_f64
#define SUBMUL SUBMUL_f64
#define MAX MAX_f64
#define MIN MIN_f64
#include "fft.h"
#undef ACC
#undef T
#undef MULADD
#undef MULSUB
#undef SUBMUL
#undef MAX
#undef MIN

#include "load.h"
#include "store.h"
#include "probe.h"
#include "checksum_real.h"
#include "checksum_modular.h"

#define STRING_(x) #x
#define STRING(x) STRING_(x)
#define GROUP_JOIN_(isa, acc) CONV_GROUP_##isa##_##acc
#define GROUP_JOIN(isa, acc) GROUP_JOIN_(isa, acc)
#define GROUP_OF(acc) GROUP_JOIN(ISA, acc)

#ifdef SLIDE_f32
#define ROW_SUMS_FROM(name, dtype, element) [dtype] = NAME(row_sums_##name##_f32),
#else
#define ROW_SUMS_FROM(name, dtype, element)
#endif
#ifdef NARROW_u8
#define NARROWED [CONV_U8] = NAME(narrow_columns_u8), [CONV_U16] = NAME(narrow_columns_u16)
#else
#define NARROWED 0
#endif
#define BOX(acc) {NAME(box_scale_##acc), NAME(box_double_##acc), NAME(box_down_##acc), NAME(box_up_##acc)}

extern const conv_isa NAME(conv_isa);
const conv_isa NAME(conv_isa) = {
	.name = STRING(ISA),
	.vector_bytes = VECTOR_BYTES,
	.direct = {NAME(direct_f32), NAME(direct_f64), NAME(direct_i16), NAME(direct_i64)},
	.strip = {NAME(strip_f32), NAME(strip_f64), NAME(strip_i16), NAME(strip_i64)},
	.group = {GROUP_OF(f32), GROUP_OF(f64), GROUP_OF(i16), GROUP_OF(i64)},
	.fft = {&NAME(fft_f32), &NAME(fft_f64)},
	.row_sums = {NAME(row_sums_f32), NAME(row_sums_f64), NAME(row_sums_i16), NAME(row_sums_i64)},
	.row_sums_from = {SOURCES_f32(ROW_SUMS_FROM)},
	.column_sums = {NAME(column_sums_f32), NAME(column_sums_f64), NAME(column_sums_i16), NAME(column_sums_i64)},
	.narrow_columns = {NARROWED},
	.box = {BOX(f32), BOX(f64), BOX(i16), BOX(i64)},
	.load = NAME(loads),
	.pick_store = NAME(pick_store),
	.store_some = NAME(store_some),
	.has_non_finite = NAME(has_non_finite),
	.copy = NAME(copy),
	.multiply_add = NAME(multiply_add),
	.checks = &NAME(checks),
};
