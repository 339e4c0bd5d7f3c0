/* SPDX-License-Identifier: BSD-3-Clause */
/* Pooling, moments and scaling of rows of channels at every level against the f64 reference. */
#include "tests/unit/kernels_harness.h"

/* n h w c, kernel, stride (or output size where the kernel is 0), padding, whole */
typedef struct pool {
  int64_t n, h, w, c, kh, kw, sh, sw, ph, pw, whole;
} pool;

static const pool pools[] = {
    {2, 8, 8, 32, 2, 2, 2, 2, 0, 0, 0}, {2, 7, 5, 19, 3, 3, 2, 1, 1, 1, 1}, {1, 9, 9, 3, 3, 2, 3, 3, 1, 0, 0},
    {2, 5, 7, 40, 0, 0, 2, 3, 0, 0, 0}, {1, 3, 3, 16, 0, 0, 5, 4, 0, 0, 0}, {0, 4, 4, 8, 2, 2, 2, 2, 0, 0, 0},
    {3, 6, 6, 1, 6, 6, 1, 1, 0, 0, 1},
};

static int64_t out_size(int64_t size, int64_t kernel, int64_t stride, int64_t pad) {
  return kernel == 0 ? stride : (size + 2 * pad - kernel) / stride + 1;
}

static void check_pools(at_kslot slot) {
  for (size_t i = 0; i < sizeof pools / sizeof pools[0]; i++) {
    const pool *p = &pools[i];
    const int64_t oh = out_size(p->h, p->kh, p->sh, p->ph), ow = out_size(p->w, p->kw, p->sw, p->pw);
    const int64_t x = p->n * p->h * p->w * p->c, y = p->n * oh * ow * p->c;
    const int bwd = slot == AT_K_avgpool_bwd;
    kt_case c = {.slot = slot,
                 .dim = {p->n, p->h, p->w, p->c, oh, ow, p->kh, p->kw, p->sh, p->sw, p->ph, p->pw, p->whole},
                 .in = {{KT_NORMAL, bwd ? y : x, 0, NULL}},
                 .out = {bwd ? x : y}};
    kt_check_levels(&c, 5e-7);
  }
}

static void test_avgpool(void **state) {
  (void)state;
  check_pools(AT_K_avgpool);
  check_pools(AT_K_avgpool_bwd);
}

/* Values and indices as the reference has them, with ties and NaN. */
static void test_maxpool(void **state) {
  (void)state;
  enum { N = 2, H = 7, W = 6, C = 21, OH = 4, OW = 6, X = N * H * W * C, Y = N * OH * OW * C };
  static float x[X], want[Y], got[Y];
  static int32_t want_at[Y], got_at[Y];
  for (int i = 0; i < X; i++) {
    const double u = kt_uniform(3, i);
    x[i] = u < 0.05 ? NAN : u < 0.1 ? -INFINITY : (float)floor(8 * kt_uniform(4, i));
  }
  for (int isa = AT_ISA_AVX2; isa <= (int)at_isa_detect(); isa++) {
    at_kernels k;
    at_kernels_init(&k, AT_ISA_REF);
    at_kcall call = {.in = {x}, .out = {want, want_at}, .dim = {N, H, W, C, OH, OW, 3, 3, 2, 1, 1, 1, 0}};
    k.f32[AT_K_maxpool](&call);
    at_kernels_init(&k, (at_isa)isa);
    call.out[0] = got;
    call.out[1] = got_at;
    k.f32[AT_K_maxpool](&call);
    for (int i = 0; i < Y; i++) {
      assert_true(got[i] == want[i] || (isnan(got[i]) && isnan(want[i])));
    }
    assert_memory_equal(got_at, want_at, sizeof want_at);
  }
}

/* batch, rows, channels */
static const int64_t rows[][3] = {{1, 500, 64}, {2, 130, 19}, {3, 1, 5},   {1, 65, 1100},
                                  {2, 0, 4},    {0, 3, 3},    {1, 4000, 1}};

static void test_moments(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const int64_t *d = rows[i], per = d[0] * d[2];
    kt_case c = {
        .slot = AT_K_moments, .dim = {d[0], d[1], d[2]}, .in = {{KT_POSITIVE, d[1] * per, 0, NULL}}, .out = {per, per}};
    kt_check_levels(&c, 1e-6);
  }
}

/* A large mean beside a small deviation, and one that moves from row to row. */
static void test_moments_are_stable(void **state) {
  (void)state;
  enum { ROWS = 1000, C = 3 };
  static double x[ROWS * C];
  for (int i = 0; i < ROWS; i++) {
    x[i * C] = 4096 + (i % 2 ? 0.5 : -0.5);
    x[i * C + 1] = i * 0.25;
    x[i * C + 2] = i == 0 ? 1000 : 0.001953125 * (i % 7);
  }
  kt_case c = {.slot = AT_K_moments, .dim = {1, ROWS, C}, .in = {{KT_GIVEN, ROWS * C, 0, x}}, .out = {C, C}};
  for (int isa = AT_ISA_REF; isa <= (int)at_isa_detect(); isa++) {
    at_kernels k;
    at_kernels_init(&k, (at_isa)isa);
    kt_result want = kt_run(&c, k.f64[AT_K_moments], 8, 0), got = kt_run(&c, k.f32[AT_K_moments], 4, 0);
    for (int j = 0; j < C; j++) {
      assert_true(fabs(got.out[0][j] - want.out[0][j]) <= 1e-6 * fabs(want.out[0][j]));
      assert_true(fabs(got.out[1][j] - want.out[1][j]) <= 1e-5 * want.out[1][j]);
    }
    kt_result_free(&want);
    kt_result_free(&got);
  }
}

static void test_rows(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const int64_t *d = rows[i], per = d[0] * d[2], all = d[1] * per;
    kt_case affine = {.slot = AT_K_rows_affine,
                      .dim = {d[0], d[1], d[2]},
                      .in = {{KT_NORMAL, all, 0, NULL}, {KT_NORMAL, per, 0, NULL}, {KT_NORMAL, per, 0, NULL}},
                      .out = {all}};
    kt_check_levels(&affine, 5e-7);
    affine.in_place = 1;
    kt_check_levels(&affine, 5e-7);
    kt_case dot = {.slot = AT_K_rows_dot,
                   .dim = {d[0], d[1], d[2]},
                   .in = {{KT_NORMAL, all, 0, NULL}, {KT_NORMAL, all, 0, NULL}},
                   .out = {per, per}};
    kt_check_levels(&dot, 2e-6);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(kt_test_all_levels_present),
                                     cmocka_unit_test(test_avgpool),
                                     cmocka_unit_test(test_maxpool),
                                     cmocka_unit_test(test_moments),
                                     cmocka_unit_test(test_moments_are_stable),
                                     cmocka_unit_test(test_rows)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
