/* SPDX-License-Identifier: BSD-3-Clause */
/* PowerSGD's pair of means. */
#include "src/comm/collective/low_rank.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/alloc.h"

/* A client of this rank in this round. */
typedef struct member {
  int64_t id;
  double weight;
  at_feedback_row *row; /* its residual, which holds A = M + E until the end of the round */
  float *q;             /* [q_size], owned: A^T P */
} member;

struct at_low_rank {
  at_comm *comm; /* borrowed */
  at_codec_cfg cfg;
  at_codec_kernels ck;
  at_powersgd *math;
  at_reduce *first, *second, *whole; /* means of P, of Q, of vectors (rounds below start; NULL if there are none) */
  at_cut *cut;
  at_feedback *memory;
  float *p, *q;    /* [p_size + 1], [q_size]: of one client, then of the mean */
  member *members; /* [slots] */
  int64_t slots, n_members, round;
  at_reduce_report report;
  at_err err;
  char message[AT_ERR_MESSAGE_MAX];
};

static at_err create_parts(at_low_rank *l, const at_kernels *k, const at_reduce_cfg *inner, int64_t n_tensors,
                           const at_matrix *tensors) {
  AT_TRY(at_codec_resolve(&l->cfg));
  AT_TRY(at_powersgd_create(&l->math, &l->cfg, k, n_tensors, tensors, inner->seed));
  const int64_t whole[2] = {0, at_powersgd_n(l->math)};
  AT_TRY(at_cut_create(&l->cut, 1, whole, inner->chunk));
  AT_TRY(at_feedback_create(&l->memory, &l->cfg, l->cut, inner->decay));
  AT_TRY(at_alloc(&l->p, (size_t)at_powersgd_p(l->math) + 1, sizeof *l->p, "powersgd factor"));
  AT_TRY(at_alloc(&l->q, (size_t)at_powersgd_q(l->math), sizeof *l->q, "powersgd factor"));
  AT_TRY(at_alloc(&l->members, (size_t)l->slots, sizeof *l->members, "clients"));
  for (int64_t i = 0; i < l->slots; i++) {
    AT_TRY(at_alloc(&l->members[i].q, (size_t)at_powersgd_q(l->math), sizeof *l->q, "powersgd factor of a client"));
  }
  return AT_OK;
}

at_err at_low_rank_create(at_low_rank **out, at_comm *comm, const at_kernels *k, const at_codec_cfg *cfg,
                          const at_reduce_cfg *inner, int64_t n_tensors, const at_matrix *tensors, int64_t slots) {
  *out = NULL;
  at_low_rank *l = NULL;
  AT_TRY(at_comm_agree(comm, at_alloc(&l, 1, sizeof *l, "low-rank reduction")));
  *l = (at_low_rank){.comm = comm, .cfg = *cfg, .slots = slots};
  at_codec_kernels_init(&l->ck, k->isa);
  at_reduce_cfg drop = *inner;
  drop.nonfinite = AT_NONFINITE_DROP;
  at_err err = AT_OK;
  AT_TRY_TO(err, fail, at_comm_agree(comm, create_parts(l, k, &drop, n_tensors, tensors)));
  const int64_t p[2] = {0, at_powersgd_p(l->math)}, q[2] = {0, at_powersgd_q(l->math)};
  const int64_t n[2] = {0, at_powersgd_n(l->math)};
  AT_TRY_TO(err, fail, at_reduce_create(&l->first, comm, k, &drop, 1, p, slots));
  drop.seed++; /* the second mean rounds by other words */
  AT_TRY_TO(err, fail, at_reduce_create(&l->second, comm, k, &drop, 1, q, slots));
  if (l->cfg.start > 0) {
    AT_TRY_TO(err, fail, at_reduce_create(&l->whole, comm, k, &drop, 1, n, slots));
  }
  *out = l;
  return AT_OK;
fail:
  at_low_rank_destroy(l);
  return err;
}

void at_low_rank_destroy(at_low_rank *l) {
  if (l == NULL) {
    return;
  }
  at_reduce_destroy(l->first);
  at_reduce_destroy(l->second);
  at_reduce_destroy(l->whole);
  at_powersgd_destroy(l->math);
  at_feedback_destroy(l->memory);
  at_cut_destroy(l->cut);
  for (int64_t i = 0; l->members != NULL && i < l->slots; i++) {
    at_free(l->members[i].q);
  }
  at_free(l->members);
  at_free(l->p);
  at_free(l->q);
  at_free(l);
}

