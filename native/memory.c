/* Large pages for large results. */
#include <stdint.h>

#include "conv.h"

#ifdef __linux__
#include <sys/mman.h>

#define LARGE_PAGE ((uintptr_t)2 << 20)

void conv_prefer_large_pages(void *at, int64_t bytes) {
	const uintptr_t from = ((uintptr_t)at + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE, to = ((uintptr_t)at + (uintptr_t)bytes) / LARGE_PAGE * LARGE_PAGE;
	if (to > from) madvise((void *)from, to - from, MADV_HUGEPAGE); /* where the system has none, all stays as it was */
}
#else
void conv_prefer_large_pages(void *at, int64_t bytes) { (void)at, (void)bytes; }
#endif
