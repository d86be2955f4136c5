/* Every argument once more, against each other and against the buffers' lengths: nothing below this file checks. */
#include "check.h"

#include "kernels.h"
#include "numbers.h"

/* Beyond any memory, and small enough that sums and products of two fit 128 bits with room to spare. */
#define MOST ((int64_t)1 << 53)

typedef __int128 wide;

#define REQUIRE(condition, text)  \
	do {                          \
		if (!(condition)) {       \
			*why = text;          \
			return CONV_INVALID;  \
		}                         \
	} while (0)

static int within(int64_t x, int64_t low, int64_t high) { return x >= low && x <= high; }

static conv_status check_axis(const conv_axis *axis, int64_t n, const char **why) {
	REQUIRE(within(axis->first, -MOST, MOST), "axis: first is out of range");
	REQUIRE(within(axis->heads, 0, MOST) && within(axis->tails, 0, MOST), "axis: map lengths are out of range");
	REQUIRE((axis->heads == 0 || axis->head) && (axis->tails == 0 || axis->tail), "axis: a map is missing");
	for (int64_t k = 0; k < axis->heads; k++) REQUIRE(axis->head[k] >= -1 && axis->head[k] < n, "axis: a map entry lies outside");
	for (int64_t k = 0; k < axis->tails; k++) REQUIRE(axis->tail[k] >= -1 && axis->tail[k] < n, "axis: a map entry lies outside");
	return CONV_OK;
}

/* Whether the maps cover positions low .. high. */
static int covers(const conv_axis *axis, int64_t n, wide low, wide high) {
	if (low < 0 && (low < axis->first || (high < -1 ? high : -1) - axis->first >= axis->heads)) return 0;
	return high < n || high - n < axis->tails;
}

static conv_status check_window(const conv_problem *p, const conv_window *w, const char **why) {
	if (w->rows == 0 && w->cols == 0) return CONV_OK;
	REQUIRE(within(w->rows, 1, MOST) && within(w->cols, 1, MOST), "window: rows and cols must both be 0 or both positive");
	REQUIRE(within(w->first_y, -MOST, MOST) && within(w->first_x, -MOST, MOST), "window: first position is out of range");
	REQUIRE(within(w->taps, 0, p->tap_count) && (wide)w->taps + (wide)w->rows * w->cols <= p->tap_count,
	        "window: taps lie outside the tap array");
	if (p->out_h == 0 || p->out_w == 0) return CONV_OK;
	const wide reach_y = (wide)(p->out_h - 1) * p->stride_y + (wide)(w->rows - 1) * p->dilation_y;
	const wide reach_x = (wide)(p->out_w - 1) * p->stride_x + (wide)(w->cols - 1) * p->dilation_x;
	REQUIRE(reach_y < MOST && reach_x < MOST, "window: it reaches too far");
	REQUIRE(covers(&p->y, p->sizes[2], w->first_y, w->first_y + reach_y), "window: rows lie outside the row map");
	REQUIRE(covers(&p->x, p->sizes[3], w->first_x, w->first_x + reach_x), "window: columns lie outside the column map");
	return CONV_OK;
}

static conv_status check_split(const conv_problem *p, int64_t m, const char **why) {
	const conv_window *w = &p->windows[m];
	const conv_split *s = &p->splits[m];
	if (w->rows == 0) return CONV_OK;
	REQUIRE(within(s->rank, 1, MOST) && within(s->at, 0, p->factor_count), "split: rank and place are out of range");
	REQUIRE((wide)s->at + (wide)s->rank * ((wide)w->rows + w->cols) <= p->factor_count, "split: factors lie outside the factor array");
	return CONV_OK;
}

