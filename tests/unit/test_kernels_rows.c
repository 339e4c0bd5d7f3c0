/* SPDX-License-Identifier: BSD-3-Clause */
/* Kernels that work along rows (sums, log-sum-exp, normalisations, cross-entropy, rotary positions) at every level against
 * the f64 reference, on odd shapes and special values. */
#include "tests/unit/kernels_harness.h"

#define NORMAL(n) \
  { KT_NORMAL, n, 0, NULL }

/* The sums of n terms of size 1 may be off by about n/64 ulp of a term; relative to the largest sum, 64 ulp is generous. */
static void test_reduce_sum(void **state) {
  (void)state;
  static const int64_t shapes[][3] = {{0, 5, 3},    {3, 0, 5},     {2, 5, 0},  {1, 1, 1},    {1, 7, 1},
                                      {3, 257, 1},  {1, 1000, 1},  {1, 3, 17}, {1, 129, 64}, {1, 65, 67},
                                      {2, 64, 128}, {3, 130, 200}, {5, 2, 9}};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    const int64_t o = shapes[s][0], m = shapes[s][1], i = shapes[s][2];
    const kt_case c = {.slot = AT_K_reduce_sum, .dim = {o, m, i}, .in = {NORMAL(o * m * i)}, .out = {o * i}};
    kt_check_levels(&c, 4e-6);
  }
}

/* A long sum of equal terms: naive accumulation in float would be off by 2e-2 here. */
static void test_reduce_sum_of_many(void **state) {
  (void)state;
  enum { N = 1 << 20 };
  double *ones = malloc(N * sizeof *ones);
  assert_non_null(ones);
  for (int i = 0; i < N; i++) {
    ones[i] = (double)0.1f;
  }
  const kt_case whole = {.slot = AT_K_reduce_sum, .dim = {1, N, 1}, .in = {{KT_GIVEN, N, 0, ones}}, .out = {1}};
  kt_check_levels(&whole, 2e-6);
  const kt_case columns = {.slot = AT_K_reduce_sum, .dim = {1, N / 4, 4}, .in = {{KT_GIVEN, N, 0, ones}}, .out = {4}};
  kt_check_levels(&columns, 1e-4);
  free(ones);
}

static void test_logsumexp(void **state) {
  (void)state;
  static const int64_t shapes[][2] = {{0, 5}, {1, 1}, {3, 7}, {2, 16}, {5, 33}, {2, 257}, {3, 0}};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    const int64_t rows = shapes[s][0], n = shapes[s][1];
    const kt_case c = {.slot = AT_K_logsumexp, .dim = {rows, n}, .in = {{KT_WIDE, rows * n, 0, NULL}}, .out = {rows}};
    kt_check_levels(&c, 3e-7);
  }
  /* Rows: huge values, all -infinity, one +infinity, one NaN, one finite among -infinities. */
  const double inf = INFINITY;
  const double x[] = {3e38, 3e38, -3e38, -inf, -inf, -inf, 1, inf, 2, 1, NAN, 2, -inf, 2.5, -inf};
  const kt_case special = {.slot = AT_K_logsumexp, .dim = {5, 3}, .in = {{KT_GIVEN, 15, 0, x}}, .out = {5}};
  kt_check_levels(&special, 1e-6);
}

static void test_softmax(void **state) {
  (void)state;
  static const int64_t shapes[][2] = {{0, 5}, {1, 1}, {3, 7}, {2, 16}, {5, 33}, {2, 257}, {3, 0}};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    const int64_t rows = shapes[s][0], n = shapes[s][1];
    kt_case c = {.slot = AT_K_softmax, .dim = {rows, n}, .in = {{KT_WIDE, rows * n, 0, NULL}}, .out = {rows * n}};
    kt_check_levels(&c, 5e-7);
    c.in_place = rows * n > 0;
    kt_check_levels(&c, 5e-7);
  }
  const double inf = INFINITY;
  const double x[] = {3e38, 3e38, -3e38, -inf, -inf, -inf, 1, inf, 2, 1, NAN, 2, -inf, 2.5, -inf};
  const kt_case special = {.slot = AT_K_softmax, .dim = {5, 3}, .in = {{KT_GIVEN, 15, 0, x}}, .out = {15}};
  kt_check_levels(&special, 1e-6);
}

