/* SPDX-License-Identifier: BSD-3-Clause */
/* What a reduction will move, from its configuration alone: for plans and cost models. */
#ifndef AT_COMM_TRAFFIC_H
#define AT_COMM_TRAFFIC_H

#include "src/comm/collective/reduce_cfg.h"

/* A round of `clients`, of which rank r of `ranks` has every one whose place among them is r modulo ranks. */
typedef struct at_traffic_round {
  int64_t round, clients;
  int ranks;
} at_traffic_round;

typedef struct at_traffic {
  double clients;  /* bytes sent by all clients together, as if each had a machine of its own */
  double rank;     /* bytes sent by rank 0 */
  double elements; /* of the vectors */
  bool is_exact;   /* else the codec's sizes depend on the values, and these are the most */
} at_traffic;

/* cfg: resolved, not of kind powersgd.  Tensors as of at_reduce_create. */
at_err at_reduce_traffic(const at_reduce_cfg *cfg, int64_t n_tensors, const int64_t *offsets,
                         const at_traffic_round *round, at_traffic *out);

#endif
