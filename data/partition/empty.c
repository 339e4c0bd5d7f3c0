/* SPDX-License-Identifier: BSD-3-Clause */
/* No client without examples: those that a scheme deals nothing get one example each from those that have most. */
#include <string.h>

#include "data/partition/partition_internal.h"
#include "src/base/alloc.h"

/* Examples above the level. */
static int64_t above(const at_partition *p, int64_t level) {
  int64_t n = 0;
  for (int64_t k = 0; k < p->clients; k++) {
    const int64_t size = p->first[k + 1] - p->first[k];
    n += size > level ? size - level : 0;
  }
  return n;
}

/* The highest level with at least `need` examples above it. */
static int64_t find_level(const at_partition *p, int64_t need) {
  int64_t low = 1, high = p->total;
  while (low < high) {
    const int64_t middle = (low + high + 1) / 2;
    const bool is_enough = above(p, middle) >= need;
    low = is_enough ? middle : low;
    high = is_enough ? high : middle - 1;
  }
  return low;
}

/* The last examples of a client above the level are given away until there are enough; row[total] is the new table. */
static void give(at_partition *p, int64_t need, int64_t level, int64_t *spare, int64_t *row) {
  int64_t have = 0, used = 0, at = 0, before = 0;
  for (int64_t k = 0; k < p->clients && have < need; k++) {
    for (int64_t i = p->first[k] + level; i < p->first[k + 1] && have < need; i++) {
      spare[have++] = i;
    }
  }
  have = 0; /* of the spare ones, passed by */
  for (int64_t k = 0; k < p->clients; k++) {
    const int64_t from = before, to = p->first[k + 1];
    before = to;
    for (int64_t i = from; i < to; i++) {
      const bool is_spare = have < need && spare[have] == i;
      have += is_spare;
      if (!is_spare) {
        row[at++] = p->row[i];
      }
    }
    if (from == to) {
      row[at++] = p->row[spare[used++]];
    }
    p->first[k + 1] = at;
  }
}

at_err at_part_leave_none_empty(at_partition *p) {
  int64_t need = 0, *spare = NULL, *row = NULL;
  for (int64_t k = 0; k < p->clients; k++) {
    need += p->first[k + 1] == p->first[k];
  }
  if (need == 0) {
    return AT_OK;
  }
  at_err err = at_alloc(&spare, (size_t)need, sizeof *spare, "partition");
  err = err == AT_OK ? at_alloc(&row, (size_t)p->total, sizeof *row, "partition") : err;
  if (err == AT_OK) {
    give(p, need, find_level(p, need), spare, row);
    memcpy(p->row, row, (size_t)p->total * sizeof *row);
  }
  at_free(spare);
  at_free(row);
  return err;
}
