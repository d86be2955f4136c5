/*
 * What the compiler's vector types cannot say: fused multiply-add (MULSUB a*b - c, SUBMUL c - a*b), minimum and maximum, non-temporal
 * stores, and that a value stays in a register, per ISA. Of a NaN a and a number b, minimum and maximum are b. Included by body.h. The locked
 * instructions of the pool's mutex make non-temporal stores visible before a run is reported; no fence of their own is needed.
 * WIDEN_*: one vector of pixels into the accumulator's type, where the instruction set has it (before: 60 cycles for 80 bytes into floats).
 * SLIDE_*: the vector that begins k elements into `low`, which `high` follows; k must be a constant.
 * NARROW_*: a vector of floats into bytes or 16 bits, saturated and to nearest; ties go to even, as MXCSR says where nobody has changed it, and a
 * NaN becomes 0.
 * FIRST_*: the first n pixels, fewer than a vector, and zeros; nothing behind them is read.
 * LOAD_*: likewise, as a value: gcc 12 converts floats to a vector of 64 bytes by halves, and joins these.
 * KEEP: gcc repeats a load in up to four multiply-adds instead of keeping it, and loads that straddle two lines then bind (groups of four
 * row sums reached 0.4 of the multiply-add peak of a Zen 5, kept 0.86).
 */
