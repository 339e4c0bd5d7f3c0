/* SPDX-License-Identifier: BSD-3-Clause */
/* The words that the vector convolutions multiply, by the instructions of the level being compiled: floats, or pairs of bf16.
 *
 *   CONV_NAME(slot)              the kernel's name
 *   conv_word, CONV_WORDS(n)     a word; how many hold n neighbours
 *   CONV_WIDE, CONV_LOAD, CONV_ALL, CONV_FMA(sum, x, w)   a vector of words, loaded, filled with one; sum + x w
 *   conv_source                  images as words, channels paired, with margins
 *   conv_pixels                  the same with pixels paired that are neighbours of one output row, for sums over pixels
 *   conv_pack                    rows of a panel; conv_pack_transposed: from its columns
 * Widths are of at most AT_CONV_VECTORS vectors; `stride` is the panel's, whole vectors. */
#ifndef AT_SIMD_CONV_WORDS_H
#define AT_SIMD_CONV_WORDS_H

#include "kernels/minimal_shape.h"
#include "kernels/simd/conv_pack.h"
#include "kernels/simd/slots.h"

#if defined(__AVX512BF16__)

#include "kernels/avx512/words.h"

#define CONV_NAME(slot)     at_avx512bf16_##slot##_bf16
#define CONV_IS_PAIRS       1
#define CONV_WORDS(n)       WORDS(n)
#define CONV_WIDE           WIDE
#define CONV_LOAD(p)        WIDE_LOAD(p)
#define CONV_ALL(word)      WIDE_ALL(word)
#define CONV_FMA(sum, x, w) WIDE_FMA(sum, x, w)
typedef uint32_t conv_word;

/* n floats to CONV_WORDS(n) words. */
static void conv_round(int64_t n, const float *x, uint32_t *to) {
  for (int64_t i = 0; i < n; i += 2 * LANES, to += LANES) {
    const __m512 low = _mm512_maskz_loadu_ps(first(n - i), x + i);
    const __m512 high = _mm512_maskz_loadu_ps(first(n - i - LANES), x + i + LANES);
    _mm512_mask_storeu_epi32(to, first((n - i + 1) / 2), pairs_of(high, low));
  }
}

static uint32_t *conv_zeros(int64_t n, uint32_t *to) {
  memset(to, 0, (size_t)n * sizeof *to);
  return to + n;
}

static inline const uint32_t *conv_source(const at_conv_margin *m, int64_t n, int64_t h, int64_t w, int64_t c,
                                          const float *x, float *copy) {
  const int64_t words = WORDS(c), wide = (m->left + w + m->right) * words;
  uint32_t *to = (uint32_t *)copy;
  for (int64_t image = 0; image < n; image++) {
    to = conv_zeros(m->top * wide, to);
    for (int64_t i = 0; i < h; i++) {
      to = conv_zeros(m->left * words, to);
      const int64_t part = c % 2 ? c : w * c; /* channels of one pixel fill their words only where they are even */
      for (int64_t at = 0; at < w * c; at += part, x += part, to += WORDS(part)) {
        conv_round(part, x, to);
      }
      to = conv_zeros(m->right * words, to);
    }
    to = conv_zeros(m->bottom * wide, to);
  }
  return (const uint32_t *)copy;
}

/* A word for each channel of each pixel: the pixel, and the one `apart` from it in the row, or 0. */
static inline const uint32_t *conv_pixels(const at_conv_margin *m, int64_t n, int64_t h, int64_t w, int64_t c,
                                          int64_t apart, const float *x, float *copy) {
  const int64_t wide = (m->left + w + m->right) * c, rows = m->top + h + m->bottom;
  uint32_t *to = (uint32_t *)copy;
  float *row = copy + n * rows * wide;
  memset(row, 0, (size_t)(wide + apart * c) * sizeof *row);
  for (int64_t image = 0; image < n; image++) {
    to = conv_zeros(m->top * wide, to);
    for (int64_t i = 0; i < h; i++, x += w * c, to += wide) {
      memcpy(row + m->left * c, x, (size_t)(w * c) * sizeof *row);
      for (int64_t j = 0; j < wide; j += LANES) {
        const __mmask16 k = first(wide - j);
        const __m512 low = _mm512_maskz_loadu_ps(k, row + j), high = _mm512_maskz_loadu_ps(k, row + j + apart * c);
        _mm512_mask_storeu_epi32(to + j, k, zipped(high, low));
      }
    }
    to = conv_zeros(m->bottom * wide, to);
  }
  return (const uint32_t *)copy;
}

static inline void conv_pack(int64_t count, int64_t width, const float *from, int64_t step, uint32_t *to,
                             int64_t stride) {
  for (int64_t j = 0; j < width; j += LANES) {
    pack_rows(count, width - j, from + j, step, to + j, stride);
  }
}

static inline void conv_pack_transposed(int64_t count, int64_t width, const float *from, int64_t step, uint32_t *to,
                                        int64_t stride) {
  for (int64_t j = 0; j < width; j += LANES) {
    const float *column[LANES];
    for (int64_t i = 0; i < LANES && j + i < width; i++) {
      column[i] = from + (j + i) * step;
    }
    pack_columns(count, width - j, column, LANES * step, to + j, stride);
  }
}

#else

#include "kernels/simd/transpose.h"

#define CONV_NAME(slot)     AT_SIMD(slot)
#define CONV_IS_PAIRS       0
#define CONV_WORDS(n)       (n)
#define CONV_WIDE           vf
#define CONV_LOAD(p)        vf_load(p)
#define CONV_ALL(word)      vf_set1(word)
#define CONV_FMA(sum, x, w) vf_fma(x, w, sum)
#define conv_source         at_conv_with_margin
#define conv_pack           at_conv_pack
typedef float conv_word;

static inline const float *conv_pixels(const at_conv_margin *m, int64_t n, int64_t h, int64_t w, int64_t c,
                                       int64_t apart, const float *x, float *copy) {
  (void)apart;
  return at_conv_with_margin(m, n, h, w, c, x, copy);
}

static inline void conv_pack_transposed(int64_t count, int64_t width, const float *from, int64_t step, float *to,
                                        int64_t stride) {
  if (width < stride) {
    memset(to, 0, (size_t)(count * stride) * sizeof *to);
  }
  at_transpose(width, count, from, step, to, stride);
}

#endif

#endif
