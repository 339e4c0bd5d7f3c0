/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX-512 BF16 build of convolution and its derivative in the input. */
#include "kernels/simd/conv.h"
