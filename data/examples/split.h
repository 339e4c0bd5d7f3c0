/* SPDX-License-Identifier: BSD-3-Clause */
/* Which split something falls into: a function of the seed and of its name alone. */
#ifndef AT_DATA_EXAMPLES_SPLIT_H
#define AT_DATA_EXAMPLES_SPLIT_H

#include "data/dataset.h"

typedef struct at_split_rule {
  uint64_t seed;
  double validation, test; /* fractions */
} at_split_rule;

/* A hash of a name, the same everywhere (FNV-1a, 64 bits). */
uint64_t at_name_hash(const char *name);
/* Of number `i` of what `name` names: example i of a client, or with i = 0 a family, a picture, a voice. */
at_split at_split_draw(const at_split_rule *rule, const char *name, uint64_t i);

#endif
