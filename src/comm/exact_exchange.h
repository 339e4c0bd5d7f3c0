/* SPDX-License-Identifier: BSD-3-Clause */
/* How the terms of an exact sum travel: each rank adds up its share of the vector, and sends floats back.
 *
 * The vector is cut into as many shares as there are ranks.  A rank with one term sends each owner its piece of that as it is, 4 bytes an
 * element, and the owner puts it on the grid: the term is a function of weight, float and grid, whoever computes it.  A rank
 * with several sends their sum, 8 bytes; a rank with none sends nothing.  The owner adds, converts once, and sends the result, 4 bytes an
 * element.  All of it goes piece by piece in memory that stays in a core's cache.  Integers add in any order, so no choice made
 * here changes the result. */
#ifndef AT_COMM_EXACT_EXCHANGE_H
#define AT_COMM_EXACT_EXCHANGE_H

#include "src/comm/comm.h"

/* A rank's part in a sum. */
typedef struct at_exact_side {
  int64_t n_terms; /* 0, 1 or more */
  double weight;   /* of the only term */
  const float *x;  /* [n], the only term */
  void *context;
  void (*terms)(void *context, int64_t first, int64_t n, int64_t *sum); /* sum[n] = this rank's terms; zeros if none */
  void (*add)(void *context, double weight, int64_t first, int64_t n, const float *x,
              int64_t *sum);                                                               /* a term of x[n] */
  void (*result)(void *context, int64_t first, int64_t n, const int64_t *sum, float *out); /* out[n], converted */
} at_exact_side;

/* Whether vectors of n elements are worth it: the same on all ranks. */
bool at_exact_has_shares(int64_t n, int ranks);

typedef struct at_exact_exchange at_exact_exchange; /* memory for pieces on their way, and their messages */
at_err at_exact_exchange_create(at_exact_exchange **out, int ranks); /* not collective */
void at_exact_exchange_destroy(at_exact_exchange *x);                /* accepts NULL */
int at_exact_exchange_ranks(const at_exact_exchange *x);

int64_t at_exact_exchange_memory(void); /* bytes */

/* out[n] = the sum of all ranks' terms.  c: of as many ranks as x was made for.  Collective. */
at_err at_exact_exchange_run(at_exact_exchange *x, at_comm *c, int64_t n, const at_exact_side *side, float *out);
/* Payload that `rank` with so many terms sends. */
int64_t at_exact_exchange_sent(int64_t n, int ranks, int rank, int64_t n_terms);

#endif
