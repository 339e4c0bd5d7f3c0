/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiled programs: a flat list of kernel calls over planned memory. */
#include <stdlib.h>
#include <string.h>

#include "kernels/split.h"
#include "src/base/alloc.h"
#include "src/graph/op_rows.h"
#include "src/graph/plan.h"
#include "src/graph/threads.h"

typedef struct step {
  at_kernel run;
  at_kcall call; /* dim and attr are final; pointers are resolved at each run */
  int n_in, n_out;
  at_place_ref in[AT_KIN], out[AT_KOUT], scratch;
  int chain; /* steps of the element-wise chain that begins here; 1: none */
  bool flat; /* in a chain: the kernel counts elements in dim[0], otherwise it takes shape and strides */
  bool scalar[AT_KIN];
  int64_t count;                        /* elements of the output */
  size_t in_stride[AT_KIN], out_stride; /* in a chain: bytes from one element to the next; 0: the same again */
  size_t in_copy[AT_KIN], out_copy;     /* in a chain: bytes from one thread's copy to the next one's; 0: not copied */
  at_kslot slot;
  int shares;           /* that threads take of the call; 1: one does it all */
  int64_t units;        /* of the call, which shares are cut from */
  size_t scratch_bytes; /* of one thread */
  at_op op;
  double flops, bytes;
} step;

struct at_program {
  int n_step, n_copy, threads;
  step *step;
  at_copy *copy;
  void *constants;
  int n_ready;
  at_ready *ready;
  at_program_stats stats;
};

static double moved_bytes(const at_graph *g, const at_node *n) {
  double bytes = 0;
  for (int k = 0; k < n->n_in + n->n_out; k++) {
    const at_value *v = &g->value[k < n->n_in ? n->in[k] : n->out + k - n->n_in];
    bytes += (double)at_shape_count(v->shape) * (double)at_dtype_bytes(v->dtype);
  }
  return bytes;
}

/* How the step's pointers advance when it runs block by block. */
static void lower_chained(step *s, const at_graph *g, const at_node *n, const at_plan *plan) {
  size_t real = at_dtype_bytes(g->real);
  s->flat = at_op_get(n->op)->lower == at_lower_unary;
  for (int k = 0; k < n->n_in; k++) {
    s->scalar[k] = at_shape_count(g->value[n->in[k]].shape) == 1;
    s->in_stride[k] = s->scalar[k] || plan->local[n->in[k]] ? 0 : real;
    s->in_copy[k] = plan->local[n->in[k]] ? AT_CHAIN_BLOCK * real : 0;
  }
  s->count = at_shape_count(g->value[n->out].shape);
  s->out_stride = plan->local[n->out] ? 0 : real;
  s->out_copy = plan->local[n->out] ? AT_CHAIN_BLOCK * real : 0;
}

/* What threads share: calls that move enough for the others to be worth waking. */
static void lower_shared(step *s, const at_graph *g, const at_node *n, int threads) {
  enum { LEAST = 1 << 16 };
  s->scratch_bytes = at_plan_scratch(g, n);
  s->units = at_kernel_units(s->slot, s->call.dim);
  s->shares = threads > 1 && g->real == AT_F32 && s->units >= threads && s->bytes >= LEAST ? threads : 1;
}

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
  s->slot = at_op_slot(g, n->op);
  s->run = type == AT_F64 ? k->f64[s->slot] : k->f32[s->slot];
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
  s->bytes = moved_bytes(g, &m);
  s->chain = index > 0 && plan->chain[index - 1] == plan->chain[index] ? 1 : plan->chain[index] - index + 1;
  lower_chained(s, g, &m, plan);
  lower_shared(s, g, n, plan->threads);
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

/* Polls after which nothing writes to [at, at + bytes) of the gradient any more; 0: nothing ever does. */
static int last_poll(const at_program *p, const at_graph *g, const at_plan *plan, int64_t at, int64_t bytes) {
  int polls = 0, last = 0;
  for (int i = 0; i < p->n_step; i += p->step[i].chain) {
    polls++;
    for (int s = i; s < i + p->step[i].chain; s++) {
      const at_node *n = &g->node[plan->node[s]];
      for (int j = 0; j < n->n_out; j++) {
        const at_place_ref r = plan->place[n->out + j];
        const at_value *v = &g->value[n->out + j];
        const int64_t end = r.offset + at_shape_count(v->shape) * (int64_t)at_dtype_bytes(v->dtype);
        last = r.base == AT_BASE_GRAD && r.offset < at + bytes && at < end ? polls : last;
      }
    }
  }
  return last;
}

