/* SPDX-License-Identifier: BSD-3-Clause */
/* A language model compiled for training and evaluation. */
#include "src/nn/lm_task.h"

#include "src/base/alloc.h"
#include "src/graph/ops.h"

struct at_lm_task {
  at_gpt gpt;
  int batch, eval_batch;
  at_graph *graph; /* of training; owns the layout */
  at_program *train, *eval;
  float *grad;
  void *arena; /* shared: the programs run one after the other */
  size_t arena_bytes;
};

static at_val loss_of(at_graph *g, const at_gpt *c, int batch, double scale) {
  at_val tokens = at_graph_input(g, "tokens", AT_I32, AT_SHAPE(batch, c->context));
  at_val targets = at_graph_input(g, "targets", AT_I32, AT_SHAPE(batch * c->context));
  return at_cross_entropy(g, at_gpt_logits(g, c, tokens), targets, scale);
}

static at_err compile_train(at_lm_task *t, const at_kernels *k) {
  AT_TRY(at_graph_create(&t->graph, AT_F32));
  at_graph *g = t->graph;
  at_val loss = loss_of(g, &t->gpt, t->batch, 1.0 / (double)(t->batch * t->gpt.context));
  AT_TRY(at_graph_status(g));
  const at_layout *l = at_graph_params(g);
  at_val *wrt = NULL;
  at_output *outs = NULL;
  at_err err;
  AT_TRY_TO(err, done, at_alloc(&wrt, 2 * (size_t)l->n, sizeof *wrt, "gradient list"));
  AT_TRY_TO(err, done, at_alloc(&outs, (size_t)l->n + 1, sizeof *outs, "program outputs"));
  at_val *grad = wrt + l->n;
  for (int i = 0; i < l->n; i++) {
    wrt[i] = at_graph_param_value(g, i);
  }
  AT_TRY_TO(err, done, at_graph_vjp(g, &loss, NULL, 1, wrt, l->n, grad));
  for (int i = 0; i < l->n; i++) {
    outs[i] =
        (at_output){.value = grad[i], .slot = AT_SLOT_GRAD, .offset = l->tensor[i].offset, .count = l->tensor[i].count};
  }
  outs[l->n] = (at_output){.value = loss, .slot = AT_SLOT_OUT};
  AT_TRY_TO(err, done, at_program_compile(&t->train, g, k, outs, l->n + 1));
done:
  at_free(wrt);
  at_free(outs);
  return err;
}

static at_err compile_eval(at_lm_task *t, const at_kernels *k) {
  at_graph *g;
  AT_TRY(at_graph_create(&g, AT_F32));
  at_output out = {.value = loss_of(g, &t->gpt, t->eval_batch, 1.0), .slot = AT_SLOT_OUT};
  at_err err = at_program_compile(&t->eval, g, k, &out, 1);
  at_graph_destroy(g);
  return err;
}

at_err at_lm_task_measure(at_lm_task **out, const at_gpt *c, int batch, int eval_batch, const at_kernels *k) {
  *out = NULL;
  AT_TRY(at_gpt_check(c));
  at_lm_task *t;
  AT_TRY(at_alloc(&t, 1, sizeof *t, "language model"));
  t->gpt = *c;
  t->batch = batch;
  t->eval_batch = eval_batch;
  at_err err;
  AT_TRY_TO(err, failed, compile_train(t, k));
  AT_TRY_TO(err, failed, compile_eval(t, k));
  size_t a = at_program_arena_bytes(t->train), b = at_program_arena_bytes(t->eval);
  t->arena_bytes = a > b ? a : b;
  *out = t;
  return AT_OK;
failed:
  at_lm_task_destroy(t);
  return err;
}

static at_err allocate(at_lm_task *t) {
  AT_TRY(at_alloc(&t->grad, (size_t)at_graph_params(t->graph)->count, sizeof *t->grad, "gradient"));
  return at_alloc(&t->arena, t->arena_bytes, 1, "activation arena");
}

at_err at_lm_task_create(at_lm_task **out, const at_gpt *c, int batch, int eval_batch, const at_kernels *k) {
  AT_TRY(at_lm_task_measure(out, c, batch, eval_batch, k));
  at_err err = allocate(*out);
  if (err != AT_OK) {
    at_lm_task_destroy(*out);
    *out = NULL;
  }
  return err;
}

void at_lm_task_destroy(at_lm_task *t) {
  if (t != NULL) {
    at_program_destroy(t->train);
    at_program_destroy(t->eval);
    at_graph_destroy(t->graph);
    at_free(t->grad);
    at_free(t->arena);
    at_free(t);
  }
}

const at_layout *at_lm_task_layout(const at_lm_task *t) {
  return at_graph_params(t->graph);
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
  return t->arena_bytes + (size_t)at_graph_params(t->graph)->count * sizeof(float) +
         at_program_get_stats(t->train).const_bytes + at_program_get_stats(t->eval).const_bytes;
}

at_program_stats at_lm_task_stats(const at_lm_task *t) {
  return at_program_get_stats(t->train);
}

double at_lm_task_grad(at_lm_task *t, const float *theta, const int32_t *tokens, const int32_t *targets, float **grad,
                       at_poll poll, void *context) {
  float loss;
  at_bind b = {.param = theta, .grad = t->grad, .in = {tokens, targets}, .out = {&loss}, .arena = t->arena};
  at_program_run(t->train, &b, poll, context);
  *grad = t->grad;
  return loss;
}

void at_lm_task_profile(at_lm_task *t, const float *theta, const int32_t *tokens, const int32_t *targets,
                        double (*now_s)(void), at_profile *rows) {
  float loss;
  at_bind b = {.param = theta, .grad = t->grad, .in = {tokens, targets}, .out = {&loss}, .arena = t->arena};
  at_program_profile(t->train, &b, now_s, rows);
}

double at_lm_task_eval(at_lm_task *t, const float *theta, const int32_t *tokens, const int32_t *targets) {
  float loss;
  at_bind b = {.param = theta, .in = {tokens, targets}, .out = {&loss}, .arena = t->arena};
  at_program_run(t->eval, &b, NULL, NULL);
  return loss;
}
