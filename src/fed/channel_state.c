/* SPDX-License-Identifier: BSD-3-Clause */
/* What a channel keeps between rounds: clients' residuals, the server's, PowerSGD's factor; their norms, copies, and ways into
 * checkpoints. */
#include <math.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/comm/exact.h"
#include "src/fed/channel_internal.h"

/* ---- making ---- */

static at_err open_rows(at_channel *c) {
  const size_t own = (size_t)c->n_own;
  AT_TRY(at_alloc(&c->open, own, sizeof *c->open, "residuals"));
  AT_TRY(at_alloc(&c->rounds, own, sizeof *c->rounds, "residuals"));
  for (int64_t i = 0; i < c->n_own; i++) {
    AT_TRY(at_feedback_open(c->memory, c->own[i], &c->open[i]));
  }
  for (int v = 0; v < at_channel_vectors(&c->cfg); v++) {
    AT_TRY(at_alloc(&c->rows[v], own, sizeof *c->rows[v], "residuals"));
    for (int64_t i = 0; i < c->n_own; i++) {
      c->rows[v][i] = c->open[i]->v[v];
    }
  }
  return AT_OK;
}

static at_err create_copies(at_channel *c) {
  int64_t shared = 0;
  for (int v = 0; v < at_channel_vectors(&c->cfg); v++) {
    AT_TRY(at_alloc(&c->was_client[v], (size_t)(c->n_own * c->n), sizeof(float), "residuals at the round's start"));
  }
  if (c->memory != NULL) {
    AT_TRY(at_alloc(&c->was_round, (size_t)c->n_own, sizeof *c->was_round, "residuals at the round's start"));
  }
  if (at_channel_server(c) != NULL) {
    AT_TRY(at_alloc(&c->was_server, (size_t)c->n, sizeof(float), "residual at the round's start"));
  }
  if (at_channel_shared(c, &shared) != NULL) {
    AT_TRY(at_alloc(&c->was_shared, (size_t)shared, sizeof(float), "factor at the round's start"));
  }
  return AT_OK;
}

at_err at_channel_create_state(at_channel *c) {
  if (c->low_rank != NULL) {
    c->memory = at_low_rank_memory(c->low_rank);
  } else if (c->reduce != NULL) {
    c->memory = at_reduce_memory(c->reduce);
    const at_cut *cut = at_reduce_cut(c->reduce);
    AT_TRY(at_alloc(&c->piece, (size_t)cut->n_pieces, sizeof *c->piece, "pieces"));
  }
  if (c->memory != NULL && at_feedback_vectors(c->memory) == 0) {
    c->memory = NULL;
  }
  if (c->memory != NULL) {
    AT_TRY(open_rows(c));
  }
  return c->cfg.can_undo ? create_copies(c) : AT_OK;
}

void at_channel_destroy_state(at_channel *c) {
  void *const owned[] = {(void *)c->open,  (void *)c->rows[0], (void *)c->rows[1], c->rounds,     c->piece,
                         c->was_client[0], c->was_client[1],   c->was_server,      c->was_shared, c->was_round};
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) {
    at_free(owned[i]);
  }
}

/* ---- looking ---- */

void *const *at_channel_rows(const at_channel *c, int v) {
  return c->rows[v];
}

int64_t *at_channel_rounds(at_channel *c) {
  for (int64_t i = 0; c->memory != NULL && i < c->n_own; i++) {
    c->rounds[i] = c->open[i]->round;
  }
  return c->rounds;
}

float *at_channel_server(const at_channel *c) {
  int64_t first = 0, count = 0;
  float *own = c->reduce != NULL ? at_reduce_server_residual(c->reduce, &first, &count) : NULL;
  return own != NULL ? own - first : NULL; /* every rank has the whole row, of which it uses its part */
}

float *at_channel_shared(const at_channel *c, int64_t *count) {
  *count = 0;
  return c->low_rank != NULL ? at_low_rank_state(c->low_rank, count) : NULL;
}

int64_t at_channel_layout(const at_channel *c) {
  const uint64_t clients = c->memory != NULL ? at_feedback_layout(c->memory) : 0;
  const uint64_t server = c->reduce != NULL ? at_cut_hash(at_reduce_cut(c->reduce)) : 0;
  return (int64_t)(clients ^ server << 1);
}

/* ---- norms ---- */

/* Sum of rows (value, how many) by id. */
static at_err sum_pairs(at_channel *c, int64_t n, const int64_t *ids, const double *pairs, double sum[2]) {
  sum[0] = sum[1] = 0;
  return at_comm_sum_by_id(c->world, n, ids, 2, pairs, sum);
}

