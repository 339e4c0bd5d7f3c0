/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers that carry two directions and their product, so that one evaluation of a function gives one exact entry of its Hessian
 * (Fike and Alonso 2011): an independent way to what the graph computes. */
#ifndef AT_TESTS_HYPERDUAL_H
#define AT_TESTS_HYPERDUAL_H

#include <math.h>

typedef struct hd {
  double v, a, b, ab; /* f, df/da, df/db, d2f/da db */
} hd;

static inline hd hd_of(double v) {
  return (hd){v, 0, 0, 0};
}
static inline hd hd_add(hd x, hd y) {
  return (hd){x.v + y.v, x.a + y.a, x.b + y.b, x.ab + y.ab};
}
static inline hd hd_mul(hd x, hd y) {
  return (hd){x.v * y.v, x.a * y.v + x.v * y.a, x.b * y.v + x.v * y.b, x.ab * y.v + x.a * y.b + x.b * y.a + x.v * y.ab};
}
static inline hd hd_scale(hd x, double s) {
  return (hd){s * x.v, s * x.a, s * x.b, s * x.ab};
}
/* f(x) from f, f' and f'' at x.v */
static inline hd hd_chain(hd x, double f, double f1, double f2) {
  return (hd){f, f1 * x.a, f1 * x.b, f1 * x.ab + f2 * x.a * x.b};
}
static inline hd hd_tanh(hd x) {
  double t = tanh(x.v), d = 1 - t * t;
  return hd_chain(x, t, d, -2 * t * d);
}
static inline hd hd_sigmoid(hd x) {
  double s = 1 / (1 + exp(-x.v)), d = s * (1 - s);
  return hd_chain(x, s, d, d * (1 - 2 * s));
}
static inline hd hd_exp(hd x) {
  double e = exp(x.v);
  return hd_chain(x, e, e, e);
}

/* f(x, context) at x[n]: grad[n] and, unless NULL, hessian[n][n]. */
typedef hd (*hd_function)(const hd *x, const void *context);
static inline double hd_explicit(hd_function f, const void *context, int n, const double *x, double *grad,
                                 double *hessian) {
  enum { MOST = 128 };
  hd at[MOST];
  double value = 0;
  for (int i = 0; i < n; i++) {
    for (int j = i; j < (hessian ? n : i + 1); j++) {
      for (int k = 0; k < n; k++) {
        at[k] = (hd){x[k], k == i, k == j, 0};
      }
      hd y = f(at, context);
      value = y.v;
      grad[i] = y.a;
      if (hessian != NULL) {
        hessian[i * n + j] = hessian[j * n + i] = y.ab;
      }
    }
  }
  return value;
}

/* x = A^-1 b by Gaussian elimination with row exchanges; a[n][n] and b[n] are overwritten, b with x. */
static inline void solve_explicit(int n, double *a, double *b) {
  for (int c = 0; c < n; c++) {
    int top = c;
    for (int r = c + 1; r < n; r++) {
      top = fabs(a[r * n + c]) > fabs(a[top * n + c]) ? r : top;
    }
    for (int k = 0; k < n; k++) {
      double t = a[c * n + k];
      a[c * n + k] = a[top * n + k];
      a[top * n + k] = t;
    }
    double t = b[c];
    b[c] = b[top];
    b[top] = t;
    for (int r = 0; r < n; r++) {
      double factor = r == c ? 0 : a[r * n + c] / a[c * n + c];
      for (int k = c; k < n; k++) {
        a[r * n + k] -= factor * a[c * n + k];
      }
      b[r] -= factor * b[c];
    }
  }
  for (int c = 0; c < n; c++) {
    b[c] /= a[c * n + c];
  }
}

#endif
