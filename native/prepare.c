/* From a checked problem to what the tiles read: taps by class in the accumulator's type, packed rows, stores. */
#include <stdlib.h>

#include "check.h"
#include "exec.h"
#include "fft_tile.h"

/* Everything that one exec allocates hangs on one chain and goes with it. */
typedef struct block {
	struct block *next;
	_Alignas(16) char data[];
} block;

void *conv_keep(conv_exec *e, int64_t count, int64_t size) {
	if (count < 0 || (__int128)count * size > (__int128)1 << 46) return NULL;
	block *b = calloc(1, sizeof(block) + (size_t)(count * size) + 16);
	if (b == NULL) return NULL;
	b->next = e->blocks;
	e->blocks = b;
	return b->data;
}

static const void *keep_copy(conv_exec *e, const void *from, int64_t count, int64_t size) {
	void *to = conv_keep(e, count, size);
	if (to != NULL && count > 0) memcpy(to, from, (size_t)(count * size));
	return to;
}

static int copy_problem(conv_exec *e, const conv_problem *from) {
	conv_problem *p = &e->p;
	const int64_t channels = from->sizes[1] * from->kernels;
	*p = *from;
	if (p->out_h <= 1) p->stride_y = 1; /* nothing to step to: a huge stride would make as many classes */
	if (p->out_w <= 1) p->stride_x = 1;
	p->windows = keep_copy(e, from->windows, from->kernels, sizeof(conv_window));
	p->taps = keep_copy(e, from->taps, from->tap_count, 8);
	p->splits = keep_copy(e, from->splits, from->algorithm == CONV_SEPARABLE ? from->kernels : 0, sizeof(conv_split));
	p->factors = keep_copy(e, from->factors, from->factor_count, 8);
	p->scale = keep_copy(e, from->scale, channels, 8);
	p->bias = keep_copy(e, from->bias, channels, 8);
	p->y.head = keep_copy(e, from->y.head, from->y.heads, 4);
	p->y.tail = keep_copy(e, from->y.tail, from->y.tails, 4);
	p->x.head = keep_copy(e, from->x.head, from->x.heads, 4);
	p->x.tail = keep_copy(e, from->x.tail, from->x.tails, 4);
	return p->windows && p->taps && p->splits && p->factors && p->scale && p->bias && p->y.head && p->y.tail && p->x.head && p->x.tail;
}

static double as_double(int64_t kind, uint64_t bits) {
	double d;
	if (kind == CONV_TAPS_F64) memcpy(&d, &bits, 8);
	else d = kind == CONV_TAPS_U64 ? (double)bits : (double)(int64_t)bits;
	return d;
}

/* 64 bits of a tap or a pixel, as `kind` says, into the accumulator's type. */
static void put_number(const conv_exec *e, void *to, int64_t kind, uint64_t bits) {
	switch (e->accumulator) {
	case CONV_ACC_F32:
		*(float *)to = kind == CONV_TAPS_U64 ? (float)bits : kind == CONV_TAPS_I64 ? (float)(int64_t)bits : (float)as_double(kind, bits);
		break;
	case CONV_ACC_F64: *(double *)to = as_double(kind, bits); break;
	case CONV_ACC_I16: *(uint16_t *)to = (uint16_t)bits; break;
	default: *(uint64_t *)to = bits; break;
	}
}

static int plan_classes(conv_exec *e, conv_kernel_plan *plan, const conv_window *w) {
	const conv_problem *p = &e->p;
	int64_t *rows = conv_keep(e, w->rows, 8);
	char *taps = conv_keep(e, w->rows * w->cols, e->bytes);
	plan->classes = conv_keep(e, p->stride_y, sizeof(conv_class));
	if (!rows || !taps || !plan->classes) return 0;
	for (int64_t j = 0; j < w->rows; j++) plan->classes[j * p->dilation_y % p->stride_y].count++;
	for (int64_t r = 0; r < p->stride_y; r++) {
		conv_class *class = &plan->classes[r];
		const int64_t count = class->count;
		if (count == 0) continue;
		int64_t k = 0;
		for (int64_t j = 0; j < w->rows; j++) {
			if (j * p->dilation_y % p->stride_y != r) continue;
			rows[k] = j;
			for (int64_t i = 0; i < w->cols; i++)
				put_number(e, taps + (i * count + k) * e->bytes, p->tap_kind, p->taps[w->taps + j * w->cols + i]);
			k++;
		}
		class->rows = rows;
		class->taps = taps;
		rows += count;
		taps += count * w->cols * e->bytes;
	}
	return 1;
}

