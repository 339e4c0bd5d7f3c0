/* SPDX-License-Identifier: BSD-3-Clause */
/* First and second derivatives of every differentiable operation and of whole models, in f64, from one case list.
 *
 * First: each element against central differences of the function.  Second: a Hessian-vector product against central
 * differences of the analytic gradient.  Errors are relative to the norm of the tensor they are in. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/graph/ops.h"
#include "src/nn/gpt.h"

enum { MAX_IDS = 64 };

/* Builds a scalar over parameters it declares; `ids` are given as i32 inputs. */
typedef struct grad_case {
  const char *name;
  at_val (*build)(at_graph *g);
  bool positive; /* inputs kept away from 0 */
} grad_case;

static at_val par(at_graph *g, const char *name, at_shape s) {
  return at_graph_param(g, name, s, (at_init){.kind = AT_INIT_NORMAL, .sd = 1});
}

/* A scalar that weighs every element of y differently and is not linear in y, so that second derivatives show. */
static at_val scalar(at_graph *g, at_val y) {
  at_shape s = at_graph_shape(g, y);
  at_val w = at_graph_param(g, "weight", s, (at_init){.kind = AT_INIT_NORMAL, .sd = 1});
  return at_sum_all(g, at_mul(g, at_tanh(g, at_affine(g, y, 0.3, 0.1)), w));
}

#define UNARY_CASE(op)                                         \
  static at_val build_##op(at_graph *g) {                      \
    return scalar(g, at_##op(g, par(g, "x", AT_SHAPE(3, 5)))); \
  }
UNARY_CASE(neg)
UNARY_CASE(exp)
UNARY_CASE(log)
UNARY_CASE(sqrt)
UNARY_CASE(tanh)
UNARY_CASE(sigmoid)
UNARY_CASE(square)
UNARY_CASE(recip)
UNARY_CASE(erf)
UNARY_CASE(gelu)
UNARY_CASE(silu)

#define BINARY_CASE(op)                                                               \
  static at_val build_##op(at_graph *g) {                                             \
    at_val a = par(g, "a", AT_SHAPE(2, 3, 5)), row = par(g, "row", AT_SHAPE(5));      \
    at_val column = par(g, "column", AT_SHAPE(3, 1)), one = par(g, "one", AT_SCALAR); \
    at_val y = at_##op(g, at_##op(g, a, row), at_##op(g, column, one));               \
    return scalar(g, at_##op(g, y, par(g, "b", AT_SHAPE(2, 1, 5))));                  \
  }
BINARY_CASE(add)
BINARY_CASE(sub)
BINARY_CASE(mul)
BINARY_CASE(div)

static at_val build_affine(at_graph *g) {
  return scalar(g, at_affine(g, par(g, "x", AT_SHAPE(7)), -1.5, 0.25));
}

static at_val build_shapes(at_graph *g) {
  at_val x = par(g, "x", AT_SHAPE(2, 3, 4));
  at_val y = at_permute(g, at_square(g, x), (int[]){2, 0, 1}); /* 4 2 3 */
  y = at_slice(g, y, 0, 1, 2);                                 /* 2 2 3 */
  y = at_place(g, y, 2, 1, 5);                                 /* 2 2 5 */
  y = at_broadcast(g, at_reshape(g, y, AT_SHAPE(4, 1, 5)), AT_SHAPE(4, 3, 5));
  return scalar(g, y);
}

static at_val build_sums(at_graph *g) {
  at_val x = at_square(g, par(g, "x", AT_SHAPE(2, 3, 4, 2)));
  at_val middle = at_sum(g, x, 1, 3);             /* 2 2 */
  at_val to = at_sum_to(g, x, AT_SHAPE(3, 1, 2)); /* 3 1 2 */
  return scalar(g, at_add(g, at_sum_to(g, to, AT_SHAPE(2)), at_mul(g, middle, middle)));
}

static at_val build_logsumexp(at_graph *g) {
  return scalar(g, at_logsumexp(g, par(g, "x", AT_SHAPE(3, 4))));
}

static at_val build_matmul(at_graph *g) {
  at_val a = par(g, "a", AT_SHAPE(2, 3, 4)), b = par(g, "b", AT_SHAPE(2, 4, 5)), w = par(g, "w", AT_SHAPE(5, 3));
  at_val c = at_matmul(g, a, b, false, false); /* 2 3 5 */
  return scalar(g, at_matmul(g, c, w, false, false));
}

