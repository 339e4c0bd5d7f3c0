/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX-512 build of the rotary positions. */
#include "kernels/simd/rope.h"
