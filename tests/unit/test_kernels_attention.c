/* SPDX-License-Identifier: BSD-3-Clause */
/* Attention and its derivative at every level against the f64 reference, and the reference against first principles. */
#include "tests/unit/kernels_harness.h"

#define NORMAL(n) \
  { KT_NORMAL, n, 0, NULL }

/* batch, t, hq, hkv, hd: single positions, sizes around the blocks (32 queries, 128 keys), odd heads, grouped queries. */
static const int64_t shapes[][5] = {
    {1, 1, 1, 1, 4},    {2, 3, 2, 1, 5},   {1, 31, 2, 2, 16},  {1, 32, 1, 1, 32},  {1, 33, 4, 2, 8},
    {1, 49, 1, 1, 17},  {2, 65, 3, 1, 24}, {1, 128, 2, 2, 32}, {1, 129, 1, 1, 64}, {1, 200, 2, 1, 33},
    {1, 300, 1, 1, 16}, {1, 17, 2, 2, 80}, {0, 5, 2, 2, 8},    {2, 0, 2, 2, 8},
};

static kt_case forward_case(const int64_t *d, int causal) {
  const int64_t rows = d[0] * d[1], hd = d[4];
  return (kt_case){.slot = AT_K_attention,
                   .dim = {d[0], d[1], d[2], d[3], hd, causal},
                   .attr = {1.0 / sqrt((double)hd)},
                   .in = {NORMAL(rows * (d[2] + 2 * d[3]) * hd)},
                   .out = {rows * d[2] * hd, rows * d[2]}};
}

/* Probabilities carry the error of a score (products of hd terms) times its size, about 1 ulp of 4, and a sum of t terms. */
static void test_forward(void **state) {
  (void)state;
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    for (int causal = 0; causal < 2; causal++) {
      const kt_case c = forward_case(shapes[s], causal);
      kt_check_levels(&c, 2e-6);
    }
  }
}

/* The derivative's inputs o and lse come from the forward pass in f64, so that levels are compared on the same numbers. */
static void test_backward(void **state) {
  (void)state;
  at_kernels ref;
  at_kernels_init(&ref, AT_ISA_REF);
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    for (int causal = 0; causal < 2; causal++) {
      const kt_case f = forward_case(shapes[s], causal);
      kt_result fwd = kt_run(&f, ref.f64[AT_K_attention], 8, 0);
      kt_case c = f;
      c.slot = AT_K_attention_bwd;
      c.in[1] = (kt_in){KT_GIVEN, f.out[0], 0, fwd.out[0]};
      c.in[2] = (kt_in){KT_GIVEN, f.out[1], 0, fwd.out[1]};
      c.in[3] = (kt_in)NORMAL(f.out[0]);
      c.out[0] = f.in[0].n;
      c.out[1] = 0;
      kt_check_levels(&c, 4e-6);
      kt_result_free(&fwd);
    }
  }
}

/* Scores far apart and far from 0: the running maximum must carry them over blocks of keys without overflow. */
static void test_large_scores(void **state) {
  (void)state;
  for (int causal = 0; causal < 2; causal++) {
    const int64_t d[5] = {1, 300, 1, 1, 16};
    kt_case c = forward_case(d, causal);
    c.attr[0] = 40.0; /* scores of some hundreds: one ulp of a score is 3e-5 */
    kt_check_levels(&c, 2e-3);
  }
}

