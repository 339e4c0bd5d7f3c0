/* SPDX-License-Identifier: BSD-3-Clause */
/* Agreement of clients in closed form. */
#include "src/fed/agreement.h"

#include <math.h>
#include <stdbool.h>

static const double decay = 0.99;

at_agreement at_agreement_of(int64_t k, const double *norm, const double *weight, double mean_norm) {
  at_agreement a = {NAN, NAN, NAN, NAN, NAN};
  double total = 0, weighted = 0, norms = 0, squares = 0, n = (double)k, mean_square = mean_norm * mean_norm;
  bool is_equal = true;
  for (int64_t i = 0; i < k; i++) {
    total += weight[i];
    weighted += weight[i] * norm[i] * norm[i];
    norms += norm[i];
    squares += norm[i] * norm[i];
    is_equal = is_equal && weight[i] == weight[0];
  }
  if (k < 2) {
    return a;
  }
  if (!is_equal) {
    a.consensus = weighted / total - mean_square;
    return a;
  }
  double products = (norms * norms - squares) / (n * (n - 1)); /* mean of |Delta_j| |Delta_k| */
  a.consensus = squares / n - mean_square;
  a.pair_dot = (n * n * mean_square - squares) / (n * (n - 1));
  a.pair_cosine = products > 0 ? a.pair_dot / products : 0;
  a.trace = a.consensus / (1 - 1 / n);
  a.grad_sq = (n * mean_square - squares / n) / (n - 1);
  return a;
}

double at_noise_scale_add(at_noise_scale *s, const at_agreement *a) {
  if (!isnan(a->trace)) {
    s->trace = decay * s->trace + (1 - decay) * a->trace;
    s->grad_sq = decay * s->grad_sq + (1 - decay) * a->grad_sq;
  }
  return s->grad_sq > 0 ? s->trace / s->grad_sq : NAN;
}
