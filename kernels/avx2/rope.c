/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX2 build of the rotary positions. */
#include "kernels/simd/rope.h"
