/* SPDX-License-Identifier: BSD-3-Clause */
/* Batch-norm with running, fixed and mixed statistics, and group-norm, by their formulas; in f64. */
#include "src/graph/norms.h"

#include <math.h>

#include "tests/unit/graph_run.h"

enum { ROWS = 6, C = 2, MOST = ROWS * C };
static const double eps = 1e-5, momentum = 0.1;

/* A layer on x [ROWS][1][C] whose vectors are states: run mean, run var, fixed mean, fixed var, mix. */
typedef struct layer {
  at_graph *g;
  at_val x;
  at_bn bn;
} layer;

static at_val state(at_graph *g, const char *name) {
  return at_graph_state(g, name, AT_SHAPE(C), (at_init){.kind = AT_INIT_ONE});
}

static layer new_layer(int64_t rows, at_bn_mode mode, bool mixed) {
  layer l;
  assert_ok(at_graph_create(&l.g, AT_F64));
  l.x = at_graph_input(l.g, "x", AT_F64, AT_SHAPE(rows, 1, C));
  l.bn = (at_bn){.gain = AT_NONE, .bias = AT_NONE, .eps = eps, .momentum = momentum, .mode = mode};
  l.bn.run_mean = state(l.g, "run mean");
  l.bn.run_var = state(l.g, "run var");
  l.bn.fixed_mean = state(l.g, "fixed mean");
  l.bn.fixed_var = state(l.g, "fixed var");
  at_val mix = at_graph_state(l.g, "mix", AT_SCALAR, (at_init){.kind = AT_INIT_ONE});
  l.bn.mix = mixed ? mix : AT_NONE;
  return l;
}

/* Runs once: y, and the states changed in place. */
static void run(layer *l, const double *x, double *states, double *y) {
  static at_kernels k;
  at_kernels_init(&k, AT_ISA_REF);
  at_bn_result r = at_batchnorm(l->g, l->x, &l->bn);
  assert_ok(at_graph_status(l->g));
  at_output outs[3] = {{.value = r.y, .slot = AT_SLOT_OUT}};
  int n = 1;
  if (r.run_mean != AT_NONE) {
    outs[n++] = (at_output){.value = r.run_mean, .slot = AT_SLOT_STATE, .offset = 0};
    outs[n++] = (at_output){.value = r.run_var, .slot = AT_SLOT_STATE, .offset = C};
  }
  at_program *p;
  assert_ok(at_program_compile(&p, l->g, &k, outs, n));
  at_bind b = {.state = states, .in = {x}, .out = {y}};
  assert_ok(at_alloc(&b.arena, at_program_arena_bytes(p), 1, "test"));
  at_program_run(p, &b, NULL, NULL);
  at_program_destroy(p);
  at_free(b.arena);
  at_graph_destroy(l->g);
}

static const double x6[ROWS * C] = {1, 10, 2, -4, 4, 0.5, -3, 7, 0, 7, 5, -1};

static void moments(const double *x, int rows, int c, double *mean, double *var) {
  *mean = *var = 0;
  for (int r = 0; r < rows; r++) {
    *mean += x[r * C + c] / rows;
  }
  for (int r = 0; r < rows; r++) {
    *var += (x[r * C + c] - *mean) * (x[r * C + c] - *mean) / rows;
  }
}

static void assert_near(double got, double want) {
  if (!(fabs(got - want) <= 1e-13 * (1 + fabs(want)))) {
    fail_msg("%.17g, not %.17g", got, want);
  }
}

