/* The addon: unwraps, checks, queues. Everything else is in the C library behind conv.h. This file: preparing and describing. */
#include "addon.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const napi_type_tag EXEC_TAG = {0x8f0d6c1f6f4a4b0e, 0xa1f3b7c25d8e9046};

napi_value addon_throw(napi_env env, const char *code, const char *message) {
	napi_throw_error(env, code, message);
	return NULL;
}

napi_value addon_throw_status(napi_env env, conv_status status, const char *why) {
	return addon_throw(env, status == CONV_NO_MEMORY ? "LIMIT_EXCEEDED" : status == CONV_NO_ISA ? "BACKEND_UNAVAILABLE" : "INVALID_ARGUMENT",
	                   why);
}

int addon_typed_array(napi_env env, napi_value value, unsigned allowed, const char *what, void **data, int64_t *bytes) {
	static const int8_t element[] = {1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8};
	napi_typedarray_type type;
	size_t length;
	bool is = false;
	if (napi_is_typedarray(env, value, &is) != napi_ok || !is ||
	    napi_get_typedarray_info(env, value, &type, &length, data, NULL, NULL) != napi_ok || (size_t)type >= COUNT(element) ||
	    !(allowed >> type & 1)) {
		addon_throw(env, "INVALID_ARGUMENT", what);
		return 0;
	}
	*bytes = (int64_t)length * element[type];
	return 1;
}

conv_exec *addon_exec(napi_env env, napi_value value) {
	napi_valuetype type;
	bool tagged = false;
	void *exec = NULL;
	if (napi_typeof(env, value, &type) != napi_ok || type != napi_object ||
	    napi_check_object_type_tag(env, value, &EXEC_TAG, &tagged) != napi_ok || !tagged ||
	    napi_unwrap(env, value, &exec) != napi_ok || exec == NULL) {
		addon_throw(env, "INVALID_ARGUMENT", "Expected an executable that prepare() made and dispose() has not freed.");
		return NULL;
	}
	return exec;
}

instance *addon_instance(napi_env env) {
	void *data = NULL;
	napi_get_instance_data(env, &data);
	return data;
}

static void free_exec(napi_env env, void *exec, void *hint) {
	(void)env;
	(void)hint;
	conv_release(exec);
}

static napi_value object_of(napi_env env, conv_exec *exec) {
	napi_value object;
	if (napi_create_object(env, &object) == napi_ok && napi_type_tag_object(env, object, &EXEC_TAG) == napi_ok &&
	    napi_wrap(env, object, exec, free_exec, NULL, NULL) == napi_ok)
		return object;
	conv_release(exec);
	return addon_throw(env, "LIMIT_EXCEEDED", "The executable could not be wrapped.");
}

/* The words of prepare()'s geometry block, in order. src/backend/native/native.ts writes them in the same order. */
enum {
	SIZES = 0,
	KERNELS = 4,
	OUT = 5,
	STRIDES = 7,
	DILATIONS = 9,
	TILE = 11,
	INDEX_STRIDES = 13,
	TYPES = 17, /* image dtype, out dtype, sum, accumulator, overflow, rounding, kind of taps */
	AXIS_Y = 24, /* first, length of head, length of tail */
	AXIS_X = 27,
	VALUE = 30,
	ALGORITHM = 31,
	FFT_SIZE = 32,
	GEOMETRY_WORDS = 34
};

enum { WINDOW_WORDS = 5, SPLIT_WORDS = 2 };

static void read_axis(conv_axis *axis, const int64_t *words, const int32_t *maps) {
	axis->first = words[0];
	axis->head = maps;
	axis->heads = words[1];
	axis->tail = maps + words[1];
	axis->tails = words[2];
}

