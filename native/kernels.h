/* What a compiled ISA offers to the rest of the library. Private. */
#ifndef FALTUNG_KERNELS_H
#define FALTUNG_KERNELS_H

#include "conv.h"
#include "fft_plan.h"

#if defined(__x86_64__)
#define CONV_ON_X64 1
#elif defined(__aarch64__)
#define CONV_ON_ARM64 1
#endif

/* Accumulators that have vector kernels: those before CONV_ACC_I128. */
#define CONV_VECTOR_ACCUMULATORS CONV_ACC_I128

/* Most outputs of a group in any kernel. */
#define MAX_OUTPUTS 8

/*
 * One call of a direct kernel: adds what one input row gives to `outputs` output rows. Elements are of the accumulator's type.
 * For output o and column x < width:  to[o][x] = from[o][x] + sum over i of taps[i*tap_step + o] * row[x + offset(i)]
 * where offset(i) is offsets[i], or i where offsets is NULL.
 */
typedef struct conv_direct {
	const void *row;
	const void *taps;
	int64_t tap_step, cols;
	const int64_t *offsets;
	const void *const *from;
	void *const *to;
	int64_t width;     /* a multiple of the vector's length */
	int outputs;       /* 1 .. the kernel's group */
	int first;         /* from[0] is not read: output 0 starts with this row */
	const void *ahead; /* a row that will be read soon, at the same columns; or NULL */
	int stream;        /* the last output gets non-temporal stores: its `to` is vector-aligned */
} conv_direct;

typedef void (*conv_direct_fn)(const conv_direct *call);

/* Width of a block of columns: four AVX-512 vectors; a block of any vector length has as many columns. */
#define CONV_BLOCK_BYTES 256

/*
 * One call of a strip kernel: some rows of a strip of whole blocks, `from` .. `end` - 1 of those that its outputs read, top to bottom.
 * Open totals lie in `open` between the calls. Output y, column x:
 * sum over j < window_rows, i < cols of taps[i*window_rows + j] * rows[y + j][x + i*gap].
 */
typedef struct conv_strip {
	const void *const *rows; /* outputs + window_rows - 1 of them */
	int64_t shift;           /* bytes from there to the strip's first column */
	int64_t from, end;
	int64_t blocks, outputs, window_rows, cols;
	const void *taps;
	int64_t gap;     /* elements between tap columns */
	void *to;        /* the first row that this call finishes */
	int64_t to_step; /* bytes between rows */
	void *open;      /* blocks * window_rows * CONV_BLOCK_BYTES, 64-byte aligned */
	int stream;      /* non-temporal stores: every row of `to` is vector-aligned */
	int ahead;       /* whether rows to come are prefetched */
	int claim;       /* whether lines of `to` that come next are */
} conv_strip;

typedef void (*conv_strip_fn)(const conv_strip *call);

/* Outputs of one call down the lines: 4, 2 or 1, never more than there are taps. */
#define COLUMN_OUTPUTS 4

/* to[x] = sum over i of taps[i] * row[x + offset(i)], left to right; offset(i) as in conv_direct. */
typedef struct conv_row_call {
	const void *row, *taps;
	int64_t cols;
	const int64_t *offsets;
	void *to;
	int64_t width;     /* a multiple of the vector's length */
	const void *ahead; /* a row that will be read soon, at the same columns; or NULL */
} conv_row_call;

typedef void (*conv_row_fn)(const conv_row_call *call);

/* to[o][x] = add[o][x] + sum over k of taps[k] * lines[o + k][x], from the top. */
typedef struct conv_column_call {
	const void *const *lines;
	const void *taps;
	int64_t count; /* of taps */
	int outputs;
	const void *const *add; /* NULL: nothing is added */
	void *const *to;
	int64_t width; /* as above */
	int stream;    /* non-temporal stores: `to` is vector-aligned */
} conv_column_call;

typedef void (*conv_column_fn)(const conv_column_call *call);

