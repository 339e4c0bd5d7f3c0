/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference selection of the k largest magnitudes: a histogram of the leading bits, then of the rest among few.
 *
 * Bit patterns of magnitudes order as the magnitudes do.  The k-th largest lies in one of 4096 bins; what lies in that bin or
 * above is kept, in order of position, and a second histogram of the remaining 19 bits (in two rounds) finds the k-th key itself. */
#include <string.h>

#include "kernels/codec_ref.h"
#include "kernels/codec_scale.h"

uint32_t at_select_cut(const uint32_t *bins, int64_t k) {
  uint32_t bin = AT_SELECT_BINS - 1;
  for (int64_t above = bins[bin]; above < k && bin > 0; above += bins[bin]) {
    bin--;
  }
  return bin;
}

/* The k-th largest (k >= 1) of the m values (key >> shift) % 2^bits with key >> (shift + bits) == prefix; *k becomes its rank among
 * equals. */
static uint32_t kth(int64_t m, const uint32_t *key, uint32_t prefix, int shift, int bits, int64_t *k) {
  uint32_t bins[1 << 10] = {0};
  const uint32_t mask = (1u << bits) - 1;
  for (int64_t i = 0; i < m; i++) {
    if (key[i] >> (shift + bits) == prefix) {
      bins[(key[i] >> shift) & mask]++;
    }
  }
  uint32_t bin = mask;
  while (*k > bins[bin]) {
    *k -= bins[bin];
    bin--;
  }
  return bin;
}

void at_select_finish(int64_t m, const uint32_t *key, const uint32_t *at, uint32_t cut, int64_t k, uint32_t *index) {
  int64_t rank = k;
  for (int64_t i = 0; i < m; i++) {
    rank -= at_select_bin(key[i]) > cut;
  }
  const uint32_t high = kth(m, key, cut, 10, 9, &rank);
  const uint32_t low = kth(m, key, cut << 9 | high, 0, 10, &rank);
  const uint32_t least = cut << 19 | high << 10 | low; /* the k-th key; `rank` of its equals are taken */
  int64_t n = 0;
  for (int64_t i = 0; i < m; i++) {
    bool take = key[i] > least;
    if (key[i] == least && rank > 0) {
      take = true;
      rank--;
    }
    if (take) {
      index[n++] = at[i];
    }
  }
}

void at_ref_select_top(int64_t n, const float *x, int64_t k, uint32_t *keys, uint32_t *index) {
  if (k == 0) {
    return;
  }
  uint32_t bins[AT_SELECT_BINS] = {0};
  for (int64_t i = 0; i < n; i++) {
    bins[at_select_bin(at_bits_of(x[i]) & 0x7fffffffu)]++;
  }
  const uint32_t cut = at_select_cut(bins, k);
  uint32_t *at = keys + n;
  int64_t m = 0;
  for (int64_t i = 0; i < n; i++) {
    const uint32_t key = at_bits_of(x[i]) & 0x7fffffffu;
    if (at_select_bin(key) >= cut) {
      keys[m] = key;
      at[m++] = (uint32_t)i;
    }
  }
  at_select_finish(m, keys, at, cut, k, index);
}

int64_t at_ref_select_least(int64_t n, const float *x, float least, int64_t room, uint32_t *index) {
  const uint32_t t = at_bits_of(least);
  int64_t m = 0;
  for (int64_t i = 0; i < n; i++) {
    if ((at_bits_of(x[i]) & 0x7fffffffu) >= t) {
      if (m < room) {
        index[m] = (uint32_t)i;
      }
      m++;
    }
  }
  return m;
}
