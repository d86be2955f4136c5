/*
 * The inner loops of the checksum modulo 2^n, and the table of all of them. Included by body.h; checksum_project.c and checksum.c call
 * them.
 */

/*
 * sums[p][x] += sum over h < 16 of bit h of picks[p] times rows[h][x]. The sixteen sums of four rows are formed once for all p
 * (the method of the four Russians): a sum costs four additions for sixteen rows, and its picks are taken apart once for four vectors.
 */
#define PROJECT(T)                                                                                                          \
	static inline __attribute__((always_inline)) void NAME(project_some_##T)(                                               \
		void *const *sums, const uint16_t *picks, int64_t count, const conv_check_rows *rows, int64_t from, int64_t to, const int vectors) { \
		typedef T vector __attribute__((vector_size(VECTOR_BYTES), aligned(1), may_alias));                                 \
		typedef T whole __attribute__((vector_size(VECTOR_BYTES)));                                                         \
		enum { LANES = VECTOR_BYTES / sizeof(T) };                                                                          \
		whole some[CONV_CHECK_ROWS / 4][16][4];                                                                             \
		for (int q = 0; q < CONV_CHECK_ROWS / 4; q++)                                                                       \
			for (int v = 0; v < vectors; v++) some[q][0][v] = (whole){0};                                                   \
		for (int64_t x = from; x < to; x += vectors * LANES) {                                                              \
			const int64_t at = x * (int64_t)sizeof(T) + rows->ahead, beyond = at - rows->bytes;                             \
			for (int q = 0; q < CONV_CHECK_ROWS / 4; q++)                                                                   \
				for (int v = 0; v < vectors; v++) {                                                                         \
					whole sum[16] = {{0}};                                                                                  \
					for (int h = 0; h < 4; h++) {                                                                           \
						const vector *row = (const vector *)((const T *)rows->row[q * 4 + h] + x + v * LANES);              \
						const whole pixels = *row;                                                                          \
						const char *ask = beyond < 0 ? (const char *)rows->row[q * 4 + h] + at : rows->next[q * 4 + h] + beyond; \
						if (v * VECTOR_BYTES % 64 == 0) __builtin_prefetch(ask + v * VECTOR_BYTES, 0, 3);                   \
						for (int k = 0; k < 1 << h; k++) sum[(1 << h) + k] = sum[k] + pixels;                               \
					}                                                                                                       \
					for (int k = 1; k < 16; k++) some[q][k][v] = sum[k];                                                    \
				}                                                                                                           \
			for (int64_t p = 0; p < count; p++) {                                                                           \
				const unsigned pick = picks[p];                                                                             \
				T *sum = (T *)sums[p] + x;                                                                                  \
				for (int v = 0; v < vectors; v++)                                                                           \
					*(vector *)(sum + v * LANES) += (some[0][pick & 15][v] + some[1][pick >> 4 & 15][v]) +                  \
					                                (some[2][pick >> 8 & 15][v] + some[3][pick >> 12][v]);                  \
			}                                                                                                               \
		}                                                                                                                   \
	}                                                                                                                       \
	static void NAME(project_##T)(void *const *sums, const void *picks, int64_t count, const conv_check_rows *rows, double *most, \
	                              int64_t width) {                                                                          \
		const int64_t step = 4 * VECTOR_BYTES / (int64_t)sizeof(T), whole = width / step * step;                            \
		(void)most;                                                                                                         \
		NAME(project_some_##T)(sums, picks, count, rows, 0, whole, 4);                                                      \
		NAME(project_some_##T)(sums, picks, count, rows, whole, width, 1);                                                  \
	}

/* One column after the other, where they are not as dense as the image's, and at the end of a row. */
#define WINDOW_SLOW(T, W)                                                                                                   \
	static void NAME(window_slow_##T)(T *to, const void *const *filtered, const conv_window *w, const uint64_t *taps,       \
	                                  const int64_t *offsets, int64_t step, int64_t from, int64_t width) {                  \
		for (int64_t x = from; x < width; x++) to[x] = 0;                                                                   \
		for (int64_t j = 0; j < w->rows; j++)                                                                               \
			for (int64_t i = 0; i < w->cols; i++) {                                                                         \
				const T tap = (T)taps[j * w->cols + i];                                                                     \
				const T *restrict row = (const T *)filtered[j] + offsets[i];                                                \
				for (int64_t x = from; x < width; x++) to[x] = (T)((W)to[x] + (W)tap * row[x * step]);                      \
			}                                                                                                               \
	}

/* The window over filtered rows, as window_f64. */
#define WINDOW(T, W)                                                                                                        \
	WINDOW_SLOW(T, W)                                                                                                       \
	static void NAME(window_##T)(void *to, const void *const *filtered, const conv_window *w, const void *taps,             \
	                             const int64_t *offsets, int64_t step, int64_t width) {                                     \
		typedef T vector __attribute__((vector_size(VECTOR_BYTES), aligned(1), may_alias));                                 \
		enum { LANES = VECTOR_BYTES / sizeof(T), SIDE = 4 };                                                                \
		int64_t x = 0;                                                                                                      \
		for (; step == 1 && x + SIDE * LANES <= width; x += SIDE * LANES) {                                                 \
			vector s[SIDE] = {{0}};                                                                                         \
			for (int64_t j = 0; j < w->rows; j++)                                                                           \
				for (int64_t i = 0; i < w->cols; i++) {                                                                     \
					const vector tap = (T)((const uint64_t *)taps)[j * w->cols + i] - (vector){0};                          \
					const T *row = (const T *)filtered[j] + x + offsets[i];                                                 \
					for (int v = 0; v < SIDE; v++) s[v] += tap * *(const vector *)(row + v * LANES);                        \
				}                                                                                                           \
			for (int v = 0; v < SIDE; v++) *(vector *)((T *)to + x + v * LANES) = s[v];                                     \
		}                                                                                                                   \
		NAME(window_slow_##T)(to, filtered, w, taps, offsets, step, x, width);                                              \
	}

/* No instruction multiplies bytes: those at even places are the low halves of 16-bit products, those at odd ones are shifted there. */
WINDOW_SLOW(uint8_t, unsigned)
static void NAME(window_uint8_t)(void *to, const void *const *filtered, const conv_window *w, const void *taps, const int64_t *offsets,
                                 int64_t step, int64_t width) {
	typedef uint16_t vector __attribute__((vector_size(VECTOR_BYTES), aligned(1), may_alias));
	enum { SIDE = 4 };
	int64_t x = 0;
	for (; step == 1 && x + SIDE * VECTOR_BYTES <= width; x += SIDE * VECTOR_BYTES) {
		vector even[SIDE] = {{0}}, odd[SIDE] = {{0}};
		for (int64_t j = 0; j < w->rows; j++)
			for (int64_t i = 0; i < w->cols; i++) {
				const vector tap = (uint16_t)((const uint64_t *)taps)[j * w->cols + i] - (vector){0};
				const uint8_t *row = (const uint8_t *)filtered[j] + x + offsets[i];
				for (int v = 0; v < SIDE; v++) {
					const vector pixels = *(const vector *)(row + v * VECTOR_BYTES);
					even[v] += tap * pixels;
					odd[v] += tap * (pixels >> 8);
				}
			}
		for (int v = 0; v < SIDE; v++) *(vector *)((uint8_t *)to + x + v * VECTOR_BYTES) = (even[v] & 0xff) | (odd[v] << 8);
	}
	NAME(window_slow_uint8_t)(to, filtered, w, taps, offsets, step, x, width);
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
	.project = {NAME(project_uint8_t), NAME(project_uint16_t), NAME(project_uint32_t), NAME(project_uint64_t), NAME(project_f64_f64)},
	.real =
		{
			[CONV_U8] = NAME(project_u8_f64),
			[CONV_U16] = NAME(project_u16_f64),
			[CONV_I32] = NAME(project_i32_f64),
			[CONV_F32] = NAME(project_f32_f64),
			[CONV_F64] = NAME(project_f64_f64),
		},
	.window = {NAME(window_uint8_t), NAME(window_uint16_t), NAME(window_uint32_t), NAME(window_uint64_t), NAME(window_f64)},
	.two_windows = NAME(two_windows),
	.apart = NAME(apart_f64),
};
