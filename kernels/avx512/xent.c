/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX-512 build of the cross-entropy. */
#include "kernels/simd/xent.h"