static void read_geometry(conv_problem *p, const int64_t *g) {
	memcpy(p->sizes, g + SIZES, sizeof p->sizes);
	p->kernels = g[KERNELS];
	p->out_h = g[OUT], p->out_w = g[OUT + 1];
	p->stride_y = g[STRIDES], p->stride_x = g[STRIDES + 1];
	p->dilation_y = g[DILATIONS], p->dilation_x = g[DILATIONS + 1];
	p->tile_h = g[TILE], p->tile_w = g[TILE + 1];
	memcpy(p->index_strides, g + INDEX_STRIDES, sizeof p->index_strides);
	p->image_dtype = g[TYPES], p->out_dtype = g[TYPES + 1], p->sum = g[TYPES + 2], p->accumulator = g[TYPES + 3];
	p->overflow = g[TYPES + 4], p->rounding = g[TYPES + 5], p->tap_kind = g[TYPES + 6];
	p->value = (uint64_t)g[VALUE];
	p->algorithm = g[ALGORITHM];
	p->fft_h = g[FFT_SIZE], p->fft_w = g[FFT_SIZE + 1];
}

/* prepare(isa, geometry, windows, taps, maps, scale, bias, splits, factors); without splits the last two are empty */
static napi_value prepare(napi_env env, napi_callback_info info) {
	enum { BIG = 1u << napi_bigint64_array, DOUBLE = 1u << napi_float64_array, BIG_UNSIGNED = 1u << napi_biguint64_array };
	static const struct {
		unsigned allowed;
		const char *what;
	} ARRAYS[] = {
		{BIG, "Expected a BigInt64Array of 34 words for the geometry."},
		{BIG, "Expected a BigInt64Array of 5 words per window for the windows."},
		{BIG | DOUBLE | BIG_UNSIGNED, "Expected 64-bit elements for the taps."},
		{1u << napi_int32_array, "Expected an Int32Array for the index maps."},
		{DOUBLE, "Expected a Float64Array for scale."},
		{DOUBLE, "Expected a Float64Array for bias."},
		{BIG, "Expected a BigInt64Array of 2 words per window, or of none, for the splits."},
		{BIG | DOUBLE | BIG_UNSIGNED, "Expected 64-bit elements for the factors."},
	};
	napi_value args[9];
	size_t count = COUNT(args);
	char isa[16];
	size_t length;
	void *data[COUNT(ARRAYS)];
	int64_t bytes[COUNT(ARRAYS)];
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	if (napi_get_value_string_utf8(env, args[0], isa, sizeof isa, &length) != napi_ok)
		return addon_throw(env, "INVALID_ARGUMENT", "Expected a string for the instruction set.");
	for (size_t k = 0; k < COUNT(ARRAYS); k++)
		if (!addon_typed_array(env, args[k + 1], ARRAYS[k].allowed, ARRAYS[k].what, &data[k], &bytes[k])) return NULL;
	if (bytes[0] != GEOMETRY_WORDS * 8) return addon_throw(env, "INVALID_ARGUMENT", ARRAYS[0].what);
	const int64_t *g = data[0];
	conv_problem p = {.windows = data[1], .taps = data[2], .tap_count = bytes[2] / 8, .scale = data[4], .bias = data[5],
	                  .splits = bytes[6] ? data[6] : NULL, .factors = data[7], .factor_count = bytes[7] / 8};
	read_geometry(&p, g);
	const int64_t most = (int64_t)1 << 40;
	if (p.kernels < 1 || p.kernels > most || p.sizes[1] < 0 || p.sizes[1] > most / p.kernels ||
	    bytes[1] != p.kernels * WINDOW_WORDS * 8)
		return addon_throw(env, "INVALID_ARGUMENT", ARRAYS[1].what);
	const int64_t channels = p.sizes[1] * p.kernels;
	if (bytes[4] != channels * 8) return addon_throw(env, "INVALID_ARGUMENT", ARRAYS[4].what);
	if (bytes[5] != channels * 8) return addon_throw(env, "INVALID_ARGUMENT", ARRAYS[5].what);
	if (bytes[6] != 0 && bytes[6] != p.kernels * SPLIT_WORDS * 8) return addon_throw(env, "INVALID_ARGUMENT", ARRAYS[6].what);
	int64_t entries = 0;
	for (int k = 1; k < 6; k++) {
		if (k == 3) continue;
		const int64_t n = g[AXIS_Y + k];
		if (n < 0 || n > bytes[3] / 4 - entries) return addon_throw(env, "INVALID_ARGUMENT", ARRAYS[3].what);
		entries += n;
	}
	read_axis(&p.y, g + AXIS_Y, data[3]);
	read_axis(&p.x, g + AXIS_X, (const int32_t *)data[3] + g[AXIS_Y + 1] + g[AXIS_Y + 2]);
	/* an empty typed array may have no address */
	static const uint64_t nothing[1];
	if (p.scale == NULL) p.scale = (const double *)nothing;
	if (p.bias == NULL) p.bias = (const double *)nothing;
	conv_exec *exec;
	const char *why = "";
	const conv_status status = conv_prepare(isa, &p, &exec, &why);
	return status == CONV_OK ? object_of(env, exec) : addon_throw_status(env, status, why);
}

