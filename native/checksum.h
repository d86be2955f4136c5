/* The inner loops of the checksum, for lanes of one type each. Included by body.h; checksum.c calls them. */

/* Asks for the lines that columns x .. x + count - 1 of the next eight rows lie in. */
static inline void NAME(ask_ahead)(const conv_check_rows *rows, int64_t x, int64_t count) {
	const int64_t from = x * rows->element, to = from + count * rows->element;
	if (to / 64 == from / 64 && from % 64 != 0) return;
	for (int h = 0; h < CONV_CHECK_ROWS; h++)
		if (rows->ahead[h])
			for (int64_t at = from; at < to; at += 64) __builtin_prefetch(rows->ahead[h] + at, 0, 3);
}

/* ── float64: any weights ── */

/* sums[p][x] += sum over h < 8 of weights[p*8 + h] * rows[h][x]; a row's vectors are loaded once for all sums. */
static void NAME(project_f64)(void *const *sums, const void *weights, int64_t count, const conv_check_rows *rows, int64_t width) {
	typedef double vector __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));
	enum { LANES = VECTOR_BYTES / 8 };
	for (int64_t x = 0; x < width; x += 2 * LANES) {
		vector a[CONV_CHECK_ROWS], b[CONV_CHECK_ROWS];
		NAME(ask_ahead)(rows, x, 2 * LANES);
		for (int h = 0; h < CONV_CHECK_ROWS; h++) {
			a[h] = *(const vector *)((const double *)rows->row[h] + x);
			b[h] = *(const vector *)((const double *)rows->row[h] + x + LANES);
		}
		for (int64_t p = 0; p < count; p++) {
			const double *w = (const double *)weights + p * CONV_CHECK_ROWS;
			double *to = (double *)sums[p] + x;
			vector s = *(vector *)to, t = *(vector *)(to + LANES);
			for (int h = 0; h < CONV_CHECK_ROWS; h++) {
				const vector weight = w[h] - (vector){0};
				s = MULADD_f64(weight, a[h], s);
				t = MULADD_f64(weight, b[h], t);
			}
			*(vector *)to = s;
			*(vector *)(to + LANES) = t;
		}
	}
}

/* Largest finite magnitude of float32 rows: bits of magnitudes compare like the magnitudes. */
static double NAME(finite_f32)(const conv_check_rows *rows, int64_t width) {
	int32_t most = 0;
	float result;
	for (int h = 0; h < CONV_CHECK_ROWS; h++)
		for (int64_t x = 0; x < width; x++) {
			const int32_t bits = ((const int32_t *)rows->row[h])[x] & INT32_MAX;
			most = bits < 0x7f800000 && bits > most ? bits : most;
		}
	memcpy(&result, &most, 4);
	return result;
}

/* project_f64 for float32 rows, read where they lie. */
static double NAME(project_f32)(void *const *sums, const void *weights, int64_t count, const conv_check_rows *rows, int64_t width) {
	typedef double vector __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));
	typedef float narrow __attribute__((vector_size(VECTOR_BYTES / 2), aligned(4), may_alias));
	typedef int32_t pair __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
	enum { LANES = VECTOR_BYTES / 8 };
	pair most = {0};
	for (int64_t x = 0; x < width; x += 2 * LANES) {
		vector a[CONV_CHECK_ROWS], b[CONV_CHECK_ROWS];
		NAME(ask_ahead)(rows, x, 2 * LANES);
		for (int h = 0; h < CONV_CHECK_ROWS; h++) {
			const float *row = (const float *)rows->row[h] + x;
			const pair bits = *(const pair *)row & INT32_MAX, more = bits > most;
			most = (bits & more) | (most & ~more);
			a[h] = __builtin_convertvector(*(const narrow *)row, vector);
			b[h] = __builtin_convertvector(*(const narrow *)(row + LANES), vector);
		}
		for (int64_t p = 0; p < count; p++) {
			const double *w = (const double *)weights + p * CONV_CHECK_ROWS;
			double *to = (double *)sums[p] + x;
			vector s = *(vector *)to, t = *(vector *)(to + LANES);
			for (int h = 0; h < CONV_CHECK_ROWS; h++) {
				const vector weight = w[h] - (vector){0};
				s = MULADD_f64(weight, a[h], s);
				t = MULADD_f64(weight, b[h], t);
			}
			*(vector *)to = s;
			*(vector *)(to + LANES) = t;
		}
	}
	int32_t largest = 0;
	for (int i = 0; i < 2 * LANES; i++) largest = most[i] > largest ? most[i] : largest;
	if (largest >= 0x7f800000) return NAME(finite_f32)(rows, width);
	float result;
	memcpy(&result, &largest, 4);
	return result;
}