static int plan_columns(conv_exec *e, conv_kernel_plan *plan, const conv_window *w) {
	const conv_problem *p = &e->p;
	const int64_t phases_most = w->cols < p->stride_x ? w->cols : p->stride_x;
	int64_t *phases = conv_keep(e, phases_most, 8), *offsets = conv_keep(e, w->cols, 8);
	if (!phases || !offsets) return 0;
	int64_t count = 0;
	for (int64_t i = 0; i < w->cols && count < phases_most; i++) {
		const int64_t phase = i * p->dilation_x % p->stride_x;
		int64_t at = 0;
		while (at < count && phases[at] < phase) at++;
		if (at < count && phases[at] == phase) continue;
		for (int64_t k = count++; k > at; k--) phases[k] = phases[k - 1];
		phases[at] = phase;
	}
	const int64_t wide = (p->tile_w < p->out_w ? p->tile_w : p->out_w) + e->isa->vector_bytes + 5 * e->lanes;
	plan->reach = (w->cols - 1) * p->dilation_x / p->stride_x;
	plan->phases = phases;
	plan->phase_count = count;
	plan->phase_length = wide + plan->reach + 1;
	for (int64_t i = 0; i < w->cols; i++) {
		const int64_t phase = i * p->dilation_x % p->stride_x;
		int64_t at = 0;
		while (phases[at] != phase) at++;
		offsets[i] = at * plan->phase_length + i * p->dilation_x / p->stride_x;
	}
	plan->offsets = p->stride_x == 1 && p->dilation_x == 1 ? NULL : offsets;
	return 1;
}

/* The factors of a window's products, converted. */
static int plan_factors(conv_exec *e, conv_kernel_plan *plan, const conv_window *w, const conv_split *split) {
	const int64_t count = split->rank * (w->rows + w->cols);
	char *factors = conv_keep(e, count, e->bytes);
	if (factors == NULL) return 0;
	for (int64_t k = 0; k < count; k++) put_number(e, factors + k * e->bytes, e->p.tap_kind, e->p.factors[split->at + k]);
	plan->rank = split->rank;
	plan->factors = factors;
	return 1;
}

static int plan_window(conv_exec *e, int64_t m) {
	const conv_problem *p = &e->p;
	const conv_window *w = &p->windows[m];
	conv_kernel_plan *plan = &e->plans[m];
	if (w->rows == 0) return 1;
	switch (p->algorithm) {
	case CONV_SEPARABLE: return plan_factors(e, plan, w, &p->splits[m]) && plan_columns(e, plan, w);
	case CONV_BOX: put_number(e, &plan->tap, p->tap_kind, p->taps[w->taps]); return 1;
	default: {
		const int64_t open = (w->rows - 1) * p->dilation_y / p->stride_y + 1;
		plan->ring = open < p->tile_h ? open : p->tile_h;
		plan->strips = conv_strip_fits(e, w, 1);
		return plan_classes(e, plan, w) && plan_columns(e, plan, w);
	}
	}
}

static int plan_windows(conv_exec *e) {
	const conv_problem *p = &e->p;
	e->plans = conv_keep(e, p->kernels, sizeof(conv_kernel_plan));
	if (e->plans == NULL) return 0;
	for (int64_t m = 0; m < p->kernels; m++)
		if (!plan_window(e, m)) return 0;
	return 1;
}

