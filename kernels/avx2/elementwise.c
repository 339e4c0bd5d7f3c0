/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX2 build of the element-wise kernels. */
#include "kernels/simd/elementwise.h"
