#define ISA base
#define VECTOR_BYTES 16
#define SIMD_LEVEL 0
#include "body.h"
