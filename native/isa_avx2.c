#define ISA avx2
#define VECTOR_BYTES 32
#define SIMD_LEVEL 256
#include "body.h"
