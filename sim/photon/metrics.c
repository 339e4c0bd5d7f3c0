/* SPDX-License-Identifier: BSD-3-Clause */
/* The figures of each round as rows of metrics.h5. */
#include <math.h>
#include <string.h>

#include "sim/photon/photon.h"

/* Columns are registered in this order: the figures, then two by silo and two by tensor; handles count from 0. */
enum { COLUMN_SILO_NATS = AT_PHOTON_FIGURE_COUNT, COLUMN_SILO_BPB, COLUMN_TENSOR_DELTA, COLUMN_TENSOR_THETA };

static at_err add_tensors(at_photon *p) {
  const at_layout *l = at_lm_task_layout(p->task);
  const char *names[l->n];
  int column;
  for (int t = 0; t < l->n; t++) {
    names[t] = l->tensor[t].name;
  }
  AT_TRY(at_metrics_name_axis(p->metrics, "tensor", l->n, names));
  AT_TRY(at_metrics_add(p->metrics, "delta_norm_tensor", "1", "norm of the mean update by tensor", l->n, "tensor",
                        false, &column));
  return at_metrics_add(p->metrics, "theta_norm_tensor", "1", "norm of the global model by tensor", l->n, "tensor",
                        false, &column);
}

at_err at_photon_metrics_create(at_photon *p, const char *path) {
  static const struct {
    const char *name, *unit, *text;
    bool is_volatile;
  } figure[] = {
#define X(name, unit, text, is_volatile) {#name, unit, text, is_volatile},
      AT_PHOTON_FIGURES(X)
#undef X
  };
  if (at_comm_rank(p->s->world) != 0) {
    return AT_OK;
  }
  int column;
  AT_TRY(at_metrics_create(&p->metrics, path, p->prov, p->run != NULL ? at_run_publisher(p->run) : NULL));
  for (int i = 0; i < AT_PHOTON_FIGURE_COUNT; i++) {
    AT_TRY(at_metrics_add(p->metrics, figure[i].name, figure[i].unit, figure[i].text, 1, NULL, figure[i].is_volatile,
                          &column));
  }
  int n = (int)p->corpus->n_silos;
  const char *names[n];
  for (int s = 0; s < n; s++) {
    names[s] = p->corpus->silo[s].name;
  }
  AT_TRY(at_metrics_name_axis(p->metrics, "silo", n, names));
  AT_TRY(
      at_metrics_add(p->metrics, "val_nats_silo", "nats/token", "validation loss by silo", n, "silo", false, &column));
  AT_TRY(at_metrics_add(p->metrics, "val_bits_per_byte_silo", "bits/byte", "validation loss by silo", n, "silo", false,
                        &column));
  return p->method->own_model ? AT_OK : add_tensors(p);
}

/* Norms of vec tensor by tensor into a column. */
static void set_norms(at_photon *p, int column, const float *x) {
  const at_layout *l = at_lm_task_layout(p->task);
  double norm[l->n];
  for (int t = 0; t < l->n; t++) {
    norm[t] = sqrt(p->local.vec->sumsq(l->tensor[t].count, x + l->tensor[t].offset));
  }
  at_metrics_set_all(p->metrics, column, norm);
}

at_err at_photon_metrics_row(at_photon *p) {
  if (p->metrics == NULL) {
    return AT_OK;
  }
  double value[AT_PHOTON_FIGURE_COUNT];
  memcpy(value, &p->fig, sizeof value);
  for (int i = 0; i < AT_PHOTON_FIGURE_COUNT; i++) {
    at_metrics_set(p->metrics, i, value[i]);
  }
  if (!isnan(p->fig.val_nats)) {
    at_metrics_set_all(p->metrics, COLUMN_SILO_NATS, p->silo_nats);
    at_metrics_set_all(p->metrics, COLUMN_SILO_BPB, p->silo_bpb);
  }
  if (!p->method->own_model && !p->is_planned) { /* a plan has no vectors */
    set_norms(p, COLUMN_TENSOR_THETA, p->theta);
    if (!isnan(p->fig.delta_norm)) { /* of a round that counted */
      set_norms(p, COLUMN_TENSOR_DELTA, p->delta);
    }
  }
  return at_metrics_end_row(p->metrics, p->count.round);
}
