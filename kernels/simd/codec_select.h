/* SPDX-License-Identifier: BSD-3-Clause */
/* Selection by magnitude by vectors (definitions: kernels/codec_ref_select.c).
 *
 * Where k is small, a sample tells a magnitude that a few more than k elements reach; one pass packs those, and the exact selection
 * runs among them.  A sample that misled costs a second pass, not correctness. */
#ifndef AT_SIMD_CODEC_SELECT_H
#define AT_SIMD_CODEC_SELECT_H

#include "kernels/simd/codec_vec.h"

enum { CODEC_SAMPLE = 2048 };

/* Keys of at least `least`, and where they are, in order; at most `room` of them are written.  Returns how many there are. */
static int64_t codec_reaching(int64_t n, const float *x, uint32_t least, int64_t room, uint32_t *keys, uint32_t *at) {
  const vi least_v = vi_set1((int32_t)least), clear = vi_set1(0x7fffffff);
  vi place = vi_lanes();
  int64_t i = 0, m = 0;
  for (; i + AT_VW <= n; i += AT_VW) {
    const vi key = vi_and(vi_from_vf(vf_load(x + i)), clear);
    const uint32_t mask = vi_mask_at_least(key, least_v);
    if (mask != 0) {
      if (m + AT_VW > room) { /* hardly any room left: one by one */
        break;
      }
      m += vi_compress(mask, key, place, keys == NULL ? NULL : keys + m, at + m);
    }
    place = vi_add(place, vi_set1(AT_VW));
  }
  for (; i < n; i++) {
    const uint32_t key = at_bits_of(x[i]) & 0x7fffffffu;
    if (key >= least) {
      if (m < room) {
        if (keys != NULL) {
          keys[m] = key;
        }
        at[m] = (uint32_t)i;
      }
      m++;
    }
  }
  return m;
}

static int64_t codec_select_least(int64_t n, const float *x, float least, int64_t room, uint32_t *index) {
  return codec_reaching(n, x, at_bits_of(least), room, NULL, index);
}

/* A key that probably k to 2 k of the n elements reach. */
static uint32_t codec_guess(int64_t n, const float *x, int64_t k) {
  float sample[CODEC_SAMPLE];
  uint32_t keys[2 * CODEC_SAMPLE], index[CODEC_SAMPLE];
  const int64_t stride = n / CODEC_SAMPLE;
  for (int64_t i = 0; i < CODEC_SAMPLE; i++) {
    sample[i] = x[i * stride];
  }
  const double share = (double)k / (double)n * CODEC_SAMPLE;
  const double wanted = ceil(share + 3.0 * sqrt(share) + 4.0); /* three deviations to the safe side */
  const int64_t rank = wanted < CODEC_SAMPLE ? (int64_t)wanted : CODEC_SAMPLE;
  at_ref_select_top(CODEC_SAMPLE, sample, rank, keys, index);
  uint32_t least = UINT32_MAX;
  for (int64_t i = 0; i < rank; i++) {
    const uint32_t key = at_bits_of(sample[index[i]]) & 0x7fffffffu;
    least = key < least ? key : least;
  }
  return least;
}

static void codec_select_top(int64_t n, const float *x, int64_t k, uint32_t *keys, uint32_t *index) {
  if (n < 4 * CODEC_SAMPLE || k > n / 8 || k == 0) {
    at_ref_select_top(n, x, k, keys, index);
    return;
  }
  uint32_t *at = keys + n;
  const int64_t m = codec_reaching(n, x, codec_guess(n, x, k), n, keys, at);
  if (m < k) {
    at_ref_select_top(n, x, k, keys, index);
    return;
  }
  uint32_t bins[AT_SELECT_BINS] = {0};
  for (int64_t i = 0; i < m; i++) {
    bins[at_select_bin(keys[i])]++;
  }
  at_select_finish(m, keys, at, at_select_cut(bins, k), k, index);
}

#endif
