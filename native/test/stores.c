/*
 * Every vector store of every ISA of this machine against the scalar store, bit for bit: sums at the edges of the types, at ties, just
 * beside the ties of narrower floats, beyond what doubles hold.
 *
 *     stores [seconds] [seed]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../conv.h"
#include "../kernels.h"
#include "../numbers.h"

#define COUNT 301

static uint64_t state;
static uint64_t next(void) { /* splitmix64 */
	uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}
static int64_t below(int64_t n) { return (int64_t)(next() % (uint64_t)n); }
static int chance(int percent) { return below(100) < percent; }

static double random_real(void) {
	const double sign = chance(50) ? -1 : 1, units = (double)(below(7) - 3);
	const double tiny = chance(30) ? 0 : ldexp(units, -(int)below(45));
	switch (below(7)) {
	case 0: return sign * ldexp(1, (int)below(70)) + units * 0.5; /* the edges of the integers */
	case 1: return sign * ((double)below(300) + 0.5) + tiny * 0x1p-20;
	case 2: { /* between two halves */
		const double ulp = ldexp(1, -(int)below(26) + 2);
		return sign * (ulp * (1024 + (double)below(1024)) + ulp * 0.5 + ulp * tiny * 0.25);
	}
	case 3: return chance(50) ? (chance(50) ? NAN : sign * INFINITY) : sign * 0.0;
	case 4: return sign * (double)below(70000);
	case 5: return sign * ldexp((double)next(), -(int)below(120));
	default: return sign * (double)(below(1 << 20)) / 4096;
	}
}

static int64_t random_integer(conv_accumulator accumulator) {
	if (accumulator == CONV_ACC_I16) return (int16_t)next();
	const int most = accumulator == CONV_ACC_F32 ? 24 : accumulator == CONV_ACC_F64 ? 53 : 63, bits = 1 + (int)below(most);
	if (accumulator == CONV_ACC_I64 && chance(20)) { /* between two floats, or just beside */
		const int64_t odd = ((INT64_C(1) << 24) + 2 * below(1 << 23) + 1) * (INT64_C(1) << below(38));
		return (chance(50) ? odd : -odd) + below(3) - 1;
	}
	const int64_t edge = (int64_t)((UINT64_C(1) << bits) - (bits == 63)), v = chance(40) ? edge - (edge > 8 ? below(4) : 0) : below(edge);
	return chance(50) ? -v : v;
}

static void put_sum(void *sums, int64_t i, conv_accumulator accumulator, int exact) {
	const int64_t n = exact ? random_integer(accumulator) : 0;
	const double v = exact ? (double)n : random_real();
	if (accumulator == CONV_ACC_F32) ((float *)sums)[i] = (float)v;
	else if (accumulator == CONV_ACC_F64) ((double *)sums)[i] = v;
	else if (accumulator == CONV_ACC_I16) ((int16_t *)sums)[i] = (int16_t)n;
	else ((int64_t *)sums)[i] = n;
}

/* As numbers.h says. Returns 1 where the value must be reported. */
static int scalar(const conv_store *how, const void *sums, int64_t i, void *to) {
	const double d = how->accumulator == CONV_ACC_F32 ? ((const float *)sums)[i] : how->accumulator == CONV_ACC_F64 ? ((const double *)sums)[i] : 0;
	if (how->exact) {
		const int64_t n = how->accumulator == CONV_ACC_I16 ? ((const int16_t *)sums)[i] : how->accumulator == CONV_ACC_I64 ? ((const int64_t *)sums)[i] : (int64_t)d;
		if (how->plain) return conv_store_integer(conv_wide_from(n), to, how->dtype, how->overflow);
		return conv_store_real(how->scale * (double)n + how->bias, to, how->dtype, how->rounding, how->overflow);
	}
	const double scaled = how->accumulator == CONV_ACC_F32 ? (double)((float)how->scale * (float)d + (float)how->bias) : how->scale * d + how->bias;
	return conv_store_real(how->plain ? d : scaled, to, how->dtype, how->rounding, how->overflow);
}

