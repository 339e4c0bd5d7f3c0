/* SPDX-License-Identifier: BSD-3-Clause */
/* A model with its loss, compiled once per pass and batch size. */
#include "src/nn/task.h"

#include "src/base/alloc.h"
#include "src/graph/ops.h"

typedef struct memo {
  at_pass pass;
  int64_t batch;
  int rate; /* AT_PASS_SGD: the input that is -lr */
  at_program *program;
} memo;

struct at_task {
  at_task_def def;
  const at_kernels *k;
  at_graph *graph; /* owns the layouts */
  memo *memo;
  int n_memo;
  float *grad;
  void *arena; /* shared: programs run one after the other */
  size_t arena_bytes;
};

/* --- building ----------------------------------------------------------------------------------------------------------------- */

/* A graph with the model in it.  `bare`: everything is trained and nothing is injected.  s is the caller's to fini. */
static at_err build(const at_task_def *d, at_pass pass, int64_t batch, bool bare, at_graph **g, at_scope *s,
                    at_val out[AT_TASK_OUTS], int *n_out) {
  AT_TRY(at_graph_create(g, AT_F32));
  at_scope_init(s, *g);
  s->training = pass == AT_PASS_TRAIN;
  if (!bare) {
    s->train = d->train;
    s->hook = d->hook;
    s->hook_context = d->hook_context;
  }
  *n_out = d->build(s, d->context, pass, batch, out);
  return at_scope_status(s);
}

/* Outputs of a pass besides its gradient: scalars, then running statistics. */
static int plain_outputs(const at_scope *s, const at_val *value, int n_value, at_output *o) {
  const at_layout *states = at_graph_states(s->g);
  int n = 0;
  for (int i = 0; i < n_value; i++) {
    o[n++] = (at_output){.value = value[i], .slot = AT_SLOT_OUT, .index = i};
  }
  for (int i = 0; i < s->n_update; i++) {
    o[n++] = (at_output){
        .value = s->update[i].next, .slot = AT_SLOT_STATE, .offset = states->tensor[s->update[i].state].offset};
  }
  return n;
}

/* The step of parameter i along its gradient, or the gradient itself. */
static at_output trained(at_graph *g, at_pass pass, int i, at_val grad, at_val rate) {
  const at_tensor *t = &at_graph_params(g)->tensor[i];
  if (pass == AT_PASS_TRAIN) {
    return (at_output){.value = grad, .slot = AT_SLOT_GRAD, .offset = t->offset, .count = t->count};
  }
  return (at_output){
      .value = at_add_scaled(g, at_graph_param_value(g, i), grad, rate), .slot = AT_SLOT_PARAM, .offset = t->offset};
}

static at_err compile(const at_task *t, const at_scope *s, at_pass pass, const at_val *value, int n_value, memo *m) {
  const at_layout *l = at_graph_params(s->g);
  int n_grad = pass != AT_PASS_EVAL ? l->n : 0;
  at_output *o = NULL;
  at_val *wrt = NULL, rate = AT_NONE;
  at_err err;
  AT_TRY_TO(err, done, at_alloc(&o, (size_t)(n_grad + s->n_update + n_value), sizeof *o, "program outputs"));
  AT_TRY_TO(err, done, at_alloc(&wrt, 2 * (size_t)n_grad, sizeof *wrt, "gradient list"));
  at_val *grad = wrt + n_grad;
  for (int i = 0; i < n_grad; i++) {
    wrt[i] = at_graph_param_value(s->g, i);
  }
  if (n_grad > 0) {
    AT_TRY_TO(err, done, at_graph_vjp(s->g, value, NULL, 1, wrt, n_grad, grad));
  }
  if (pass == AT_PASS_SGD) {
    m->rate = at_graph_input_count(s->g);
    rate = at_graph_input(s->g, "-lr", AT_F32, AT_SCALAR);
  }
  int n = 0;
  for (int i = 0; i < n_grad; i++) { /* after all that reads parameters, so that they can be overwritten */
    if (pass == AT_PASS_TRAIN || grad[i] != AT_NONE) {
      o[n++] = trained(s->g, pass, i, grad[i], rate);
    }
  }
  n += plain_outputs(s, value, n_value, o + n);
  AT_TRY_TO(err, done, at_program_compile(&m->program, s->g, t->k, o, n));
done:
  at_free(o);
  at_free(wrt);
  return err;
}

static at_err make_program(const at_task *t, memo *m) {
  at_graph *g = NULL;
  at_scope s = {0};
  at_val value[AT_TASK_OUTS];
  int n = 0;
  at_err err = build(&t->def, m->pass == AT_PASS_SGD ? AT_PASS_TRAIN : m->pass, m->batch, false, &g, &s, value, &n);
  if (err == AT_OK) {
    err = compile(t, &s, m->pass, value, n, m);
  }
  at_scope_fini(&s);
  at_graph_destroy(g);
  return err;
}

/* --- the task ----------------------------------------------------------------------------------------------------------------- */

at_err at_task_create(at_task **out, const at_task_def *def, const at_kernels *k) {
  *out = NULL;
  at_task *t;
  AT_TRY(at_alloc(&t, 1, sizeof *t, "task"));
  t->def = *def;
  t->k = k;
  at_scope s = {0};
  at_val value[AT_TASK_OUTS];
  int n;
  at_err err = build(def, AT_PASS_TRAIN, 1, false, &t->graph, &s, value, &n);
  at_scope_fini(&s);
  if (err == AT_OK) {
    err = at_alloc(&t->grad, def->is_measured ? 0 : (size_t)at_task_params(t)->count, sizeof *t->grad, "gradient");
  }
  if (err != AT_OK) {
    at_task_destroy(t);
    return err;
  }
  *out = t;
  return AT_OK;
}

