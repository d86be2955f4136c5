/* A prepared problem, as the tile and the reference body read it. Private. */
#ifndef FALTUNG_EXEC_H
#define FALTUNG_EXEC_H

#include <stdatomic.h>

#include "conv.h"
#include "kernels.h"
#include "numbers.h"

/*
 * Input row p of a window (counted from first_y) feeds output y through window row j where p = y*stride_y + j*dilation_y. For
 * one residue p mod stride_y these j are always the same: a class.
 */
typedef struct conv_class {
	int64_t count;
	const int64_t *rows; /* window rows j, ascending */
	const void *taps;    /* column-major in the accumulator's type: tap (rows[k], i) at taps[i*count + k] */
} conv_class;

typedef struct conv_tile conv_tile;

typedef struct conv_kernel_plan {
	conv_class *classes;    /* stride_y of them */
	const int64_t *offsets; /* of each tap column in a packed row; NULL: 0, 1, 2 ... */
	const int64_t *phases;  /* residues modulo stride_x that any tap column has, ascending */
	int64_t phase_count;
	int64_t phase_length; /* elements of a packed row per phase */
	int64_t reach;        /* elements beyond the outputs that a phase needs */
	int64_t ring;         /* output rows open at once */
	int64_t rank;           /* products of CONV_SEPARABLE */
	const void *factors;    /* theirs in the accumulator's type, product by product: the column, then the row */
	uint64_t tap;           /* of CONV_BOX, in the accumulator's type, in the first bytes */
	int strips;           /* computed by the strip kernel; else by the ring of open rows */
} conv_kernel_plan;

struct conv_fft_exec;

/* How an algorithm computes a tile; `arena` has arena_bytes (-1: more than any memory), once prepared. */
typedef struct conv_method {
	int64_t (*arena_bytes)(const conv_exec *e);
	void (*prepare_arena)(const conv_exec *e, void *arena);
	void (*tile)(const conv_exec *e, const conv_tile *tile, void *arena);
} conv_method;

struct conv_exec {
	atomic_int holders;
	conv_problem p; /* arrays are owned */
	const conv_isa *isa; /* NULL: the scalar body */
	const conv_method *method; /* likewise */
	int fused;
	conv_accumulator accumulator;
	int bytes; /* of a sum */
	int lanes; /* sums in a vector; 1 for the scalar body */
	conv_kernel_plan *plans;
	conv_store *stores;       /* one per result channel */
	conv_store_fn *store_fns; /* likewise; NULL where not all sums can be stored by one */
	uint64_t constant;        /* p.value in the accumulator's type, in the first bytes */
	int64_t arena_bytes;
	atomic_llong tiles; /* computed so far, by all runs */
	int holes;          /* a NaN in a hole of the dilated kernel would go unseen */
	int constant_seen;  /* some position shows the constant */
	void *_Atomic spare; /* an arena kept for the next run on the calling thread */
	conv_exec *_Atomic stuffed; /* the same problem with zero taps in the holes; made when first needed */
	conv_exec *_Atomic wide;    /* the same problem on interleaved channels as one wide row; made when first needed */
	void *blocks;               /* everything else that was allocated */
	struct conv_fft_exec *fft;  /* for CONV_FFT on vectors */
};

/* What one tile of one run needs to know. */
struct conv_tile {
	const conv_buffers *buffers;
	int64_t n, c, m;
	int64_t y0, y1, x0, x1; /* outputs */
	atomic_int *cancelled;
	atomic_llong *overflow_at;
};

/* What position p of an axis of n pixels shows: an index, or -1. */
static inline int64_t conv_source(const conv_axis *axis, int64_t n, int64_t p) {
	if (p < 0) return axis->head[p - axis->first];
	return p < n ? p : axis->tail[p - n];
}

/* Remembers the smallest linear index that does not fit. */
static inline void conv_note_overflow(atomic_llong *at, int64_t index) {
	long long seen = atomic_load_explicit(at, memory_order_relaxed);
	while (index < seen && !atomic_compare_exchange_weak(at, &seen, index)) {}
}

static inline int64_t conv_linear_index(const conv_exec *e, const conv_tile *t, int64_t y, int64_t x) {
	const int64_t *s = e->p.index_strides;
	return t->n * s[0] + (t->c * e->p.kernels + t->m) * s[1] + y * s[2] + x * s[3];
}

static inline char *conv_out_pixel(const conv_exec *e, const conv_tile *t, int64_t y, int64_t x) {
	const conv_buffers *b = t->buffers;
	const int64_t channel = t->c * e->p.kernels + t->m;
	return (char *)b->out + (b->out_offset + t->n * b->out_strides[0] + channel * b->out_strides[1] + y * b->out_strides[2] +
	                         x * b->out_strides[3]) *
	                            conv_dtype_bytes(e->p.out_dtype);
}

static inline const char *conv_image_plane(const conv_exec *e, const conv_tile *t) {
	const conv_buffers *b = t->buffers;
	return (const char *)b->image + (b->image_offset + t->n * b->image_strides[0] + t->c * b->image_strides[1]) *
	                                    conv_dtype_bytes(e->p.image_dtype);
}

/* The scalar body: the specification, for every problem. */
void conv_reference_tile(const conv_exec *e, const conv_tile *tile);

/* The vector bodies: tile.c, separable.c, box.c. */
extern const conv_method conv_direct_method, conv_separable_method, conv_box_method;

/* count * size bytes of zeros that go with e, aligned to 16; NULL: out of memory. */
void *conv_keep(conv_exec *e, int64_t count, int64_t size);

/* The direct method's part for windows that the strip kernel takes; `channels` of a pixel lie side by side in one row. */
int conv_strip_fits(const conv_exec *e, const conv_window *w, int64_t channels);
void conv_strip_tile(const conv_exec *e, const conv_tile *tile, void *arena);
void conv_prepare_strip_arena(const conv_exec *e, void *arena);
int64_t conv_strip_arena_bytes(const conv_exec *e);

/* The problem with zero taps in the holes of its dilated kernels, for images that are not finite. Belongs to e. */
conv_status conv_stuffed(conv_exec *e, conv_exec **to, const char **why);

/* What computes these buffers: e itself, or its form for interleaved channels, whose strides are then put into `buffers`. Belongs to e. */
conv_exec *conv_interleaved(conv_exec *e, conv_buffers *buffers);

#endif
