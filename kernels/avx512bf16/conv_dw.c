/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX-512 BF16 build of the derivative of convolution in its weights. */
#include "kernels/simd/conv_dw.h"
