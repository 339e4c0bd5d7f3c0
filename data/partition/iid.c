/* SPDX-License-Identifier: BSD-3-Clause */
/* Equal shares of all examples in a random order: sizes differ by at most one. */
#include "data/partition/partition_internal.h"

at_err at_iid_deal(at_partition *p) {
  return at_part_deal_shares(p, NULL);
}