at_reduce_report at_low_rank_report(const at_low_rank *l) {
  return l->report;
}

at_feedback *at_low_rank_memory(at_low_rank *l) {
  return l->memory;
}

float *at_low_rank_state(at_low_rank *l, int64_t *count) {
  *count = at_powersgd_q(l->math);
  return at_powersgd_state(l->math);
}

/* ---- rounds ---- */

static bool is_dense(const at_low_rank *l) {
  return l->round < l->cfg.start;
}

void at_low_rank_begin(at_low_rank *l, int64_t round, int64_t clients) {
  l->round = round;
  l->n_members = 0;
  l->err = AT_OK;
  at_reduce_begin(is_dense(l) ? l->whole : l->first, round, clients);
}

static at_err open_member(at_low_rank *l, int64_t id, double weight, member **m) {
  if (l->n_members == l->slots) {
    return AT_FAIL(AT_ERR_ARG, "client %lld is one too many: a rank was to have at most %lld", (long long)id,
                   (long long)l->slots);
  }
  *m = &l->members[l->n_members];
  AT_TRY(at_feedback_open(l->memory, id, &(*m)->row));
  (*m)->id = id;
  (*m)->weight = weight;
  l->n_members++;
  return AT_OK;
}

void at_low_rank_add(at_low_rank *l, int64_t id, double weight, const float *x) {
  if (is_dense(l)) {
    at_reduce_add(l->whole, id, weight, x);
    return;
  }
  member *m = NULL;
  const at_err err = open_member(l, id, weight, &m);
  if (err != AT_OK && l->err == AT_OK) {
    l->err = err;
    snprintf(l->message, sizeof l->message, "%s", at_err_message());
  }
  if (err != AT_OK) {
    return;
  }
  const int64_t n = at_powersgd_n(l->math);
  float *a = m->row->v[0];
  if (!l->ck.finite(n, x, a) || !(weight > 0.0)) {
    l->p[0] = NAN; /* the reduction learns of it, and counts it as dropped */
    at_reduce_add(l->first, id, weight, l->p);
    l->n_members--;
    return;
  }
  at_feedback_advance(l->memory, m->row, l->round);
  for (int64_t i = 0; i < n; i++) {
    a[i] = a[i] + x[i];
  }
  at_powersgd_project(l->math, a, l->p);
  at_reduce_add(l->first, id, weight, l->p);
}

/* After the mean of P: everybody's Q and, in the local variant, residual. */
static void second_half(at_low_rank *l, int64_t clients) {
  at_reduce_begin(l->second, l->round, clients);
  for (int64_t i = 0; i < l->n_members; i++) {
    member *m = &l->members[i];
    at_powersgd_back(l->math, m->row->v[0], l->p, m->q);
    at_reduce_add(l->second, m->id, m->weight, m->q);
  }
}

static void take_residuals(at_low_rank *l) {
  for (int64_t i = 0; i < l->n_members; i++) {
    member *m = &l->members[i];
    at_powersgd_residual(l->math, l->p, l->cfg.averaged ? l->q : m->q, m->row->v[0]);
  }
}

static at_err run(at_low_rank *l, float *out) {
  if (is_dense(l)) {
    AT_TRY(at_reduce_run(l->whole, out));
    l->report = at_reduce_get_report(l->whole);
    return AT_OK;
  }
  AT_TRY(at_reduce_run(l->first, l->p));
  l->report = at_reduce_get_report(l->first);
  at_powersgd_orthonormalise(l->math, l->p);
  second_half(l, l->report.clients);
  AT_TRY(at_reduce_run(l->second, l->q));
  const at_reduce_report second = at_reduce_get_report(l->second);
  l->report.messages += second.messages;
  l->report.bytes += second.bytes;
  l->report.encodings += second.encodings;
  at_powersgd_expand(l->math, l->p, l->q, out);
  take_residuals(l);
  at_powersgd_keep(l->math, (uint64_t)l->round, l->q);
  return AT_OK;
}

at_err at_low_rank_finish(at_low_rank *l, float *out) {
  if (l->err != AT_OK) {
    at_err_adopt(l->err, l->message);
  }
  AT_TRY(at_comm_agree(l->comm, l->err));
  return run(l, out);
}
