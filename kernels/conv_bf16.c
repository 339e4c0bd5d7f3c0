/* SPDX-License-Identifier: BSD-3-Clause */
/* Convolutions of inputs rounded to bf16 where there are no instructions for it: rounded first, then multiplied as floats. */
#include "kernels/ref/ref.h"
#include "kernels/simd/slots.h"

#define ROUNDED(level, slot)                                         \
  void at_##level##_##slot##_bf16(const at_kcall *call) {            \
    at_ref_rounded_conv_f32(call, AT_K_##slot, at_##level##_##slot); \
  }
ROUNDED(avx2, conv2d)
ROUNDED(avx2, conv2d_dx)
ROUNDED(avx2, conv2d_dw)
ROUNDED(avx512, conv2d)
ROUNDED(avx512, conv2d_dx)
ROUNDED(avx512, conv2d_dw)