void at_task_destroy(at_task *t) {
  if (t == NULL) {
    return;
  }
  for (int i = 0; i < t->n_memo; i++) {
    at_program_destroy(t->memo[i].program);
  }
  at_free(t->memo);
  at_graph_destroy(t->graph);
  at_free(t->grad);
  at_free(t->arena);
  at_free(t);
}

const at_layout *at_task_params(const at_task *t) {
  return at_graph_params(t->graph);
}

const at_layout *at_task_states(const at_task *t) {
  return at_graph_states(t->graph);
}

at_err at_task_init(const at_task *t, uint64_t seed, float *theta, float *state) {
  const at_layout *params = at_task_params(t), *states = at_task_states(t);
  at_graph *bare = NULL;
  at_scope s = {0};
  at_val value[AT_TASK_OUTS];
  float *x = NULL;
  int n;
  at_err err = build(&t->def, AT_PASS_TRAIN, 1, true, &bare, &s, value, &n);
  at_scope_fini(&s);
  if (err == AT_OK) {
    const at_layout *all = at_graph_params(bare);
    AT_TRY_TO(err, done, at_alloc(&x, (size_t)all->count, sizeof *x, "initial weights"));
    at_layout_init(all, seed, x);
    at_layout_init(params, seed, theta); /* what adapters add */
    AT_TRY_TO(err, done, at_layout_copy(all, x, params, theta, &n));
    if (states->n > 0) {
      at_layout_init(states, seed, state);
      AT_TRY_TO(err, done, at_layout_copy(all, x, states, state, &n));
    }
  }
done:
  at_free(x);
  at_graph_destroy(bare);
  return err;
}

at_err at_task_program(at_task *t, at_pass pass, int64_t batch, const at_program **out) {
  *out = NULL;
  for (int i = 0; i < t->n_memo; i++) {
    if (t->memo[i].pass == pass && t->memo[i].batch == batch) {
      *out = t->memo[i].program;
      return AT_OK;
    }
  }
  AT_TRY(at_realloc(&t->memo, (size_t)t->n_memo + 1, sizeof *t->memo, "programs of a task"));
  memo m = {.pass = pass, .batch = batch};
  AT_TRY(make_program(t, &m));
  size_t bytes = at_program_arena_bytes(m.program);
  if (bytes > t->arena_bytes) {
    void *arena;
    at_err err = at_alloc(&arena, t->def.is_measured ? 0 : bytes, 1, "activation arena");
    if (err != AT_OK) {
      at_program_destroy(m.program);
      return err;
    }
    at_free(t->arena);
    t->arena = arena;
    t->arena_bytes = bytes;
  }
  t->memo[t->n_memo++] = m;
  *out = m.program;
  return AT_OK;
}

size_t at_task_bytes(const at_task *t) {
  size_t bytes = t->arena_bytes + (size_t)at_task_params(t)->count * sizeof *t->grad;
  for (int i = 0; i < t->n_memo; i++) {
    bytes += at_program_get_stats(t->memo[i].program).const_bytes;
  }
  return bytes;
}

/* The input that is -lr, or -1 if the program takes no step. */
static int rate_of(const at_task *t, const at_program *p) {
  for (int i = 0; i < t->n_memo; i++) {
    if (t->memo[i].program == p) {
      return t->memo[i].pass == AT_PASS_SGD ? t->memo[i].rate : -1;
    }
  }
  return -1;
}

/* *rate has to live as long as the run. */
static at_bind bind(const at_task *t, const at_program *p, const at_task_call *c, float value[AT_TASK_OUTS],
                    float *rate) {
  at_bind b = {.param = c->theta, .state = c->state, .grad = t->grad, .arena = t->arena};
  for (int i = 0; i < AT_BIND_IN; i++) {
    b.in[i] = c->in[i];
  }
  for (int i = 0; i < AT_TASK_OUTS; i++) {
    b.out[i] = value + i;
  }
  const int at = rate_of(t, p);
  if (at >= 0) {
    *rate = (float)-c->lr;
    b.in[at] = rate;
  }
  return b;
}

float *at_task_gradient(const at_task *t) {
  return t->grad;
}

void at_task_exec(at_task *t, const at_program *p, const at_task_call *c, float value[AT_TASK_OUTS], float **grad) {
  float rate;
  at_bind b = bind(t, p, c, value, &rate);
  at_program_run(p, &b, c->poll, c->poll_context);
  if (grad != NULL) {
    *grad = t->grad;
  }
}

void at_task_profile(at_task *t, const at_program *p, const at_task_call *c, float value[AT_TASK_OUTS],
                     double (*now_s)(void), at_profile *rows) {
  float rate;
  at_bind b = bind(t, p, c, value, &rate);
  at_program_profile(p, &b, now_s, rows);
}

at_err at_task_run(at_task *t, at_pass pass, int64_t batch, const at_task_call *c, float value[AT_TASK_OUTS],
                   float **grad) {
  const at_program *p;
  AT_TRY(at_task_program(t, pass, batch, &p));
  at_task_exec(t, p, c, value, grad);
  return AT_OK;
}
