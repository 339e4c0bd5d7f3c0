/* SPDX-License-Identifier: BSD-3-Clause */
/* The block sizes of the vector attention kernels, and from them their scratch. */
#ifndef AT_ATTENTION_SCRATCH_H
#define AT_ATTENTION_SCRATCH_H

#include <stddef.h>
#include <stdint.h>

enum {
  AT_ATTN_QUERIES = 32, /* of a block: two vectors of 16, or four of 8 */
  AT_ATTN_KEYS = 128    /* of a block, a multiple of the queries: 128 x 32 scores are 16 KiB */
};

/* Floats of scratch: queries transposed, scores, outputs, and a factor for each query. */
static inline size_t at_attention_floats(int64_t hd) {
  return (size_t)AT_ATTN_QUERIES * (size_t)(2 * hd + AT_ATTN_KEYS + 1);
}

/* Queries and output gradients transposed, probabilities and their gradients. */
static inline size_t at_attention_bwd_floats(int64_t hd) {
  return (size_t)AT_ATTN_QUERIES * (size_t)(2 * hd + 2 * AT_ATTN_KEYS);
}

#endif
