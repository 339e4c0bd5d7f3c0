/* SPDX-License-Identifier: BSD-3-Clause */
/* Per-FedAvg (Fallah et al. 2020), first order: the model is trained to be good after a step of tuning on a client's data. */
#include <string.h>

#include "sim/federate/federate.h"

/* Gradient at w of the batch that starts at example `first` of an epoch's order. */
static at_err gradient(at_federate *f, const at_lesson *c, int64_t n, int64_t epoch, int64_t first, const float *w,
                       at_visit *v, float **grad) {
  at_learner *l = &f->learner;
  at_batch b = {.n = n - first < c->batch ? n - first : c->batch, .x = l->x, .label = l->label};
  at_score score;
  AT_TRY(at_learner_load(l, c, n, epoch, first, b.n));
  AT_TRY(at_classifier_task_grad(l->task, w, f->length > f->params ? v->w + f->params : NULL, &b, &score, grad, l->poll,
                                 l->poll_context));
  v->learned.steps++;
  v->learned.examples += (double)b.n;
  v->learned.loss += score.loss * (double)b.n;
  return AT_OK;
}

/* w -= lr g2(w - alpha g1(w)), with a batch for each gradient: equation 6 without the second derivative (section 5). */
static at_err meta_step(at_federate *f, const at_lesson *c, int64_t n, int64_t epoch, int64_t first, at_visit *v) {
  int64_t second = first + c->batch < n ? first + c->batch : 0;
  float *grad;
  AT_TRY(gradient(f, c, n, epoch, first, v->w, v, &grad));
  memcpy(f->scratch, v->w, (size_t)f->params * sizeof *f->scratch);
  f->learner.vec->axpy(-f->cfg->alpha_inner, f->params, grad, f->scratch);
  AT_TRY(gradient(f, c, n, epoch, second, f->scratch, v, &grad));
  f->learner.vec->axpy(-c->lr, f->params, grad, v->w);
  return AT_OK;
}

static at_err train(at_federate *f, at_visit *v) {
  at_lesson lesson = at_federate_lesson(f, v);
  int64_t n;
  AT_TRY(at_learner_open(&f->learner, AT_SPLIT_TRAIN, &v->who, &n));
  for (int64_t epoch = 0; epoch < lesson.epochs; epoch++) {
    for (int64_t first = 0; first < n; first += 2 * lesson.batch) {
      AT_TRY(meta_step(f, &lesson, n, epoch, first, v));
    }
  }
  return AT_OK;
}

const at_federate_row at_federate_method_perfedavg = {.name = "perfedavg",
                                                      .summary =
                                                          "trained to be good after a step of tuning (perfedavg.alpha)",
                                                      .presets = {"eval.adapt_epochs=1"},
                                                      .train = train};
