/* SPDX-License-Identifier: BSD-3-Clause */
/* Random subsets and permutations as pure functions of a stream. */
#include <assert.h>
#include <stdlib.h>

#include "src/base/rng_internal.h"

/* Put `value` into a full-size table of linear probing; returns 0 if it was there already. */
static int table_insert(int64_t *table, int64_t size, int64_t value) {
  uint64_t hash = (uint64_t)value * 0x9E3779B97F4A7C15u;
  int64_t at = (int64_t)((unsigned __int128)hash * (uint64_t)size >> 64);
  while (table[at] >= 0) {
    if (table[at] == value) {
      return 0;
    }
    at = at + 1 < size ? at + 1 : 0;
  }
  table[at] = value;
  return 1;
}

static int ascending(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

void at_rng_choose(const at_stream *s, int64_t n, int64_t k, int64_t *out) {
  assert(0 <= k && k <= n);
  if (k == n) {
    for (int64_t i = 0; i < n; i++) {
      out[i] = i;
    }
    return;
  }
  /* Floyd's algorithm (Bentley and Floyd 1987).  `out` itself is the hash table that remembers what was drawn: it
   * fills up completely, which linear probing survives (about sqrt(k) steps an insertion), and no memory is needed. */
  for (int64_t i = 0; i < k; i++) {
    out[i] = -1;
  }
  for (int64_t i = 0; i < k; i++) {
    int64_t largest = n - k + i;
    int64_t drawn = (int64_t)at_rng_below(s, (uint64_t)i, (uint64_t)largest + 1);
    if (!table_insert(out, k, drawn)) {
      table_insert(out, k, largest);
    }
  }
  qsort(out, (size_t)k, sizeof *out, ascending);
}

enum { SHUFFLE_MAX = 64, FEISTEL_ROUNDS = 8 };

/* Up to 64 positions: a true shuffle, in which every permutation is equally likely. */
static uint64_t shuffle_at(const at_stream *s, uint64_t n, uint64_t i) {
  uint8_t order[SHUFFLE_MAX];
  for (uint64_t j = 0; j < n; j++) { /* inside-out Fisher-Yates */
    uint64_t at = at_rng_tagged_below(s, AT_RNG_TAG_PERMUTE, j, j + 1);
    order[j] = order[at];
    order[at] = (uint8_t)j;
  }
  return order[i];
}

static uint64_t mix(uint64_t x) { /* Stafford's variant 13 of the murmur finaliser */
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
  x = (x ^ x >> 27) * 0x94D049BB133111EBu;
  return x ^ x >> 31;
}

uint64_t at_rng_permute(const at_stream *s, uint64_t n, uint64_t i) {
  assert(i < n);
  if (n <= SHUFFLE_MAX) {
    return shuffle_at(s, n, i);
  }
  uint64_t key[FEISTEL_ROUNDS];
  for (uint64_t b = 0; b < FEISTEL_ROUNDS / 4; b++) {
    at_rng_tagged_block(s, AT_RNG_TAG_PERMUTE, b, key + 4 * b);
  }
  /* An alternating Feistel network over the smallest power of two that holds n; results outside walk on. */
  int bits = 64 - __builtin_clzll(n - 1), low_bits = bits / 2, high_bits = bits - low_bits;
  uint64_t low_mask = (1ull << low_bits) - 1, high_mask = (1ull << high_bits) - 1;
  do {
    uint64_t low = i & low_mask, high = i >> low_bits;
    for (int r = 0; r < FEISTEL_ROUNDS; r += 2) {
      high ^= mix(low + key[r]) & high_mask;
      low ^= mix(high + key[r + 1]) & low_mask;
    }
    i = high << low_bits | low;
  } while (i >= n);
  return i;
}
