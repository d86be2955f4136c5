/* One run: the tiles of a result, on the calling thread or on the pool. */
#include <math.h>
#include <stdlib.h>

#include "check_sums.h"
#include "exec.h"
#include "fft_tile.h"
#include "pool.h"

#define NOTHING INT64_MAX

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/*
 * How the result is cut: tile = ((n * rows + row) * columns + column) * C + c) * kernels + m. An item is a tile, or for CONV_FFT two tiles
 * of the same kernel, one after the other. Of several threads, one would wait for another's last tile: the last tiles are cut into PARTS bands
 * of rows, an item each.
 */
typedef struct grid {
	int64_t rows, columns;
	int64_t shift; /* columns that the first tile is wider, so that the others begin at whole vectors of the result */
	int64_t tiles, whole, items; /* whole: those that are not cut */
} grid;

#define PARTS 4

/* Rows that neighbouring bands both read cost at most an eighth of a band. */
static int may_be_cut(const conv_exec *e) {
	int64_t reach = 0;
	for (int64_t m = 0; m < e->p.kernels; m++) {
		const int64_t rows = (e->p.windows[m].rows - 1) * e->p.dilation_y;
		if (rows > reach) reach = rows;
	}
	return !e->fft && e->p.tile_h * e->p.stride_y >= 8 * PARTS * reach;
}

static grid make_grid(const conv_exec *e, const conv_buffers *b, int threads) {
	const conv_problem *p = &e->p;
	const int64_t planes = p->sizes[0] * p->sizes[1] * p->kernels;
	grid g = {0, 0, 0, 0, 0, 0};
	if (planes == 0 || p->out_h == 0 || p->out_w == 0) return g;
	if (e->isa && !e->fft && p->out_w > p->tile_w) {
		const int64_t vector = e->isa->vector_bytes, element = conv_dtype_bytes(p->out_dtype);
		const int64_t off = (int64_t)(((uintptr_t)b->out + (uintptr_t)(b->out_offset * element)) % (uintptr_t)vector);
		if (off) g.shift = (vector - off) / element;
	}
	g.rows = ceil_div(p->out_h, p->tile_h);
	g.columns = p->out_w > p->tile_w + g.shift ? ceil_div(p->out_w - g.shift, p->tile_w) : 1;
	g.tiles = planes * g.rows * g.columns;
	g.whole = threads == 1 || !may_be_cut(e) ? g.tiles : g.tiles > threads ? g.tiles - threads : 0;
	g.items = e->fft ? p->kernels * ceil_div(g.tiles / p->kernels, 2) : g.whole + (g.tiles - g.whole) * PARTS;
	return g;
}

static int64_t at_most(int64_t x, int64_t most) { return x < most ? x : most; }

static conv_tile tile_of(const conv_exec *e, const conv_buffers *b, const grid *g, int64_t tile, atomic_int *cancelled,
                         atomic_llong *overflow_at) {
	const conv_problem *p = &e->p;
	conv_tile t = {.buffers = b, .m = tile % p->kernels, .cancelled = cancelled, .overflow_at = overflow_at};
	tile /= p->kernels;
	t.c = tile % p->sizes[1];
	tile /= p->sizes[1];
	const int64_t column = tile % g->columns, row = tile / g->columns % g->rows;
	t.n = tile / g->columns / g->rows;
	t.y0 = row * p->tile_h;
	t.y1 = at_most(t.y0 + p->tile_h, p->out_h);
	t.x0 = column == 0 ? 0 : g->shift + column * p->tile_w;
	t.x1 = at_most(g->shift + (column + 1) * p->tile_w, p->out_w);
	return t;
}

/* Whether an overflow before the tile is known already. */
static int fails_before(const conv_exec *e, const conv_tile *t) {
	return atomic_load_explicit(t->overflow_at, memory_order_relaxed) < conv_linear_index(e, t, t->y0, t->x0);
}

static void run_pair(conv_exec *e, const conv_buffers *b, const grid *g, int64_t item, void *arena, atomic_int *cancelled,
                     atomic_llong *overflow_at) {
	const int64_t kernels = e->p.kernels, m = item % kernels, first = item / kernels * 2;
	const int count = first + 1 < g->tiles / kernels ? 2 : 1;
	conv_tile tiles[2];
	int known = 1;
	for (int k = 0; k < count; k++) {
		tiles[k] = tile_of(e, b, g, (first + k) * kernels + m, cancelled, overflow_at);
		known = known && fails_before(e, &tiles[k]);
	}
	if (known) return;
	atomic_fetch_add_explicit(&e->tiles, count, memory_order_relaxed);
	conv_fft_tiles(e, tiles, count, arena);
}

