/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference kernels: sums over one dimension, and log-sum-exp. */
#include "kernels/ref/real.h"

void AT_REF(reduce_sum)(const at_kcall *k) {
  const int64_t outer = k->dim[0], mid = k->dim[1], inner = k->dim[2];
  const real *x = k->in[0];
  real *out = k->out[0];
  for (int64_t o = 0; o < outer; o++, x += mid * inner) {
    for (int64_t i = 0; i < inner; i++) {
      at_sum sum = {{0}};
      for (int64_t m = 0; m < mid; m++) {
        at_sum_add(&sum, m, (double)x[m * inner + i]);
      }
      out[o * inner + i] = (real)at_sum_get(&sum);
    }
  }
}

void AT_REF(logsumexp)(const at_kcall *k) {
  const int64_t rows = k->dim[0], n = k->dim[1];
  const real *x = k->in[0];
  real *out = k->out[0];
  for (int64_t r = 0; r < rows; r++, x += n) {
    out[r] = (real)at_row_lse(n, x);
  }
}
