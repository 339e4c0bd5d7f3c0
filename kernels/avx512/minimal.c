/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX-512 build of convolution by minimal filtering. */
#include "kernels/simd/minimal.h"
