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
	int exact; /* sums are exact integers */
	int plain; /* scale 1, bias 0 */
	double scale, bias;
	int64_t rounding, overflow;
} conv_store;

/* Stores `count` sums into consecutive elements; only where nothing can be reported (not CONV_THROW). */
typedef void (*conv_store_fn)(void *to, const void *sums, int64_t count, const conv_store *store);

/* Picks the vector store for a pair of types and a rule; NULL: the scalar store does it. */
typedef conv_store_fn (*conv_pick_store_fn)(conv_accumulator accumulator, int64_t dtype, const conv_store *store);

typedef struct conv_isa {
	const char *name;
	int vector_bytes;
	conv_direct_fn direct[CONV_VECTOR_ACCUMULATORS];
	int group[CONV_VECTOR_ACCUMULATORS]; /* most outputs of one call */
	void (*row_sums[CONV_VECTOR_ACCUMULATORS])(const conv_row_call *call);
	void (*column_sums[CONV_VECTOR_ACCUMULATORS])(const conv_column_call *call);
	conv_box_fns box[CONV_VECTOR_ACCUMULATORS];
	const conv_load_fn (*load)[CONV_DTYPES];         /* [accumulator][dtype]; NULL: no such pair */
	conv_pick_store_fn pick_store;
	int (*has_non_finite)(const void *from, int64_t dtype, int64_t stride, int64_t count);
	void (*copy)(void *to, const void *from, int64_t bytes); /* streaming; 64-byte aligned, a multiple of 64 bytes */
	double (*multiply_add)(int64_t steps, double *flops);
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
