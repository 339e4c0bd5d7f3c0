/* SPDX-License-Identifier: BSD-3-Clause */
/* Element-wise kernels at every level against the f64 reference: values, special values, sizes, places, broadcasting. */
#include "kernels/approx.h"
#include "tests/unit/kernels_harness.h"

static const int64_t sizes[] = {0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 61, 127, 257};

/* Errors in ulp of the exact result where it is at least `from` in size; absolute below that, as a multiple of from * 2^-23.
 * Correctly rounded operations allow 0.5; the double rounding of the comparison adds a little. */
static const struct unary {
  at_kslot slot;
  double ulp, from;
  kt_fill fill;
} unaries[] = {
    {AT_K_neg, 0.51, 0, KT_WIDE},        {AT_K_sqrt, 0.51, 0, KT_POSITIVE},   {AT_K_square, 0.51, 0, KT_WIDE},
    {AT_K_recip, 0.51, 0, KT_WIDE},      {AT_K_exp, 1.0, 0, KT_WIDE},         {AT_K_log, 1.0, 0, KT_POSITIVE},
    {AT_K_tanh, 2.5, 0, KT_WIDE},        {AT_K_erf, 2.5, 0, KT_WIDE},         {AT_K_sigmoid, 2.5, 0, KT_WIDE},
    {AT_K_gelu, 6.0, 0, KT_WIDE}, /* the distribution function's 5, and a product */
    {AT_K_silu, 3.0, 0, KT_WIDE},        {AT_K_gelu_bwd, 8.0, 0.25, KT_WIDE}, /* passes through 0: absolute near it */
    {AT_K_silu_bwd, 6.0, 0.25, KT_WIDE}, {AT_K_relu, 0.0, 0, KT_WIDE},
};

static double ulps(double got, double want, double from) {
  int e;
  frexp(fmax(fmax(fabs(want), from), 0x1p-126), &e);
  return fabs(got - want) / ldexp(1.0, e - 24);
}

static int is_backward(at_kslot slot) {
  return slot == AT_K_gelu_bwd || slot == AT_K_silu_bwd;
}

static kt_case unary_case(const struct unary *u, int64_t n) {
  kt_case c = {.slot = u->slot, .dim = {n}, .in = {{u->fill, n, 0, NULL}}, .out = {n}};
  if (is_backward(u->slot)) {
    c.in[1] = (kt_in){KT_NORMAL, n, 0, NULL};
  }
  return c;
}

static void test_unary_values(void **state) {
  (void)state;
  for (size_t k = 0; k < sizeof unaries / sizeof *unaries; k++) {
    const struct unary *u = &unaries[k];
    const kt_case c = unary_case(u, 20011);
    for (int isa = AT_ISA_REF; isa <= (int)at_isa_detect(); isa++) {
      at_kernels level;
      at_kernels_init(&level, (at_isa)isa);
      kt_result want = kt_run(&c, level.f64[u->slot], 8, 0), got = kt_run(&c, level.f32[u->slot], 4, 1);
      for (int64_t i = 0; i < c.out[0]; i++) {
        const double slope = is_backward(u->slot) ? fabs(kt_value(&c.in[1], 1, i)) : 1.0;
        if (ulps(got.out[0][i], want.out[0][i], u->from * slope) > u->ulp) {
          fail_msg("%s %s(%.9g) = %.9g, not %.12g", level.isa_name, at_kernel_name(u->slot), kt_value(&c.in[0], 0, i),
                   got.out[0][i], want.out[0][i]);
        }
      }
      kt_result_free(&want);
      kt_result_free(&got);
    }
  }
}

/* Here is asked whether every element is there; 1e-5 allows for a derivative near its zero being the only element. */
static void test_unary_sizes_and_in_place(void **state) {
  (void)state;
  for (size_t k = 0; k < sizeof unaries / sizeof *unaries; k++) {
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
      kt_case c = unary_case(&unaries[k], sizes[s]);
      kt_check_levels(&c, 1e-5);
      c.in_place = sizes[s] > 0;
      kt_check_levels(&c, 1e-5);
    }
  }
}

static void test_affine(void **state) {
  (void)state;
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    const int64_t n = sizes[s];
    const kt_case c = {.slot = AT_K_affine,
                       .dim = {n},
                       .attr = {-1.75, 0.3},
                       .in = {{KT_NORMAL, n, 0, NULL}},
                       .out = {n},
                       .in_place = n > 0};
    kt_check_levels(&c, 1.2e-7);
  }
}

