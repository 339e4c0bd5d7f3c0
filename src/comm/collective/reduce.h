/* SPDX-License-Identifier: BSD-3-Clause */
/* The mean of many clients' vectors over any codec and several algorithms, while the caller computes.
 *
 * The participants are clients, not ranks: any number of them live on any rank, every round may have others, and what comes out is the
 * same bytes on all ranks, for any number of ranks and any assignment.  P below is the number of clients of the round that
 * count (finite, of positive weight), in ascending id; mean = sum w x / sum w.
 *
 *     at_reduce_begin(r, round, clients);
 *     for each own client: at_reduce_add(r, id, weight, x)    encodes at once: x is free again, memory is the code's
 *                       or at_reduce_lend(r, id, weight, x)   encodes piece by piece later: x is borrowed until the end;
 *                                                            one of the two in a round
 *     at_reduce_start(r, out);                                collective
 *     at_reduce_poll(r) now and then, as from at_program_run's hook
 *     at_reduce_finish(r);                                    collective
 *
 * Algorithms (n bytes of floats; m = n over the codec's ratio; bytes are what one of P equal participants sends):
 *   twophase   pieces have owners; everybody sends the owner its encoded piece, the owner decodes all in ascending client, adds, encodes the
 *              mean and sends it to all: exactly two encodings for any P.  2 m (P-1)/P.  Error feedback at both ends.
 *   star       the same with one owner for all pieces, a parameter server beside the first client.  m, the server (P-1) m
 *   gather     everybody sends to everybody, all add: one encoding.  (P-1) m.  For sparse codecs while k/d < 1/P
 *   auto       twophase; or, where the mean travels as floats (down = f32), whichever of twophase and gather sends less: these
 *              two then give the same bytes
 *   ring       reduce-scatter whose hops decode, add and encode again, then all-gather.  2 m (P-1)/P.  P encodings in a row
 *   doubling   recursive doubling with re-encoding: log2 P levels of m
 *   tree       up a tree of fan-in f with re-encoding, down it with unchanged bytes (hierarchical parameter server)
 *   integer    block scales are agreed on by a maximum, codes are added as integers by owners of pieces: exact in any order.
 *              n/4 (w1 + w2) (P-1)/P, w1 = 1 byte, w2 those of the container, and the scales
 *   allreduce  the same bytes by MPI's own all-reduce of the container's integers
 * ring, doubling and tree quantise partial sums, which feedback cannot mend and which grows with P (ring): results depend on P and the
 * order of clients, though not on ranks.  Partial sums travel as partial means, so that fp16 neither overflows nor underflows.
 *
 * A mean of floats without loss is {up = f32, down = f32}. */
#ifndef AT_COMM_REDUCE_H
#define AT_COMM_REDUCE_H

#include "src/comm/codec/cut.h"
#include "src/comm/codec/feedback.h"
#include "src/comm/collective/reduce_cfg.h"
#include "src/comm/comm.h"

typedef struct at_reduce at_reduce;

/* A reduction over vectors of the tensors [offsets[t], offsets[t + 1]), t < n_tensors, offsets[0] = 0, copied.
 * slots: the most clients on this rank in a round.  k: borrowed.  comm: borrowed; bytes are counted on it, in the phase set here.
 * AT_ERR_CONFIG, on all ranks, for what does not go together.  Collective. */
at_err at_reduce_create(at_reduce **out, at_comm *comm, const at_kernels *k, const at_reduce_cfg *cfg,
                        int64_t n_tensors, const int64_t *offsets, int64_t slots);
void at_reduce_destroy(at_reduce *r); /* collective; accepts NULL */

const at_reduce_cfg *at_reduce_config(const at_reduce *r); /* as resolved: what a run records */

/* Open round `round` (counts from 0, ascending).  clients: how many were asked to take part, the same on all ranks.  Trouble
 * with a client is kept until start, so that no rank leaves the others alone. */
void at_reduce_begin(at_reduce *r, int64_t round, int64_t clients);
void at_reduce_add(at_reduce *r, int64_t id, double weight, const float *x);
void at_reduce_lend(at_reduce *r, int64_t id, double weight, const float *x);

/* Agree on who takes part, and begin; out[n] (borrowed until finish) receives the mean, and is written only from here on.  Zeros where
 * nobody takes part.  AT_ERR_NONFINITE (names the lowest client; out and all memory untouched) by the policy; AT_ERR_ARG for a
 * client given twice; the same on all ranks, and the round is closed then.  Collective. */
at_err at_reduce_start(at_reduce *r, float *out);
/* ---- vectors that are still being computed ----
 *     at_reduce_begin; at_reduce_let_grow; at_reduce_lend, of whatever contents; at_reduce_start;
 *     as parts of the vector become final: at_reduce_release, at_reduce_poll_hook;  at_reduce_finish
 * gives what lending the finished vector would give.  Its own is that a vector turns out late not to be finite: finish then returns
 * AT_ERR_NONFINITE, with all memory as it was before, and the round can be run again in the plain way, which leaves the client
 * out. */
/* Whether that goes with the configuration: twophase, star, gather or auto, and nothing that needs the whole vector first (clipping,
 * momentum, a decay other than 1). */
bool at_reduce_can_grow(const at_reduce *r);
/* Make room for it, once: the memory of a round's start.  Not collective. */
at_err at_reduce_prepare_growth(at_reduce *r);
/* After begin, on all ranks alike; at most one client on each. */
void at_reduce_let_grow(at_reduce *r);
/* Elements first .. first + n - 1 of the vector lent are final; each element once.  What was not released is so with finish. */
void at_reduce_release(at_reduce *r, int64_t first, int64_t n);

/* Do one piece of work, if there is some, and let messages move.  Errors are kept until finish.  Not collective. */
void at_reduce_poll(at_reduce *r);
/* As an at_poll: all the work there is.  Encoding and adding must be done some time; done early, links get to work early. */
void at_reduce_poll_hook(void *reduce);
bool at_reduce_is_done(const at_reduce *r); /* on this rank */
/* Complete the round.  After AT_ERR_FORMAT (a damaged frame) out is unspecified; the same code on all ranks.  Collective. */
at_err at_reduce_finish(at_reduce *r);
at_err at_reduce_run(at_reduce *r, float *out); /* start and finish */

/* Of the last round.  Participants' traffic as if each had a machine of its own: sums over this rank's clients and pieces, to be added
 * over ranks; frames' headers included.  (What ranks really moved is on the communicator.) */
typedef struct at_reduce_report {
  int64_t clients; /* P */
  int64_t dropped; /* not finite */
  int algorithm;   /* that ran */
  int64_t messages, bytes, encodings;
  int64_t saturated; /* elements that fp16 clipped */
} at_reduce_report;
at_reduce_report at_reduce_get_report(const at_reduce *r);

/* ---- memory, for checkpoints and for moving clients between ranks; between rounds ---- */
at_feedback *at_reduce_memory(at_reduce *r); /* of clients; NULL without feedback */
/* Bring every client's row to the rank that rank_of says (0 .. ranks - 1, the same answer everywhere).  Collective. */
at_err at_feedback_move(at_feedback *f, at_comm *comm, int (*rank_of)(void *context, int64_t id), void *context);
/* The residual of the means: this rank's part is [*first, *first + *count) of a vector that all ranks share out. */
float *at_reduce_server_residual(at_reduce *r, int64_t *first, int64_t *count); /* NULL without server_feedback */
const at_cut *at_reduce_cut(const at_reduce *r);

void at_reduce_set_mask(at_reduce *r, const uint8_t *mask); /* see at_codec_set_mask */

#endif
