/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX2 build of the flat vector functions. */
#include "kernels/simd/vec_ops.h"
