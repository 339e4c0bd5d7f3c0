/* SPDX-License-Identifier: BSD-3-Clause */
/* The figures of each round as rows of metrics.h5. */
#include <math.h>
#include <string.h>

#include "sim/federate/federate.h"

/* Columns are registered in this order: the figures, then two with a row each round; handles count from 0. */
enum { COLUMN_HISTOGRAM = AT_FEDERATE_FIGURE_COUNT, COLUMN_TRACKED };

at_err at_federate_metrics_create(at_federate *f, const char *path) {
  static const struct {
    const char *name, *unit, *text;
    bool is_volatile;
  } figure[] = {
#define X(name, unit, text, is_volatile) {#name, unit, text, is_volatile},
      AT_FEDERATE_FIGURES(X)
#undef X
  };
  if (f->rank != 0) {
    return AT_OK;
  }
  int column;
  AT_TRY(at_metrics_create(&f->metrics, path, f->prov, NULL));
  for (int i = 0; i < AT_FEDERATE_FIGURE_COUNT; i++) {
    AT_TRY(at_metrics_add(f->metrics, figure[i].name, figure[i].unit, figure[i].text, 1, NULL, figure[i].is_volatile,
                          &column));
  }
  AT_TRY(at_metrics_add(f->metrics, "accuracy_histogram", "clients", "tested clients by accuracy, from 0 to 1",
                        AT_FEDERATE_BINS, "bin", false, &column));
  int64_t tracked = f->n_tested < f->cfg->eval_track ? f->n_tested : f->cfg->eval_track;
  return at_metrics_add(f->metrics, "client_accuracy", "1", "accuracy of the first tested clients", (int)tracked,
                        "client", false, &column);
}

at_err at_federate_metrics_row(at_federate *f) {
  if (f->metrics == NULL) {
    return AT_OK;
  }
  double value[AT_FEDERATE_FIGURE_COUNT];
  memcpy(value, &f->fig, sizeof value);
  for (int i = 0; i < AT_FEDERATE_FIGURE_COUNT; i++) {
    at_metrics_set(f->metrics, i, value[i]);
  }
  if (!isnan(f->fig.accuracy)) {
    at_metrics_set_all(f->metrics, COLUMN_HISTOGRAM, f->histogram);
    at_metrics_set_all(f->metrics, COLUMN_TRACKED, f->tracked);
  }
  return at_metrics_end_row(f->metrics, f->count.round);
}
