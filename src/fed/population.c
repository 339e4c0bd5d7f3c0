/* SPDX-License-Identifier: BSD-3-Clause */
/* One partition for each split of a data set. */
#include "src/fed/population.h"

at_err at_population_init(at_population *p, const at_examples *set, const at_partition_cfg *cfg) {
  *p = (at_population){0};
  for (int s = 0; s < AT_SPLIT_COUNT; s++) {
    if (s != AT_SPLIT_TRAIN && at_examples_total(set, (at_split)s) == 0) {
      continue;
    }
    at_err err = at_partition_create(&p->split[s], set, (at_split)s, cfg);
    if (err != AT_OK) {
      at_population_fini(p);
      return at_err_trace(err, __FILE__, __LINE__);
    }
  }
  return AT_OK;
}

void at_population_fini(at_population *p) {
  for (int s = 0; s < AT_SPLIT_COUNT; s++) {
    at_partition_destroy(p->split[s]);
  }
  *p = (at_population){0};
}

int64_t at_population_size(const at_population *p, at_split split, int64_t client) {
  return p->split[split] != NULL ? at_partition_size(p->split[split], client) : 0;
}

int64_t at_population_max_size(const at_population *p) {
  int64_t most = 0;
  for (int s = 0; s < AT_SPLIT_COUNT; s++) {
    const int64_t n = p->split[s] != NULL ? at_partition_max_size(p->split[s]) : 0;
    most = n > most ? n : most;
  }
  return most;
}

int64_t at_population_bytes(const at_population *p) {
  int64_t bytes = 0;
  for (int s = 0; s < AT_SPLIT_COUNT; s++) {
    bytes += p->split[s] != NULL ? at_partition_bytes(p->split[s]) : 0;
  }
  return bytes;
}
