/* Which compiled ISAs this machine runs. Compiled without ISA flags, like everything but the isa_*.c files. */
#include <string.h>

#include "kernels.h"

#define CONV_ISA(isa) extern const conv_isa conv_isa_##isa;
#define CONV_KERNEL(isa, type, name, element, vector, group)
#include "kernels.def"
#undef CONV_ISA
#undef CONV_KERNEL

#if CONV_ON_X64
/* The operating system must save the wide registers at a task switch: bits of XCR0, read by XGETBV. */
static int os_saves(uint32_t bits) {
	uint32_t eax = 1, ecx = 0, edx = 0, ebx;
	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	if (!(ecx & (1u << 27))) return 0; /* OSXSAVE: XGETBV exists */
	uint32_t low, high;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (low & bits) == bits;
}

static int runs_avx512(void) {
	__builtin_cpu_init();
	return os_saves(0xe6) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx2") &&
	       __builtin_cpu_supports("fma");
}

static int runs_avx2(void) {
	__builtin_cpu_init();
	return os_saves(0x6) && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif
#if CONV_ON_ARM64
static int runs_neon(void) { return 1; } /* part of the architecture */
#endif
static int runs_base(void) { return 1; }

static const struct {
	const conv_isa *isa;
	int (*runs)(void);
} ISAS[] = {
#define CONV_ISA(isa) {&conv_isa_##isa, runs_##isa},
#define CONV_KERNEL(isa, type, name, element, vector, group)
#include "kernels.def"
#undef CONV_ISA
#undef CONV_KERNEL
};

static const conv_kernel_info KERNELS[] = {
#define CONV_ISA(isa)
#define CONV_KERNEL(isa, type, name, element, vector, group) {#isa, CONV_ACC_##name, group, vector / element},
#include "kernels.def"
#undef CONV_ISA
#undef CONV_KERNEL
};

enum { ISA_COUNT = sizeof ISAS / sizeof ISAS[0], KERNEL_COUNT = sizeof KERNELS / sizeof KERNELS[0] };

const conv_isa *conv_find_isa(const char *name) {
	for (int i = 0; i < ISA_COUNT; i++)
		if (strcmp(ISAS[i].isa->name, name) == 0) return ISAS[i].runs() ? ISAS[i].isa : NULL;
	return NULL;
}

int conv_isas(const char *names[8]) {
	int count = 0;
	for (int i = 0; i < ISA_COUNT; i++)
		if (ISAS[i].runs()) names[count++] = ISAS[i].isa->name;
	return count;
}

const conv_kernel_info *conv_kernel(const char *isa, conv_accumulator accumulator) {
	for (int i = 0; i < KERNEL_COUNT; i++)
		if (KERNELS[i].accumulator == accumulator && strcmp(KERNELS[i].isa, isa) == 0) return &KERNELS[i];
	return NULL;
}
