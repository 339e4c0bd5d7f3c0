/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX-512 build of the sums and log-sum-exp. */
#include "kernels/simd/reduce.h"
