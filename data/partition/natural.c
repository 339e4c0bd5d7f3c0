/* SPDX-License-Identifier: BSD-3-Clause */
/* The clients of the set itself.  Fewer than it has: some of them, chosen at random.  More: logical client k is a part (dealt) or a
 * sample (drawn) of stored client k mod S. */
#include "data/partition/partition_internal.h"

static int64_t stored_of(const at_partition *p, int64_t client) {
  const at_stream s = {.seed = (uint64_t)p->cfg.seed, .purpose = AT_RNG_PARTITION, .round = AT_PART_SIZE, .step = 1};
  const int64_t at = client % p->n_stored;
  return p->stored[p->clients < p->n_stored ? (int64_t)at_rng_permute(&s, (uint64_t)p->n_stored, (uint64_t)at) : at];
}

at_err at_natural_deal(at_partition *p) {
  int64_t at = 0;
  for (int64_t k = 0; k < p->clients; k++) {
    const int64_t c = stored_of(p, k), n = at_examples_rows(p->examples, p->split, c);
    const int64_t first = at_examples_first(p->examples, p->split, c);
    const int64_t number = k / p->n_stored, left = p->clients - k % p->n_stored;
    const int64_t sharers = p->clients < p->n_stored ? 1 : (left + p->n_stored - 1) / p->n_stored;
    if (n < sharers) {
      return AT_FAIL(AT_ERR_CONFIG,
                     "partition.clients = %lld: %lld logical clients would share the %lld examples of client %s; lower "
                     "it, or let each draw its own with partition.per_client",
                     (long long)p->clients, (long long)sharers, (long long)n, at_examples_client(p->examples, c));
    }
    const at_stream s = at_part_stream(p, AT_PART_ORDER, c, 0);
    for (int64_t i = n * number / sharers; i < n * (number + 1) / sharers; i++) {
      p->row[at++] = first + (sharers == 1 ? i : (int64_t)at_rng_permute(&s, (uint64_t)n, (uint64_t)i));
    }
    p->first[k + 1] = at;
  }
  return AT_OK;
}

int64_t at_natural_size(const at_partition *p, int64_t client) {
  const int64_t n = at_examples_rows(p->examples, p->split, stored_of(p, client));
  return n < p->cfg.per_client ? n : p->cfg.per_client;
}

void at_natural_draw(const at_partition *p, int64_t client, int64_t n, int64_t *row) {
  const int64_t c = stored_of(p, client), first = at_examples_first(p->examples, p->split, c);
  const at_stream s = at_part_stream(p, AT_PART_PICK, client, 0);
  at_rng_choose(&s, at_examples_rows(p->examples, p->split, c), n, row);
  for (int64_t i = 0; i < n; i++) {
    row[i] += first;
  }
}
