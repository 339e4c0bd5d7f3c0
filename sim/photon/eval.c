/* SPDX-License-Identifier: BSD-3-Clause */
/* Held-out losses of a run: of the global model, or of every client's own model. */
#include <math.h>
#include <string.h>

#include "sim/photon/photon.h"
#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/comm/exact.h"

/* Losses of one split: per silo, and mixed (mean over silos). */
typedef struct split_loss {
  double *nats, *bpb;           /* [n_silos]; with own models: of the models at home in the silo */
  double mixed_nats, mixed_bpb; /* with own models: mean over all models */
} split_loss;

static at_err global_loss(at_photon *p, split_loss *out) {
  int64_t n = p->corpus->n_silos;
  at_silo_loss *loss = NULL;
  at_err err = at_comm_agree(p->s->world, at_alloc(&loss, (size_t)n, sizeof *loss, "losses"));
  AT_TRY_TO(err, done, err);
  AT_TRY_TO(err, done, at_evaluate(&p->eval, p->s->world, p->theta, loss));
  for (int64_t s = 0; s < n; s++) {
    out->nats[s] = loss[s].nats / loss[s].tokens;
    out->bpb[s] = at_silo_bits_per_byte(&loss[s]);
  }
  out->mixed_nats = at_mixed_nats(loss, n);
  out->mixed_bpb = at_mixed_bits_per_byte(loss, n);
done:
  at_free(loss);
  return err;
}

/* Every rank evaluates its own clients' models on all silos. */
static at_err own_loss(at_photon *p, split_loss *out) {
  int64_t n = p->corpus->n_silos, n_all = 0, *ids = NULL;
  at_silo_loss *local = NULL, *all = NULL;
  double *models = NULL;
  at_err err = at_alloc(&local, (size_t)(p->n_own * n), sizeof *local, "losses of the local models");
  if (err == AT_OK) {
    err = at_alloc(&models, (size_t)n, sizeof *models, "losses of the local models");
  }
  AT_TRY_TO(err, done, at_comm_agree(p->s->world, err));
  for (int64_t i = 0; i < p->n_own; i++) {
    at_evaluate_alone(&p->eval, p->row_w + i * p->n, local + i * n);
  }
  int width = (int)(n * (int64_t)(sizeof *local / sizeof(double)));
  at_comm_phase before = at_comm_set_phase(p->s->world, AT_COMM_EVALUATE);
  err =
      at_comm_gather_by_id(p->s->world, p->n_own, p->own, width, (const double *)local, &n_all, &ids, (double **)&all);
  at_comm_set_phase(p->s->world, before);
  AT_TRY_TO(err, done, err);
  memset(out->nats, 0, (size_t)n * sizeof *out->nats);
  memset(out->bpb, 0, (size_t)n * sizeof *out->bpb);
  out->mixed_nats = out->mixed_bpb = 0;
  for (int64_t k = 0; k < n_all; k++) {
    int64_t home = at_streams_home(&p->streams, ids[k]);
    const at_silo_loss *row = all + k * n;
    out->nats[home] += row[home].nats / row[home].tokens;
    out->bpb[home] += at_silo_bits_per_byte(&row[home]);
    models[home]++;
    out->mixed_nats += at_mixed_nats(row, n) / (double)n_all;
    out->mixed_bpb += at_mixed_bits_per_byte(row, n) / (double)n_all;
  }
  for (int64_t s = 0; s < n; s++) {
    out->nats[s] /= models[s]; /* a silo without a model of its own: NaN */
    out->bpb[s] /= models[s];
  }
done:
  at_free(local);
  at_free(models);
  at_free(ids);
  at_free(all);
  return err;
}

static at_err split_loss_of(at_photon *p, at_split split, split_loss *out) {
  p->eval.split = split;
  at_err err = p->method->own_model ? own_loss(p, out) : global_loss(p, out);
  p->eval.split = AT_SPLIT_VALIDATION;
  return err;
}

at_err at_photon_evaluate(at_photon *p) {
  double start = at_clock_now_s();
  split_loss loss = {.nats = p->silo_nats, .bpb = p->silo_bpb};
  at_comm_phase before = at_comm_set_phase(p->s->world, AT_COMM_EVALUATE);
  at_err err = split_loss_of(p, AT_SPLIT_VALIDATION, &loss);
  at_comm_set_phase(p->s->world, before);
  AT_TRY(err);
  p->fig.val_nats = loss.mixed_nats;
  p->fig.val_bits_per_byte = loss.mixed_bpb;
  p->fig.eval_seconds = at_clock_now_s() - start + (isnan(p->fig.eval_seconds) ? 0 : p->fig.eval_seconds);
  return AT_OK;
}

