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
  return rows == NULL ? NULL : rows + id / p->team.teams * p->n;
}

/* Where island number j on this rank has its moments. */
static float *unit_of(const at_photon *p, float *rows, int64_t id, int64_t j) {
  return rows + (id / p->team.teams * p->n_islands + j) * p->n;
}

static void copy_vector(const at_photon *p, float *to, const float *from) {
  memcpy(to, from, (size_t)p->n * sizeof *to);
}

void at_photon_start_moments(const at_photon *p, const at_photon_stage *st, int64_t j, at_moments *mom) {
  size_t bytes = (size_t)p->n * sizeof(float);
  switch ((at_moment_policy)p->cfg->moments) {
  case AT_MOMENTS_RESET:
    memset(mom->m, 0, bytes);
    if (p->cfg->optimizer == AT_OPTIM_ADAMW) {
      memset(mom->v, 0, bytes);
    }
    mom->t = 0;
    break;
  case AT_MOMENTS_KEEP:
  case AT_MOMENTS_PERIODIC:
    copy_vector(p, mom->m, unit_of(p, p->row_m, st->id, j));
    copy_vector(p, mom->v, unit_of(p, p->row_v, st->id, j));
    mom->t = st->moment_age;
    break;
  case AT_MOMENTS_AVERAGE:
    copy_vector(p, mom->m, p->global_m);
    copy_vector(p, mom->v, p->global_v);
    mom->t = p->count.moment_age;
    break;
  }
}

/* A client of one island. */
static at_err train_whole(at_photon *p, at_photon_stage *st, int64_t steps) {
  at_moments mom = {.m = st->m, .v = st->v};
  copy_vector(p, st->w, p->method->own_model ? row_of(p, p->row_w, st->id) : p->theta);
  at_photon_start_moments(p, st, 0, &mom);
  AT_TRY(at_client_train(&p->local, st->id, p->count.steps, steps, &st->cursor, st->w, &mom, &st->report));
  st->moment_age = mom.t;
  return AT_OK;
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
    AT_TRY((p->silos != NULL ? at_photon_train_islands : train_whole)(p, st, broken < 0 ? st->fate.steps : broken));
    st->report.failures = (double)failures;
    if (broken < 0) {
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
  for (int64_t i = 0; i < p->n_team_stage; i++) {
    if (!p->stage[i].is_absent) { /* what such a client would compute, nobody sees */
      AT_TRY(work(p, &p->stage[i], exchange && i < p->n_stage));
    }
  }
  p->fig.train_seconds = at_clock_now_s() - start;
  return AT_OK;
}

/* The final word on client `id` is in the table that all ranks have. */
static bool is_valid(int64_t n, const int64_t *ids, const at_report *reports, int64_t id) {
  int64_t i = 0;
  while (i < n && ids[i] != id) {
    i++;
  }
  return i < n && reports[i].valid != 0;
}

static void keep_rows(at_photon *p, int64_t n, const int64_t *ids, const at_report *reports) {
  for (int64_t i = 0; i < p->n_team_stage; i++) {
    at_photon_stage *st = &p->stage[i];
    if (!is_valid(n, ids, reports, st->id)) {
      continue;
    }
    for (int64_t j = 0; j < p->n_islands && p->row_m != NULL; j++) {
      copy_vector(p, unit_of(p, p->row_m, st->id, j), st->m + j * p->n);
      copy_vector(p, unit_of(p, p->row_v, st->id, j), st->v + j * p->n);
    }
    if (p->row_w != NULL) {
      copy_vector(p, row_of(p, p->row_w, st->id), st->w);
    }
  }
}

/* Agreement between clients from scalars. */
static at_err agree_from_norms(at_photon *p, int64_t n, const at_report *reports) {
  double *norm = NULL;
  int64_t valid = 0;
  AT_TRY(at_comm_agree(p->s->world, at_alloc(&norm, 2 * (size_t)n, sizeof *norm, "norms of updates")));
  double *weight = norm + n;
  for (int64_t i = 0; i < n; i++) {
    if (reports[i].valid != 0) {
      norm[valid] = reports[i].delta_norm;
      weight[valid++] = reports[i].steps;
    }
  }
  at_agreement a = at_agreement_of(valid, norm, weight, p->fig.delta_norm);
  at_free(norm);
  p->fig.consensus = a.consensus;
  p->fig.pair_dot = a.pair_dot;
  p->fig.pair_cosine = a.pair_cosine;
  p->fig.trace = a.trace;
  p->fig.grad_sq = a.grad_sq;
  p->fig.noise_scale = at_noise_scale_add(&p->noise, &a);
  return AT_OK;
}

/* Which way the clients' updates point, against their mean. */
static at_err mean_cosine(at_photon *p) {
  double cosine = 0, *local = NULL;
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
done:
  at_free(local);
  at_free(ids);
  return err;
}

/* A mean that the clients of the round take for their own moments. */
static at_err average_own(at_photon *p, at_photon_part part, at_photon_pick pick, const double *weight) {
  AT_TRY(at_photon_sum(p, part, pick, weight, p->moment_mean));
  for (int64_t i = 0; i < p->n_stage; i++) {
    copy_vector(p, part == AT_PHOTON_M ? p->stage[i].m : p->stage[i].v, p->moment_mean);
  }
  return AT_OK;
}

static at_err average_moments(at_photon *p, const double *weight, double steps) {
  if (p->cfg->moments == AT_MOMENTS_AVERAGE) {
    AT_TRY(at_photon_sum(p, AT_PHOTON_M, pick_m, weight, p->global_m));
    AT_TRY(at_photon_sum(p, AT_PHOTON_V, pick_v, weight, p->global_v));
    p->count.moment_age += (int64_t)steps;
    return AT_OK;
  }
  if (at_photon_averages_m(p, p->count.round)) {
    AT_TRY(average_own(p, AT_PHOTON_M, pick_m, weight));
  }
  return at_photon_averages_v(p, p->count.round) ? average_own(p, AT_PHOTON_V, pick_v, weight) : AT_OK;
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
  AT_TRY_TO(err, done, average_moments(p, weight, most));
  p->fig.delta_norm = sqrt(p->local.vec->sumsq(p->n, p->delta));
  AT_TRY_TO(err, done, agree_from_norms(p, n, reports));
  AT_TRY_TO(err, done, mean_cosine(p));
  AT_TRY_TO(err, done, at_photon_measure_gain(p));
  AT_TRY_TO(err, done, at_photon_count_exchange(p));
  at_outer outer = at_photon_outer(p->cfg);
  outer.lr = p->fig.server_lr = ldexp(outer.lr, -(int)p->count.halvings);
  p->fig.step_norm = at_outer_step(&outer, p->count.round + 1 - p->count.failed_rounds, p->n, p->delta, p->theta,
                                   p->outer_m, p->outer_v);
  p->fig.outer_m_norm = at_outer_vectors(&outer) > 0 ? sqrt(p->local.vec->sumsq(p->n, p->outer_m)) : NAN;
  p->fig.outer_v_norm = at_outer_vectors(&outer) > 1 ? sqrt(p->local.vec->sumsq(p->n, p->outer_v)) : NAN;
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
  keep_rows(p, n, ids, reports);
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
  p->fig.exchange_seconds = at_clock_now_s() - start - (isnan(p->fig.eval_seconds) ? 0 : p->fig.eval_seconds);
  return err;
}

at_err at_photon_round_federated(at_photon *p) {
  return play(p, true);
}

at_err at_photon_round_isolated(at_photon *p) {
  return play(p, false);
}
