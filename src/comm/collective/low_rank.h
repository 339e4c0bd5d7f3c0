/* SPDX-License-Identifier: BSD-3-Clause */
/* The mean of clients' vectors by PowerSGD: two means of thin matrices (codec/powersgd.h has the products).
 *
 * Each of the two is a reduction of its own, over any codec and algorithm ("8 bits on top"); what it loses there is lost, unless its own
 * feedback is on.  Clients' residuals are kept here, keyed by client; their vectors are not needed after `add`.  Rounds below
 * the codec's `start` send the whole vector by the same reduction's configuration. */
#ifndef AT_COMM_LOW_RANK_H
#define AT_COMM_LOW_RANK_H

#include "src/comm/codec/powersgd.h"
#include "src/comm/collective/reduce.h"

typedef struct at_low_rank at_low_rank;

/* cfg: of kind powersgd.  inner: of the two means (f32 without loss by default); its nonfinite is drop.  tensors fill the vector.
 * slots: the most clients on this rank in a round.  k, comm: borrowed.  Collective. */
at_err at_low_rank_create(at_low_rank **out, at_comm *comm, const at_kernels *k, const at_codec_cfg *cfg,
                          const at_reduce_cfg *inner, int64_t n_tensors, const at_matrix *tensors, int64_t slots);
void at_low_rank_destroy(at_low_rank *l); /* collective; accepts NULL */

void at_low_rank_begin(at_low_rank *l, int64_t round, int64_t clients);
/* Take x[n] into the client's residual and project it.  A client that is not finite is left out, its residual as it was. */
void at_low_rank_add(at_low_rank *l, int64_t id, double weight, const float *x);
/* out[n] = the mean; zeros where nobody takes part.  Errors as of at_reduce_start and finish.  Collective. */
at_err at_low_rank_finish(at_low_rank *l, float *out);

/* Both means together. */
at_reduce_report at_low_rank_report(const at_low_rank *l);
at_feedback *at_low_rank_memory(at_low_rank *l); /* clients' residuals */
/* Q, the same on all ranks: part of a checkpoint; may be overwritten between rounds. */
float *at_low_rank_state(at_low_rank *l, int64_t *count);

#endif
