/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX-512 build of the broadcasting kernels and the strided copy. */
#include "kernels/simd/broadcast.h"
