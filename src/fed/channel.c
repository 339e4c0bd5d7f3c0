/* SPDX-License-Identifier: BSD-3-Clause */
/* Channels: one face for codecs, low rank and masks. */
#include "src/fed/channel.h"

#include <math.h>
#include <stdio.h>

#include "src/base/alloc.h"
#include "src/comm/exact.h"
#include "src/fed/channel_internal.h"

/* ---- configuration ---- */

static bool is_low_rank(const at_channel_cfg *cfg) {
  return !cfg->is_secure && cfg->reduce.up.kind == AT_CODEC_powersgd;
}

/* The reductions of PowerSGD's two means. */
static at_reduce_cfg means_of(const at_reduce_cfg *cfg) {
  at_reduce_cfg inner = *cfg;
  inner.up = inner.down;
  inner.feedback = inner.server_feedback = false;
  return inner;
}

int at_channel_vectors(const at_channel_cfg *cfg) {
  if (is_low_rank(cfg)) {
    return 1;
  }
  if (cfg->is_secure || !cfg->reduce.feedback || cfg->reduce.up.kind == AT_CODEC_f32) {
    return 0;
  }
  return at_codec_remembers(&cfg->reduce.up) == AT_MEMORY_MOMENTUM ? 2 : 1;
}

at_err at_channel_resolve(at_channel_cfg *cfg, int64_t n) {
  if (cfg->is_secure) {
    return AT_OK;
  }
  if (!is_low_rank(cfg)) {
    return at_reduce_resolve(&cfg->reduce, n);
  }
  at_reduce_cfg inner = means_of(&cfg->reduce);
  AT_TRY(at_codec_resolve(&cfg->reduce.up));
  AT_TRY(at_reduce_resolve(&inner, n));
  cfg->reduce.chunk = inner.chunk;
  return AT_OK;
}

double at_channel_client_bytes(const at_channel_cfg *cfg, int64_t n) {
  return 4.0 * (double)n * at_channel_vectors(cfg) * (cfg->can_undo ? 2 : 1);
}

double at_channel_fixed_bytes(const at_channel_cfg *cfg, int64_t n, int64_t slots, int ranks) {
  const double floats = 4.0 * (double)n;
  const at_reduce_cfg *r = &cfg->reduce;
  if (cfg->is_secure) {
    return 4 * floats;
  }
  if (is_low_rank(cfg)) {
    return floats; /* the factors are small beside the residuals */
  }
  const double up = (double)at_codec_bytes(&r->up, r->chunk, NULL) / (double)r->chunk * (double)n;
  const double down = (double)at_codec_bytes(&r->down, r->chunk, NULL) / (double)r->chunk * (double)n;
  const double growth = cfg->overlaps ? floats * (at_channel_vectors(cfg) + (r->server_feedback ? 1 : 0)) : 0;
  const double copies = cfg->lends ? 0 : floats * (double)slots;
  switch (r->algorithm) {
  case AT_ALGORITHM_integer:
  case AT_ALGORITHM_allreduce:
    return 2 * floats + copies;
  case AT_ALGORITHM_ring:
  case AT_ALGORITHM_doubling:
  case AT_ALGORITHM_tree:
    return copies + floats * (double)slots + 2 * up * (double)slots;
  default: /* frames of own clients, those of others for own pieces, the mean's */
    return up * (double)slots * (ranks > 1 ? 2 : 1) + down + growth +
           (r->server_feedback ? floats * (cfg->can_undo ? 2 : 1) : 0);
  }
}

at_err at_channel_shared_elements(const at_channel_cfg *cfg, const at_kernels *k, int n_tensors,
                                  const at_matrix *tensors, int64_t *count) {
  at_powersgd *math = NULL;
  *count = 0;
  if (is_low_rank(cfg)) {
    AT_TRY(at_powersgd_create(&math, &cfg->reduce.up, k, n_tensors, tensors, cfg->reduce.seed));
    *count = at_powersgd_q(math);
    at_powersgd_destroy(math);
  }
  return AT_OK;
}

static at_err make_offsets(int n_tensors, const at_matrix *tensors, int64_t **offsets) {
  AT_TRY(at_alloc(offsets, (size_t)n_tensors + 1, sizeof **offsets, "tensor offsets"));
  for (int i = 0; i < n_tensors; i++) {
    (*offsets)[i + 1] = (*offsets)[i] + tensors[i].rows * tensors[i].cols;
  }
  return AT_OK;
}

/* ---- bytes ---- */

