/*
 * Fourier transforms against sums in long double, for every length; and convolutions by them: the same bits on every vector ISA and for any
 * number of threads, within the bound of docs/numerics.md of the exact sums.
 *
 *   fft [seconds] [first seed]      seconds 0: the transforms, and one problem
 *   fft digest [seed]               one number for 20 convolutions; equal on every machine with fused multiply-add
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../kernels.h"
#include "../numbers.h"

static uint64_t state;

static uint64_t next(void) {
	uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static int64_t between(int64_t low, int64_t high) { return low + (int64_t)(next() % (uint64_t)(high - low + 1)); }
static int chance(int percent) { return between(1, 100) <= percent; }
static double real(void) { return (double)(next() >> 11) * 0x1p-52 - 1; }

static void fail(const char *what, int64_t a, int64_t b) {
	printf("FAILED: %s (%lld, %lld)\n", what, (long long)a, (long long)b);
	exit(1);
}

/* ── bounds, as in src/core/bounds.ts ── */

static double pass_cost(int radix) { return radix == 2 ? 1 : radix == 4 ? 2 : radix == 5 ? 11 : 6; }

static double cost(int64_t n) {
	conv_fft_axis axis;
	if (!conv_fft_axis_make(&axis, n, 8)) fail("memory", n, 0);
	double sum = 3.5 * (axis.passes - 1);
	for (int k = 0; k < axis.passes; k++) sum += pass_cost(axis.radix[k]);
	conv_fft_axis_free(&axis);
	return sum;
}

/* ── transforms ── */

static double get(int bytes, const void *from, int64_t k) { return bytes == 4 ? ((const float *)from)[k] : ((const double *)from)[k]; }
static void put(int bytes, void *to, int64_t k, double v) {
	if (bytes == 4) ((float *)to)[k] = (float)v;
	else ((double *)to)[k] = v;
}

/* Frequency at position p of a forward transform. */
static int64_t frequency(const conv_fft_axis *axis, int64_t p) {
	int64_t f = 0, step = 1, length = axis->n;
	for (int k = 0; k < axis->passes; k++) {
		length /= axis->radix[k];
		f += step * (p / length);
		p %= length;
		step *= axis->radix[k];
	}
	return f;
}

static void transform(const conv_isa *isa, int bytes, int64_t n, double *worst) {
	static const double one[2] = {1, 1}, none[2] = {0, 0};
	const conv_fft_kernels *fft = isa->fft[bytes == 8];
	const int64_t lanes = isa->vector_bytes / bytes;
	conv_fft_axis axis;
	conv_fft_axis_make(&axis, n, bytes);
	char *x = aligned_alloc(64, (size_t)((n * 2 * isa->vector_bytes + 63) / 64 * 64));
	double *was = malloc((size_t)(n * 2 * lanes) * 8);
	for (int64_t k = 0; k < n * 2 * lanes; k++) put(bytes, x, k, real()), was[k] = get(bytes, x, k);
	fft->columns_forward(&axis, x, one, none);
	long double errors = 0, norm = 0, cosine[CONV_FFT_LONGEST], sine[CONV_FFT_LONGEST];
	for (int64_t k = 0; k < n; k++) {
		const long double angle = -2 * 3.14159265358979323846264338L * (long double)k / (long double)n;
		cosine[k] = cosl(angle), sine[k] = sinl(angle);
	}
	const int64_t lane = between(0, lanes - 1);
	for (int64_t p = 0; p < n; p++) {
		const int64_t f = frequency(&axis, p);
		long double re = 0, im = 0;
		for (int64_t k = 0; k < n; k++) {
			const long double c = cosine[k * f % n], s = sine[k * f % n];
			const long double a = was[(2 * k) * lanes + lane], b = was[(2 * k + 1) * lanes + lane];
			re += a * c - b * s;
			im += a * s + b * c;
		}
		const long double dr = get(bytes, x, (2 * p) * lanes + lane) - re, di = get(bytes, x, (2 * p + 1) * lanes + lane) - im;
		errors += dr * dr + di * di;
		norm += re * re + im * im;
	}
	const double unit = bytes == 4 ? 0x1p-24 : 0x1p-53, share = (double)sqrtl(errors / norm) / (cost(n) * unit);
	if (!(share <= 1)) fail("a forward transform leaves its bound", n, bytes);
	if (share > *worst) *worst = share;
	fft->columns_inverse(&axis, x);
	for (int64_t l = 0; l < lanes; l++) {
		double off = 0, all = 0;
		for (int64_t k = 0; k < n; k++)
			for (int part = 0; part < 2; part++) {
				const double a = was[(2 * k + part) * lanes + l], d = get(bytes, x, (2 * k + part) * lanes + l) / (double)n - a;
				off += d * d;
				all += a * a;
			}
		if (!(sqrt(off / all) <= 2 * cost(n) * unit)) fail("there and back leaves its bound", n, bytes);
	}
	free(x);
	free(was);
	conv_fft_axis_free(&axis);
}

