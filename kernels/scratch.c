/* SPDX-License-Identifier: BSD-3-Clause */
/* How much scratch each slot needs, at the level that needs most. */
#include "kernels/kernels.h"

static size_t most(size_t a, size_t b) {
  return a > b ? a : b;
}

static size_t attention_bytes(const int64_t *dim, size_t real_bytes) {
  const size_t t = (size_t)dim[1], hd = (size_t)dim[4];
  const size_t reference = t * sizeof(double); /* the probabilities of one query */
  return most(reference, hd * real_bytes);
}

static size_t attention_bwd_bytes(const int64_t *dim, size_t real_bytes) {
  const size_t t = (size_t)dim[1], hd = (size_t)dim[4];
  const size_t reference = (1 + 2 * t) * hd * sizeof(double); /* dq of one query, dk and dv of one head */
  return most(reference, hd * real_bytes);
}

size_t at_kernel_scratch(at_kslot slot, const int64_t *dim, size_t real_bytes) {
  switch (slot) {
  case AT_K_attention:
    return attention_bytes(dim, real_bytes);
  case AT_K_attention_bwd:
    return attention_bwd_bytes(dim, real_bytes);
  case AT_K_layernorm_bwd:
  case AT_K_rmsnorm_bwd:
    return 2 * (size_t)dim[1] * real_bytes; /* partial sums of dg and db */
  default:
    return 0;
  }
}
