/* What the machine could do at best: a streaming copy, and multiply-adds out of registers. For the bench. Included by body.h. */

typedef float NAME(probe_vector) __attribute__((vector_size(VECTOR_BYTES)));

static void NAME(copy)(void *to, const void *from, int64_t bytes) {
	NAME(probe_vector) *t = to;
	const NAME(probe_vector) *f = from;
	for (int64_t i = 0; i < bytes / VECTOR_BYTES; i++) STREAM(t + i, f[i]);
}

static double NAME(multiply_add)(int64_t steps, double *flops) {
	NAME(probe_vector) a[12], m = 0.999f - (NAME(probe_vector)){}, b = 0.1f - (NAME(probe_vector)){};
#pragma GCC unroll 12
	for (int i = 0; i < 12; i++) a[i] = (float)i - (NAME(probe_vector)){};
	struct timespec from, to;
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int64_t s = 0; s < steps; s++) {
#pragma GCC unroll 12
		for (int i = 0; i < 12; i++) a[i] = MULADD_f32(a[i], m, b);
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	for (int i = 1; i < 12; i++) a[0] += a[i];
	volatile float keep = a[0][0];
	(void)keep;
	*flops = (double)steps * 12 * (VECTOR_BYTES / 4) * 2;
	return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) * 1e-9;
}