static void run_item(conv_exec *e, const conv_buffers *b, const grid *g, int64_t item, void *arena, atomic_int *cancelled,
                     atomic_llong *overflow_at) {
	if (e->fft) {
		run_pair(e, b, g, item, arena, cancelled, overflow_at);
		return;
	}
	const int64_t part = item < g->whole ? 0 : (item - g->whole) % PARTS, tile = item < g->whole ? item : g->whole + (item - g->whole) / PARTS;
	conv_tile t = tile_of(e, b, g, tile, cancelled, overflow_at);
	if (item >= g->whole) {
		const int64_t y0 = t.y0, rows = t.y1 - y0;
		t.y0 = y0 + rows * part / PARTS;
		t.y1 = y0 + rows * (part + 1) / PARTS;
	}
	if (t.y0 == t.y1 || fails_before(e, &t)) return;
	atomic_fetch_add_explicit(&e->tiles, 1, memory_order_relaxed);
	if (e->isa) e->method->tile(e, &t, arena);
	else conv_reference_tile(e, &t);
}

static void *new_arena(const conv_exec *e) {
	if (e->isa == NULL) return NULL;
	void *arena = aligned_alloc(64, (size_t)((e->arena_bytes + 63) / 64 * 64));
	if (arena) e->method->prepare_arena(e, arena);
	if (arena && e->fft) conv_fft_prepare_arena(e, arena);
	return arena;
}

/* ── pixels that are not finite, where the kernel has holes ── */

static int constant_is_finite(const conv_exec *e) {
	double d;
	memcpy(&d, &e->p.value, 8);
	return isfinite(d) || !e->constant_seen;
}

/* Whether image row `item` of all planes' rows holds a NaN or an infinity. */
static int row_is_finite(const conv_exec *e, const conv_buffers *b, int64_t item) {
	const conv_problem *p = &e->p;
	const int64_t y = item % p->sizes[2], plane = item / p->sizes[2];
	const int64_t at = b->image_offset + plane / p->sizes[1] * b->image_strides[0] + plane % p->sizes[1] * b->image_strides[1] +
	                   y * b->image_strides[2];
	const char *row = (const char *)b->image + at * conv_dtype_bytes(p->image_dtype);
	const conv_isa *isa = e->isa ? e->isa : conv_find_isa("base");
	return !isa->has_non_finite(row, p->image_dtype, b->image_strides[3], p->sizes[3]);
}

static int64_t scan_items(const conv_exec *e) { return e->p.sizes[0] * e->p.sizes[1] * e->p.sizes[2]; }

/* ── on the calling thread ── */

static conv_status run_tiles(conv_exec *e, const conv_buffers *b, int64_t *overflow_at, const char **why) {
	const grid g = make_grid(e, b, 1);
	*overflow_at = -1;
	if (g.items == 0) return CONV_OK;
	void *arena = atomic_exchange(&e->spare, NULL);
	if (arena == NULL) arena = new_arena(e);
	if (arena == NULL && e->isa != NULL) {
		*why = "out of memory";
		return CONV_NO_MEMORY;
	}
	atomic_int cancelled = 0;
	atomic_llong first = NOTHING;
	for (int64_t k = 0; k < g.items; k++) run_item(e, b, &g, k, arena, &cancelled, &first);
	free(atomic_exchange(&e->spare, arena));
	*overflow_at = first == NOTHING ? -1 : first;
	return CONV_OK;
}

conv_status conv_run_here(conv_exec *e, const conv_buffers *b, int64_t *overflow_at, const char **why) {
	conv_status status = conv_check_buffers(e, b, why);
	if (status != CONV_OK) return status;
	if (e->holes) {
		int finite = constant_is_finite(e);
		for (int64_t k = 0; finite && k < scan_items(e); k++) finite = row_is_finite(e, b, k);
		if (!finite) status = conv_stuffed(e, &e, why);
	}
	if (status != CONV_OK) return status;
	conv_buffers buffers = *b;
	e = conv_interleaved(e, &buffers);
	return run_tiles(e, &buffers, overflow_at, why);
}

/* ── on the pool ── */

struct conv_run {
	conv_task task; /* first: a task is its run */
	conv_exec *exec, *working; /* working: exec or its stuffed form */
	conv_buffers buffers;
	grid grid;
	conv_check *check; /* NULL where the run computes */
	int threads;
	atomic_int cancelled, finite, no_memory;
	atomic_llong overflow_at;
	conv_done done;
	void *context;
};

static void tiles_work(conv_task *task, int slot) {
	conv_run *run = (conv_run *)task;
	(void)slot;
	if (task->items == 0) return; /* nothing was planned either */
	void *arena = new_arena(run->working);
	if (arena == NULL && run->working->isa != NULL) {
		atomic_store(&run->no_memory, 1);
		atomic_store(&run->cancelled, 1);
	}
	for (int64_t item; (item = conv_task_next(task)) >= 0;)
		if (!atomic_load_explicit(&run->cancelled, memory_order_relaxed))
			run_item(run->working, &run->buffers, &run->grid, item, arena, &run->cancelled, &run->overflow_at);
	free(arena);
}

