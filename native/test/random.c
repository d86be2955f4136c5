/*
 * Random problems through every ISA of this machine, on the calling thread and on the pool, against the scalar body, bit for bit;
 * and checksums of the results, right and spoiled.
 * Buffers are exactly as long as they must be (AddressSanitizer sees any step outside) and the gaps of strided results hold
 * canaries.
 *
 *     random [seconds] [seed]
 *     random digest [seed]     a digest of the best ISA's results of 200 problems, to compare machines
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../conv.h"
#include "../kernels.h"
#include "../numbers.h"

static uint64_t state;
static uint64_t next(void) { /* splitmix64 */
	uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}
static int64_t below(int64_t n) { return (int64_t)(next() % (uint64_t)n); }
static int64_t between(int64_t a, int64_t b) { return a + below(b - a + 1); }
static int chance(int percent) { return below(100) < percent; }

/* 0 constant, 1 edge, 2 symmetric, 3 mirror, 4 wrap: a second telling of src/core/boundary.ts. */
static int64_t show(int mode, int64_t i, int64_t n) {
	if (i >= 0 && i < n) return i;
	if (mode == 0) return -1;
	while (i < 0 || i >= n) {
		if (mode == 1) i = i < 0 ? 0 : n - 1;
		else if (mode == 2) i = i < 0 ? -1 - i : 2 * n - 1 - i;
		else if (mode == 3) i = n == 1 ? 0 : i < 0 ? -i : 2 * n - 2 - i;
		else i = i < 0 ? i + n : i - n;
	}
	return i;
}

static void make_axis(conv_axis *axis, int mode, int64_t n, int64_t first, int64_t count) {
	const int64_t last = first + count - 1;
	axis->first = first;
	axis->heads = first < 0 ? (last < -1 ? count : -first) : 0;
	axis->tails = last >= n ? last - n + 1 : 0;
	if (axis->heads < 0) axis->heads = 0; /* an empty result reads nothing */
	int32_t *head = malloc((size_t)axis->heads * 4 + 1), *tail = malloc((size_t)axis->tails * 4 + 1);
	for (int64_t k = 0; k < axis->heads; k++) head[k] = (int32_t)show(mode, first + k, n);
	for (int64_t k = 0; k < axis->tails; k++) tail[k] = (int32_t)show(mode, n + k, n);
	axis->head = head;
	axis->tail = tail;
}

/* A random element: small, extreme, or (floats) not finite. */
static void random_element(void *to, int64_t dtype, int special) {
	if (dtype == CONV_F64 || dtype == CONV_F32) {
		double d = ((double)below(2000001) - 1e6) / (chance(20) ? 1 : chance(50) ? 7919.0 : 4e5);
		if (chance(5)) d = 0;
		if (chance(5)) d = ldexp(d, (int)between(-170, 20));
		if (special && chance(4)) d = chance(50) ? NAN : chance(50) ? INFINITY : -INFINITY;
		if (dtype == CONV_F64) *(double *)to = d;
		else *(float *)to = (float)d;
	} else if (dtype == CONV_F16) {
		uint16_t h = (uint16_t)next();
		if ((h & 0x7c00) == 0x7c00 && !(special && chance(20))) h &= 0x83ff;
		*(uint16_t *)to = h;
	} else conv_put(to, dtype, chance(60) ? (uint64_t)between(-9, 9) & conv_max_bits(dtype) : next());
}

