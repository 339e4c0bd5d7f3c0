/* SPDX-License-Identifier: BSD-3-Clause */
/* The compressed, or masked, way from clients' vectors to their mean, with all that must be kept between rounds.
 *
 * One object stands for any of: a codec over an algorithm (src/comm/collective/reduce.h), PowerSGD's pair of means (low_rank.h), and
 * EMULATED secure sums (secure.h).  A round is: begin, add each own client, finish.  The mean is the same bytes on any number of
 * ranks, and so is what is kept, which goes into checkpoints by the functions at the end. */
#ifndef AT_FED_CHANNEL_H
#define AT_FED_CHANNEL_H

#include "src/comm/codec/powersgd.h"
#include "src/comm/collective/reduce_cfg.h"
#include "src/comm/collective/traffic.h"
#include "src/comm/comm.h"

typedef struct at_channel at_channel;

typedef struct at_channel_cfg {
  at_reduce_cfg reduce; /* of kind powersgd up: `down` is the codec of its two means */
  bool is_secure;       /* masks instead of codecs: of `reduce` only the seed counts */
  int bits;             /* secure: grid of the sums, 2^-bits */
  bool lends;           /* vectors stay as they are until finish: less memory; else they are encoded by `add` */
  bool can_undo;        /* keep room for at_channel_remember */
  bool overlaps;        /* keep room for at_channel_start, where the codec allows it */
} at_channel_cfg;

/* What the vectors are made of, and who keeps what here. */
typedef struct at_channel_shape {
  int n_tensors;
  const at_matrix *tensors; /* [n_tensors]; copied */
  int64_t slots;            /* most clients on this rank in a round */
  int64_t n_own;            /* clients whose memory lives here, whatever round */
  const int64_t *own;       /* [n_own] ascending; borrowed */
} at_channel_shape;

/* Vectors that each client keeps: 0, 1 or 2.  Clients that keep something must always be played on the same rank. */
int at_channel_vectors(const at_channel_cfg *cfg);
/* Fill in what is left open, for vectors of n elements.  AT_ERR_CONFIG. */
at_err at_channel_resolve(at_channel_cfg *cfg, int64_t n);
/* Bytes that a channel takes on a rank: of each own client, and besides.  cfg is resolved. */
double at_channel_client_bytes(const at_channel_cfg *cfg, int64_t n);
double at_channel_fixed_bytes(const at_channel_cfg *cfg, int64_t n, int64_t slots, int ranks);

/* Elements of what at_channel_shared will give. */
at_err at_channel_shared_elements(const at_channel_cfg *cfg, const at_kernels *k, int n_tensors,
                                  const at_matrix *tensors, int64_t *count);

/* Bytes of a round, without what at_channel_take_report and at_channel_norms add.  cfg is resolved. */
at_err at_channel_traffic(const at_channel_cfg *cfg, const at_kernels *k, int n_tensors, const at_matrix *tensors,
                          const at_traffic_round *round, at_traffic *out);

/* k, world: borrowed.  cfg is resolved and copied.  AT_ERR_CONFIG on all ranks for what does not go together.  Collective. */
at_err at_channel_create(at_channel **out, at_comm *world, const at_kernels *k, const at_channel_cfg *cfg,
                         const at_channel_shape *shape);
void at_channel_destroy(at_channel *c); /* collective; accepts NULL */

/* Open a round, ascending; ids[n_ids] ascending: all that were asked, the same on all ranks, borrowed until finish. */
void at_channel_begin(at_channel *c, int64_t round, int64_t n_ids, const int64_t *ids);
/* x[n]: of an own client; borrowed until finish if the channel lends.  Who is never added is missing.  A vector that is not finite
 * leaves the client's memory as it was, and the client out; or, secure, fails the round. */
void at_channel_add(at_channel *c, int64_t id, double weight, const float *x);
/* out[n] = sum w x / sum w over who took part (secure: sum w x).  AT_ERR_NONFINITE, with all memory as it was, where there is nothing
 * finite; other errors as of the reductions.  The same code on all ranks.  Collective. */
at_err at_channel_finish(at_channel *c, float *out);

/* ---- a round while its vectors are computed: start in the place of add, end in that of finish ---- */
bool at_channel_can_overlap(const at_channel *c); /* the same on all ranks */
/* x, of client `id`, the only one of this rank (-1: it has none), is being computed: see at_reduce_let_grow.  out: borrowed until
 * at_channel_end.  Collective. */
at_err at_channel_start(at_channel *c, int64_t id, double weight, const float *x, float *out);
void at_channel_release(at_channel *c, int64_t first, int64_t n); /* these elements of x are final */
void at_channel_poll(at_channel *c);                              /* let the exchange make progress */
/* AT_ERR_NONFINITE: some x is not finite, all memory is as it was; the round can begin again in the plain way.  Collective. */
at_err at_channel_end(at_channel *c);

/* Traffic since it was last asked for, of all participants together, as if each had a machine of its own. */
typedef struct at_channel_report {
  int64_t bytes;     /* sent, and as much received; frames' headers included */
  int64_t messages;  /* sent */
  int64_t passages;  /* elements that an all-reduce of floats by a ring would have sent */
  int64_t saturated; /* elements that fp16 clipped */
  int64_t dropped;   /* vectors left out as not finite */
  int algorithm;     /* at_algorithm that ran last; auto: a plain ring */
  int64_t reveals;   /* secure: seeds that survivors had to reveal */
} at_channel_report;
at_err at_channel_take_report(at_channel *c, at_channel_report *out); /* collective */
/* Norms of what is kept after the last round: mean over its clients, and of the server; NaN where nothing is.  Collective. */
at_err at_channel_norms(at_channel *c, double *client, double *server);

/* ---- state, between rounds ---- */
void *const *at_channel_rows(const at_channel *c, int v); /* [n_own] pointers to float [n] */
int64_t *at_channel_rounds(at_channel *c); /* [n_own]: the round each client last took part in; -1: none */
/* What the server keeps, [n]; the same on all ranks after at_channel_gather.  NULL if it keeps nothing. */
float *at_channel_server(const at_channel *c);
/* What all keep (PowerSGD's Q), [*count]; NULL if nothing. */
float *at_channel_shared(const at_channel *c, int64_t *count);
/* Identifies cut and codec: memory belongs to one. */
int64_t at_channel_layout(const at_channel *c);
at_err at_channel_gather(at_channel *c); /* before saving.  Collective. */
void at_channel_settle(at_channel *c);   /* after loading into the above */
/* Keep a copy of the state; go back to it.  For channels that can_undo. */
void at_channel_remember(at_channel *c);
void at_channel_undo(at_channel *c);

#endif
