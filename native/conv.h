/*
 * 2-D convolution of images: a C library by itself, with nothing of Node in it.
 *
 * Words. A plane is one H x W image; an image is N x C planes. A window is one kernel of the bank in correlation order,
 * rows x cols taps. A position is a row or column number of the image extended without end on all sides; an axis tells which
 * row or column of the image a position shows. An element is one number; strides and offsets count elements.
 *
 *     sum[y, x] = sum over j, i of  tap[j, i] * image[first_y + y*stride_y + j*dilation_y, first_x + x*stride_x + i*dilation_x]
 *     out[y, x] = store(scale*sum + bias)
 *
 * Float sums: each row of the window left to right into a row sum with fused multiply-adds (the first product is only
 * rounded), then the row sums in order from the top. Every kernel keeps that order per output, so results do not depend on
 * the tile, the number of threads or the instruction set; "base" has no fused multiply-add and rounds each product.
 */
#ifndef FALTUNG_CONV_H
#define FALTUNG_CONV_H

#include <stddef.h>
#include <stdint.h>

/* In the order of DTYPE_NAMES in src/core/dtype.ts. */
typedef enum conv_dtype {
	CONV_U8,
	CONV_I8,
	CONV_U16,
	CONV_I16,
	CONV_U32,
	CONV_I32,
	CONV_U64,
	CONV_I64,
	CONV_F16, /* held as its bits */
	CONV_F32,
	CONV_F64,
	CONV_DTYPES
} conv_dtype;

/* How sums are held. The exact integer sums of a window may be held in floats where no partial sum leaves 2^24 or 2^53. */
typedef enum conv_accumulator {
	CONV_ACC_F32,
	CONV_ACC_F64,
	CONV_ACC_I16,
	CONV_ACC_I64, /* modulo 2^64 */
	CONV_ACC_I128,
	CONV_ACC_I192,
	CONV_ACCUMULATORS
} conv_accumulator;

/* How sums are formed. The exact order of float sums of every kind is stated with its tile; exact sums have none. */
typedef enum conv_algorithm {
	CONV_DIRECT,
	CONV_SEPARABLE, /* from the splits, rows first, then columns; for exact sums these must multiply out to the taps */
	CONV_BOX,       /* all taps of a window are equal: running sums */
	CONV_FFT,       /* overlap-save on tiles of fft_h x fft_w */
	CONV_ALGORITHMS
} conv_algorithm;

typedef enum conv_sum { CONV_SUM_INTEGER, CONV_SUM_F32, CONV_SUM_F64 } conv_sum;
typedef enum conv_overflow { CONV_SATURATE, CONV_WRAP, CONV_THROW } conv_overflow;
typedef enum conv_rounding { CONV_NEAREST_EVEN, CONV_HALF_AWAY, CONV_TRUNCATE, CONV_FLOOR } conv_rounding;
typedef enum conv_tap_kind { CONV_TAPS_F64, CONV_TAPS_I64, CONV_TAPS_U64 } conv_tap_kind;

typedef enum conv_status {
	CONV_OK,
	CONV_INVALID,   /* an argument contradicts another one or a buffer's length */
	CONV_NO_MEMORY, /* memory or a thread could not be had */
	CONV_CANCELLED,
	CONV_NO_ISA /* this machine cannot run the named instruction set */
} conv_status;

/* One kernel of the bank. */
typedef struct conv_window {
	int64_t rows, cols;       /* both 0: a kernel of zeros */
	int64_t first_y, first_x; /* position under tap (0, 0) of output (0, 0) */
	int64_t taps;             /* index of its first tap */
} conv_window;

/*
 * A window as a sum of `rank` products column * row: factors[at ..] holds for each the `rows` numbers of the column, then the `cols`
 * numbers of the row. Read for CONV_SEPARABLE alone.
 */
typedef struct conv_split {
	int64_t rank, at;
} conv_split;

/*
 * What the positions of one axis show: 0 .. n-1 themselves, position first + k below 0 head[k], position n + k tail[k].
 * -1: the constant value.
 */
typedef struct conv_axis {
	int64_t first;
	const int32_t *head;
	int64_t heads;
	const int32_t *tail;
	int64_t tails;
} conv_axis;

typedef struct conv_problem {
	int64_t sizes[4]; /* of the image: batch, channel, row, column */
	int64_t kernels;
	int64_t out_h, out_w;
	int64_t stride_y, stride_x;
	int64_t dilation_y, dilation_x;
	int64_t tile_h, tile_w;   /* outputs computed as one piece of work */
	int64_t index_strides[4]; /* of the result's linear index, in canonical axis order; for the first overflow */
	int64_t image_dtype, out_dtype, sum, accumulator, overflow, rounding, tap_kind, algorithm;
	int64_t fft_h, fft_w; /* for CONV_FFT */
	conv_axis y, x;
	const conv_window *windows; /* one per kernel */
	const uint64_t *taps;       /* 64 bits each, as tap_kind says */
	int64_t tap_count;
	const conv_split *splits; /* for CONV_SEPARABLE: one per kernel */
	const uint64_t *factors;  /* 64 bits each, as tap_kind says */
	int64_t factor_count;
	uint64_t value; /* outside under a constant boundary: the bits of a double for float images, else of an int64 or uint64 */
	const double *scale, *bias; /* one per result channel: channel*kernels + kernel */
} conv_problem;