/* Strides of a view with given sizes: random order, gaps, signs; image views may repeat (stride 0). Returns elements needed. */
static int64_t make_view(const int64_t sizes[4], int64_t strides[4], int64_t *offset, int repeat) {
	int order[4] = {0, 1, 2, 3};
	if (chance(50))
		for (int k = 3; k > 0; k--) {
			const int j = (int)below(k + 1), t = order[k];
			order[k] = order[j];
			order[j] = t;
		}
	const int plain = chance(50);
	int64_t step = 1, low = 0, high = 0;
	for (int k = 3; k >= 0; k--) {
		const int axis = order[k];
		if (!plain && chance(30)) step += below(4);
		strides[axis] = step;
		step *= sizes[axis] > 0 ? sizes[axis] : 1;
		if (!plain && chance(25)) strides[axis] = -strides[axis];
		if (repeat && chance(5)) strides[axis] = 0;
		const int64_t reach = (sizes[axis] - 1) * strides[axis];
		if (reach < 0) low += reach;
		else high += reach;
	}
	*offset = plain ? 0 : below(5);
	*offset -= low;
	return *offset + high + 1;
}

/* Channels side by side. */
static int64_t make_interleaved(const int64_t sizes[4], int64_t strides[4], int64_t *offset) {
	strides[1] = 1;
	strides[3] = sizes[1];
	strides[2] = sizes[1] * sizes[3] + (chance(50) ? 0 : below(5));
	strides[0] = sizes[2] * strides[2];
	*offset = chance(50) ? 0 : below(5);
	return *offset + sizes[0] * strides[0] + 1;
}

typedef struct wait {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int finished;
	conv_status status;
	int64_t overflow_at;
	int64_t suspects;
} wait;

