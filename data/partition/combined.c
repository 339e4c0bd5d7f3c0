/* SPDX-License-Identifier: BSD-3-Clause */
/* Classes in Dirichlet shares, times a lognormal size of the client. */
#include "data/partition/partition_internal.h"
#include "src/base/alloc.h"

at_err at_combined_deal(at_partition *p) {
  double *weight = NULL;
  at_err err = at_part_weights(p, &weight);
  if (err == AT_OK) {
    err = at_part_deal_classes(p, weight);
  }
  at_free(weight);
  return err;
}
