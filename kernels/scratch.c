/* SPDX-License-Identifier: BSD-3-Clause */
/* How much scratch each slot needs, at the level that needs most. */
#include "kernels/attention_scratch.h"
#include "kernels/conv_scratch.h"
#include "kernels/kernels.h"
#include "kernels/product_shape.h"

static size_t larger(size_t a, size_t b) {
  return a > b ? a : b;
}

/* The reference keeps the probabilities of one query, in double. */
static size_t attention_bytes(const int64_t *dim) {
  return larger((size_t)dim[1] * sizeof(double), at_attention_floats(dim[4]) * sizeof(float));
}

/* The reference keeps dq of one query and dk and dv of one head, in double. */
static size_t attention_bwd_bytes(const int64_t *dim) {
  const size_t reference = (1 + 2 * (size_t)dim[1]) * (size_t)dim[4] * sizeof(double);
  return larger(reference, at_attention_bwd_floats(dim[4]) * sizeof(float));
}

/* At most as many rows as the whole batch has. */
static size_t matmul_bytes(const int64_t *dim) {
  return at_product_bytes(dim[0] * dim[1], dim[2], dim[3]);
}

static size_t conv_bytes(at_kslot slot, const int64_t *dim) {
  const at_conv s = at_conv_parse(dim);
  return at_conv_floats(slot, &s) * sizeof(float);
}

static size_t conv_rounded_bytes(at_kslot slot, const int64_t *dim, size_t real_bytes) {
  const at_conv s = at_conv_parse(dim);
  size_t inputs;
  return at_conv_rounded(slot, &s, &inputs) * real_bytes;
}

size_t at_kernel_scratch(at_kslot slot, const int64_t *dim, size_t real_bytes) {
  switch (slot) {
  case AT_K_attention:
    return attention_bytes(dim);
  case AT_K_attention_bwd:
    return attention_bwd_bytes(dim);
  case AT_K_matmul:
  case AT_K_matmul_bf16:
  case AT_K_matmul_add:
  case AT_K_matmul_add_bf16:
    return matmul_bytes(dim);
  case AT_K_layernorm_bwd:
  case AT_K_rmsnorm_bwd:
    return 2 * (size_t)dim[1] * real_bytes; /* shares of dg and db of some rows */
  case AT_K_conv2d:
  case AT_K_conv2d_dx:
  case AT_K_conv2d_dw:
    return conv_bytes(slot, dim);
  case AT_K_conv2d_bf16:
    return conv_rounded_bytes(AT_K_conv2d, dim, real_bytes);
  case AT_K_conv2d_dx_bf16:
    return conv_rounded_bytes(AT_K_conv2d_dx, dim, real_bytes);
  case AT_K_conv2d_dw_bf16:
    return conv_rounded_bytes(AT_K_conv2d_dw, dim, real_bytes);
  default:
    return 0;
  }
}
