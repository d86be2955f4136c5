/*
 * Fourier transforms of a tile, once per float type. Included by body.h with
 *   ACC (f32, f64)  T (element)  MULADD(a, b, c) = a*b + c  MULSUB(a, b, c) = a*b - c  SUBMUL(c, a, b) = c - a*b
 *
 * Lanes are independent columns (or rows, in fft_rows): no element depends on the vector's length, every element sees the same fused
 * operations in the same order on every vector ISA.
 *
 * A tile holds one complex number per pixel, real part and imaginary part being two tiles of the image: a real kernel keeps them apart. It
 * lies in blocks of L columns, each contiguous:  block b, row y:  L real parts, L imaginary parts.
 *
 *     fft_columns_forward   block by block, along y
 *     fft_rows              L rows at a time: transpose into the scratch, along x, times the kernel's spectrum, back, transpose
 *     fft_columns_inverse   block by block
 */
#define JOIN3_(a, b, c) a##_##b##_##c
#define JOIN3(a, b, c) JOIN3_(a, b, c)
#define FN(name) JOIN3(name, ACC, ISA)
#define L ((int64_t)(VECTOR_BYTES / sizeof(T)))
#define VEC FN(fft_vector)
#define COMPLEX FN(fft_complex)
#define INLINE static inline __attribute__((always_inline))

typedef T VEC __attribute__((vector_size(VECTOR_BYTES)));
typedef T FN(fft_loose) __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(T)), may_alias));
typedef struct COMPLEX {
	VEC re, im;
} COMPLEX;

/* ── butterflies: y[q] = sum over p of a[p] e^(-2 pi i p q / r) ── */

#define ADD(a, b) ((COMPLEX){(a).re + (b).re, (a).im + (b).im})
#define SUB(a, b) ((COMPLEX){(a).re - (b).re, (a).im - (b).im})
#define SUB_I(a, b) ((COMPLEX){(a).re + (b).im, (a).im - (b).re}) /* a - ib */
#define ADD_I(a, b) ((COMPLEX){(a).re - (b).im, (a).im + (b).re}) /* a + ib */
/* a + cb, a - cb, a - icb, a + icb */
#define ADD_TIMES(a, c, b) ((COMPLEX){MULADD((b).re, c, (a).re), MULADD((b).im, c, (a).im)})
#define SUB_TIMES(a, c, b) ((COMPLEX){SUBMUL((a).re, (b).re, c), SUBMUL((a).im, (b).im, c)})
#define SUB_I_TIMES(a, c, b) ((COMPLEX){MULADD((b).im, c, (a).re), SUBMUL((a).im, (b).re, c)})
#define ADD_I_TIMES(a, c, b) ((COMPLEX){SUBMUL((a).re, (b).im, c), MULADD((b).re, c, (a).im)})
#define EVERY(x) ((VEC){} + (T)(x))

INLINE void FN(fft_4)(const COMPLEX *a, COMPLEX *y) {
	const COMPLEX s = ADD(a[0], a[2]), d = SUB(a[0], a[2]), t = ADD(a[1], a[3]), e = SUB(a[1], a[3]);
	y[0] = ADD(s, t);
	y[1] = SUB_I(d, e);
	y[2] = SUB(s, t);
	y[3] = ADD_I(d, e);
}

INLINE void FN(fft_3)(const COMPLEX *a, COMPLEX *y) {
	const VEC half = EVERY(0.5), s = EVERY(0.86602540378443864676);
	const COMPLEX t = ADD(a[1], a[2]), d = SUB(a[1], a[2]), m = SUB_TIMES(a[0], half, t);
	y[0] = ADD(a[0], t);
	y[1] = SUB_I_TIMES(m, s, d);
	y[2] = ADD_I_TIMES(m, s, d);
}