static bool is_copied(const at_program *p, int64_t at) {
  for (int i = 0; i < p->n_copy; i++) {
    if (p->copy[i].to.base == AT_BASE_GRAD && p->copy[i].to.offset == at) {
      return true;
    }
  }
  return false;
}

static int by_polls(const void *a, const void *b) {
  const at_ready *x = a, *y = b;
  return x->polls != y->polls ? (x->polls < y->polls ? -1 : 1) : x->offset < y->offset ? -1 : x->offset > y->offset;
}

static at_err find_ready(at_program *p, const at_graph *g, const at_plan *plan, const at_output *outs, int n_outs) {
  const int64_t real = (int64_t)at_dtype_bytes(g->real);
  AT_TRY(at_alloc(&p->ready, (size_t)n_outs, sizeof *p->ready, "parts of the gradient"));
  for (int i = 0; i < n_outs; i++) {
    const at_output *o = &outs[i];
    if (o->slot == AT_SLOT_GRAD && o->value != AT_NONE && !is_copied(p, o->offset * real)) {
      const int64_t count = at_shape_count(g->value[o->value].shape);
      const int polls = last_poll(p, g, plan, o->offset * real, count * real);
      p->ready[p->n_ready++] = (at_ready){.polls = polls, .offset = o->offset, .count = count};
    }
  }
  qsort(p->ready, (size_t)p->n_ready, sizeof *p->ready, by_polls);
  return AT_OK;
}

static at_err build(at_program *p, const at_graph *g, const at_kernels *k, at_plan *plan) {
  AT_TRY(at_alloc(&p->step, (size_t)plan->n_step, sizeof *p->step, "program steps"));
  AT_TRY(at_alloc(&p->constants, plan->const_bytes, 1, "program constants"));
  p->n_step = plan->n_step;
  p->threads = plan->threads;
  for (int s = 0; s < p->n_step; s++) {
    lower_step(&p->step[s], g, k, plan, s);
    p->stats.flops += p->step[s].flops;
  }
  fill_constants(g, plan, p->constants);
  p->stats.nodes = p->n_step;
  p->stats.arena_bytes = plan->arena_bytes;
  p->stats.live_bytes = plan->live_bytes;
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
  AT_TRY(at_plan_make(&plan, g, outs, n_outs, k->threads));
  at_program *p = NULL;
  at_err err = at_alloc(&p, 1, sizeof *p, "program");
  if (err == AT_OK) {
    err = build(p, g, k, &plan);
    err = err == AT_OK ? find_ready(p, g, &plan, outs, n_outs) : err;
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
    at_free(p->ready);
    at_free(p->constants);
    at_free(p);
  }
}

size_t at_program_arena_bytes(const at_program *p) {
  return p->stats.arena_bytes;
}

int at_program_ready(const at_program *p, const at_ready **out) {
  *out = p->ready;
  return p->n_ready;
}

static inline void *resolve(char *const *base, at_place_ref r) {
  return base[r.base] + r.offset;
}

static void bind_buffers(const at_program *p, const at_bind *b, char **base) {
  base[AT_BASE_NULL] = NULL;
  base[AT_BASE_PARAM] = (char *)b->param;
  base[AT_BASE_STATE] = b->state;
  base[AT_BASE_GRAD] = b->grad;
  base[AT_BASE_ARENA] = b->arena;
  base[AT_BASE_CONST] = p->constants;
  for (int i = 0; i < AT_BIND_IN; i++) {
    base[AT_BASE_IN + i] = (char *)b->in[i];
  }
  for (int i = 0; i < AT_BIND_OUT; i++) {
    base[AT_BASE_OUT + i] = b->out[i];
  }
}

static at_kcall resolve_call(const step *s, char *const *base) {
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
  return call;
}

static void run_step(const step *s, char *const *base) {
  at_kcall call = resolve_call(s, base);
  s->run(&call);
}

static void run_share(const step *s, char *const *base, int share) {
  at_kcall call = resolve_call(s, base);
  int64_t from, count;
  at_kernel_cut(s->units, share, s->shares, &from, &count);
  at_kernel_share(s->slot, &call, from, count);
  if (call.scratch != NULL) {
    call.scratch = (char *)call.scratch + (size_t)share * s->scratch_bytes;
  }
  s->run(&call);
}

