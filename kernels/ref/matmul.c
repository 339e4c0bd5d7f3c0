/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference kernels: batched matrix product, with inputs as they are and rounded to bf16. */
#include "kernels/bf16.h"
#include "kernels/ref/real.h"

enum { COLUMNS = 64 }; /* of C summed together, so that B is read along its rows */

static inline double input(real x, int rounded) {
  return rounded ? (double)at_bf16_round((float)x) : (double)x;
}

/* C[m][n] = sum over k of A (strides ra, ca) and B (strides rb, cb), each sum in double in ascending k; with `base`, that plus the
 * scaled sum. */
static void product(int64_t m, int64_t n, int64_t k, const real *a, int64_t ra, int64_t ca, const real *b, int64_t rb,
                    int64_t cb, real *c, int rounded, const real *base, double scale) {
  for (int64_t i = 0; i < m; i++) {
    for (int64_t j0 = 0; j0 < n; j0 += COLUMNS) {
      const int64_t width = n - j0 < COLUMNS ? n - j0 : COLUMNS;
      double sum[COLUMNS] = {0};
      for (int64_t p = 0; p < k; p++) {
        const double x = input(a[i * ra + p * ca], rounded);
        const real *row = b + p * rb + j0 * cb;
        for (int64_t j = 0; j < width; j++) {
          sum[j] += x * input(row[j * cb], rounded);
        }
      }
      for (int64_t j = 0; j < width; j++) {
        const int64_t at = i * n + j0 + j;
        c[at] = (real)(base ? (double)base[at] + scale * sum[j] : sum[j]);
      }
    }
  }
}

static inline void batch(const at_kcall *call, int rounded) {
  const int64_t *d = call->dim, m = d[1], n = d[2], k = d[3];
  const int ta = d[4] != 0, tb = d[5] != 0;
  const int64_t lda = d[8] ? d[8] : ta ? m : k;
  const real *a = call->in[0], *b = call->in[1];
  real *c = call->out[0];
  for (int64_t i = 0; i < d[0]; i++, a += d[6], b += d[7], c += m * n) {
    product(m, n, k, a, ta ? 1 : lda, ta ? lda : 1, b, tb ? 1 : n, tb ? k : 1, c, rounded, NULL, 1);
  }
}

void AT_REF(matmul)(const at_kcall *call) {
  batch(call, 0);
}

void AT_REF(matmul_bf16)(const at_kcall *call) {
  batch(call, 1);
}

static inline void add(const at_kcall *call, int rounded) {
  const int64_t *d = call->dim, m = d[1], n = d[2], k = d[3];
  const int ta = d[4] != 0, tb = d[5] != 0;
  const int64_t lda = d[8] ? d[8] : ta ? m : k;
  product(m, n, k, call->in[1], ta ? 1 : lda, ta ? lda : 1, call->in[2], tb ? 1 : n, tb ? k : 1, call->out[0], rounded,
          call->in[0], (double)*(const real *)call->in[3]);
}

void AT_REF(matmul_add)(const at_kcall *call) {
  add(call, 0);
}

void AT_REF(matmul_add_bf16)(const at_kcall *call) {
  add(call, 1);
}
