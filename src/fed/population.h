/* SPDX-License-Identifier: BSD-3-Clause */
/* The clients that there are: one partition of a data set for each of its splits (data/partition/partition.h). */
#ifndef AT_FED_POPULATION_H
#define AT_FED_POPULATION_H

#include "data/partition/partition.h"

typedef struct at_population {
  at_partition *split[AT_SPLIT_COUNT]; /* NULL: held out, and the set has nothing there */
} at_population;

/* set is borrowed.  AT_ERR_CONFIG: as at_partition_create. */
at_err at_population_init(at_population *p, const at_examples *set, const at_partition_cfg *cfg);
void at_population_fini(at_population *p); /* accepts all zero */

/* Examples of a client; 0 where the set has none in the split. */
int64_t at_population_size(const at_population *p, at_split split, int64_t client);
int64_t at_population_max_size(const at_population *p); /* no client has more in any split */
int64_t at_population_bytes(const at_population *p);

#endif