static void finish(conv_run *run, conv_status status) {
	const long long first = atomic_load(&run->overflow_at);
	run->done(run, run->context, status, first == NOTHING ? -1 : first);
}

static void tiles_done(conv_task *task) {
	conv_run *run = (conv_run *)task;
	finish(run, atomic_load(&run->no_memory) ? CONV_NO_MEMORY : atomic_load(&run->cancelled) ? CONV_CANCELLED : CONV_OK);
}

static int submit_tiles(conv_run *run) {
	run->working = conv_interleaved(run->working, &run->buffers);
	run->grid = make_grid(run->working, &run->buffers, run->threads);
	run->task = (conv_task){.items = run->grid.items, .threads = run->threads, .work = tiles_work, .done = tiles_done};
	return conv_pool_submit(&run->task);
}

static void scan_work(conv_task *task, int slot) {
	conv_run *run = (conv_run *)task;
	(void)slot;
	for (int64_t item; (item = conv_task_next(task)) >= 0;) {
		if (!atomic_load_explicit(&run->finite, memory_order_relaxed) || atomic_load_explicit(&run->cancelled, memory_order_relaxed)) continue;
		if (!row_is_finite(run->exec, &run->buffers, item)) atomic_store(&run->finite, 0);
	}
}

static void scan_done(conv_task *task) {
	conv_run *run = (conv_run *)task;
	const char *why;
	conv_status status = CONV_OK;
	if (!atomic_load(&run->finite)) status = conv_stuffed(run->exec, &run->working, &why);
	if (status == CONV_OK && submit_tiles(run) != 0) status = CONV_NO_MEMORY;
	if (status != CONV_OK) finish(run, status);
}

conv_status conv_start(conv_exec *e, const conv_buffers *b, int threads, conv_done done, void *context, conv_run **to, const char **why) {
	const conv_status status = conv_check_buffers(e, b, why);
	if (status != CONV_OK) return status;
	*why = "out of memory";
	conv_run *run = calloc(1, sizeof *run);
	if (run == NULL) return CONV_NO_MEMORY;
	conv_retain(e);
	run->exec = run->working = e;
	run->buffers = *b;
	run->threads = threads;
	run->done = done;
	run->context = context;
	atomic_init(&run->overflow_at, NOTHING);
	atomic_init(&run->finite, !e->holes || constant_is_finite(e));
	*to = run;
	int failed;
	if (e->holes) {
		run->task = (conv_task){.items = scan_items(e), .threads = threads, .work = scan_work, .done = scan_done};
		failed = conv_pool_submit(&run->task);
	} else failed = submit_tiles(run);
	if (!failed) return CONV_OK;
	*why = "no thread could be started";
	conv_run_free(run);
	return CONV_NO_MEMORY;
}

void conv_cancel(conv_run *run) { atomic_store(&run->cancelled, 1); }

void conv_run_free(conv_run *run) {
	conv_release(run->exec);
	conv_check_free(run->check);
	free(run);
}

/* ── checksums ── */

static void check_work(conv_task *task, int slot) {
	conv_run *run = (conv_run *)task;
	(void)slot;
	if (task->items == 0) return;
	conv_check_worker *worker = conv_check_worker_make(run->check);
	for (int64_t item; (item = conv_task_next(task)) >= 0;) {
		if (atomic_load_explicit(&run->cancelled, memory_order_relaxed)) continue;
		if (worker && conv_check_item(worker, item)) continue;
		atomic_store(&run->no_memory, 1);
		atomic_store(&run->cancelled, 1);
	}
	conv_check_worker_free(worker);
}

conv_status conv_start_checksum(conv_exec *e, const conv_buffers *b, const conv_checksum *what, int threads, conv_done done, void *context,
                                conv_run **to, const char **why) {
	conv_status status = conv_check_buffers(e, b, why);
	if (status != CONV_OK) return status;
	conv_check *check = conv_check_make(e, b, what, &status, why);
	if (check == NULL) return status;
	conv_run *run = calloc(1, sizeof *run);
	if (run == NULL) {
		conv_check_free(check);
		return CONV_NO_MEMORY;
	}
	conv_retain(e);
	run->exec = run->working = e;
	run->check = check;
	run->done = done;
	run->context = context;
	atomic_init(&run->overflow_at, NOTHING);
	run->task = (conv_task){.items = conv_check_items(check), .threads = threads, .work = check_work, .done = tiles_done};
	*to = run;
	if (conv_pool_submit(&run->task) == 0) return CONV_OK;
	*why = "no thread could be started";
	conv_run_free(run);
	return CONV_NO_MEMORY;
}

const conv_findings *conv_run_findings(const conv_run *run) { return run->check ? conv_check_findings(run->check) : NULL; }