#if SIMD_LEVEL == 512
#include <immintrin.h>
#define REGISTERS 32
#define WIDE_GROUPS 1
#define MULADD_f32(a, b, c) ((__typeof__(c))_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#define MULADD_f64(a, b, c) ((__typeof__(c))_mm512_fmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c)))
#define MULSUB_f32(a, b, c) ((__typeof__(c))_mm512_fmsub_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#define SUBMUL_f32(c, a, b) ((__typeof__(c))_mm512_fnmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#define MULSUB_f64(a, b, c) ((__typeof__(c))_mm512_fmsub_pd((__m512d)(a), (__m512d)(b), (__m512d)(c)))
#define SUBMUL_f64(c, a, b) ((__typeof__(c))_mm512_fnmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c)))
#define STREAM(p, v) _mm512_stream_si512((void *)(p), (__m512i)(v))
#define MAX_f32(a, b) ((__typeof__(a))_mm512_max_ps((__m512)(a), (__m512)(b)))
#define MIN_f32(a, b) ((__typeof__(a))_mm512_min_ps((__m512)(a), (__m512)(b)))
#define SLIDE_f32(low, high, k) ((__typeof__(low))_mm512_alignr_epi32((__m512i)(high), (__m512i)(low), (k) & 15))
#define SLIDE_f64(low, high, k) ((__typeof__(low))_mm512_alignr_epi64((__m512i)(high), (__m512i)(low), (k) & 7))
#define SLIDE_i64 SLIDE_f64
#define FLOATS_u8(x) _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(x))
#define FLOATS_u16(x) _mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(x))
#define FLOATS_i16(x) _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(x))
#define FLOATS_f16(x) _mm512_cvtph_ps(x)
#define LOAD_u8_f32(vector, p) ((vector)FLOATS_u8(_mm_loadu_si128((const __m128i *)(p))))
#define LOAD_u16_f32(vector, p) ((vector)FLOATS_u16(_mm256_loadu_si256((const __m256i *)(p))))
#define LOAD_i16_f32(vector, p) ((vector)FLOATS_i16(_mm256_loadu_si256((const __m256i *)(p))))
#define LOAD_f16_f32(vector, p) ((vector)FLOATS_f16(_mm256_loadu_si256((const __m256i *)(p))))
#define FIRST_u8_f32(vector, p, n) ((vector)FLOATS_u8(_mm_maskz_loadu_epi8(LANES_BELOW(16, n), p)))
#define FIRST_u16_f32(vector, p, n) ((vector)FLOATS_u16(_mm256_maskz_loadu_epi16(LANES_BELOW(16, n), p)))
#define FIRST_i16_f32(vector, p, n) ((vector)FLOATS_i16(_mm256_maskz_loadu_epi16(LANES_BELOW(16, n), p)))
#define FIRST_f16_f32(vector, p, n) ((vector)FLOATS_f16(_mm256_maskz_loadu_epi16(LANES_BELOW(16, n), p)))
#define FIRST_f32(vector, p, n) ((vector)_mm512_maskz_loadu_ps(LANES_BELOW(16, n), p))
#define FIRST_f64(vector, p, n) ((vector)_mm512_maskz_loadu_pd(LANES_BELOW(8, n), p))
#define FIRST_i64(vector, p, n) ((vector)_mm512_maskz_loadu_epi64(LANES_BELOW(8, n), p))
#define LANES_BELOW(lanes, n) ((__mmask##lanes)((1u << (n)) - 1))
#define WIDEN_u8_f32(to, from) _mm512_storeu_ps(to, LOAD_u8_f32(__m512, from))
#define WIDEN_u16_f32(to, from) _mm512_storeu_ps(to, LOAD_u16_f32(__m512, from))
#define NEAREST_NOT_NEGATIVE(v) _mm512_cvtps_epi32(_mm512_max_ps((__m512)(v), _mm512_setzero_ps()))
#define NARROW_u8(to, v) _mm_storeu_si128((__m128i *)(to), _mm512_cvtusepi32_epi8(NEAREST_NOT_NEGATIVE(v)))
#define NARROW_u16(to, v) _mm256_storeu_si256((__m256i *)(to), _mm512_cvtusepi32_epi16(NEAREST_NOT_NEGATIVE(v)))
#define WIDEN_u8_i16(to, from) _mm512_storeu_si512(to, _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(from))))
#define LOAD_f32_f64(vector, p) ((vector)_mm512_cvtps_pd(_mm256_loadu_ps(p)))
#define LOAD_i32_f64(vector, p) ((vector)_mm512_cvtepi32_pd(_mm256_loadu_si256((const __m256i *)(p))))
#define LOAD_u16_f64(vector, p) ((vector)_mm512_cvtepi32_pd(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(p)))))
#define LOAD_u8_f64(vector, p) ((vector)_mm512_cvtepi32_pd(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(p)))))
#define MAX_f64(a, b) ((__typeof__(a))_mm512_max_pd((__m512d)(a), (__m512d)(b)))
#define MIN_f64(a, b) ((__typeof__(a))_mm512_min_pd((__m512d)(a), (__m512d)(b)))
#elif SIMD_LEVEL == 256
#include <immintrin.h>
#define REGISTERS 16
#define WIDE_GROUPS 0
#define MULADD_f32(a, b, c) ((__typeof__(c))_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#define MULADD_f64(a, b, c) ((__typeof__(c))_mm256_fmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c)))
#define MULSUB_f32(a, b, c) ((__typeof__(c))_mm256_fmsub_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#define SUBMUL_f32(c, a, b) ((__typeof__(c))_mm256_fnmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#define MULSUB_f64(a, b, c) ((__typeof__(c))_mm256_fmsub_pd((__m256d)(a), (__m256d)(b), (__m256d)(c)))
#define SUBMUL_f64(c, a, b) ((__typeof__(c))_mm256_fnmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c)))
#define STREAM(p, v) _mm256_stream_si256((void *)(p), (__m256i)(v))
#define MAX_f32(a, b) ((__typeof__(a))_mm256_max_ps((__m256)(a), (__m256)(b)))
#define MIN_f32(a, b) ((__typeof__(a))_mm256_min_ps((__m256)(a), (__m256)(b)))
#define WIDEN_u8_f32(to, from) _mm256_storeu_ps(to, _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(from)))))
#define WIDEN_u16_f32(to, from) _mm256_storeu_ps(to, _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(from)))))
#define WIDEN_u8_i16(to, from) _mm256_storeu_si256((__m256i *)(to), _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(from))))
#define LOAD_f32_f64(vector, p) ((vector)_mm256_cvtps_pd(_mm_loadu_ps(p)))
#define LOAD_i32_f64(vector, p) ((vector)_mm256_cvtepi32_pd(_mm_loadu_si128((const __m128i *)(p))))
#define LOAD_u16_f64(vector, p) ((vector)_mm256_cvtepi32_pd(_mm_cvtepu16_epi32(_mm_loadl_epi64((const __m128i *)(p)))))
#define LOAD_u8_f64(vector, p) ((vector)_mm256_cvtepi32_pd(_mm_cvtepu8_epi32(_mm_loadu_si32(p))))
#define MAX_f64(a, b) ((__typeof__(a))_mm256_max_pd((__m256d)(a), (__m256d)(b)))
#define MIN_f64(a, b) ((__typeof__(a))_mm256_min_pd((__m256d)(a), (__m256d)(b)))
#elif SIMD_LEVEL == 128 && defined(__aarch64__)
#include <arm_neon.h>
#define REGISTERS 32
#define WIDE_GROUPS 1
#define MULADD_f32(a, b, c) ((__typeof__(c))vfmaq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b)))
#define MULADD_f64(a, b, c) ((__typeof__(c))vfmaq_f64((float64x2_t)(c), (float64x2_t)(a), (float64x2_t)(b)))
#define MULSUB_f32(a, b, c) (-SUBMUL_f32(c, a, b))
#define MULSUB_f64(a, b, c) (-SUBMUL_f64(c, a, b))
#define SUBMUL_f32(c, a, b) ((__typeof__(c))vfmsq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b)))
#define SUBMUL_f64(c, a, b) ((__typeof__(c))vfmsq_f64((float64x2_t)(c), (float64x2_t)(a), (float64x2_t)(b)))
#define STREAM(p, v) __builtin_memcpy((p), &(v), sizeof(v))
#define MAX_f32(a, b) ((__typeof__(a))vmaxnmq_f32((float32x4_t)(a), (float32x4_t)(b)))
#define MIN_f32(a, b) ((__typeof__(a))vminnmq_f32((float32x4_t)(a), (float32x4_t)(b)))
#define LOAD_f32_f64(vector, p) ((vector)vcvt_f64_f32(vld1_f32(p)))
#define MAX_f64(a, b) ((__typeof__(a))vmaxnmq_f64((float64x2_t)(a), (float64x2_t)(b)))
#define MIN_f64(a, b) ((__typeof__(a))vminnmq_f64((float64x2_t)(a), (float64x2_t)(b)))
#else /* no fused multiply-add: the product is rounded by itself */
#define REGISTERS 16
#define WIDE_GROUPS 0
#define MULADD_f32(a, b, c) ((a) * (b) + (c))
#define MULADD_f64(a, b, c) ((a) * (b) + (c))
#define MULSUB_f32(a, b, c) ((a) * (b) - (c))
#define MULSUB_f64(a, b, c) ((a) * (b) - (c))
#define SUBMUL_f32(c, a, b) ((c) - (a) * (b))
#define SUBMUL_f64(c, a, b) ((c) - (a) * (b))
#define STREAM(p, v) __builtin_memcpy((p), &(v), sizeof(v))
/* a where the comparison holds, else b: of a NaN and a number, b */
#define SELECT(mask, a, b) ((__typeof__(a))(((mask) & (__typeof__(mask))(a)) | (~(mask) & (__typeof__(mask))(b))))
#define MAX_f32(a, b) SELECT((a) > (b), a, b)
#define MIN_f32(a, b) SELECT((a) < (b), a, b)
#define LOAD_f32_f64(vector, p) ((vector){(p)[0], (p)[1]}) /* vectors of 16 bytes */
#define MAX_f64(a, b) SELECT((a) > (b), a, b)
#define MIN_f64(a, b) SELECT((a) < (b), a, b)
#endif
#define LOAD_f64_f64(vector, p) (*(const vector *)(p))
#ifndef LOAD_u8_f64 /* vectors of 16 bytes */
#define LOAD_i32_f64(vector, p) ((vector){(p)[0], (p)[1]})
#define LOAD_u16_f64(vector, p) ((vector){(p)[0], (p)[1]})
#define LOAD_u8_f64(vector, p) ((vector){(p)[0], (p)[1]})
#endif
#define MULADD_i16(a, b, c) ((a) * (b) + (c))
#define MULADD_i64(a, b, c) ((a) * (b) + (c))
#if defined(__aarch64__)
#define KEEP(v) __asm__("" : "+w"(v))
#elif SIMD_LEVEL == 512
#define KEEP(v) __asm__("" : "+v"(v))
#else
#define KEEP(v) __asm__("" : "+x"(v))
#endif
