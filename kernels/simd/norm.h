/* SPDX-License-Identifier: BSD-3-Clause */
/* Vector kernels: layer normalisation and root-mean-square normalisation with their derivatives (formulas: ref/norm.c). */
#include <string.h>

#include "kernels/simd/rows.h"
#include "kernels/simd/slots.h"

enum { CHUNK = 64 }; /* rows whose shares of dg and db are summed before they join the result: error O(64 + rows/64) */

AT_INLINE vf squared(vf v) {
  return vf_mul(v, v);
}

AT_ROW_SUM(row_variance, (int64_t n, const float *x, vf mu), squared(vf_sub(vf_load_lanes(x + j, lanes), mu)))
AT_ROW_SUM(row_square, (int64_t n, const float *x), squared(vf_load_lanes(x + j, lanes)))

void AT_SIMD(layernorm)(const at_kcall *k) {
  const int64_t rows = k->dim[0], n = k->dim[1];
  const float *x = k->in[0], *g = k->in[1], *b = k->in[2], eps = (float)k->attr[0];
  float *y = k->out[0], *mean = k->out[1], *rstd = k->out[2];
  for (int64_t r = 0; r < rows; r++, x += n, y += n) {
    const float mu = at_row_sum(n, x) / (float)n;
    const vf m = vf_set1(mu);
    const float rs = 1.0f / sqrtf(row_variance(n, x, m) / (float)n + eps);
    const vf s = vf_set1(rs);
#define BODY(j, lanes)                                               \
  const vf xh = vf_mul(vf_sub(vf_load_lanes(x + (j), lanes), m), s); \
  vf_store_lanes(y + (j), lanes, vf_fma(xh, vf_load_lanes(g + (j), lanes), vf_load_lanes(b + (j), lanes)))
    AT_ROW_EACH(n, BODY);
#undef BODY
    mean[r] = mu;
    rstd[r] = rs;
  }
}

void AT_SIMD(rmsnorm)(const at_kcall *k) {
  const int64_t rows = k->dim[0], n = k->dim[1];
  const float *x = k->in[0], *g = k->in[1], eps = (float)k->attr[0];
  float *y = k->out[0], *rrms = k->out[1];
  for (int64_t r = 0; r < rows; r++, x += n, y += n) {
    const float rs = 1.0f / sqrtf(row_square(n, x) / (float)n + eps);
    const vf s = vf_set1(rs);
#define BODY(j, lanes)                                    \
  const vf xh = vf_mul(vf_load_lanes(x + (j), lanes), s); \
  vf_store_lanes(y + (j), lanes, vf_mul(xh, vf_load_lanes(g + (j), lanes)))
    AT_ROW_EACH(n, BODY);
#undef BODY
    rrms[r] = rs;
  }
}

/* One row: dx, and this row's shares added to dg and (if centred) db. */
AT_INLINE void row_bwd(int centred, int64_t n, const float *x, vf mu, vf rs, const float *g, const float *dy, float *dx,
                       float *dg, float *db) {
  vf q_sum = vf_zero(), qx_sum = vf_zero();
#define BODY(j, lanes)                                                                                   \
  const vf d = vf_load_lanes(dy + (j), lanes), xj = vf_load_lanes(x + (j), lanes);                       \
  const vf xh = vf_mul(centred ? vf_sub(xj, mu) : xj, rs), q = vf_mul(d, vf_load_lanes(g + (j), lanes)); \
  q_sum = vf_add(q_sum, q);                                                                              \
  qx_sum = vf_fma(q, xh, qx_sum);                                                                        \
  vf_store_lanes(dg + (j), lanes, vf_fma(d, xh, vf_load_lanes(dg + (j), lanes)));                        \
  if (centred) {                                                                                         \
    vf_store_lanes(db + (j), lanes, vf_add(d, vf_load_lanes(db + (j), lanes)));                          \
  }
  AT_ROW_EACH(n, BODY);
#undef BODY
  const vf c0 = vf_set1(centred ? vf_sum(q_sum) / (float)n : 0.0f), c1 = vf_set1(vf_sum(qx_sum) / (float)n);
#define BODY(j, lanes)                                                                         \
  const vf xj = vf_load_lanes(x + (j), lanes), xh = vf_mul(centred ? vf_sub(xj, mu) : xj, rs); \
  const vf q = vf_mul(vf_load_lanes(dy + (j), lanes), vf_load_lanes(g + (j), lanes));          \
  vf_store_lanes(dx + (j), lanes, vf_mul(rs, vf_fnma(xh, c1, centred ? vf_sub(q, c0) : q)))
  AT_ROW_EACH(n, BODY);
#undef BODY
}

static void add_row(int64_t n, const float *part, float *sum) {
#define BODY(j, lanes) \
  vf_store_lanes(sum + (j), lanes, vf_add(vf_load_lanes(sum + (j), lanes), vf_load_lanes(part + (j), lanes)))
  AT_ROW_EACH(n, BODY);
#undef BODY
}

AT_INLINE void norm_bwd(int centred, int64_t rows, int64_t n, const float *x, const float *g, const float *mean,
                        const float *rstd, const float *dy, float *dx, float *dg, float *db, float *part) {
  memset(dg, 0, (size_t)n * sizeof *dg);
  if (centred) {
    memset(db, 0, (size_t)n * sizeof *db);
  }
  for (int64_t r0 = 0; r0 < rows; r0 += CHUNK) {
    memset(part, 0, (size_t)(2 * n) * sizeof *part);
    for (int64_t r = r0; r < rows && r < r0 + CHUNK; r++) {
      const vf mu = centred ? vf_set1(mean[r]) : vf_zero();
      row_bwd(centred, n, x + r * n, mu, vf_set1(rstd[r]), g, dy + r * n, dx + r * n, part, part + n);
    }
    add_row(n, part, dg);
    if (centred) {
      add_row(n, part + n, db);
    }
  }
}

void AT_SIMD(layernorm_bwd)(const at_kcall *k) {
  norm_bwd(1, k->dim[0], k->dim[1], k->in[0], k->in[1], k->in[2], k->in[3], k->in[4], k->out[0], k->out[1], k->out[2],
           k->scratch);
}

void AT_SIMD(rmsnorm_bwd)(const at_kcall *k) {
  norm_bwd(0, k->dim[0], k->dim[1], k->in[0], k->in[1], NULL, k->in[2], k->in[3], k->out[0], k->out[1], NULL,
           k->scratch);
}
