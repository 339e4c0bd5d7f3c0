/* SPDX-License-Identifier: BSD-3-Clause */
/* The slots that have a vector version, and their names.
 *
 * matmul and matmul_add are BLAS at avx2 and our own from avx512 on; with bf16 they are BLAS on rounded inputs where there are no
 * instructions for it.  Slots that are not here run the reference, which is as fast as memory where it moves values by rows (place,
 * causal_fill, onehot, embed, embed_bwd). */
#ifndef AT_SIMD_SLOTS_H
#define AT_SIMD_SLOTS_H

#include "kernels/kernels.h"

/* clang-format off */
#define AT_SIMD_SLOTS(X)                                                                                               \
  X(add) X(sub) X(mul) X(div) X(copy_strided)                                                                          \
  X(affine) X(neg) X(exp) X(log) X(sqrt) X(tanh) X(sigmoid) X(square) X(recip) X(erf)                                  \
  X(gelu) X(gelu_bwd) X(silu) X(silu_bwd) X(relu) X(relu_bwd)                                                          \
  X(reduce_sum) X(logsumexp) X(softmax)                                                                                \
  X(layernorm) X(layernorm_bwd) X(rmsnorm) X(rmsnorm_bwd) X(rope) X(attention) X(attention_bwd) X(xent) X(xent_bwd)    \
  X(conv2d) X(conv2d_dx) X(conv2d_dw) X(conv2d_bf16) X(conv2d_dx_bf16) X(conv2d_dw_bf16) X(avgpool) X(avgpool_bwd) X(maxpool) X(moments) X(rows_affine) X(rows_dot) \
  X(abs) X(clamp) X(clamp_bwd) X(softplus)
/* clang-format on */

#define X(slot)                           \
  void at_avx2_##slot(const at_kcall *k); \
  void at_avx512_##slot(const at_kcall *k);
AT_SIMD_SLOTS(X)
#undef X

/* Convolutions for which at_minimal_fits (kernels/minimal_shape.h), by minimal filtering; the three above come here. */
void at_avx2_minimal_conv2d(const at_kcall *k);
void at_avx2_minimal_conv2d_dx(const at_kcall *k);
void at_avx2_minimal_conv2d_dw(const at_kcall *k);
void at_avx512_minimal_conv2d(const at_kcall *k);
void at_avx512_minimal_conv2d_dx(const at_kcall *k);
void at_avx512_minimal_conv2d_dw(const at_kcall *k);

extern const at_vec at_avx2_vec, at_avx512_vec;

/* Batched product through cblas_sgemm (kernels/blas.c); the second rounds the inputs first. */
void at_blas_matmul(const at_kcall *k);
void at_blas_matmul_bf16(const at_kcall *k);
void at_blas_matmul_add(const at_kcall *k);
void at_blas_matmul_add_bf16(const at_kcall *k);
/* Own products (kernels/avx512/product.h). */
void at_avx512_matmul(const at_kcall *k);
void at_avx512bf16_matmul_bf16(const at_kcall *k);
void at_avx512_matmul_add(const at_kcall *k);
void at_avx512bf16_matmul_add_bf16(const at_kcall *k);

/* Convolutions with instructions for bf16 (kernels/simd/conv_words.h). */
void at_avx512bf16_conv2d_bf16(const at_kcall *k);
void at_avx512bf16_conv2d_dx_bf16(const at_kcall *k);
void at_avx512bf16_conv2d_dw_bf16(const at_kcall *k);

/* One thread, unless the environment asks BLAS for a number of them. */
void at_blas_init(void);

#endif
