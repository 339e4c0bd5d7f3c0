/* SPDX-License-Identifier: BSD-3-Clause */
/* Renyi differential privacy of the sampled Gaussian mechanism. */
#include "src/stats/rdp.h"

#include <gsl/gsl_sf_erf.h>
#include <math.h>
#include <stddef.h>

/* log(exp(a) + exp(b)) and log(exp(a) - exp(b)), a >= b. */
static double log_add(double a, double b) {
  double most = fmax(a, b);
  return most == -INFINITY ? most : most + log1p(exp(-fabs(a - b)));
}

static double log_sub(double a, double b) {
  return b == -INFINITY ? a : a > b ? a + log1p(-exp(b - a)) : -INFINITY;
}

/* log of the sum over k of binomial(alpha, k) (1-q)^(alpha-k) q^k exp((k^2 - k) / (2 sigma^2)): equation (4) with alpha whole. */
static double log_a_whole(double q, double sigma, int64_t alpha) {
  double sum = -INFINITY;
  for (int64_t k = 0; k <= alpha; k++) {
    double binomial = lgamma((double)alpha + 1) - lgamma((double)k + 1) - lgamma((double)(alpha - k) + 1);
    double term = binomial + (double)(alpha - k) * log1p(-q) + (k > 0 ? (double)k * log(q) : 0);
    sum = log_add(sum, term + (double)(k * k - k) / (2 * sigma * sigma));
  }
  return sum;
}

/* The same with alpha in between: section 3.3, two series split at z0, whose terms change sign after the whole part of alpha. */
static double log_a_between(double q, double sigma, double alpha) {
  double plus = -INFINITY, minus = -INFINITY; /* of both series together */
  double z0 = sigma * sigma * log(1 / q - 1) + 0.5, binomial = 0;
  int sign = 1;
  for (int i = 0; i < 100000; i++) {
    if (i > 0) {
      double factor = (alpha - i + 1) / i;
      binomial += log(fabs(factor));
      sign = factor < 0 ? -sign : sign;
    }
    double j = alpha - i, scale = 1 / (M_SQRT2 * sigma);
    double low = binomial + i * log(q) + j * log1p(-q) + (i * (i - 1.0)) / (2 * sigma * sigma) - M_LN2 +
                 gsl_sf_log_erfc((i - z0) * scale);
    double high = binomial + j * log(q) + i * log1p(-q) + (j * (j - 1)) / (2 * sigma * sigma) - M_LN2 +
                  gsl_sf_log_erfc((z0 - j) * scale);
    double *to = sign > 0 ? &plus : &minus;
    *to = log_add(*to, log_add(low, high));
    if (i > alpha && fmax(low, high) < plus - 40) {
      break;
    }
  }
  return log_sub(plus, minus);
}

double at_rdp_round(double q, double sigma, double alpha) {
  if (q <= 0) {
    return 0;
  }
  if (sigma <= 0) {
    return INFINITY;
  }
  if (q >= 1) {
    return alpha / (2 * sigma * sigma);
  }
  double whole = floor(alpha);
  double log_a = alpha == whole ? log_a_whole(q, sigma, (int64_t)alpha) : log_a_between(q, sigma, alpha);
  return fmax(log_a, 0) / (alpha - 1);
}

/* Orders at which the minimum is looked for. */
static double order_at(int i) {
  static const double large[] = {72, 80, 96, 112, 128, 192, 256, 384, 512, 1024};
  if (i < 99) {
    return 1.01 + 0.1 * i; /* 1.01 .. 10.81 */
  }
  if (i < 99 + 54) {
    return 11 + (i - 99); /* .. 64 */
  }
  i -= 99 + 54;
  return i < (int)(sizeof large / sizeof large[0]) ? large[i] : 0;
}

static double smallest(double q, double sigma, int64_t rounds, double delta, double *order, int is_tight) {
  double best = INFINITY;
  for (int i = 0; order_at(i) > 0; i++) {
    double alpha = order_at(i), rdp = (double)rounds * at_rdp_round(q, sigma, alpha);
    double epsilon =
        is_tight ? rdp + log1p(-1 / alpha) - log(delta * alpha) / (alpha - 1) : rdp - log(delta) / (alpha - 1);
    if (epsilon < best) {
      best = epsilon;
      if (order != NULL) {
        *order = alpha;
      }
    }
  }
  return rounds == 0 ? 0 : fmax(best, 0);
}

double at_rdp_epsilon(double q, double sigma, int64_t rounds, double delta, double *order) {
  return smallest(q, sigma, rounds, delta, order, 0);
}

double at_rdp_epsilon_tight(double q, double sigma, int64_t rounds, double delta, double *order) {
  return smallest(q, sigma, rounds, delta, order, 1);
}
