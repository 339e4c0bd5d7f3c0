/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference kernels: layer normalisation and root-mean-square normalisation with their derivatives.
 *
 * With xh = (x - mean) * rstd (or x * rrms) and q = dy * g:  dx = rstd * (q - mean(q) - xh * mean(q * xh)), where the
 * middle term is absent from RMS normalisation; dg = sum over rows of dy * xh; db = sum over rows of dy. */
#include "kernels/ref/real.h"

void AT_REF(layernorm)(const at_kcall *k) {
  const int64_t rows = k->dim[0], n = k->dim[1];
  const real *x = k->in[0], *g = k->in[1], *b = k->in[2];
  real *y = k->out[0], *mean = k->out[1], *rstd = k->out[2];
  for (int64_t r = 0; r < rows; r++, x += n, y += n) {
    at_sum sum = {{0}}, square = {{0}};
    for (int64_t i = 0; i < n; i++) {
      at_sum_add(&sum, i, (double)x[i]);
    }
    const double mu = at_sum_get(&sum) / (double)n;
    for (int64_t i = 0; i < n; i++) {
      at_sum_add(&square, i, ((double)x[i] - mu) * ((double)x[i] - mu));
    }
    const double rs = 1.0 / sqrt(at_sum_get(&square) / (double)n + k->attr[0]);
    for (int64_t i = 0; i < n; i++) {
      y[i] = (real)(((double)x[i] - mu) * rs * (double)g[i] + (double)b[i]);
    }
    mean[r] = (real)mu;
    rstd[r] = (real)rs;
  }
}

void AT_REF(rmsnorm)(const at_kcall *k) {
  const int64_t rows = k->dim[0], n = k->dim[1];
  const real *x = k->in[0], *g = k->in[1];
  real *y = k->out[0], *rrms = k->out[1];
  for (int64_t r = 0; r < rows; r++, x += n, y += n) {
    at_sum square = {{0}};
    for (int64_t i = 0; i < n; i++) {
      at_sum_add(&square, i, (double)x[i] * (double)x[i]);
    }
    const double rs = 1.0 / sqrt(at_sum_get(&square) / (double)n + k->attr[0]);
    for (int64_t i = 0; i < n; i++) {
      y[i] = (real)((double)x[i] * rs * (double)g[i]);
    }
    rrms[r] = (real)rs;
  }
}

/* One row's dx; `centred`: subtract the mean of q. */
static void row_bwd(int64_t n, const real *x, double mu, double rs, const real *g, const real *dy, int centred,
                    real *dx) {
  at_sum q = {{0}}, qx = {{0}};
  for (int64_t i = 0; i < n; i++) {
    const double v = (double)dy[i] * (double)g[i];
    at_sum_add(&q, i, v);
    at_sum_add(&qx, i, v * ((double)x[i] - mu) * rs);
  }
  const double c0 = centred ? at_sum_get(&q) / (double)n : 0.0, c1 = at_sum_get(&qx) / (double)n;
  for (int64_t i = 0; i < n; i++) {
    const double xh = ((double)x[i] - mu) * rs;
    dx[i] = (real)(rs * ((double)dy[i] * (double)g[i] - c0 - xh * c1));
  }
}

void AT_REF(layernorm_bwd)(const at_kcall *k) {
  const int64_t rows = k->dim[0], n = k->dim[1];
  const real *x = k->in[0], *g = k->in[1], *mean = k->in[2], *rstd = k->in[3], *dy = k->in[4];
  real *dx = k->out[0], *dg = k->out[1], *db = k->out[2];
  for (int64_t r = 0; r < rows; r++) {
    row_bwd(n, x + r * n, (double)mean[r], (double)rstd[r], g, dy + r * n, 1, dx + r * n);
  }
  for (int64_t i = 0; i < n; i++) {
    at_sum sg = {{0}}, sb = {{0}};
    for (int64_t r = 0; r < rows; r++) {
      const double d = (double)dy[r * n + i];
      at_sum_add(&sg, r, d * ((double)x[r * n + i] - (double)mean[r]) * (double)rstd[r]);
      at_sum_add(&sb, r, d);
    }
    dg[i] = (real)at_sum_get(&sg);
    db[i] = (real)at_sum_get(&sb);
  }
}

void AT_REF(rmsnorm_bwd)(const at_kcall *k) {
  const int64_t rows = k->dim[0], n = k->dim[1];
  const real *x = k->in[0], *g = k->in[1], *rrms = k->in[2], *dy = k->in[3];
  real *dx = k->out[0], *dg = k->out[1];
  for (int64_t r = 0; r < rows; r++) {
    row_bwd(n, x + r * n, 0.0, (double)rrms[r], g, dy + r * n, 0, dx + r * n);
  }
  for (int64_t i = 0; i < n; i++) {
    at_sum sg = {{0}};
    for (int64_t r = 0; r < rows; r++) {
      at_sum_add(&sg, r, (double)dy[r * n + i] * (double)x[r * n + i] * (double)rrms[r]);
    }
    dg[i] = (real)at_sum_get(&sg);
  }
}
