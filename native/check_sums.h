/* A checksum at work, between run.c (threads) and checksum.c (sums). Private. */
#ifndef FALTUNG_CHECK_SUMS_H
#define FALTUNG_CHECK_SUMS_H

#include "exec.h"

typedef struct conv_check conv_check;

/* NULL and *status where it is not possible. The exec must outlive it. */
conv_check *conv_check_make(const conv_exec *exec, const conv_buffers *buffers, const conv_checksum *checksum, conv_status *status,
                            const char **why);
void conv_check_free(conv_check *check);

/* Blocks: the pieces of work. */
int64_t conv_check_items(const conv_check *check);

/* One thread's memory; 0 where there is none. */
typedef struct conv_check_worker conv_check_worker;
conv_check_worker *conv_check_worker_make(conv_check *check);
void conv_check_worker_free(conv_check_worker *worker);

/* Compares the sums of one block. Returns 0 where memory could not be had. */
int conv_check_item(conv_check_worker *worker, int64_t item);

const conv_findings *conv_check_findings(const conv_check *check);

#endif
