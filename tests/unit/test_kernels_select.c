/* SPDX-License-Identifier: BSD-3-Clause */
/* Element-wise functions with a kink, softplus and choosing, at every level against the f64 reference. */
#include "tests/unit/kernels_harness.h"

static const int64_t sizes[] = {0, 1, 7, 16, 31, 1000};

static void check_unary(at_kslot slot, int inputs, double tolerance) {
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    const int64_t n = sizes[i];
    kt_case c = {.slot = slot,
                 .dim = {n},
                 .attr = {-1.5, 2.25},
                 .in = {{KT_WIDE, n, 0, NULL}, {inputs > 1 ? KT_WIDE : KT_NONE, n, 0, NULL}},
                 .out = {n}};
    kt_check_levels(&c, tolerance);
    c.in_place = 1;
    kt_check_levels(&c, tolerance);
  }
}

static void test_kinks(void **state) {
  (void)state;
  check_unary(AT_K_abs, 1, 0);
  check_unary(AT_K_sign, 1, 0);
  check_unary(AT_K_clamp, 1, 0);
  check_unary(AT_K_clamp_bwd, 2, 0);
  check_unary(AT_K_softplus, 1, 3e-7);
}

/* Far to the left softplus is an exponential, of full relative precision. */
static void test_softplus_tail(void **state) {
  (void)state;
  static const double x[] = {-100, -87, -50, -20,  -17,   -16,      -10,       -5, -1,
                             0,    1,   20,  1000, -1000, INFINITY, -INFINITY, NAN};
  enum { N = sizeof x / sizeof x[0] };
  kt_case c = {.slot = AT_K_softplus, .dim = {N}, .in = {{KT_GIVEN, N, 0, x}}, .out = {N}};
  for (int isa = AT_ISA_REF; isa <= (int)at_isa_detect(); isa++) {
    at_kernels k;
    at_kernels_init(&k, (at_isa)isa);
    kt_result want = kt_run(&c, k.f64[AT_K_softplus], 8, 0), got = kt_run(&c, k.f32[AT_K_softplus], 4, 0);
    for (int i = 0; i < N; i++) {
      const double g = got.out[0][i], w = want.out[0][i];
      assert_true(g == w || fabs(g - w) <= 5e-7 * w + 0x1p-149 || (isnan(g) && isnan(w)));
    }
    kt_result_free(&want);
    kt_result_free(&got);
  }
}

/* NaN and infinities through the vector versions as through the reference. */
static void test_special_values(void **state) {
  (void)state;
  static const double x[] = {NAN, INFINITY, -INFINITY, -1.5, 2.25, 3, -4, 0}, dy[] = {1, 2, 3, 4, 5, INFINITY, NAN, 8};
  enum { N = sizeof x / sizeof x[0] };
  const kt_case cases[] = {
      {.slot = AT_K_clamp, .in = {{KT_GIVEN, N, 0, x}}},
      {.slot = AT_K_abs, .in = {{KT_GIVEN, N, 0, x}}},
      {.slot = AT_K_sign, .in = {{KT_GIVEN, N, 0, x}}},
      {.slot = AT_K_clamp_bwd, .in = {{KT_GIVEN, N, 0, dy}, {KT_GIVEN, N, 0, x}}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    kt_case c = cases[i];
    c.dim[0] = c.out[0] = N;
    c.attr[0] = -1.5;
    c.attr[1] = 2.25;
    kt_check_levels(&c, 0);
  }
}

/* out [2][3][4]: a mask per row, one operand per column, one scalar. */
static void test_where(void **state) {
  (void)state;
  kt_case c = {
      .slot = AT_K_where,
      .dim = {3, 2, 3, 4, /* mask */ 3, 1, 0, /* yes */ 0, 0, 1, /* no */ 0, 0, 0},
      .in = {{KT_GIVEN, 6, 0, (double[]){1, 0, -2, 0, NAN, 0}}, {KT_NORMAL, 4, 0, NULL}, {KT_NORMAL, 1, 0, NULL}},
      .out = {24}};
  kt_check_levels(&c, 0);
  at_kernels k;
  at_kernels_init(&k, AT_ISA_REF);
  kt_result got = kt_run(&c, k.f32[AT_K_where], 4, 0);
  for (int i = 0; i < 24; i++) {
    const int row = i / 4, chosen = row == 0 || row == 2 || row == 4;
    assert_true(got.out[0][i] == (chosen ? kt_value(&c.in[1], 1, i % 4) : kt_value(&c.in[2], 2, 0)));
  }
  kt_result_free(&got);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(kt_test_all_levels_present), cmocka_unit_test(test_kinks),
                                     cmocka_unit_test(test_softplus_tail), cmocka_unit_test(test_special_values),
                                     cmocka_unit_test(test_where)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
