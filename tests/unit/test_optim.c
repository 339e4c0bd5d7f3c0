/* SPDX-License-Identifier: BSD-3-Clause */
/* Optimisers against values worked out by hand, Langevin noise, rates by tensor, schedules, averages. */
#include "src/nn/optim.h"

#include <math.h>

#include "tests/unit/unit.h"

static at_kernels kernels; /* of the best level */

static int setup(void **state) {
  (void)state;
  at_kernels_init(&kernels, at_isa_detect());
  return 0;
}

/* --- by hand -------------------------------------------------------------------------------------------------------------- */

/* w = 1, g = 2 then 1, rate 0.1: momentum 0.9 gives m = 2, then 0.9 * 2 + 1 = 2.8. */
static void test_momentum(void **state) {
  (void)state;
  float w[1] = {1}, g[1] = {2}, m[1] = {0};
  at_moments mom = {.m = m};
  at_optim o = {.kind = AT_OPTIM_SGD, .momentum = 0.9};
  at_optim_step(&o, &kernels.vec, 0.1, 1, g, w, &mom);
  assert_float_equal(w[0], 0.8, 1e-6);
  g[0] = 1;
  at_optim_step(&o, &kernels.vec, 0.1, 1, g, w, &mom);
  assert_float_equal(m[0], 2.8, 1e-6);
  assert_float_equal(w[0], 0.8 - 0.28, 1e-6);
  assert_int_equal(mom.t, 2);
}

/* Nesterov: the step is g' + 0.9 m; decay 0.5 makes g' = 2 + 0.5 * 1 = 2.5 at w = 1; clipping at 1 halves the gradient first. */
static void test_nesterov_decay_clip(void **state) {
  (void)state;
  float w[1] = {1}, g[1] = {2}, m[1] = {0};
  at_moments mom = {.m = m};
  at_optim o = {.kind = AT_OPTIM_SGD, .momentum = 0.9, .nesterov = true, .weight_decay = 0.5};
  at_optim_step(&o, &kernels.vec, 0.1, 1, g, w, &mom);
  assert_float_equal(w[0], 1 - 0.1 * (2.5 + 0.9 * 2.5), 1e-6);
  o.clip = 1;
  w[0] = 1;
  m[0] = 0;
  at_step_info info = at_optim_step(&o, &kernels.vec, 0.1, 1, g, w, &mom);
  assert_true(info.clipped && info.scale == 0.5);
  assert_float_equal(w[0], 1 - 0.1 * 1.9 * 1.5, 1e-6);
}

static void test_plain_sgd(void **state) {
  (void)state;
  float w[2] = {1, -4}, g[2] = {2, 3};
  at_moments none = {0};
  at_optim o = {.kind = AT_OPTIM_SGD};
  assert_int_equal(at_optim_moments(&o), 0);
  at_optim_step(&o, &kernels.vec, 0.1, 2, g, w, &none);
  assert_float_equal(w[0], 0.8, 1e-6);
  assert_float_equal(w[1], -4.3, 1e-6);
  o.weight_decay = 0.5;
  at_optim_step(&o, &kernels.vec, 0.1, 2, g, w, &none);
  assert_float_equal(w[0], 0.8 - 0.1 * (2 + 0.4), 1e-6);
  assert_float_equal(w[1], -4.3 - 0.1 * (3 - 2.15), 1e-6);
}

/* The published worked value of a scalar posterior: gradient -64.8, step size 1e-4 (so rate 5e-5), noise 0.3, theta = 0.2. */
static void test_langevin_kernel(void **state) {
  (void)state;
  for (int isa = AT_ISA_REF; isa <= (int)at_isa_detect(); isa++) {
    at_kernels k;
    at_kernels_init(&k, (at_isa)isa);
    float w[1] = {0.2f}, g[1] = {-64.8f}, xi[1] = {0.3f}, v[1] = {0.5f};
    at_langevin a = {.lr = 5e-5, .temperature = 1, .grad_scale = 1, .beta = 0.9, .eps = 0.5};
    k.vec.langevin(&a, 1, g, xi, w, NULL);
    assert_float_equal(w[0], 0.20624, 1e-7);
    /* v = 0.45 + 0.1 * 4 = 0.85 */
    w[0] = 1;
    g[0] = 2;
    a.lr = 0.1;
    a.temperature = 0.2;
    k.vec.langevin(&a, 1, g, xi, w, v);
    double gain = 1 / (sqrt(0.85) + 0.5);
    assert_float_equal(v[0], 0.85, 1e-6);
    assert_float_equal(w[0], 1 - 0.1 * gain * 2 + sqrt(2 * 0.1 * 0.2 * gain) * 0.3, 1e-6);
  }
}

