/* SPDX-License-Identifier: BSD-3-Clause */
/* A set of 64-bit hashes: which paragraphs were seen. */
#ifndef AT_DATA_TEXT_HASHSET_H
#define AT_DATA_TEXT_HASHSET_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/status.h"

/* Zero-initialise before use. */
typedef struct at_hashset {
  uint64_t *slot; /* owned; open addressing, 0 is an empty slot */
  int64_t cap, count;
  bool has_zero;
} at_hashset;

/* Add; *fresh tells whether it was not there before. */
at_err at_hashset_add(at_hashset *set, uint64_t hash, bool *fresh);
bool at_hashset_has(const at_hashset *set, uint64_t hash);
void at_hashset_free(at_hashset *set);

#endif