INLINE void FN(fft_5)(const COMPLEX *a, COMPLEX *y) {
	const VEC c1 = EVERY(0.30901699437494742410), c2 = EVERY(0.80901699437494742410); /* cos 72, -cos 144 degrees */
	const VEC s1 = EVERY(0.95105651629515357212), s2 = EVERY(0.58778525229247312917); /* sin 72, sin 144 */
	const COMPLEX t1 = ADD(a[1], a[4]), t2 = ADD(a[2], a[3]), d1 = SUB(a[1], a[4]), d2 = SUB(a[2], a[3]);
	const COMPLEX m1 = SUB_TIMES(ADD_TIMES(a[0], c1, t1), c2, t2), m2 = ADD_TIMES(SUB_TIMES(a[0], c2, t1), c1, t2);
	const COMPLEX n1 = {MULADD(d2.re, s2, d1.re * s1), MULADD(d2.im, s2, d1.im * s1)};
	const COMPLEX n2 = {MULSUB(d1.re, s2, d2.re * s1), MULSUB(d1.im, s2, d2.im * s1)};
	y[0] = ADD(ADD(a[0], t1), t2);
	y[1] = SUB_I(m1, n1);
	y[2] = SUB_I(m2, n2);
	y[3] = ADD_I(m2, n2);
	y[4] = ADD_I(m1, n1);
}

INLINE void FN(fft_8)(const COMPLEX *a, COMPLEX *y) {
	const VEC c = EVERY(0.70710678118654752440);
	const COMPLEX s0 = ADD(a[0], a[4]), d0 = SUB(a[0], a[4]), s1 = ADD(a[1], a[5]), d1 = SUB(a[1], a[5]);
	const COMPLEX s2 = ADD(a[2], a[6]), d2 = SUB(a[2], a[6]), s3 = ADD(a[3], a[7]), d3 = SUB(a[3], a[7]);
	COMPLEX even[4];
	FN(fft_4)((const COMPLEX[]){s0, s1, s2, s3}, even);
	y[0] = even[0];
	y[2] = even[1];
	y[4] = even[2];
	y[6] = even[3];
	const COMPLEX t0 = SUB_I(d0, d2), t1 = ADD_I(d0, d2), e = SUB(d1, d3), f = ADD(d1, d3);
	const COMPLEX u = SUB_I(e, f), v = SUB_I(f, e); /* (1 - i) d1 + (-1 - i) d3 and (1 - i) d1 - (-1 - i) d3 */
	y[1] = ADD_TIMES(t0, c, u);
	y[5] = SUB_TIMES(t0, c, u);
	y[3] = SUB_I_TIMES(t1, c, v);
	y[7] = ADD_I_TIMES(t1, c, v);
}

INLINE void FN(fft_any)(int radix, const COMPLEX *a, COMPLEX *y) {
	switch (radix) {
	case 2:
		y[0] = ADD(a[0], a[1]);
		y[1] = SUB(a[0], a[1]);
		return;
	case 3: FN(fft_3)(a, y); return;
	case 4: FN(fft_4)(a, y); return;
	case 5: FN(fft_5)(a, y); return;
	default: FN(fft_8)(a, y);
	}
}

/* ── one butterfly in memory ── */

INLINE COMPLEX FN(fft_load)(const T *x) { return (COMPLEX){*(const VEC *)x, *(const VEC *)(x + L)}; }

INLINE void FN(fft_store)(T *x, COMPLEX y) {
	*(VEC *)x = y.re;
	*(VEC *)(x + L) = y.im;
}

/* a*w and a*conj(w) */
INLINE COMPLEX FN(fft_turned)(COMPLEX a, const T *w) {
	const VEC re = w[0] - (VEC){}, im = w[1] - (VEC){};
	return (COMPLEX){MULSUB(a.re, re, a.im * im), MULADD(a.re, im, a.im * re)};
}
INLINE COMPLEX FN(fft_turned_back)(COMPLEX a, const T *w) {
	const VEC re = w[0] - (VEC){}, im = w[1] - (VEC){};
	return (COMPLEX){MULADD(a.re, re, a.im * im), MULSUB(a.im, re, a.re * im)};
}

/* How fft_columns_forward reads a pixel: x*scale + shift, which is the pixel less the mean, scaled by a power of two. */
typedef struct FN(fft_centre) {
	VEC scale_re, scale_im, shift_re, shift_im;
} FN(fft_centre);

INLINE void FN(fft_forward_step)(int radix, T *x, int64_t step, const T *twiddles, const FN(fft_centre) *centre) {
	COMPLEX a[8], y[8];
#pragma GCC unroll 8
	for (int q = 0; q < radix; q++) {
		a[q] = FN(fft_load)(x + q * step * 2 * L);
		if (centre) {
			a[q].re = MULADD(a[q].re, centre->scale_re, centre->shift_re);
			a[q].im = MULADD(a[q].im, centre->scale_im, centre->shift_im);
		}
	}
	FN(fft_any)(radix, a, y);
	FN(fft_store)(x, y[0]);
#pragma GCC unroll 8
	for (int q = 1; q < radix; q++)
		FN(fft_store)(x + q * step * 2 * L, twiddles ? FN(fft_turned)(y[q], twiddles + (q - 1) * 2) : y[q]);
}

