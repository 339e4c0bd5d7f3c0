/* SPDX-License-Identifier: BSD-3-Clause */
/* Vector kernels: cross-entropy and its derivative. */
#include <string.h>

#include "kernels/simd/rows.h"
#include "kernels/simd/slots.h"

void AT_SIMD(xent)(const at_kcall *k) {
  const int64_t rows = k->dim[0], v = k->dim[1];
  const float *x = k->in[0];
  const int32_t *target = k->in[1];
  float *loss = k->out[0], *lse = k->out[1];
  double total = 0.0;
  for (int64_t r = 0; r < rows; r++, x += v) {
    const double l = at_row_lse(v, x);
    lse[r] = (float)l;
    if (target[r] >= 0 && target[r] < v) {
      total += l - (double)x[target[r]];
    }
  }
  loss[0] = (float)(total * k->attr[0]);
}

void AT_SIMD(xent_bwd)(const at_kcall *k) {
  const int64_t rows = k->dim[0], v = k->dim[1];
  const float *x = k->in[0], *lse = k->in[2], *dloss = k->in[3];
  const int32_t *target = k->in[1];
  float *dx = k->out[0];
  const float scale = (float)((double)dloss[0] * k->attr[0]);
  const vf g = vf_set1(scale);
  for (int64_t r = 0; r < rows; r++, x += v, dx += v) {
    if (target[r] < 0 || target[r] >= v) {
      memset(dx, 0, (size_t)v * sizeof *dx);
      continue;
    }
    const float at_target = x[target[r]]; /* read first: dx may be x */
    const vf l = vf_set1(lse[r]);
#define BODY(j, lanes) vf_store_lanes(dx + (j), lanes, vf_mul(g, vf_exp(vf_sub(vf_load_lanes(x + (j), lanes), l))))
    AT_ROW_EACH(v, BODY);
#undef BODY
    dx[target[r]] = (float)((double)scale * (at_exp_f64((double)at_target - (double)lse[r]) - 1.0));
  }
}
