/* SPDX-License-Identifier: BSD-3-Clause */
/* Which split something falls into. */
#include "data/examples/split.h"

#include "src/base/rng.h"

uint64_t at_name_hash(const char *name) {
  uint64_t h = 14695981039346656037U;
  for (; *name != 0; name++) {
    h = (h ^ (unsigned char)*name) * 1099511628211U;
  }
  return h;
}

at_split at_split_draw(const at_split_rule *rule, const char *name, uint64_t i) {
  const at_stream s = {.seed = rule->seed, .purpose = AT_RNG_SPLIT, .client = at_name_hash(name)};
  const double u = at_rng_uniform(&s, i);
  return u < rule->test ? AT_SPLIT_TEST : u < rule->test + rule->validation ? AT_SPLIT_VALIDATION : AT_SPLIT_TRAIN;
}