/* Two reductions of factors, or one of the vector in rounds before the start. */
static at_err low_rank_traffic(const at_channel_cfg *cfg, const at_kernels *k, int n_tensors, const at_matrix *tensors,
                               const at_traffic_round *round, at_traffic *out) {
  const at_reduce_cfg inner = means_of(&cfg->reduce);
  at_powersgd *math = NULL;
  at_traffic second;
  AT_TRY(at_powersgd_create(&math, &cfg->reduce.up, k, n_tensors, tensors, cfg->reduce.seed));
  const int64_t n[2] = {0, at_powersgd_n(math)}, p[2] = {0, at_powersgd_p(math)}, q[2] = {0, at_powersgd_q(math)};
  at_powersgd_destroy(math);
  if (round->round < cfg->reduce.up.start) {
    return at_reduce_traffic(&inner, 1, n, round, out);
  }
  AT_TRY(at_reduce_traffic(&inner, 1, p, round, out));
  AT_TRY(at_reduce_traffic(&inner, 1, q, round, &second));
  out->clients += second.clients;
  out->rank += second.rank + (double)at_comm_allreduce_bytes(8, round->ranks);
  out->elements = (double)n[1];
  return AT_OK;
}

at_err at_channel_traffic(const at_channel_cfg *cfg, const at_kernels *k, int n_tensors, const at_matrix *tensors,
                          const at_traffic_round *round, at_traffic *out) {
  int64_t *offsets = NULL;
  if (is_low_rank(cfg)) {
    return low_rank_traffic(cfg, k, n_tensors, tensors, round, out);
  }
  AT_TRY(make_offsets(n_tensors, tensors, &offsets));
  const int64_t n = offsets[n_tensors];
  at_err err = AT_OK;
  if (cfg->is_secure) {
    const int64_t sums = 8 * (n + round->clients);
    *out = (at_traffic){
        .clients = (double)(round->clients * at_comm_allreduce_bytes(8 * n, (int)round->clients)),
        .rank = (double)(at_comm_allreduce_bytes(sums, round->ranks) + 2 * at_comm_allreduce_bytes(8, round->ranks)),
        .elements = (double)n,
        .is_exact = true};
  } else {
    err = at_reduce_traffic(&cfg->reduce, n_tensors, offsets, round, out);
  }
  at_free(offsets);
  return err;
}

/* ---- making ---- */

static at_err create_engine(at_channel *c, const at_kernels *k, const at_channel_shape *shape) {
  const at_reduce_cfg *r = &c->cfg.reduce;
  if (c->cfg.is_secure) {
    return at_comm_agree(c->world, at_secure_create(&c->secure, c->world, k, c->n, c->cfg.bits, r->seed));
  }
  if (is_low_rank(&c->cfg)) {
    const at_reduce_cfg inner = means_of(r);
    return at_low_rank_create(&c->low_rank, c->world, k, &r->up, &inner, shape->n_tensors, shape->tensors,
                              shape->slots);
  }
  return at_reduce_create(&c->reduce, c->world, k, r, shape->n_tensors, c->offsets, shape->slots);
}

at_err at_channel_create(at_channel **out, at_comm *world, const at_kernels *k, const at_channel_cfg *cfg,
                         const at_channel_shape *shape) {
  *out = NULL;
  at_channel *c = NULL;
  AT_TRY(at_comm_agree(world, at_alloc(&c, 1, sizeof *c, "channel")));
  *c = (at_channel){.world = world, .vec = &k->vec, .cfg = *cfg, .n_own = shape->n_own, .own = shape->own};
  at_err err;
  AT_TRY_TO(err, fail, at_comm_agree(world, make_offsets(shape->n_tensors, shape->tensors, &c->offsets)));
  c->n = c->offsets[shape->n_tensors];
  AT_TRY_TO(err, fail, create_engine(c, k, shape));
  AT_TRY_TO(err, fail, at_comm_agree(world, at_channel_create_state(c)));
  if (at_channel_can_overlap(c)) {
    AT_TRY_TO(err, fail, at_comm_agree(world, at_reduce_prepare_growth(c->reduce)));
  }
  *out = c;
  return AT_OK;
fail:
  at_channel_destroy(c);
  return err;
}

void at_channel_destroy(at_channel *c) {
  if (c == NULL) {
    return;
  }
  at_channel_destroy_state(c);
  at_reduce_destroy(c->reduce);
  at_low_rank_destroy(c->low_rank);
  at_secure_destroy(c->secure);
  at_free(c->offsets);
  at_free(c);
}

/* ---- a round ---- */

void at_channel_begin(at_channel *c, int64_t round, int64_t n_ids, const int64_t *ids) {
  c->round = round;
  c->asked = n_ids;
  c->err = AT_OK;
  if (c->secure != NULL) {
    at_secure_begin(c->secure, round, n_ids, ids);
  } else if (c->low_rank != NULL) {
    at_low_rank_begin(c->low_rank, round, n_ids);
  } else {
    at_reduce_begin(c->reduce, round, n_ids);
  }
}

