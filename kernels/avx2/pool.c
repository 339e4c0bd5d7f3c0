/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX2 build of pooling. */
#include "kernels/simd/pool.h"