INLINE void FN(fft_inverse_step)(int radix, T *x, int64_t step, const T *twiddles) {
	COMPLEX a[8], y[8];
	a[0] = FN(fft_load)(x);
#pragma GCC unroll 8
	for (int q = 1; q < radix; q++) {
		const COMPLEX b = FN(fft_load)(x + q * step * 2 * L);
		a[q] = twiddles ? FN(fft_turned_back)(b, twiddles + (q - 1) * 2) : b;
	}
	FN(fft_any)(radix, a, y);
#pragma GCC unroll 8
	for (int q = 0; q < radix; q++) FN(fft_store)(x + (radix - q) % radix * step * 2 * L, y[q]);
}

/* The last forward pass, the product with the spectrum and the first inverse pass, without leaving the registers. */
INLINE void FN(fft_turn_step)(int radix, T *x, const T *spectrum) {
	COMPLEX a[8], y[8];
#pragma GCC unroll 8
	for (int q = 0; q < radix; q++) a[q] = FN(fft_load)(x + q * 2 * L);
	FN(fft_any)(radix, a, y);
#pragma GCC unroll 8
	for (int q = 0; q < radix; q++) {
		const COMPLEX w = FN(fft_load)(spectrum + q * 2 * L);
		a[q] = (COMPLEX){MULSUB(y[q].re, w.re, y[q].im * w.im), MULADD(y[q].re, w.im, y[q].im * w.re)};
	}
	FN(fft_any)(radix, a, y);
#pragma GCC unroll 8
	for (int q = 0; q < radix; q++) FN(fft_store)(x + (radix - q) % radix * 2 * L, y[q]);
}

/* ── one pass ── */

INLINE void FN(fft_forward_radix)(int radix, T *x, int64_t n, int64_t length, const T *twiddles, const FN(fft_centre) *centre) {
	const int64_t step = length / radix;
	for (int64_t b = 0; b < n; b += length) {
		T *block = x + b * 2 * L;
		FN(fft_forward_step)(radix, block, step, NULL, centre);
		for (int64_t j = 1; j < step; j++)
			FN(fft_forward_step)(radix, block + j * 2 * L, step, twiddles + (j - 1) * (radix - 1) * 2, centre);
	}
}

INLINE void FN(fft_inverse_radix)(int radix, T *x, int64_t n, int64_t length, const T *twiddles) {
	const int64_t step = length / radix;
	for (int64_t b = 0; b < n; b += length) {
		T *block = x + b * 2 * L;
		FN(fft_inverse_step)(radix, block, step, NULL);
		for (int64_t j = 1; j < step; j++)
			FN(fft_inverse_step)(radix, block + j * 2 * L, step, twiddles + (j - 1) * (radix - 1) * 2);
	}
}

#define RADICES(CALL) \
	switch (radix) {  \
	case 2: CALL(2); break; \
	case 3: CALL(3); break; \
	case 4: CALL(4); break; \
	case 5: CALL(5); break; \
	default: CALL(8);       \
	}

static __attribute__((noinline)) void FN(fft_forward_pass)(int radix, T *x, int64_t n, int64_t length, const T *twiddles) {
#define CALL(r) FN(fft_forward_radix)(r, x, n, length, twiddles, NULL)
	RADICES(CALL)
#undef CALL
}

static __attribute__((noinline)) void FN(fft_first_pass)(int radix, T *x, int64_t n, const T *twiddles, const FN(fft_centre) *centre) {
#define CALL(r) FN(fft_forward_radix)(r, x, n, n, twiddles, centre)
	RADICES(CALL)
#undef CALL
}

static __attribute__((noinline)) void FN(fft_inverse_pass)(int radix, T *x, int64_t n, int64_t length, const T *twiddles) {
#define CALL(r) FN(fft_inverse_radix)(r, x, n, length, twiddles)
	RADICES(CALL)
#undef CALL
}

static __attribute__((noinline)) void FN(fft_turn_pass)(int radix, T *x, int64_t n, const T *spectrum) {
#define CALL(r) \
	for (int64_t b = 0; b < n; b += r) FN(fft_turn_step)(r, x + b * 2 * L, spectrum + b * 2 * L)
	RADICES(CALL)
#undef CALL
}

