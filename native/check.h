/* Private. On CONV_INVALID *why points to a constant text. */
#ifndef FALTUNG_CHECK_H
#define FALTUNG_CHECK_H

#include "conv.h"

conv_status conv_check_problem(const conv_problem *problem, const char **why);
conv_status conv_check_views(const conv_problem *problem, const conv_buffers *buffers, const char **why);

#endif
