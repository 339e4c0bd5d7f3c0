/* SPDX-License-Identifier: BSD-3-Clause */
/* Rounds of many local steps: federated averaging with a server optimiser, and its control without exchange. */
#include <math.h>
#include <string.h>

#include "sim/photon/photon.h"
#include "src/base/alloc.h"
#include "src/base/clock.h"

static const float *pick_update(const at_photon_stage *s) {
  return s->w;
}

static const float *pick_m(const at_photon_stage *s) {
  return s->m;
}

static const float *pick_v(const at_photon_stage *s) {
  return s->v;
}

/* Where client `id` has its row, or NULL. */
static float *row_of(const at_photon *p, float *rows, int64_t id) {
  return rows == NULL ? NULL : rows + id / at_comm_size(p->s->world) * p->n;
}

static void copy_vector(const at_photon *p, float *to, const float *from) {
  memcpy(to, from, (size_t)p->n * sizeof *to);
}

/* Parameters and moments that a client begins the round with. */
static void start_stage(at_photon *p, at_photon_stage *st) {
  size_t bytes = (size_t)p->n * sizeof(float);
  copy_vector(p, st->w, p->method->own_model ? row_of(p, p->row_w, st->id) : p->theta);
  switch ((at_moment_policy)p->cfg->moments) {
  case AT_MOMENTS_RESET:
    memset(st->m, 0, bytes);
    if (st->v != NULL) {
      memset(st->v, 0, bytes);
    }
    st->moment_age = 0;
    break;
  case AT_MOMENTS_KEEP:
    copy_vector(p, st->m, row_of(p, p->row_m, st->id));
    copy_vector(p, st->v, row_of(p, p->row_v, st->id));
    break;
  case AT_MOMENTS_AVERAGE:
    copy_vector(p, st->m, p->global_m);
    copy_vector(p, st->v, p->global_v);
    st->moment_age = p->count.moment_age;
    break;
  }
}

/* w becomes the update, theta - w or the sum of the steps; one that is not finite must not be used. */
static void make_update(const at_photon *p, at_photon_stage *st) {
  if (p->cfg->optimizer == AT_OPTIM_SGD) {
    copy_vector(p, st->w, st->m);
  } else {
    p->local.vec->sub(p->n, p->theta, st->w, st->w);
  }
  const double spoil = at_conditions_spoil(&p->cfg->net, (uint64_t)p->cfg->run.seed, st->id, p->count.round);
  for (int64_t i = 0; i < p->n && spoil != 1; i++) {
    st->w[i] *= (float)spoil;
  }
  st->report.delta_norm = sqrt(p->local.vec->sumsq(p->n, st->w));
  if (!isfinite(st->report.delta_norm)) {
    st->report.valid = 0;
  }
}

/* One client's local work.  An attempt that breaks off leaves nothing: the next one begins where it began; after the last, there is no
 * result, and the client stands where it stood. */
static at_err work(at_photon *p, at_photon_stage *st, bool exchange) {
  const int64_t cursor = st->cursor, age = st->moment_age;
  const at_ask ask = at_photon_ask(p, st->id);
  for (int64_t failures = 0; failures <= p->cfg->net.retries; failures++) {
    const int64_t broken = at_conditions_breaks_off(&p->cfg->net, &ask, failures);
    start_stage(p, st);
    at_moments mom = {st->m, st->v, st->moment_age};
    AT_TRY(at_client_train(&p->local, st->id, p->count.steps, broken < 0 ? st->fate.steps : broken, &st->cursor, st->w,
                           &mom, &st->report));
    st->report.failures = (double)failures;
    if (broken < 0) {
      st->moment_age = mom.t;
      if (exchange) {
        make_update(p, st);
      }
      return AT_OK;
    }
    st->report = (at_report){.failures = (double)failures + 1};
    st->cursor = cursor;
    st->moment_age = age;
  }
  return AT_OK;
}

