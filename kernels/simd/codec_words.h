/* SPDX-License-Identifier: BSD-3-Clause */
/* Random words of codecs: as many Philox4x32-10 counters side by side as there are lanes. */
#ifndef AT_SIMD_CODEC_WORDS_H
#define AT_SIMD_CODEC_WORDS_H

#include "kernels/simd/codec_vec.h"

/* The four words of counters base + lane0 + 0, 1, ...: w[0] .. w[3]. */
AT_INLINE void codec_philox(const at_dither *d, uint64_t base, int lane0, vi w[4]) {
  const vi m0 = vi_set1((int32_t)0xd2511f53u), m1 = vi_set1((int32_t)0xcd9e8d57u);
  uint32_t k0 = d->key[0], k1 = d->key[1];
  vi x0 = vi_add(vi_set1((int32_t)(uint32_t)base + lane0), vi_lanes());
  vi x1 = vi_set1((int32_t)(uint32_t)(base >> 32));
  vi x2 = vi_set1((int32_t)d->high[0]), x3 = vi_set1((int32_t)d->high[1]);
  AT_UNROLL
  for (int round = 0; round < 10; round++) {
    vi low0, high0, low1, high1;
    vi_mul_wide(x0, m0, &low0, &high0);
    vi_mul_wide(x2, m1, &low1, &high1);
    x0 = vi_xor3(high1, x1, vi_set1((int32_t)k0));
    x1 = low1;
    x2 = vi_xor3(high0, x3, vi_set1((int32_t)k1));
    x3 = low0;
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  w[0] = x0;
  w[1] = x1;
  w[2] = x2;
  w[3] = x3;
}

/* The 64 words from `first`, a multiple of 64. */
AT_INLINE void codec_words_group(const at_dither *d, int64_t first, uint32_t *out) {
  AT_UNROLL
  for (int lane0 = 0; lane0 < 16; lane0 += AT_VW) {
    vi w[4];
    codec_philox(d, (uint64_t)first / 4, lane0, w);
    AT_UNROLL
    for (int i = 0; i < 4; i++) {
      vi_store(out + 16 * i + lane0, w[i]);
    }
  }
}

static void codec_words(const at_dither *d, int64_t first, int64_t n, uint32_t *out) {
  int64_t i = 0;
  for (; i + AT_DITHER_GROUP <= n; i += AT_DITHER_GROUP) {
    codec_words_group(d, first + i, out + i);
  }
  if (i < n) {
    uint32_t rest[AT_DITHER_GROUP];
    codec_words_group(d, first + i, rest);
    memcpy(out + i, rest, (size_t)(n - i) * sizeof *rest);
  }
}

static void codec_mask_add(const at_dither *d, bool negative, int64_t n, uint64_t *acc) {
  enum { HALF = AT_DITHER_GROUP / 2, STEP = AT_VW / 2 };
  for (int64_t at = 0; at < n; at += HALF) {
    uint64_t w[HALF];
    codec_words_group(d, 2 * at, (uint32_t *)(void *)w);
    int64_t i = 0;
    for (; i + STEP <= HALF && at + i + STEP <= n; i += STEP) {
      const vi a = vi_load(acc + at + i), b = vi_load(w + i);
      vi_store(acc + at + i, negative ? vi_pairs_sub(a, b) : vi_pairs_add(a, b));
    }
    for (; i < HALF && at + i < n; i++) {
      acc[at + i] += negative ? 0 - w[i] : w[i];
    }
  }
}

#endif
