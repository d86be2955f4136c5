/* The library's own threads: they take tasks in the order they came, several threads on one task. Private. */
#ifndef FALTUNG_POOL_H
#define FALTUNG_POOL_H

#include <stdatomic.h>
#include <stdint.h>

/* Most threads of the pool, and so of one task. */
#define CONV_MAX_THREADS 256

/* Work in `items` numbered pieces. The fields after `done` belong to the pool. */
typedef struct conv_task {
	int64_t items;
	int threads; /* at most so many work on it at once */
	/* One thread's share: calls conv_task_next until it is -1. `slot` < threads tells the workers of one task apart. */
	void (*work)(struct conv_task *task, int slot);
	/* Called once, on the thread that finished last; the task may be freed in it. */
	void (*done)(struct conv_task *task);
	atomic_llong next;
	int shared; /* may have several workers; never changed once queued */
	int slots;  /* handed out so far; under the pool's lock */
	int active; /* threads in work(); under the pool's lock */
	struct conv_task *following;
} conv_task;

/*
 * Workers that find themselves on one processor go apart. Called between pieces: some schedulers leave threads that wake together on
 * one processor for longer than most runs take.
 */
void conv_pool_spread(void);

/* The next piece, or -1. */
static inline int64_t conv_task_next(conv_task *task) {
	if (task->shared) conv_pool_spread();
	const int64_t item = atomic_fetch_add_explicit(&task->next, 1, memory_order_relaxed);
	return item < task->items ? item : -1;
}

/* Queues a task. Returns 0, or -1 where no thread could be started. The pool must be held (conv_pool_acquire). */
int conv_pool_submit(conv_task *task);

#endif
