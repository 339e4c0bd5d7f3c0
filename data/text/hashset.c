/* SPDX-License-Identifier: BSD-3-Clause */
/* A set of 64-bit hashes by open addressing. */
#include "data/text/hashset.h"

#include "src/base/alloc.h"

enum { FIRST_CAP = 1024 };

/* The slot that holds `hash`, or the empty one where it belongs; hashes are well mixed already. */
static int64_t slot_of(const at_hashset *set, uint64_t hash) {
  uint64_t mask = (uint64_t)set->cap - 1, i = hash & mask;
  while (set->slot[i] != 0 && set->slot[i] != hash) {
    i = (i + 1) & mask;
  }
  return (int64_t)i;
}

static at_err grow(at_hashset *set) {
  at_hashset wider = {.cap = set->cap > 0 ? 2 * set->cap : FIRST_CAP, .count = set->count, .has_zero = set->has_zero};
  AT_TRY(at_alloc(&wider.slot, (size_t)wider.cap, sizeof *wider.slot, "set of paragraphs"));
  for (int64_t i = 0; i < set->cap; i++) {
    if (set->slot[i] != 0) {
      wider.slot[slot_of(&wider, set->slot[i])] = set->slot[i];
    }
  }
  at_free(set->slot);
  *set = wider;
  return AT_OK;
}

at_err at_hashset_add(at_hashset *set, uint64_t hash, bool *fresh) {
  if (hash == 0) {
    *fresh = !set->has_zero;
    set->has_zero = true;
    return AT_OK;
  }
  if (2 * (set->count + 1) > set->cap) {
    AT_TRY(grow(set));
  }
  int64_t i = slot_of(set, hash);
  *fresh = set->slot[i] == 0;
  set->slot[i] = hash;
  set->count += *fresh;
  return AT_OK;
}

bool at_hashset_has(const at_hashset *set, uint64_t hash) {
  return hash == 0 ? set->has_zero : set->cap > 0 && set->slot[slot_of(set, hash)] != 0;
}

void at_hashset_free(at_hashset *set) {
  at_free(set->slot);
  *set = (at_hashset){0};
}
