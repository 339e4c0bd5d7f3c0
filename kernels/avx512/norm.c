/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX-512 build of the normalisations. */
#include "kernels/simd/norm.h"
