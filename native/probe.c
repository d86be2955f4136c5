/* Runs the probes of probe.h with all threads at once. */
#include <stdlib.h>
#include <time.h>

#include <pthread.h>

#include "kernels.h"
#include "pool.h"

typedef struct probe {
	conv_task task;
	const conv_isa *isa;
	char *to;
	const char *from;
	int64_t bytes, steps;
	double seconds, flops; /* of one thread; the slowest counts */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int finished, arrived;
} probe;

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void copy_work(conv_task *task, int slot) {
	probe *p = (probe *)task;
	(void)slot;
	const int64_t piece = p->bytes / p->task.items / 64 * 64;
	for (int64_t item; (item = conv_task_next(task)) >= 0;)
		p->isa->copy(p->to + item * piece, p->from + item * piece, item + 1 == p->task.items ? p->bytes - item * piece : piece);
}

static void multiply_add_work(conv_task *task, int slot) {
	probe *p = (probe *)task;
	(void)slot;
	if (conv_task_next(task) < 0) return;
	pthread_mutex_lock(&p->lock); /* all threads begin together: an idle core would lend its clock */
	p->arrived++;
	pthread_cond_broadcast(&p->changed);
	while (p->arrived < p->task.threads) pthread_cond_wait(&p->changed, &p->lock);
	pthread_mutex_unlock(&p->lock);
	double flops;
	const double seconds = p->isa->multiply_add(p->steps, &flops);
	pthread_mutex_lock(&p->lock);
	if (seconds > p->seconds) p->seconds = seconds;
	p->flops += flops;
	pthread_mutex_unlock(&p->lock);
}

static void probe_done(conv_task *task) {
	probe *p = (probe *)task;
	pthread_mutex_lock(&p->lock);
	p->finished = 1;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

static int run_probe(probe *p, int64_t items, int threads, void (*work)(conv_task *, int)) {
	p->task = (conv_task){.items = items, .threads = threads, .work = work, .done = probe_done};
	p->finished = p->arrived = 0;
	p->seconds = p->flops = 0;
	if (conv_pool_submit(&p->task) != 0) return -1;
	pthread_mutex_lock(&p->lock);
	while (!p->finished) pthread_cond_wait(&p->changed, &p->lock);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

double conv_probe_copy(const char *isa, void *to, const void *from, int64_t bytes, int threads, int repeats) {
	probe p = {.isa = conv_find_isa(isa), .to = to, .from = from, .bytes = bytes / 64 * 64};
	if (!p.isa || threads < 1 || (uintptr_t)to % 64 || (uintptr_t)from % 64) return -1;
	pthread_mutex_init(&p.lock, NULL);
	pthread_cond_init(&p.changed, NULL);
	double best = -1;
	for (int k = 0; k < repeats; k++) {
		const double start = now();
		if (run_probe(&p, 8 * (int64_t)threads, threads, copy_work) != 0) return -1;
		const double seconds = now() - start;
		if (best < 0 || seconds < best) best = seconds;
	}
	return best;
}

double conv_probe_multiply_add(const char *isa, int64_t steps, int threads, int repeats, double *flops) {
	probe p = {.isa = conv_find_isa(isa), .steps = steps};
	if (!p.isa || threads < 1 || threads > CONV_MAX_THREADS) return -1;
	pthread_mutex_init(&p.lock, NULL);
	pthread_cond_init(&p.changed, NULL);
	double best = -1;
	for (int k = 0; k < repeats; k++) {
		if (run_probe(&p, threads, threads, multiply_add_work) != 0) return -1;
		if (best < 0 || p.seconds < best) best = p.seconds;
		*flops = p.flops;
	}
	return best;
}
