/* SPDX-License-Identifier: BSD-3-Clause */
/* Flat vector functions: each level against the definition, the exact grid, and what happens off the finite path. */
#include "tests/unit/kernels_harness.h"

enum { MOST = 1100 };
static const int64_t sizes[] = {0, 1, 3, 7, 8, 15, 16, 17, 31, 32, 33, 64, 127, 1000, 1037};
enum { SIZES = sizeof sizes / sizeof *sizes };

/* A float in about [-1, 1) with all 24 bits in play. */
static float some(int stream, int64_t i) {
  return (float)(2.0 * kt_uniform((uint64_t)(77 + stream), i) - 1.0);
}

static void fill(float *x, int64_t n, int stream) {
  for (int64_t i = 0; i < n; i++) {
    x[i] = some(stream, i);
  }
}

/* The statements, for every level `k`, size `n` and offset `o`. */
#define EACH(...)                                                  \
  for (int isa = AT_ISA_REF; isa <= (int)at_isa_detect(); isa++) { \
    at_kernels level, ref;                                         \
    at_kernels_init(&level, (at_isa)isa);                          \
    at_kernels_init(&ref, AT_ISA_REF);                             \
    for (int s = 0; s < SIZES; s++) {                              \
      for (int o = 0; o < 3; o++) {                                \
        const int64_t n = sizes[s];                                \
        __VA_ARGS__                                                \
      }                                                            \
    }                                                              \
  }

/* Loschilov and Hutter's update in double, from the same floats: levels are within a few ulp of it, the fused ones nearer. */
static void test_adamw(void **state) {
  (void)state;
  const at_adamw a = {.lr = 3e-3,
                      .beta1 = 0.9,
                      .beta2 = 0.999,
                      .eps = 1e-8,
                      .weight_decay = 0.1,
                      .bias1 = 1 - 0.9 * 0.9,
                      .bias2 = 1 - 0.999 * 0.999,
                      .grad_scale = 0.37};
  static float g[MOST], w[MOST], m[MOST], v[MOST], w0[MOST];
  EACH({
    fill(g + o, n, 0);
    fill(w0 + o, n, 1);
    memcpy(w, w0, sizeof w);
    for (int64_t i = 0; i < n + 1; i++) {
      m[o + i] = 0.01f * some(2, i);
      v[o + i] = 0.01f * (1.0f + some(3, i));
    }
    w[o + n] = m[o + n] = v[o + n] = 5.0f; /* guards */
    level.vec.adamw(&a, n, g + o, w + o, m + o, v + o);
    assert_true(w[o + n] == 5.0f && m[o + n] == 5.0f && v[o + n] == 5.0f);
    for (int64_t i = 0; i < n; i++) {
      const double gi = 0.37 * (double)g[o + i], mi = 0.9 * (double)(0.01f * some(2, i)) + 0.1 * gi;
      const double vi = 0.999 * (double)(0.01f * (1.0f + some(3, i))) + 0.001 * gi * gi, wi = (double)w0[o + i];
      const double want = wi - (3e-3 * (mi / a.bias1) / (sqrt(vi / a.bias2) + 1e-8) + 3e-3 * 0.1 * wi);
      assert_true(fabs((double)m[o + i] - mi) <= 2e-8);
      assert_true(fabs((double)v[o + i] - vi) <= 4e-9);
      assert_true(fabs((double)w[o + i] - want) <= 2e-7); /* an ulp of w, and 1e-5 of the step */
    }
  })
}