static void transforms(void) {
	const char *names[8];
	const int count = conv_isas(names);
	int lengths = 0;
	double worst[2] = {0, 0};
	for (int64_t n = 2; n <= CONV_FFT_LONGEST; n = n < 512 ? n + 1 : n * 2) {
		if (!conv_fft_is_length(n)) continue;
		lengths++;
		for (int k = 0; k < count; k++)
			for (int bytes = 4; bytes <= 8; bytes += 4) transform(conv_find_isa(names[k]), bytes, n, &worst[bytes == 8]);
	}
	for (int64_t n = 1; n <= 4096; n = n < 100 ? n + 1 : n * 2)
		for (int64_t k = 0; k < n; k++) {
			double re, im;
			const long double angle = 2 * 3.14159265358979323846264338L * (long double)k / (long double)n;
			conv_fft_root(k, n, &re, &im);
			if (!(fabsl(re - cosl(angle)) < 0x1p-53L && fabsl(im + sinl(angle)) < 0x1p-53L)) fail("a root of unity", k, n);
		}
	printf("%d lengths; worst share of the bound: float %.3f, double %.3f\n", lengths, worst[0], worst[1]);
}

/* ── convolutions ── */

static uint64_t digest = UINT64_C(0xcbf29ce484222325);
static double closest; /* largest share of the bound */
static int64_t direct_tiles;

static int32_t *a_map(int64_t n, int64_t first, int64_t count, int mode) {
	int32_t *map = malloc((size_t)(count > 0 ? count : 1) * 4);
	for (int64_t k = 0; k < count; k++) {
		const int64_t p = first + k, wrapped = (p % n + n) % n;
		map[k] = (int32_t)(mode == 0 ? -1 : mode == 1 ? (p < 0 ? 0 : n - 1) : wrapped);
	}
	return map;
}

static void make_axis(conv_axis *axis, int64_t n, int64_t first, int64_t count, int mode) {
	axis->first = first;
	axis->heads = first < 0 ? (first + count < 0 ? count : -first) : 0;
	axis->tails = first + count > n ? first + count - n : 0;
	axis->head = a_map(n, first, axis->heads, mode);
	axis->tail = a_map(n, n, axis->tails, mode);
}

typedef struct wait {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int done;
} wait;