static at_err client_norm(at_channel *c, int64_t *ids, double *pairs, double *out) {
  int64_t n = 0;
  double sum[2];
  for (int64_t i = 0; i < c->n_own; i++) {
    if (c->open[i]->round == c->round) {
      ids[n] = c->own[i];
      pairs[2 * n] = sqrt(c->vec->sumsq(c->n, c->open[i]->v[0]));
      pairs[2 * n + 1] = 1;
      n++;
    }
  }
  AT_TRY(sum_pairs(c, n, ids, pairs, sum));
  *out = sum[0] / sum[1];
  return AT_OK;
}

/* By pieces, whoever owns them. */
static at_err server_norm(at_channel *c, double *pairs, double *out) {
  int64_t first = 0, count = 0, n = 0;
  double sum[2];
  const float *own = at_reduce_server_residual(c->reduce, &first, &count);
  const int64_t chunk = at_reduce_cut(c->reduce)->chunk;
  for (int64_t at = 0; at < count; at += chunk, n++) {
    c->piece[n] = first / chunk + n;
    pairs[2 * n] = c->vec->sumsq(count - at < chunk ? count - at : chunk, own + at);
    pairs[2 * n + 1] = 1;
  }
  AT_TRY(sum_pairs(c, n, c->piece, pairs, sum));
  *out = sqrt(sum[0]);
  return AT_OK;
}

at_err at_channel_norms(at_channel *c, double *client, double *server) {
  const int64_t pieces = c->reduce != NULL ? at_reduce_cut(c->reduce)->n_pieces : 0;
  const size_t most = (size_t)(pieces > c->n_own ? pieces : c->n_own);
  *client = *server = NAN;
  double *pairs = NULL;
  int64_t *ids = NULL;
  at_err err = at_alloc(&pairs, 2 * most, sizeof *pairs, "norms of residuals");
  err = err == AT_OK ? at_alloc(&ids, most, sizeof *ids, "norms of residuals") : err;
  AT_TRY_TO(err, done, at_comm_agree(c->world, err));
  if (c->memory != NULL) {
    AT_TRY_TO(err, done, client_norm(c, ids, pairs, client));
  }
  if (at_channel_server(c) != NULL) {
    err = server_norm(c, pairs, server);
  }
done:
  at_free(pairs);
  at_free(ids);
  return err;
}

/* ---- checkpoints ---- */

at_err at_channel_gather(at_channel *c) {
  int64_t first = 0, count = 0, *bytes = NULL;
  if (at_channel_server(c) == NULL) { /* alike on all ranks */
    return AT_OK;
  }
  float *own = at_reduce_server_residual(c->reduce, &first, &count);
  const size_t ranks = (size_t)at_comm_size(c->world);
  at_err err = at_comm_agree(c->world, at_alloc(&bytes, ranks, sizeof *bytes, "parts of a residual"));
  AT_TRY(err);
  err = at_comm_allgather_i64(c->world, count * (int64_t)sizeof *own, bytes);
  err = err == AT_OK ? at_comm_allgatherv(c->world, own, own - first, bytes) : err;
  at_free(bytes);
  return err;
}

void at_channel_settle(at_channel *c) {
  for (int64_t i = 0; c->memory != NULL && i < c->n_own; i++) {
    c->open[i]->round = c->rounds[i];
  }
}

/* ---- going back ---- */

static void copy(at_channel *c, bool back) {
  int64_t shared = 0;
  const size_t bytes = (size_t)c->n * sizeof(float);
  float *server = at_channel_server(c), *all = at_channel_shared(c, &shared);
  for (int64_t i = 0; i < c->n_own; i++) {
    for (int v = 0; v < at_channel_vectors(&c->cfg); v++) {
      float *now = c->rows[v][i], *was = c->was_client[v] + i * c->n;
      memcpy(back ? now : was, back ? was : now, bytes);
    }
    if (c->memory != NULL) {
      int64_t *now = &c->open[i]->round, *was = &c->was_round[i];
      *(back ? now : was) = *(back ? was : now);
    }
  }
  if (server != NULL) {
    memcpy(back ? server : c->was_server, back ? c->was_server : server, bytes);
  }
  if (all != NULL) {
    memcpy(back ? all : c->was_shared, back ? c->was_shared : all, (size_t)shared * sizeof(float));
  }
}

void at_channel_remember(at_channel *c) {
  copy(c, false);
}

void at_channel_undo(at_channel *c) {
  copy(c, true);
}