/* prefix[x] += line[x]; to[x] = suffix[x] + prefix[x] */
typedef struct conv_down_call {
	const void *line;
	void *prefix;
	int first;          /* prefix is not read: it begins with this line */
	const void *suffix; /* NULL: nothing before */
	void *to;           /* NULL: no output yet */
	int64_t width;
	int stream;
} conv_down_call;

typedef struct conv_box_fns {
	void (*scale)(void *to, const void *from, const void *tap, int64_t width, const void *ahead);
	void (*twice)(void *to, const void *sums, int64_t n, const void *one, int64_t width);
	void (*down)(const conv_down_call *call);
	void (*up)(void *const *lines, int64_t count, int64_t width);
} conv_box_fns;

/* Converts `count` elements that lie `stride` apart to the accumulator's type. */
typedef void (*conv_load_fn)(void *to, const void *from, int64_t stride, int64_t count);

/* How the sums of one result channel are stored. */
typedef struct conv_store {
	conv_accumulator accumulator;
	int64_t dtype;
	int exact; /* sums are exact integers */
	int plain; /* scale 1, bias 0 */
	double scale, bias;
	int64_t rounding, overflow;
} conv_store;

/* Stores `count` sums into consecutive elements. */
typedef void (*conv_store_fn)(void *to, const void *sums, int64_t count, const conv_store *store);

/* Picks what stores all sums under a rule; NULL: store_some does, as far as it can. */
typedef conv_store_fn (*conv_pick_store_fn)(const conv_store *store);

/*
 * Stores sums up to where one may not fit under CONV_THROW, or takes more than a double; returns how many. From there on
 * CONV_STORE_BLOCK of them are for the scalar store.
 */
#define CONV_STORE_BLOCK 64
typedef int64_t (*conv_store_some_fn)(void *to, const void *sums, int64_t count, const conv_store *store);

/* What the sums of a checksum are formed in: integers modulo 2^n, or float64. */
typedef enum conv_lanes { CONV_LANES_U8, CONV_LANES_U16, CONV_LANES_U32, CONV_LANES_U64, CONV_LANES_F64, CONV_LANES } conv_lanes;

/* Most rows that one call of `project` adds, and bytes of lanes whose multiple its width is: two of the longest vectors. */
#define CONV_CHECK_ROWS 16
#define CONV_CHECK_BYTES 128

/* Rows of pixels. Of modular lanes all CONV_CHECK_ROWS can be read. */
typedef struct conv_check_rows {
	int64_t count;
	const void *row[CONV_CHECK_ROWS];
	/* So many bytes ahead are asked for: in the row up to byte `bytes`, from there on in `next`, which counts from there too. */
	int64_t ahead, bytes;
	const char *next[CONV_CHECK_ROWS];
} conv_check_rows;

/* Adds weighted rows to `count` sums. weights: `count` float64 for each row, or a uint16 for each sum, a bit for each row. */
typedef void (*conv_project_fn)(void *const *sums, const void *weights, int64_t count, const conv_check_rows *rows, double *most,
                                int64_t width);

/* The inner loops of a checksum, by lanes (checksum_real.h, checksum_modular.h). */
typedef struct conv_checks {
	conv_load_fn load[CONV_LANES][CONV_DTYPES];
	conv_project_fn project[CONV_LANES];
	conv_project_fn real[CONV_DTYPES]; /* float64 lanes from rows of a dtype as they lie; NULL: these are converted before */
	/* taps: float64, or the low bits of 64 */
	void (*window[CONV_LANES])(void *to, const void *const *filtered, const conv_window *w, const void *taps, const int64_t *offsets,
	                           int64_t step, int64_t width);
	int64_t (*two_windows)(double *const *to, const double *const *filtered, const conv_window *w, const double *taps, const int64_t *offsets,
	                       int64_t width);
	double (*apart)(const double *expected, const double *actual, double scale, double bias, double limit, int64_t width);
} conv_checks;

