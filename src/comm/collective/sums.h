/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums of integers over ranks, piece by piece: what `integer` and `allreduce` move.
 *
 * Two ways to the same numbers.  With owners: each rank sends the owner of a piece its own sum in as few bytes as that needs, the owner
 * adds and sends the total: n/4 (w1 + w2) (P-1)/P bytes for n bytes of floats, w1 = 1 byte for up to 127/top clients on a rank, w2 the
 * container's width.  Or MPI's own all-reduce of the container: 2 n/4 w2 (P-1)/P. */
#ifndef AT_COMM_SUMS_H
#define AT_COMM_SUMS_H

#include "src/comm/collective/reduce_internal.h"

typedef struct at_sums at_sums;

at_err at_sums_create(at_sums **out, at_reduce *r, bool by_mpi); /* r: borrowed; not collective */
void at_sums_destroy(at_sums *s);                                /* accepts NULL */

/* Begin a round: one client's values are at most `top` in size, 0: anything; totals fit `width` bytes (1, 2 or 4). */
at_err at_sums_start(at_sums *s, int64_t top, int64_t width);
/* The piece that is to be given next; -1 after the last. */
int64_t at_sums_wanted(const at_sums *s);
/* This rank's sum of that piece; sum[n] is free again. */
at_err at_sums_give(at_sums *s, const int32_t *sum);
/* A piece whose total is known, into total[n]; *piece = -1 if there is none yet.  block: wait until there is one. */
at_err at_sums_take(at_sums *s, bool block, int64_t *piece, int32_t *total);

/* Bytes of all participants, as if each had a machine of its own, for one of this rank's pieces given. */
int64_t at_sums_bytes(const at_sums *s, int64_t n);

#endif
