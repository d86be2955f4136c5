/* M: the largest finite |pixel| that each strip of an item has read. */
#include <math.h>
#include <string.h>

#include "checksum_own.h"

/* Magnitudes compare like their bits, as integers. */
static double largest(const double *most, int64_t count, double than) {
	int64_t bits, here;
	memcpy(&bits, &than, 8);
	for (int64_t x = 0; x < count; x++) {
		memcpy(&here, &most[x], 8);
		bits = here > bits ? here : bits;
	}
	memcpy(&than, &bits, 8);
	return than;
}

/* From the largest |pixel| of each column. Returns whether all are finite. */
static int measure_strips(conv_check_worker *w, const double *most) {
	const conv_check *k = w->check;
	const int64_t step = k->e->p.stride_x, beyond = w->extended - ((w->width - 1) * step + 1);
	int finite = 1;
	for (int64_t x = 0, strip = 0; x < w->width; x += k->what.strip, strip++) {
		const int64_t reach = (conv_at_most(k->what.strip, w->width - x) - 1) * step + 1 + beyond;
		double here = 0;
		/* taps that lie far apart have a piece of the row each */
		for (int64_t i = 0; i < w->pieces; i++) here = largest(most + i * w->extended + x * step, reach, here);
		w->largest[strip] = here;
		finite &= here < INFINITY;
	}
	return finite;
}

static int covers(const conv_span *spans, int64_t count, int64_t step, int64_t position) {
	for (int64_t p = 0; p < count; p++) {
		const int64_t beyond = position - (spans[p].start + spans[p].low * step);
		if (beyond >= 0 && beyond % step == 0 && beyond / step < spans[p].high - spans[p].low) return 1;
	}
	return 0;
}

/* The largest finite |pixel| of each column, from the rows once more. */
static void measure_columns(conv_check_worker *w, double *most, const conv_span *spans, int64_t count, int64_t step, const conv_rows *rows) {
	int64_t low = INT64_MAX, high = INT64_MIN;
	for (int64_t p = 0; p < count; p++) {
		const int64_t top = spans[p].start + spans[p].low * step, bottom = spans[p].start + (spans[p].high - 1) * step;
		low = top < low ? top : low;
		high = bottom > high ? bottom : high;
	}
	memset(most, 0, (size_t)rows->width * 8);
	for (int64_t position = low; position <= high; position++) {
		if (!covers(spans, count, step, position)) continue;
		const double *pixels = (const double *)w->rows;
		for (int64_t x = 0; x < rows->width; x += CONV_CHECK_PIECE / 8) {
			const int64_t width = conv_at_most(CONV_CHECK_PIECE / 8, rows->width - x);
			rows->read(w, w->rows, position, x, width);
			for (int64_t i = 0; i < width; i++) {
				const double here = fabs(pixels[i]);
				if (here < INFINITY && here > most[x + i]) most[x + i] = here;
			}
		}
	}
}

void conv_measure(conv_check_worker *w, double *most, const conv_span *spans, int64_t count, int64_t step, const conv_rows *rows) {
	const conv_check *k = w->check;
	if (most == NULL) {
		for (int64_t strip = 0; strip < k->group; strip++) w->largest[strip] = k->what.largest;
	} else if (!measure_strips(w, most)) {
		measure_columns(w, most, spans, count, step, rows);
		measure_strips(w, most);
	}
}