/* The window over filtered rows: to[x] = sum over j, i of taps[j*cols + i] * filtered[j][x*step + offsets[i]]. */
static void NAME(window_f64)(void *to, const void *const *filtered, const conv_window *w, const void *taps, const int64_t *offsets,
                             int64_t step, int64_t width) {
	typedef double vector __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));
	enum { LANES = VECTOR_BYTES / 8, SIDE = 4 };
	const double *const *rows = (const double *const *)filtered;
	const double *tap = taps;
	double *out = to;
	int64_t x = 0;
	for (; step == 1 && x + SIDE * LANES <= width; x += SIDE * LANES) {
		vector s[SIDE] = {{0}};
		for (int64_t j = 0; j < w->rows; j++)
			for (int64_t i = 0; i < w->cols; i++) {
				const vector weight = tap[j * w->cols + i] - (vector){0};
				const double *row = rows[j] + x + offsets[i];
				for (int v = 0; v < SIDE; v++) s[v] = MULADD_f64(weight, *(const vector *)(row + v * LANES), s[v]);
			}
		for (int v = 0; v < SIDE; v++) *(vector *)(out + x + v * LANES) = s[v];
	}
	for (; x < width; x++) {
		double s = 0;
		for (int64_t j = 0; j < w->rows; j++)
			for (int64_t i = 0; i < w->cols; i++) s += tap[j * w->cols + i] * rows[j][x * step + offsets[i]];
		out[x] = s;
	}
}

/* Largest finite magnitude: bits of magnitudes compare like the magnitudes. */
static double NAME(magnitude)(const double *row, int64_t count) {
	const int64_t infinite = INT64_C(0x7ff0000000000000);
	int64_t most = 0;
	double result;
	for (int64_t i = 0; i < count; i++) {
		int64_t bits;
		memcpy(&bits, row + i, 8);
		bits &= INT64_MAX;
		bits = bits < infinite ? bits : 0;
		most = bits > most ? bits : most;
	}
	memcpy(&result, &most, 8);
	return result;
}

/* ── integers modulo 2^n: weights 0 and 1 ── */

/*
 * sums[p][x] += sum over h < 8 of bit h of picks[p] times rows[h][x]. The sixteen sums of four rows are formed once for all p
 * (the method of the four Russians): a sum costs two additions for eight rows.
 */
#define PROJECT(T)                                                                                                             \
	static void NAME(project_##T)(void *const *sums, const void *picks, int64_t count, const conv_check_rows *rows, int64_t width) { \
		typedef T vector __attribute__((vector_size(VECTOR_BYTES), aligned(1), may_alias));                                    \
		typedef T whole __attribute__((vector_size(VECTOR_BYTES)));                                                            \
		enum { LANES = VECTOR_BYTES / sizeof(T) };                                                                             \
		for (int64_t x = 0; x < width; x += LANES) {                                                                           \
			NAME(ask_ahead)(rows, x, LANES);                                                                                   \
			whole low[16], high[16];                                                                                           \
			low[0] = high[0] = (whole){0};                                                                                     \
			for (int h = 0; h < 4; h++)                                                                                        \
				for (int k = 0; k < 1 << h; k++) {                                                                             \
					low[(1 << h) + k] = low[k] + *(const vector *)((const T *)rows->row[h] + x);                                    \
					high[(1 << h) + k] = high[k] + *(const vector *)((const T *)rows->row[h + 4] + x);                              \
				}                                                                                                              \
			for (int64_t p = 0; p < count; p++) {                                                                              \
				const unsigned pick = ((const uint8_t *)picks)[p];                                                             \
				vector *to = (vector *)((T *)sums[p] + x);                                                                     \
				*to += low[pick & 15] + high[pick >> 4];                                                                       \
			}                                                                                                                  \
		}                                                                                                                      \
	}

