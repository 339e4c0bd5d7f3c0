/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX2 build of the sums and log-sum-exp. */
#include "kernels/simd/reduce.h"
