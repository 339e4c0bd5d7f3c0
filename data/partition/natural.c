/* SPDX-License-Identifier: BSD-3-Clause */
/* The clients of the set itself.  Fewer than it has: some of them, chosen at random.  More: logical client k is a part (dealt) or a
 * sample (drawn) of stored client k mod S. */
#include <math.h>

#include "data/partition/partition_internal.h"

/* The part of a stored client's examples that a logical one has when they are dealt out. */
typedef struct piece {
  int64_t stored, rows; /* the stored client, how many it has */
  int64_t sharers, from, n;
} piece;

static piece piece_of(const at_partition *p, int64_t client) {
  const int64_t at = client % p->n_stored;
  const bool is_chosen = p->clients < p->n_stored && !p->is_lent;
  const at_stream s = {.seed = p->cfg.seed, .purpose = AT_RNG_PARTITION, .round = AT_PART_SIZE, .step = 1};
  piece a = {.stored = p->stored[is_chosen ? (int64_t)at_rng_permute(&s, (uint64_t)p->n_stored, (uint64_t)at) : at]};
  a.rows = at_examples_rows(p->examples, p->split, a.stored);
  a.sharers = p->is_lent ? 1 : (p->clients - at + p->n_stored - 1) / p->n_stored;
  const int64_t number = p->is_lent || p->is_drawn ? 0 : client / p->n_stored;
  a.from = a.rows * number / a.sharers;
  a.n = a.rows * (number + 1) / a.sharers - a.from;
  a.n = a.n == 0 && a.rows > 0 ? 1 : a.n; /* held-out ones that are too few */
  return a;
}

/* Nothing to keep: a piece is found when it is asked for. */
at_err at_natural_deal(at_partition *p) {
  for (int64_t k = 0; k < p->clients && k < p->n_stored && p->split == p->base; k++) {
    const piece a = piece_of(p, k);
    if (a.rows < a.sharers) {
      return AT_FAIL(AT_ERR_CONFIG,
                     "partition.clients = %lld: %lld logical clients would share the %lld examples of client %s; lower "
                     "it, or let each draw its own with partition.per_client",
                     (long long)p->clients, (long long)a.sharers, (long long)a.rows,
                     at_examples_client(p->examples, a.stored));
    }
  }
  return AT_OK;
}

int64_t at_natural_size(const at_partition *p, int64_t client) {
  const piece a = piece_of(p, client);
  return p->is_drawn ? (int64_t)fmin((double)a.rows, fmax(1, floor(p->each + 0.5))) : a.n;
}

void at_natural_draw(const at_partition *p, int64_t client, int64_t n, int64_t *row) {
  const piece a = piece_of(p, client);
  const int64_t first = at_examples_first(p->examples, p->split, a.stored);
  if (p->is_drawn) {
    const at_stream s = at_part_stream(p, AT_PART_PICK, client, 0);
    at_rng_choose(&s, a.rows, n, row);
  }
  const at_stream order = at_part_stream(p, AT_PART_ORDER, a.stored, 0);
  for (int64_t i = 0; i < n; i++) {
    const int64_t at = a.from + i;
    row[i] = first + (p->is_drawn      ? row[i]
                      : a.sharers == 1 ? at
                                       : (int64_t)at_rng_permute(&order, (uint64_t)a.rows, (uint64_t)at));
  }
}