static int plan_stores(conv_exec *e) {
	const conv_problem *p = &e->p;
	const int64_t channels = p->sizes[1] * p->kernels;
	e->stores = conv_keep(e, channels, sizeof(conv_store));
	e->store_fns = conv_keep(e, channels, sizeof(conv_store_fn));
	if (!e->stores || !e->store_fns) return 0;
	for (int64_t k = 0; k < channels; k++) {
		e->stores[k] = (conv_store){.accumulator = e->accumulator,
		                            .dtype = p->out_dtype,
		                            .exact = p->sum == CONV_SUM_INTEGER,
		                            .plain = p->scale[k] == 1 && p->bias[k] == 0,
		                            .scale = p->scale[k],
		                            .bias = p->bias[k],
		                            .rounding = p->rounding,
		                            .overflow = p->overflow};
		if (e->isa) e->store_fns[k] = e->isa->pick_store(&e->stores[k]);
	}
	return 1;
}

static int shows_constant(const conv_axis *axis) {
	for (int64_t k = 0; k < axis->heads; k++)
		if (axis->head[k] < 0) return 1;
	for (int64_t k = 0; k < axis->tails; k++)
		if (axis->tail[k] < 0) return 1;
	return 0;
}

static void note_holes(conv_exec *e) {
	const conv_problem *p = &e->p;
	for (int64_t m = 0; m < p->kernels; m++)
		if ((p->dilation_y > 1 && p->windows[m].rows > 1) || (p->dilation_x > 1 && p->windows[m].cols > 1))
			e->holes = conv_is_float(p->image_dtype);
	e->constant_seen = shows_constant(&p->y) || shows_constant(&p->x);
}

