/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference kernels: element-wise on contiguous arrays. */
#include "kernels/ref/real.h"

/* in[0] = x, out[0] = y; `value` is a double expression of the double v. */
#define UNARY(slot, value)                    \
  void AT_REF(slot)(const at_kcall *k) {      \
    const real *x = k->in[0];                 \
    real *y = k->out[0];                      \
    for (int64_t i = 0; i < k->dim[0]; i++) { \
      const double v = (double)x[i];          \
      y[i] = (real)(value);                   \
    }                                         \
  }

/* in: x, dy; `slope` is the derivative at v. */
#define UNARY_BWD(slot, slope)                 \
  void AT_REF(slot)(const at_kcall *k) {       \
    const real *x = k->in[0], *dy = k->in[1];  \
    real *dx = k->out[0];                      \
    for (int64_t i = 0; i < k->dim[0]; i++) {  \
      const double v = (double)x[i];           \
      dx[i] = (real)((double)dy[i] * (slope)); \
    }                                          \
  }

static double silu_slope(double v) {
  const double s = at_sigmoid_f64(v);
  return s * (1.0 + v * at_sigmoid_f64(-v));
}

UNARY(neg, -v)
UNARY(exp, at_exp_f64(v))
UNARY(log, at_log_f64(v))
UNARY(sqrt, sqrt(v))
UNARY(tanh, at_tanh_f64(v))
UNARY(sigmoid, at_sigmoid_f64(v))
UNARY(square, v *v)
UNARY(recip, 1.0 / v)
UNARY(erf, at_erf_f64(v))
UNARY(gelu, v *at_normcdf_f64(v))
UNARY(silu, v *at_sigmoid_f64(v))
UNARY_BWD(gelu_bwd, at_normcdf_f64(v) + v * at_normpdf_f64(v))
UNARY_BWD(silu_bwd, silu_slope(v))

void AT_REF(affine)(const at_kcall *k) {
  const real *x = k->in[0], a = (real)k->attr[0], b = (real)k->attr[1];
  real *y = k->out[0];
  for (int64_t i = 0; i < k->dim[0]; i++) {
    y[i] = a * x[i] + b;
  }
}