static conv_status check_fft(const conv_problem *p, const char **why) {
	REQUIRE(p->sum != CONV_SUM_INTEGER, "integer sums are not formed by Fourier transforms");
	REQUIRE(conv_fft_is_length(p->fft_h) && conv_fft_is_length(p->fft_w), "fft: the size is none of 2^a 3^b 5^c from 2 to 2048");
	REQUIRE((p->stride_y == 1 || p->out_h <= 1) && (p->stride_x == 1 || p->out_w <= 1), "fft: strides must be 1");
	const int64_t high = p->tile_h < p->out_h ? p->tile_h : p->out_h, wide = p->tile_w < p->out_w ? p->tile_w : p->out_w;
	for (int64_t m = 0; m < p->kernels; m++) {
		const conv_window *w = &p->windows[m];
		REQUIRE((p->dilation_y == 1 || w->rows <= 1) && (p->dilation_x == 1 || w->cols <= 1), "fft: dilations must be 1");
		REQUIRE((__int128)high + w->rows - 1 <= p->fft_h && (__int128)wide + w->cols - 1 <= p->fft_w, "fft: a tile and its window exceed the size");
	}
	return CONV_OK;
}

/* What only one algorithm needs. */
static conv_status check_algorithm(const conv_problem *p, const char **why) {
	REQUIRE(within(p->algorithm, 0, CONV_ALGORITHMS - 1), "unknown algorithm");
	REQUIRE(within(p->factor_count, 0, MOST), "the number of factors is out of range");
	if (p->algorithm == CONV_DIRECT) return CONV_OK;
	REQUIRE(p->accumulator < CONV_VECTOR_ACCUMULATORS, "sums wider than 64 bits are formed directly");
	if (p->algorithm == CONV_FFT) return check_fft(p, why);
	if (p->algorithm != CONV_SEPARABLE) return CONV_OK;
	REQUIRE(p->splits && (p->factor_count == 0 || p->factors), "the splits are missing");
	conv_status status = CONV_OK;
	for (int64_t m = 0; m < p->kernels && status == CONV_OK; m++) status = check_split(p, m, why);
	return status;
}

static conv_status check_types(const conv_problem *p, const char **why) {
	REQUIRE(within(p->image_dtype, 0, CONV_DTYPES - 1) && within(p->out_dtype, 0, CONV_DTYPES - 1), "unknown dtype");
	REQUIRE(within(p->sum, CONV_SUM_INTEGER, CONV_SUM_F64), "unknown kind of sum");
	REQUIRE(within(p->accumulator, 0, CONV_ACCUMULATORS - 1), "unknown accumulator");
	REQUIRE(within(p->overflow, CONV_SATURATE, CONV_THROW), "unknown overflow rule");
	REQUIRE(within(p->rounding, CONV_NEAREST_EVEN, CONV_FLOOR), "unknown rounding");
	REQUIRE(within(p->tap_kind, CONV_TAPS_F64, CONV_TAPS_U64), "unknown kind of taps");
	if (p->sum == CONV_SUM_INTEGER) {
		REQUIRE(!conv_is_float(p->image_dtype) && p->tap_kind != CONV_TAPS_F64, "integer sums need an integer image and integer taps");
		REQUIRE(p->accumulator != CONV_ACC_I16 || p->image_dtype <= CONV_I8, "16-bit sums need an 8-bit image");
	} else {
		REQUIRE(p->tap_kind == CONV_TAPS_F64, "float sums need float taps");
		REQUIRE(p->accumulator == (p->sum == CONV_SUM_F32 ? CONV_ACC_F32 : CONV_ACC_F64), "the accumulator must be the float sum's type");
	}
	return CONV_OK;
}

