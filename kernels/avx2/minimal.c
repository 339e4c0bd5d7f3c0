/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX2 build of convolution by minimal filtering. */
#include "kernels/simd/minimal.h"
