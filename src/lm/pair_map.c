/* SPDX-License-Identifier: BSD-3-Clause */
/* A hash table of pairs of tokens. */
#include "src/lm/pair_map.h"

#include "src/base/alloc.h"

enum { FIRST_SLOTS = 1024 };

/* The slot that holds the pair, or the empty one where it belongs.  There are slots. */
static int64_t slot_of(const at_pair_map *m, int32_t left, int32_t right) {
  const uint64_t mask = (uint64_t)m->n_slots - 1;
  uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9E3779B97F4A7C15ULL;
  uint64_t i = (h ^ h >> 32) & mask;
  while (m->slot[i].value != 0 && (m->slot[i].left != left || m->slot[i].right != right)) {
    i = (i + 1) & mask;
  }
  return (int64_t)i;
}

static at_err grow(at_pair_map *m) {
  at_pair_map wider = {.n = m->n, .n_slots = m->n_slots > 0 ? 2 * m->n_slots : FIRST_SLOTS};
  AT_TRY(at_alloc(&wider.slot, (size_t)wider.n_slots, sizeof *wider.slot, "pairs of tokens"));
  for (int64_t i = 0; i < m->n_slots; i++) {
    if (m->slot[i].value != 0) {
      wider.slot[slot_of(&wider, m->slot[i].left, m->slot[i].right)] = m->slot[i];
    }
  }
  at_free(m->slot);
  *m = wider;
  return AT_OK;
}

at_err at_pair_map_add(at_pair_map *m, int32_t left, int32_t right, int32_t fresh, int32_t *value) {
  if (2 * (m->n + 1) > m->n_slots) {
    AT_TRY(grow(m));
  }
  at_pair_slot *s = &m->slot[slot_of(m, left, right)];
  if (s->value == 0) {
    *s = (at_pair_slot){.left = left, .right = right, .value = fresh + 1};
    m->n++;
  }
  *value = s->value - 1;
  return AT_OK;
}

int32_t at_pair_map_find(const at_pair_map *m, int32_t left, int32_t right) {
  return m->n == 0 ? -1 : m->slot[slot_of(m, left, right)].value - 1;
}

void at_pair_map_free(at_pair_map *m) {
  at_free(m->slot);
  *m = (at_pair_map){0};
}
