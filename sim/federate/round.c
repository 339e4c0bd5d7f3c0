/* SPDX-License-Identifier: BSD-3-Clause */
/* One round: its clients are played, their updates added up as they finish, and the server takes its step. */
#include <math.h>
#include <string.h>

#include "sim/federate/federate.h"
#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/stats/rdp.h"

/* What a client reports; a row of doubles, so that it travels as one. */
typedef struct report {
  double valid, weight, loss, examples, norm, clipped;
} report;
enum { REPORT = sizeof(report) / sizeof(double) };

static void clear_figures(at_federate_figures *fig) {
  double last_checkpoint = fig->checkpoint_seconds;
  *fig = (at_federate_figures){
#define X(name, unit, text, is_volatile) .name = NAN,
      AT_FEDERATE_FIGURES(X)
#undef X
  };
  fig->clients = fig->failures = fig->train_seconds = fig->exchange_seconds = 0;
  fig->checkpoint_seconds = last_checkpoint;
}

/* One client's update into the sums. */
static void add_update(at_federate *f, const at_turn *turn, double weight, const at_visit *v, report *r) {
  at_privacy privacy = at_federate_privacy(f->cfg);
  bool clipped = false;
  r->norm = at_privacy_clip(&privacy, f->learner.vec, f->length, v->w, &clipped);
  r->clipped = clipped;
  if (!f->method->isolated) {
    at_fed_sum_add(&f->sum, turn->client, weight, v->w);
  }
  if (f->method->has_second_sum) {
    at_fed_sum_add(&f->second_sum, turn->client, 1 / (double)f->n_clients, v->second);
  }
}

static at_err play_one(at_federate *f, const at_turn *turn, const at_crowd *who, double weight, report *r) {
  at_visit v;
  bool valid = false;
  AT_TRY(at_federate_visit(f, turn, who, &v, &valid));
  at_comm_beat(f->s->world);
  *r = (report){.valid = valid};
  if (valid) {
    r->weight = weight;
    r->loss = v.learned.loss;
    r->examples = v.learned.examples;
    add_update(f, turn, weight, &v, r);
  }
  return AT_OK;
}

/* Weights of the round's clients add up to one; with privacy, to one for as many as are expected. */
static double total_weight(const at_federate *f) {
  double total = 0;
  for (int64_t i = 0; i < f->n_turns; i++) {
    total += f->turn[i].weight;
  }
  return at_federate_is_private_run(f->cfg) ? (double)f->per_round : total;
}

/* All data of the round as one client, of the number of its first. */
static at_err play_pooled(at_federate *f, report *reports, int64_t *ids, int64_t *n) {
  if (f->rank != 0 || f->n_turns == 0) {
    return AT_OK;
  }
  at_crowd who = {.n = f->n_turns};
  int64_t *clients;
  AT_TRY(at_alloc(&clients, (size_t)f->n_turns, sizeof *clients, "clients of a round"));
  for (int64_t i = 0; i < f->n_turns; i++) {
    clients[i] = f->turn[i].client;
  }
  who.client = clients;
  ids[*n] = f->turn[0].client;
  at_err err = play_one(f, &f->turn[0], &who, 1, &reports[(*n)++]);
  at_free(clients);
  return err;
}

static at_err play_own(at_federate *f, report *reports, int64_t *ids, int64_t *n) {
  double total = total_weight(f);
  *n = 0;
  if (f->method->pooled) {
    return play_pooled(f, reports, ids, n);
  }
  for (int64_t i = 0; i < f->n_turns; i++) {
    const at_turn *turn = &f->turn[i];
    if (turn->rank != f->rank) {
      continue;
    }
    at_crowd who = {1, &turn->client};
    ids[*n] = turn->client;
    AT_TRY(play_one(f, turn, &who, turn->weight / total, &reports[(*n)++]));
  }
  return AT_OK;
}

/* Figures over the clients, and the share of the weights that is valid. */
static double count_reports(at_federate *f, const report *r, int64_t n) {
  double loss = 0, examples = 0, norm = 0, clipped = 0, valid_weight = 0;
  for (int64_t i = 0; i < n; i++) {
    f->fig.clients += r[i].valid;
    f->fig.failures += r[i].valid == 0;
    valid_weight += r[i].weight;
    loss += r[i].loss;
    examples += r[i].examples;
    norm += r[i].norm;
    clipped += r[i].clipped;
  }
  f->fig.train_loss = loss / examples;
  f->fig.update_norm = norm / f->fig.clients;
  f->fig.clip_fraction = f->cfg->dp_clip > 0 ? clipped / f->fig.clients : NAN;
  f->count.examples += (int64_t)examples;
  return valid_weight;
}

