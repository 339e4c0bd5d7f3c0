/* SPDX-License-Identifier: BSD-3-Clause */
/* Examples sorted by class, cut into equal shards, so many shards for each client (McMahan et al. 2017). */
#include "data/partition/partition_internal.h"

at_err at_shards_deal(at_partition *p) {
  const int64_t each = p->cfg.shards;
  if (each > p->total / p->clients) {
    return AT_FAIL(AT_ERR_CONFIG, "partition.shards = %lld: %lld clients would need %lld examples, there are %lld",
                   (long long)each, (long long)p->clients, (long long)(p->clients * each), (long long)p->total);
  }
  const at_stream s = at_part_stream(p, AT_PART_ORDER, 0, 0);
  const int64_t n = p->clients * each;
  int64_t at = 0;
  for (int64_t k = 0; k < p->clients; k++) {
    for (int64_t i = 0; i < each; i++) {
      const int64_t shard = (int64_t)at_rng_permute(&s, (uint64_t)n, (uint64_t)(k * each + i));
      const int64_t from = (int64_t)((__int128)p->total * shard / n);
      const int64_t to = (int64_t)((__int128)p->total * (shard + 1) / n);
      for (int64_t r = from; r < to; r++) {
        p->row[at++] = p->by_class[r];
      }
    }
    p->first[k + 1] = at;
  }
  return AT_OK;
}

/* Shards of the size that a client wants are dealt again and again, in a new order each time; a client whose examples are fewer
 * than its shards has shards of one example. */
void at_shards_draw(const at_partition *p, int64_t client, int64_t n, int64_t *row) {
  const int64_t each = p->cfg.shards < n ? p->cfg.shards : n;
  const int64_t length = (n + each - 1) / each, windows = p->total / length;
  for (int64_t i = 0; i < each; i++) {
    const int64_t number = client * each + i;
    const at_stream s = at_part_stream(p, AT_PART_ORDER, 0, 1 + number / windows);
    const int64_t window = (int64_t)at_rng_permute(&s, (uint64_t)windows, (uint64_t)(number % windows));
    for (int64_t r = n * i / each; r < n * (i + 1) / each; r++) {
      row[r] = p->by_class[window * length + r - n * i / each];
    }
  }
}
