/* SPDX-License-Identifier: BSD-3-Clause */
/* What the rounds of all methods share: who takes part, sums over clients, reports, facts. */
#include <math.h>
#include <string.h>

#include "sim/photon/photon.h"
#include "src/base/alloc.h"
#include "src/base/rng.h"

/* What a round does not set does not apply to it. */
static void clear_figures(at_photon_figures *f) {
  double last_checkpoint = f->checkpoint_seconds;
  *f = (at_photon_figures){
#define X(name, unit, text, is_volatile) .name = NAN,
      AT_PHOTON_FIGURES(X)
#undef X
  };
  f->clients = f->failures = f->payload_bytes = f->train_seconds = f->exchange_seconds = 0;
  f->checkpoint_seconds = last_checkpoint;
}

at_err at_photon_open_round(at_photon *p) {
  at_stream draw = {.seed = (uint64_t)p->cfg->run.seed, .purpose = AT_RNG_SAMPLING, .round = (uint64_t)p->count.round};
  at_rng_choose(&draw, p->n_clients, p->per_round, p->sampled);
  p->n_team_stage = 0;
  clear_figures(&p->fig);
  at_photon_start_clock(p);
  for (int64_t i = 0; i < p->per_round; i++) {
    /* a client with state is played where that is; the others are dealt in turn */
    int64_t turn = p->is_stateful ? p->sampled[i] : i;
    if (turn % p->team.teams != p->team.team) {
      continue;
    }
    at_photon_stage *st = &p->stage[p->n_team_stage++];
    const int64_t *fact = p->facts + p->sampled[i] * AT_FACT_COUNT;
    st->id = p->sampled[i];
    st->cursor = fact[AT_FACT_CURSOR];
    st->moment_age = fact[AT_FACT_MOMENT_AGE];
    st->report = (at_report){0};
    st->is_absent = !p->on_time[i];
    st->fate = p->fate[i];
  }
  p->n_stage = p->team.index == 0 ? p->n_team_stage : 0;
  return AT_OK;
}

static at_err sum_exact(at_photon *p, at_photon_pick pick, const double *weight, float *out) {
  for (;;) {
    at_exact_begin(p->exact);
    for (int64_t i = 0; i < p->n_stage; i++) {
      if (p->stage[i].report.valid != 0) {
        at_exact_lend(p->exact, p->stage[i].id, weight[i], pick(&p->stage[i]));
      }
    }
    at_err err = at_exact_finish(p->exact, p->s->world, out);
    if (err != AT_ERR_OVERFLOW) {
      return err;
    }
    AT_TRY(at_exact_coarsen(p->exact, 8)); /* the terms are still here: add them on a coarser grid */
  }
}

static at_err sum_fast(at_photon *p, at_photon_pick pick, const double *weight, float *out) {
  memset(out, 0, (size_t)p->n * sizeof *out);
  for (int64_t i = 0; i < p->n_stage; i++) {
    if (p->stage[i].report.valid != 0) {
      p->local.vec->axpy(weight[i], p->n, pick(&p->stage[i]), out);
    }
  }
  AT_TRY(at_comm_allreduce(p->s->world, AT_COMM_F32, AT_COMM_SUM, out, p->n));
  return isfinite(p->local.vec->sumsq(p->n, out))
             ? AT_OK
             : AT_FAIL(AT_ERR_NONFINITE, "the mean over the clients is not finite");
}

int64_t at_photon_sum_bytes(const at_photon *p, int64_t clients) {
  return p->n * (p->cfg->run.reduce == AT_REDUCE_EXACT ? at_exact_width(p->n, (int)clients) : (int)sizeof(float));
}

/* Moments travel as floats beside a codec; masks of one round and part are not used again. */
static at_err sum_channel(at_photon *p, at_photon_part part, at_photon_pick pick, const double *weight, float *out) {
  at_channel *c = part == AT_PHOTON_UPDATE || p->plain == NULL ? p->channel : p->plain;
  int64_t round = c == p->channel && p->plain != NULL ? p->count.round : p->count.round * AT_PHOTON_PARTS + part;
  at_channel_begin(c, round, p->per_round, p->sampled);
  for (int64_t i = 0; i < p->n_stage; i++) {
    if (p->stage[i].report.valid != 0) {
      at_channel_add(c, p->stage[i].id, weight[i], pick(&p->stage[i]));
    }
  }
  return at_channel_finish(c, out);
}