static void destroy(conv_exec *e) {
	conv_exec *stuffed = atomic_load(&e->stuffed);
	if (stuffed) conv_release(stuffed);
	conv_fft_free(e->fft);
	conv_exec *wide = atomic_load(&e->wide);
	if (wide) conv_release(wide);
	free(atomic_load(&e->spare));
	for (block *b = e->blocks, *next; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
	free(e);
}

conv_status conv_prepare(const char *isa, const conv_problem *problem, conv_exec **exec, const char **why) {
	const conv_status status = conv_check_problem(problem, why);
	if (status != CONV_OK) return status;
	const int scalar = strcmp(isa, "scalar") == 0, scalar_base = strcmp(isa, "scalar-base") == 0;
	const conv_isa *found = scalar || scalar_base ? NULL : conv_find_isa(isa);
	if (!found && !scalar && !scalar_base) {
		*why = "this build or this machine does not have the instruction set";
		return CONV_NO_ISA;
	}
	*why = "out of memory";
	conv_exec *e = calloc(1, sizeof *e);
	if (e == NULL) return CONV_NO_MEMORY;
	atomic_init(&e->holders, 1);
	e->accumulator = (conv_accumulator)problem->accumulator;
	if (e->accumulator >= CONV_VECTOR_ACCUMULATORS) found = NULL; /* wider than a register's lanes */
	e->isa = found;
	e->method = problem->algorithm == CONV_SEPARABLE ? &conv_separable_method
	            : problem->algorithm == CONV_BOX     ? &conv_box_method
	                                                 : &conv_direct_method;
	e->fused = strcmp(isa, "base") != 0 && !scalar_base;
	e->bytes = conv_accumulator_bytes(e->accumulator);
	e->lanes = found ? found->vector_bytes / e->bytes : 1;
	const int empty = problem->out_h == 0 || problem->out_w == 0; /* sizes of windows were not checked then, nor needed */
	if (!copy_problem(e, problem) || !plan_stores(e) || (found && !empty && !plan_windows(e))) {
		destroy(e);
		return CONV_NO_MEMORY;
	}
	if (!empty) note_holes(e);
	if (found && !empty) {
		const int64_t kind = conv_is_float(problem->image_dtype)      ? CONV_TAPS_F64
		                     : conv_is_unsigned(problem->image_dtype) ? CONV_TAPS_U64
		                                                              : CONV_TAPS_I64;
		put_number(e, &e->constant, kind, problem->value);
		e->arena_bytes = e->method->arena_bytes(e);
		if (e->arena_bytes < 0) {
			destroy(e);
			return CONV_NO_MEMORY;
		}
		if (e->p.algorithm == CONV_FFT) {
			const conv_status made = conv_fft_prepare(e, why);
			if (made != CONV_OK) {
				destroy(e);
				return made;
			}
			e->arena_bytes = (e->arena_bytes + 63) / 64 * 64 + conv_fft_arena_bytes(e);
		}
	}
	*exec = e;
	return CONV_OK;
}

void conv_retain(conv_exec *e) { atomic_fetch_add(&e->holders, 1); }

void conv_release(conv_exec *e) {
	if (atomic_fetch_sub(&e->holders, 1) == 1) destroy(e);
}

const char *conv_body(const conv_exec *e, int64_t *tiles) {
	const conv_exec *wide = atomic_load(&e->wide);
	*tiles = atomic_load(&e->tiles) + (wide ? atomic_load(&wide->tiles) : 0);
	return e->isa ? e->isa->name : "scalar";
}

int64_t conv_channels(const conv_exec *e) { return e->p.sizes[1] * e->p.kernels; }

conv_status conv_check_buffers(const conv_exec *e, const conv_buffers *buffers, const char **why) {
	return conv_check_views(&e->p, buffers, why);
}

/* ── zero taps in the holes ── */

static conv_status stuff(const conv_exec *e, conv_exec **to, const char **why) {
	conv_problem p = e->p;
	p.dilation_y = p.dilation_x = 1;
	p.algorithm = CONV_DIRECT;
	p.splits = NULL;
	p.factors = NULL;
	p.factor_count = 0;
	int64_t total = 0;
	*why = "out of memory";
	if (p.kernels < 1 || p.kernels > INT32_MAX) return CONV_NO_MEMORY;
	for (int64_t m = 0; m < p.kernels; m++) {
		const conv_window *w = &e->p.windows[m];
		const __int128 rows = (__int128)(w->rows - 1) * e->p.dilation_y + 1, cols = (__int128)(w->cols - 1) * e->p.dilation_x + 1;
		if (w->rows > 0 && rows * cols > (int64_t)1 << 40) return CONV_NO_MEMORY;
		if (w->rows > 0) total += (int64_t)(rows * cols);
	}
	conv_window *windows = calloc((size_t)p.kernels, sizeof *windows);
	uint64_t *taps = calloc((size_t)total + 1, 8);
	conv_status status = CONV_NO_MEMORY;
	if (windows && taps) {
		int64_t at = 0;
		for (int64_t m = 0; m < p.kernels; m++) {
			const conv_window *w = &e->p.windows[m];
			windows[m] = *w;
			if (w->rows == 0) continue;
			windows[m].rows = (w->rows - 1) * e->p.dilation_y + 1;
			windows[m].cols = (w->cols - 1) * e->p.dilation_x + 1;
			windows[m].taps = at;
			for (int64_t j = 0; j < w->rows; j++)
				for (int64_t i = 0; i < w->cols; i++)
					taps[at + j * e->p.dilation_y * windows[m].cols + i * e->p.dilation_x] = e->p.taps[w->taps + j * w->cols + i];
			at += windows[m].rows * windows[m].cols;
		}
		p.windows = windows;
		p.taps = taps;
		p.tap_count = total;
		status = conv_prepare(e->isa ? e->isa->name : e->fused ? "scalar" : "scalar-base", &p, to, why);
	}
	free(windows);
	free(taps);
	return status;
}

conv_status conv_stuffed(conv_exec *e, conv_exec **to, const char **why) {
	conv_exec *have = atomic_load(&e->stuffed);
	if (have == NULL) {
		conv_exec *made = NULL;
		const conv_status status = stuff(e, &made, why);
		if (status != CONV_OK) return status;
		if (!atomic_compare_exchange_strong(&e->stuffed, &have, made)) conv_release(made); /* another run was first */
		else have = made;
	}
	*to = have;
	return CONV_OK;
}
