/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX-512 build of the element-wise kernels. */
#include "kernels/simd/elementwise.h"
