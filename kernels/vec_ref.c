/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference versions of the flat vector functions; these define the arithmetic, rounding by rounding. */
#include <math.h>

#include "kernels/ref/ref.h"
#include "kernels/vec.h"

/* All in float, every scalar rounded once: g' = scale g; m = b1 m + c1 g'; v = b2 v + c2 (g' g');
 * w = w - (step m / (sqrt(v) root + eps) + decay w). */
static void adamw(const at_adamw *a, int64_t n, const float *g, float *w, float *m, float *v) {
  const at_adamw_f32 s = at_adamw_round(a);
  for (int64_t i = 0; i < n; i++) {
    const float gi = s.scale * g[i];
    const float mi = s.b1 * m[i] + s.c1 * gi;
    const float vi = s.b2 * v[i] + s.c2 * (gi * gi);
    const float denominator = sqrtf(vi) * s.root + s.eps;
    w[i] = w[i] - (s.step * mi / denominator + s.decay * w[i]);
    m[i] = mi;
    v[i] = vi;
  }
}

static void sgd(double lr, int64_t n, const float *g, float *w) {
  const float a = (float)lr;
  for (int64_t i = 0; i < n; i++) {
    w[i] = w[i] - a * g[i];
  }
}

static void momentum(const at_momentum *a, int64_t n, const float *g, float *w, float *m) {
  const at_momentum_f32 s = at_momentum_round(a);
  for (int64_t i = 0; i < n; i++) {
    const float gi = s.scale * g[i] + s.decay * w[i];
    const float mi = s.mu * m[i] + gi;
    w[i] = w[i] - s.lr * (a->nesterov ? gi + s.mu * mi : mi);
    m[i] = mi;
  }
}

static void langevin(const at_langevin *a, int64_t n, const float *g, const float *xi, float *w, float *v) {
  const at_langevin_f32 s = at_langevin_round(a);
  for (int64_t i = 0; i < n; i++) {
    const float gi = s.scale * g[i] + s.decay * w[i];
    float gain = 1.0f, root = 1.0f;
    if (v != NULL) {
      v[i] = s.beta * v[i] + s.rest * (gi * gi);
      gain = 1.0f / (sqrtf(v[i]) + s.eps);
      root = sqrtf(gain);
    }
    w[i] = w[i] - s.lr * (gain * gi) + s.noise * (root * xi[i]);
  }
}

static void lerp(double a, int64_t n, const float *x, float *y) {
  const float f = (float)a;
  for (int64_t i = 0; i < n; i++) {
    y[i] = y[i] + f * (x[i] - y[i]);
  }
}

static void axpy(double a, int64_t n, const float *x, float *y) {
  const float f = (float)a;
  for (int64_t i = 0; i < n; i++) {
    y[i] = y[i] + f * x[i];
  }
}

static void sub(int64_t n, const float *a, const float *b, float *out) {
  for (int64_t i = 0; i < n; i++) {
    out[i] = a[i] - b[i];
  }
}

static double dot(int64_t n, const float *x, const float *y) {
  double lane[AT_VEC_LANES] = {0};
  for (int64_t i = 0; i < n; i++) {
    lane[i % AT_VEC_LANES] += (double)x[i] * (double)y[i];
  }
  return at_vec_fold(lane);
}

static double sumsq(int64_t n, const float *x) {
  return at_vec_finite(dot(n, x, x));
}

static double grid_add(double weight, int bits, int64_t n, const float *x, int64_t *acc) {
  const double scale = at_vec_pow2(bits);
  double top = 0.0;
  int bad = 0;
  for (int64_t i = 0; i < n; i++) {
    const double term = rint(weight * (double)x[i] * scale), size = fabs(term);
    bad |= !(size < INFINITY);
    top = size > top ? size : top;
    const int64_t add = size < 0x1p63 ? (int64_t)term : 0; /* beyond: `top` tells the caller, acc is unspecified */
    acc[i] = (int64_t)((uint64_t)acc[i] + (uint64_t)add);
  }
  return bad ? NAN : top;
}

static void grid_get(int bits, int64_t n, const int64_t *acc, float *out) {
  const double scale = at_vec_pow2(-bits);
  for (int64_t i = 0; i < n; i++) {
    out[i] = (float)((double)acc[i] * scale);
  }
}

static double largest(int64_t n, const float *x) {
  return at_vec_largest(n, x);
}

const at_vec at_ref_vec = {adamw, sgd, momentum, langevin, lerp, axpy, sub, sumsq, dot, grid_add, grid_get, largest};
