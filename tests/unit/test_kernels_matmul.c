/* SPDX-License-Identifier: BSD-3-Clause */
/* Batched matrix products at every level, on shapes, transpositions and batch strides of all kinds. */
#include "tests/unit/kernels_harness.h"

static const struct shape {
  int64_t batch, m, n, k;
} shapes[] = {{1, 1, 1, 1},     {1, 5, 7, 3},   {3, 4, 5, 6},     {2, 17, 1, 9},    {2, 1, 33, 8},
              {1, 64, 48, 100}, {4, 7, 130, 2}, {2, 65, 31, 67},  {0, 3, 4, 5},     {2, 0, 4, 5},
              {2, 3, 0, 5},     {2, 3, 4, 0},   {1, 20, 10, 784}, {1, 300, 200, 13}};

/* Errors of a sum of k products grow at most with k ulp of its terms. */
static void check(const kt_case *c) {
  kt_check_levels(c, 3e-7 + 6e-8 * (double)c->dim[3]);
}

static void test_shapes(void **state) {
  (void)state;
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    for (int kind = 0; kind < 16; kind++) {
      const struct shape *q = &shapes[s];
      const int64_t ta = kind & 1, tb = kind >> 1 & 1, a = q->m * q->k, b = q->k * q->n;
      const int64_t stride_a = kind & 4 ? 0 : a, stride_b = kind & 8 ? 0 : b; /* one operand for the whole batch */
      const int64_t last = q->batch > 0 ? q->batch - 1 : 0;
      const kt_case c = {.slot = AT_K_matmul,
                         .dim = {q->batch, q->m, q->n, q->k, ta, tb, stride_a, stride_b},
                         .in = {{KT_NORMAL, a + last * stride_a, 0, NULL}, {KT_NORMAL, b + last * stride_b, 0, NULL}},
                         .out = {q->batch * q->m * q->n}};
      check(&c);
    }
  }
}

static void test_gaps_between_batches(void **state) {
  (void)state;
  const kt_case c = {.slot = AT_K_matmul,
                     .dim = {3, 4, 5, 6, 0, 0, 30, 41},
                     .in = {{KT_NORMAL, 60 + 24, 0, NULL}, {KT_NORMAL, 82 + 30, 0, NULL}},
                     .out = {60}};
  check(&c);
}

/* The definition, by hand. */
static void test_first_principles(void **state) {
  (void)state;
  const double a[6] = {1, 2, 3, 4, 5, 6}, b[6] = {7, 8, 9, 10, 11, 12};
  for (int isa = AT_ISA_REF; isa <= (int)at_isa_detect(); isa++) {
    at_kernels level;
    at_kernels_init(&level, (at_isa)isa);
    kt_case c = {.slot = AT_K_matmul,
                 .dim = {1, 2, 2, 3, 0, 0, 0, 0},
                 .in = {{KT_GIVEN, 6, 0, a}, {KT_GIVEN, 6, 0, b}},
                 .out = {4}};
    kt_result r = kt_run(&c, level.f32[AT_K_matmul], 4, 0);
    assert_true(r.out[0][0] == 58 && r.out[0][1] == 64 && r.out[0][2] == 139 && r.out[0][3] == 154);
    kt_result_free(&r);
    c.dim[4] = c.dim[5] = 1; /* A = [[1,3,5],[2,4,6]], B = [[7,10],[8,11],[9,12]] */
    r = kt_run(&c, level.f32[AT_K_matmul], 4, 0);
    assert_true(r.out[0][0] == 76 && r.out[0][1] == 103 && r.out[0][2] == 100 && r.out[0][3] == 136);
    kt_result_free(&r);
  }
}

static void test_nan_propagates(void **state) {
  (void)state;
  const double a[4] = {NAN, 0, 0, 1}, b[4] = {0, 0, 0, 0};
  const kt_case c = {.slot = AT_K_matmul,
                     .dim = {1, 2, 2, 2, 0, 0, 0, 0},
                     .in = {{KT_GIVEN, 4, 0, a}, {KT_GIVEN, 4, 0, b}},
                     .out = {4}};
  kt_check_levels(&c, 1e-6);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(kt_test_all_levels_present),
      cmocka_unit_test(test_first_principles),
      cmocka_unit_test(test_shapes),
      cmocka_unit_test(test_gaps_between_batches),
      cmocka_unit_test(test_nan_propagates),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