/* ── columns ── */

static void FN(fft_columns_forward)(const conv_fft_axis *axis, void *block, const double scale[2], const double shift[2]) {
	const FN(fft_centre) centre = {EVERY((T)scale[0]), EVERY((T)scale[1]), EVERY((T)shift[0]), EVERY((T)shift[1])};
	FN(fft_first_pass)(axis->radix[0], block, axis->n, axis->twiddles[0], &centre);
	int64_t length = axis->n / axis->radix[0];
	for (int k = 1; k < axis->passes; k++) {
		FN(fft_forward_pass)(axis->radix[k], block, axis->n, length, axis->twiddles[k]);
		length /= axis->radix[k];
	}
}

static void FN(fft_columns_inverse)(const conv_fft_axis *axis, void *block) {
	int64_t length = 1;
	for (int k = axis->passes - 1; k >= 0; k--) {
		length *= axis->radix[k];
		FN(fft_inverse_pass)(axis->radix[k], block, axis->n, length, axis->twiddles[k]);
	}
}

/* ── rows ── */

/* L rows of a tile and the scratch change places: `into` the scratch, or back. */
INLINE void FN(fft_swap_rows)(const conv_fft_rows *call, int into) {
	for (int64_t b = 0; b < call->blocks; b++) {
		T *tile = (T *)call->rows + b * call->pitch, *scratch = (T *)call->scratch + b * L * 2 * L;
		T *from = into ? tile : scratch, *to = into ? scratch : tile;
		for (int part = 0; part < 2; part++) {
			VEC v[VECTOR_BYTES / sizeof(T)];
#pragma GCC unroll 16
			for (int i = 0; i < (int)L; i++) v[i] = *(const VEC *)(from + (2 * i + part) * L);
			FN(transpose)(v);
#pragma GCC unroll 16
			for (int i = 0; i < (int)L; i++) *(VEC *)(to + (2 * i + part) * L) = v[i];
		}
	}
}

static void FN(fft_rows)(const conv_fft_rows *call) {
	const conv_fft_axis *axis = call->axis;
	FN(fft_swap_rows)(call, 1);
	int64_t length = axis->n;
	for (int k = 0; k < axis->passes - 1; k++) {
		FN(fft_forward_pass)(axis->radix[k], call->scratch, axis->n, length, axis->twiddles[k]);
		length /= axis->radix[k];
	}
	if (call->spectrum == NULL) { /* only forward: the result stays in the scratch */
		FN(fft_forward_pass)((int)length, call->scratch, axis->n, length, NULL);
		return;
	}
	FN(fft_turn_pass)((int)length, call->scratch, axis->n, call->spectrum);
	for (int k = axis->passes - 2; k >= 0; k--) {
		length *= axis->radix[k];
		FN(fft_inverse_pass)(axis->radix[k], call->scratch, axis->n, length, axis->twiddles[k]);
	}
	FN(fft_swap_rows)(call, 0);
}

/* ── pixels in, sums out ── */

/* Sums are formed in 16 lanes whatever the vector's length, so that they come out the same. */
#define SIDE (16 / L)

static void FN(fft_put_row)(const conv_fft_put *call, const void *from) {
	const T *x = from;
	T *to = call->row;
	T *sum = call->sum, *low = call->low, *high = call->high;
	const VEC pivot = EVERY(call->pivot);
	VEC s[16 / L], l[16 / L], h[16 / L];
#pragma GCC unroll 8
	for (int v = 0; v < (int)SIDE; v++) {
		s[v] = call->fresh ? (VEC){} : *(const VEC *)(sum + v * L);
		l[v] = call->fresh ? EVERY(INFINITY) : *(const VEC *)(low + v * L);
		h[v] = call->fresh ? EVERY(-INFINITY) : *(const VEC *)(high + v * L);
	}
	int64_t i = 0;
	for (; i + 16 <= call->count; i += 16) {
#pragma GCC unroll 8
		for (int v = 0; v < (int)SIDE; v++) {
			const VEC p = *(const FN(fft_loose) *)(x + i + v * L), d = p - pivot;
			*(VEC *)(to + (i / L + v) * call->pitch) = p;
			s[v] += d;
			l[v] = MIN(d, l[v]);
			h[v] = MAX(d, h[v]);
		}
	}
	if (i < call->count) { /* columns beyond: the pivot, and for lows and highs the pixel 16 before */
		_Alignas(VECTOR_BYTES) T rest[16], seen[16];
		for (int k = 0; k < 16; k++) {
			rest[k] = i + k < call->count ? x[i + k] : (T)call->pivot;
			seen[k] = i + k < call->count ? x[i + k] : i > 0 ? x[i + k - 16] : (T)call->pivot;
		}
#pragma GCC unroll 8
		for (int v = 0; v < (int)SIDE; v++) {
			const VEC p = *(const VEC *)(rest + v * L), d = *(const VEC *)(seen + v * L) - pivot;
			if (i / L + v < call->blocks) *(VEC *)(to + (i / L + v) * call->pitch) = p;
			s[v] += p - pivot;
			l[v] = MIN(d, l[v]);
			h[v] = MAX(d, h[v]);
		}
	}
#pragma GCC unroll 8
	for (int v = 0; v < (int)SIDE; v++) {
		*(VEC *)(sum + v * L) = s[v];
		*(VEC *)(low + v * L) = l[v];
		*(VEC *)(high + v * L) = h[v];
	}
}