/*
 * A tile of complex numbers, fft.h says how it lies. `part` 0 are the real parts, 1 the imaginary ones: each holds one tile of the image.
 * Pitches count elements between blocks of columns.
 */

/* Rows of pixels into one part, and what is known of them so far. Sums, lows and highs are kept in 16 lanes, column x in lane x % 16. */
typedef struct conv_fft_put {
	void *row; /* of the part: its first vector */
	int64_t pitch, blocks, count;
	double pivot; /* a number near the pixels, exact in their type */
	void *sum, *low, *high; /* of x - pivot; aligned to 64 bytes */
	int fresh;              /* they begin with this row */
} conv_fft_put;

/* As many rows as a vector has lanes, transformed along x. */
typedef struct conv_fft_rows {
	const conv_fft_axis *axis;
	void *rows; /* in the first block */
	int64_t pitch, blocks;
	const void *spectrum; /* in the order that the transforms leave; NULL: forward only, into the scratch */
	void *scratch;        /* blocks * lanes complex vectors */
} conv_fft_rows;

/* Transforms in one float type. */
typedef struct conv_fft_kernels {
	void (*put_row)(const conv_fft_put *call, const void *from);
	double (*square_sum)(const conv_fft_put *call, int64_t rows, double mean, double scale);
	void (*fill_rows)(const conv_fft_put *call, int64_t rows, double value);
	void (*columns_forward)(const conv_fft_axis *axis, void *block, const double scale[2], const double shift[2]);
	void (*rows)(const conv_fft_rows *call);
	void (*columns_inverse)(const conv_fft_axis *axis, void *block);
	void (*take_row)(const void *row, int64_t pitch, int64_t count, double scale, double shift, void *to);
} conv_fft_kernels;

typedef struct conv_isa {
	const char *name;
	int vector_bytes;
	conv_direct_fn direct[CONV_VECTOR_ACCUMULATORS];
	conv_strip_fn strip[CONV_VECTOR_ACCUMULATORS];
	int group[CONV_VECTOR_ACCUMULATORS]; /* most outputs of one call */
	const conv_fft_kernels *fft[2];      /* f32, f64 */
	conv_row_fn row_sums[CONV_VECTOR_ACCUMULATORS];
	conv_row_fn row_sums_from[CONV_DTYPES]; /* CONV_ACC_F32 from pixels of a dtype as they lie, without offsets; NULL: none */
	conv_column_fn column_sums[CONV_VECTOR_ACCUMULATORS];
	conv_column_fn narrow_columns[CONV_DTYPES]; /* CONV_ACC_F32 into a dtype: saturated, nearest even; NULL: none */
	conv_box_fns box[CONV_VECTOR_ACCUMULATORS];
	const conv_load_fn (*load)[CONV_DTYPES];         /* [accumulator][dtype]; NULL: no such pair */
	conv_pick_store_fn pick_store;
	conv_store_some_fn store_some;
	int (*has_non_finite)(const void *from, int64_t dtype, int64_t stride, int64_t count);
	void (*copy)(void *to, const void *from, int64_t bytes); /* streaming; 64-byte aligned, a multiple of 64 bytes */
	double (*multiply_add)(int64_t steps, double *flops);
	const conv_checks *checks;
} conv_isa;

/* The ISA by name, if this build has it and the machine runs it; NULL else. */
const conv_isa *conv_find_isa(const char *name);

/* CONV_GROUP_<isa>_<accumulator>, as the table says. */
#define CONV_ISA(isa)
#define CONV_KERNEL(isa, type, name, element, vector, group) CONV_GROUP_##isa##_##type = group,
enum {
#include "kernels.def"
};
#undef CONV_ISA
#undef CONV_KERNEL

static inline int conv_accumulator_bytes(conv_accumulator a) {
	return a == CONV_ACC_F32 ? 4 : a == CONV_ACC_I16 ? 2 : a == CONV_ACC_I192 ? 24 : a == CONV_ACC_I128 ? 16 : 8;
}

#endif