at_err at_photon_sum(at_photon *p, at_photon_part part, at_photon_pick pick, const double *weight, float *out) {
  bool exact = p->cfg->run.reduce == AT_REDUCE_EXACT;
  if (p->channel != NULL) {
    return sum_channel(p, part, pick, weight, out);
  }
  p->fig.payload_bytes +=
      (double)at_comm_allreduce_bytes(at_photon_sum_bytes(p, (int64_t)p->fig.clients), (int)p->fig.clients);
  return exact ? sum_exact(p, pick, weight, out) : sum_fast(p, pick, weight, out);
}

at_err at_photon_gather_reports(at_photon *p, int64_t *n, int64_t **ids, at_report **reports) {
  at_report *local = NULL;
  int64_t *local_ids = NULL;
  *ids = NULL;
  *reports = NULL;
  at_err err = at_alloc(&local, (size_t)p->n_stage, sizeof *local, "reports");
  if (err == AT_OK) {
    err = at_alloc(&local_ids, (size_t)p->n_stage, sizeof *local_ids, "reports");
  }
  AT_TRY_TO(err, done, at_comm_agree(p->s->world, err));
  for (int64_t i = 0; i < p->n_stage; i++) {
    const at_photon_stage *st = &p->stage[i];
    local_ids[i] = st->id;
    local[i] = st->report;
    local[i].cursor = (double)st->cursor;
    local[i].moment_age = (double)st->moment_age;
  }
  at_comm_phase before = at_comm_set_phase(p->s->world, AT_COMM_METRICS);
  err = at_comm_gather_by_id(p->s->world, p->n_stage, local_ids, sizeof *local / sizeof(double), (const double *)local,
                             n, ids, (double **)reports);
  at_comm_set_phase(p->s->world, before);
done:
  at_free(local);
  at_free(local_ids);
  return err;
}

void at_photon_note_clients(at_photon *p, int64_t n, const int64_t *ids, const at_report *reports, bool counts) {
  for (int64_t i = 0; i < n; i++) {
    const at_report *r = &reports[i];
    int64_t *fact = p->facts + ids[i] * AT_FACT_COUNT;
    fact[AT_FACT_CURSOR] = (int64_t)r->cursor;
    fact[AT_FACT_FAILURES] += r->valid == 0;
    if (r->valid != 0 && counts) {
      fact[AT_FACT_MOMENT_AGE] = (int64_t)r->moment_age;
      fact[AT_FACT_STEPS] += (int64_t)r->steps;
      fact[AT_FACT_LAST_ROUND] = p->count.round + 1;
    }
  }
}

/* Means over the valid reports, and the counters that follow from them. */
void at_photon_count_round(at_photon *p, int64_t n, const at_report *reports) {
  at_photon_figures *f = &p->fig;
  double most_steps = 0, steps = 0, loss = 0, first = 0, last = 0, clip = 0, norm = 0, inner = 0;
  for (int64_t i = 0; i < n; i++) {
    const at_report *r = &reports[i];
    inner += r->inner_bytes;
    if (r->valid == 0) {
      f->failures++;
      continue;
    }
    f->clients++;
    loss += r->loss_mean * r->steps;
    first += r->loss_first;
    last += r->loss_last;
    clip += r->clip_fraction * r->steps;
    steps += r->steps;
    most_steps = fmax(most_steps, r->steps);
    norm = fmax(norm, r->grad_norm_max);
  }
  f->inner_bytes = inner;
  f->grad_norm_max = norm;
  f->train_loss = loss / steps;
  f->loss_first = first / f->clients;
  f->loss_last = last / f->clients;
  f->clip_fraction = clip / steps;
  f->lr_first = at_schedule_lr(&p->local.schedule, p->count.steps);
  p->count.steps += (int64_t)most_steps;
  p->count.tokens += (int64_t)steps * p->cfg->islands * p->cfg->batch * p->cfg->context;
  f->lr = at_schedule_lr(&p->local.schedule, p->count.steps - 1);
}
