/* SPDX-License-Identifier: BSD-3-Clause */
/* Batched matrix products, of floats and of bf16, at every level, on shapes, transpositions and batch strides of all kinds. */
#include "tests/unit/kernels_harness.h"

static const struct shape {
  int64_t batch, m, n, k;
} shapes[] = {{1, 1, 1, 1},     {1, 5, 7, 3},      {3, 4, 5, 6},     {2, 17, 1, 9},     {2, 1, 33, 8},
              {1, 64, 48, 100}, {4, 7, 130, 2},    {2, 65, 31, 67},  {0, 3, 4, 5},      {2, 0, 4, 5},
              {2, 3, 0, 5},     {2, 3, 4, 0},      {1, 20, 10, 784}, {1, 300, 200, 13}, {1, 29, 47, 515},
              {1, 15, 16, 32},  {1, 270, 33, 258}, {1, 2, 1061, 5}};

static const at_kslot slots[] = {AT_K_matmul, AT_K_matmul_bf16};

/* Errors of a sum of k products grow at most with k ulp of its terms. */
static void check(const kt_case *c) {
  kt_check_levels(c, 3e-7 + 6e-8 * (double)c->dim[3]);
}

static void test_shapes(void **state) {
  (void)state;
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    for (int kind = 0; kind < 32; kind++) {
      const struct shape *q = &shapes[s];
      const int64_t ta = kind & 1, tb = kind >> 1 & 1, a = q->m * q->k, b = q->k * q->n;
      const int64_t stride_a = kind & 4 ? 0 : a, stride_b = kind & 8 ? 0 : b; /* one operand for the whole batch */
      const int64_t last = q->batch > 0 ? q->batch - 1 : 0;
      const kt_case c = {.slot = slots[kind >> 4],
                         .dim = {q->batch, q->m, q->n, q->k, ta, tb, stride_a, stride_b},
                         .in = {{KT_NORMAL, a + last * stride_a, 0, NULL}, {KT_NORMAL, b + last * stride_b, 0, NULL}},
                         .out = {q->batch * q->m * q->n}};
      check(&c);
    }
  }
}

static void test_gaps_between_batches(void **state) {
  (void)state;
  for (size_t s = 0; s < 2; s++) {
    const kt_case c = {.slot = slots[s],
                       .dim = {3, 4, 5, 6, 0, 0, 30, 41},
                       .in = {{KT_NORMAL, 60 + 24, 0, NULL}, {KT_NORMAL, 82 + 30, 0, NULL}},
                       .out = {60}};
    check(&c);
  }
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
  for (size_t s = 0; s < 2; s++) {
    const kt_case c = {.slot = slots[s],
                       .dim = {1, 2, 2, 2, 0, 0, 0, 0},
                       .in = {{KT_GIVEN, 4, 0, a}, {KT_GIVEN, 4, 0, b}},
                       .out = {4}};
    kt_check_levels(&c, 1e-6);
  }
}

/* Times 1, what a product shows of an input is how it was rounded. */
static void test_bf16_rounding(void **state) {
  (void)state;
  static const double one[1] = {1};
  static const double x[][2] = {{1, 1},
                                {1 + 0x1p-9, 1},
                                {1 + 0x1p-8, 1}, /* a tie, to even */
                                {1 + 0x1.8p-8, 1 + 0x1p-7},
                                {1 + 0x3p-8, 1 + 0x1p-6}, /* a tie, to even */
                                {-1 - 0x3p-8, -1 - 0x1p-6},
                                {0x1.ffp+20, 0x1p+21},
                                {0x1.23456p-100, 0x1.24p-100},
                                {-0.0, 0},
                                {INFINITY, INFINITY},
                                {0x1.ffffp+127, INFINITY},
                                {NAN, NAN}};
  for (size_t i = 0; i < sizeof x / sizeof *x; i++) {
    for (int isa = AT_ISA_REF; isa <= (int)at_isa_detect(); isa++) {
      at_kernels level;
      at_kernels_init(&level, (at_isa)isa);
      for (int side = 0; side < 2; side++) {
        const kt_in in = {KT_GIVEN, 1, 0, x[i]}, other = {KT_GIVEN, 1, 0, one};
        const kt_case c = {.slot = AT_K_matmul_bf16,
                           .dim = {1, 1, 1, 1, 0, 0, 0, 0},
                           .in = {side ? other : in, side ? in : other},
                           .out = {1}};
        kt_result r = kt_run(&c, level.f32[AT_K_matmul_bf16], 4, 0);
        if (!(r.out[0][0] == x[i][1] || (isnan(r.out[0][0]) && isnan(x[i][1])))) {
          fail_msg("%s: %a became %a, not %a", level.isa_name, x[i][0], r.out[0][0], x[i][1]);
        }
        kt_result_free(&r);
      }
    }
  }
}