/* dispose(executable): pending runs keep what they need. */
static napi_value dispose(napi_env env, napi_callback_info info) {
	napi_value args[1];
	size_t count = 1;
	void *exec;
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	if (addon_exec(env, args[0]) && napi_remove_wrap(env, args[0], &exec) == napi_ok) conv_release(exec);
	return NULL;
}

/* body(executable): what computes, and the tiles that it has computed so far. */
static napi_value body(napi_env env, napi_callback_info info) {
	napi_value args[1], pair, value;
	size_t count = 1;
	int64_t tiles;
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	conv_exec *exec = addon_exec(env, args[0]);
	if (exec == NULL) return NULL;
	napi_create_array(env, &pair);
	napi_create_string_utf8(env, conv_body(exec, &tiles), NAPI_AUTO_LENGTH, &value);
	napi_set_element(env, pair, 0, value);
	napi_create_int64(env, tiles, &value);
	napi_set_element(env, pair, 1, value);
	return pair;
}

/* isas(): those that this machine runs, best first. */
static napi_value isas(napi_env env, napi_callback_info info) {
	(void)info;
	const char *names[8];
	const int count = conv_isas(names);
	napi_value list, name;
	napi_create_array(env, &list);
	for (int k = 0; k < count; k++) {
		napi_create_string_utf8(env, names[k], NAPI_AUTO_LENGTH, &name);
		napi_set_element(env, list, (uint32_t)k, name);
	}
	return list;
}

/* kernels(isa): [group, columns] by number of accumulator, undefined where the scalar body computes. */
static napi_value kernels(napi_env env, napi_callback_info info) {
	napi_value args[1], list, pair, number;
	size_t count = 1, length;
	char isa[16];
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	if (napi_get_value_string_utf8(env, args[0], isa, sizeof isa, &length) != napi_ok)
		return addon_throw(env, "INVALID_ARGUMENT", "Expected a string for the instruction set.");
	napi_create_array(env, &list);
	for (uint32_t k = 0; k < CONV_ACCUMULATORS; k++) {
		const conv_kernel_info *kernel = conv_kernel(isa, (conv_accumulator)k);
		if (kernel == NULL) continue;
		napi_create_array(env, &pair);
		napi_create_int32(env, kernel->rows, &number);
		napi_set_element(env, pair, 0, number);
		napi_create_int32(env, kernel->cols, &number);
		napi_set_element(env, pair, 1, number);
		napi_set_element(env, list, k, pair);
	}
	return list;
}

/* Threads of a probe: 1 .. 256. */
static int read_threads(napi_env env, napi_value value, int32_t *threads) {
	if (napi_get_value_int32(env, value, threads) == napi_ok && *threads >= 1 && *threads <= 256) return 1;
	addon_throw(env, "INVALID_ARGUMENT", "Expected an integer from 1 to 256 for threads.");
	return 0;
}

static napi_value number_of(napi_env env, double x) {
	napi_value number;
	napi_create_double(env, x, &number);
	return number;
}

