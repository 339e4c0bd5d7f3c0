/* SPDX-License-Identifier: BSD-3-Clause */
/* First and second derivatives of every differentiable operation and of whole models, in f64, from one case list.
 *
 * First: each element against central differences of the function.  Second: a Hessian-vector product against central
 * differences of the analytic gradient.  Errors are relative to the norm of the tensor they are in. */
#include <math.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/graph/graph_internal.h"
#include "src/graph/hessian.h"
#include "tests/unit/grad_cases_basic.h"
#include "tests/unit/grad_cases_models.h"
#include "tests/unit/grad_cases_wide.h"
#include "tests/unit/unit.h"

enum { MAX_IDS = 64 };

static bool seen[AT_OP_COUNT]; /* operations in a graph that was differentiated */

/* --- the check -------------------------------------------------------------------------------------------------------- */

typedef struct check {
  at_program *first, *second;
  int64_t n;
  double *state; /* of the model, then u */
  double *theta, *u, *grad, *want, *work, *start;
  void *arena;
  int32_t ids[MAX_IDS];
  at_layout layout, states; /* copies of the index of parameters and of the model's state; names are not used */
} check;

static double run(const check *c, const at_program *p, double *grad) {
  double loss = NAN;
  at_bind b = {.param = c->theta,
               .state = c->state,
               .grad = grad,
               .arena = c->arena,
               .in = {c->ids, c->ids + 3, c->ids + 20},
               .out = {&loss}};
  at_program_run(p, &b, NULL, NULL);
  return loss;
}

static void copy_layout(at_layout *to, const at_layout *l) {
  *to = (at_layout){.n = l->n, .count = l->count};
  assert_ok(at_alloc(&to->tensor, (size_t)l->n, sizeof *l->tensor, "test"));
  for (int i = 0; i < l->n; i++) {
    to->tensor[i] = l->tensor[i];
  }
}

static void compile(check *c, const grad_case *test, const at_kernels *k) {
  at_graph *g;
  at_val wrt[64], grad[64], u[64], hv[64];
  at_output outs[65];
  assert_ok(at_graph_create(&g, AT_F64));
  at_val loss = test->build(g);
  assert_ok(at_graph_status(g));
  const at_layout *l = at_graph_params(g);
  copy_layout(&c->states, at_graph_states(g));
  for (int i = 0; i < l->n; i++) {
    wrt[i] = at_graph_param_value(g, i);
    u[i] = at_graph_state(g, l->tensor[i].name, l->tensor[i].shape, (at_init){.kind = AT_INIT_ZERO});
  }
  assert_ok(at_graph_vjp(g, &loss, NULL, 1, wrt, l->n, grad));
  for (int i = 0; i < g->n_node; i++) {
    seen[g->node[i].op] = true;
  }
  assert_ok(at_graph_hvp(g, loss, wrt, u, l->n, hv));
  outs[0] = (at_output){.value = loss, .slot = AT_SLOT_OUT};
  for (int i = 0; i < l->n; i++) {
    outs[1 + i] =
        (at_output){.value = grad[i], .slot = AT_SLOT_GRAD, .offset = l->tensor[i].offset, .count = l->tensor[i].count};
  }
  assert_ok(at_program_compile(&c->first, g, k, outs, 1 + l->n));
  for (int i = 0; i < l->n; i++) {
    outs[1 + i].value = hv[i];
  }
  assert_ok(at_program_compile(&c->second, g, k, outs, 1 + l->n));
  c->n = l->count;
  copy_layout(&c->layout, l);
  at_graph_destroy(g);
}

/* A parameter near where a model starts it: tensors that start constant are near that, and biases are not 0. */
static double near_start(const at_init *init, double x) {
  return init->kind == AT_INIT_NORMAL ? init->sd * x : (init->kind == AT_INIT_ONE ? 1 : 0) + 0.2 * x;
}