/* Our own products: an element's bits are the same in a product of its own row and column alone. */
static void check_bits_stand_alone(at_kslot slot, at_isa isa) {
  enum { M = 141, N = 551, K = 1100 };
  at_kernels level;
  at_kernels_init(&level, isa);
  const kt_case whole = {.slot = slot,
                         .dim = {1, M, N, K, 0, 1, 0, 0},
                         .in = {{KT_NORMAL, M * K, 0, NULL}, {KT_NORMAL, N * K, 0, NULL}},
                         .out = {M * N}};
  kt_result all = kt_run(&whole, level.f32[slot], 4, 0);
  double *a = malloc(M * K * sizeof *a), *b = malloc(N * K * sizeof *b);
  assert_true(a && b);
  for (int64_t i = 0; i < N * K; i++) {
    b[i] = kt_value(&whole.in[1], 1, i);
    a[i < M * K ? i : 0] = kt_value(&whole.in[0], 0, i < M * K ? i : 0);
  }
  for (int64_t at = 0; at < M * N; at += 613) {
    const kt_case one = {.slot = slot,
                         .dim = {1, 1, 1, K, 0, 1, 0, 0},
                         .in = {{KT_GIVEN, K, 0, a + at / N * K}, {KT_GIVEN, K, 0, b + at % N * K}},
                         .out = {1}};
    kt_result r = kt_run(&one, level.f32[slot], 4, 0);
    assert_true(r.out[0][0] == all.out[0][at]);
    kt_result_free(&r);
  }
  free(a);
  free(b);
  kt_result_free(&all);
}

static void test_bits_stand_alone(void **state) {
  (void)state;
  if (at_isa_detect() < AT_ISA_AVX512) {
    skip();
  }
  check_bits_stand_alone(AT_K_matmul, AT_ISA_AVX512);
  if (at_isa_detect() >= AT_ISA_AVX512BF16) {
    check_bits_stand_alone(AT_K_matmul_bf16, AT_ISA_AVX512BF16);
  }
}

/* C + s A B, apart and in place. */
static void test_add(void **state) {
  (void)state;
  static const at_kslot adds[] = {AT_K_matmul_add, AT_K_matmul_add_bf16};
  static const double scale[1] = {-0.375};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    for (int kind = 0; kind < 16; kind++) {
      const struct shape *q = &shapes[i];
      const kt_case c = {.slot = adds[kind >> 3],
                         .dim = {1, q->m, q->n, q->k, kind & 1, kind >> 1 & 1},
                         .in = {{KT_NORMAL, q->m * q->n, 0, NULL},
                                {KT_NORMAL, q->m * q->k, 0, NULL},
                                {KT_NORMAL, q->k * q->n, 0, NULL},
                                {KT_GIVEN, 1, 0, scale}},
                         .out = {q->m * q->n},
                         .in_place = kind >> 2 & 1 && q->m * q->n > 0};
      check(&c);
    }
  }
}

/* Our own: the product as it would be by itself, scaled, added, each rounded. */
static void test_add_bits(void **state) {
  (void)state;
  enum { M = 45, N = 75, K = 20 };
  if (at_isa_detect() < AT_ISA_AVX512) {
    skip();
  }
  at_kernels level;
  at_kernels_init(&level, at_isa_detect());
  double c[M * N], a[M * K], b[K * N];
  const double scale[1] = {-0x1.99999ap-4};
  for (int i = 0; i < M * N; i++) {
    c[i] = kt_value(&(kt_in){KT_NORMAL, M * N, 0, NULL}, 0, i);
    a[i < M * K ? i : 0] = kt_value(&(kt_in){KT_NORMAL, M * K, 0, NULL}, 1, i < M * K ? i : 0);
    b[i < K * N ? i : 0] = kt_value(&(kt_in){KT_NORMAL, K * N, 0, NULL}, 2, i < K * N ? i : 0);
  }
  const kt_in left = {KT_GIVEN, M * K, 0, a}, right = {KT_GIVEN, K * N, 0, b};
  const kt_case product = {.slot = AT_K_matmul, .dim = {1, M, N, K}, .in = {left, right}, .out = {M * N}};
  const kt_case add = {.slot = AT_K_matmul_add,
                       .dim = {1, M, N, K},
                       .in = {{KT_GIVEN, M * N, 0, c}, left, right, {KT_GIVEN, 1, 0, scale}},
                       .out = {M * N}};
  kt_result p = kt_run(&product, level.f32[product.slot], 4, 0), s = kt_run(&add, level.f32[add.slot], 4, 0);
  for (int i = 0; i < M * N; i++) {
    const float scaled = (float)scale[0] * (float)p.out[0][i];
    assert_true((float)s.out[0][i] == (float)c[i] + scaled);
  }
  kt_result_free(&p);
  kt_result_free(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(kt_test_all_levels_present),
      cmocka_unit_test(test_first_principles),
      cmocka_unit_test(test_shapes),
      cmocka_unit_test(test_gaps_between_batches),
      cmocka_unit_test(test_nan_propagates),
      cmocka_unit_test(test_bf16_rounding),
      cmocka_unit_test(test_bits_stand_alone),
      cmocka_unit_test(test_add),
      cmocka_unit_test(test_add_bits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
