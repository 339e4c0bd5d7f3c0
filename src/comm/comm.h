/* SPDX-License-Identifier: BSD-3-Clause */
/* Checked MPI: every call's code is looked at, and its calls, messages, payload bytes and seconds are counted by phase.
 *
 * Failure: an MPI error becomes AT_ERR_MPI with the library's text.  After one, the ranks can no longer be brought
 * together, so nobody tries: AT_ERR_MPI travels up to main, which ends the job with at_comm_abort().  All other
 * failures of one rank are made everybody's with at_comm_agree() before the next collective call.
 *
 * Counting: what is counted is payload, by these conventions (n bytes, P ranks), which do not depend on the algorithm
 * that the MPI library picks:
 *   bcast, gatherv, reduce     a star: the root exchanges with each of the P - 1 others
 *   allreduce                  a ring: each rank sends and receives 2 n (P - 1) / P in 2 (P - 1) messages
 *   allgatherv                 a ring: a rank sends every block but its successor's, receives every block but its own
 *   alltoallv, send, recv      what is passed
 * One rank alone exchanges nothing.  Seconds are those the calling rank spent inside the call.
 *
 * Counts are int64_t; above the limit of one MPI call (at_comm_set_chunk) they are cut into several.  Buffers are
 * borrowed.  "Collective" means: every rank of the communicator calls, in the same order, with the same counts. */
#ifndef AT_COMM_COMM_H
#define AT_COMM_COMM_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/status.h"

typedef struct at_comm at_comm; /* a communicator; those made from one another share phase, round and abort */

#define AT_COMM_PHASES(X)     \
  X(SETUP, "setup")           \
  X(TRAIN, "train")           \
  X(BROADCAST, "broadcast")   \
  X(GRADIENT, "gradient")     \
  X(REDUCE, "reduce")         \
  X(GATHER, "gather")         \
  X(METRICS, "metrics")       \
  X(EVALUATE, "evaluate")     \
  X(CHECKPOINT, "checkpoint") \
  X(CONTROL, "control") /* at_comm_agree and barriers, whatever phase is set */

typedef enum at_comm_phase {
#define X(id, name) AT_COMM_##id,
  AT_COMM_PHASES(X)
#undef X
      AT_COMM_PHASE_COUNT
} at_comm_phase;
const char *at_comm_phase_name(at_comm_phase phase);

/* Tags of point-to-point messages: one list for the whole program. */
typedef enum at_comm_tag {
  AT_TAG_GATHER = 1,
  AT_TAG_EXCHANGE,
  AT_TAG_EXACT_SUM,
  AT_TAG_EXACT_MEAN,
  AT_TAG_TEST
} at_comm_tag;

typedef enum at_comm_type {
  AT_COMM_F32,
  AT_COMM_F64,
  AT_COMM_I64,
  AT_COMM_U64,
  AT_COMM_I8,
  AT_COMM_I16,
  AT_COMM_I32,
  AT_COMM_TYPE_COUNT
} at_comm_type;
typedef enum at_comm_op { AT_COMM_SUM, AT_COMM_MAX, AT_COMM_MIN, AT_COMM_OP_COUNT } at_comm_op;

/* Start MPI (thread level: funneled) and wrap its world.  argc, argv as main's; may be changed by MPI.
 * Not under mpirun: a world of one rank. */
at_err at_comm_init(int *argc, char ***argv, at_comm **world);
/* Release the world and end MPI.  Communicators made from it are destroyed first.  Collective.  Accepts NULL. */
void at_comm_fini(at_comm *world);

/* The ranks of one `color` (>= 0), ordered by (key, rank); *out is NULL where color is negative.  Collective. */
at_err at_comm_split(at_comm *parent, int color, int key, at_comm **out);
at_err at_comm_dup(at_comm *parent, at_comm **out);
void at_comm_destroy(at_comm *c); /* collective; accepts NULL; not for the world */

