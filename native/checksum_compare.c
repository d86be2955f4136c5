/* Two sums that should be equal, and what is told where they are not. */
#include <math.h>
#include <string.h>

#include "checksum_own.h"

static void suspect(conv_check_worker *w, const conv_span *s, int64_t x) {
	conv_findings *f = &w->check->findings;
	pthread_mutex_lock(&w->check->lock);
	if (f->count < CONV_SUSPECTS)
		f->suspects[f->count] = (conv_suspect){w->n, w->channel, w->x0 + x, s->start + s->low, s->start + s->high};
	f->count++;
	pthread_mutex_unlock(&w->check->lock);
}

static void compare_lanes(conv_check_worker *w, const conv_span *s, const char *expected, const char *actual) {
	const size_t bytes = (size_t)w->check->bytes;
	if (memcmp(expected, actual, (size_t)w->width * bytes) == 0) return;
	for (int64_t x = 0; x < w->width; x++)
		if (memcmp(expected + (size_t)x * bytes, actual + (size_t)x * bytes, bytes) != 0) suspect(w, s, x);
}

/* Column by column, since sums that are not finite, and those apart, are told one by one. Returns the largest difference of the others. */
static double suspect_columns(conv_check_worker *w, const conv_span *s, int64_t from, int64_t to, const double *expected, const double *actual,
                              double scale, double bias, double limit) {
	double worst = 0;
	for (int64_t x = from; x < to; x++) {
		const double apart = fabs(expected[x] * scale + bias - actual[x]);
		if (!(apart <= limit)) suspect(w, s, x);
		else if (apart > worst) worst = apart;
	}
	return worst;
}

void conv_compare(conv_check_worker *w, const conv_span *s, const char *expected, const char *actual) {
	conv_check *k = w->check;
	if (k->what.modular) {
		compare_lanes(w, s, expected, actual);
		return;
	}
	double weight = 0, share = 0, threshold = 0;
	for (int64_t t = s->low; t < s->high; t++) weight += k->what.weights[t];
	const double scale = k->e->p.scale[w->channel], bias = (k->e->p.bias[w->channel] - k->what.centre) * weight;
	const double *e = (const double *)expected, *a = (const double *)actual;
	for (int64_t x = 0, strip = 0; x < w->width; x += k->what.strip, strip++) {
		const int64_t to = conv_at_most(x + k->what.strip, w->width);
		const double limit = k->what.slope[w->channel] * w->largest[strip] + k->what.offset[w->channel];
		double worst = k->isa->apart(e + x, a + x, scale, bias, limit, to - x);
		if (worst < 0) worst = suspect_columns(w, s, x, to, e, a, scale, bias, limit);
		if (limit > threshold) threshold = limit;
		if (worst > 0 && worst / limit > share) share = worst / limit;
	}
	pthread_mutex_lock(&k->lock);
	if (threshold > k->findings.threshold) k->findings.threshold = threshold;
	if (share > k->findings.worst) k->findings.worst = share;
	pthread_mutex_unlock(&k->lock);
}
