/* SPDX-License-Identifier: BSD-3-Clause */
/* The figures of each round as rows of metrics.h5. */
#include <math.h>
#include <string.h>

#include "sim/photon/photon.h"

/* Columns are registered in this order: the figures, then the two per silo; handles count from 0. */
enum { COLUMN_SILO_NATS = AT_PHOTON_FIGURE_COUNT, COLUMN_SILO_BPB };

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
  return at_metrics_add(p->metrics, "val_bits_per_byte_silo", "bits/byte", "validation loss by silo", n, "silo", false,
                        &column);
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
  return at_metrics_end_row(p->metrics, p->count.round);
}