/* Sum of ((x - mean) * scale)^2 over `count` columns of `rows` rows; columns beyond become the mean. */
static double FN(fft_square_sum)(const conv_fft_put *call, int64_t rows, double mean_, double scale_) {
	const T mean = (T)mean_;
	const VEC m = EVERY(mean), scale = EVERY((T)scale_);
	VEC s[SIDE][4]; /* by row modulo 4: additions that wait for each other are slow */
	memset(s, 0, sizeof s);
	for (int64_t b = 0; b < call->blocks; b++) {
		T *at = (T *)call->row + b * call->pitch;
		for (int64_t x = call->count - b * L > 0 ? call->count - b * L : 0; x < L; x++)
			for (int64_t y = 0; y < rows; y++) at[y * 2 * L + x] = mean;
		VEC *sum = s[b % SIDE];
		int64_t y = 0;
		for (; y + 4 <= rows; y += 4)
#pragma GCC unroll 4
			for (int k = 0; k < 4; k++) {
				const VEC d = (*(const VEC *)(at + (y + k) * 2 * L) - m) * scale;
				sum[k] = MULADD(d, d, sum[k]);
			}
		for (; y < rows; y++) {
			const VEC d = (*(const VEC *)(at + y * 2 * L) - m) * scale;
			sum[0] = MULADD(d, d, sum[0]);
		}
	}
	double total = 0;
	for (int v = 0; v < (int)SIDE; v++)
		for (int i = 0; i < (int)L; i++)
			for (int k = 0; k < 4; k++) total += (double)s[v][k][i];
	return total;
}

static void FN(fft_fill_rows)(const conv_fft_put *call, int64_t rows, double value) {
	const VEC v = EVERY((T)value);
	for (int64_t b = 0; b < call->blocks; b++)
		for (int64_t y = 0; y < rows; y++) *(VEC *)((T *)call->row + b * call->pitch + y * 2 * L) = v;
}

/* x*scale + shift of one row of one part. */
static void FN(fft_take_row)(const void *row, int64_t pitch, int64_t count, double scale_, double shift_, void *to) {
	const VEC scale = EVERY((T)scale_), shift = EVERY((T)shift_);
	const T *from = row;
	T *t = to;
	int64_t i = 0;
	for (; i + L <= count; i += L) *(FN(fft_loose) *)(t + i) = MULADD(*(const VEC *)(from + i / L * pitch), scale, shift);
	if (i < count) {
		const VEC v = MULADD(*(const VEC *)(from + i / L * pitch), scale, shift);
		memcpy(t + i, &v, (size_t)(count - i) * sizeof(T));
	}
}

static const conv_fft_kernels FN(fft) = {
	.put_row = FN(fft_put_row),
	.square_sum = FN(fft_square_sum),
	.fill_rows = FN(fft_fill_rows),
	.columns_forward = FN(fft_columns_forward),
	.rows = FN(fft_rows),
	.columns_inverse = FN(fft_columns_inverse),
	.take_row = FN(fft_take_row),
};

#undef SIDE
#undef RADICES
#undef EVERY
#undef ADD
#undef SUB
#undef SUB_I
#undef ADD_I
#undef ADD_TIMES
#undef SUB_TIMES
#undef SUB_I_TIMES
#undef ADD_I_TIMES
#undef INLINE
#undef COMPLEX
#undef VEC
#undef L
#undef FN
#undef JOIN3
#undef JOIN3_
