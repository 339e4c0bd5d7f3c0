/* SPDX-License-Identifier: BSD-3-Clause */
/* EMULATED secure aggregation: sums of clients' vectors in which each single vector is hidden by pairwise masks
 * (Bonawitz et al. 2017).
 *
 * NOT SECURE: the masks' seeds come from the run's seed, which everybody knows; a deployment needs key agreement, shares of the seeds
 * and a second mask.  What is true of the protocol here: its arithmetic, its bytes, and what drop-outs cost.
 *
 * Each vector is put on a common fixed-point grid as 64-bit integers; for every pair p < q of the round's clients both derive a stream
 * from their seed, p adds it, q subtracts it, mod 2^64.  Masks cancel in the sum.  Of a client that dropped out after the others had
 * masked, the survivors reveal the seeds they shared with it, and those masks are taken off again: the sum of the survivors is,
 * bit for bit, the sum of their integers. */
#ifndef AT_COMM_SECURE_H
#define AT_COMM_SECURE_H

#include "kernels/codec.h"
#include "kernels/kernels.h"
#include "src/comm/comm.h"

typedef struct at_secure at_secure;

/* Sums of vectors of n elements on the grid 2^-bits (-100 .. 200).  k, comm: borrowed.  Memory: 16 n bytes. */
at_err at_secure_create(at_secure **out, at_comm *comm, const at_kernels *k, int64_t n, int bits, uint64_t seed);
void at_secure_destroy(at_secure *s); /* accepts NULL */

/* Open a round of `clients`, all that were asked: ids[n_ids] ascending, the same on all ranks, borrowed until finish. */
void at_secure_begin(at_secure *s, int64_t round, int64_t n_ids, const int64_t *ids);
/* sum += weight * x on the grid, masked.  Each client of the round at most once, on one rank; who is not added dropped out.  Values that
 * are not finite, or exceed 2^62 / n_ids grid units, make the client drop out too (*took_part = false; may be NULL). */
at_err at_secure_add(at_secure *s, int64_t id, double weight, const float *x, bool *took_part);
/* What one client would send: its masked integers, masked[n].  For tests and for showing that they tell nothing. */
at_err at_secure_mask(at_secure *s, int64_t id, double weight, const float *x, uint64_t *masked);

/* out[n] = the survivors' sum, the same bytes on all ranks; *survivors and *reveals (seeds that had to be revealed), may be NULL.
 * AT_ERR_ARG for a client given twice.  Collective. */
at_err at_secure_finish(at_secure *s, float *out, int64_t *survivors, int64_t *reveals);

#endif
