/* SPDX-License-Identifier: BSD-3-Clause */
/* Panels of bf16 pairs and the tile that multiplies them.
 *
 * A panel holds 16 (of A) or 32 (of B) rows or columns: for each pair of neighbours in k, one 32-bit word a column, so that a
 * word of A broadcast and a vector of B are what VDPBF16PS takes.  Floats are rounded on the way into a panel, to nearest even
 * (denormals count as 0, as the instruction has it). */
#ifndef AT_BF16_PANEL_H
#define AT_BF16_PANEL_H

#include <immintrin.h>
#include <stdint.h>

#include "kernels/kernels.h"

#if defined(__clang__)
#define AT_UNROLL _Pragma("clang loop unroll(full)")
#else
#define AT_UNROLL _Pragma("GCC unroll 32")
#endif
#define AT_INLINE static inline __attribute__((always_inline))

enum { LANES = 16, TILE_ROWS = 14, TILE_COLUMNS = 2 * LANES };

AT_INLINE __mmask16 first(int64_t n) {
  return n >= LANES ? (__mmask16)0xffff : n <= 0 ? (__mmask16)0 : (__mmask16)((1u << n) - 1u);
}

AT_INLINE __m512i pairs_of(__m512 high, __m512 low) {
  return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

/* 16 columns from `depth` rows of floats, `stride` apart: word p of column j is rows 2p, 2p + 1.  to: words `step` apart. */
AT_INLINE void pack_rows(int64_t depth, int64_t width, const float *from, int64_t stride, uint32_t *to, int64_t step) {
  const __m512i zip = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21,
                                       5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  const __mmask16 m = first(width);
  int64_t p = 0;
  for (; p + 2 <= depth; p += 2, from += 2 * stride, to += step) {
    const __m512i both = pairs_of(_mm512_maskz_loadu_ps(m, from + stride), _mm512_maskz_loadu_ps(m, from));
    _mm512_store_si512(to, _mm512_permutexvar_epi16(zip, both));
  }
  if (p < depth) {
    _mm512_store_si512(to,
                       _mm512_permutexvar_epi16(zip, pairs_of(_mm512_setzero_ps(), _mm512_maskz_loadu_ps(m, from))));
  }
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

/* 16 columns, of which column j < width is `depth` neighbouring floats at from[j]. */
AT_INLINE void pack_columns(int64_t depth, int64_t width, const float *const *from, uint32_t *to, int64_t step) {
  __m512i r[16];
  for (int64_t p = 0; p < depth; p += 2 * LANES, to += LANES * step) {
    const int64_t left = depth - p;
    const __mmask16 low = first(left), high = first(left - LANES);
    for (int j = 0; j < 16; j++) {
      r[j] = j >= width
                 ? _mm512_setzero_si512()
                 : pairs_of(_mm512_maskz_loadu_ps(high, from[j] + p + LANES), _mm512_maskz_loadu_ps(low, from[j] + p));
    }
    store_transposed(r, (left + 1) / 2, to, step);
  }
}

/* C[mr][..] (+)= A B over `pairs` words: mr rows, nv vectors of columns, the last masked.  C is read where `add`. */
AT_INLINE void tile(int mr, int nv, int64_t pairs, const uint32_t *a, const uint32_t *b, float *c, int64_t ldc,
                    __mmask16 last, int add) {
  __m512 acc[TILE_ROWS][2];
  AT_UNROLL
  for (int r = 0; r < mr; r++) {
    AT_UNROLL
    for (int v = 0; v < nv; v++) {
      acc[r][v] = _mm512_setzero_ps();
      if (add) {
        acc[r][v] = _mm512_maskz_loadu_ps(v == nv - 1 ? last : (__mmask16)0xffff, c + r * ldc + v * LANES);
      }
    }
  }
  for (int64_t p = 0; p < pairs; p++, a += LANES, b += TILE_COLUMNS) {
    __m512bh row[2];
    AT_UNROLL
    for (int v = 0; v < nv; v++) {
      row[v] = (__m512bh)_mm512_load_si512(b + v * LANES);
    }
    AT_UNROLL
    for (int r = 0; r < mr; r++) {
      const __m512bh x = (__m512bh)_mm512_set1_epi32((int)a[r]);
      AT_UNROLL
      for (int v = 0; v < nv; v++) {
        acc[r][v] = _mm512_dpbf16_ps(acc[r][v], x, row[v]);
      }
    }
  }
  AT_UNROLL
  for (int r = 0; r < mr; r++) {
    AT_UNROLL
    for (int v = 0; v < nv; v++) {
      _mm512_mask_storeu_ps(c + r * ldc + v * LANES, v == nv - 1 ? last : (__mmask16)0xffff, acc[r][v]);
    }
  }
}

/* Columns [0, width <= 32) of a panel of B times a panel of A with 1 <= rows <= TILE_ROWS. */
static void at_bf16_tile(int64_t rows, int64_t width, int64_t pairs, const uint32_t *a, const uint32_t *b, float *c,
                         int64_t ldc, int add) {
  const __mmask16 wide = first(width - LANES), narrow = first(width);
#define CASE(mr)                                     \
  case mr:                                           \
    if (width > LANES) {                             \
      tile(mr, 2, pairs, a, b, c, ldc, wide, add);   \
    } else {                                         \
      tile(mr, 1, pairs, a, b, c, ldc, narrow, add); \
    }                                                \
    break
  switch (rows) {
    CASE(1);
    CASE(2);
    CASE(3);
    CASE(4);
    CASE(5);
    CASE(6);
    CASE(7);
    CASE(8);
    CASE(9);
    CASE(10);
    CASE(11);
    CASE(12);
    CASE(13);
    CASE(14);
  }
#undef CASE
}

#endif
