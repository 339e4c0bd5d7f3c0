/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference kernels: comparing, choosing, and the element-wise functions with a kink. */
#include "kernels/ref/real.h"
#include "kernels/strided.h"

/* `value` is an expression of the reals u (of in[0]) and v (of in[1]). */
#define BINARY(slot, value)                                                        \
  void AT_REF(slot)(const at_kcall *k) {                                           \
    const at_strided s = at_strided_parse(k->dim, 1);                              \
    const real *a = k->in[0], *b = k->in[1];                                       \
    real *out = k->out[0];                                                         \
    if (s.count == 0) {                                                            \
      return;                                                                      \
    }                                                                              \
    const int64_t n = s.shape[s.nd - 1], sa = s.sa[s.nd - 1], sb = s.sb[s.nd - 1]; \
    at_strided_walk w = {.a = 0};                                                  \
    do {                                                                           \
      for (int64_t i = 0; i < n; i++) {                                            \
        const real u = a[w.a + i * sa], v = b[w.b + i * sb];                       \
        out[i] = (value);                                                          \
      }                                                                            \
      out += n;                                                                    \
    } while (at_strided_next(&s, 1, &w));                                          \
  }

BINARY(maximum, u > v || u != u ? u : v)
BINARY(minimum, u < v || u != u ? u : v)
BINARY(less, (real)(u < v))
BINARY(less_equal, (real)(u <= v))
BINARY(equal, (real)(u == v))

void AT_REF(where)(const at_kcall *k) {
  const int nd = (int)k->dim[0];
  const int64_t *shape = k->dim + 1, *stride[3] = {shape + nd, shape + 2 * nd, shape + 3 * nd};
  const real *mask = k->in[0], *yes = k->in[1], *no = k->in[2];
  real *out = k->out[0];
  int64_t count = 1, index[AT_KND] = {0}, at[3] = {0}, step[3] = {0};
  const int64_t run = nd > 0 ? shape[nd - 1] : 1;
  for (int i = 0; i < nd; i++) {
    count *= shape[i];
  }
  for (int j = 0; nd > 0 && j < 3; j++) {
    step[j] = stride[j][nd - 1];
  }
  for (int64_t done = 0; done < count; done += run) {
    const real *m = mask + at[0], *u = yes + at[1], *v = no + at[2];
    for (int64_t i = 0; i < run; i++) {
      out[done + i] = m[i * step[0]] != 0 ? u[i * step[1]] : v[i * step[2]];
    }
    for (int i = nd - 2; i >= 0; i--) {
      const int wrap = ++index[i] == shape[i];
      for (int j = 0; j < 3; j++) {
        at[j] += stride[j][i] * (wrap ? 1 - shape[i] : 1);
      }
      if (!wrap) {
        break;
      }
      index[i] = 0;
    }
  }
}

#define UNARY(slot, value)                    \
  void AT_REF(slot)(const at_kcall *k) {      \
    const real *x = k->in[0];                 \
    real *y = k->out[0];                      \
    for (int64_t i = 0; i < k->dim[0]; i++) { \
      const real v = x[i];                    \
      y[i] = (value);                         \
    }                                         \
  }

/* log(1 + exp(v)) = max(v, 0) + log1p(exp(-|v|)); the log of 1 + e divided by its rounding error keeps the last places. */
static double softplus(double v) {
  const double e = at_exp_f64(-fabs(v)), s = 1.0 + e;
  const double log1p = s == 1.0 ? e : at_log_f64(s) * e / (s - 1.0);
  return (v > 0.0 ? v : v == v ? 0.0 : v) + log1p;
}

UNARY(relu, v < 0 ? 0 : v)
UNARY(abs, v < 0 ? -v : v == 0 ? 0 : v)
UNARY(sign, v > 0 ? 1 : v < 0 ? -1 : v == v ? 0 : v)
UNARY(softplus, (real)softplus((double)v))

void AT_REF(clamp)(const at_kcall *k) {
  const real *x = k->in[0], lo = (real)k->attr[0], hi = (real)k->attr[1];
  real *y = k->out[0];
  for (int64_t i = 0; i < k->dim[0]; i++) {
    y[i] = x[i] < lo ? lo : x[i] > hi ? hi : x[i];
  }
}

void AT_REF(relu_bwd)(const at_kcall *k) {
  const real *dy = k->in[0], *y = k->in[1];
  real *dx = k->out[0];
  for (int64_t i = 0; i < k->dim[0]; i++) {
    dx[i] = y[i] > 0 ? dy[i] : 0;
  }
}

void AT_REF(clamp_bwd)(const at_kcall *k) {
  const real *dy = k->in[0], *x = k->in[1], lo = (real)k->attr[0], hi = (real)k->attr[1];
  real *dx = k->out[0];
  for (int64_t i = 0; i < k->dim[0]; i++) {
    dx[i] = x[i] >= lo && x[i] <= hi ? dy[i] : 0;
  }
}

void AT_REF(softmax)(const at_kcall *k) {
  const int64_t rows = k->dim[0], n = k->dim[1];
  const real *x = k->in[0];
  real *y = k->out[0];
  for (int64_t r = 0; r < rows; r++, x += n, y += n) {
    const double shift = at_row_shift(n, x), sum = at_row_expsum(n, x, shift);
    for (int64_t i = 0; i < n; i++) {
      y[i] = (real)(at_exp_f64((double)x[i] - shift) / sum);
    }
  }
}

void AT_REF(length_fill)(const at_kcall *k) {
  const int64_t batch = k->dim[0], rows = k->dim[1], s = k->dim[2];
  const real *x = k->in[0], fill = (real)k->attr[0];
  const int32_t *length = k->in[1];
  real *out = k->out[0];
  for (int64_t r = 0; r < batch * rows; r++, x += s, out += s) {
    const int64_t seen = length[r / rows];
    for (int64_t i = 0; i < s; i++) {
      out[i] = i < seen ? x[i] : fill;
    }
  }
}
