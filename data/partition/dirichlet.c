/* SPDX-License-Identifier: BSD-3-Clause */
/* Each class dealt to the clients in shares of a Dirichlet distribution (Yurochkin et al. 2019). */
#include "data/partition/partition_internal.h"

at_err at_dirichlet_deal(at_partition *p) {
  return at_part_deal_classes(p, NULL);
}
