/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX2 build of the cross-entropy. */
#include "kernels/simd/xent.h"
