/* SPDX-License-Identifier: BSD-3-Clause */
/* Moving clients' memory between ranks, when who trains whom changes. */
#include <string.h>

#include "src/base/alloc.h"
#include "src/comm/collective/reduce.h"

/* A row as it travels: this head, then its vectors. */
typedef struct head {
  int64_t id, round;
} head;

typedef struct parcel {
  int64_t row_bytes, vector_bytes;
  int64_t *send_bytes, *recv_bytes; /* [ranks] each */
  uint8_t *send, *recv;
} parcel;

static void pack(const at_feedback *f, int (*rank_of)(void *, int64_t), void *context, int ranks, const parcel *p) {
  uint8_t *at = p->send;
  for (int rank = 0; rank < ranks; rank++) {
    for (int64_t i = 0; i < at_feedback_count(f); i++) {
      const at_feedback_row *row = at_feedback_get(f, i);
      if (rank_of(context, row->id) != rank) {
        continue;
      }
      const head h = {row->id, row->round};
      memcpy(at, &h, sizeof h);
      for (int v = 0; v < at_feedback_vectors(f); v++) {
        memcpy(at + sizeof h + (size_t)(v * p->vector_bytes), row->v[v], (size_t)p->vector_bytes);
      }
      at += p->row_bytes;
    }
  }
}

static at_err unpack(at_feedback *f, const parcel *p, int64_t rows) {
  while (at_feedback_count(f) > 0) {
    at_feedback_drop(f, at_feedback_get(f, 0)->id);
  }
  for (int64_t i = 0; i < rows; i++) {
    const uint8_t *at = p->recv + i * p->row_bytes;
    head h;
    memcpy(&h, at, sizeof h);
    const float *const v[2] = {(const float *)(const void *)(at + sizeof h),
                               (const float *)(const void *)(at + sizeof h + (size_t)p->vector_bytes)};
    AT_TRY(at_feedback_put(f, at_feedback_layout(f), h.id, h.round, v));
  }
  return AT_OK;
}

static at_err move(at_feedback *f, at_comm *comm, int (*rank_of)(void *, int64_t), void *context, parcel *p) {
  const int ranks = at_comm_size(comm);
  at_err err = at_alloc(&p->send_bytes, (size_t)ranks * (size_t)(ranks + 2), sizeof *p->send_bytes, "moving clients");
  AT_TRY(at_comm_agree(comm, err));
  p->recv_bytes = p->send_bytes + ranks;
  int64_t *all = p->recv_bytes + ranks, total = 0;
  for (int64_t i = 0; i < at_feedback_count(f); i++) {
    p->send_bytes[rank_of(context, at_feedback_get(f, i)->id)] += p->row_bytes;
  }
  for (int rank = 0; rank < ranks; rank++) { /* who sends how much to `rank` */
    AT_TRY(at_comm_allgather_i64(comm, p->send_bytes[rank], all));
    if (rank == at_comm_rank(comm)) {
      memcpy(p->recv_bytes, all, (size_t)ranks * sizeof *all);
    }
  }
  for (int rank = 0; rank < ranks; rank++) {
    total += p->recv_bytes[rank];
  }
  err = at_alloc(&p->send, (size_t)(at_feedback_count(f) * p->row_bytes), 1, "moving clients");
  err = err == AT_OK ? at_alloc(&p->recv, (size_t)total, 1, "moving clients") : err;
  AT_TRY(at_comm_agree(comm, err));
  pack(f, rank_of, context, ranks, p);
  AT_TRY(at_comm_alltoallv(comm, p->send, p->send_bytes, p->recv, p->recv_bytes));
  return at_comm_agree(comm, unpack(f, p, total / p->row_bytes));
}

at_err at_feedback_move(at_feedback *f, at_comm *comm, int (*rank_of)(void *context, int64_t id), void *context) {
  parcel p = {.vector_bytes = at_feedback_elements(f) * (int64_t)sizeof(float)};
  p.row_bytes = (int64_t)sizeof(head) + at_feedback_vectors(f) * p.vector_bytes;
  const at_err err = move(f, comm, rank_of, context, &p);
  at_free(p.send_bytes);
  at_free(p.send);
  at_free(p.recv);
  return err;
}