conv_status conv_check_problem(const conv_problem *p, const char **why) {
	for (int k = 0; k < 4; k++) REQUIRE(within(p->sizes[k], 0, MOST), "image sizes are out of range");
	REQUIRE(p->sizes[2] <= INT32_MAX && p->sizes[3] <= INT32_MAX, "an image side must be below 2^31");
	REQUIRE(within(p->kernels, 1, MOST) && within(p->out_h, 0, MOST) && within(p->out_w, 0, MOST), "result sizes are out of range");
	REQUIRE((wide)p->sizes[0] * p->sizes[1] < MOST && (wide)p->sizes[0] * p->sizes[1] * p->kernels < MOST, "too many planes");
	REQUIRE((wide)p->sizes[0] * p->sizes[1] * p->kernels * p->out_h < MOST &&
	            (wide)p->sizes[0] * p->sizes[1] * p->kernels * p->out_h * p->out_w < MOST,
	        "too many results");
	REQUIRE(within(p->stride_y, 1, MOST) && within(p->stride_x, 1, MOST), "strides must be positive");
	REQUIRE(within(p->dilation_y, 1, MOST) && within(p->dilation_x, 1, MOST), "dilations must be positive");
	REQUIRE(within(p->tile_h, 1, MOST) && within(p->tile_w, 1, MOST), "tile sizes must be positive");
	for (int k = 0; k < 4; k++) REQUIRE(within(p->index_strides[k], 0, MOST), "index strides are out of range");
	REQUIRE(p->windows && p->scale && p->bias && within(p->tap_count, 0, MOST) && (p->tap_count == 0 || p->taps), "a table is missing");
	conv_status status = check_types(p, why);
	if (status == CONV_OK) status = check_axis(&p->y, p->sizes[2], why);
	if (status == CONV_OK) status = check_axis(&p->x, p->sizes[3], why);
	for (int64_t m = 0; m < p->kernels && status == CONV_OK; m++) status = check_window(p, &p->windows[m], why);
	if (status == CONV_OK) status = check_algorithm(p, why);
	return status;
}

/* Lowest and highest byte (exclusive) of a view; an empty one has none. */
static int extent(const int64_t sizes[4], const int64_t strides[4], int64_t offset, int element, wide *low, wide *high) {
	*low = *high = offset;
	for (int k = 0; k < 4; k++) {
		if (sizes[k] == 0) return 0;
		const wide reach = (wide)(sizes[k] - 1) * strides[k];
		if (reach < 0) *low += reach;
		else *high += reach;
	}
	*low *= element;
	*high = (*high + 1) * element;
	return 1;
}

conv_status conv_check_views(const conv_problem *p, const conv_buffers *b, const char **why) {
	const int64_t out_sizes[4] = {p->sizes[0], p->sizes[1] * p->kernels, p->out_h, p->out_w};
	for (int k = 0; k < 4; k++)
		REQUIRE(within(b->image_strides[k], -MOST, MOST) && within(b->out_strides[k], -MOST, MOST), "a stride is out of range");
	REQUIRE(within(b->image_offset, 0, MOST) && within(b->out_offset, 0, MOST), "an offset is out of range");
	REQUIRE(within(b->image_bytes, 0, MOST) && within(b->out_bytes, 0, MOST), "a byte length is out of range");
	wide image_low, image_high, out_low, out_high;
	const int any_image =
		extent(p->sizes, b->image_strides, b->image_offset, conv_dtype_bytes(p->image_dtype), &image_low, &image_high);
	const int any_out = extent(out_sizes, b->out_strides, b->out_offset, conv_dtype_bytes(p->out_dtype), &out_low, &out_high);
	if (any_image) {
		REQUIRE(image_low >= 0 && image_high <= b->image_bytes && b->image, "the image does not fit its buffer");
		REQUIRE((uintptr_t)b->image % (uintptr_t)conv_dtype_bytes(p->image_dtype) == 0, "the image is not aligned");
	}
	if (!any_out) return CONV_OK;
	for (int k = 0; k < 4; k++) REQUIRE(out_sizes[k] < 2 || b->out_strides[k] != 0, "the result overlaps itself");
	REQUIRE(out_low >= 0 && out_high <= b->out_bytes && b->out, "the result does not fit its buffer");
	REQUIRE((uintptr_t)b->out % (uintptr_t)conv_dtype_bytes(p->out_dtype) == 0, "the result is not aligned");
	if (!any_image) return CONV_OK;
	const wide distance = (wide)(intptr_t)b->out - (wide)(intptr_t)b->image;
	REQUIRE(distance + out_low >= image_high || distance + out_high <= image_low, "image and result overlap");
	return CONV_OK;
}