/* --- Langevin noise --------------------------------------------------------------------------------------------------------- */

enum { N = 4000 };

static const at_stream noise = {.seed = 7, .client = 3, .round = 2};

/* Without gradient the step is the noise: mean 0, variance 2 lr T, no correlation between steps; fourth moment of a normal. */
static void test_noise_moments(void **state) {
  (void)state;
  static float w[N], g[N], last[N];
  at_optim o = {.kind = AT_OPTIM_SGLD, .temperature = 0.5};
  at_moments mom = {0};
  at_step s = {.lr = 0.01, .n = N, .noise = &noise};
  double sum = 0, square = 0, fourth = 0, cross = 0;
  enum { STEPS = 20 };
  for (int t = 0; t < STEPS; t++) {
    memset(w, 0, sizeof w);
    at_optim_apply(&o, &kernels.vec, &s, g, w, &mom);
    for (int i = 0; i < N; i++) {
      double z = w[i] / sqrt(2 * 0.01 * 0.5);
      sum += z;
      square += z * z;
      fourth += z * z * z * z;
      cross += z * last[i];
      last[i] = (float)z;
    }
  }
  double n = (double)N * STEPS; /* bounds: four standard errors */
  assert_true(fabs(sum / n) < 4 / sqrt(n));
  assert_true(fabs(square / n - 1) < 4 * sqrt(2 / n));
  assert_true(fabs(fourth / n - 3) < 4 * sqrt(96 / n));
  assert_true(fabs(cross / n) < 4 / sqrt(n));
  assert_int_equal(mom.t, STEPS);
}

/* The same stream gives the same steps, whether the vector is stepped whole or tensor by tensor. */
static void test_noise_by_place(void **state) {
  (void)state;
  static float a[N], b[N], c[N], g[N], va[N], vb[N], vc[N];
  at_tensor part[3] = {{.offset = 0, .count = 1}, {.offset = 1, .count = 1501}, {.offset = 1502, .count = N - 1502}};
  at_layout layout = {.n = 3, .tensor = part, .count = N};
  const double rate[3] = {1, 1, 1};
  at_stream other = noise;
  other.client++;
  for (int i = 0; i < N; i++) {
    g[i] = sinf((float)i);
  }
  at_optim o = {.kind = AT_OPTIM_PSGLD, .temperature = 0.1, .beta2 = 0.9, .eps = 1e-3};
  assert_int_equal(at_optim_moments(&o), AT_MOMENT_V);
  at_moments ma = {.v = va}, mb = {.v = vb}, mc = {.v = vc};
  for (int t = 0; t < 3; t++) {
    at_optim_apply(&o, &kernels.vec, &(at_step){.lr = 0.1, .n = N, .noise = &noise}, g, a, &ma);
    at_optim_apply(&o, &kernels.vec, &(at_step){.lr = 0.1, .n = N, .layout = &layout, .rate = rate, .noise = &noise}, g,
                   b, &mb);
    at_optim_apply(&o, &kernels.vec, &(at_step){.lr = 0.1, .n = N, .noise = &other}, g, c, &mc);
  }
  assert_memory_equal(a, b, sizeof a);
  assert_memory_equal(va, vb, sizeof va);
  int same = 0;
  for (int i = 0; i < N; i++) {
    same += a[i] == c[i];
  }
  assert_true(same < 10);
}

/* U = |theta|^2 / 2 at temperature T: the stationary variance of theta - h theta + sqrt(2 h T) xi is T / (1 - h / 2). */
static void test_stationary_variance(void **state) {
  (void)state;
  static const double rates[2] = {0.1, 0.5};
  for (int k = 0; k < 2; k++) {
    double h = rates[k], sum = 0, n = 0;
    static float w[N];
    memset(w, 0, sizeof w);
    at_optim o = {.kind = AT_OPTIM_SGLD, .temperature = 0.3};
    at_moments mom = {0};
    at_step s = {.lr = h, .n = N, .noise = &noise};
    for (int t = 0; t < 200; t++) {
      at_optim_apply(&o, &kernels.vec, &s, w, w, &mom); /* its own gradient */
      if (t >= 80 && t % 30 == 0) {                     /* nearly independent by then */
        for (int i = 0; i < N; i++) {
          sum += (double)w[i] * (double)w[i];
          n++;
        }
      }
    }
    double want = 0.3 / (1 - h / 2);
    assert_true(fabs(sum / n / want - 1) < 4 * sqrt(2 / n));
  }
}

/* --- rates, schedules, averages ------------------------------------------------------------------------------------------- */