int at_comm_rank(const at_comm *c);
int at_comm_size(const at_comm *c);
int at_comm_world_rank(const at_comm *c);
const char *at_comm_host(const at_comm *c);        /* name of this rank's host */
void at_comm_set_chunk(at_comm *c, int64_t bytes); /* most bytes in one MPI call; same on all ranks; default 2^30 */

/* ---- counters ---- */
typedef struct at_comm_stats {
  int64_t calls, messages_sent, bytes_sent, bytes_recv;
  double seconds;
} at_comm_stats;
/* Set what the following calls count as, for this communicator and its relatives; returns what was set before. */
at_comm_phase at_comm_set_phase(at_comm *c, at_comm_phase phase);
void at_comm_set_round(at_comm *c, int64_t round); /* for the line that at_comm_abort prints */
/* Totals of this communicator alone since it was made. */
at_comm_stats at_comm_get_stats(const at_comm *c, at_comm_phase phase);
/* Payload of one rank in an all-reduce of `bytes` over `ranks` (clients that share a rank are counted by the caller). */
int64_t at_comm_allreduce_bytes(int64_t bytes, int ranks);

/* ---- failure ---- */
/* All ranks return the same code: that of the lowest failing rank, whose message the others adopt.  AT_OK if none
 * failed.  Called with AT_ERR_MPI, or failing itself, it ends the job as at_comm_abort() does.  Collective. */
at_err at_comm_agree(at_comm *c, at_err err);
/* The end of a job that cannot be saved: one line on stderr naming rank, host, phase, round and message, then
 * MPI_Abort with the code's exit code. */
_Noreturn void at_comm_abort(const at_comm *c, at_err err);

/* ---- collective calls ---- */
at_err at_comm_barrier(at_comm *c);
at_err at_comm_bcast(at_comm *c, int root, void *buf, int64_t bytes);
/* buf[n] = element-wise op over ranks, in place.  Integer results are the same for any number of ranks (U64 sums wrap);
 * f32 and f64 sums are rounded in an order that MPI chooses: for `reduce: fast` only. */
at_err at_comm_allreduce(at_comm *c, at_comm_type type, at_comm_op op, void *buf, int64_t n);
/* As above, the result on root only; elsewhere buf is unspecified afterwards. */
at_err at_comm_reduce(at_comm *c, int root, at_comm_type type, at_comm_op op, void *buf, int64_t n);
/* recv receives bytes[r] bytes from each rank r, one after the other; send holds bytes[own rank], and may be its own
 * place in recv.  bytes[P] is the same on all ranks.  gatherv: recv is filled on root only and may be NULL elsewhere. */
at_err at_comm_gatherv(at_comm *c, int root, const void *send, void *recv, const int64_t *bytes);
at_err at_comm_allgatherv(at_comm *c, const void *send, void *recv, const int64_t *bytes);
/* out[P] = everybody's value. */
at_err at_comm_allgather_i64(at_comm *c, int64_t value, int64_t *out);
/* send_bytes[q] go to rank q, recv_bytes[q] come from it; both packed in rank order.  Every pair must match. */
at_err at_comm_alltoallv(at_comm *c, const void *send, const int64_t *send_bytes, void *recv,
                         const int64_t *recv_bytes);

/* ---- point to point ---- */
at_err at_comm_send(at_comm *c, int dest, at_comm_tag tag, const void *buf, int64_t bytes);
at_err at_comm_recv(at_comm *c, int source, at_comm_tag tag, void *buf, int64_t bytes);

/* ---- non-blocking ---- */
typedef struct at_comm_request at_comm_request; /* owned by the caller from start until wait or a test that is done */
/* Start; buf may not be touched before the request is done.  Collective. */
at_err at_comm_ibcast(at_comm *c, int root, void *buf, int64_t bytes, at_comm_request **out);
at_err at_comm_iallreduce(at_comm *c, at_comm_type type, at_comm_op op, void *buf, int64_t n, at_comm_request **out);
/* Make progress; *done tells whether it has finished.  A finished request is freed and *request set to NULL.
 * A NULL request is done.  Cheap enough for a poll hook. */
at_err at_comm_test(at_comm_request **request, bool *done);
at_err at_comm_wait(at_comm_request **request);

#endif