/* Softmax written out for one head: what the reference itself must give. */
static void test_first_principles(void **state) {
  (void)state;
  enum { T = 5, HQ = 2, HKV = 1, HD = 3, W = (HQ + 2 * HKV) * HD };
  const int64_t d[5] = {1, T, HQ, HKV, HD};
  at_kernels ref;
  at_kernels_init(&ref, AT_ISA_REF);
  for (int causal = 0; causal < 2; causal++) {
    const kt_case c = forward_case(d, causal);
    kt_result r = kt_run(&c, ref.f64[AT_K_attention], 8, 0);
    for (int h = 0; h < HQ; h++) {
      for (int i = 0; i < T; i++) {
        double e[T] = {0}, sum = 0.0;
        for (int j = 0; j < (causal ? i + 1 : T); j++) {
          double s = 0.0;
          for (int x = 0; x < HD; x++) {
            s += kt_value(&c.in[0], 0, i * W + h * HD + x) * kt_value(&c.in[0], 0, j * W + HQ * HD + x);
          }
          e[j] = exp(s / sqrt((double)HD));
          sum += e[j];
        }
        assert_true(fabs(r.out[1][h * T + i] - log(sum)) < 1e-14);
        for (int x = 0; x < HD; x++) {
          double o = 0.0;
          for (int j = 0; j < T; j++) {
            o += e[j] / sum * kt_value(&c.in[0], 0, j * W + (HQ + HKV) * HD + x);
          }
          assert_true(fabs(r.out[0][(i * HQ + h) * HD + x] - o) < 1e-14);
        }
      }
    }
    kt_result_free(&r);
  }
}

/* What comes later does not change what a causal query sees, to the bit, at any level. */
static void test_causality(void **state) {
  (void)state;
  enum { T = 200, HD = 24, W = 3 * HD };
  static double x[T * W];
  const int64_t d[5] = {1, T, 1, 1, HD};
  kt_case c = forward_case(d, 1);
  for (int i = 0; i < T * W; i++) {
    x[i] = kt_value(&c.in[0], 0, i);
  }
  c.in[0] = (kt_in){KT_GIVEN, T * W, 0, x};
  for (int isa = AT_ISA_REF; isa <= (int)at_isa_detect(); isa++) {
    at_kernels level;
    at_kernels_init(&level, (at_isa)isa);
    for (int cut = 1; cut < T; cut += 37) {
      kt_result before = kt_run(&c, level.f32[AT_K_attention], 4, 0);
      const double kept = x[cut * W + HD];
      x[cut * W + HD] = 50.0;
      kt_result after = kt_run(&c, level.f32[AT_K_attention], 4, 0);
      x[cut * W + HD] = kept;
      assert_memory_equal(before.out[0], after.out[0], (size_t)(cut * HD) * sizeof(double));
      assert_true(memcmp(before.out[0] + cut * HD, after.out[0] + cut * HD, HD * sizeof(double)) != 0);
      kt_result_free(&before);
      kt_result_free(&after);
    }
  }
}

/* A NaN in a key reaches every query that sees it, and no other. */
static void test_nan_propagates(void **state) {
  (void)state;
  enum { T = 70, HD = 16, W = 3 * HD, AT = 40 };
  static double x[T * W];
  const int64_t d[5] = {1, T, 1, 1, HD};
  kt_case c = forward_case(d, 1);
  for (int i = 0; i < T * W; i++) {
    x[i] = kt_value(&c.in[0], 0, i);
  }
  x[AT * W + HD + 3] = NAN;
  c.in[0] = (kt_in){KT_GIVEN, T * W, 0, x};
  for (int isa = AT_ISA_REF; isa <= (int)at_isa_detect(); isa++) {
    at_kernels level;
    at_kernels_init(&level, (at_isa)isa);
    kt_result r = kt_run(&c, level.f32[AT_K_attention], 4, 0);
    for (int i = 0; i < T; i++) {
      assert_true(isnan(r.out[0][i * HD]) == (i >= AT) && isnan(r.out[1][i]) == (i >= AT));
    }
    kt_result_free(&r);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(kt_test_all_levels_present),
      cmocka_unit_test(test_first_principles),
      cmocka_unit_test(test_forward),
      cmocka_unit_test(test_backward),
      cmocka_unit_test(test_large_scores),
      cmocka_unit_test(test_causality),
      cmocka_unit_test(test_nan_propagates),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
