/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums of f32 vectors that do not depend on who adds what, nor on the order: each term is rounded to a fixed-point
 * grid once and added as a 64-bit integer.
 *
 * The vector is cut into tensors; tensor t has the grid 2^-bits[t].  Least bit 2^-50 leaves a range of +-2^12 for the
 * sum.  A round is: begin, add any number of terms on any ranks, finish.  The same object serves sums over clients (one
 * a round) and over shards (one a step); each with its own grids.
 *
 *     begin;  for each own client: add or lend(id, weight, update);  err = finish(comm, out);
 *     while err is AT_ERR_OVERFLOW: at_exact_coarsen(e, 8), and the same again.
 *
 * Overflow is excluded, not detected afterwards: each rank adds up, per tensor, the largest magnitude of each term; if
 * these could together exceed 2^62 grid units, finish returns AT_ERR_OVERFLOW.  The bound is itself an integer sum
 * over terms, so the verdict does not depend on the number of ranks either. */
#ifndef AT_COMM_EXACT_H
#define AT_COMM_EXACT_H

#include <stdint.h>

#include "kernels/kernels.h"
#include "src/base/status.h"
#include "src/comm/comm.h"

typedef struct at_exact at_exact;

enum { AT_EXACT_BITS = 50, AT_EXACT_BITS_MIN = -100, AT_EXACT_BITS_MAX = 200 };

/* A sum over vectors of offsets[n_tensors] elements; tensor t is [offsets[t], offsets[t+1]), offsets[0] = 0, copied.
 * names[n_tensors]: for messages, borrowed for the object's life; may be NULL.  vec: borrowed.  All grids start at
 * `bits` (AT_EXACT_BITS_MIN..MAX).  Memory: see at_exact_memory. */
at_err at_exact_create(at_exact **out, const at_vec *vec, int64_t n_tensors, const int64_t *offsets,
                       const char *const *names, int bits);
void at_exact_destroy(at_exact *e); /* accepts NULL */

/* The grids, bits[n_tensors]: part of a checkpoint.  Owned by e; may be overwritten between finish and begin with
 * values that are the same on all ranks. */
int64_t *at_exact_grids(at_exact *e);
int64_t at_exact_tensors(const at_exact *e);

void at_exact_begin(at_exact *e); /* sum = 0 */
/* sum += weight * x on the grid.  id: of the client or shard, for messages.  Trouble is kept until finish, so that a
 * rank never leaves the others alone.  Not collective. */
void at_exact_add(at_exact *e, int64_t id, double weight, const float *x);
/* The same, x borrowed until finish: it is put on the grid piece by piece there, which is faster, takes no memory for the sum, and
 * if it is the rank's only term half the bytes. */
void at_exact_lend(at_exact *e, int64_t id, double weight, const float *x);
/* out[offsets[n_tensors]] = the sum over all ranks, the same bytes on each; may not overlap what was lent.
 * AT_ERR_NONFINITE (names the lowest client and its tensor; out unchanged): a term was not finite.
 * AT_ERR_OVERFLOW (names the tensor; out unchanged): see above.  Same code and message on all ranks.  Collective. */
at_err at_exact_finish(at_exact *e, at_comm *comm, float *out);
/* Payload that `rank` sends in finish, for n elements of so many tensors, if it lent `loans` terms (and added none: what is added
 * counts as two).  To the owners of shares 4 bytes an element of one loan, 8 of several, 0 of none; from them 4.  Short vectors, below
 * 4096 elements a rank, take one all-reduce of 8. */
int64_t at_exact_bytes(int64_t n, int64_t tensors, int ranks, int rank, int64_t loans);
/* Bytes of an element, each way, where each of so many ranks lends one term: 4, or 8 of short vectors. */
int at_exact_width(int64_t n, int ranks);
/* Bytes that a sum of n elements touches on a rank; adds: something is added, not lent. */
int64_t at_exact_memory(int64_t n, int ranks, bool adds);
/* Make the grid of each tensor that overflowed in the last finish 2^drop coarser (drop >= 1).  The same on all ranks.
 * AT_ERR_OVERFLOW when a grid would pass AT_EXACT_BITS_MIN. */
at_err at_exact_coarsen(at_exact *e, int drop);

/* ---- rows of doubles by client, for metrics ---- */
/* Every rank gives rows[n_local][width] of the clients ids[n_local] (any order, each id on one rank only).  All get the
 * whole table in ascending id: ids_out[n_out], rows_out[n_out][width]; the caller frees both with at_free.
 * AT_ERR_ARG on all ranks for a repeated id.  Collective. */
at_err at_comm_gather_by_id(at_comm *c, int64_t n_local, const int64_t *ids, int width, const double *rows,
                            int64_t *n_out, int64_t **ids_out, double **rows_out);
/* sum[width] = the rows added in ascending id, the same bytes on all ranks and for any number of ranks. */
at_err at_comm_sum_by_id(at_comm *c, int64_t n_local, const int64_t *ids, int width, const double *rows, double *sum);

#endif