static void fill(check *c, grad_fill how) {
  at_stream s = {.seed = 7, .purpose = AT_RNG_TEST};
  double **v[] = {&c->theta, &c->grad, &c->want, &c->work, &c->start};
  for (size_t k = 0; k < sizeof v / sizeof v[0]; k++) {
    assert_ok(at_alloc(v[k], (size_t)c->n, sizeof(double), "test"));
  }
  assert_ok(at_alloc(&c->state, (size_t)(c->states.count + c->n), sizeof(double), "test"));
  c->u = c->state + c->states.count;
  for (int t = 0; t < c->states.n; t++) { /* variances are positive */
    const at_tensor *x = &c->states.tensor[t];
    for (int64_t i = x->offset; i < x->offset + x->count; i++) {
      double z = at_rng_normal(&s, (uint64_t)(3000000 + i));
      c->state[i] = x->init.kind == AT_INIT_ONE ? 0.5 + fabs(z) : near_start(&x->init, z);
    }
  }
  for (int t = 0; t < c->layout.n; t++) {
    const at_tensor *x = &c->layout.tensor[t];
    for (int64_t i = x->offset; i < x->offset + x->count; i++) {
      double z = at_rng_normal(&s, (uint64_t)i);
      c->theta[i] = how == FILL_POSITIVE ? 0.5 + fabs(z) : how == FILL_MODEL ? near_start(&x->init, z) : z;
      c->u[i] = at_rng_normal(&s, (uint64_t)(1000000 + i));
    }
  }
  for (int i = 0; i < MAX_IDS; i++) {
    c->ids[i] = (int32_t)at_rng_below(&s, (uint64_t)(2000000 + i), 7);
  }
  size_t a = at_program_arena_bytes(c->first), b = at_program_arena_bytes(c->second);
  assert_ok(at_alloc(&c->arena, a > b ? a : b, 1, "test"));
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

/* Fourth-order central differences: f' = sum of weight / h * f(x + at h). */
static const double h_at[4] = {-2, -1, 1, 2};
static const double h_weight[4] = {1 / 12.0, -8 / 12.0, 8 / 12.0, -1 / 12.0};

static void check_case(void **state) {
  const grad_case *test = *state;
  static at_kernels kernels;
  at_kernels_init(&kernels, AT_ISA_REF);
  check c = {0};
  compile(&c, test, &kernels);
  fill(&c, test->fill);
  const double h = test->fill == FILL_MODEL ? 1e-6 : 1e-4;

  run(&c, c.first, c.grad);
  for (int64_t i = 0; i < c.n; i++) {
    double f[4], x = c.theta[i];
    for (int k = 0; k < 4; k++) {
      c.theta[i] = x + h * h_at[k];
      f[k] = run(&c, c.first, c.work);
    }
    c.theta[i] = x;
    c.want[i] = (h_weight[0] * f[0] + h_weight[1] * f[1] + h_weight[2] * f[2] + h_weight[3] * f[3]) / h;
  }
  double first = worst(&c, c.grad, c.want);

  run(&c, c.second, c.grad);
  memset(c.want, 0, (size_t)c.n * sizeof *c.want);
  memcpy(c.start, c.theta, (size_t)c.n * sizeof *c.theta);
  for (int k = 0; k < 4; k++) {
    for (int64_t i = 0; i < c.n; i++) {
      c.theta[i] = c.start[i] + h * h_at[k] * c.u[i];
    }
    run(&c, c.first, c.work);
    for (int64_t i = 0; i < c.n; i++) {
      c.want[i] += h_weight[k] / h * c.work[i];
    }
  }
  double second = worst(&c, c.grad, c.want);
  if (!(first < 1e-6) || !(second < 1e-6)) {
    fail_msg("%s: first derivative off by %.2e, second by %.2e", test->name, first, second);
  }
  at_program_destroy(c.first);
  at_program_destroy(c.second);
  void *all[] = {c.theta, c.state, c.grad, c.want, c.work, c.start, c.arena, c.layout.tensor, c.states.tensor};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    at_free(all[i]);
  }
}

/* After the cases: each operation was in one of them, or says why it is exempt (tests/unit/test_exempt.c). */
static void check_all_seen(void **state) {
  (void)state;
  for (int op = AT_OP_leaf + 1; op < AT_OP_COUNT; op++) {
    const at_op_row *row = at_op_get((at_op)op);
    if (!seen[op] && row->exempt == NULL) {
      fail_msg("no case differentiates %s", row->name);
    }
  }
}

int main(void) {
  const struct {
    const grad_case *cases;
    size_t n;
  } list[] = {{basic_cases, sizeof basic_cases / sizeof basic_cases[0]},
              {wide_cases, sizeof wide_cases / sizeof wide_cases[0]},
              {model_cases, sizeof model_cases / sizeof model_cases[0]}};
  struct CMUnitTest tests[(sizeof basic_cases + sizeof wide_cases + sizeof model_cases) / sizeof basic_cases[0] + 1] = {
      {0}};
  size_t n = 0;
  for (size_t k = 0; k < sizeof list / sizeof list[0]; k++) {
    for (size_t i = 0; i < list[k].n; i++) {
      const grad_case *c = &list[k].cases[i];
      tests[n++] = (struct CMUnitTest){.name = c->name, .test_func = check_case, .initial_state = (void *)c};
    }
  }
  tests[n] = (struct CMUnitTest){.name = "every operation has a case", .test_func = check_all_seen};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
