/* SPDX-License-Identifier: BSD-3-Clause */
/* Accuracy of tested clients: each with the model that the method gives it, on its own held-out examples. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/federate/federate.h"
#include "src/base/alloc.h"
#include "src/base/clock.h"

enum { TESTED = sizeof(at_tested) / sizeof(double) };

/* Clients with state are tested at home, the others in turn. */
static bool is_mine(const at_federate *f, int64_t i) {
  return f->shelf != NULL ? at_shelf_is_home(f->shelf, f->tested[i]) : i % f->size == f->rank;
}

static at_err test_own(at_federate *f, int64_t *n, int64_t *ids, at_tested *out) {
  *n = 0;
  for (int64_t i = 0; i < f->n_tested; i++) {
    if (!is_mine(f, i)) {
      continue;
    }
    at_split split = f->cfg->eval_split == 0 ? AT_SPLIT_VALIDATION : AT_SPLIT_TEST;
    ids[*n] = f->tested[i];
    AT_TRY(at_federate_personal_model(f, f->tested[i]));
    AT_TRY(at_learner_test(&f->learner, split, f->tested[i], f->w, &out[(*n)++]));
    at_comm_beat(f->s->world);
  }
  return AT_OK;
}

/* all[n_tested], ascending by client, on all ranks; at_free both. */
static at_err test_all(at_federate *f, int64_t **ids, at_tested **all) {
  int64_t n = 0, n_all = 0, *own = NULL;
  at_tested *local = NULL;
  at_err err = at_alloc(&own, (size_t)f->n_tested, sizeof *own, "tested clients");
  err = err == AT_OK ? at_alloc(&local, (size_t)f->n_tested, sizeof *local, "tested clients") : err;
  err = err == AT_OK ? test_own(f, &n, own, local) : err;
  AT_TRY_TO(err, done, at_comm_agree(f->s->world, err));
  err = at_comm_gather_by_id(f->s->world, n, own, TESTED, (const double *)local, &n_all, ids, (double **)all);
done:
  at_free(own);
  at_free(local);
  return err;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* The smallest value that a share `q` of the sorted ones does not exceed. */
static double quantile(const double *sorted, int64_t n, double q) {
  int64_t at = (int64_t)ceil(q * (double)n) - 1;
  return n > 0 ? sorted[at > 0 ? at : 0] : NAN;
}

static at_err summarise(at_federate *f, const at_tested *all) {
  double examples = 0, hits = 0, loss = 0, mean = 0, *accuracy;
  int64_t n = 0;
  AT_TRY(at_alloc(&accuracy, (size_t)f->n_tested, sizeof *accuracy, "accuracies"));
  memset(f->histogram, 0, sizeof f->histogram);
  for (int64_t i = 0; i < f->n_tested; i++) {
    const at_tested *t = &all[i];
    double a = t->examples > 0 ? t->hits / t->examples : NAN;
    if (i < f->cfg->eval_track) {
      f->tracked[i] = a;
    }
    if (isnan(a)) {
      continue;
    }
    int bin = (int)(a * AT_FEDERATE_BINS);
    f->histogram[bin < AT_FEDERATE_BINS ? bin : AT_FEDERATE_BINS - 1]++;
    accuracy[n++] = a;
    mean += a;
    examples += t->examples;
    hits += t->hits;
    loss += t->loss;
  }
  qsort(accuracy, (size_t)n, sizeof *accuracy, by_value);
  f->fig.accuracy = hits / examples;
  f->fig.eval_loss = loss / examples;
  f->fig.accuracy_mean = mean / (double)n;
  f->fig.accuracy_p10 = quantile(accuracy, n, 0.1);
  f->fig.accuracy_median = quantile(accuracy, n, 0.5);
  f->fig.accuracy_p90 = quantile(accuracy, n, 0.9);
  at_free(accuracy);
  return AT_OK;
}

at_err at_federate_evaluate(at_federate *f) {
  double start = at_clock_now_s();
  int64_t *ids = NULL;
  at_tested *all = NULL;
  at_comm_phase before = at_comm_set_phase(f->s->world, AT_COMM_EVALUATE);
  at_err err = test_all(f, &ids, &all);
  err = err == AT_OK ? at_comm_agree(f->s->world, summarise(f, all)) : err;
  at_comm_set_phase(f->s->world, before);
  at_free(ids);
  at_free(all);
  f->fig.eval_seconds = at_clock_now_s() - start;
  return err;
}

static at_err fill(at_h5 *file, const at_federate *f, const int64_t *ids, const at_tested *all, double *column) {
  static const struct {
    const char *path, *units, *text;
    size_t at;
  } set[] = {{"/examples", "examples", "Held-out examples of the client.", offsetof(at_tested, examples)},
             {"/hits", "examples", "Of these, told right by the model that the client is tested with.",
              offsetof(at_tested, hits)},
             {"/loss", "nats", "Sum of the cross-entropy over them.", offsetof(at_tested, loss)}};
  at_h5_desc client = {.path = "/client",
                       .type = AT_H5_I64,
                       .ndims = 1,
                       .dims = {f->n_tested},
                       .units = "1",
                       .description = "Number of each tested client."};
  AT_TRY(at_h5_write(file, &client, ids));
  for (size_t k = 0; k < sizeof set / sizeof *set; k++) {
    at_h5_desc d = {.path = set[k].path,
                    .type = AT_H5_F64,
                    .ndims = 1,
                    .dims = {f->n_tested},
                    .units = set[k].units,
                    .description = set[k].text};
    for (int64_t i = 0; i < f->n_tested; i++) {
      memcpy(&column[i], (const char *)&all[i] + set[k].at, sizeof *column);
    }
    AT_TRY(at_h5_write(file, &d, column));
    AT_TRY(at_h5_set_scale(file, set[k].path, 0, "/client"));
  }
  AT_TRY(at_h5_set_attr_text(file, "/", "method", f->method->name));
  return at_provenance_write(f->prov, file);
}

static at_err write_file(const at_federate *f, const char *path, const int64_t *ids, const at_tested *all) {
  at_h5 *file = NULL;
  double *column;
  AT_TRY(at_alloc(&column, (size_t)f->n_tested, sizeof *column, "evaluation"));
  at_err err = at_h5_create(&file, path, "evaluation", 0);
  if (err == AT_OK) {
    err = fill(file, f, ids, all, column);
    if (err == AT_OK) {
      err = at_h5_commit(file);
    } else {
      at_h5_discard(file);
    }
  }
  at_free(column);
  return err;
}

at_err at_federate_write_evaluation(at_federate *f) {
  int64_t *ids = NULL;
  at_tested *all = NULL;
  at_err err;
  AT_TRY_TO(err, done, test_all(f, &ids, &all));
  AT_TRY_TO(err, done, at_comm_agree(f->s->world, summarise(f, all)));
  err = f->rank == 0 ? write_file(f, at_run_path(f->run, "evaluation.h5"), ids, all) : AT_OK;
  err = at_comm_agree(f->s->world, err);
done:
  at_free(ids);
  at_free(all);
  return err;
}