static void test_training(void **unused) {
  (void)unused;
  for (int mixed = 0; mixed < 2; mixed++) {
    double s[4 * C + 1] = {0.5, -1, 2, 3, /* fixed */ 1, 2, 4, 0.25, /* mix */ 0.3}, old[4 * C + 1], y[MOST];
    memcpy(old, s, sizeof s);
    layer l = new_layer(ROWS, AT_BN_TRAIN, mixed);
    run(&l, x6, s, y);
    for (int c = 0; c < C; c++) {
      double mean, var, share = mixed ? 0.3 : 1;
      moments(x6, ROWS, c, &mean, &var);
      assert_near(s[c], 0.9 * old[c] + 0.1 * mean);
      assert_near(s[C + c], 0.9 * old[C + c] + 0.1 * var * ROWS / (ROWS - 1));
      double m = (1 - share) * old[2 * C + c] + share * mean, v = (1 - share) * old[3 * C + c] + share * var;
      for (int r = 0; r < ROWS; r++) {
        assert_near(y[r * C + c], (x6[r * C + c] - m) / sqrt(v + eps));
      }
    }
    assert_memory_equal(s + 2 * C, old + 2 * C, (2 * C + 1) * sizeof *s);
  }
}

static void test_evaluation(void **unused) {
  (void)unused;
  for (int mode = AT_BN_EVAL; mode <= AT_BN_FIXED; mode++) {
    double s[4 * C + 1] = {0.5, -1, 2, 3, /* fixed */ 1, 2, 4, 0.25, /* mix */ 0.3}, old[4 * C + 1], y[MOST];
    memcpy(old, s, sizeof s);
    layer l = new_layer(ROWS, (at_bn_mode)mode, true);
    run(&l, x6, s, y);
    assert_memory_equal(s, old, sizeof s);
    for (int i = 0; i < MOST; i++) {
      double share = mode == AT_BN_FIXED ? 0 : 0.3;
      double m = (1 - share) * s[2 * C + i % C] + share * s[i % C];
      double v = (1 - share) * s[3 * C + i % C] + share * s[C + i % C];
      assert_near(y[i], (x6[i] - m) / sqrt(v + eps));
    }
  }
}

/* One row has no unbiased variance: its factor is 1, and the output is finite. */
static void test_one_row(void **unused) {
  (void)unused;
  double s[4 * C + 1] = {0, 0, 1, 1, 0, 0, 1, 1, 1}, y[C];
  layer l = new_layer(1, AT_BN_TRAIN, false);
  run(&l, x6, s, y);
  for (int c = 0; c < C; c++) {
    assert_near(y[c], 0);
    assert_near(s[c], 0.1 * x6[c]);
    assert_near(s[C + c], 0.9);
  }
}

/* 2 examples of 3 positions and 4 channels in 2 groups. */
static void test_groups(void **unused) {
  (void)unused;
  enum { N = 2, T = 3, W = 4, G = 2, ALL = N * T * W };
  at_graph *g;
  assert_ok(at_graph_create(&g, AT_F64));
  at_val x = at_graph_input(g, "x", AT_F64, AT_SHAPE(N, T, W));
  double in[ALL], y[ALL];
  for (int i = 0; i < ALL; i++) {
    in[i] = sin(2.3 * i) * (1 + i % 3);
  }
  at_val out = at_groupnorm(g, x, G, AT_NONE, AT_NONE, eps);
  run_values(g, &out, 1, NULL, (const void *[]){in}, 1, (void *[]){y});
  for (int i = 0; i < ALL; i++) {
    int n = i / (T * W), group = i % W / (W / G);
    double sum = 0, square = 0;
    for (int k = 0; k < ALL; k++) {
      bool mine = k / (T * W) == n && k % W / (W / G) == group;
      sum += mine ? in[k] : 0;
      square += mine ? in[k] * in[k] : 0;
    }
    double count = T * W / G, mean = sum / count;
    assert_near(y[i], (in[i] - mean) / sqrt(square / count - mean * mean + eps));
  }
  assert_int_equal(at_groupnorm(g, x, 3, AT_NONE, AT_NONE, eps), AT_NONE);
  assert_fails(AT_ERR_ARG, "3 groups", at_graph_status(g));
  at_graph_destroy(g);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_training), cmocka_unit_test(test_evaluation),
                                     cmocka_unit_test(test_one_row), cmocka_unit_test(test_groups)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