/* These promise the reference's roundings: equal bits at every level. */
static void test_same_bits(void **state) {
  (void)state;
  static float x[MOST], y[MOST], a[MOST], b[MOST];
  EACH({
    fill(x + o, n, 4);
    fill(y + o, n, 5);
    memcpy(a, y, sizeof a);
    memcpy(b, y, sizeof b);
    level.vec.sgd(0.0123, n, x + o, a + o);
    ref.vec.sgd(0.0123, n, x + o, b + o);
    assert_memory_equal(a, b, sizeof a);
    level.vec.axpy(-1.7, n, x + o, a + o);
    ref.vec.axpy(-1.7, n, x + o, b + o);
    assert_memory_equal(a, b, sizeof a);
    level.vec.sub(n, a + o, x + o, a + o);
    ref.vec.sub(n, b + o, x + o, b + o);
    assert_memory_equal(a, b, sizeof a);
    level.vec.lerp(0.3, n, x + o, a + o);
    ref.vec.lerp(0.3, n, x + o, b + o);
    assert_memory_equal(a, b, sizeof a);
    const double d1 = level.vec.dot(n, x + o, y + o);
    const double d2 = ref.vec.dot(n, x + o, y + o);
    const double q1 = level.vec.sumsq(n, x + o);
    const double q2 = ref.vec.sumsq(n, x + o);
    assert_true(d1 == d2 && q1 == q2);
  })
}

/* So do these, with all their state. */
static void test_same_bits_of_steps(void **state) {
  (void)state;
  static float g[MOST], xi[MOST], w[2][MOST], m[2][MOST];
  EACH({
    fill(g + o, n, 9);
    fill(xi + o, n, 10);
    for (int kind = 0; kind < 4; kind++) {
      const at_momentum mu = {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01, .grad_scale = 0.7, .nesterov = kind};
      const at_langevin l = {
          .lr = 0.1, .temperature = 0.3, .weight_decay = 0.01, .grad_scale = 0.7, .beta = 0.9, .eps = 1e-5};
      for (int k = 0; k < 2; k++) {
        const at_vec *v = k ? &level.vec : &ref.vec;
        fill(w[k], MOST, 11);
        for (int i = 0; i < MOST; i++) {
          m[k][i] = 0.1f * fabsf(some(12, i));
        }
        if (kind < 2) {
          v->momentum(&mu, n, g + o, w[k] + o, m[k] + o);
        } else {
          v->langevin(&l, n, g + o, xi + o, w[k] + o, kind == 3 ? m[k] + o : NULL);
        }
      }
      assert_memory_equal(w[0], w[1], sizeof w[0]);
      assert_memory_equal(m[0], m[1], sizeof m[0]);
    }
  })
}

/* The definitions in words: two roundings, in double for sums. */
static void test_definitions(void **state) {
  (void)state;
  static float x[MOST], y[MOST], z[MOST];
  const int64_t n = 1037;
  for (int isa = AT_ISA_REF; isa <= (int)at_isa_detect(); isa++) {
    at_kernels level;
    at_kernels_init(&level, (at_isa)isa);
    fill(x, n, 6);
    fill(y, n, 7);
    memcpy(z, y, sizeof z);
    level.vec.sgd(0.3, n, x, z);
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) {
      const volatile float product = 0.3f * x[i];
      assert_true(z[i] == y[i] - product);
      sum += (double)x[i] * (double)y[i];
    }
    assert_true(fabs(level.vec.dot(n, x, y) - sum) < 1e-12);
  }
}

static void test_sumsq_of_the_infinite(void **state) {
  (void)state;
  static float x[100];
  for (int isa = AT_ISA_REF; isa <= (int)at_isa_detect(); isa++) {
    at_kernels level;
    at_kernels_init(&level, (at_isa)isa);
    for (int at = 0; at < 100; at += 11) {
      for (int i = 0; i < 100; i++) {
        x[i] = 3e38f;
      }
      assert_true(isfinite(level.vec.sumsq(100, x)));
      x[at] = at % 2 ? INFINITY : -INFINITY;
      assert_true(isnan(level.vec.sumsq(100, x)));
      x[at] = NAN;
      assert_true(isnan(level.vec.sumsq(100, x)));
    }
  }
}

