/* SPDX-License-Identifier: BSD-3-Clause */
/* Examples in a random order in shares of lognormal size; every client has at least one. */
#include "data/partition/partition_internal.h"
#include "src/base/alloc.h"

at_err at_quantity_deal(at_partition *p) {
  double *weight = NULL;
  at_err err = at_part_weights(p, &weight);
  if (err == AT_OK) {
    err = at_part_deal_shares(p, weight);
  }
  at_free(weight);
  return err;
}
