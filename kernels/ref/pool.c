/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference kernels: average and maximum pooling, channels last. */
#include "kernels/pool_shape.h"
#include "kernels/ref/real.h"

void AT_REF(avgpool)(const at_kcall *k) {
  const at_pool p = at_pool_parse(k->dim);
  const real *x = k->in[0];
  real *out = k->out[0];
  for (int64_t n = 0; n < p.n; n++, x += p.h * p.w * p.c) {
    for (int64_t pixel = 0; pixel < p.oh * p.ow; pixel++, out += p.c) {
      const at_window v = at_pool_window(&p, pixel / p.ow, pixel % p.ow);
      for (int64_t c = 0; c < p.c; c++) {
        double sum = 0.0;
        for (int64_t row = v.top; row < v.bottom; row++) {
          for (int64_t column = v.left; column < v.right; column++) {
            sum += (double)x[(row * p.w + column) * p.c + c];
          }
        }
        out[c] = (real)(sum * v.share);
      }
    }
  }
}

void AT_REF(avgpool_bwd)(const at_kcall *k) {
  const at_pool p = at_pool_parse(k->dim);
  const real *dy = k->in[0];
  real *dx = k->out[0];
  memset(dx, 0, (size_t)(p.n * p.h * p.w * p.c) * sizeof *dx);
  for (int64_t n = 0; n < p.n; n++, dx += p.h * p.w * p.c) {
    for (int64_t pixel = 0; pixel < p.oh * p.ow; pixel++, dy += p.c) {
      const at_window v = at_pool_window(&p, pixel / p.ow, pixel % p.ow);
      for (int64_t row = v.top; row < v.bottom; row++) {
        for (int64_t column = v.left; column < v.right; column++) {
          for (int64_t c = 0; c < p.c; c++) {
            dx[(row * p.w + column) * p.c + c] += (real)((double)dy[c] * v.share);
          }
        }
      }
    }
  }
}

void AT_REF(maxpool)(const at_kcall *k) {
  const at_pool p = at_pool_parse(k->dim);
  const real *x = k->in[0];
  real *out = k->out[0];
  int32_t *index = k->out[1];
  for (int64_t n = 0; n < p.n; n++, x += p.h * p.w * p.c) {
    for (int64_t pixel = 0; pixel < p.oh * p.ow; pixel++) {
      const at_window v = at_pool_window(&p, pixel / p.ow, pixel % p.ow);
      for (int64_t c = 0; c < p.c; c++) {
        real best = -INFINITY;
        int64_t at = v.top * p.w + v.left;
        for (int64_t row = v.top; row < v.bottom; row++) {
          for (int64_t column = v.left; column < v.right; column++) {
            const real u = x[(row * p.w + column) * p.c + c];
            if (u > best || (u != u && best == best)) {
              best = u;
              at = row * p.w + column;
            }
          }
        }
        *out++ = best;
        *index++ = (int32_t)at;
      }
    }
  }
}