static at_val build_matmul_transposed(at_graph *g) {
  at_val a = par(g, "a", AT_SHAPE(2, 4, 3)), b = par(g, "b", AT_SHAPE(2, 5, 4)), w = par(g, "w", AT_SHAPE(6, 3));
  at_val tt = at_matmul(g, a, b, true, true);                                   /* 2 3 5 */
  at_val nt = at_matmul(g, tt, at_matmul(g, w, tt, false, false), false, true); /* 2 3 6 */
  return scalar(g, at_matmul(g, nt, nt, true, false));
}

static at_val build_linear(at_graph *g) {
  at_val x = par(g, "x", AT_SHAPE(2, 3, 4));
  return scalar(g, at_linear(g, x, par(g, "w", AT_SHAPE(4, 5)), par(g, "bias", AT_SHAPE(5))));
}

static at_val build_embed(at_graph *g) {
  at_val ids = at_graph_input(g, "ids", AT_I32, AT_SHAPE(2, 3));
  return scalar(g, at_embed(g, par(g, "table", AT_SHAPE(7, 4)), ids));
}

static at_val build_onehot(at_graph *g) {
  at_val ids = at_graph_input(g, "ids", AT_I32, AT_SHAPE(6));
  return scalar(g, at_mul(g, at_onehot(g, ids, 7), par(g, "x", AT_SHAPE(6, 7))));
}

static at_val build_layernorm(at_graph *g) {
  at_val x = par(g, "x", AT_SHAPE(2, 3, 5));
  return scalar(g, at_layernorm(g, x, par(g, "gain", AT_SHAPE(5)), par(g, "bias", AT_SHAPE(5)), 1e-5));
}

static at_val build_rmsnorm(at_graph *g) {
  return scalar(g, at_rmsnorm(g, par(g, "x", AT_SHAPE(4, 5)), par(g, "gain", AT_SHAPE(5)), 1e-5));
}

static at_val build_rope(at_graph *g) {
  return scalar(g, at_rope(g, par(g, "x", AT_SHAPE(2, 3, 12)), 3, 2, 100.0));
}

static at_val build_attention(at_graph *g) {
  return scalar(g, at_attention(g, par(g, "qkv", AT_SHAPE(2, 5, 24)), 2, 2, true));
}

static at_val build_attention_grouped(at_graph *g) {
  return scalar(g, at_attention(g, par(g, "qkv", AT_SHAPE(1, 4, 16)), 4, 2, false));
}

static at_val build_causal_fill(at_graph *g) {
  return scalar(g, at_causal_fill(g, par(g, "x", AT_SHAPE(2, 3, 4)), 0.5));
}

static at_val build_cross_entropy(at_graph *g) {
  at_val ids = at_graph_input(g, "ids", AT_I32, AT_SHAPE(6));
  at_val x = at_mul(g, par(g, "x", AT_SHAPE(6, 7)), par(g, "scale", AT_SHAPE(7)));
  return at_cross_entropy(g, x, ids, 1.0 / 6);
}

static at_val build_gpt(at_graph *g, at_gpt c) {
  at_val ids = at_graph_input(g, "tokens", AT_I32, AT_SHAPE(2, 5));
  at_val targets = at_graph_input(g, "targets", AT_I32, AT_SHAPE(10));
  return at_cross_entropy(g, at_gpt_logits(g, &c, ids), targets, 0.1);
}

static at_val build_gpt_like(at_graph *g) {
  return build_gpt(g, (at_gpt){.vocab = 7,
                               .context = 6,
                               .width = 8,
                               .hidden = 12,
                               .layers = 2,
                               .heads = 2,
                               .kv_heads = 2,
                               .tied = true,
                               .bias = true,
                               .norm_eps = 1e-5});
}

static at_val build_llama_like(at_graph *g) {
  return build_gpt(g, (at_gpt){.vocab = 7,
                               .context = 5,
                               .width = 8,
                               .hidden = 12,
                               .layers = 2,
                               .heads = 4,
                               .kv_heads = 2,
                               .norm = AT_NORM_RMS,
                               .mlp = AT_MLP_SWIGLU,
                               .pos = AT_POS_ROPE,
                               .rope_base = 10000,
                               .norm_eps = 1e-5});
}

