/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference kernels: cross-entropy of logits against class indices, and its derivative. */
#include "kernels/ref/real.h"

void AT_REF(xent)(const at_kcall *k) {
  const int64_t rows = k->dim[0], v = k->dim[1];
  const real *x = k->in[0];
  const int32_t *target = k->in[1];
  real *loss = k->out[0], *lse = k->out[1];
  double total = 0.0;
  for (int64_t r = 0; r < rows; r++, x += v) {
    const double l = at_row_lse(v, x);
    lse[r] = (real)l;
    if (target[r] >= 0 && target[r] < v) {
      total += l - (double)x[target[r]];
    }
  }
  loss[0] = (real)(total * k->attr[0]);
}

void AT_REF(xent_bwd)(const at_kcall *k) {
  const int64_t rows = k->dim[0], v = k->dim[1];
  const real *x = k->in[0], *lse = k->in[2], *dloss = k->in[3];
  const int32_t *target = k->in[1];
  real *dx = k->out[0];
  const double g = (double)dloss[0] * k->attr[0];
  for (int64_t r = 0; r < rows; r++, x += v, dx += v) {
    if (target[r] < 0 || target[r] >= v) {
      memset(dx, 0, (size_t)v * sizeof *dx);
      continue;
    }
    for (int64_t i = 0; i < v; i++) {
      const double p = at_exp_f64((double)x[i] - (double)lse[r]);
      dx[i] = (real)(g * (p - (i == target[r] ? 1.0 : 0.0)));
    }
  }
}
