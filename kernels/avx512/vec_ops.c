/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX-512 build of the flat vector functions. */
#include "kernels/simd/vec_ops.h"
