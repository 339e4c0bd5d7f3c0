/* SPDX-License-Identifier: BSD-3-Clause */
/* Which results of a round are used: whole ones, finite, and of like length; the others are counted and named. */
#include <math.h>
#include <stdlib.h>

#include "sim/photon/photon.h"
#include "src/base/alloc.h"

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Median of the norms of valid updates; 0 without any. */
static double median_norm(int64_t n, const at_report *reports, double *sorted) {
  int64_t valid = 0;
  for (int64_t i = 0; i < n; i++) {
    if (reports[i].valid != 0) {
      sorted[valid++] = reports[i].delta_norm;
    }
  }
  qsort(sorted, (size_t)valid, sizeof *sorted, by_value);
  return valid > 0 ? 0.5 * (sorted[(valid - 1) / 2] + sorted[valid / 2]) : 0;
}

/* Client i was there and has no result: why? */
static void name_invalid(at_photon *p, int64_t id, const at_report *r) {
  const long long round = p->count.round + 1;
  if (r->failures > (double)p->cfg->net.retries) {
    p->fig.failed++;
    at_log_warn(p->s->log, "round", "round = %lld: the work of client %lld broke off %.0f times and is given up", round,
                (long long)id, r->failures);
  } else {
    p->fig.rejected++;
    at_log_warn(p->s->log, "round", "round = %lld: the update of client %lld is rejected, it is not finite", round,
                (long long)id);
  }
}

/* An update far longer than the others' must not reach the mean: the reports and the stages say so.  Alike on all ranks. */
static at_err reject_outliers(at_photon *p, int64_t n, const int64_t *ids, at_report *reports) {
  double *sorted = NULL;
  AT_TRY(at_comm_agree(p->s->world, at_alloc(&sorted, (size_t)n, sizeof *sorted, "norms of updates")));
  double most = p->cfg->outlier * median_norm(n, reports, sorted);
  at_free(sorted);
  for (int64_t i = 0; i < n && most > 0; i++) {
    if (reports[i].valid == 0 || reports[i].delta_norm <= most) {
      continue;
    }
    at_log_warn(p->s->log, "round", "round = %lld: the update of client %lld is rejected, norm = %.3g, the most = %.3g",
                (long long)p->count.round + 1, (long long)ids[i], reports[i].delta_norm, most);
    reports[i].valid = 0;
    p->fig.rejected++;
    for (int64_t k = 0; k < p->n_stage; k++) {
      p->stage[k].report.valid = p->stage[k].id == ids[i] ? 0 : p->stage[k].report.valid;
    }
  }
  return AT_OK;
}

at_err at_photon_judge(at_photon *p, int64_t n, const int64_t *ids, at_report *reports, bool is_mean) {
  at_photon_figures *f = &p->fig;
  f->failed = f->rejected = f->retries = f->shortened = 0;
  for (int64_t i = 0; i < n; i++) {
    f->retries += fmin(reports[i].failures, (double)p->cfg->net.retries);
    if (reports[i].valid == 0 && p->on_time[i]) { /* reports and sampled clients are in the same order */
      name_invalid(p, ids[i], &reports[i]);
    }
  }
  if (is_mean) {
    AT_TRY(reject_outliers(p, n, ids, reports));
  }
  for (int64_t i = 0; i < n; i++) {
    f->shortened += reports[i].valid != 0 && reports[i].steps < (double)p->cfg->steps;
  }
  return AT_OK;
}