#define WINDOW(T, W)                                                                                                        \
	static void NAME(window_##T)(void *to, const void *const *filtered, const conv_window *w, const void *taps,             \
	                             const int64_t *offsets, int64_t step, int64_t width) {                                     \
		T *restrict out = to;                                                                                               \
		for (int64_t x = 0; x < width; x++) out[x] = 0;                                                                     \
		for (int64_t j = 0; j < w->rows; j++)                                                                               \
			for (int64_t i = 0; i < w->cols; i++) {                                                                         \
				const T tap = (T)((const uint64_t *)taps)[j * w->cols + i];                                                 \
				const T *restrict row = (const T *)filtered[j] + offsets[i];                                                \
				if (step == 1)                                                                                              \
					for (int64_t x = 0; x < width; x++) out[x] = (T)((W)out[x] + (W)tap * row[x]);                          \
				else                                                                                                        \
					for (int64_t x = 0; x < width; x++) out[x] = (T)((W)out[x] + (W)tap * row[x * step]);                   \
			}                                                                                                               \
	}

#define AS_LANE_u8(x) ((uint8_t)(x))
#define AS_LANE_u16(x) ((uint16_t)(x))
#define AS_LANE_u32(x) ((uint32_t)(x))
#define LANE_LOADS(to, T)                      \
	LOAD(uint8_t, u8, T, to, AS_LANE_##to)     \
	LOAD(int8_t, i8, T, to, AS_LANE_##to)      \
	LOAD(uint16_t, u16, T, to, AS_LANE_##to)   \
	LOAD(int16_t, i16, T, to, AS_LANE_##to)    \
	LOAD(uint32_t, u32, T, to, AS_LANE_##to)   \
	LOAD(int32_t, i32, T, to, AS_LANE_##to)    \
	LOAD(uint64_t, u64, T, to, AS_LANE_##to)   \
	LOAD(int64_t, i64, T, to, AS_LANE_##to)

LANE_LOADS(u8, uint8_t)
LANE_LOADS(u16, uint16_t)
LANE_LOADS(u32, uint32_t)
PROJECT(uint8_t)
PROJECT(uint16_t)
PROJECT(uint32_t)
PROJECT(uint64_t)
/* unsigned products narrower than int are formed in unsigned int: signed ones could overflow */
WINDOW(uint8_t, unsigned)
WINDOW(uint16_t, unsigned)
WINDOW(uint32_t, uint32_t)
WINDOW(uint64_t, uint64_t)

static const conv_checks NAME(checks) = {
	.load =
		{
			[CONV_LANES_U8] = {LOADS_INTEGER(u8)},
			[CONV_LANES_U16] = {LOADS_INTEGER(u16)},
			[CONV_LANES_U32] = {LOADS_INTEGER(u32)},
			[CONV_LANES_U64] = {LOADS_INTEGER(i64)},
			[CONV_LANES_F64] = {LOADS_INTEGER(f64), NAME(load_f16_f64), NAME(load_f32_f64), NAME(load_f64_f64)},
		},
	.project = {NAME(project_uint8_t), NAME(project_uint16_t), NAME(project_uint32_t), NAME(project_uint64_t), NAME(project_f64)},
	.window = {NAME(window_uint8_t), NAME(window_uint16_t), NAME(window_uint32_t), NAME(window_uint64_t), NAME(window_f64)},
	.project_f32 = NAME(project_f32),
	.magnitude = NAME(magnitude),
};
