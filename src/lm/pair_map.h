/* SPDX-License-Identifier: BSD-3-Clause */
/* Pairs of tokens to numbers. */
#ifndef AT_LM_PAIR_MAP_H
#define AT_LM_PAIR_MAP_H

#include <stdint.h>

#include "src/base/status.h"

typedef struct at_pair_slot {
  int32_t left, right;
  int32_t value; /* + 1; 0 is an empty slot */
} at_pair_slot;

/* Zero-initialise before use. */
typedef struct at_pair_map {
  at_pair_slot *slot; /* [n_slots], owned; open addressing */
  int64_t n, n_slots;
} at_pair_map;

/* *value = that of the pair; a pair that is not there gets `fresh` (0 .. 2^31 - 2) first. */
at_err at_pair_map_add(at_pair_map *m, int32_t left, int32_t right, int32_t fresh, int32_t *value);
/* Value of the pair, -1 if it is not there. */
int32_t at_pair_map_find(const at_pair_map *m, int32_t left, int32_t right);
void at_pair_map_free(at_pair_map *m);

#endif