static at_err train_stages(at_photon *p, bool exchange) {
  double start = at_clock_now_s();
  for (int64_t i = 0; i < p->n_stage; i++) {
    if (!p->stage[i].is_absent) { /* what such a client would compute, nobody sees */
      AT_TRY(work(p, &p->stage[i], exchange));
    }
  }
  p->fig.train_seconds = at_clock_now_s() - start;
  return AT_OK;
}

static void keep_rows(at_photon *p) {
  for (int64_t i = 0; i < p->n_stage; i++) {
    at_photon_stage *st = &p->stage[i];
    if (st->report.valid == 0) {
      continue;
    }
    if (p->row_m != NULL) {
      copy_vector(p, row_of(p, p->row_m, st->id), st->m);
      copy_vector(p, row_of(p, p->row_v, st->id), st->v);
    }
    if (p->row_w != NULL) {
      copy_vector(p, row_of(p, p->row_w, st->id), st->w);
    }
  }
}

/* Agreement between clients from scalars: how far their models are from the mean, and which way they point.
 * consensus = mean |Delta_k|^2 - |Delta|^2 for equal weights. */
static at_err client_agreement(at_photon *p, int64_t n, const at_report *reports) {
  double squares = 0, cosine = 0;
  for (int64_t i = 0; i < n; i++) {
    squares += reports[i].valid != 0 ? reports[i].delta_norm * reports[i].delta_norm : 0;
  }
  double *local = NULL;
  int64_t *ids = NULL;
  at_err err = at_alloc(&local, (size_t)p->n_stage, sizeof *local, "cosines");
  if (err == AT_OK) {
    err = at_alloc(&ids, (size_t)p->n_stage, sizeof *ids, "cosines");
  }
  AT_TRY_TO(err, done, at_comm_agree(p->s->world, err));
  for (int64_t i = 0; i < p->n_stage; i++) {
    at_photon_stage *st = &p->stage[i];
    double norms = st->report.delta_norm * p->fig.delta_norm;
    ids[i] = st->id;
    local[i] = st->report.valid != 0 && norms > 0 ? p->local.vec->dot(p->n, st->w, p->delta) / norms : 0;
  }
  at_comm_phase before = at_comm_set_phase(p->s->world, AT_COMM_METRICS);
  err = at_comm_sum_by_id(p->s->world, p->n_stage, ids, 1, local, &cosine);
  at_comm_set_phase(p->s->world, before);
  if (p->fig.clients >= 2 && p->fig.delta_norm > 0) { /* nothing points nowhere */
    p->fig.cosine = cosine / p->fig.clients;
  }
  if (p->fig.clients >= 2) {
    p->fig.consensus = squares / p->fig.clients - p->fig.delta_norm * p->fig.delta_norm;
  }
done:
  at_free(local);
  at_free(ids);
  return err;
}

