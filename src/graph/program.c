/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiled programs: a flat list of kernel calls over planned memory. */
#include <string.h>

#include "src/base/alloc.h"
#include "src/graph/graph_internal.h"
#include "src/graph/plan.h"

typedef struct step {
  at_kernel run;
  at_kcall call; /* dim and attr are final; pointers are resolved at each run */
  int n_in, n_out;
  at_place_ref in[AT_KIN], out[AT_KOUT], scratch;
  at_op op;
  double flops;
} step;

struct at_program {
  int n_step, n_copy;
  step *step;
  at_copy *copy;
  void *constants;
  at_program_stats stats;
};

static void lower_step(step *s, const at_graph *g, const at_kernels *k, const at_plan *plan, int index) {
  const at_node *n = &g->node[plan->node[index]];
  const at_op_row *row = at_op_get(n->op);
  at_node m = *n; /* as it will be called */
  if (plan->swap[index]) {
    m.in[0] = n->in[1];
    m.in[1] = n->in[0];
  }
  int64_t shift = 0;
  s->op = n->op;
  /* Four bytes are four bytes: what only moves elements moves i32 with its f32 kernel. */
  at_dtype type = row->moves ? g->value[m.in[0]].dtype : g->real;
  s->run = type == AT_F64 ? k->f64[row->kslot] : k->f32[row->kslot];
  s->n_in = m.n_in;
  s->n_out = m.n_out;
  row->lower(g, &m, &s->call, &shift);
  for (int i = 0; i < m.n_in; i++) {
    s->in[i] = plan->place[m.in[i]];
  }
  s->in[0].offset += shift * (int64_t)at_dtype_bytes(type);
  for (int j = 0; j < m.n_out; j++) {
    s->out[j] = plan->place[m.out + j];
  }
  s->scratch = plan->scratch[index];
  s->flops = row->flops ? row->flops(g, n) : 0;
}

static void fill_constants(const at_graph *g, const at_plan *plan, char *base) {
  for (int v = 0; v < g->n_value; v++) {
    const at_value *x = &g->value[v];
    if (x->leaf != AT_LEAF_CONST || plan->place[v].base != AT_BASE_CONST) {
      continue;
    }
    int64_t n = at_shape_count(x->shape);
    void *at = base + plan->place[v].offset;
    for (int64_t i = 0; i < n; i++) {
      if (g->real == AT_F64) {
        ((double *)at)[i] = x->fill;
      } else {
        ((float *)at)[i] = (float)x->fill;
      }
    }
  }
}

static at_err build(at_program *p, const at_graph *g, const at_kernels *k, at_plan *plan) {
  AT_TRY(at_alloc(&p->step, (size_t)plan->n_step, sizeof *p->step, "program steps"));
  AT_TRY(at_alloc(&p->constants, plan->const_bytes, 1, "program constants"));
  p->n_step = plan->n_step;
  for (int s = 0; s < p->n_step; s++) {
    lower_step(&p->step[s], g, k, plan, s);
    p->stats.flops += p->step[s].flops;
  }
  fill_constants(g, plan, p->constants);
  p->stats.nodes = p->n_step;
  p->stats.arena_bytes = plan->arena_bytes;
  p->stats.scratch_bytes = plan->scratch_bytes;
  p->stats.const_bytes = plan->const_bytes;
  p->n_copy = plan->n_copy;
  p->copy = plan->copy;
  plan->copy = NULL; /* now ours */
  return AT_OK;
}

at_err at_program_compile(at_program **out, const at_graph *g, const at_kernels *k, const at_output *outs, int n_outs) {
  *out = NULL;
  AT_TRY(at_graph_status(g));
  at_plan plan;
  AT_TRY(at_plan_make(&plan, g, outs, n_outs));
  at_program *p = NULL;
  at_err err = at_alloc(&p, 1, sizeof *p, "program");
  if (err == AT_OK) {
    err = build(p, g, k, &plan);
  }
  at_plan_clear(&plan);
  if (err != AT_OK) {
    at_program_destroy(p);
    return err;
  }
  *out = p;
  return AT_OK;
}

void at_program_destroy(at_program *p) {
  if (p != NULL) {
    at_free(p->step);
    at_free(p->copy);
    at_free(p->constants);
    at_free(p);
  }
}

size_t at_program_arena_bytes(const at_program *p) {
  return p->stats.arena_bytes;
}

static inline void *resolve(char *const *base, at_place_ref r) {
  return base[r.base] + r.offset;
}

void at_program_run(const at_program *p, const at_bind *b, at_poll poll, void *context) {
  char *base[AT_BASE_COUNT] = {[AT_BASE_PARAM] = (char *)b->param,
                               [AT_BASE_STATE] = b->state,
                               [AT_BASE_GRAD] = b->grad,
                               [AT_BASE_ARENA] = b->arena,
                               [AT_BASE_CONST] = p->constants};
  for (int i = 0; i < AT_BIND_IN; i++) {
    base[AT_BASE_IN + i] = (char *)b->in[i];
  }
  for (int i = 0; i < AT_BIND_OUT; i++) {
    base[AT_BASE_OUT + i] = b->out[i];
  }
  for (int i = 0; i < p->n_step; i++) {
    const step *s = &p->step[i];
    at_kcall call = s->call;
    for (int k = 0; k < s->n_in; k++) {
      call.in[k] = resolve(base, s->in[k]);
    }
    for (int k = 0; k < s->n_out; k++) {
      call.out[k] = resolve(base, s->out[k]);
    }
    if (s->scratch.base != AT_BASE_NULL) {
      call.scratch = resolve(base, s->scratch);
    }
    s->run(&call);
    if (poll != NULL) {
      poll(context);
    }
  }
  for (int i = 0; i < p->n_copy; i++) {
    const at_copy *c = &p->copy[i];
    if (c->from.base == AT_BASE_NULL) {
      memset(resolve(base, c->to), 0, c->bytes);
    } else {
      memcpy(resolve(base, c->to), resolve(base, c->from), c->bytes);
    }
  }
}

at_program_stats at_program_get_stats(const at_program *p) {
  return p->stats;
}

void at_program_print(const at_program *p, FILE *out) {
  fprintf(out, "%-16s %6s %12s\n", "kernel", "calls", "MFLOP");
  for (int op = 0; op < AT_OP_COUNT; op++) {
    int calls = 0;
    double flops = 0;
    for (int i = 0; i < p->n_step; i++) {
      calls += p->step[i].op == (at_op)op;
      flops += p->step[i].op == (at_op)op ? p->step[i].flops : 0;
    }
    if (calls > 0) {
      fprintf(out, "%-16s %6d %12.3f\n", at_op_get((at_op)op)->name, calls, flops * 1e-6);
    }
  }
}