/* `count` elements from element `from` of an element-wise step, for thread `me`. */
static void run_block(const step *s, char *const *base, int64_t from, int64_t count, int me) {
  at_kcall call = {.attr = {s->call.attr[0], s->call.attr[1], s->call.attr[2], s->call.attr[3]}};
  call.dim[0] = s->flat ? count : 1;
  call.dim[1] = count;
  for (int k = 0; k < s->n_in; k++) {
    call.in[k] = (char *)resolve(base, s->in[k]) + (size_t)from * s->in_stride[k] + (size_t)me * s->in_copy[k];
    call.dim[2 + k] = s->scalar[k] ? 0 : 1;
  }
  call.out[0] = (char *)resolve(base, s->out[0]) + (size_t)from * s->out_stride + (size_t)me * s->out_copy;
  s->run(&call);
}

/* The blocks of a chain that fall to thread `me` of n. */
static void run_chain(const step *s, char *const *base, int me, int n) {
  for (int64_t from = me * AT_CHAIN_BLOCK; from < s->count; from += n * AT_CHAIN_BLOCK) {
    int64_t left = s->count - from;
    for (int i = 0; i < s->chain; i++) {
      run_block(&s[i], base, from, left < AT_CHAIN_BLOCK ? left : AT_CHAIN_BLOCK, me);
    }
  }
}

static void copy_outputs(const at_program *p, char *const *base) {
  for (int i = 0; i < p->n_copy; i++) {
    const at_copy *c = &p->copy[i];
    if (c->from.base == AT_BASE_NULL) {
      memset(resolve(base, c->to), 0, c->bytes);
    } else {
      memcpy(resolve(base, c->to), resolve(base, c->from), c->bytes);
    }
  }
}

typedef struct run {
  const at_program *p;
  char **base;
  at_poll poll;
  void *poll_context;
} run;

/* What thread `me` of n does for a step, or a chain that begins with it. */
static void run_some(const step *s, char *const *base, int me, int n) {
  if (s->chain > 1) {
    run_chain(s, base, me, n);
  } else if (s->shares > 1) {
    for (int share = me; share < s->shares; share += n) {
      run_share(s, base, share);
    }
  } else if (me == 0) {
    run_step(s, base);
  }
}

/* Every thread walks through the whole program; only thread 0 polls, as MPI may be behind it. */
static void run_thread(void *context, int me, int n) {
  const run *r = context;
  const at_program *p = r->p;
  for (int i = 0; i < p->n_step; i += p->step[i].chain) {
    run_some(&p->step[i], r->base, me, n);
    if (n > 1) {
      at_threads_wait();
    }
    if (me == 0 && r->poll != NULL) {
      r->poll(r->poll_context);
    }
  }
}

void at_program_run(const at_program *p, const at_bind *b, at_poll poll, void *context) {
  char *base[AT_BASE_COUNT];
  bind_buffers(p, b, base);
  run r = {p, base, poll, context};
  if (p->threads > 1) {
    at_threads_run(p->threads, run_thread, &r);
  } else {
    run_thread(&r, 0, 1);
  }
  copy_outputs(p, base);
}

typedef struct one_step {
  const step *s;
  char **base;
} one_step;

static void run_alone(void *context, int me, int n) {
  const one_step *o = context;
  run_some(o->s, o->base, me, n);
}

void at_program_profile(const at_program *p, const at_bind *b, double (*now_s)(void), at_profile *rows) {
  char *base[AT_BASE_COUNT];
  bind_buffers(p, b, base);
  for (int i = 0; i < p->n_step; i += p->step[i].chain) {
    const step *s = &p->step[i];
    double start = now_s();
    one_step o = {s, base};
    if (p->threads > 1) {
      at_threads_run(p->threads, run_alone, &o);
    } else {
      run_alone(&o, 0, 1);
    }
    double each = (now_s() - start) / s->chain; /* a chain is timed as a whole */
    for (int k = 0; k < s->chain; k++) {
      at_profile *row = &rows[s[k].op];
      row->name = at_op_get(s[k].op)->name;
      row->calls++;
      row->chained += s->chain > 1;
      row->seconds += each;
      row->flops += s[k].flops;
      row->bytes += s[k].bytes;
    }
  }
  copy_outputs(p, base);
}

int at_profile_rows(void) {
  return AT_OP_COUNT;
}

at_program_stats at_program_get_stats(const at_program *p) {
  return p->stats;
}
