/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX2 build of the normalisations. */
#include "kernels/simd/norm.h"
