/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX-512 build of the functions with a kink. */
#include "kernels/simd/select.h"
