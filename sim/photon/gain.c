/* SPDX-License-Identifier: BSD-3-Clause */
/* What averaging gains: the loss of the clients' mean model less the mean loss of their models (J < 0: they share a basin). */
#include <math.h>

#include "sim/photon/photon.h"
#include "src/base/alloc.h"
#include "src/base/clock.h"

/* Mean over the valid clients of their models' losses; each rank evaluates those that it played. */
static at_err loss_of_clients(at_photon *p, at_silo_loss *loss, double *nats, int64_t *ids, double *out) {
  for (int64_t i = 0; i < p->n_stage; i++) {
    const at_photon_stage *st = &p->stage[i];
    ids[i] = st->id;
    if (st->report.valid != 0) {
      p->local.vec->sub(p->n, p->theta, st->w, p->probe);
      at_evaluate_alone(&p->eval, p->probe, loss);
      nats[i] = at_mixed_nats(loss, p->corpus->n_silos);
    }
  }
  AT_TRY(at_comm_sum_by_id(p->s->world, p->n_stage, ids, 1, nats, out));
  *out /= p->fig.clients;
  return AT_OK;
}

static at_err gain(at_photon *p) {
  int64_t n = p->corpus->n_silos, *ids = NULL;
  at_silo_loss *loss = NULL;
  double *nats = NULL, apart = 0;
  at_err err = at_alloc(&loss, (size_t)n, sizeof *loss, "losses");
  err = err == AT_OK ? at_alloc(&nats, (size_t)p->n_stage, sizeof *nats, "losses of the clients' models") : err;
  err = err == AT_OK ? at_alloc(&ids, (size_t)p->n_stage, sizeof *ids, "losses of the clients' models") : err;
  AT_TRY_TO(err, done, at_comm_agree(p->s->world, err));
  AT_TRY_TO(err, done, loss_of_clients(p, loss, nats, ids, &apart));
  p->local.vec->sub(p->n, p->theta, p->delta, p->probe);
  AT_TRY_TO(err, done, at_evaluate(&p->eval, p->s->world, p->probe, loss));
  p->fig.averaging_gain = p->fig.clients >= 2 ? at_mixed_nats(loss, n) - apart : NAN;
done:
  at_free(loss);
  at_free(nats);
  at_free(ids);
  return err;
}

at_err at_photon_measure_gain(at_photon *p) {
  if (!p->cfg->eval_gain || !at_photon_is_evaluated(p)) {
    return AT_OK;
  }
  double start = at_clock_now_s();
  at_comm_phase before = at_comm_set_phase(p->s->world, AT_COMM_EVALUATE);
  at_err err = gain(p);
  at_comm_set_phase(p->s->world, before);
  p->fig.eval_seconds = at_clock_now_s() - start;
  return err;
}