static const int64_t norm_shapes[][2] = {{0, 8}, {1, 1}, {3, 7}, {5, 16}, {2, 33}, {70, 61}, {130, 64}, {3, 768}};

/* Means and variances are sums of n/64 terms a lane: a few ulp each, multiplied by rstd's size (about 1 here). */
static void test_norms(void **state) {
  (void)state;
  for (size_t s = 0; s < sizeof norm_shapes / sizeof *norm_shapes; s++) {
    const int64_t r = norm_shapes[s][0], n = norm_shapes[s][1];
    const kt_case ln = {.slot = AT_K_layernorm,
                        .dim = {r, n},
                        .attr = {1e-5},
                        .in = {NORMAL(r * n), {KT_POSITIVE, n, 0, NULL}, NORMAL(n)},
                        .out = {r * n, r, r}};
    const kt_case rms = {.slot = AT_K_rmsnorm,
                         .dim = {r, n},
                         .attr = {1e-5},
                         .in = {NORMAL(r * n), {KT_POSITIVE, n, 0, NULL}},
                         .out = {r * n, r}};
    kt_check_levels(&ln, 2e-6);
    kt_check_levels(&rms, 2e-6);
  }
}

/* dg and db of 130 rows are sums over rows in chunks of 64: tens of ulp of a term. */
static void test_norms_bwd(void **state) {
  (void)state;
  for (size_t s = 0; s < sizeof norm_shapes / sizeof *norm_shapes; s++) {
    const int64_t r = norm_shapes[s][0], n = norm_shapes[s][1];
    const kt_in positive = {KT_POSITIVE, r, 0, NULL};
    const kt_case ln = {.slot = AT_K_layernorm_bwd,
                        .dim = {r, n},
                        .in = {NORMAL(r * n), {KT_POSITIVE, n, 0, NULL}, NORMAL(r), positive, NORMAL(r * n)},
                        .out = {r * n, n, n}};
    const kt_case rms = {.slot = AT_K_rmsnorm_bwd,
                         .dim = {r, n},
                         .in = {NORMAL(r * n), {KT_POSITIVE, n, 0, NULL}, positive, NORMAL(r * n)},
                         .out = {r * n, n}};
    if (r > 0) { /* without rows dg and db are zeros, which the next test asks for */
      kt_check_levels(&ln, 4e-6);
      kt_check_levels(&rms, 4e-6);
    }
  }
}

static void test_no_rows_give_zero_gradients(void **state) {
  (void)state;
  const kt_case ln = {.slot = AT_K_layernorm_bwd, .dim = {0, 5}, .in = {NORMAL(0), NORMAL(5)}, .out = {0}};
  for (int isa = AT_ISA_REF; isa <= (int)at_isa_detect(); isa++) {
    at_kernels level;
    at_kernels_init(&level, (at_isa)isa);
    float g[5] = {1, 1, 1, 1, 1}, dg[5] = {1, 2, 3, 4, 5}, db[5] = {1, 2, 3, 4, 5}, none = 0, scratch[10];
    const at_kcall call = {
        .in = {&none, g, &none, &none, &none}, .out = {&none, dg, db}, .scratch = scratch, .dim = {0, 5}};
    assert_true(at_kernel_scratch(ln.slot, ln.dim, 4) <= sizeof scratch);
    level.f32[ln.slot](&call);
    for (int i = 0; i < 5; i++) {
      assert_true(dg[i] == 0.0f && db[i] == 0.0f);
    }
  }
}

static const int64_t xent_shapes[][2] = {{1, 1}, {3, 5}, {7, 16}, {33, 65}, {5, 257}, {2, 1031}};

static void test_xent(void **state) {
  (void)state;
  for (size_t s = 0; s < sizeof xent_shapes / sizeof *xent_shapes; s++) {
    const int64_t r = xent_shapes[s][0], v = xent_shapes[s][1];
    const kt_in target = {KT_INDEX, r, (int)v, NULL}; /* -1 among them */
    const kt_case fwd = {
        .slot = AT_K_xent, .dim = {r, v}, .attr = {0.25}, .in = {{KT_WIDE, r * v, 0, NULL}, target}, .out = {1, r}};
    kt_check_levels(&fwd, 5e-7);
    kt_case bwd = {.slot = AT_K_xent_bwd,
                   .dim = {r, v},
                   .attr = {0.25},
                   .in = {{KT_WIDE, r * v, 0, NULL}, target, {KT_POSITIVE, r, 0, NULL}, {KT_POSITIVE, 1, 0, NULL}},
                   .out = {r * v}};
    bwd.dim[0] = r;
    kt_check_levels(&bwd, 1e-6);
    bwd.in_place = 1;
    kt_check_levels(&bwd, 1e-6);
  }
}

