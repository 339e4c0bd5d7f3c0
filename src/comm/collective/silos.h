/* SPDX-License-Identifier: BSD-3-Clause */
/* Hierarchical means: dense inside a silo at every step, compressed between silos once a round.
 *
 * A silo is a participant of the outer reduction and has shards of its own.  With R ranks and S silos: R >= S: rank r works for silo
 * r S / R, and the lowest rank of a silo leads it; R < S: rank r has the silos s with s R / S = r all to itself.  Inner means are exact
 * sums, and the outer one is a reduction over silos: what comes out does not depend on R, unless inner sums are `fast`. */
#ifndef AT_COMM_SILOS_H
#define AT_COMM_SILOS_H

#include "src/comm/collective/reduce.h"
#include "src/comm/exact.h"

typedef struct at_silos_cfg {
  int64_t silos;
  bool inner_only;     /* nothing between silos: `outer` is not looked at, and there are no rounds */
  bool fast;           /* inner sums in floats, in an order that depends on ranks */
  int bits;            /* grid of exact inner sums: 2^-bits */
  at_reduce_cfg outer; /* between silos */
} at_silos_cfg;

typedef struct at_silos at_silos;

/* Tensors as of at_reduce_create.  k, world: borrowed.  Collective over world, and so are step and round. */
at_err at_silos_create(at_silos **out, at_comm *world, const at_kernels *k, const at_silos_cfg *cfg, int64_t n_tensors,
                       const int64_t *offsets);
void at_silos_destroy(at_silos *s); /* collective; accepts NULL */

/* The silos this rank works for: *first and on; returns how many. */
int64_t at_silos_here(const at_silos *s, int64_t *first);
bool at_silos_leads(const at_silos *s);           /* gives its silos' vectors to the outer reduction */
at_comm *at_silos_inner(const at_silos *s);       /* the ranks of this silo; counts what is exchanged inside */
at_comm *at_silos_outer(const at_silos *s);       /* the leaders; NULL elsewhere; counts what is exchanged between */
at_reduce *at_silos_reduction(const at_silos *s); /* of the leaders, for memory and reports; NULL elsewhere */

/* One step inside: begin, add shards of one silo, then the mean sum w x / sum w on all its ranks, where `weights` is the sum of all
 * its shards' weights.  A rank with several silos takes one after the other.  Errors as of at_exact_finish. */
void at_silos_step_begin(at_silos *s);
void at_silos_step_add(at_silos *s, int64_t shard, double weight, double weights, const float *x);
at_err at_silos_step(at_silos *s, float *out);

/* out = sum weight[i] x[i] over all ranks of one silo together, n vectors of this one; weights of all add up to one.  ids: for messages.
 * Exact, on a grid of cfg.bits that becomes coarser where it must, whatever came before: the vectors alone decide.  out may not
 * overlap x.  AT_ERR_NONFINITE with out unchanged.  Not with `fast`. */
at_err at_silos_mean(at_silos *s, int64_t n, const int64_t *ids, const double *weight, const float *const *x,
                     float *out);

/* One round between: leaders give each of their silos' vectors (others' calls are ignored); the mean reaches all ranks. */
void at_silos_round_begin(at_silos *s, int64_t round);
void at_silos_round_add(at_silos *s, int64_t silo, double weight, const float *x);
at_err at_silos_round(at_silos *s, float *out);

#endif
