/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX2 build of the attention. */
#include "kernels/simd/attention.h"
