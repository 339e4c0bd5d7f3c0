/* SPDX-License-Identifier: BSD-3-Clause */
/* Agreement between clients: closed forms from norms against the vectors themselves. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "src/base/rng.h"
#include "src/fed/agreement.h"

enum { N = 211, MOST = 6 };
static float x[MOST][N];
static double mean[N];

static double dot(const float *a, const float *b) {
  double sum = 0;
  for (int i = 0; i < N; i++) {
    sum += (double)a[i] * b[i];
  }
  return sum;
}

/* Updates with something in common; norms, and the norm of their weighted mean. */
static double draw(int k, uint64_t key, const double *weight, double *norm) {
  static float common[N];
  at_stream s = {.seed = key, .purpose = AT_RNG_TEST};
  double total = 0, square = 0;
  at_rng_fill_normal(&s, 0, 1, common, N);
  for (int c = 0; c < k; c++) {
    total += weight[c];
  }
  for (int i = 0; i < N; i++) {
    mean[i] = 0;
  }
  for (int c = 0; c < k; c++) {
    s.client = (uint64_t)c + 1;
    at_rng_fill_normal(&s, 0, 2, x[c], N);
    for (int i = 0; i < N; i++) {
      x[c][i] += common[i];
      mean[i] += weight[c] / total * x[c][i];
    }
    norm[c] = sqrt(dot(x[c], x[c]));
  }
  for (int i = 0; i < N; i++) {
    square += mean[i] * mean[i];
  }
  return sqrt(square);
}

static void near(double a, double b) {
  assert_true(fabs(a - b) <= 1e-10 * fabs(b));
}

static void closed_forms_are_what_vectors_give(void **state) {
  (void)state;
  const double weight[MOST] = {3, 3, 3, 3, 3, 3};
  for (int k = 2; k <= MOST; k++) {
    double norm[MOST], mean_norm = draw(k, (uint64_t)k, weight, norm), pairs = k * (k - 1.0);
    double product = 0, norms = 0, spread = 0;
    for (int a = 0; a < k; a++) {
      for (int b = 0; b < k; b++) {
        product += a != b ? dot(x[a], x[b]) / pairs : 0;
        norms += a != b ? norm[a] * norm[b] / pairs : 0;
      }
      for (int i = 0; i < N; i++) {
        spread += (x[a][i] - mean[i]) * (x[a][i] - mean[i]);
      }
    }
    at_agreement g = at_agreement_of(k, norm, weight, mean_norm);
    near(g.consensus, spread / k);
    near(g.trace, spread / (k - 1));
    near(g.pair_dot, product);
    near(g.grad_sq, product); /* both estimate the square of the expected update, by the same pairs */
    near(g.pair_cosine, product / norms);
  }
}

static void weights_that_differ_leave_the_consensus(void **state) {
  (void)state;
  const double weight[3] = {1, 2, 5};
  double norm[3], mean_norm = draw(3, 9, weight, norm), spread = 0;
  for (int c = 0; c < 3; c++) {
    for (int i = 0; i < N; i++) {
      spread += weight[c] / 8 * (x[c][i] - mean[i]) * (x[c][i] - mean[i]);
    }
  }
  at_agreement g = at_agreement_of(3, norm, weight, mean_norm);
  near(g.consensus, spread);
  assert_true(isnan(g.pair_dot) && isnan(g.pair_cosine) && isnan(g.trace) && isnan(g.grad_sq));
}

static void one_client_has_nobody_to_agree_with(void **state) {
  (void)state;
  const double one = 1, zeros[2] = {0, 0}, ones[2] = {1, 1};
  at_agreement g = at_agreement_of(1, &one, &one, 1);
  assert_true(isnan(g.consensus) && isnan(g.pair_dot) && isnan(g.pair_cosine) && isnan(g.trace) && isnan(g.grad_sq));
  g = at_agreement_of(2, zeros, ones, 0); /* no step at all */
  assert_true(g.pair_dot == 0 && g.pair_cosine == 0 && g.trace == 0);
}

/* The bias-corrected averages by their definition. */
static void noise_scale_is_the_ratio_of_corrected_averages(void **state) {
  (void)state;
  at_noise_scale s = {0};
  const at_agreement none = {NAN, NAN, NAN, NAN, NAN};
  double trace = 0, grad_sq = 0;
  assert_true(isnan(at_noise_scale_add(&s, &none)));
  for (int r = 1; r <= 20; r++) {
    at_agreement a = {.trace = 4 + sin(r), .grad_sq = 2 + cos(r)};
    trace = 0.99 * trace + 0.01 * a.trace;
    grad_sq = 0.99 * grad_sq + 0.01 * a.grad_sq;
    double correction = 1 - pow(0.99, r);
    near(at_noise_scale_add(&s, &a), (trace / correction) / (grad_sq / correction));
    near(at_noise_scale_add(&s, &none), trace / grad_sq); /* a round that says nothing changes nothing */
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(closed_forms_are_what_vectors_give),
      cmocka_unit_test(weights_that_differ_leave_the_consensus),
      cmocka_unit_test(one_client_has_nobody_to_agree_with),
      cmocka_unit_test(noise_scale_is_the_ratio_of_corrected_averages),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
