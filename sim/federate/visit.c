/* SPDX-License-Identifier: BSD-3-Clause */
/* A client's turn: what it keeps is fetched, it trains, what it keeps is put back, and its update is what is left. */
#include <math.h>
#include <string.h>

#include "sim/federate/federate.h"

/* A client's row: its private tensors one after the other, then what else the method keeps. */

static void take_private(const at_federate *f, const float *row, float *w) {
  for (int t = 0; t < f->n_tensors; t++) {
    int64_t at = f->offsets[t], n = f->offsets[t + 1] - at;
    if (f->is_private[t]) {
      memcpy(w + at, row, (size_t)n * sizeof *w);
      row += n;
    }
  }
}

static void give_private(const at_federate *f, const float *w, float *row) {
  for (int t = 0; t < f->n_tensors; t++) {
    int64_t at = f->offsets[t], n = f->offsets[t + 1] - at;
    if (f->is_private[t]) {
      memcpy(row, w + at, (size_t)n * sizeof *w);
      row += n;
    }
  }
}

/* What the client keeps, into f->kept; private tensors into w, which holds their first values otherwise. */
static at_err fetch(at_federate *f, int64_t client, float *w) {
  bool found = false;
  if (f->shelf == NULL) {
    return AT_OK;
  }
  AT_TRY(at_shelf_get(f->shelf, client, f->kept, &found));
  if (found) {
    take_private(f, f->kept, w);
  } else if (f->method->keeps_second) {
    memcpy(f->kept + f->n_private, f->initial, (size_t)f->length * sizeof *w);
  } else {
    memset(f->kept + f->n_private, 0, (size_t)f->n_kept * sizeof *w);
  }
  return AT_OK;
}

static at_err put_back(at_federate *f, int64_t client, const float *w) {
  if (f->shelf == NULL) {
    return AT_OK;
  }
  give_private(f, w, f->kept);
  return at_shelf_put(f->shelf, client, f->kept);
}

/* w becomes theta - w; private tensors are no part of it. */
static void make_update(const at_federate *f, const float *theta, float *w) {
  f->learner.vec->sub(f->length, theta, w, w);
  for (int t = 0; t < f->n_tensors; t++) {
    if (f->is_private[t]) {
      memset(w + f->offsets[t], 0, (size_t)(f->offsets[t + 1] - f->offsets[t]) * sizeof *w);
    }
  }
}

at_err at_federate_visit(at_federate *f, const at_turn *turn, const at_crowd *who, at_visit *v, bool *valid) {
  int64_t rows = f->cfg->max_staleness + 1;
  *v = (at_visit){.who = *who, .round = turn->round, .w = f->w, .second = f->second};
  v->theta = f->versions != NULL ? f->versions + turn->version % rows * f->length : f->theta;
  v->kept = f->kept != NULL ? f->kept + f->n_private : NULL;
  memcpy(f->w, v->theta, (size_t)f->length * sizeof *f->w);
  AT_TRY(fetch(f, turn->client, f->w));
  AT_TRY(f->method->train(f, v));
  *valid = isfinite(f->learner.vec->sumsq(f->length, f->w)) && isfinite(v->learned.loss);
  if (*valid && f->kept != NULL) {
    *valid = isfinite(f->learner.vec->sumsq(f->n_kept, v->kept));
  }
  if (*valid) {
    AT_TRY(put_back(f, turn->client, f->w));
    make_update(f, v->theta, f->w);
  }
  return AT_OK;
}

at_err at_federate_personal_model(at_federate *f, int64_t client) {
  const at_federate_cfg *c = f->cfg;
  memcpy(f->w, f->theta, (size_t)f->length * sizeof *f->w);
  AT_TRY(fetch(f, client, f->w));
  if (f->method->keeps_second) {
    memcpy(f->w, f->kept + f->n_private, (size_t)f->length * sizeof *f->w);
  }
  if (c->adapt_epochs == 0) {
    return AT_OK;
  }
  at_visit v = {.who = {1, &client}, .round = -1, .w = f->w};
  at_lesson lesson = {
      .who = v.who, .round = v.round, .epochs = c->adapt_epochs, .batch = c->batch, .lr = c->adapt_lr, .clip = c->clip};
  return at_federate_teach(f, &lesson, &v);
}
