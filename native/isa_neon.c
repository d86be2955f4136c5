#define ISA neon
#define VECTOR_BYTES 16
#define SIMD_LEVEL 128
#include "body.h"
