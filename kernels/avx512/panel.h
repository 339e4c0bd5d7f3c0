/* SPDX-License-Identifier: BSD-3-Clause */
/* What packed panels of AVX-512 products share: vectors of 16 words, masks, a transpose.
 *
 * A panel holds 16 rows of A or 32 columns of B.  Step by step through k it has a word of 32 bits for each row or column: one float,
 * or two neighbouring bf16 (the lower in k in the lower half). */
#ifndef AT_AVX512_PANEL_H
#define AT_AVX512_PANEL_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "kernels/simd/vec.h"

enum { LANES = 16, TILE_ROWS = 14, TILE_COLUMNS = 2 * LANES };

/* The first n lanes; none if n < 0, all if n > 16. */
AT_INLINE __mmask16 first(int64_t n) {
  return n >= LANES ? (__mmask16)0xffff : n <= 0 ? (__mmask16)0 : (__mmask16)((1u << n) - 1u);
}

/* The 16 x 16 words of r transposed, to rows of `to`, the first `rows` of them. */
AT_INLINE void store_transposed(__m512i *r, int64_t rows, uint32_t *to, int64_t step) {
  __m512i t[16];
  AT_UNROLL
  for (int i = 0; i < 16; i += 4) {
    const __m512i a = _mm512_unpacklo_epi32(r[i], r[i + 1]), b = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    const __m512i c = _mm512_unpacklo_epi32(r[i + 2], r[i + 3]), d = _mm512_unpackhi_epi32(r[i + 2], r[i + 3]);
    t[i] = _mm512_unpacklo_epi64(a, c);
    t[i + 1] = _mm512_unpackhi_epi64(a, c);
    t[i + 2] = _mm512_unpacklo_epi64(b, d);
    t[i + 3] = _mm512_unpackhi_epi64(b, d);
  }
  AT_UNROLL
  for (int i = 0; i < 4; i++) { /* quarter q of t[4 j + i] is columns 4 j .. of row 4 q + i */
    const __m512i a = _mm512_shuffle_i32x4(t[i], t[4 + i], 0x88), b = _mm512_shuffle_i32x4(t[i], t[4 + i], 0xdd);
    const __m512i c = _mm512_shuffle_i32x4(t[8 + i], t[12 + i], 0x88),
                  d = _mm512_shuffle_i32x4(t[8 + i], t[12 + i], 0xdd);
    r[i] = _mm512_shuffle_i32x4(a, c, 0x88);
    r[4 + i] = _mm512_shuffle_i32x4(b, d, 0x88);
    r[8 + i] = _mm512_shuffle_i32x4(a, c, 0xdd);
    r[12 + i] = _mm512_shuffle_i32x4(b, d, 0xdd);
  }
  if (rows >= 16) {
    AT_UNROLL
    for (int i = 0; i < 16; i++) {
      _mm512_store_si512(to + i * step, r[i]);
    }
  } else {
    for (int i = 0; i < rows; i++) {
      _mm512_store_si512(to + i * step, r[i]);
    }
  }
}

#endif