/* Mean of the valid clients into delta (and the moments, when these are averaged), then the server's step. */
static at_err aggregate(at_photon *p, int64_t n, const at_report *reports) {
  double *weight = NULL, total = 0, most = 0;
  for (int64_t i = 0; i < n; i++) {
    total += reports[i].valid != 0 ? reports[i].steps : 0;
    most = fmax(most, reports[i].valid != 0 ? reports[i].steps : 0);
  }
  at_err err = at_comm_agree(p->s->world, at_alloc(&weight, (size_t)p->n_stage, sizeof *weight, "client weights"));
  AT_TRY_TO(err, done, err);
  for (int64_t i = 0; i < p->n_stage; i++) {
    /* samples of the client over samples of the round; of rounds without a step, all are alike */
    weight[i] = total > 0 ? p->stage[i].report.steps / total : 1 / p->fig.clients;
  }
  AT_TRY_TO(err, done, at_photon_sum(p, AT_PHOTON_UPDATE, pick_update, weight, p->delta));
  if (p->cfg->moments == AT_MOMENTS_AVERAGE) {
    AT_TRY_TO(err, done, at_photon_sum(p, AT_PHOTON_M, pick_m, weight, p->global_m));
    AT_TRY_TO(err, done, at_photon_sum(p, AT_PHOTON_V, pick_v, weight, p->global_v));
    p->count.moment_age += (int64_t)most;
  }
  p->fig.delta_norm = sqrt(p->local.vec->sumsq(p->n, p->delta));
  AT_TRY_TO(err, done, client_agreement(p, n, reports));
  AT_TRY_TO(err, done, at_photon_count_exchange(p));
  at_outer outer = at_photon_outer(p->cfg);
  outer.lr = p->fig.server_lr = ldexp(outer.lr, -(int)p->count.halvings);
  p->fig.step_norm = at_outer_step(&outer, p->count.round + 1 - p->count.failed_rounds, p->n, p->delta, p->theta,
                                   p->outer_m, p->outer_v);
  if (at_conditions_spoil_server(&p->cfg->net, (uint64_t)p->cfg->run.seed, p->count.round, p->count.halvings)) {
    p->theta[0] = NAN;
  }
  p->is_spoilt = !isfinite(p->local.vec->sumsq(p->n, p->theta));
  if (p->is_spoilt) {
    err = AT_FAIL(AT_ERR_NONFINITE,
                  "the global model is not finite after the server step of round %lld: lower outer.lr "
                  "or local.lr",
                  (long long)p->count.round + 1);
  }
done:
  at_free(weight);
  return err;
}

static at_err close_round(at_photon *p, bool exchange) {
  int64_t n, *ids = NULL, valid = 0;
  at_report *reports = NULL;
  at_err err;
  AT_TRY_TO(err, done, at_photon_gather_reports(p, &n, &ids, &reports));
  AT_TRY_TO(err, done, at_photon_judge(p, n, ids, reports, exchange));
  for (int64_t i = 0; i < n; i++) {
    valid += reports[i].valid != 0;
  }
  at_photon_note_clients(p, n, ids, reports, valid >= p->quorum);
  if (valid < p->quorum) {
    p->count.failed_rounds++;
    p->count.failed_in_a_row++;
    p->fig.clients = (double)valid;
    p->fig.failures = (double)(n - valid);
    at_log_warn(p->s->log, "round", "round = %lld failed: %lld valid results, quorum = %lld",
                (long long)p->count.round + 1, (long long)valid, (long long)p->quorum);
    if (p->cfg->max_failed_rounds > 0 && p->count.failed_in_a_row >= p->cfg->max_failed_rounds) {
      err = AT_FAIL(AT_ERR_NONFINITE,
                    "%lld rounds in a row had fewer than %lld valid results: lower local.lr, fed.quorum or faults, or "
                    "raise fed.max_failed_rounds",
                    (long long)p->count.failed_in_a_row, (long long)p->quorum);
    }
    goto done;
  }
  p->count.failed_in_a_row = 0;
  at_photon_count_round(p, n, reports);
  if (exchange) {
    AT_TRY_TO(err, done, aggregate(p, n, reports));
  }
  keep_rows(p);
done:
  at_free(ids);
  at_free(reports);
  return err;
}

static at_err play(at_photon *p, bool exchange) {
  AT_TRY(at_photon_open_round(p));
  AT_TRY(at_comm_agree(p->s->world, train_stages(p, exchange)));
  double start = at_clock_now_s();
  at_comm_phase before = at_comm_set_phase(p->s->world, AT_COMM_REDUCE);
  at_err err = close_round(p, exchange);
  if (err == AT_OK) {
    at_photon_advance_clock(p);
  }
  at_comm_set_phase(p->s->world, before);
  p->fig.exchange_seconds = at_clock_now_s() - start;
  return err;
}

at_err at_photon_round_federated(at_photon *p) {
  return play(p, true);
}

at_err at_photon_round_isolated(at_photon *p) {
  return play(p, false);
}
