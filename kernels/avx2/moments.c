/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX2 build of moments and scaling of rows of channels. */
#include "kernels/simd/moments.h"
