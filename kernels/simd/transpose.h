/* SPDX-License-Identifier: BSD-3-Clause */
/* Transposing planes of floats in 8 x 8 tiles of registers. */
#ifndef AT_SIMD_TRANSPOSE_H
#define AT_SIMD_TRANSPOSE_H

#include "kernels/simd/vec.h"

/* out[j][i] = in[i][j], i, j < 8; rows are `is` and `os` floats apart. */
AT_INLINE void at_transpose8(const float *in, int64_t is, float *out, int64_t os) {
  __m256 a[8], b[8];
  AT_UNROLL
  for (int i = 0; i < 4; i++) { /* rows i and i + 4 side by side: the last step then stays within 128-bit halves */
    const __m256 lo = _mm256_castps128_ps256(_mm_loadu_ps(in + i * is));
    const __m256 hi = _mm256_castps128_ps256(_mm_loadu_ps(in + i * is + 4));
    a[i] = _mm256_insertf128_ps(lo, _mm_loadu_ps(in + (i + 4) * is), 1);
    a[i + 4] = _mm256_insertf128_ps(hi, _mm_loadu_ps(in + (i + 4) * is + 4), 1);
  }
  AT_UNROLL
  for (int h = 0; h < 8; h += 4) {
    b[h] = _mm256_unpacklo_ps(a[h], a[h + 1]);
    b[h + 1] = _mm256_unpackhi_ps(a[h], a[h + 1]);
    b[h + 2] = _mm256_unpacklo_ps(a[h + 2], a[h + 3]);
    b[h + 3] = _mm256_unpackhi_ps(a[h + 2], a[h + 3]);
  }
  AT_UNROLL
  for (int h = 0; h < 8; h += 4) {
    _mm256_storeu_ps(out + h * os, _mm256_shuffle_ps(b[h], b[h + 2], 0x44));
    _mm256_storeu_ps(out + (h + 1) * os, _mm256_shuffle_ps(b[h], b[h + 2], 0xee));
    _mm256_storeu_ps(out + (h + 2) * os, _mm256_shuffle_ps(b[h + 1], b[h + 3], 0x44));
    _mm256_storeu_ps(out + (h + 3) * os, _mm256_shuffle_ps(b[h + 1], b[h + 3], 0xee));
  }
}

/* out[j][i] = in[i][j], i < rows, j < cols. */
static inline void at_transpose(int64_t rows, int64_t cols, const float *in, int64_t is, float *out, int64_t os) {
  int64_t i = 0;
  for (; i + 8 <= rows; i += 8) {
    int64_t j = 0;
    for (; j + 8 <= cols; j += 8) {
      at_transpose8(in + i * is + j, is, out + j * os + i, os);
    }
    for (; j < cols; j++) {
      for (int64_t r = i; r < i + 8; r++) {
        out[j * os + r] = in[r * is + j];
      }
    }
  }
  for (; i < rows; i++) {
    for (int64_t j = 0; j < cols; j++) {
      out[j * os + i] = in[i * is + j];
    }
  }
}

#endif