/* Masks would hide what is not finite: it has to be seen before. */
static at_err add_secure(at_channel *c, int64_t id, double weight, const float *x) {
  bool took_part = false;
  if (!isfinite(c->vec->sumsq(c->n, x))) {
    return AT_FAIL(AT_ERR_NONFINITE, "the vector of client %lld is not finite", (long long)id);
  }
  AT_TRY(at_secure_add(c->secure, id, weight, x, &took_part));
  return took_part
             ? AT_OK
             : AT_FAIL(AT_ERR_OVERFLOW, "the vector of client %lld does not fit the grid of 2^-%d: take fewer bits",
                       (long long)id, c->cfg.bits);
}

void at_channel_add(at_channel *c, int64_t id, double weight, const float *x) {
  if (c->secure != NULL) {
    const at_err err = add_secure(c, id, weight, x);
    if (err != AT_OK && c->err == AT_OK) {
      c->err = err;
      snprintf(c->message, sizeof c->message, "%s", at_err_message());
    }
  } else if (c->low_rank != NULL) {
    at_low_rank_add(c->low_rank, id, weight, x);
  } else if (c->cfg.lends) {
    at_reduce_lend(c->reduce, id, weight, x);
  } else {
    at_reduce_add(c->reduce, id, weight, x);
  }
}

static int64_t passages(const at_channel *c, int64_t clients) {
  return clients > 1 ? 2 * (clients - 1) * c->n : 0;
}

/* As a ring of the round's clients would move the integers; those who left still cost the others nothing but seeds. */
static at_err finish_secure(at_channel *c, float *out) {
  int64_t survivors = 0, reveals = 0;
  if (c->err != AT_OK) {
    at_err_adopt(c->err, c->message);
  }
  AT_TRY(at_comm_agree(c->world, c->err));
  AT_TRY(at_secure_finish(c->secure, out, &survivors, &reveals));
  if (at_comm_rank(c->world) == 0) { /* it is the sum of all: told once */
    c->sum.bytes += survivors * at_comm_allreduce_bytes(8 * c->n, (int)survivors);
    c->sum.messages += 2 * (survivors - 1) * survivors;
  }
  c->sum.passages += passages(c, survivors);
  c->sum.reveals += reveals;
  return survivors > 0 ? AT_OK : AT_FAIL(AT_ERR_NONFINITE, "no client takes part");
}

static at_err count(at_channel *c, at_reduce_report r) {
  c->sum.bytes += r.bytes;
  c->sum.messages += r.messages;
  c->sum.saturated += r.saturated;
  c->sum.passages += passages(c, r.clients);
  c->sum.dropped += r.dropped;
  c->sum.algorithm = r.algorithm;
  return r.clients > 0 ? AT_OK : AT_FAIL(AT_ERR_NONFINITE, "no client's vector is finite");
}

at_err at_channel_finish(at_channel *c, float *out) {
  if (c->secure != NULL) {
    return finish_secure(c, out);
  }
  if (c->low_rank != NULL) {
    AT_TRY(at_low_rank_finish(c->low_rank, out));
    return count(c, at_low_rank_report(c->low_rank));
  }
  AT_TRY(at_reduce_run(c->reduce, out));
  return count(c, at_reduce_get_report(c->reduce));
}

bool at_channel_can_overlap(const at_channel *c) {
  return c->cfg.overlaps && c->reduce != NULL && at_reduce_can_grow(c->reduce);
}

at_err at_channel_start(at_channel *c, int64_t id, double weight, const float *x, float *out) {
  at_reduce_let_grow(c->reduce);
  if (id >= 0) {
    at_reduce_lend(c->reduce, id, weight, x);
  }
  return at_reduce_start(c->reduce, out);
}

void at_channel_release(at_channel *c, int64_t first, int64_t n) {
  at_reduce_release(c->reduce, first, n);
}

void at_channel_poll(at_channel *c) {
  at_reduce_poll_hook(c->reduce);
}

at_err at_channel_end(at_channel *c) {
  AT_TRY(at_reduce_finish(c->reduce));
  return count(c, at_reduce_get_report(c->reduce));
}

at_err at_channel_take_report(at_channel *c, at_channel_report *out) {
  int64_t sum[3] = {c->sum.bytes, c->sum.messages, c->sum.saturated}; /* the rest is known to all */
  AT_TRY(at_comm_allreduce(c->world, AT_COMM_I64, AT_COMM_SUM, sum, 3));
  *out = c->sum;
  out->bytes = sum[0];
  out->messages = sum[1];
  out->saturated = sum[2];
  c->sum = (at_channel_report){0};
  return AT_OK;
}
