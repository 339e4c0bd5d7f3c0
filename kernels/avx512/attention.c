/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX-512 build of the attention. */
#include "kernels/simd/attention.h"
