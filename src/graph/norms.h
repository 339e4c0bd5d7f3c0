/* SPDX-License-Identifier: BSD-3-Clause */
/* Normalisation over other than the last axis: batch-norm with running and fixed statistics, group-norm.  Channels are last. */
#ifndef AT_GRAPH_NORMS_H
#define AT_GRAPH_NORMS_H

#include "src/graph/ops.h"

/* Which statistics normalise. */
typedef enum at_bn_mode {
  AT_BN_TRAIN, /* the batch's; running ones are updated */
  AT_BN_EVAL,  /* the running ones */
  AT_BN_FIXED  /* fixed_mean and fixed_var alone */
} at_bn_mode;

/* One batch-norm layer; all vectors are [c].  Without `mix` this is the usual layer (Ioffe and Szegedy 2015).  With it, the
 * statistics are (1 - mix) fixed + mix own, where own are the batch's or the running ones (Lee et al. 2023, FedL2P): mix is a
 * scalar or [c], and derivatives reach it. */
typedef struct at_bn {
  at_val gain, bias;            /* AT_NONE: 1 and 0 */
  at_val mix;                   /* AT_NONE: 1 */
  at_val fixed_mean, fixed_var; /* read with mix, or in AT_BN_FIXED */
  at_val run_mean, run_var;     /* read in AT_BN_EVAL, updated in AT_BN_TRAIN (AT_NONE: not kept) */
  double eps, momentum;         /* running <- (1 - momentum) running + momentum batch */
  at_bn_mode mode;
} at_bn;

typedef struct at_bn_result {
  at_val y;                 /* the shape of x */
  at_val run_mean, run_var; /* AT_BN_TRAIN: what AT_SLOT_STATE should become (variance unbiased; one row: as it is) */
  at_val mean, var;         /* AT_BN_TRAIN: of the batch, variance biased */
} at_bn_result;

/* x [.., c]; statistics over all but the last axis. */
at_bn_result at_batchnorm(at_graph *g, at_val x, const at_bn *bn);

/* x [n][.., c]; statistics per example and group of c / groups neighbouring channels (Wu and He 2018).  groups = 1 is layer-norm
 * over the whole example, groups = c instance-norm.  gain, bias [c] or AT_NONE. */
at_val at_groupnorm(at_graph *g, at_val x, int64_t groups, at_val gain, at_val bias, double eps);

#endif