/* Some results are missing: the others share their weight.  Not with privacy, where weights are fixed. */
static void share_weight(const at_federate *f, double valid_weight, float *delta) {
  if (f->fig.failures == 0 || at_federate_is_private_run(f->cfg)) {
    return;
  }
  for (int64_t i = 0; i < f->length; i++) {
    delta[i] = (float)(delta[i] / valid_weight);
  }
}

static at_err serve(at_federate *f, double valid_weight) {
  const at_vec *vec = f->learner.vec;
  at_outer outer = at_federate_outer(f->cfg);
  at_privacy privacy = at_federate_privacy(f->cfg);
  share_weight(f, valid_weight, f->delta);
  if (privacy.noise > 0) {
    at_privacy_add_noise(&privacy, f->count.round, (double)f->per_round, f->length, f->delta);
  }
  f->fig.delta_norm = sqrt(vec->sumsq(f->length, f->delta));
  f->fig.step_norm = at_outer_step(&outer, f->count.round + 1 - f->count.failed_rounds, f->params, f->delta, f->theta,
                                   f->outer_m, f->outer_v);
  vec->axpy(-1, f->length - f->params, f->delta + f->params, f->theta + f->params); /* statistics are averaged */
  if (f->method->has_second_sum) {
    vec->axpy(-1, f->params, f->control_delta, f->control);
  }
  return isfinite(vec->sumsq(f->length, f->theta))
             ? AT_OK
             : AT_FAIL(AT_ERR_NONFINITE,
                       "the global model is not finite after the server step of round %lld: lower outer.lr or local.lr",
                       (long long)f->count.round + 1);
}

/* A round without results leaves all as it was. */
static at_err fail_round(at_federate *f) {
  f->count.failed_rounds++;
  f->count.failed_in_a_row++;
  at_log_warn(f->s->log, "round", "round = %lld failed: no valid result of %lld clients", (long long)f->count.round + 1,
              (long long)f->n_turns);
  if (f->count.failed_in_a_row >= f->cfg->max_failed_rounds) {
    return AT_FAIL(AT_ERR_NONFINITE,
                   "%lld rounds in a row had no valid result: lower local.lr, or let more clients be reached in time",
                   (long long)f->count.failed_in_a_row);
  }
  return AT_OK;
}

static at_err close_round(at_federate *f, const report *r, int64_t n) {
  double valid_weight = count_reports(f, r, n);
  bool empty_is_fine = at_federate_is_private_run(f->cfg); /* noise alone, as accounted */
  if (f->fig.clients == 0 && !empty_is_fine) {
    AT_TRY(fail_round(f));
  } else {
    f->count.failed_in_a_row = 0;
    if (!f->method->isolated) {
      AT_TRY(serve(f, valid_weight));
    }
  }
  if (f->versions != NULL) {
    f->count.version = f->buffered->version;
    int64_t rows = f->cfg->max_staleness + 1;
    memcpy(f->versions + f->count.version % rows * f->length, f->theta, (size_t)f->length * sizeof *f->theta);
  }
  if (at_federate_is_private_run(f->cfg)) {
    f->fig.epsilon = at_rdp_epsilon((double)f->per_round / (double)f->n_clients, f->cfg->dp_noise, f->count.round + 1,
                                    f->cfg->dp_delta, NULL);
  }
  return AT_OK;
}