/* A batch of no rows has loss 0; targets outside the classes are left out of loss and gradient. */
static void test_xent_edges(void **state) {
  (void)state;
  for (int isa = AT_ISA_REF; isa <= (int)at_isa_detect(); isa++) {
    at_kernels level;
    at_kernels_init(&level, (at_isa)isa);
    const float x[6] = {1, 2, 3, 1, 0, -1}, one = 1;
    const int32_t target[2] = {7, -3};
    float loss = 5, lse[2] = {0}, dx[6] = {9, 9, 9, 9, 9, 9};
    at_kcall call = {.in = {x, target}, .out = {&loss, lse}, .dim = {0, 3}, .attr = {1}};
    level.f32[AT_K_xent](&call);
    assert_true(loss == 0.0f);
    loss = 5;
    call.dim[0] = 2;
    level.f32[AT_K_xent](&call);
    assert_true(loss == 0.0f);
    assert_true(fabs((double)lse[0] - 3.4076059644443806) < 1e-6);
    at_kcall back = {.in = {x, target, lse, &one}, .out = {dx}, .dim = {2, 3}, .attr = {1}};
    level.f32[AT_K_xent_bwd](&back);
    for (int i = 0; i < 6; i++) {
      assert_true(dx[i] == 0.0f);
    }
  }
}

static void test_rope(void **state) {
  (void)state;
  /* batch, t, heads, hd, rotated, t0: more pairs than one table, odd heads, none and all rotated */
  static const int64_t shapes[][6] = {{1, 1, 1, 2, 1, 0},  {2, 5, 3, 8, 2, 0},  {2, 7, 4, 32, 2, 3},
                                      {1, 3, 2, 7, 1, 11}, {1, 2, 3, 64, 0, 0}, {2, 3, 2, 300, 2, 5},
                                      {0, 3, 2, 16, 2, 0}, {1, 0, 2, 16, 2, 0}, {3, 9, 6, 16, 6, 1000}};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    const int64_t *d = shapes[s], n = d[0] * d[1] * d[2] * d[3];
    for (int sign = -1; sign <= 1; sign += 2) {
      kt_case c = {.slot = AT_K_rope, .attr = {10000.0, sign}, .in = {NORMAL(n)}, .out = {n}};
      memcpy(c.dim, d, 6 * sizeof *d);
      kt_check_levels(&c, 2e-7);
      c.in_place = n > 0;
      kt_check_levels(&c, 2e-7);
    }
  }
}

/* The formula itself, at one place: pair i of position p turns by p * base^(-2i/hd). */
static void test_rope_angle(void **state) {
  (void)state;
  at_kernels level;
  at_kernels_init(&level, AT_ISA_REF);
  double x[8] = {0}, y[8];
  x[4] = 1.0; /* the first of pair 2 */
  const at_kcall call = {.in = {x}, .out = {y}, .dim = {1, 1, 1, 8, 1, 13}, .attr = {10000.0, 1.0}};
  level.f64[AT_K_rope](&call);
  const double angle = 13.0 * pow(10000.0, -4.0 / 8.0);
  assert_true(fabs(y[4] - cos(angle)) < 1e-14 && fabs(y[5] - sin(angle)) < 1e-14);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(kt_test_all_levels_present),
      cmocka_unit_test(test_reduce_sum),
      cmocka_unit_test(test_reduce_sum_of_many),
      cmocka_unit_test(test_logsumexp),
      cmocka_unit_test(test_softmax),
      cmocka_unit_test(test_norms),
      cmocka_unit_test(test_norms_bwd),
      cmocka_unit_test(test_no_rows_give_zero_gradients),
      cmocka_unit_test(test_xent),
      cmocka_unit_test(test_xent_edges),
      cmocka_unit_test(test_rope),
      cmocka_unit_test(test_rope_angle),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
