/* SPDX-License-Identifier: BSD-3-Clause */
/* A language model compiled for training and evaluation. */
#include "src/nn/lm_task.h"

#include "src/base/alloc.h"
#include "src/graph/ops.h"
#include "src/nn/task.h"

struct at_lm_task {
  at_gpt gpt;
  int batch, eval_batch;
  at_task *task;
  const at_program *train, *eval; /* the task's */
};

/* The mean over all tokens in training, their sum in evaluation. */
static int build(at_scope *s, const void *context, at_pass pass, int64_t batch, at_val out[AT_TASK_OUTS]) {
  const at_gpt *c = context;
  at_val tokens = at_graph_input(s->g, "tokens", AT_I32, AT_SHAPE(batch, c->context));
  at_val targets = at_graph_input(s->g, "targets", AT_I32, AT_SHAPE(batch * c->context));
  double scale = pass == AT_PASS_TRAIN ? 1.0 / (double)(batch * c->context) : 1.0;
  out[0] = at_cross_entropy(s->g, at_gpt_build(s, c, tokens), targets, scale);
  return 1;
}

static at_err create(at_lm_task **out, const at_gpt *c, int batch, int eval_batch, const at_kernels *k, bool measured) {
  *out = NULL;
  AT_TRY(at_gpt_check(c));
  at_lm_task *t;
  AT_TRY(at_alloc(&t, 1, sizeof *t, "language model"));
  t->gpt = *c;
  t->batch = batch;
  t->eval_batch = eval_batch;
  at_task_def def = {.build = build, .context = &t->gpt, .is_measured = measured};
  at_err err;
  AT_TRY_TO(err, failed, at_task_create(&t->task, &def, k));
  AT_TRY_TO(err, failed, at_task_program(t->task, AT_PASS_TRAIN, batch, &t->train));
  AT_TRY_TO(err, failed, at_task_program(t->task, AT_PASS_EVAL, eval_batch, &t->eval));
  *out = t;
  return AT_OK;
failed:
  at_lm_task_destroy(t);
  return err;
}

at_err at_lm_task_create(at_lm_task **out, const at_gpt *c, int batch, int eval_batch, const at_kernels *k) {
  return create(out, c, batch, eval_batch, k, false);
}

at_err at_lm_task_measure(at_lm_task **out, const at_gpt *c, int batch, int eval_batch, const at_kernels *k) {
  return create(out, c, batch, eval_batch, k, true);
}

void at_lm_task_destroy(at_lm_task *t) {
  if (t != NULL) {
    at_task_destroy(t->task);
    at_free(t);
  }
}

const at_layout *at_lm_task_layout(const at_lm_task *t) {
  return at_task_params(t->task);
}

int64_t at_lm_task_context(const at_lm_task *t) {
  return t->gpt.context;
}

int at_lm_task_batch(const at_lm_task *t) {
  return t->batch;
}

int at_lm_task_eval_batch(const at_lm_task *t) {
  return t->eval_batch;
}

size_t at_lm_task_bytes(const at_lm_task *t) {
  return at_task_bytes(t->task);
}

at_program_stats at_lm_task_stats(const at_lm_task *t) {
  return at_program_get_stats(t->train);
}

double at_lm_task_grad(at_lm_task *t, const float *theta, const int32_t *tokens, const int32_t *targets, float **grad,
                       at_poll poll, void *context) {
  float value[AT_TASK_OUTS];
  at_task_call c = {.theta = theta, .in = {tokens, targets}, .poll = poll, .poll_context = context};
  at_task_exec(t->task, t->train, &c, value, grad);
  return value[0];
}

float *at_lm_task_gradient(const at_lm_task *t, const at_ready **ready, int *n_ready) {
  *n_ready = at_program_ready(t->train, ready);
  return at_task_gradient(t->task);
}

void at_lm_task_profile(at_lm_task *t, const float *theta, const int32_t *tokens, const int32_t *targets,
                        double (*now_s)(void), at_profile *rows) {
  float value[AT_TASK_OUTS];
  at_task_profile(t->task, t->train, &(at_task_call){.theta = theta, .in = {tokens, targets}}, value, now_s, rows);
}

double at_lm_task_eval(at_lm_task *t, const float *theta, const int32_t *tokens, const int32_t *targets) {
  float value[AT_TASK_OUTS];
  at_task_exec(t->task, t->eval, &(at_task_call){.theta = theta, .in = {tokens, targets}}, value, NULL);
  return value[0];
}
