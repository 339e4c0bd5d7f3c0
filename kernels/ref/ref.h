/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of the reference kernels: at_ref_<slot>_f32 and at_ref_<slot>_f64, and the flat vector functions. */
#ifndef AT_REF_H
#define AT_REF_H

#include "kernels/kernels.h"

#define X(slot)                                \
  void at_ref_##slot##_f32(const at_kcall *k); \
  void at_ref_##slot##_f64(const at_kcall *k);
AT_KERNEL_SLOTS(X)
#undef X

/* Runs `kernel`, of `slot` (conv2d, conv2d_dx or conv2d_dw), on inputs rounded to bf16 (kernels/ref/conv_bf16.c). */
void at_ref_rounded_conv_f32(const at_kcall *call, at_kslot slot, at_kernel kernel);
void at_ref_rounded_conv_f64(const at_kcall *call, at_kslot slot, at_kernel kernel);

/* The reference vector functions (kernels/vec_ref.c). */
extern const at_vec at_ref_vec;

#endif
