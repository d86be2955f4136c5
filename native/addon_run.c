/* The addon's runs: on the calling thread, or queued with a callback. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "addon.h"

static const napi_type_tag RUN_TAG = {0x3b9e21d7c4f84a6b, 0x97d06a1be2f3c458};

/* Held by its environment's list, by the pool until its last word, and by the object that JavaScript may cancel it with. */
struct pending {
	atomic_int holders;
	instance *owner;
	pending *next, *before;
	conv_run *run; /* NULL once settled; only touched on the environment's thread */
	napi_ref image, out, callback;
	double started, milliseconds;
	conv_status status;
	int64_t overflow_at;
	int finished; /* under `lock`: the pool has said its last word */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static double milliseconds(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void let_go(pending *p) {
	if (atomic_fetch_sub(&p->holders, 1) == 1) free(p);
}

static int read_buffers(napi_env env, const napi_value *args, conv_buffers *b) {
	void *image, *words;
	int64_t bytes;
	if (!addon_typed_array(env, args[0], ~0u, "Expected a typed array for the image.", &image, &b->image_bytes) ||
	    !addon_typed_array(env, args[1], ~0u, "Expected a typed array for out.", &b->out, &b->out_bytes) ||
	    !addon_typed_array(env, args[2], 1u << napi_bigint64_array, "Expected a BigInt64Array of 10 words for the views.", &words, &bytes))
		return 0;
	if (bytes != VIEW_WORDS * 8) {
		addon_throw(env, "INVALID_ARGUMENT", "Expected a BigInt64Array of 10 words for the views.");
		return 0;
	}
	const int64_t *w = words;
	b->image = image;
	memcpy(b->image_strides, w, sizeof b->image_strides);
	b->image_offset = w[4];
	memcpy(b->out_strides, w + 5, sizeof b->out_strides);
	b->out_offset = w[9];
	return 1;
}

napi_value addon_run_here(napi_env env, napi_callback_info info) {
	napi_value args[4], result;
	size_t count = 4;
	conv_buffers b;
	int64_t overflow_at;
	const char *why = "";
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	conv_exec *exec = addon_exec(env, args[0]);
	if (exec == NULL || !read_buffers(env, args + 1, &b)) return NULL;
	const conv_status status = conv_run_here(exec, &b, &overflow_at, &why);
	if (status != CONV_OK) return addon_throw_status(env, status, why);
	napi_create_int64(env, overflow_at, &result);
	return result;
}

/* On a thread of the pool. */
static void finished(conv_run *run, void *context, conv_status status, int64_t overflow_at) {
	pending *p = context;
	(void)run;
	p->status = status;
	p->overflow_at = overflow_at;
	p->milliseconds = milliseconds() - p->started;
	napi_call_threadsafe_function(p->owner->settle, p, napi_tsfn_nonblocking);
	pthread_mutex_lock(&lock);
	p->finished = 1;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	let_go(p);
}

static void link_run(pending *p) {
	p->next = p->owner->first;
	if (p->next) p->next->before = p;
	p->owner->first = p;
}

static void unlink_run(pending *p) {
	if (p->before) p->before->next = p->next;
	else p->owner->first = p->next;
	if (p->next) p->next->before = p->before;
	p->next = p->before = NULL;
}

static void await_run(pending *p) {
	pthread_mutex_lock(&lock);
	while (!p->finished) pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

/* count, worst, threshold, then batch, channel, column, from, to of each suspect. */
static int findings_of(napi_env env, const conv_findings *f, napi_value *to) {
	const int64_t told = f->count < CONV_SUSPECTS ? f->count : CONV_SUSPECTS;
	const size_t length = (size_t)(3 + told * 5);
	void *data;
	napi_value buffer;
	if (napi_create_arraybuffer(env, length * 8, &data, &buffer) != napi_ok ||
	    napi_create_typedarray(env, napi_float64_array, length, buffer, 0, to) != napi_ok)
		return 0;
	double *d = data;
	*d++ = (double)f->count;
	*d++ = f->worst;
	*d++ = f->threshold;
	for (int64_t k = 0; k < told; k++) {
		const conv_suspect *s = &f->suspects[k];
		*d++ = (double)s->n;
		*d++ = (double)s->channel;
		*d++ = (double)s->column;
		*d++ = (double)s->from;
		*d++ = (double)s->to;
	}
	return 1;
}

void addon_settle(napi_env env, napi_value unused, void *context, void *data) {
	pending *p = data;
	(void)unused;
	(void)context;
	if (p->run == NULL) { /* the environment closed meanwhile */
		let_go(p);
		return;
	}
	unlink_run(p);
	napi_value args[4];
	size_t count = 3;
	if (env != NULL && p->status == CONV_OK && conv_run_findings(p->run) && findings_of(env, conv_run_findings(p->run), &args[3])) count = 4;
	conv_run_free(p->run);
	p->run = NULL;
	if (env != NULL) {
		napi_value callback, receiver;
		if (p->owner->first == NULL) napi_unref_threadsafe_function(env, p->owner->settle);
		napi_get_undefined(env, &receiver);
		napi_create_int32(env, p->status, &args[0]);
		napi_create_int64(env, p->overflow_at, &args[1]);
		napi_create_double(env, p->milliseconds, &args[2]);
		const napi_status found = napi_get_reference_value(env, p->callback, &callback);
		napi_delete_reference(env, p->callback);
		napi_delete_reference(env, p->image);
		napi_delete_reference(env, p->out);
		if (found == napi_ok) napi_call_function(env, receiver, callback, count, args, NULL);
	}
	let_go(p);
}

void addon_close(instance *data) {
	for (pending *p = data->first; p != NULL; p = p->next) conv_cancel(p->run);
	while (data->first != NULL) {
		pending *p = data->first;
		await_run(p);
		unlink_run(p);
		conv_run_free(p->run);
		p->run = NULL; /* its call of addon_settle may still be queued, and holds it */
	}
}

static void free_run_object(napi_env env, void *data, void *hint) {
	(void)env;
	(void)hint;
	let_go(data);
}

/* The object that cancel() takes. */
static napi_value object_of(napi_env env, pending *p) {
	napi_value object;
	if (napi_create_object(env, &object) != napi_ok || napi_type_tag_object(env, object, &RUN_TAG) != napi_ok) return NULL;
	atomic_fetch_add(&p->holders, 1);
	if (napi_wrap(env, object, p, free_run_object, NULL, NULL) == napi_ok) return object;
	let_go(p);
	return NULL;
}

static int hold(napi_env env, pending *p, const napi_value *args) {
	return napi_create_reference(env, args[1], 1, &p->image) == napi_ok && napi_create_reference(env, args[2], 1, &p->out) == napi_ok &&
	       napi_create_reference(env, args[5], 1, &p->callback) == napi_ok;
}

static void drop(napi_env env, pending *p) {
	if (p->image) napi_delete_reference(env, p->image);
	if (p->out) napi_delete_reference(env, p->out);
	if (p->callback) napi_delete_reference(env, p->callback);
	let_go(p);
}

/* The words of checksum()'s parameters, before weights, slope and offset. */
enum { MODULAR, LENGTH, SAMPLES, STRIP, LARGEST, CENTRE, CHECKSUM_WORDS };

static int read_checksum(napi_env env, napi_value value, conv_checksum *what, int64_t channels) {
	static const char expected[] = "Expected a Float64Array of 6 words, the weights, and slope and offset of every channel for the checksum.";
	void *data;
	int64_t bytes;
	if (!addon_typed_array(env, value, 1u << napi_float64_array, expected, &data, &bytes)) return 0;
	const double *d = data;
	const int64_t words = bytes / 8 - CHECKSUM_WORDS;
	/* written so that a NaN fails */
	const int fits = words >= 0 && d[LENGTH] >= 1 && d[LENGTH] <= 1 << 20 && d[SAMPLES] >= 1 && d[SAMPLES] <= 64 && d[STRIP] >= 1 &&
	                 d[STRIP] <= 1 << 20 && words == (int64_t)d[LENGTH] + 2 * channels;
	if (!fits) {
		addon_throw(env, "INVALID_ARGUMENT", expected);
		return 0;
	}
	*what = (conv_checksum){.modular = d[MODULAR] != 0,
	                        .length = (int64_t)d[LENGTH],
	                        .samples = (int64_t)d[SAMPLES],
	                        .strip = (int64_t)d[STRIP],
	                        .largest = d[LARGEST],
	                        .centre = d[CENTRE],
	                        .weights = d + CHECKSUM_WORDS};
	what->slope = what->weights + what->length;
	what->offset = what->slope + channels;
	return 1;
}

/* A run, or with `what` a checksum, of the buffers in args[1 .. 3] with args[4] threads; args[5] is called when it is over. */
static napi_value start(napi_env env, const napi_value *args, conv_exec *exec, const conv_checksum *what) {
	conv_buffers b;
	napi_valuetype type;
	int32_t threads;
	if (!read_buffers(env, args + 1, &b)) return NULL;
	if (napi_get_value_int32(env, args[4], &threads) != napi_ok || threads < 1 || threads > 256)
		return addon_throw(env, "INVALID_ARGUMENT", "Expected an integer from 1 to 256 for threads.");
	if (napi_typeof(env, args[5], &type) != napi_ok || type != napi_function)
		return addon_throw(env, "INVALID_ARGUMENT", "Expected a function for the callback.");
	pending *p = calloc(1, sizeof *p);
	if (p == NULL) return addon_throw(env, "LIMIT_EXCEEDED", "out of memory");
	atomic_init(&p->holders, 1);
	p->owner = addon_instance(env);
	napi_value object = hold(env, p, args) ? object_of(env, p) : NULL;
	if (object == NULL) {
		drop(env, p);
		return addon_throw(env, "LIMIT_EXCEEDED", "The run could not be set up: out of memory.");
	}
	const char *why = "";
	p->started = milliseconds();
	atomic_fetch_add(&p->holders, 1); /* the pool's */
	const conv_status status = what ? conv_start_checksum(exec, &b, what, threads, finished, p, &p->run, &why)
	                                : conv_start(exec, &b, threads, finished, p, &p->run, &why);
	if (status != CONV_OK) {
		p->run = NULL;
		let_go(p);
		drop(env, p);
		return addon_throw_status(env, status, why);
	}
	if (p->owner->first == NULL) napi_ref_threadsafe_function(env, p->owner->settle);
	link_run(p);
	return object;
}

/* start(executable, image, out, views, threads, settled) */
napi_value addon_start(napi_env env, napi_callback_info info) {
	napi_value args[6];
	size_t count = 6;
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	conv_exec *exec = addon_exec(env, args[0]);
	return exec == NULL ? NULL : start(env, args, exec, NULL);
}

/* checksum(executable, image, out, views, threads, settled, parameters) */
napi_value addon_checksum(napi_env env, napi_callback_info info) {
	napi_value args[7];
	size_t count = 7;
	conv_checksum what;
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	conv_exec *exec = addon_exec(env, args[0]);
	if (exec == NULL || !read_checksum(env, args[6], &what, conv_channels(exec))) return NULL;
	return start(env, args, exec, &what);
}

/* cancel(run): a run that is over is left alone. */
napi_value addon_cancel(napi_env env, napi_callback_info info) {
	napi_value args[1];
	size_t count = 1;
	napi_valuetype type;
	bool tagged = false;
	void *data = NULL;
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	if (napi_typeof(env, args[0], &type) != napi_ok || type != napi_object ||
	    napi_check_object_type_tag(env, args[0], &RUN_TAG, &tagged) != napi_ok || !tagged || napi_unwrap(env, args[0], &data) != napi_ok)
		return addon_throw(env, "INVALID_ARGUMENT", "Expected a run that start() made.");
	pending *p = data;
	if (p->run) conv_cancel(p->run);
	return NULL;
}