static void test_grid(void **state) {
  (void)state;
  static float x[MOST], back[MOST];
  static int64_t acc[MOST], want[MOST];
  EACH({
    fill(x + o, n, 8);
    for (int64_t i = 0; i < MOST; i++) {
      acc[i] = want[i] = i * 1000003 - 77;
    }
    double most = 0.0;
    for (int64_t i = 0; i < n; i++) {
      const double term = nearbyint(0.7 * (double)x[o + i] * 0x1p50);
      want[o + i] += (int64_t)term;
      most = fmax(most, fabs(term));
    }
    assert_true(level.vec.grid_add(0.7, 50, n, x + o, acc + o) == most);
    assert_memory_equal(acc, want, sizeof acc);
    level.vec.grid_get(50, n, acc + o, back + o);
    for (int64_t i = 0; i < n; i++) {
      assert_true(back[o + i] == (float)((double)acc[o + i] * 0x1p-50));
    }
  })
}

/* Halves go to the even neighbour; terms of any size below 2^63 are added exactly; order does not matter. */
static void test_grid_edges(void **state) {
  (void)state;
  enum { N = 24 };
  static const float x[N] = {
      0.5f,     1.5f,      2.5f,    -0.5f,   -1.5f,    -2.5f,         3.0f,           -7.0f,           0x1p50f,
      -0x1p50f, 0x1.8p51f, 0x1p52f, 0x1p53f, -0x1p54f, 0x1p61f,       0x1.fffffep62f, -0x1.fffffep62f, 0x1p31f,
      0x1p32f,  -0x1p33f,  0.49f,   1e-30f,  0.0f,     0x1.000002p40f};
  static const int64_t want[N] = {0,
                                  2,
                                  2,
                                  0,
                                  -2,
                                  -2,
                                  3,
                                  -7,
                                  (int64_t)1 << 50,
                                  -((int64_t)1 << 50),
                                  (int64_t)3 << 50,
                                  (int64_t)1 << 52,
                                  (int64_t)1 << 53,
                                  -((int64_t)1 << 54),
                                  (int64_t)1 << 61,
                                  (int64_t)0xffffff << 39,
                                  -((int64_t)0xffffff << 39),
                                  (int64_t)1 << 31,
                                  (int64_t)1 << 32,
                                  -((int64_t)1 << 33),
                                  0,
                                  0,
                                  0,
                                  (int64_t)0x800001 << 17};
  for (int isa = AT_ISA_REF; isa <= (int)at_isa_detect(); isa++) {
    at_kernels level;
    at_kernels_init(&level, (at_isa)isa);
    int64_t acc[N] = {0};
    assert_true(level.vec.grid_add(1.0, 0, N, x, acc) == 0x1.fffffep62);
    assert_memory_equal(acc, want, sizeof acc);
    level.vec.grid_add(-1.0, 0, N, x, acc);
    for (int i = 0; i < N; i++) {
      assert_true(acc[i] == 0);
    }
    for (int at = 0; at < N; at++) {
      for (int kind = 0; kind < 3; kind++) {
        float y[N];
        memcpy(y, x, sizeof y);
        y[at] = kind == 0 ? NAN : kind == 1 ? INFINITY : -INFINITY;
        assert_true(isnan(level.vec.grid_add(1.0, 0, N, y, acc)));
      }
    }
    assert_true(level.vec.grid_add(1.0, 20, 1, (float[]){0x1p50f}, acc) == 0x1p70); /* the caller sees the overflow */
  }
}

static void test_largest(void **state) {
  (void)state;
  static float x[MOST];
  EACH({
    fill(x + o, n, 9);
    double want = 0.0;
    for (int64_t i = 0; i < n; i++) {
      want = fmax(want, fabs((double)x[o + i]));
    }
    assert_true(level.vec.largest(n, x + o) == want);
    for (int kind = 0; kind < 3 && n > 0; kind++) {
      x[o + n / 2] = kind == 0 ? NAN : kind == 1 ? INFINITY : -INFINITY;
      assert_true(isnan(level.vec.largest(n, x + o)));
    }
  })
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(kt_test_all_levels_present),
      cmocka_unit_test(test_adamw),
      cmocka_unit_test(test_largest),
      cmocka_unit_test(test_same_bits),
      cmocka_unit_test(test_same_bits_of_steps),
      cmocka_unit_test(test_definitions),
      cmocka_unit_test(test_sumsq_of_the_infinite),
      cmocka_unit_test(test_grid),
      cmocka_unit_test(test_grid_edges),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