static int same(const void *a, const void *b, int64_t dtype) {
	double x, y;
	if (dtype == CONV_F32) x = *(const float *)a, y = *(const float *)b;
	else if (dtype == CONV_F64) x = *(const double *)a, y = *(const double *)b;
	else return memcmp(a, b, (size_t)conv_dtype_bytes(dtype)) == 0;
	return (x != x && y != y) || memcmp(a, b, (size_t)conv_dtype_bytes(dtype)) == 0;
}

/* A rule through one ISA; returns how many sums the vectors stored, or -1 - i where element i is wrong. */
static int64_t try(const conv_isa *isa, const conv_store *how, const void *sums) {
	_Alignas(64) char stored[COUNT * 8 + 64];
	const int64_t element = conv_dtype_bytes(how->dtype);
	const conv_store_fn fn = isa->pick_store(how);
	memset(stored, 0x5a, sizeof stored);
	int64_t done = COUNT;
	if (fn) fn(stored, sums, COUNT, how);
	else done = isa->store_some(stored, sums, COUNT, how);
	for (int64_t i = 0; i < done; i++) {
		uint64_t expected = 0;
		if (scalar(how, sums, i, &expected) || !same(stored + i * element, &expected, how->dtype)) return -1 - i;
	}
	for (int64_t i = done * element; i < (int64_t)sizeof stored; i++)
		if (stored[i] != 0x5a && i >= COUNT * element) return -1 - COUNT;
	return done;
}

int main(int argc, char **argv) {
	const double seconds = argc > 1 ? atof(argv[1]) : 5;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL);
	const char *names[8];
	const int isas = conv_isas(names);
	_Alignas(64) char sums[COUNT * 8];
	int64_t rules = 0, stopped = 0;
	printf("stores; first seed %llu\n", (unsigned long long)seed);
	for (const clock_t begin = clock(); (double)(clock() - begin) < seconds * CLOCKS_PER_SEC; seed++) {
		state = seed;
		conv_store how = {.accumulator = (conv_accumulator)below(CONV_VECTOR_ACCUMULATORS), .dtype = below(CONV_DTYPES)};
		how.exact = how.accumulator == CONV_ACC_I16 || how.accumulator == CONV_ACC_I64 || chance(50);
		how.plain = chance(50);
		how.scale = how.plain ? 1 : chance(50) ? random_real() : ldexp(1, (int)below(30) - 20);
		how.bias = how.plain ? 0 : chance(50) ? 0.5 : (double)below(1000) / 7;
		how.rounding = below(4);
		how.overflow = below(3);
		/* mostly sums that fit, else everything stops at once */
		for (int64_t i = 0; i < COUNT; i++) put_sum(sums, i, how.accumulator, how.exact);
		for (int64_t i = 0; i < COUNT - 3 && chance(99); i++)
			if (chance(90)) memset(sums + i * conv_accumulator_bytes(how.accumulator), 0, (size_t)conv_accumulator_bytes(how.accumulator));
		for (int k = 0; k < isas; k++) {
			const int64_t done = try(conv_find_isa(names[k]), &how, sums);
			if (done < 0) {
				printf("seed %llu: %s, element %lld; accumulator %d, dtype %lld, exact %d, scale %g, bias %g, rounding %lld, overflow %lld\n",
				       (unsigned long long)seed, names[k], (long long)(-1 - done), (int)how.accumulator, (long long)how.dtype, how.exact,
				       how.scale, how.bias, (long long)how.rounding, (long long)how.overflow);
				return 1;
			}
			stopped += done < COUNT;
		}
		rules++;
	}
	printf("%lld random rules agree; %lld stopped early\n", (long long)rules, (long long)stopped);
	return rules == 0;
}