static void on_done(conv_run *run, void *context, conv_status status, int64_t overflow_at) {
	wait *w = context;
	(void)run, (void)overflow_at;
	pthread_mutex_lock(&w->lock);
	w->done = 1 + (int)status;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

static void compute(conv_exec *e, const conv_buffers *b, int threads, uint64_t seed) {
	const char *why = "";
	int64_t at;
	if (threads == 0) {
		if (conv_run_here(e, b, &at, &why) != CONV_OK) fail(why, (int64_t)seed, 0);
		return;
	}
	wait w = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
	conv_run *run;
	if (conv_start(e, b, threads, on_done, &w, &run, &why) != CONV_OK) fail(why, (int64_t)seed, 0);
	pthread_mutex_lock(&w.lock);
	while (!w.done) pthread_cond_wait(&w.changed, &w.lock);
	pthread_mutex_unlock(&w.lock);
	conv_run_free(run);
	if (w.done != 1) fail("status", (int64_t)seed, w.done);
}

static int64_t a_length(int64_t least) {
	int64_t n = least < 2 ? 2 : least;
	for (int64_t more = between(0, 6); !conv_fft_is_length(n) || more-- > 0; n++) {}
	return n;
}

/* Pixels: noise on a level, now and then an outlier or one that is not finite. */
static void an_image(char *image, int64_t dtype, int64_t count) {
	const double level = chance(50) ? 0 : real() * 1000, size = chance(70) ? 1 : ldexp(1.0, (int)between(-60, 60));
	for (int64_t k = 0; k < count; k++) {
		const double v = conv_is_float(dtype) ? (level + real()) * (dtype == CONV_F16 ? 1 : size) : (double)between(0, 100);
		if (conv_is_float(dtype)) conv_store_real(v, image + k * conv_dtype_bytes(dtype), dtype, CONV_NEAREST_EVEN, CONV_SATURATE);
		else conv_put(image + k * conv_dtype_bytes(dtype), dtype, (uint64_t)(int64_t)v);
	}
	if (dtype < CONV_F32 || !chance(40)) return;
	const double strange[] = {1e20, -1e25, INFINITY, NAN, 1e30 * size};
	for (int64_t k = between(1, 3); k > 0; k--) {
		const double v = strange[between(0, 4)]; /* drawn first: the order of arguments is the compiler's */
		conv_store_real(v, image + between(0, count - 1) * conv_dtype_bytes(dtype), dtype, CONV_NEAREST_EVEN, CONV_SATURATE);
	}
}

static const char *position(const conv_problem *p, const conv_buffers *b, int64_t c, int64_t y, int64_t x) {
	const int64_t sizes[2] = {p->sizes[2], p->sizes[3]};
	const conv_axis *axes[2] = {&p->y, &p->x};
	int64_t at[2] = {y, x};
	for (int k = 0; k < 2; k++) {
		if (at[k] < 0) at[k] = axes[k]->head[at[k] - axes[k]->first];
		else if (at[k] >= sizes[k]) at[k] = axes[k]->tail[at[k] - sizes[k]];
		if (at[k] < 0) return NULL;
	}
	return (const char *)b->image + ((c * sizes[0] + at[0]) * sizes[1] + at[1]) * conv_dtype_bytes(p->image_dtype);
}

static double pixel(const conv_problem *p, const conv_buffers *b, int64_t c, int64_t y, int64_t x) {
	const char *at = position(p, b, c, y, x);
	double value;
	memcpy(&value, &p->value, 8);
	return at ? conv_get_double(at, p->image_dtype) : conv_is_float(p->image_dtype) ? value : (double)(int64_t)p->value;
}

/* Whether at most three pixels of a region of more than 600 are 2^13 times as far from the others' middle as any of those. */
static int has_few_outliers(const conv_problem *p, const conv_buffers *b, int64_t c, int64_t y0, int64_t x0, int64_t rows, int64_t cols) {
	enum { FEW = 4 };
	const conv_window *w = p->windows;
	double low[FEW], high[FEW]; /* the least and the largest pixels, in order */
	for (int k = 0; k < FEW; k++) low[k] = INFINITY, high[k] = -INFINITY;
	for (int64_t y = 0; y < rows; y++)
		for (int64_t x = 0; x < cols; x++) {
			double v = pixel(p, b, c, w->first_y + y0 + y, w->first_x + x0 + x), u = v;
			for (int k = 0; k < FEW; k++) {
				const double l = low[k], h = high[k];
				if (v < l) low[k] = v, v = l;
				if (u > h) high[k] = u, u = h;
			}
		}
	for (int below = 0; below < FEW; below++)
		for (int above = 0; above + below < FEW; above++) {
			const double from = low[below], to = high[above], middle = (from + to) / 2;
			const double off = fmax(middle - low[0], high[0] - middle);
			if (off > 8192 * (to - from) / 2) return rows * cols > 600;
		}
	return 0;
}

/* One tile against exact sums: within the bound of its region, which a tile that went direct cannot leave. */
static void judge(const conv_problem *p, const conv_buffers *b, int64_t c, int64_t y0, int64_t x0, uint64_t seed) {
	const conv_window *w = p->windows;
	const int64_t y1 = y0 + p->tile_h < p->out_h ? y0 + p->tile_h : p->out_h, x1 = x0 + p->tile_w < p->out_w ? x0 + p->tile_w : p->out_w;
	const double unit = p->sum == CONV_SUM_F32 ? 0x1p-24 : 0x1p-53;
	long double sum = 0, squares = 0;
	const int64_t rows = y1 - y0 + w->rows - 1, cols = x1 - x0 + w->cols - 1;
	for (int64_t y = 0; y < rows; y++)
		for (int64_t x = 0; x < cols; x++) sum += pixel(p, b, c, w->first_y + y0 + y, w->first_x + x0 + x);
	const long double mean = sum / (long double)(rows * cols);
	for (int64_t y = 0; y < rows; y++)
		for (int64_t x = 0; x < cols; x++) {
			const long double d = pixel(p, b, c, w->first_y + y0 + y, w->first_x + x0 + x) - mean;
			squares += d * d;
		}
	/* surely direct: not finite, or a few pixels far from all others */
	const int direct = !isfinite((double)mean) || (p->image_dtype >= CONV_F32 && has_few_outliers(p, b, c, y0, x0, rows, cols));
	direct_tiles += direct;
	double taps = 0;
	for (int64_t k = 0; k < p->tap_count; k++) taps += fabs(((const double *)p->taps)[k]);
	const double both = 3 * (cost(p->fft_h) + cost(p->fft_w)) + 6, spread = 2.3 * both * unit * taps * (double)sqrtl(squares) + 4 * unit * fabs((double)mean) * taps;
	for (int64_t y = y0; y < y1; y++)
		for (int64_t x = x0; x < x1; x++) {
			long double s = 0, a = 0;
			for (int64_t j = 0; j < w->rows; j++)
				for (int64_t i = 0; i < w->cols; i++) {
					const long double product = (long double)((const double *)p->taps)[j * w->cols + i] * pixel(p, b, c, w->first_y + y + j, w->first_x + x + i);
					s += product;
					a += fabsl(product);
				}
			const double got = conv_get_double((const char *)b->out + ((c * p->out_h + y) * p->out_w + x) * conv_dtype_bytes(p->out_dtype), p->out_dtype);
			if (!isfinite((double)s) || a > 1e37L) {
				if (!isfinite((double)s) && isfinite(got)) fail("a pixel that should not be finite", (int64_t)seed, y * p->out_w + x);
				continue;
			}
			const double bound = (double)((double)(w->rows + w->cols + 3) * unit * (double)a + (direct ? 0 : spread) + 0x1p-120 * taps);
			const double off = (double)fabsl(got - s);
			if (!(off <= bound)) {
				printf("pixel %lld %lld: got %.17g, expected %.17g within %g, off %g\n", (long long)y, (long long)x, got, (double)s, bound, off);
				fail("a pixel leaves its bound", (int64_t)seed, y * p->out_w + x);
			}
			if (!direct && off / bound > closest) closest = off / bound;
		}
}

static void one(uint64_t seed) {
	state = seed;
	conv_problem p = {.sizes = {1, between(1, 3), between(1, 90), between(1, 90)}, .kernels = 1, .stride_y = 1, .stride_x = 1, .dilation_y = 1, .dilation_x = 1};
	const int64_t dtypes[] = {CONV_F32, CONV_F32, CONV_F64, CONV_F16, CONV_U8, CONV_I16, CONV_I32};
	p.image_dtype = dtypes[between(0, 6)];
	p.sum = p.image_dtype == CONV_F64 || p.image_dtype == CONV_I32 || chance(20) ? CONV_SUM_F64 : CONV_SUM_F32;
	p.accumulator = p.sum == CONV_SUM_F32 ? CONV_ACC_F32 : CONV_ACC_F64;
	p.out_dtype = p.sum == CONV_SUM_F32 ? CONV_F32 : CONV_F64;
	p.tap_kind = CONV_TAPS_F64;
	p.algorithm = CONV_FFT;
	conv_window w = {between(1, 20), between(1, 20), between(-25, 3), between(-25, 3), 0};
	p.out_h = between(1, 80), p.out_w = between(1, 80);
	p.tile_h = between(1, 60), p.tile_w = between(1, 60);
	p.fft_h = a_length((p.tile_h < p.out_h ? p.tile_h : p.out_h) + w.rows - 1);
	p.fft_w = a_length((p.tile_w < p.out_w ? p.tile_w : p.out_w) + w.cols - 1);
	p.index_strides[3] = 1, p.index_strides[2] = p.out_w, p.index_strides[1] = p.out_w * p.out_h;
	p.windows = &w;
	p.tap_count = w.rows * w.cols;
	double *taps = malloc((size_t)p.tap_count * 8);
	const double size = ldexp(1.0, chance(70) ? 0 : (int)between(-30, 30));
	for (int64_t k = 0; k < p.tap_count; k++) taps[k] = (float)(real() * size);
	p.taps = (const uint64_t *)taps;
	make_axis(&p.y, p.sizes[2], w.first_y, p.out_h + w.rows - 1, (int)between(0, 2));
	make_axis(&p.x, p.sizes[3], w.first_x, p.out_w + w.cols - 1, (int)between(0, 2));
	const double outside = 0.5;
	if (conv_is_float(p.image_dtype)) memcpy(&p.value, &outside, 8);
	else p.value = 7;
	double scale[3] = {1, 1, 1}, bias[3] = {0, 0, 0};
	p.scale = scale, p.bias = bias;
	const int64_t in_count = p.sizes[1] * p.sizes[2] * p.sizes[3], out_count = p.sizes[1] * p.out_h * p.out_w;
	const int64_t out_bytes = out_count * conv_dtype_bytes(p.out_dtype);
	char *image = malloc((size_t)(in_count * 8)), *first = malloc((size_t)out_bytes), *again = malloc((size_t)out_bytes);
	an_image(image, p.image_dtype, in_count);
	conv_buffers b = {.image = image, .image_bytes = in_count * conv_dtype_bytes(p.image_dtype), .out_bytes = out_bytes};
	const int64_t in_strides[4] = {0, p.sizes[2] * p.sizes[3], p.sizes[3], 1}, out_strides[4] = {0, p.out_h * p.out_w, p.out_w, 1};
	memcpy(b.image_strides, in_strides, sizeof in_strides);
	memcpy(b.out_strides, out_strides, sizeof out_strides);
	const char *names[8], *why;
	const int count = conv_isas(names), threads[] = {0, 1, 2, 7};
	for (int k = 0; k < count; k++) {
		const int base = strcmp(names[k], "base") == 0;
		conv_exec *e;
		if (conv_prepare(names[k], &p, &e, &why) != CONV_OK) fail(why, (int64_t)seed, k);
		for (int t = 0; t < 4; t++) {
			char *to = (k == 0 || base) && t == 0 ? first : again;
			b.out = to;
			compute(e, &b, threads[t], seed);
			if (to == again && memcmp(first, again, (size_t)out_bytes) != 0)
				for (int64_t i = 0; i < out_count; i++) {
					const double x = conv_get_double(first + i * conv_dtype_bytes(p.out_dtype), p.out_dtype);
					const double y = conv_get_double(again + i * conv_dtype_bytes(p.out_dtype), p.out_dtype);
					if (x != y && !(isnan(x) && isnan(y))) {
						printf("%s, %d threads: %.17g and %.17g\n", names[k], threads[t], x, y);
						fail("bits differ", (int64_t)seed, i);
					}
				}
			if (to != first) continue;
			if (k == 0)
				for (int64_t i = 0; i < out_count; i++) {
					const double x = conv_get_double(first + i * conv_dtype_bytes(p.out_dtype), p.out_dtype);
					const unsigned char *bits = (const unsigned char *)&x;
					for (int j = 0; j < 8; j++) digest = (digest ^ (isnan(x) ? 1 : bits[j])) * UINT64_C(0x100000001b3);
				}
			for (int64_t c = 0; c < p.sizes[1]; c++)
				for (int64_t y = 0; y < p.out_h; y += p.tile_h)
					for (int64_t x = 0; x < p.out_w; x += p.tile_w) judge(&p, &b, c, y, x, seed);
		}
		conv_release(e);
	}
	free(image), free(first), free(again), free(taps);
	free((void *)p.y.head), free((void *)p.y.tail), free((void *)p.x.head), free((void *)p.x.tail);
}

int main(int count, char **words) {
	conv_pool_acquire();
	if (count > 1 && strcmp(words[1], "digest") == 0) {
		const uint64_t first = count > 2 ? strtoull(words[2], NULL, 10) : 1;
		for (uint64_t k = 0; k < 20; k++) one(first * 1000 + k);
		printf("%016llx\n", (unsigned long long)digest);
	} else {
		const double seconds = count > 1 ? atof(words[1]) : 10;
		uint64_t seed = count > 2 ? strtoull(words[2], NULL, 10) : (uint64_t)time(NULL);
		printf("first seed %llu\n", (unsigned long long)seed);
		transforms();
		const time_t start = time(NULL);
		int64_t problems = 0;
		do one(seed++), problems++;
		while (difftime(time(NULL), start) < seconds);
		printf("%lld problems, worst share of the bound %.3f, %lld tiles surely direct\n", (long long)problems, closest, (long long)direct_tiles);
	}
	conv_pool_release();
	return 0;
}
