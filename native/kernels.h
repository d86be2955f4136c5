/* What a compiled ISA offers to the rest of the library. Private. */
#ifndef FALTUNG_KERNELS_H
#define FALTUNG_KERNELS_H

#include "conv.h"

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

/* Converts `count` elements that lie `stride` apart to the accumulator's type. */
typedef void (*conv_load_fn)(void *to, const void *from, int64_t stride, int64_t count);

/* How the sums of one result channel are stored. */
typedef struct conv_store {
	int exact; /* sums are exact integers */
	int plain; /* scale 1, bias 0 */
	double scale, bias;
	int64_t rounding, overflow;
} conv_store;

/* Stores `count` sums into consecutive elements; only where nothing can be reported (not CONV_THROW). */
typedef void (*conv_store_fn)(void *to, const void *sums, int64_t count, const conv_store *store);

/* Picks the vector store for a pair of types and a rule; NULL: the scalar store does it. */
typedef conv_store_fn (*conv_pick_store_fn)(conv_accumulator accumulator, int64_t dtype, const conv_store *store);

/* What the sums of a checksum are formed in: integers modulo 2^n, or float64. */
typedef enum conv_lanes { CONV_LANES_U8, CONV_LANES_U16, CONV_LANES_U32, CONV_LANES_U64, CONV_LANES_F64, CONV_LANES } conv_lanes;

/* Rows that one call of `project` adds, and bytes of lanes whose multiple its width is: two of the longest vectors. */
#define CONV_CHECK_ROWS 8
#define CONV_CHECK_BYTES 128

/* Eight rows of lanes, and where the eight after them lie, `element` bytes a column: strips of rows are no stream that a processor
 * would see by itself. */
typedef struct conv_check_rows {
	const void *row[CONV_CHECK_ROWS];
	const char *ahead[CONV_CHECK_ROWS]; /* or NULL */
	int64_t element;
} conv_check_rows;

/* The inner loops of a checksum, by lanes (checksum.h). */
typedef struct conv_checks {
	conv_load_fn load[CONV_LANES][CONV_DTYPES];
	/* weights: 8 float64 per sum, or a byte per sum with a bit for each row */
	void (*project[CONV_LANES])(void *const *sums, const void *weights, int64_t count, const conv_check_rows *rows, int64_t width);
	/* the same for float32 rows in float64 lanes; the largest finite magnitude of the rows */
	double (*project_f32)(void *const *sums, const void *weights, int64_t count, const conv_check_rows *rows, int64_t width);
	/* taps: float64, or the low bits of 64 */
	void (*window[CONV_LANES])(void *to, const void *const *filtered, const conv_window *w, const void *taps, const int64_t *offsets,
	                           int64_t step, int64_t width);
	double (*magnitude)(const double *row, int64_t count);
} conv_checks;

typedef struct conv_isa {
	const char *name;
	int vector_bytes;
	conv_direct_fn direct[CONV_VECTOR_ACCUMULATORS];
	int group[CONV_VECTOR_ACCUMULATORS]; /* most outputs of one call */
	const conv_load_fn (*load)[CONV_DTYPES];         /* [accumulator][dtype]; NULL: no such pair */
	conv_pick_store_fn pick_store;
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