/* --- evaluation.h5 ------------------------------------------------------------------------------------------------ */

static at_err write_split(at_h5 *f, const at_photon *p, const char *group, const split_loss *loss) {
  struct {
    const char *name, *units, *text;
    const double *data;
    bool scalar;
  } set[] = {{"nats_per_token", "nats/token", "Loss by silo.", loss->nats, false},
             {"bits_per_byte", "bits/byte", "Loss by silo.", loss->bpb, false},
             {"mixed_nats_per_token", "nats/token", "Loss, mean over silos.", &loss->mixed_nats, true},
             {"mixed_bits_per_byte", "bits/byte", "Loss, mean over silos.", &loss->mixed_bpb, true}};
  for (size_t i = 0; i < sizeof set / sizeof set[0]; i++) {
    char path[96];
    snprintf(path, sizeof path, "%s/%s", group, set[i].name);
    at_h5_desc d = {.path = path,
                    .type = AT_H5_F64,
                    .ndims = set[i].scalar ? 0 : 1,
                    .dims = {p->corpus->n_silos},
                    .units = set[i].units,
                    .description = set[i].text};
    AT_TRY(at_h5_write(f, &d, set[i].data));
  }
  return AT_OK;
}

static at_err fill_evaluation(at_h5 *f, const at_photon *p, const split_loss *loss) {
  const char *names[p->corpus->n_silos];
  for (int64_t s = 0; s < p->corpus->n_silos; s++) {
    names[s] = p->corpus->silo[s].name;
  }
  AT_TRY(at_h5_write_text(f, "/silo", p->corpus->n_silos, names, "1", "Name of each silo."));
  AT_TRY(at_h5_set_attr_text(f, "/", "method", p->method->name));
  AT_TRY(at_h5_set_attr_i64(f, "/", "tokens", p->count.tokens));
  AT_TRY(at_h5_set_attr_i64(f, "/", "own_models", p->method->own_model));
  AT_TRY(write_split(f, p, "/validation", &loss[0]));
  AT_TRY(write_split(f, p, "/test", &loss[1]));
  return at_provenance_write(p->prov, f);
}

static at_err write_file(const at_photon *p, const char *path, const split_loss loss[2]) {
  at_h5 *f = NULL;
  AT_TRY(at_h5_create(&f, path, "evaluation", 0));
  at_err err = fill_evaluation(f, p, loss);
  if (err != AT_OK) {
    at_h5_discard(f);
    return err;
  }
  return at_h5_commit(f);
}

/* Zeros for both splits, in the block that comes back. */
static at_err make_losses(const at_photon *p, split_loss loss[2], double **block) {
  int64_t n = p->corpus->n_silos;
  AT_TRY(at_alloc(block, 4 * (size_t)n, sizeof **block, "losses"));
  for (int i = 0; i < 2; i++) {
    loss[i] = (split_loss){.nats = *block + 2 * i * n, .bpb = *block + (2 * i + 1) * n};
  }
  return AT_OK;
}

at_err at_photon_write_empty_evaluation(const at_photon *p, const char *path) {
  split_loss loss[2];
  double *block;
  AT_TRY(make_losses(p, loss, &block));
  at_err err = write_file(p, path, loss);
  at_free(block);
  return err;
}

at_err at_photon_write_evaluation(at_photon *p) {
  split_loss loss[2];
  double *block = NULL;
  at_err err;
  AT_TRY_TO(err, done, at_comm_agree(p->s->world, make_losses(p, loss, &block)));
  AT_TRY_TO(err, done, split_loss_of(p, AT_SPLIT_VALIDATION, &loss[0]));
  AT_TRY_TO(err, done, split_loss_of(p, AT_SPLIT_TEST, &loss[1]));
  p->fig.val_nats = loss[0].mixed_nats; /* the last round may lie before a resume */
  p->fig.val_bits_per_byte = loss[0].mixed_bpb;
  err = at_comm_rank(p->s->world) == 0 ? write_file(p, at_run_path(p->run, "evaluation.h5"), loss) : AT_OK;
  err = at_comm_agree(p->s->world, err);
done:
  at_free(block);
  return err;
}