static void test_relu_bwd(void **state) {
  (void)state;
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    const int64_t n = sizes[s];
    kt_case c = {
        .slot = AT_K_relu_bwd, .dim = {n}, .in = {{KT_NORMAL, n, 0, NULL}, {KT_NORMAL, n, 0, NULL}}, .out = {n}};
    kt_check_levels(&c, 0.0);
    c.in_place = n > 0;
    kt_check_levels(&c, 0.0);
  }
  const double dy[4] = {1, 2, 3, 4}, y[4] = {0.0, -0.0, NAN, INFINITY};
  const kt_case c = {.slot = AT_K_relu_bwd, .dim = {4}, .in = {{KT_GIVEN, 4, 0, dy}, {KT_GIVEN, 4, 0, y}}, .out = {4}};
  kt_check_levels(&c, 0.0);
}

/* Every combination of zeros, infinities, NaN, the largest, the smallest and huge numbers gives what the reference gives. */
static void test_special_values(void **state) {
  (void)state;
  const double x[] = {0.0,  -0.0,  INFINITY, -INFINITY, NAN,   3.0e38,   -3.0e38, 0x1p-149, -0x1p-149, 0x1p-126,
                      88.5, 89.5,  -87.0,    -90.0,     104.0, -103.5,   -110.0,  1e-20,    -1e-20,    9.0,
                      -9.0, 5.0e4, -5.0e4,   1.0,       -1.0,  -13.0625, 13.5,    0.5};
  enum { N = sizeof x / sizeof *x };
  double ones[N];
  for (int i = 0; i < N; i++) {
    ones[i] = 1.0;
  }
  for (size_t k = 0; k < sizeof unaries / sizeof *unaries; k++) {
    const at_kslot slot = unaries[k].slot;
    kt_case c = {.slot = slot, .dim = {N}, .in = {{KT_GIVEN, N, 0, x}}, .out = {N}};
    if (is_backward(slot)) {
      c.in[1] = (kt_in){KT_GIVEN, N, 0, ones};
    }
    for (int isa = AT_ISA_REF; isa <= (int)at_isa_detect(); isa++) {
      at_kernels level;
      at_kernels_init(&level, (at_isa)isa);
      kt_result want = kt_run(&c, level.f64[slot], 8, 0), got = kt_run(&c, level.f32[slot], 4, 0);
      for (int i = 0; i < N; i++) {
        const double g = got.out[0][i], w = (double)(float)want.out[0][i];
        const int same = isnan(w) ? isnan(g) : isinf(w) ? g == w : ulps(g, w, 0x1p-100) <= 8.0;
        if (!same) {
          fail_msg("%s %s(%.9g) = %.9g, not %.9g", level.isa_name, at_kernel_name(slot), x[i], g, w);
        }
      }
      kt_result_free(&want);
      kt_result_free(&got);
    }
  }
}

/* An operand of a broadcasting case: strides for the shape, contiguous over the dimensions whose letter is kept. */
static int64_t strides_of(int nd, const int64_t *shape, const char *kept, int64_t *stride) {
  int64_t n = 1;
  for (int i = nd - 1; i >= 0; i--) {
    stride[i] = kept[i] == '1' ? n : 0;
    n *= kept[i] == '1' ? shape[i] : 1;
  }
  return n;
}

static const struct pattern {
  int nd;
  int64_t shape[AT_KND];
  const char *a, *b; /* '1': has the dimension, '0': is broadcast along it */
} patterns[] = {
    {0, {0}, "", ""},
    {1, {37}, "1", "1"},
    {1, {37}, "1", "0"},
    {1, {37}, "0", "1"},
    {2, {13, 48}, "11", "11"},
    {2, {13, 48}, "11", "01"}, /* a row added to every row */
    {2, {13, 19}, "11", "10"}, /* a column */
    {2, {13, 19}, "10", "01"}, /* outer */
    {2, {13, 1}, "11", "01"},
    {2, {1, 33}, "11", "10"},
    {3, {3, 5, 17}, "111", "010"}, /* a channel */
    {3, {3, 5, 17}, "101", "111"},
    {4, {2, 3, 4, 5}, "1010", "0101"},
    {6, {2, 3, 1, 4, 2, 3}, "111111", "100110"},
    {6, {2, 3, 2, 4, 2, 3}, "010101", "101010"},
    {2, {0, 5}, "11", "01"},
    {3, {4, 0, 5}, "111", "010"},
};

