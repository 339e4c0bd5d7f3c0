/* SPDX-License-Identifier: BSD-3-Clause */
/* The words that a product multiplies, by the instructions of the level being compiled: floats, or pairs of bf16.
 *
 *   WORDS(depth)                     words that hold `depth` steps of k
 *   WIDE, WIDE_LOAD, WIDE_ALL        a vector of words, loaded from 16 or filled with one
 *   WIDE_FMA(sum, a, b)              sum + a b
 *   WIDE_IS_FLOATS                   words are the operands' own, which need no packing; then WIDE_LOAD_SOME loads some of 16
 *   pack_rows, pack_columns          16 rows or columns of floats into a panel; floats are rounded on the way, denormals to 0 */
#ifndef AT_AVX512_WORDS_H
#define AT_AVX512_WORDS_H

#include "kernels/avx512/panel.h"

#if defined(__AVX512BF16__)

#define WORDS(depth)        (((depth) + 1) / 2)
#define WIDE                __m512bh
#define WIDE_LOAD(p)        (__m512bh) _mm512_load_si512(p)
#define WIDE_ALL(word)      (__m512bh) _mm512_set1_epi32((int)(word))
#define WIDE_FMA(sum, a, b) _mm512_dpbf16_ps(sum, a, b)
#define WIDE_IS_FLOATS      0

#define WIDE_LOAD_SOME(m, p) WIDE_LOAD(p)

AT_INLINE __m512i pairs_of(__m512 high, __m512 low) {
  return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

/* 16 words, each of a lane of both. */
AT_INLINE __m512i zipped(__m512 high, __m512 low) {
  const __m512i zip = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21,
                                       5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(zip, pairs_of(high, low));
}

/* 16 columns from `depth` rows of floats, `stride` apart: word p of column j is rows 2p, 2p + 1.  to: words `step` apart. */
AT_INLINE void pack_rows(int64_t depth, int64_t width, const float *from, int64_t stride, uint32_t *to, int64_t step) {
  const __mmask16 m = first(width);
  int64_t p = 0;
  for (; p + 2 <= depth; p += 2, from += 2 * stride, to += step) {
    _mm512_store_si512(to, zipped(_mm512_maskz_loadu_ps(m, from + stride), _mm512_maskz_loadu_ps(m, from)));
  }
  if (p < depth) {
    _mm512_store_si512(to, zipped(_mm512_setzero_ps(), _mm512_maskz_loadu_ps(m, from)));
  }
}

/* 16 columns, of which column j < width is `depth` neighbouring floats at from[j]; the next 16 columns, `next` floats behind, are asked
 * for early. */
AT_INLINE void pack_columns(int64_t depth, int64_t width, const float *const *from, int64_t next, uint32_t *to,
                            int64_t step) {
  __m512i r[16];
  for (int64_t p = 0; p < depth; p += 2 * LANES, to += LANES * step) {
    const int64_t left = depth - p;
    const __mmask16 low = first(left), high = first(left - LANES);
    for (int j = 0; j < 16; j++) {
      if (j < width) {
        _mm_prefetch((const char *)(from[j] + next + p), _MM_HINT_T1);
        _mm_prefetch((const char *)(from[j] + next + p + LANES), _MM_HINT_T1);
      }
      r[j] = j >= width
                 ? _mm512_setzero_si512()
                 : pairs_of(_mm512_maskz_loadu_ps(high, from[j] + p + LANES), _mm512_maskz_loadu_ps(low, from[j] + p));
    }
    store_transposed(r, (left + 1) / 2, to, step);
  }
}

#else

#define WORDS(depth)        (depth)
#define WIDE                __m512
#define WIDE_LOAD(p)        _mm512_load_ps(p)
#define WIDE_ALL(word)      _mm512_castsi512_ps(_mm512_set1_epi32((int)(word)))
#define WIDE_FMA(sum, a, b) _mm512_fmadd_ps(a, b, sum)
#define WIDE_IS_FLOATS      1

#define WIDE_LOAD_SOME(m, p) _mm512_maskz_loadu_ps(m, p)

/* 16 columns from `depth` rows of floats, `stride` apart.  to: words `step` apart. */
AT_INLINE void pack_rows(int64_t depth, int64_t width, const float *from, int64_t stride, uint32_t *to, int64_t step) {
  const __mmask16 m = first(width);
  for (int64_t p = 0; p < depth; p++, from += stride, to += step) {
    _mm512_store_ps(to, _mm512_maskz_loadu_ps(m, from));
  }
}

/* 16 columns, of which column j < width is `depth` neighbouring floats at from[j]; the next 16 columns, `next` floats behind, are asked
 * for early. */
AT_INLINE void pack_columns(int64_t depth, int64_t width, const float *const *from, int64_t next, uint32_t *to,
                            int64_t step) {
  __m512i r[16];
  for (int64_t p = 0; p < depth; p += LANES, to += LANES * step) {
    const __mmask16 m = first(depth - p);
    for (int j = 0; j < 16; j++) {
      if (j < width) {
        _mm_prefetch((const char *)(from[j] + next + p), _MM_HINT_T1);
      }
      r[j] = j >= width ? _mm512_setzero_si512() : _mm512_castps_si512(_mm512_maskz_loadu_ps(m, from[j] + p));
    }
    store_transposed(r, depth - p, to, step);
  }
}

#endif

#endif
