/* SPDX-License-Identifier: BSD-3-Clause */
/* Examples sorted by class, cut into equal shards, so many shards for each client (McMahan et al. 2017).
 *
 * Shards are stretches of the training examples in order of class.  The held-out examples of a shard are those as far through the same
 * classes. */
#include "data/partition/partition_internal.h"

/* A place in the sorted training examples as one in those of this split. */
static int64_t place_of(const at_partition *p, int64_t at) {
  int64_t low = 0, high = p->classes - 1;
  if (p->split == p->base || at == 0) {
    return at;
  }
  if (at == p->base_total) {
    return p->total;
  }
  while (low < high) { /* the class that it is in: the last one that begins no later */
    const int64_t middle = (low + high + 1) / 2;
    low = p->base_first[middle] <= at ? middle : low;
    high = p->base_first[middle] <= at ? high : middle - 1;
  }
  const int64_t rows = p->class_first[low + 1] - p->class_first[low];
  return p->class_first[low] + (at - p->base_first[low]) * rows / (p->base_first[low + 1] - p->base_first[low]);
}

/* Training examples that a client draws; 0: they are dealt. */
static int64_t drawn(const at_partition *p) {
  return p->cfg.per_client < p->base_total ? p->cfg.per_client : p->base_total;
}

/* A client that draws fewer examples than it has shards has shards of one example. */
static int64_t shards_of_each(const at_partition *p) {
  return p->cfg.per_client > 0 && drawn(p) < p->cfg.shards ? drawn(p) : p->cfg.shards;
}

/* Training examples of the i-th shard of a client: range[0] .. range[1] - 1.  Drawn, shards of the size that a client wants are dealt
 * again and again, in a new order each time. */
static void find_shard(const at_partition *p, int64_t client, int64_t i, int64_t range[2]) {
  const int64_t each = shards_of_each(p), number = client * each + i, n = p->clients * each;
  if (p->cfg.per_client == 0) {
    const at_stream s = at_part_stream(p, AT_PART_MIXTURE, 0, 0);
    const int64_t shard = (int64_t)at_rng_permute(&s, (uint64_t)n, (uint64_t)number);
    range[0] = (int64_t)((__int128)p->base_total * shard / n);
    range[1] = (int64_t)((__int128)p->base_total * (shard + 1) / n);
    return;
  }
  const int64_t length = (drawn(p) + each - 1) / each, windows = p->base_total / length;
  const at_stream s = at_part_stream(p, AT_PART_MIXTURE, 0, 1 + number / windows);
  range[0] = length * (int64_t)at_rng_permute(&s, (uint64_t)windows, (uint64_t)(number % windows));
  range[1] = range[0] + drawn(p) * (i + 1) / each - drawn(p) * i / each;
}

at_err at_shards_deal(at_partition *p) {
  const int64_t each = p->cfg.shards;
  int64_t at = 0, range[2];
  if (each > p->base_total / p->clients) {
    return AT_FAIL(AT_ERR_CONFIG, "partition.shards = %lld: %lld clients would need %lld examples, there are %lld",
                   (long long)each, (long long)p->clients, (long long)(p->clients * each), (long long)p->base_total);
  }
  AT_TRY(at_part_allocate(p));
  for (int64_t k = 0; k < p->clients; k++) {
    for (int64_t i = 0; i < each; i++) {
      find_shard(p, k, i, range);
      for (int64_t r = place_of(p, range[0]); r < place_of(p, range[1]); r++) {
        p->row[at++] = p->by_class[r];
      }
    }
    p->first[k + 1] = at;
  }
  return at_part_leave_none_empty(p);
}

/* As many from each shard, evenly over its length: all of them in training. */
void at_shards_draw(const at_partition *p, int64_t client, int64_t n, int64_t *row) {
  const int64_t each = shards_of_each(p);
  for (int64_t i = 0; i < each; i++) {
    const int64_t from = n * i / each, wanted = n * (i + 1) / each - from;
    int64_t range[2];
    find_shard(p, client, i, range);
    for (int64_t r = 0; r < wanted; r++) {
      const int64_t at = place_of(p, range[0] + (2 * r + 1) * (range[1] - range[0]) / (2 * wanted));
      row[from + r] = p->by_class[at < p->total ? at : p->total - 1];
    }
  }
}
