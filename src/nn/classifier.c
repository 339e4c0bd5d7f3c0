/* SPDX-License-Identifier: BSD-3-Clause */
/* A classifier compiled for training and evaluation. */
#include "src/nn/classifier.h"

#include <string.h>

#include "src/base/alloc.h"
#include "src/graph/losses.h"

struct at_classifier_task {
  at_model model;
  double smoothing;
  at_task *task;
};

enum { LOSS, HITS };

static int build(at_scope *s, const void *context, at_pass pass, int64_t batch, at_val out[AT_TASK_OUTS]) {
  const at_classifier_task *t = context;
  at_shape shape = {.nd = 1 + t->model.input.nd, .d = {batch}};
  memcpy(shape.d + 1, t->model.input.d, (size_t)t->model.input.nd * sizeof *shape.d);
  at_val x = at_graph_input(s->g, "x", AT_F32, shape);
  at_val label = at_graph_input(s->g, "label", AT_I32, AT_SHAPE(batch));
  at_val logits = at_model_logits(s, &t->model, x);
  if (pass == AT_PASS_TRAIN) {
    out[LOSS] = at_cross_entropy_smooth(s->g, logits, label, t->smoothing, 1.0 / (double)batch);
  } else {
    out[LOSS] = at_cross_entropy(s->g, logits, label, 1.0);
  }
  out[HITS] = at_hits(s->g, logits, label);
  return 2;
}

at_err at_classifier_task_create(at_classifier_task **out, const at_model *m, const at_classifier_options *o,
                                 const at_kernels *k) {
  *out = NULL;
  AT_TRY(at_model_check(m));
  if (at_model_kind_of(m) != AT_MODEL_CLASSIFIER) {
    return AT_FAIL(AT_ERR_CONFIG, "model %s predicts tokens: choose a classifier", m->name);
  }
  at_classifier_task *t;
  AT_TRY(at_alloc(&t, 1, sizeof *t, "classifier"));
  t->model = *m;
  at_task_def def = {.build = build, .context = t};
  if (o != NULL) {
    t->smoothing = o->smoothing;
    def.train = o->train;
    def.hook = o->hook;
    def.hook_context = o->hook_context;
  }
  at_err err = at_task_create(&t->task, &def, k);
  if (err != AT_OK) {
    at_classifier_task_destroy(t);
    return err;
  }
  *out = t;
  return AT_OK;
}

void at_classifier_task_destroy(at_classifier_task *t) {
  if (t != NULL) {
    at_task_destroy(t->task);
    at_free(t);
  }
}

at_task *at_classifier_task_get(at_classifier_task *t) {
  return t->task;
}

const at_model *at_classifier_task_model(const at_classifier_task *t) {
  return &t->model;
}

at_err at_classifier_task_grad(at_classifier_task *t, const float *theta, float *state, const at_batch *b,
                               at_score *score, float **grad, at_poll poll, void *context) {
  float value[AT_TASK_OUTS];
  at_task_call c = {.theta = theta, .state = state, .in = {b->x, b->label}, .poll = poll, .poll_context = context};
  AT_TRY(at_task_run(t->task, AT_PASS_TRAIN, b->n, &c, value, grad));
  *score = (at_score){value[LOSS], value[HITS]};
  return AT_OK;
}

at_err at_classifier_task_sgd(at_classifier_task *t, float *theta, float *state, const at_batch *b, double lr,
                              at_score *score, at_poll poll, void *context) {
  float value[AT_TASK_OUTS];
  at_task_call c = {
      .theta = theta, .lr = lr, .state = state, .in = {b->x, b->label}, .poll = poll, .poll_context = context};
  AT_TRY(at_task_run(t->task, AT_PASS_SGD, b->n, &c, value, NULL));
  *score = (at_score){value[LOSS], value[HITS]};
  return AT_OK;
}

at_err at_classifier_task_eval(at_classifier_task *t, const float *theta, const float *state, const at_batch *b,
                               at_score *score) {
  float value[AT_TASK_OUTS];
  at_task_call c = {.theta = theta, .state = (float *)state, .in = {b->x, b->label}}; /* this pass does not write it */
  AT_TRY(at_task_run(t->task, AT_PASS_EVAL, b->n, &c, value, NULL));
  *score = (at_score){value[LOSS], value[HITS]};
  return AT_OK;
}
