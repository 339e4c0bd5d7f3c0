/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX-512 build of moments and scaling of rows of channels. */
#include "kernels/simd/moments.h"
