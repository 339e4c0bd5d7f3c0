/* SPDX-License-Identifier: BSD-3-Clause */
/* What the vector convolutions share: images with zeros around, and panels of columns. */
#ifndef AT_SIMD_CONV_PACK_H
#define AT_SIMD_CONV_PACK_H

#include <string.h>

#include "kernels/conv_shape.h"
#include "kernels/simd/vec.h"

/* Vectors of a panel: with 32 registers 24 sums and four of weights, with 16 registers 12 and two. */
#if defined(__AVX512F__)
#define AT_CONV_VECTORS 4
#else
#define AT_CONV_VECTORS 2
#endif

/* Images [n][h][w][c] with their margins: x itself if there are none, else `copy`. */
static inline const float *at_conv_with_margin(const at_conv_margin *m, int64_t n, int64_t h, int64_t w, int64_t c,
                                               const float *x, float *copy) {
  if (!at_conv_has_margin(m)) {
    return x;
  }
  const int64_t left = m->left * c, right = m->right * c, row = w * c, wide = left + row + right;
  float *to = copy;
  for (int64_t image = 0; image < n; image++) {
    memset(to, 0, (size_t)(m->top * wide) * sizeof *to);
    to += m->top * wide;
    for (int64_t i = 0; i < h; i++, x += row, to += wide) {
      memset(to, 0, (size_t)left * sizeof *to);
      memcpy(to + left, x, (size_t)row * sizeof *to);
      memset(to + left + row, 0, (size_t)right * sizeof *to);
    }
    memset(to, 0, (size_t)(m->bottom * wide) * sizeof *to);
    to += m->bottom * wide;
  }
  return copy;
}

/* to[count][stride] = the first `width` columns of from[count][step], zeros behind. */
static inline void at_conv_pack(int64_t count, int64_t width, const float *from, int64_t step, float *to,
                                int64_t stride) {
  for (int64_t i = 0; i < count; i++, from += step, to += stride) {
    int64_t j = 0;
    for (; j + AT_VW <= width; j += AT_VW) {
      vf_store(to + j, vf_load(from + j));
    }
    if (j < width) {
      vf_store(to + j, vf_load_first(from + j, width - j));
    }
  }
}

#endif