static void test_rates(void **state) {
  (void)state;
  float w[5] = {1, 1, 1, 1, 1}, g[5] = {1, 1, 1, 1, 1}, m[5] = {0}, v[5] = {0};
  at_tensor part[3] = {{.offset = 0, .count = 2}, {.offset = 2, .count = 2}, {.offset = 4, .count = 1}};
  at_layout layout = {.n = 3, .tensor = part, .count = 5};
  const double rate[3] = {0.5, 0, 2};
  at_optim o = {.kind = AT_OPTIM_ADAMW, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8};
  at_moments mom = {.m = m, .v = v};
  at_optim_apply(&o, &kernels.vec, &(at_step){.lr = 0.1, .n = 5, .layout = &layout, .rate = rate}, g, w, &mom);
  static const double want[5] = {0.95, 0.95, 1, 1, 0.8}; /* Adam's first step is the rate */
  for (int i = 0; i < 5; i++) {
    assert_float_equal(w[i], want[i], 1e-6);
  }
  assert_true(m[1] > 0 && m[2] == 0 && v[3] == 0 && m[4] > 0);
}

static void test_schedules(void **state) {
  (void)state;
  at_schedule s = {.lr_max = 2, .final_fraction = 0.1, .warmup = 4, .period = 24, .factor = 0.5, .every = 5};
  static const double at14[] = {2 * 0.55, 2 * 0.55, 2 * 0.25, 2}; /* half way */
  static const double at1000[] = {0.2, 0.2, 0.2, 2};
  for (int kind = 0; kind < AT_SCHEDULE_COUNT; kind++) {
    s.kind = kind;
    assert_float_equal(at_schedule_lr(&s, 0), 0.5, 1e-12);
    assert_float_equal(at_schedule_lr(&s, 3), 2.0, 1e-12);
    assert_float_equal(at_schedule_lr(&s, 4), 2.0, 1e-12);
    assert_float_equal(at_schedule_lr(&s, 14), at14[kind], 1e-12);
    assert_float_equal(at_schedule_lr(&s, 1000), at1000[kind], 1e-12);
  }
  s.kind = AT_SCHEDULE_LINEAR;
  assert_float_equal(at_schedule_lr(&s, 9), 2 * (1 - 0.9 * 0.25), 1e-12);
  s.kind = AT_SCHEDULE_COSINE;
  assert_float_equal(at_schedule_lr(&s, 9), 2 * (0.1 + 0.45 * (1 + sqrt(0.5))), 1e-12);
  s.kind = AT_SCHEDULE_STEP;
  assert_float_equal(at_schedule_lr(&s, 8), 2, 1e-12);
  assert_float_equal(at_schedule_lr(&s, 9), 1, 1e-12);
  assert_string_equal(at_schedule_names[AT_SCHEDULE_CONSTANT], "constant");
  assert_null(at_schedule_names[AT_SCHEDULE_COUNT]);
}

static void test_ema(void **state) {
  (void)state;
  float w[3] = {1, 2, -4}, mean[3] = {0, 2, 4};
  at_ema_update(&kernels.vec, 0.75, 3, w, mean);
  assert_float_equal(mean[0], 0.25, 1e-7);
  assert_float_equal(mean[1], 2, 1e-7);
  assert_float_equal(mean[2], 2, 1e-7);
}

/* A gradient that is not finite changes nothing, with any optimiser. */
static void test_not_finite(void **state) {
  (void)state;
  for (int kind = 0; kind < AT_OPTIM_COUNT; kind++) {
    float w[2] = {1, 2}, g[2] = {0, INFINITY}, m[2] = {3, 3}, v[2] = {4, 4};
    at_optim o = {.kind = kind, .momentum = 0.9, .temperature = 1};
    at_moments mom = {m, v, 5};
    at_step_info info = at_optim_apply(&o, &kernels.vec, &(at_step){.lr = 0.1, .n = 2, .noise = &noise}, g, w, &mom);
    assert_true(info.skipped && w[0] == 1 && w[1] == 2 && m[0] == 3 && v[1] == 4 && mom.t == 5);
    assert_non_null(at_optim_names[kind]);
  }
  assert_null(at_optim_names[AT_OPTIM_COUNT]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_momentum),
      cmocka_unit_test(test_nesterov_decay_clip),
      cmocka_unit_test(test_plain_sgd),
      cmocka_unit_test(test_langevin_kernel),
      cmocka_unit_test(test_noise_moments),
      cmocka_unit_test(test_noise_by_place),
      cmocka_unit_test(test_stationary_variance),
      cmocka_unit_test(test_rates),
      cmocka_unit_test(test_schedules),
      cmocka_unit_test(test_ema),
      cmocka_unit_test(test_not_finite),
  };
  return cmocka_run_group_tests(tests, setup, NULL);
}