static void finished(conv_run *run, void *context, conv_status status, int64_t overflow_at) {
	wait *w = context;
	const conv_findings *findings = conv_run_findings(run);
	w->suspects = findings ? findings->count : -1;
	conv_run_free(run);
	pthread_mutex_lock(&w->lock);
	w->finished = 1;
	w->status = status;
	w->overflow_at = overflow_at;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

/* A run, or with `what` a checksum; *found: the smallest index that does not fit, or the number of suspects. */
static conv_status on_pool(conv_exec *e, const conv_buffers *b, int threads, const conv_checksum *what, int64_t *found) {
	wait w = {.finished = 0};
	pthread_mutex_init(&w.lock, NULL);
	pthread_cond_init(&w.changed, NULL);
	conv_run *run;
	const char *why;
	const conv_status status = what ? conv_start_checksum(e, b, what, threads, finished, &w, &run, &why)
	                                : conv_start(e, b, threads, finished, &w, &run, &why);
	if (status != CONV_OK) return status;
	pthread_mutex_lock(&w.lock);
	while (!w.finished) pthread_cond_wait(&w.changed, &w.lock);
	pthread_mutex_unlock(&w.lock);
	*found = what ? w.suspects : w.overflow_at;
	return w.status;
}

static int is_nan(const void *at, int64_t dtype) {
	return conv_is_float(dtype) && isnan(conv_get_double(at, dtype));
}

static const char *const DTYPE[] = {"u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "f16", "f32", "f64"};
static const char *const ACCUMULATOR[] = {"f32", "f64", "i16", "i64", "i128", "i192"};
static const char *const ALGORITHM[] = {"direct", "separable", "box", "fft"};
static int64_t ran[CONV_ALGORITHMS][CONV_ACCUMULATORS];

/* FNV-1a of the results of the best ISA; every NaN counts as one. */
static uint64_t digest = UINT64_C(0xcbf29ce484222325);
static void add_to_digest(const void *bytes, size_t count) {
	for (size_t k = 0; k < count; k++) digest = (digest ^ ((const uint8_t *)bytes)[k]) * UINT64_C(0x100000001b3);
}

static void fail(uint64_t seed, const conv_problem *p, const char *isa, const char *what, int64_t at) {
	const conv_window *w = p->windows;
	printf("seed %llu: %s, %s: %s at element %lld\n  image %s %lldx%lldx%lldx%lld, %lld kernels, first %lldx%lld, result %lldx%lld %s, "
	       "accumulator %s, stride %lldx%lld, dilation %lldx%lld, tile %lldx%lld, overflow %lld, rounding %lld\n",
	       (unsigned long long)seed, ALGORITHM[p->algorithm], isa, what, (long long)at, DTYPE[p->image_dtype], (long long)p->sizes[0], (long long)p->sizes[1],
	       (long long)p->sizes[2], (long long)p->sizes[3], (long long)p->kernels, (long long)w->rows, (long long)w->cols,
	       (long long)p->out_h, (long long)p->out_w, DTYPE[p->out_dtype], ACCUMULATOR[p->accumulator], (long long)p->stride_y,
	       (long long)p->stride_x, (long long)p->dilation_y, (long long)p->dilation_x, (long long)p->tile_h, (long long)p->tile_w,
	       (long long)p->overflow, (long long)p->rounding);
	exit(1);
}

/* The narrowest exact accumulator for the taps at hand, or a random wider one. */
static int64_t choose_accumulator(const conv_problem *p, long double magnitude) {
	const int wraps = p->overflow == CONV_WRAP && p->out_dtype < CONV_F16 && p->scale[0] == 1 && p->bias[0] == 0;
	int64_t fit[CONV_ACCUMULATORS], count = 0;
	if (magnitude <= 32767 && p->image_dtype <= CONV_I8) fit[count++] = CONV_ACC_I16;
	if (magnitude <= 0x1p24L) fit[count++] = CONV_ACC_F32;
	if (magnitude <= 0x1p53L) fit[count++] = CONV_ACC_F64;
	if (magnitude < 0x1p63L || wraps) fit[count++] = CONV_ACC_I64;
	if (magnitude < 0x1p127L) fit[count++] = CONV_ACC_I128;
	fit[count++] = CONV_ACC_I192;
	return chance(70) ? fit[0] : fit[below(count)];
}

/* `size` 0: any 64 bits */
static uint64_t random_tap(const conv_problem *p, int64_t size) {
	uint64_t tap;
	if (p->sum != CONV_SUM_INTEGER) random_element(&tap, CONV_F64, 0);
	else if (size == 0) tap = next();
	else tap = (uint64_t)between(p->tap_kind == CONV_TAPS_U64 ? 0 : -size, size);
	return tap;
}

/* The checksum of a right result, and where it is exact of a wrong one. */
static void check(uint64_t seed, const char *isa, conv_exec *e, const conv_problem *p, const conv_buffers *b, int threads) {
	const int64_t channels = p->sizes[1] * p->kernels;
	const int integers = p->sum == CONV_SUM_INTEGER && !conv_is_float(p->out_dtype);
	int plain = 1;
	for (int64_t k = 0; k < channels; k++) plain &= p->scale[k] == 1 && p->bias[k] == 0;
	const int exact = integers && plain && p->overflow != CONV_SATURATE;
	const int64_t length = between(exact ? 40 : 1, 60);
	double *weights = malloc((size_t)length * 8), *bounds = malloc((size_t)channels * 8 + 1);
	for (int64_t k = 0; k < length; k++) weights[k] = exact ? (double)below(2) : (double)between(-4, 4) / 4;
	for (int64_t k = 0; k < channels; k++) bounds[k] = exact ? 0 : 0x1p1000;
	const conv_checksum what = {.length = length,
	                            .samples = exact ? 40 : between(1, length < 64 ? length : 64),
	                            .strip = between(1, 500),
	                            .modular = exact,
	                            .largest = below(2),
	                            .weights = weights,
	                            .slope = bounds,
	                            .offset = bounds};
	int64_t suspects = -1;
	if (on_pool(e, b, threads, &what, &suspects) != CONV_OK) fail(seed, p, isa, "checksum status", -1);
	if (exact && suspects != 0) fail(seed, p, isa, "a checksum suspects a right result", suspects);
	if (exact && p->sizes[0] * channels > 0) {
		const int64_t s[4] = {below(p->sizes[0]), below(channels), below(p->out_h), below(p->out_w)};
		int64_t at = b->out_offset;
		for (int k = 0; k < 4; k++) at += s[k] * b->out_strides[k];
		char *pixel = (char *)b->out + at * conv_dtype_bytes(p->out_dtype);
		*pixel ^= (char)(1 << below(8));
		if (on_pool(e, b, threads, &what, &suspects) != CONV_OK || suspects < 1) fail(seed, p, isa, "a checksum misses a wrong pixel", at);
	}
	free(weights), free(bounds);
}

/* Aligned to vectors, and exactly so long: what lies behind is not to be touched. */
static char *aligned(int64_t bytes) {
	void *to = NULL;
	return posix_memalign(&to, 64, (size_t)(bytes > 0 ? bytes : 1)) == 0 ? to : NULL;
}

/* What strips do differently: tiles of several blocks, of rows that are read where they lie, of more than one band. */
static void make_wide(conv_problem *p) {
	p->sizes[0] = p->sizes[1] = 1;
	p->sizes[2] = between(1, 12);
	p->out_h = between(1, 5);
	p->sizes[3] = chance(80) ? between(450, 1400) : between(1, 3000);
	p->out_w = chance(50) ? 64 * between(8, 20) : chance(80) ? p->sizes[3] + between(-40, 40) : between(500, 3000);
	if (p->out_w < 1) p->out_w = 1;
	p->tile_w = chance(60) ? 4096 : between(500, 1300);
	/* types that are read where they lie: by every algorithm, or by sums along rows */
	static const int64_t where_they_lie[] = {CONV_F32, CONV_F64, CONV_F32, CONV_F64, CONV_U8, CONV_U16, CONV_I16, CONV_F16};
	if (chance(80)) p->image_dtype = where_they_lie[below(8)];
	p->out_dtype = chance(70) ? p->image_dtype : below(CONV_DTYPES);
}

static void make_tall(conv_problem *p) {
	p->sizes[0] = p->sizes[1] = 1;
	p->sizes[2] = between(200, 700);
	p->out_h = between(257, 600);
	p->sizes[3] = between(1, 12);
	p->out_w = between(1, 12);
	p->tile_h = between(257, 600);
}

static void one(uint64_t seed) {
	state = seed;
	conv_problem p = {.kernels = chance(70) ? 1 : between(1, 3)};
	const int special = chance(30);
	p.sizes[0] = chance(80) ? 1 : between(0, 2);
	p.sizes[1] = chance(70) ? 1 : between(1, 3);
	p.sizes[2] = chance(80) ? between(1, 24) : between(1, 70);
	p.sizes[3] = chance(60) ? between(1, 40) : between(1, 400);
	p.image_dtype = below(CONV_DTYPES);
	p.out_dtype = chance(40) ? p.image_dtype : chance(40) ? below(CONV_U32) : below(CONV_DTYPES);
	p.overflow = chance(40) ? CONV_SATURATE : below(3);
	p.rounding = chance(30) ? CONV_NEAREST_EVEN : below(4);
	p.stride_y = chance(70) ? 1 : between(1, 4);
	p.stride_x = chance(70) ? 1 : between(1, 4);
	p.dilation_y = chance(70) ? 1 : between(1, 4);
	p.dilation_x = chance(70) ? 1 : between(1, 4);
	p.out_h = p.sizes[0] == 0 ? between(0, 3) : between(1, 40);
	p.out_w = chance(60) ? between(1, 40) : chance(40) ? 64 * between(1, 6) : between(1, 400); /* whole vectors are streamed */
	p.tile_h = between(1, 40);
	p.tile_w = chance(50) ? between(1, 60) : between(60, 500);
	const int wide = chance(15), tall = !wide && chance(4);
	if (wide) make_wide(&p);
	if (tall) make_tall(&p);
	const int as_it_is = wide && p.image_dtype >= CONV_F32 && chance(80);
	if (wide || tall) {
		if (chance(90)) p.stride_y = p.stride_x = 1;
		p.dilation_y = chance(60) ? 1 : between(1, 9);
		p.dilation_x = chance(60) ? 1 : between(1, 40);
	}
	const int exact = !conv_is_float(p.image_dtype) && chance(60);
	p.sum = exact ? CONV_SUM_INTEGER : (as_it_is ? p.image_dtype == CONV_F32 : chance(50)) ? CONV_SUM_F32 : CONV_SUM_F64;
	p.tap_kind = exact ? between(CONV_TAPS_I64, CONV_TAPS_U64) : CONV_TAPS_F64;
	p.index_strides[3] = 1;
	p.index_strides[2] = p.out_w;
	p.index_strides[1] = p.out_w * p.out_h;
	p.index_strides[0] = p.index_strides[1] * p.sizes[1] * p.kernels;

	conv_window *windows = malloc((size_t)p.kernels * sizeof *windows);
	int64_t first_y = INT64_MAX, first_x = INT64_MAX, last_y = INT64_MIN, last_x = INT64_MIN;
	for (int64_t m = 0; m < p.kernels; m++) {
		conv_window *w = &windows[m];
		const int none = chance(3);
		*w = (conv_window){none ? 0 : between(1, chance(90) ? 5 : 19), none ? 0 : between(1, chance(wide ? 60 : 90) ? 5 : 35), between(-6, 3),
		                   between(-6, 3), p.tap_count};
		p.tap_count += w->rows * w->cols;
		if (none) continue;
		if (wide && chance(20)) w->first_x = between(-900, 500);
		const int64_t end_y = w->first_y + (p.out_h - 1) * p.stride_y + (w->rows - 1) * p.dilation_y;
		const int64_t end_x = w->first_x + (p.out_w - 1) * p.stride_x + (w->cols - 1) * p.dilation_x;
		if (w->first_y < first_y) first_y = w->first_y;
		if (w->first_x < first_x) first_x = w->first_x;
		if (end_y > last_y) last_y = end_y;
		if (end_x > last_x) last_x = end_x;
	}
	p.windows = windows;
	if (first_y == INT64_MAX) first_y = first_x = 0, last_y = last_x = -1;
	make_axis(&p.y, (int)below(5), p.sizes[2], first_y, last_y - first_y + 1);
	make_axis(&p.x, (int)below(5), p.sizes[3], first_x, last_x - first_x + 1);

	p.algorithm = chance(tall ? 80 : wide ? 60 : 40) ? CONV_DIRECT : chance(60) ? CONV_SEPARABLE : CONV_BOX;
	uint64_t *taps = malloc((size_t)p.tap_count * 8 + 1);
	const int64_t size = chance(60) ? 4 : chance(50) ? 1000 : 0;
	const int64_t rank = exact || chance(50) ? 1 : between(2, 3);
	conv_split *splits = malloc((size_t)p.kernels * sizeof *splits);
	uint64_t *factors = malloc((size_t)(rank * 2 * p.tap_count) * 8 + 1);
	long double worst = 0;
	for (int64_t m = 0; m < p.kernels; m++) {
		const conv_window *w = &windows[m];
		const int64_t count = w->rows * w->cols;
		uint64_t *own = taps + w->taps, *column = factors + p.factor_count, *row = column + w->rows;
		splits[m] = (conv_split){rank, p.factor_count};
		for (int64_t k = 0; k < rank * (w->rows + w->cols); k++) column[k] = random_tap(&p, size);
		p.factor_count += rank * (w->rows + w->cols);
		for (int64_t k = 0; k < count; k++) own[k] = random_tap(&p, size);
		if (p.algorithm == CONV_BOX)
			for (int64_t k = 1; k < count; k++) own[k] = own[0];
		if (p.algorithm == CONV_SEPARABLE && exact)
			for (int64_t k = 0; k < count; k++) own[k] = column[k / w->cols] * row[k % w->cols];
		long double magnitude = 0;
		for (int64_t k = 0; k < count; k++)
			magnitude += p.tap_kind == CONV_TAPS_U64 ? (long double)own[k] : fabsl((long double)(int64_t)own[k]);
		if (magnitude > worst) worst = magnitude;
	}
	p.splits = splits;
	p.factors = factors;
	p.taps = taps;
	if (exact) worst *= (long double)conv_max_bits(p.image_dtype) + 1;
	random_element(&p.value, CONV_F64, special);
	if (!conv_is_float(p.image_dtype)) p.value = 0, conv_put(&p.value, p.image_dtype, next()), p.value = conv_get_bits(&p.value, p.image_dtype);
	else if (p.image_dtype == CONV_F32) {
		double d;
		memcpy(&d, &p.value, 8), d = (float)d, memcpy(&p.value, &d, 8);
	} else if (p.image_dtype == CONV_F16) {
		double d = (double)below(100);
		memcpy(&p.value, &d, 8);
	}
	const int64_t channels = p.sizes[1] * p.kernels;
	double *scale = malloc((size_t)channels * 8 + 1), *bias = malloc((size_t)channels * 8 + 1);
	const int plain = chance(as_it_is ? 80 : 60);
	for (int64_t k = 0; k < channels; k++) {
		scale[k] = plain ? 1 : (double)between(-8, 8) / 8;
		bias[k] = plain ? 0 : (double)between(-40, 40) / 16;
	}
	p.scale = scale;
	p.bias = bias;
	p.accumulator = exact ? choose_accumulator(&p, worst) : p.sum == CONV_SUM_F32 ? CONV_ACC_F32 : CONV_ACC_F64;
	if (p.accumulator >= CONV_VECTOR_ACCUMULATORS) p.algorithm = CONV_DIRECT;
	ran[p.algorithm][p.accumulator]++;

	conv_buffers b;
	const int64_t out_sizes[4] = {p.sizes[0], channels, p.out_h, p.out_w};
	const int interleaved = p.sizes[1] > 1 && chance(50);
	const int64_t in_count = interleaved ? make_interleaved(p.sizes, b.image_strides, &b.image_offset)
	                                     : make_view(p.sizes, b.image_strides, &b.image_offset, 1);
	const int64_t out_count = interleaved ? make_interleaved(out_sizes, b.out_strides, &b.out_offset)
	                                      : make_view(out_sizes, b.out_strides, &b.out_offset, 0);
	if (interleaved) {
		const int64_t as_they_lie[4] = {p.out_h * p.out_w * channels, 1, p.out_w * channels, channels};
		memcpy(p.index_strides, as_they_lie, sizeof as_they_lie);
	}
	const int in_size = conv_dtype_bytes(p.image_dtype), out_size = conv_dtype_bytes(p.out_dtype);
	const int skew = chance(50) ? 0 : (int)below(16); /* in elements: results that are not aligned to vectors */
	char *image = malloc((size_t)(in_count * in_size));
	for (int64_t k = 0; k < in_count; k++) random_element(image + k * in_size, p.image_dtype, special);
	b.image = image;
	b.image_bytes = in_count * in_size;
	b.out_bytes = out_count * out_size;
	char *expected = aligned((out_count + skew) * out_size), *actual = aligned((out_count + skew) * out_size);

	const char *isas[8], *why;
	const int isa_count = conv_isas(isas);
	const int threads[] = {0, 1, 2, 7};
	int64_t want_overflow[2];
	for (int k = 0; k < isa_count; k++) {
		const int base = strcmp(isas[k], "base") == 0;
		conv_exec *e;
		memset(expected, 0xa5, (size_t)((out_count + skew) * out_size));
		b.out = expected + skew * out_size;
		if (conv_prepare(base ? "scalar-base" : "scalar", &p, &e, &why) != CONV_OK) fail(seed, &p, "scalar", why, -1);
		if (conv_run_here(e, &b, &want_overflow[0], &why) != CONV_OK) fail(seed, &p, "scalar", why, -1);
		conv_release(e);
		if (conv_prepare(isas[k], &p, &e, &why) != CONV_OK) fail(seed, &p, isas[k], why, -1);
		for (int t = 0; t < 4; t++) {
			int64_t overflow_at = -2;
			memset(actual, 0xa5, (size_t)((out_count + skew) * out_size));
			b.out = actual + skew * out_size;
			const conv_status status =
				threads[t] == 0 ? conv_run_here(e, &b, &overflow_at, &why) : on_pool(e, &b, threads[t], NULL, &overflow_at);
			if (status != CONV_OK) fail(seed, &p, isas[k], "status", status);
			if (overflow_at != want_overflow[0]) fail(seed, &p, isas[k], "first overflow", overflow_at);
			if (k == 0 && t == 0) add_to_digest(&overflow_at, sizeof overflow_at);
			if (overflow_at >= 0) continue; /* the rest is undefined */
			for (int64_t i = 0; i < out_count + skew; i++) {
				const char *x = expected + i * out_size, *y = actual + i * out_size;
				if (k == 0 && t == 0) add_to_digest(is_nan(y, p.out_dtype) ? "NaN" : y, is_nan(y, p.out_dtype) ? 3 : (size_t)out_size);
				if (memcmp(x, y, (size_t)out_size) != 0 && !(is_nan(x, p.out_dtype) && is_nan(y, p.out_dtype))) {
					printf("expected %.17g, got %.17g, threads %d\n", conv_get_double(x, p.out_dtype), conv_get_double(y, p.out_dtype), threads[t]);
					fail(seed, &p, isas[k], "result", i - skew);
				}
			}
		}
		if (chance(30)) {
			int64_t overflow_at = -2;
			if (on_pool(e, &b, 3, NULL, &overflow_at) != CONV_OK) fail(seed, &p, isas[k], "status", -1);
			if (overflow_at < 0) check(seed, isas[k], e, &p, &b, (int)between(1, 4));
		}
		conv_release(e);
	}
	free(image), free(expected), free(actual), free(scale), free(bias), free(taps), free(splits), free(factors), free(windows);
	free((void *)p.y.head), free((void *)p.y.tail), free((void *)p.x.head), free((void *)p.x.tail);
}

int main(int count, char **words) {
	if (count > 1 && strcmp(words[1], "digest") == 0) {
		conv_pool_acquire();
		const uint64_t first = count > 2 ? strtoull(words[2], NULL, 10) : 1;
		for (uint64_t k = 0; k < 200; k++) one(first * 1000 + k);
		conv_pool_release();
		printf("%016llx\n", (unsigned long long)digest);
		return 0;
	}
	const double seconds = count > 1 ? atof(words[1]) : 10;
	const time_t start = time(NULL);
	uint64_t seed = count > 2 ? strtoull(words[2], NULL, 10) : (uint64_t)start;
	const char *isas[8];
	const int n = conv_isas(isas);
	printf("isas:");
	for (int k = 0; k < n; k++) printf(" %s", isas[k]);
	printf("; first seed %llu\n", (unsigned long long)seed);
	conv_pool_acquire();
	int64_t problems = 0;
	if (seconds == 0) one(seed), problems++;
	else
		for (; difftime(time(NULL), start) < seconds; seed++, problems++) one(seed);
	conv_pool_release();
	printf("%lld problems agree;", (long long)problems);
	for (int a = 0; a < CONV_FFT; a++) {
		printf(" %s", ALGORITHM[a]);
		for (int k = 0; k < CONV_ACCUMULATORS; k++)
			if (ran[a][k]) printf(" %s %lld", ACCUMULATOR[k], (long long)ran[a][k]);
		printf(a == CONV_BOX ? "\n" : ";");
	}
	return 0;
}