/* The clients are played and added; again on a coarser grid where one was too fine. */
static at_err play(at_federate *f, report *reports, int64_t *ids, int64_t *n) {
  for (;;) {
    double start = at_clock_now_s();
    if (!f->method->isolated) {
      at_fed_sum_begin(&f->sum);
    }
    if (f->method->has_second_sum) {
      at_fed_sum_begin(&f->second_sum);
    }
    at_err err = at_comm_agree(f->s->world, play_own(f, reports, ids, n));
    f->fig.train_seconds += at_clock_now_s() - start;
    start = at_clock_now_s();
    if (err == AT_OK && !f->method->isolated) {
      err = at_fed_sum_finish(&f->sum, f->s->world, f->delta);
    }
    if (err == AT_OK && f->method->has_second_sum) {
      err = at_fed_sum_finish(&f->second_sum, f->s->world, f->control_delta);
    }
    f->fig.exchange_seconds += at_clock_now_s() - start;
    if (err == AT_OK) {
      if (f->shelf != NULL) {
        at_shelf_commit(f->shelf);
      }
      return AT_OK;
    }
    if (f->shelf != NULL) {
      at_err back = at_comm_agree(f->s->world, at_shelf_rollback(f->shelf));
      err = back != AT_OK ? back : err;
    }
    if (err != AT_ERR_OVERFLOW) {
      return err;
    }
  }
}

/* Examples per second of each rank, half of it the last round's. */
static at_err measure_speeds(at_federate *f, const report *reports, int64_t n) {
  double examples = 0, now[f->size];
  for (int64_t i = 0; i < n; i++) {
    examples += reports[i].examples;
  }
  memset(now, 0, sizeof now);
  now[f->rank] = examples / fmax(f->fig.train_seconds, 1e-9);
  AT_TRY(at_comm_allreduce(f->s->world, AT_COMM_F64, AT_COMM_SUM, now, f->size));
  bool known = true;
  for (int r = 0; r < f->size; r++) {
    known = known && now[r] > 0;
  }
  for (int r = 0; r < f->size && known; r++) {
    f->speed[r] = f->speed[r] == 1 ? now[r] : 0.5 * (f->speed[r] + now[r]);
  }
  return AT_OK;
}

/* Before the round, for after a failure in the middle of it. */
typedef struct undo {
  at_federate_counters count;
  at_federate_clock clock;
  at_buffered buffered;
  at_flight *flight;
} undo;

static at_err remember(const at_federate *f, undo *u) {
  *u = (undo){.count = f->count, .clock = f->clock};
  if (f->buffered == NULL) {
    return AT_OK;
  }
  u->buffered = *f->buffered;
  AT_TRY(at_alloc(&u->flight, (size_t)f->per_round, sizeof *u->flight, "clients at work"));
  memcpy(u->flight, f->buffered->flight, (size_t)f->per_round * sizeof *u->flight);
  return AT_OK;
}

static void go_back(at_federate *f, const undo *u) {
  f->count = u->count;
  f->clock = u->clock;
  if (f->buffered != NULL) {
    *f->buffered = u->buffered;
    memcpy(f->buffered->flight, u->flight, (size_t)f->per_round * sizeof *u->flight);
  }
}

static at_err run_round(at_federate *f) {
  report *reports = NULL, *all = NULL;
  int64_t *ids = NULL, *all_ids = NULL, n = 0, n_all = 0;
  at_err err;
  AT_TRY(at_comm_agree(f->s->world, at_federate_select(f)));
  err = at_alloc(&reports, (size_t)f->n_turns, sizeof *reports, "reports");
  err = err == AT_OK ? at_alloc(&ids, (size_t)f->n_turns, sizeof *ids, "reports") : err;
  AT_TRY_TO(err, done, at_comm_agree(f->s->world, err));
  AT_TRY_TO(err, done, play(f, reports, ids, &n));
  double start = at_clock_now_s();
  AT_TRY_TO(
      err, done,
      at_comm_gather_by_id(f->s->world, n, ids, REPORT, (const double *)reports, &n_all, &all_ids, (double **)&all));
  AT_TRY_TO(err, done, measure_speeds(f, reports, n));
  err = close_round(f, all, n_all);
  f->fig.exchange_seconds += at_clock_now_s() - start;
done:
  at_free(reports);
  at_free(ids);
  at_free(all);
  at_free(all_ids);
  return err;
}

at_err at_federate_round(at_federate *f) {
  undo before;
  AT_TRY(at_comm_agree(f->s->world, remember(f, &before)));
  clear_figures(&f->fig);
  at_comm_phase phase = at_comm_set_phase(f->s->world, AT_COMM_REDUCE);
  at_err err = run_round(f);
  at_comm_set_phase(f->s->world, phase);
  if (err != AT_OK) {
    go_back(f, &before);
  }
  at_free(before.flight);
  return err;
}