static void test_broadcasting(void **state) {
  (void)state;
  static const at_kslot slots[] = {AT_K_add, AT_K_sub, AT_K_mul, AT_K_div};
  for (size_t p = 0; p < sizeof patterns / sizeof *patterns; p++) {
    const struct pattern *q = &patterns[p];
    for (size_t s = 0; s < sizeof slots / sizeof *slots; s++) {
      kt_case c = {.slot = slots[s], .dim = {q->nd}, .out = {1}};
      for (int i = 0; i < q->nd; i++) {
        c.dim[1 + i] = q->shape[i];
        c.out[0] *= q->shape[i];
      }
      c.in[0] = (kt_in){KT_NORMAL, strides_of(q->nd, q->shape, q->a, c.dim + 1 + q->nd), 0, NULL};
      c.in[1] = (kt_in){KT_POSITIVE, strides_of(q->nd, q->shape, q->b, c.dim + 1 + 2 * q->nd), 0, NULL};
      kt_check_levels(&c, 6e-8);
      c.in_place = c.out[0] > 0 && strchr(q->a, '0') == NULL;
      kt_check_levels(&c, 6e-8);
    }
  }
}

/* Indices of the element that a strided copy should bring to position `at`, from first principles. */
static double copied(const kt_case *c, int64_t at, const double *source) {
  const int nd = (int)c->dim[0];
  int64_t from = 0;
  for (int i = nd - 1; i >= 0; i--) {
    from += at % c->dim[1 + i] * c->dim[1 + nd + i];
    at /= c->dim[1 + i];
  }
  return source[from];
}

static const struct copy {
  int nd;
  int64_t shape[AT_KND], stride[AT_KND];
} copies[] = {
    {1, {41}, {1}},                                /* plain */
    {1, {41}, {0}},                                /* filled with one value */
    {1, {20}, {2}},                                /* every second */
    {2, {17, 23}, {1, 17}},                        /* transposed */
    {2, {64, 40}, {1, 64}},                        /* transposed in whole tiles */
    {2, {7, 3}, {1, 7}},                           /* smaller than a tile */
    {2, {5, 9}, {0, 1}},                           /* rows repeated */
    {3, {3, 10, 11}, {110, 1, 10}},                /* transposed in a batch */
    {3, {10, 3, 11}, {1, 110, 10}},                /* transposed around a middle */
    {4, {2, 3, 5, 16}, {240, 16, 48, 1}},          /* heads brought forward: runs of 16 */
    {4, {2, 16, 3, 5}, {240, 1, 80, 16}},          /* and their transposes */
    {6, {2, 2, 2, 2, 3, 2}, {1, 2, 4, 8, 16, 48}}, /* all six reversed */
    {3, {4, 5, 6}, {60, 6, 1}},                    /* a slice */
    {2, {6, 0}, {1, 6}},
    {0, {0}, {0}},
};

static void test_copy_strided(void **state) {
  (void)state;
  for (size_t k = 0; k < sizeof copies / sizeof *copies; k++) {
    kt_case c = {.slot = AT_K_copy_strided, .dim = {copies[k].nd}, .out = {1}};
    int64_t reach = 1;
    for (int i = 0; i < copies[k].nd; i++) {
      c.dim[1 + i] = copies[k].shape[i];
      c.dim[1 + copies[k].nd + i] = copies[k].stride[i];
      c.out[0] *= copies[k].shape[i];
      reach += (copies[k].shape[i] - 1) * copies[k].stride[i];
    }
    double *source = malloc((size_t)reach * sizeof *source);
    assert_non_null(source);
    for (int64_t i = 0; i < reach; i++) {
      source[i] = (double)i + 0.5;
    }
    c.in[0] = (kt_in){KT_GIVEN, reach, 0, source};
    for (int isa = AT_ISA_REF; isa <= (int)at_isa_detect(); isa++) {
      at_kernels level;
      at_kernels_init(&level, (at_isa)isa);
      for (int offset = 0; offset < 3; offset++) {
        kt_result r = kt_run(&c, level.f32[AT_K_copy_strided], 4, offset);
        for (int64_t i = 0; i < c.out[0]; i++) {
          assert_true(r.out[0][i] == copied(&c, i, source));
        }
        kt_result_free(&r);
      }
    }
    free(source);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(kt_test_all_levels_present),
      cmocka_unit_test(test_unary_values),
      cmocka_unit_test(test_unary_sizes_and_in_place),
      cmocka_unit_test(test_affine),
      cmocka_unit_test(test_relu_bwd),
      cmocka_unit_test(test_special_values),
      cmocka_unit_test(test_broadcasting),
      cmocka_unit_test(test_copy_strided),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