static const grad_case cases[] = {
    {"neg", build_neg, false},
    {"exp", build_exp, false},
    {"log", build_log, true},
    {"sqrt", build_sqrt, true},
    {"tanh", build_tanh, false},
    {"sigmoid", build_sigmoid, false},
    {"square", build_square, false},
    {"recip", build_recip, true},
    {"erf", build_erf, false},
    {"gelu", build_gelu, false},
    {"silu", build_silu, false},
    {"add", build_add, false},
    {"sub", build_sub, false},
    {"mul", build_mul, false},
    {"div", build_div, true},
    {"affine", build_affine, false},
    {"reshape, permute, broadcast, slice, place", build_shapes, false},
    {"sum", build_sums, false},
    {"logsumexp", build_logsumexp, false},
    {"matmul", build_matmul, false},
    {"matmul transposed", build_matmul_transposed, false},
    {"linear", build_linear, false},
    {"embed", build_embed, false},
    {"onehot", build_onehot, false},
    {"layernorm", build_layernorm, false},
    {"rmsnorm", build_rmsnorm, false},
    {"rope", build_rope, false},
    {"attention", build_attention, false},
    {"attention, grouped, full", build_attention_grouped, false},
    {"causal_fill", build_causal_fill, false},
    {"cross_entropy", build_cross_entropy, false},
    {"GPT", build_gpt_like, false},
    {"Llama", build_llama_like, false},
};

/* --- the check -------------------------------------------------------------------------------------------------------- */

typedef struct check {
  at_program *first, *second;
  int64_t n;
  double *theta, *u, *grad, *want, *work, *start;
  void *arena;
  int32_t ids[MAX_IDS];
  at_layout layout; /* a copy of the index; names are not used */
} check;

static double run(const check *c, const at_program *p, double *grad) {
  double loss = NAN;
  at_bind b = {
      .param = c->theta, .state = c->u, .grad = grad, .arena = c->arena, .in = {c->ids, c->ids + 3}, .out = {&loss}};
  at_program_run(p, &b, NULL, NULL);
  return loss;
}

static void compile(check *c, const grad_case *test, const at_kernels *k) {
  at_graph *g;
  at_val wrt[64], grad[64], hv[64];
  at_output outs[65];
  assert_int_equal(at_graph_create(&g, AT_F64), AT_OK);
  at_val loss = test->build(g);
  const at_layout *l = at_graph_params(g);
  at_val dot = AT_NONE;
  for (int i = 0; i < l->n; i++) {
    wrt[i] = at_graph_param_value(g, i);
  }
  assert_int_equal(at_graph_vjp(g, &loss, NULL, 1, wrt, l->n, grad), AT_OK);
  outs[0] = (at_output){.value = loss, .slot = AT_SLOT_OUT};
  for (int i = 0; i < l->n; i++) {
    outs[1 + i] =
        (at_output){.value = grad[i], .slot = AT_SLOT_GRAD, .offset = l->tensor[i].offset, .count = l->tensor[i].count};
  }
  assert_int_equal(at_program_compile(&c->first, g, k, outs, 1 + l->n), AT_OK);
  for (int i = 0; i < l->n; i++) {
    at_val u = at_graph_state(g, l->tensor[i].name, l->tensor[i].shape, (at_init){.kind = AT_INIT_ZERO});
    at_val term = grad[i] == AT_NONE ? AT_NONE : at_sum_all(g, at_mul(g, grad[i], u));
    dot = dot == AT_NONE ? term : term == AT_NONE ? dot : at_add(g, dot, term);
  }
  assert_int_equal(at_graph_vjp(g, &dot, NULL, 1, wrt, l->n, hv), AT_OK);
  for (int i = 0; i < l->n; i++) {
    outs[1 + i].value = hv[i];
  }
  assert_int_equal(at_program_compile(&c->second, g, k, outs, 1 + l->n), AT_OK);
  c->n = l->count;
  c->layout = (at_layout){.n = l->n, .count = l->count};
  assert_int_equal(at_alloc(&c->layout.tensor, (size_t)l->n, sizeof *l->tensor, "test"), AT_OK);
  memcpy(c->layout.tensor, l->tensor, (size_t)l->n * sizeof *l->tensor);
  at_graph_destroy(g);
}

