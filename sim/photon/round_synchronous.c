/* SPDX-License-Identifier: BSD-3-Clause */
/* Data-parallel rounds: the clients' gradients are averaged at every step, one optimiser steps on the global model. */
#include <math.h>
#include <string.h>

#include "sim/photon/photon.h"
#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/base/fault.h"
#include "src/base/signals.h"

/* State at the round's start, so that an interrupted round leaves no trace. */
static void remember(at_photon *p, bool back) {
  float *now[] = {p->theta, p->global_m, p->global_v};
  for (int i = 0; i < (at_photon_has_global_moments(p) ? 3 : 1); i++) {
    float *kept = p->undo + i * p->n;
    memcpy(back ? now[i] : kept, back ? kept : now[i], (size_t)p->n * sizeof(float));
  }
  if (p->exact != NULL) {
    int64_t *grids = at_exact_grids(p->exact); /* a sum that overflowed has made them coarser */
    size_t bytes = (size_t)at_exact_tensors(p->exact) * sizeof *grids;
    memcpy(back ? grids : p->undo_grids, back ? p->undo_grids : grids, bytes);
  }
  if (p->channel != NULL && back) {
    at_channel_undo(p->channel);
  } else if (p->channel != NULL) {
    at_channel_remember(p->channel);
  }
}

/* The weighted gradients of this rank's clients go into the sum as soon as they are computed, so one buffer serves. */
static at_err mean_gradient_exact(at_photon *p, double *loss) {
  for (;;) {
    at_exact_begin(p->exact);
    for (int64_t i = 0; i < p->n_stage; i++) {
      at_photon_stage *st = &p->stage[i];
      int64_t cursor = st->cursor;
      float *grad;
      loss[i] = at_client_grad(&p->local, st->id, &cursor, p->theta, &grad);
      (p->n_stage == 1 ? at_exact_lend : at_exact_add)(p->exact, st->id, 1.0 / (double)p->per_round, grad);
    }
    at_err err = at_exact_finish(p->exact, p->s->world, p->delta);
    if (err != AT_ERR_OVERFLOW) {
      return err;
    }
    AT_TRY(at_exact_coarsen(p->exact, 8)); /* the gradients are computed again: this is rare */
  }
}

static at_err mean_gradient_fast(at_photon *p, double *loss) {
  memset(p->delta, 0, (size_t)p->n * sizeof(float));
  for (int64_t i = 0; i < p->n_stage; i++) {
    at_photon_stage *st = &p->stage[i];
    int64_t cursor = st->cursor;
    float *grad;
    loss[i] = at_client_grad(&p->local, st->id, &cursor, p->theta, &grad);
    p->local.vec->axpy(1.0 / (double)p->per_round, p->n, grad, p->delta);
  }
  AT_TRY(at_comm_allreduce(p->s->world, AT_COMM_F32, AT_COMM_SUM, p->delta, p->n));
  return isfinite(p->local.vec->sumsq(p->n, p->delta)) ? AT_OK
                                                       : AT_FAIL(AT_ERR_NONFINITE, "the mean gradient is not finite");
}

/* ---- gradients that are exchanged while the backward pass makes them ---- */

/* Every client of the round has a rank of its own; the same on all ranks. */
static bool is_one_each(const at_photon *p) {
  bool is_alone = p->per_round <= p->size;
  for (int64_t i = 0; p->own != NULL && is_alone && i < p->per_round; i++) {
    for (int64_t j = 0; j < i; j++) { /* as at_photon_open_round deals them */
      is_alone = is_alone && p->sampled[i] % p->size != p->sampled[j] % p->size;
    }
  }
  return is_alone;
}

typedef struct overlap {
  at_photon *p;
  const at_ready *ready;
  int n_ready, next, polls;
} overlap;

static void poll_overlap(void *context) {
  overlap *o = context;
  at_channel *c = o->p->channel;
  o->polls++;
  for (; o->next < o->n_ready && o->ready[o->next].polls <= o->polls; o->next++) {
    at_channel_release(c, o->ready[o->next].offset, o->ready[o->next].count);
  }
  at_channel_poll(c);
  if (o->p->local.poll != NULL) {
    o->p->local.poll(o->p->local.poll_context);
  }
}

/* As mean_gradient_channel, and with its result.  A gradient that turns out not to be finite, which is rare, is left out by a
 * second exchange of all of them. */
static at_err mean_gradient_overlapped(at_photon *p, int64_t step, double *loss) {
  overlap o = {.p = p};
  at_local local = p->local;
  const double weight = 1.0 / (double)p->per_round;
  const bool has_client = p->n_stage > 0;
  float *grad = at_lm_task_gradient(p->local.task, &o.ready, &o.n_ready);
  local.poll = poll_overlap;
  local.poll_context = &o;
  at_channel_begin(p->channel, p->count.steps + step, p->per_round, p->sampled);
  AT_TRY(at_channel_start(p->channel, has_client ? p->stage[0].id : -1, weight, grad, p->delta));
  if (has_client) {
    int64_t cursor = p->stage[0].cursor;
    loss[0] = at_client_grad(&local, p->stage[0].id, &cursor, p->theta, &grad);
  }
  const at_err err = at_channel_end(p->channel);
  if (err != AT_ERR_NONFINITE) {
    return err;
  }
  at_channel_begin(p->channel, p->count.steps + step, p->per_round, p->sampled);
  if (has_client) {
    at_channel_add(p->channel, p->stage[0].id, weight, grad);
  }
  return at_channel_finish(p->channel, p->delta);
}

