#include "pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>

#include "conv.h"

/*
 * One pool for the whole process. Its holders (one per JavaScript environment) keep the threads alive; the last one joins them,
 * since the library may be unloaded after that.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static pthread_cond_t stopped = PTHREAD_COND_INITIALIZER;
static struct {
	int holders;
	int stopping;
	int count;
	pthread_t threads[CONV_MAX_THREADS];
	conv_task *first, *last;
} pool;

/* ── which processor each worker runs on ── */

#ifdef __linux__
static _Thread_local int self = -1;             /* of pool.threads */
static atomic_int processors[CONV_MAX_THREADS]; /* of each worker that has work, and one more; 0: none */

static void note_processor(int at) { atomic_store_explicit(&processors[self], at + 1, memory_order_relaxed); }

/* The processors of `allowed` that no worker uses. */
static cpu_set_t free_processors(const cpu_set_t *allowed) {
	cpu_set_t left = *allowed;
	for (int k = 0; k < CONV_MAX_THREADS; k++) {
		const int at = atomic_load_explicit(&processors[k], memory_order_relaxed);
		if (at > 0 && at <= CPU_SETSIZE) CPU_CLR(at - 1, &left);
	}
	return left;
}

/*
 * Moves a thread off the processors in use, by a mask that it holds for a moment only: where it runs then is the system's business.
 */
static void move_away(pthread_t thread) {
	cpu_set_t allowed;
	if (pthread_getaffinity_np(thread, sizeof allowed, &allowed) != 0) return;
	const cpu_set_t left = free_processors(&allowed);
	if (CPU_COUNT(&left) == 0 || pthread_setaffinity_np(thread, sizeof left, &left) != 0) return;
	pthread_setaffinity_np(thread, sizeof allowed, &allowed);
}

void conv_pool_spread(void) {
	const int here = sched_getcpu();
	if (self < 0 || here < 0) return;
	note_processor(here);
	int alone = 1;
	for (int k = 0; k < self; k++) alone &= atomic_load_explicit(&processors[k], memory_order_relaxed) != here + 1;
	if (alone) return;
	move_away(pthread_self());
	note_processor(sched_getcpu());
}

/*
 * A worker that begins moves the next one that has not begun off the processors in use: woken onto this one, it would wait for the end of a time
 * slice before it could go anywhere by itself. The threads live as long as this worker's task is not done.
 */
static void make_room(int workers) {
	const int here = sched_getcpu();
	if (here < 0) return;
	note_processor(here);
	for (int k = 1; k < workers; k++) {
		const int other = (self + k) % workers;
		if (atomic_load_explicit(&processors[other], memory_order_relaxed) != 0) continue;
		move_away(pool.threads[other]);
		return;
	}
}

static void begin_worker(int index) { self = index; }
static void rest_worker(void) { atomic_store_explicit(&processors[self], 0, memory_order_relaxed); }
#else
void conv_pool_spread(void) {}
static void make_room(int workers) { (void)workers; }
static void begin_worker(int index) { (void)index; }
static void rest_worker(void) {}
#endif

/* The first task takes its next worker; it leaves the queue with its last one. */
static conv_task *take(int *slot) {
	conv_task *task = pool.first;
	*slot = task->slots++;
	task->active++;
	if (task->slots == task->threads) {
		pool.first = task->following;
		if (pool.first == NULL) pool.last = NULL;
	}
	return task;
}

/* Takes a task out of the queue whose pieces are all handed out although it could have had more workers. */
static void unqueue(conv_task *task) {
	conv_task *before = NULL;
	for (conv_task *t = pool.first; t != NULL; before = t, t = t->following) {
		if (t != task) continue;
		if (before == NULL) pool.first = t->following;
		else before->following = t->following;
		if (pool.last == t) pool.last = before;
		return;
	}
}

static void *worker(void *index) {
	begin_worker((int)(intptr_t)index);
#ifdef SCHED_BATCH
	/* Long stretches of arithmetic: the thread with the event loop should run as soon as it wakes. Best effort. */
	pthread_setschedparam(pthread_self(), SCHED_BATCH, &(struct sched_param){0});
#endif
	pthread_mutex_lock(&lock);
	for (;;) {
		while (pool.first == NULL && !pool.stopping) pthread_cond_wait(&more, &lock);
		if (pool.first == NULL) break; /* stopping, and nothing left to do */
		int slot;
		conv_task *task = take(&slot);
		const int workers = pool.count, more_to_come = task->slots < task->threads;
		pthread_mutex_unlock(&lock);
		if (more_to_come) make_room(workers);
		task->work(task, slot);
		rest_worker();
		pthread_mutex_lock(&lock);
		/* every piece is handed out now: nobody else need begin */
		if (task->slots < task->threads) {
			task->threads = task->slots;
			unqueue(task);
		}
		if (--task->active == 0) {
			pthread_mutex_unlock(&lock);
			task->done(task);
			pthread_mutex_lock(&lock);
		}
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* Signals are the host program's business. */
static int start_worker(pthread_t *thread, int index) {
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	const int failed = pthread_create(thread, NULL, worker, (void *)(intptr_t)index);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed;
}

int conv_pool_submit(conv_task *task) {
	atomic_store(&task->next, 0);
	task->slots = 0;
	task->active = 0;
	task->following = NULL;
	if (task->threads > CONV_MAX_THREADS) task->threads = CONV_MAX_THREADS;
	if (task->threads > task->items) task->threads = (int)task->items;
	if (task->threads < 1) task->threads = 1;
	task->shared = task->threads > 1;
	pthread_mutex_lock(&lock);
	while (pool.count < task->threads && start_worker(&pool.threads[pool.count], pool.count) == 0) pool.count++;
	if (pool.count == 0) {
		pthread_mutex_unlock(&lock);
		return -1;
	}
	if (pool.last == NULL) pool.first = task;
	else pool.last->following = task;
	pool.last = task;
	if (task->threads == 1) pthread_cond_signal(&more);
	else pthread_cond_broadcast(&more);
	pthread_mutex_unlock(&lock);
	return 0;
}

void conv_pool_acquire(void) {
	pthread_mutex_lock(&lock);
	while (pool.stopping) pthread_cond_wait(&stopped, &lock);
	pool.holders++;
	pthread_mutex_unlock(&lock);
}

void conv_pool_release(void) {
	pthread_mutex_lock(&lock);
	if (--pool.holders > 0) {
		pthread_mutex_unlock(&lock);
		return;
	}
	pool.stopping = 1;
	pthread_cond_broadcast(&more);
	while (pool.count > 0) {
		const pthread_t thread = pool.threads[--pool.count];
		pthread_mutex_unlock(&lock);
		pthread_join(thread, NULL);
		pthread_mutex_lock(&lock);
	}
	pool.stopping = 0;
	pthread_cond_broadcast(&stopped);
	pthread_mutex_unlock(&lock);
}
