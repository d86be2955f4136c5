/*
 * Interleaved channels: where image and result hold the C channels of a pixel side by side, a row is one of W*C elements and its kernel
 * has its taps C apart. One wide row instead of C strided ones; the sums of each output are the same, in the same order.
 */
#include <stdlib.h>

#include "exec.h"

/* All channels are stored alike, and where an overflow is named, elements are numbered as they lie. */
static int can_widen(const conv_exec *e) {
	const conv_problem *p = &e->p;
	const int64_t channels = p->sizes[1];
	if (!e->isa || channels < 2 || p->kernels != 1 || p->stride_x != 1) return 0;
	if (p->algorithm == CONV_FFT || p->windows[0].rows == 0 || (__int128)(p->sizes[3] + p->x.heads + p->x.tails) * channels > INT32_MAX) return 0;
	if (p->algorithm == CONV_DIRECT && !conv_strip_fits(e, &p->windows[0], channels)) return 0; /* the ring gains nothing */
	if ((__int128)(p->windows[0].cols - 1) * p->dilation_x * channels > INT32_MAX) return 0;
	for (int64_t c = 1; c < channels; c++)
		if (p->scale[c] != p->scale[0] || p->bias[c] != p->bias[0]) return 0;
	return p->overflow != CONV_THROW || (p->index_strides[1] == 1 && p->index_strides[3] == channels);
}

static int32_t *spread(const int32_t *map, int64_t count, int64_t channels) {
	int32_t *to = malloc((size_t)(count * channels) * 4 + 1);
	for (int64_t k = 0; to != NULL && k < count * channels; k++) {
		const int32_t source = map[k / channels];
		to[k] = source < 0 ? -1 : (int32_t)(source * channels + k % channels);
	}
	return to;
}

static conv_exec *widen(const conv_exec *e) {
	conv_problem p = e->p;
	const int64_t channels = p.sizes[1];
	conv_window window = p.windows[0];
	window.first_x *= channels;
	p.windows = &window;
	p.sizes[1] = 1;
	p.sizes[3] *= channels;
	p.out_w *= channels;
	p.dilation_x = window.cols > 1 ? p.dilation_x * channels : 1;
	p.index_strides[3] = 1;
	int32_t *head = spread(p.x.head, p.x.heads, channels), *tail = spread(p.x.tail, p.x.tails, channels);
	p.x = (conv_axis){p.x.first * channels, head, p.x.heads * channels, tail, p.x.tails * channels};
	conv_exec *wide = NULL;
	const char *why;
	if (head && tail && conv_prepare(e->isa->name, &p, &wide, &why) != CONV_OK) wide = NULL;
	free(head);
	free(tail);
	if (wide) wide->holes = 0; /* what lies between its taps are the other channels; real holes are looked at before */
	return wide;
}

conv_exec *conv_interleaved(conv_exec *e, conv_buffers *b) {
	const int64_t channels = e->p.sizes[1];
	if (b->image_strides[1] != 1 || b->image_strides[3] != channels || b->out_strides[1] != 1 || b->out_strides[3] != channels) return e;
	if (!can_widen(e)) return e;
	conv_exec *wide = atomic_load(&e->wide);
	if (wide == NULL) {
		conv_exec *made = widen(e);
		if (made == NULL) return e; /* no memory for it: the channels one by one */
		if (!atomic_compare_exchange_strong(&e->wide, &wide, made)) conv_release(made); /* another run was first */
		else wide = made;
	}
	b->image_strides[3] = b->out_strides[3] = 1;
	return wide;
}
