/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX-512 build of the codec kernels. */
#include "kernels/simd/codec.h"
