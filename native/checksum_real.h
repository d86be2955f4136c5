/* The inner loops of the checksum in float64. Included by body.h; checksum_project.c and checksum_compare.c call them. */

typedef double NAME(real) __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));
typedef int64_t NAME(real_bits) __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));

/*
 * Sums that are formed at once, all in registers while the rows go by, and the vectors of columns of each: the fewer sums, the more
 * columns, so that enough multiply-adds are under way. Two vectors are the least, and what is left at the end of a row.
 */
#if REGISTERS == 32
#define REAL_SUMS 12
#define REAL_OPEN 24
#else
#define REAL_SUMS 5
#define REAL_OPEN 10
#endif
#define REAL_VECTORS(sums) ((sums) * 8 <= REAL_OPEN ? 8 : (sums) * 4 <= REAL_OPEN ? 4 : 2)

#define REAL_MAGNITUDE(x) ((NAME(real))((NAME(real_bits))(x) & INT64_MAX))

/* The largest |pixel| of two vectors of columns. Magnitudes of float32 are compared as such: two instructions for sixteen columns. */
#define REAL_BITS_f32 int32_t
#define REAL_BITS_f64 int64_t
#define REAL_POSITIVE_f32 INT32_MAX
#define REAL_POSITIVE_f64 INT64_MAX
#define REAL_MEASURED_f32 1
#define REAL_MEASURED_f64 1
/* M of integers is that of their dtype */
#define REAL_MEASURED_u8 0
#define REAL_MEASURED_u16 0
#define REAL_MEASURED_i32 0
static inline void NAME(most_u8)(double *most, const conv_check_rows *rows, int64_t x) { (void)most, (void)rows, (void)x; }
static inline void NAME(most_u16)(double *most, const conv_check_rows *rows, int64_t x) { (void)most, (void)rows, (void)x; }
static inline void NAME(most_i32)(double *most, const conv_check_rows *rows, int64_t x) { (void)most, (void)rows, (void)x; }
#define REAL_MOST(S, dtype)                                                                                                 \
	static inline __attribute__((always_inline)) void NAME(most_##dtype)(double *most, const conv_check_rows *rows, int64_t x) { \
		typedef S vector __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(S)), may_alias));                         \
		typedef REAL_BITS_##dtype bits __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(S)), may_alias));                  \
		enum { LANES = VECTOR_BYTES / 8, PARTS = 2 * sizeof(S) / 8 };                                                       \
		vector m[PARTS] = {{0}};                                                                                            \
		for (int64_t h = 0; h < rows->count; h++)                                                                           \
			for (int k = 0; k < PARTS; k++) {                                                                               \
				const bits pixels = *(const bits *)((const S *)rows->row[h] + x + k * (VECTOR_BYTES / sizeof(S)));          \
				m[k] = MAX_##dtype((vector)(pixels & REAL_POSITIVE_##dtype), m[k]);                                         \
			}                                                                                                               \
		for (int v = 0; v < 2; v++) {                                                                                       \
			NAME(real) *to = (NAME(real) *)(most + v * LANES);                                                              \
			*to = MAX_f64(LOAD_##dtype##_f64(NAME(real), (const S *)m + v * LANES), *to);                                   \
		}                                                                                                                   \
	}

