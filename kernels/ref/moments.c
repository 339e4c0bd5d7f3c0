/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference kernels: what normalisation over rows of channels needs: moments, scaling and shifting, and its transpose. */
#include "kernels/ref/real.h"

void AT_REF(moments)(const at_kcall *k) {
  const int64_t batch = k->dim[0], rows = k->dim[1], c = k->dim[2];
  const real *x = k->in[0];
  real *mean = k->out[0], *variance = k->out[1];
  for (int64_t b = 0; b < batch; b++, x += rows * c) {
    for (int64_t i = 0; i < c; i++) {
      at_sum sum = {{0}}, square = {{0}};
      for (int64_t r = 0; r < rows; r++) {
        at_sum_add(&sum, r, (double)x[r * c + i]);
      }
      const double mu = at_sum_get(&sum) / (double)rows;
      for (int64_t r = 0; r < rows; r++) {
        at_sum_add(&square, r, ((double)x[r * c + i] - mu) * ((double)x[r * c + i] - mu));
      }
      *mean++ = (real)mu;
      *variance++ = (real)(at_sum_get(&square) / (double)rows);
    }
  }
}

void AT_REF(rows_affine)(const at_kcall *k) {
  const int64_t batch = k->dim[0], rows = k->dim[1], c = k->dim[2];
  const real *x = k->in[0], *a = k->in[1], *b = k->in[2];
  real *out = k->out[0];
  for (int64_t i = 0; i < batch; i++, a += c, b += c) {
    for (int64_t r = 0; r < rows; r++, x += c, out += c) {
      for (int64_t j = 0; j < c; j++) {
        out[j] = (real)((double)x[j] * (double)a[j] + (double)b[j]);
      }
    }
  }
}

void AT_REF(rows_dot)(const at_kcall *k) {
  const int64_t batch = k->dim[0], rows = k->dim[1], c = k->dim[2];
  const real *x = k->in[0], *y = k->in[1];
  real *dot = k->out[0], *sum = k->out[1];
  for (int64_t b = 0; b < batch; b++, x += rows * c, y += rows * c) {
    for (int64_t i = 0; i < c; i++) {
      at_sum xy = {{0}}, x1 = {{0}};
      for (int64_t r = 0; r < rows; r++) {
        at_sum_add(&xy, r, (double)x[r * c + i] * (double)y[r * c + i]);
        at_sum_add(&x1, r, (double)x[r * c + i]);
      }
      *dot++ = (real)at_sum_get(&xy);
      *sum++ = (real)at_sum_get(&x1);
    }
  }
}
