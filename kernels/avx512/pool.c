/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX-512 build of pooling. */
#include "kernels/simd/pool.h"