/* Columns from .. to - 1 of `group` sums; the weights of a row lie together, those of the next one `apart` further on. */
#define REAL_BLOCK(S, dtype)                                                                                                \
	static inline __attribute__((always_inline)) void NAME(real_block_##dtype)(                                             \
		void *const *sums, const double *weights, int64_t apart, const conv_check_rows *rows, double *most, int64_t from,   \
		int64_t to, const int group, const int vectors) {                                                                   \
		enum { LANES = VECTOR_BYTES / 8, PER_LINE = 64 / sizeof(S) / LANES }; /* vectors */                                               \
		for (int64_t x = from; x < to; x += vectors * LANES) {                                                              \
			const int64_t at = x * (int64_t)sizeof(S) + rows->ahead, beyond = at - rows->bytes;                             \
			NAME(real) s[REAL_SUMS][8];                                                                                     \
			for (int p = 0; p < group; p++)                                                                                 \
				for (int v = 0; v < vectors; v++) s[p][v] = *(NAME(real) *)((double *)sums[p] + x + v * LANES);             \
			for (int64_t h = 0; h < rows->count; h++) {                                                                     \
				const S *row = (const S *)rows->row[h] + x;                                                                 \
				const double *w = weights + h * apart;                                                                      \
				NAME(real) a[8];                                                                                            \
				for (int v = 0; v < vectors; v += PER_LINE)                                                                 \
					__builtin_prefetch((beyond < 0 ? (const char *)rows->row[h] + at : rows->next[h] + beyond) + v * LANES * (int64_t)sizeof(S), 0, 3); \
				for (int v = 0; v < vectors; v++) a[v] = LOAD_##dtype##_f64(NAME(real), row + v * LANES);                   \
				for (int p = 0; p < group; p++) {                                                                           \
					const NAME(real) weight = w[p] - (NAME(real)){0};                                                       \
					for (int v = 0; v < vectors; v++) s[p][v] = MULADD_f64(weight, a[v], s[p][v]);                          \
				}                                                                                                           \
			}                                                                                                               \
			for (int p = 0; p < group; p++)                                                                                 \
				for (int v = 0; v < vectors; v++) *(NAME(real) *)((double *)sums[p] + x + v * LANES) = s[p][v];             \
			for (int v = 0; REAL_MEASURED_##dtype && most && v < vectors; v += 2)                                                                    \
				NAME(most_##dtype)(most + x + v * LANES, rows, x + v * LANES);                                              \
		}                                                                                                                   \
	}

#define REAL_GROUP(dtype, group)                                                                                            \
	static __attribute__((noinline)) void NAME(real_##group##_##dtype)(void *const *sums, const double *weights, int64_t apart, \
	                                                                   const conv_check_rows *rows, double *most, int64_t width) { \
		const int64_t step = REAL_VECTORS(group) * (VECTOR_BYTES / 8), whole = width / step * step;                         \
		NAME(real_block_##dtype)(sums, weights, apart, rows, most, 0, whole, group, REAL_VECTORS(group));                   \
		if (REAL_VECTORS(group) > 2) NAME(real_block_##dtype)(sums, weights, apart, rows, most, whole, width, group, 2);    \
	}

#if REGISTERS == 32
#define REAL_MORE_GROUPS(dtype) \
	REAL_GROUP(dtype, 6) REAL_GROUP(dtype, 7) REAL_GROUP(dtype, 8) REAL_GROUP(dtype, 9) REAL_GROUP(dtype, 10) REAL_GROUP(dtype, 11) \
	REAL_GROUP(dtype, 12)
#define REAL_MORE_NAMES(dtype)                                                                                                \
	, NAME(real_6_##dtype), NAME(real_7_##dtype), NAME(real_8_##dtype), NAME(real_9_##dtype), NAME(real_10_##dtype), \
		NAME(real_11_##dtype), NAME(real_12_##dtype)
#else
#define REAL_MORE_GROUPS(dtype)
#define REAL_MORE_NAMES(dtype)
#endif

/*
 * sums[p][x] += sum over h of weights[h*count + p] * rows[h][x], in the order of h. `most`, where it is given, becomes the largest
 * |pixel| of each column: infinity is one, a NaN is none.
 */
#define REAL_PROJECT(S, dtype)                                                                                              \
	REAL_BLOCK(S, dtype)                                                                                                    \
	REAL_GROUP(dtype, 1)                                                                                                    \
	REAL_GROUP(dtype, 2)                                                                                                    \
	REAL_GROUP(dtype, 3)                                                                                                    \
	REAL_GROUP(dtype, 4)                                                                                                    \
	REAL_GROUP(dtype, 5)                                                                                                    \
	REAL_MORE_GROUPS(dtype)                                                                                                 \
	static void NAME(project_##dtype##_f64)(void *const *sums, const void *weights, int64_t count, const conv_check_rows *rows, \
	                                        double *most, int64_t width) {                                                  \
		static void (*const group[])(void *const *, const double *, int64_t, const conv_check_rows *, double *, int64_t) = { \
			NAME(real_1_##dtype), NAME(real_2_##dtype), NAME(real_3_##dtype), NAME(real_4_##dtype),                         \
			NAME(real_5_##dtype) REAL_MORE_NAMES(dtype)};                                                                   \
		const int64_t groups = (count + REAL_SUMS - 1) / REAL_SUMS;                                                         \
		for (int64_t g = 0, done = 0; g < groups; g++) {                                                                    \
			const int64_t next = count * (g + 1) / groups;                                                                  \
			group[next - done - 1](sums + done, (const double *)weights + done, count, rows, g == 0 ? most : NULL, width);  \
			done = next;                                                                                                    \
		}                                                                                                                   \
	}

REAL_MOST(float, f32)
REAL_MOST(double, f64)
REAL_PROJECT(float, f32)
REAL_PROJECT(double, f64)
REAL_PROJECT(uint8_t, u8)
REAL_PROJECT(uint16_t, u16)
REAL_PROJECT(int32_t, i32)

/* The window over filtered rows: to[x] = sum over j, i of taps[j*cols + i] * filtered[j][x*step + offsets[i]]. */
static void NAME(window_f64)(void *to, const void *const *filtered, const conv_window *w, const void *taps, const int64_t *offsets,
                             int64_t step, int64_t width) {
	enum { LANES = VECTOR_BYTES / 8, SIDE = 8 };
	const double *const *rows = (const double *const *)filtered;
	const double *tap = taps;
	double *out = to;
	int64_t x = 0;
	for (; step == 1 && x + SIDE * LANES <= width; x += SIDE * LANES) {
		NAME(real) s[SIDE] = {{0}};
		for (int64_t j = 0; j < w->rows; j++)
			for (int64_t i = 0; i < w->cols; i++) {
				const NAME(real) weight = tap[j * w->cols + i] - (NAME(real)){0};
				const double *row = rows[j] + x + offsets[i];
				for (int v = 0; v < SIDE; v++) s[v] = MULADD_f64(weight, *(const NAME(real) *)(row + v * LANES), s[v]);
			}
		for (int v = 0; v < SIDE; v++) *(NAME(real) *)(out + x + v * LANES) = s[v];
	}
	for (; x < width; x++) {
		double s = 0;
		for (int64_t j = 0; j < w->rows; j++)
			for (int64_t i = 0; i < w->cols; i++) s += tap[j * w->cols + i] * rows[j][x * step + offsets[i]];
		out[x] = s;
	}
}

/* One filtered row of two_windows: onto the first sum under `taps`, onto the second under `others`; NULL: none. */
static inline __attribute__((always_inline)) void NAME(two_rows)(NAME(real) *first, NAME(real) *second, const double *row, const double *taps,
                                                                 const double *others, int64_t cols, const int64_t *offsets) {
	enum { LANES = VECTOR_BYTES / 8, SIDE = 4 };
	for (int64_t i = 0; i < cols; i++) {
		NAME(real) a[SIDE];
		for (int v = 0; v < SIDE; v++) {
			a[v] = *(const NAME(real) *)(row + offsets[i] + v * LANES);
			KEEP(a[v]);
		}
		if (taps) {
			const NAME(real) weight = taps[i] - (NAME(real)){0};
			for (int v = 0; v < SIDE; v++) first[v] = MULADD_f64(weight, a[v], first[v]);
		}
		if (others) {
			const NAME(real) weight = others[i] - (NAME(real)){0};
			for (int v = 0; v < SIDE; v++) second[v] = MULADD_f64(weight, a[v], second[v]);
		}
	}
}

/*
 * window_f64 for two sums, one of which begins a row later: to[0] from filtered[1] .. [rows], to[1] from filtered[0] .. [rows - 1]. Half
 * the loads, which are what it waits for: most of them straddle two lines. Returns how many columns are done, from the left.
 */
static int64_t NAME(two_windows)(double *const *to, const double *const *filtered, const conv_window *w, const double *taps,
                                 const int64_t *offsets, int64_t width) {
	enum { LANES = VECTOR_BYTES / 8, SIDE = 4 };
	int64_t x = 0;
	for (; x + SIDE * LANES <= width; x += SIDE * LANES) {
		NAME(real) s[SIDE] = {{0}}, t[SIDE] = {{0}};
		NAME(two_rows)(s, t, filtered[0] + x, NULL, taps, w->cols, offsets);
		for (int64_t j = 1; j < w->rows; j++)
			NAME(two_rows)(s, t, filtered[j] + x, taps + (j - 1) * w->cols, taps + j * w->cols, w->cols, offsets);
		NAME(two_rows)(s, t, filtered[w->rows] + x, taps + (w->rows - 1) * w->cols, NULL, w->cols, offsets);
		for (int v = 0; v < SIDE; v++) {
			*(NAME(real) *)(to[0] + x + v * LANES) = s[v];
			*(NAME(real) *)(to[1] + x + v * LANES) = t[v];
		}
	}
	return x;
}

/* The largest |expected*scale + bias - actual|; a negative number where one of them is beyond `limit` or a NaN. */
static double NAME(apart_f64)(const double *expected, const double *actual, double scale, double bias, double limit, int64_t width) {
	enum { LANES = VECTOR_BYTES / 8 };
	NAME(real) most = {0};
	NAME(real_bits) within = ~(NAME(real_bits)){0};
	int64_t x = 0;
	for (; x + LANES <= width; x += LANES) {
		const NAME(real) product = *(const NAME(real) *)(expected + x) * scale;
		const NAME(real) apart = REAL_MAGNITUDE(product + bias - *(const NAME(real) *)(actual + x));
		within &= (NAME(real_bits))(apart <= limit);
		most = MAX_f64(apart, most);
	}
	double worst = 0;
	int all = 1;
	for (int i = 0; i < LANES; i++) {
		all &= within[i] != 0;
		worst = most[i] > worst ? most[i] : worst;
	}
	for (; x < width; x++) {
		const double product = expected[x] * scale, apart = fabs(product + bias - actual[x]);
		all &= apart <= limit;
		worst = apart > worst ? apart : worst;
	}
	return all ? worst : -1;
}