/* probeCopy(isa, to, from, threads): GB/s of one streaming copy between two typed arrays, from their first whole line of the cache on. */
static napi_value probe_copy(napi_env env, napi_callback_info info) {
	napi_value args[4];
	size_t count = 4, length;
	char isa[16];
	void *to, *from;
	int64_t bytes, other;
	int32_t threads;
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	if (napi_get_value_string_utf8(env, args[0], isa, sizeof isa, &length) != napi_ok)
		return addon_throw(env, "INVALID_ARGUMENT", "Expected a string for the instruction set.");
	if (!addon_typed_array(env, args[1], ~0u, "Expected a typed array to copy to.", &to, &bytes) ||
	    !addon_typed_array(env, args[2], ~0u, "Expected a typed array to copy from.", &from, &other) || !read_threads(env, args[3], &threads))
		return NULL;
	if (other < bytes) bytes = other;
	bytes = (bytes - 64) / 64 * 64;
	if (bytes < 4096) return addon_throw(env, "INVALID_ARGUMENT", "Expected arrays of 5,000 bytes at least.");
	const double seconds = conv_probe_copy(isa, (void *)(((uintptr_t)to + 63) / 64 * 64), (void *)(((uintptr_t)from + 63) / 64 * 64), bytes, threads, 1);
	return seconds > 0 ? number_of(env, (double)bytes / seconds / 1e9) : addon_throw(env, "LIMIT_EXCEEDED", "The copy could not be run.");
}

/* probeMultiplyAdd(isa, threads): float32 GFLOP/s of multiply-adds out of registers, for about 2 ms. */
static napi_value probe_multiply_add(napi_env env, napi_callback_info info) {
	napi_value args[2];
	size_t count = 2, length;
	char isa[16];
	int32_t threads;
	double flops;
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	if (napi_get_value_string_utf8(env, args[0], isa, sizeof isa, &length) != napi_ok)
		return addon_throw(env, "INVALID_ARGUMENT", "Expected a string for the instruction set.");
	if (!read_threads(env, args[1], &threads)) return NULL;
	const double seconds = conv_probe_multiply_add(isa, 1000000, threads, 1, &flops);
	return seconds > 0 ? number_of(env, flops / seconds / 1e9) : addon_throw(env, "LIMIT_EXCEEDED", "The probe could not be run.");
}

/* preferLargePages(array): for fresh memory that a run will fill. */
static napi_value prefer_large_pages(napi_env env, napi_callback_info info) {
	napi_value args[1];
	size_t count = 1;
	void *data;
	int64_t bytes;
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	if (addon_typed_array(env, args[0], ~0u, "Expected a typed array.", &data, &bytes)) conv_prefer_large_pages(data, bytes);
	return NULL;
}

static void close_instance(void *data) {
	addon_close(data);
	conv_pool_release();
}

static void free_instance(napi_env env, void *data, void *hint) {
	(void)env;
	(void)hint;
	free(data);
}

NAPI_MODULE_INIT() {
	static const struct {
		const char *name;
		napi_callback call;
	} FUNCTIONS[] = {
		{"isas", isas},           {"kernels", kernels},        {"prepare", prepare},
		{"dispose", dispose},     {"runHere", addon_run_here}, {"start", addon_start},
		{"checksum", addon_checksum},
		{"cancel", addon_cancel}, {"body", body},              {"probeCopy", probe_copy},   {"probeMultiplyAdd", probe_multiply_add},
		{"preferLargePages", prefer_large_pages},
	};
	instance *data = calloc(1, sizeof *data);
	napi_value name, function;
	napi_create_string_utf8(env, "faltung", NAPI_AUTO_LENGTH, &name);
	if (data == NULL || napi_create_threadsafe_function(env, NULL, NULL, name, 0, 1, NULL, NULL, data, addon_settle, &data->settle) != napi_ok) {
		free(data);
		return addon_throw(env, "LIMIT_EXCEEDED", "The native backend could not be set up: out of memory.");
	}
	napi_unref_threadsafe_function(env, data->settle); /* only pending runs keep the process alive */
	napi_set_instance_data(env, data, free_instance, NULL);
	conv_pool_acquire();
	napi_add_env_cleanup_hook(env, close_instance, data);
	for (size_t k = 0; k < COUNT(FUNCTIONS); k++) {
		napi_create_function(env, FUNCTIONS[k].name, NAPI_AUTO_LENGTH, FUNCTIONS[k].call, NULL, &function);
		napi_set_named_property(env, exports, FUNCTIONS[k].name, function);
	}
	return exports;
}
