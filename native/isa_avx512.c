#define ISA avx512
#define VECTOR_BYTES 64
#define SIMD_LEVEL 512
#include "body.h"
