/*
 * Overlap-save on FFTW 3, as one would write it: real transforms of square tiles planned with FFTW_MEASURE, one thread per core, each taking the
 * next tile. 'same' size, symmetric boundary, float32. For bench/fft/run.mjs only.
 *
 *   cc -O3 -march=native fftw.c -lfftw3f -lm -lpthread
 *   fftw SIDE THREADS      then on standard input, a line each:
 *       kernel K N         takes the K x K kernel of the bench and tiles of N x N; answers "ready"
 *       run                answers with milliseconds
 *       pixel Y X          answers with a pixel of the result
 */
#include <fftw3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int side, threads, k, n, step, across;
static float *image, *out;
static fftwf_complex *spectrum;
static fftwf_plan forward, backward;
static atomic_int next_tile;

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int mirrored(int p) {
	const int period = 2 * side;
	p = ((p % period) + period) % period;
	return p < side ? p : period - 1 - p;
}

static void one_tile(int y0, int x0, float *tile, fftwf_complex *freq) {
	const int half = k / 2;
	for (int y = 0; y < n; y++) {
		const float *row = image + (size_t)mirrored(y0 - half + y) * side;
		float *to = tile + (size_t)y * n;
		const int x = x0 - half;
		if (x >= 0 && x + n <= side) memcpy(to, row + x, (size_t)n * sizeof(float));
		else
			for (int i = 0; i < n; i++) to[i] = row[mirrored(x + i)];
	}
	fftwf_execute_dft_r2c(forward, tile, freq);
	for (int i = 0; i < n * (n / 2 + 1); i++) {
		const float re = freq[i][0], im = freq[i][1], a = spectrum[i][0], b = spectrum[i][1];
		freq[i][0] = re * a - im * b;
		freq[i][1] = re * b + im * a;
	}
	fftwf_execute_dft_c2r(backward, freq, tile);
	const int rows = y0 + step < side ? step : side - y0, cols = x0 + step < side ? step : side - x0;
	for (int y = 0; y < rows; y++) memcpy(out + (size_t)(y0 + y) * side + x0, tile + (size_t)y * n, (size_t)cols * sizeof(float));
}

static void *work(void *unused) {
	(void)unused;
	float *tile = fftwf_alloc_real((size_t)n * n);
	fftwf_complex *freq = fftwf_alloc_complex((size_t)n * (n / 2 + 1));
	for (int t; (t = atomic_fetch_add(&next_tile, 1)) < across * across;) one_tile(t / across * step, t % across * step, tile, freq);
	fftwf_free(tile);
	fftwf_free(freq);
	return NULL;
}

static void take_kernel(void) {
	if (spectrum) {
		fftwf_free(spectrum);
		fftwf_destroy_plan(forward);
		fftwf_destroy_plan(backward);
	}
	step = n - k + 1;
	across = (side + step - 1) / step;
	float *tile = fftwf_alloc_real((size_t)n * n);
	spectrum = fftwf_alloc_complex((size_t)n * (n / 2 + 1));
	forward = fftwf_plan_dft_r2c_2d(n, n, tile, spectrum, FFTW_MEASURE);
	backward = fftwf_plan_dft_c2r_2d(n, n, spectrum, tile, FFTW_MEASURE);
	memset(tile, 0, (size_t)n * n * sizeof(float));
	for (int y = 0; y < k; y++)
		for (int x = 0; x < k; x++) tile[y * n + x] = (float)((y * k + x) * 7919 % 101) / 101 / (float)(k * k) * 2;
	fftwf_execute_dft_r2c(forward, tile, spectrum);
	for (int i = 0; i < n * (n / 2 + 1); i++) { /* correlation; FFTW does not scale */
		spectrum[i][0] /= (float)n * (float)n;
		spectrum[i][1] /= -(float)n * (float)n;
	}
	fftwf_free(tile);
}

int main(int count, char **words) {
	side = count > 1 ? atoi(words[1]) : 4096;
	threads = count > 2 ? atoi(words[2]) : 2;
	image = fftwf_alloc_real((size_t)side * side);
	out = fftwf_alloc_real((size_t)side * side);
	memset(out, 0, (size_t)side * side * sizeof(float));
	uint32_t state = 1;
	for (size_t i = 0; i < (size_t)side * side; i++) {
		state = state * 1664525u + 1013904223u;
		image[i] = (float)((double)state / 4294967296.0);
	}
	char line[100];
	while (fgets(line, sizeof line, stdin)) {
		int y, x;
		if (sscanf(line, "kernel %d %d", &k, &n) == 2) {
			take_kernel();
			printf("ready\n");
		} else if (strncmp(line, "run", 3) == 0) {
			pthread_t pool[64];
			const double start = now();
			atomic_store(&next_tile, 0);
			for (int t = 1; t < threads; t++) pthread_create(&pool[t], NULL, work, NULL);
			work(NULL);
			for (int t = 1; t < threads; t++) pthread_join(pool[t], NULL);
			printf("%.4f\n", now() - start);
		} else if (sscanf(line, "pixel %d %d", &y, &x) == 2) printf("%.9g\n", out[(size_t)y * side + x]);
		fflush(stdout);
	}
	return 0;
}
