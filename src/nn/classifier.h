/* SPDX-License-Identifier: BSD-3-Clause */
/* A classifier compiled for training and evaluation, for any batch sizes (src/nn/task.h). */
#ifndef AT_NN_CLASSIFIER_H
#define AT_NN_CLASSIFIER_H

#include "src/nn/models.h"
#include "src/nn/task.h"

typedef struct at_classifier_options {
  double smoothing;         /* of labels in training (Szegedy et al. 2016); 0: none */
  const char *const *train; /* patterns of the parameters that are trained, NULL: all; borrowed (src/nn/layers.h) */
  at_linear_hook hook;      /* adapters: at_adapters_hook and an at_adapters (src/nn/adapter.h); borrowed */
  void *hook_context;
} at_classifier_options;

typedef struct at_classifier_task at_classifier_task;

/* AT_ERR_CONFIG if m does not fit together or is no classifier.  m is copied, o (may be NULL) too; k is borrowed. */
at_err at_classifier_task_create(at_classifier_task **out, const at_model *m, const at_classifier_options *o,
                                 const at_kernels *k);
void at_classifier_task_destroy(at_classifier_task *t);
at_task *at_classifier_task_get(at_classifier_task *t); /* for its layouts, initial values and size; borrowed */
const at_model *at_classifier_task_model(const at_classifier_task *t);

/* One batch: x [batch][input..], label i32 [batch] with negative labels for rows that do not count, theta and state as
 * at_task_params and at_task_states say (state may be NULL without any). */
typedef struct at_batch {
  int64_t n; /* examples */
  const float *x;
  const int32_t *label;
} at_batch;

typedef struct at_score {
  double
      loss; /* cross-entropy in nats: the mean over all n rows in training, the sum over labelled ones in evaluation */
  double hits; /* rows whose largest logit is at the label */
} at_score;

/* Loss and gradient, by batch statistics; running statistics in `state` move on.  *grad is borrowed until the next call and may
 * be changed by the caller.  Fails only when the batch size is new and there is no memory. */
at_err at_classifier_task_grad(at_classifier_task *t, const float *theta, float *state, const at_batch *b,
                               at_score *score, float **grad, at_poll poll, void *context);
/* One step of plain SGD in theta, without forming the gradient (AT_PASS_SGD, src/nn/task.h); otherwise as above. */
at_err at_classifier_task_sgd(at_classifier_task *t, float *theta, float *state, const at_batch *b, double lr,
                              at_score *score, at_poll poll, void *context);
/* Loss without smoothing, by running statistics; `state` is not changed. */
at_err at_classifier_task_eval(at_classifier_task *t, const float *theta, const float *state, const at_batch *b,
                               at_score *score);

#endif