static void fill(check *c, bool positive) {
  at_stream s = {.seed = 7, .purpose = AT_RNG_TEST};
  double **v[] = {&c->theta, &c->u, &c->grad, &c->want, &c->work, &c->start};
  for (size_t k = 0; k < sizeof v / sizeof v[0]; k++) {
    assert_int_equal(at_alloc(v[k], (size_t)c->n, sizeof(double), "test"), AT_OK);
  }
  for (int64_t i = 0; i < c->n; i++) {
    double x = at_rng_normal(&s, (uint64_t)i);
    c->theta[i] = positive ? 0.5 + fabs(x) : x;
    c->u[i] = at_rng_normal(&s, (uint64_t)(1000000 + i));
  }
  for (int i = 0; i < MAX_IDS; i++) {
    c->ids[i] = (int32_t)at_rng_below(&s, (uint64_t)(2000000 + i), 7);
  }
  size_t a = at_program_arena_bytes(c->first), b = at_program_arena_bytes(c->second);
  assert_int_equal(at_alloc(&c->arena, a > b ? a : b, 1, "test"), AT_OK);
}

/* The largest error of a tensor relative to the norm of the tensor, over all tensors. */
static double worst(const check *c, const double *got, const double *want) {
  double most = 0;
  for (int t = 0; t < c->layout.n; t++) {
    double norm = 0, err = 0;
    for (int64_t i = 0; i < c->layout.tensor[t].count; i++) {
      int64_t at = c->layout.tensor[t].offset + i;
      norm += want[at] * want[at];
      err += (got[at] - want[at]) * (got[at] - want[at]);
    }
    double relative = norm > 1e-20 ? sqrt(err / norm) : sqrt(err);
    most = relative > most || isnan(relative) ? relative : most;
  }
  return most;
}

/* Fourth-order central differences: f' = sum of weight * f(x + at). */
static const double h_at[4] = {-2e-4, -1e-4, 1e-4, 2e-4};
static const double h_weight[4] = {1 / 1.2e-3, -8 / 1.2e-3, 8 / 1.2e-3, -1 / 1.2e-3};

static void check_case(void **state) {
  const grad_case *test = *state;
  static at_kernels kernels;
  at_kernels_init(&kernels, AT_ISA_REF);
  check c = {0};
  compile(&c, test, &kernels);
  fill(&c, test->positive);

  run(&c, c.first, c.grad);
  for (int64_t i = 0; i < c.n; i++) {
    double f[4], x = c.theta[i];
    for (int k = 0; k < 4; k++) {
      c.theta[i] = x + h_at[k];
      f[k] = run(&c, c.first, c.work);
    }
    c.theta[i] = x;
    c.want[i] = h_weight[0] * f[0] + h_weight[1] * f[1] + h_weight[2] * f[2] + h_weight[3] * f[3];
  }
  double first = worst(&c, c.grad, c.want);

  run(&c, c.second, c.grad);
  memset(c.want, 0, (size_t)c.n * sizeof *c.want);
  memcpy(c.start, c.theta, (size_t)c.n * sizeof *c.theta);
  for (int k = 0; k < 4; k++) {
    for (int64_t i = 0; i < c.n; i++) {
      c.theta[i] = c.start[i] + h_at[k] * c.u[i];
    }
    run(&c, c.first, c.work);
    for (int64_t i = 0; i < c.n; i++) {
      c.want[i] += h_weight[k] * c.work[i];
    }
  }
  double second = worst(&c, c.grad, c.want);
  if (!(first < 1e-6) || !(second < 1e-6)) {
    fail_msg("%s: first derivative off by %.2e, second by %.2e", test->name, first, second);
  }
  at_program_destroy(c.first);
  at_program_destroy(c.second);
  void *all[] = {c.theta, c.u, c.grad, c.want, c.work, c.start, c.arena, c.layout.tensor};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    at_free(all[i]);
  }
}

int main(void) {
  enum { N = sizeof cases / sizeof cases[0] };
  struct CMUnitTest tests[N];
  for (int i = 0; i < N; i++) {
    tests[i] = (struct CMUnitTest){.name = cases[i].name, .test_func = check_case, .initial_state = (void *)&cases[i]};
  }
  return cmocka_run_group_tests(tests, NULL, NULL);
}
