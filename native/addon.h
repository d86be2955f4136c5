/* What the two halves of the addon share. Private. */
#ifndef FALTUNG_ADDON_H
#define FALTUNG_ADDON_H

#include <node_api.h>

#include "conv.h"

typedef struct pending pending;

/* One per JavaScript environment (main thread or worker). */
typedef struct instance {
	napi_threadsafe_function settle;
	pending *first; /* runs whose callbacks have not been called; only touched on the environment's thread */
} instance;

/* The number of words that describe a run's views: image strides, image offset, out strides, out offset. */
#define VIEW_WORDS 10

/* Throws an Error with a stable code. Returns NULL, so that a callback can return it. */
napi_value addon_throw(napi_env env, const char *code, const char *message);
napi_value addon_throw_status(napi_env env, conv_status status, const char *why);

/* The data of a typed array of one of the kinds in `allowed` (a bit per napi_typedarray_type); 0 and a thrown error otherwise. */
int addon_typed_array(napi_env env, napi_value value, unsigned allowed, const char *what, void **data, int64_t *bytes);

/* The exec in an object made by prepare(); NULL and a thrown error otherwise. */
conv_exec *addon_exec(napi_env env, napi_value value);

instance *addon_instance(napi_env env);

napi_value addon_run_here(napi_env env, napi_callback_info info);
napi_value addon_start(napi_env env, napi_callback_info info);
napi_value addon_checksum(napi_env env, napi_callback_info info);
napi_value addon_cancel(napi_env env, napi_callback_info info);

/* Called on the JavaScript thread for each finished run. */
void addon_settle(napi_env env, napi_value unused, void *context, void *data);
/* Cancels and awaits every run of a closing environment. */
void addon_close(instance *data);

#endif