/* Where the pixels of one run lie. */
typedef struct conv_buffers {
	const void *image;
	int64_t image_bytes;
	int64_t image_strides[4], image_offset;
	void *out;
	int64_t out_bytes;
	int64_t out_strides[4], out_offset;
} conv_buffers;

/* A kernel of the table: what it accumulates in and the outputs that one inner step holds in registers. */
typedef struct conv_kernel_info {
	const char *isa;
	conv_accumulator accumulator;
	int rows, cols;
} conv_kernel_info;

typedef struct conv_exec conv_exec;
typedef struct conv_run conv_run;

/* ISAs of this build that this machine can run, best first. Returns how many; names has room for 8. */
int conv_isas(const char *names[8]);

/* The kernel that `isa` (one of conv_isas) uses for an accumulator; NULL where there is none. */
const conv_kernel_info *conv_kernel(const char *isa, conv_accumulator accumulator);

/*
 * Checks a problem and copies all it needs. `isa` "scalar" takes the readable scalar body for everything: the specification.
 * On failure *why points to a constant text.
 */
conv_status conv_prepare(const char *isa, const conv_problem *problem, conv_exec **exec, const char **why);

/* One more holder, or one fewer; the last one frees. */
void conv_retain(conv_exec *exec);
void conv_release(conv_exec *exec);

/* Result channels: image channels x kernels. */
int64_t conv_channels(const conv_exec *exec);

/* Checks that the views lie within their buffers and that image and out do not overlap. */
conv_status conv_check_buffers(const conv_exec *exec, const conv_buffers *buffers, const char **why);

/* What computes: the name of an ISA, or "scalar"; and how many tiles it has computed so far. For tests of the path taken. */
const char *conv_body(const conv_exec *exec, int64_t *tiles);

/* Computes everything on the calling thread. *overflow_at: -1 or the smallest linear index that does not fit. */
conv_status conv_run_here(conv_exec *exec, const conv_buffers *buffers, int64_t *overflow_at, const char **why);

typedef void (*conv_done)(conv_run *run, void *context, conv_status status, int64_t overflow_at);

/*
 * Computes on the pool with at most `threads` threads and calls `done` once, on one of them. The buffers must live until
 * then. The run is freed by conv_run_free, after `done`.
 */
conv_status conv_start(conv_exec *exec, const conv_buffers *buffers, int threads, conv_done done, void *context, conv_run **run,
                       const char **why);
void conv_cancel(conv_run *run);
void conv_run_free(conv_run *run);

/*
 * A checksum of a whole result (src/core/checksum-scheme.ts): `samples` of every `length` rows of the result, filtered by
 * `weights`, against the window over the image's rows, filtered alike. Modular: sums modulo 2^n of results of n bits, weights 0
 * and 1. Else float64; sums may differ by slope*M + offset of their channel, M the largest finite |pixel| of a block.
 */
typedef struct conv_checksum {
	int64_t length, samples;
	int64_t strip; /* columns of a block */
	int modular;
	double largest; /* M, where the dtype says it; 0: looked up */
	double centre;  /* what a stored value lies below its sum on average */
	const double *weights;        /* length of them */
	const double *slope, *offset; /* one per result channel */
} conv_checksum;

/* Result rows from .. to - 1 of one column whose two sums differ. */
typedef struct conv_suspect {
	int64_t n, channel, column, from, to;
} conv_suspect;

enum { CONV_SUSPECTS = 4096 };

typedef struct conv_findings {
	int64_t count;    /* of suspects; the first CONV_SUSPECTS are told */
	double worst;     /* largest difference that is no suspect's, as a share of its threshold */
	double threshold; /* largest of any block */
	conv_suspect suspects[CONV_SUSPECTS];
} conv_findings;

/* Like conv_start, for a checksum of buffers that a run has filled. Its findings live as long as the run. */
conv_status conv_start_checksum(conv_exec *exec, const conv_buffers *buffers, const conv_checksum *checksum, int threads, conv_done done,
                                void *context, conv_run **run, const char **why);
/* NULL for a run that is no checksum. */
const conv_findings *conv_run_findings(const conv_run *run);

/* The pool's holders: its threads start when needed and are joined when the last holder goes. */
void conv_pool_acquire(void);
void conv_pool_release(void);

/*
 * Asks the system for 2 MiB pages under memory that is going to be written for the first time; best effort. A result of 64 MiB is 16,384
 * faults with pages of 4 KiB and 32 with these.
 */
void conv_prefer_large_pages(void *at, int64_t bytes);

/* Limits of this machine, for the bench. Both return seconds of the best of `repeats`, or a negative number on failure. */
double conv_probe_copy(const char *isa, void *to, const void *from, int64_t bytes, int threads, int repeats);
/* Seconds for `steps` x 16 dependent-free float32 vector multiply-adds per thread; *flops: how many operations those were. */
double conv_probe_multiply_add(const char *isa, int64_t steps, int threads, int repeats, double *flops);

#endif
