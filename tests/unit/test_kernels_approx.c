/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernels' own elementary functions in double, against the C library's over dense ranges, and at special values. */
#include "kernels/approx.h"
#include "tests/unit/unit.h"

/* glibc's functions are within 1 ulp; an error here is ours plus that. */
static double ulps(double got, double want) {
  if (isnan(want)) {
    return isnan(got) ? 0.0 : INFINITY;
  }
  if (isinf(want)) {
    return got == want ? 0.0 : INFINITY;
  }
  int e;
  frexp(fmax(fabs(want), 0x1p-1022), &e);
  return fabs(got - want) / ldexp(1.0, e - 53);
}

static double sine(double x) {
  double s, c;
  at_sincos_f64(x, &s, &c);
  return s;
}

static double cosine(double x) {
  double s, c;
  at_sincos_f64(x, &s, &c);
  return c;
}

static double sigmoid(double x) {
  return x < 0 ? exp(x) / (1.0 + exp(x)) : 1.0 / (1.0 + exp(-x));
}

/* With the product rounded, an error of x^2 ulp would enter here: the argument's rounding is compensated to first order. */
static double normcdf(double x) {
  const double z = -x * AT_SQRT1_2, lost = fma(-x, AT_SQRT1_2, -z) - x * -0x1.bdd3413b26456p-55;
  return 0.5 * (erfc(z) - lost * 2.0 / sqrt(acos(-1.0)) * exp(-z * z));
}

static const struct range {
  const char *name;
  double (*ours)(double), (*theirs)(double);
  double from, to, ulp;
} ranges[] = {
    {"exp", at_exp_f64, exp, -708, 709.7, 2},
    {"exp", at_exp_f64, exp, -1, 1, 2},
    {"exp, subnormal results", at_exp_f64, exp, -745, -708, 2},
    {"expm1", at_expm1_f64, expm1, -2, 2, 4},
    {"expm1", at_expm1_f64, expm1, -600, 600, 4},
    {"expm1", at_expm1_f64, expm1, -1e-4, 1e-4, 4},
    {"tanh", at_tanh_f64, tanh, -25, 25, 5},
    {"tanh", at_tanh_f64, tanh, -1e-3, 1e-3, 5},
    {"sigmoid", at_sigmoid_f64, sigmoid, -700, 40, 5},
    {"log", at_log_f64, log, 0.5, 2, 2},
    {"log", at_log_f64, log, 0.999, 1.001, 2},
    {"log", at_log_f64, log, 1e-308, 1e-300, 2},
    {"log, subnormal arguments", at_log_f64, log, 1e-320, 1e-310, 2},
    {"log", at_log_f64, log, 1, 1e300, 2},
    {"erf", at_erf_f64, erf, -7, 7, 4},
    {"erf", at_erf_f64, erf, -1e-3, 1e-3, 4},
    {"erfc", at_erfc_f64, erfc, -7, 7, 10},
    {"erfc", at_erfc_f64, erfc, 6, 26.5, 10},
    {"normal distribution", at_normcdf_f64, normcdf, -8, 8, 16},
    {"sin", sine, sin, -10, 10, 4},
    {"cos", cosine, cos, -10, 10, 4},
    {"sin", sine, sin, -1e6, 1e6, 4},
    {"cos", cosine, cos, -1e6, 1e6, 4},
};

static void test_ranges(void **state) {
  (void)state;
  enum { POINTS = 200003 };
  for (size_t k = 0; k < sizeof ranges / sizeof *ranges; k++) {
    const struct range *r = &ranges[k];
    for (int i = 0; i <= POINTS; i++) {
      const double x = r->from + (r->to - r->from) * i / POINTS, got = r->ours(x), want = r->theirs(x);
      if (!(ulps(got, want) <= r->ulp)) {
        fail_msg("%s(%.17g) = %.17g, not %.17g: %.1f ulp", r->name, x, got, want, ulps(got, want));
      }
    }
  }
}

static void test_special_values(void **state) {
  (void)state;
  static const double x[] = {0.0,    -0.0,    1.0,       -1.0,       INFINITY, -INFINITY, NAN,
                             709.78, 709.79,  710.0,     -745.1,     -745.2,   1e300,     -1e300,
                             1e-300, -1e-300, 0x1p-1074, -0x1p-1074, 27.2,     -27.2,     30.0};
  for (size_t i = 0; i < sizeof x / sizeof *x; i++) {
    assert_true(ulps(at_exp_f64(x[i]), exp(x[i])) <= 2);
    assert_true(ulps(at_tanh_f64(x[i]), tanh(x[i])) <= 5);
    assert_true(ulps(at_erf_f64(x[i]), erf(x[i])) <= 4);
    assert_true(ulps(at_erfc_f64(x[i]), erfc(x[i])) <= 10);
    assert_true(ulps(at_log_f64(x[i]), log(x[i])) <= 2);
    assert_true(signbit(at_tanh_f64(x[i])) == signbit(x[i]) || isnan(x[i]));
    assert_true(signbit(at_erf_f64(x[i])) == signbit(x[i]) || isnan(x[i]));
  }
  assert_true(at_sigmoid_f64(INFINITY) == 1.0 && at_sigmoid_f64(-INFINITY) == 0.0 && isnan(at_sigmoid_f64(NAN)));
  assert_true(at_normcdf_f64(INFINITY) == 1.0 && at_normcdf_f64(-INFINITY) == 0.0 && isnan(at_normcdf_f64(NAN)));
  assert_true(at_normpdf_f64(INFINITY) == 0.0 && at_normpdf_f64(-50.0) == 0.0 && isnan(at_normpdf_f64(NAN)));
  assert_true(fabs(at_normpdf_f64(0.0) - 0.3989422804014327) < 1e-16);
}

/* The derivative of the distribution function is the density: an identity that links the two branches' polynomials. */
static void test_density_is_the_slope(void **state) {
  (void)state;
  for (double x = -6.0; x < 6.0; x += 0.0137) {
    const double h = 1e-4;
    const double slope = (8.0 * (at_normcdf_f64(x + h) - at_normcdf_f64(x - h)) -
                          (at_normcdf_f64(x + 2 * h) - at_normcdf_f64(x - 2 * h))) /
                         (12.0 * h);
    assert_true(fabs(slope - at_normpdf_f64(x)) < 1e-11);
  }
}

static void test_rounding_and_powers(void **state) {
  (void)state;
  for (double x = -10.0; x <= 10.0; x += 0.25) {
    assert_true(at_round_even(x) == nearbyint(x));
  }
  for (int k = -1022; k <= 1023; k++) {
    assert_true(at_pow2(k) == ldexp(1.0, k));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_ranges),
      cmocka_unit_test(test_special_values),
      cmocka_unit_test(test_density_is_the_slope),
      cmocka_unit_test(test_rounding_and_powers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
