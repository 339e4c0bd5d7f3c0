/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX2 build of the attention's derivative. */
#include "kernels/simd/attention_bwd.h"