/* A client whose gradient is not finite is left out by the codec; if all are, the step is skipped. */
static at_err mean_gradient_channel(at_photon *p, int64_t step, double *loss) {
  at_channel_begin(p->channel, p->count.steps + step, p->per_round, p->sampled);
  for (int64_t i = 0; i < p->n_stage; i++) {
    at_photon_stage *st = &p->stage[i];
    int64_t cursor = st->cursor;
    float *grad;
    loss[i] = at_client_grad(&p->local, st->id, &cursor, p->theta, &grad);
    at_channel_add(p->channel, st->id, 1.0 / (double)p->per_round, grad);
  }
  return at_channel_finish(p->channel, p->delta);
}

static at_err mean_gradient(at_photon *p, int64_t step, double *loss) {
  switch (p->cfg->run.reduce) {
  case AT_REDUCE_EXACT:
    return mean_gradient_exact(p, loss);
  case AT_REDUCE_FAST:
    return mean_gradient_fast(p, loss);
  default:
    return at_channel_can_overlap(p->channel) && is_one_each(p) ? mean_gradient_overlapped(p, step, loss)
                                                                : mean_gradient_channel(p, step, loss);
  }
}

static void note_step(at_photon *p, int64_t step, const double *loss, at_step_info info) {
  for (int64_t i = 0; i < p->n_stage; i++) {
    at_report *r = &p->stage[i].report;
    p->stage[i].cursor += p->cfg->batch;
    r->steps += 1;
    r->loss_first = step == 0 ? loss[i] : r->loss_first;
    r->loss_last = loss[i];
    r->loss_mean += (loss[i] - r->loss_mean) / r->steps;
    r->grad_norm_max = fmax(r->grad_norm_max, info.grad_norm);
    r->clip_fraction += ((info.clipped ? 1 : 0) - r->clip_fraction) / r->steps;
    r->skipped += info.skipped;
    r->valid = 1;
  }
}

static at_err take_steps(at_photon *p, double *loss) {
  int64_t bytes = p->channel == NULL ? at_photon_sum_bytes(p, p->per_round) : 0, in_a_row = 0;
  at_moments mom = {p->global_m, p->global_v, p->count.moment_age};
  for (int64_t step = 0; step < p->cfg->steps; step++) {
    at_err stop = at_signals_pending() ? AT_FAIL(AT_ERR_INTERRUPTED, "stopped by a signal in step %lld of round %lld",
                                                 (long long)step, (long long)p->count.round + 1)
                                       : AT_OK;
    AT_TRY(at_comm_agree(p->s->world, stop));
    at_err err = mean_gradient(p, step, loss);
    at_step_info info = {.skipped = true, .grad_norm = NAN};
    if (err == AT_OK) {
      at_fault_point(AT_FAULT_STEP);
      info = at_optim_step(&p->local.optim, p->local.vec, at_schedule_lr(&p->local.schedule, p->count.steps + step),
                           p->n, p->delta, p->theta, &mom);
    } else if (err != AT_ERR_NONFINITE) {
      return err;
    }
    in_a_row = info.skipped ? in_a_row + 1 : 0;
    if (in_a_row >= AT_CLIENT_MAX_SKIPPED) {
      return AT_FAIL(AT_ERR_NONFINITE, "%lld gradients in a row were not finite: lower local.lr", (long long)in_a_row);
    }
    p->fig.payload_bytes += (double)at_comm_allreduce_bytes(bytes, (int)p->per_round);
    note_step(p, step, loss, info);
  }
  p->count.moment_age = mom.t;
  return AT_OK;
}

static at_err finish_round(at_photon *p) {
  int64_t n, *ids = NULL;
  at_report *reports = NULL;
  at_err err = at_photon_gather_reports(p, &n, &ids, &reports);
  if (err == AT_OK) {
    at_photon_note_clients(p, n, ids, reports, true);
    at_photon_count_round(p, n, reports);
    p->fig.delta_norm = sqrt(p->local.vec->sumsq(p->n, p->delta));
    p->local.vec->sub(p->n, p->undo, p->theta, p->delta); /* the change over the whole round */
    p->fig.step_norm = sqrt(p->local.vec->sumsq(p->n, p->delta));
    err = at_photon_count_exchange(p);
  }
  at_free(ids);
  at_free(reports);
  return err;
}

at_err at_photon_round_synchronous(at_photon *p) {
  double *loss = NULL;
  AT_TRY(at_photon_open_round(p));
  AT_TRY(at_comm_agree(p->s->world, at_alloc(&loss, (size_t)p->n_stage, sizeof *loss, "losses")));
  remember(p, false);
  double start = at_clock_now_s();
  at_comm_phase before = at_comm_set_phase(p->s->world, AT_COMM_GRADIENT);
  at_err err = take_steps(p, loss);
  p->fig.train_seconds = at_clock_now_s() - start;
  if (err == AT_OK) {
    err = finish_round(p);
    if (err == AT_OK) {
      at_photon_advance_clock(p);
    }
  } else {
    remember(p, true);
  }
  at_comm_set_phase(p->s->world, before);
  at_free(loss);
  return err;
}
