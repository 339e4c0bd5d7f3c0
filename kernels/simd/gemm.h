/* SPDX-License-Identifier: BSD-3-Clause */
/* Small matrix products on strided operands, for attention and convolution: C[m][n] (+)= A[m][k] B[k][n].
 *
 * B and C are walked along rows of vectors; an element of A is broadcast, so A may lie either way round.  Tiles of C stay in
 * registers over the whole of k.  Nothing is packed: operands are a few kilobytes that the caller has just made. */
#ifndef AT_SIMD_GEMM_H
#define AT_SIMD_GEMM_H

#include "kernels/simd/rows.h"

typedef struct at_gemm {
  int64_t m, n, k;
  const float *a;
  int64_t lda;
  int transposed; /* A is stored [k][m] */
  const float *b;
  int64_t ldb;
  float *c;
  int64_t ldc;
  int add; /* C += instead of C = */
} at_gemm;

/* One tile: mr rows, nv vectors of which the last has `lanes` columns. */
AT_INLINE void at_gemm_tile(int mr, int nv, int64_t lanes, int transposed, const at_gemm *g, int64_t i, int64_t j) {
  const float *a = transposed ? g->a + i : g->a + i * g->lda, *b = g->b + j;
  const int64_t ldb = g->ldb, lda = g->lda, ldc = g->ldc;
  float *c = g->c + i * ldc + j;
  vf acc[8][4];
  AT_UNROLL
  for (int r = 0; r < mr; r++) {
    AT_UNROLL
    for (int v = 0; v < nv; v++) {
      acc[r][v] = g->add ? vf_load_lanes(c + r * ldc + v * AT_VW, v == nv - 1 ? lanes : AT_VW) : vf_zero();
    }
  }
  for (int64_t p = 0; p < g->k; p++, b += ldb) {
    vf row[4];
    AT_UNROLL
    for (int v = 0; v < nv; v++) {
      row[v] = vf_load_lanes(b + v * AT_VW, v == nv - 1 ? lanes : AT_VW);
    }
    AT_UNROLL
    for (int r = 0; r < mr; r++) {
      const vf x = vf_set1(transposed ? a[p * lda + r] : a[r * lda + p]);
      AT_UNROLL
      for (int v = 0; v < nv; v++) {
        acc[r][v] = vf_fma(x, row[v], acc[r][v]);
      }
    }
  }
  AT_UNROLL
  for (int r = 0; r < mr; r++) {
    AT_UNROLL
    for (int v = 0; v < nv; v++) {
      vf_store_lanes(c + r * ldc + v * AT_VW, v == nv - 1 ? lanes : AT_VW, acc[r][v]);
    }
  }
}

/* All rows of nv vectors of columns, in tiles of mr rows, then of half as many, and so on. */
AT_INLINE void at_gemm_columns(int mr, int nv, int64_t lanes, int transposed, const at_gemm *g, int64_t j) {
  int64_t i = 0;
  for (; i + mr <= g->m; i += mr) {
    at_gemm_tile(mr, nv, lanes, transposed, g, i, j);
  }
  if (mr > 4 && i + 4 <= g->m) {
    at_gemm_tile(4, nv, lanes, transposed, g, i, j);
    i += 4;
  }
  for (; i < g->m; i++) {
    at_gemm_tile(1, nv, lanes, transposed, g, i, j);
  }
}

AT_INLINE void at_gemm_either(int transposed, const at_gemm *g) {
  int64_t j = 0;
#if defined(__AVX512F__) /* 32 registers: 16 sums, 4 of B; with 16 registers: 8 and 2 */
  for (; j + 4 * AT_VW <= g->n; j += 4 * AT_VW) {
    at_gemm_columns(4, 4, AT_VW, transposed, g, j);
  }
  for (; j + 2 * AT_VW <= g->n; j += 2 * AT_VW) {
    at_gemm_columns(8, 2, AT_VW, transposed, g, j);
  }
#else
  for (; j + 2 * AT_VW <= g->n; j += 2 * AT_VW) {
    at_gemm_columns(4, 2, AT_VW, transposed, g, j);
  }
#endif
  for (; j + AT_VW <= g->n; j += AT_VW) {
    at_gemm_columns(8, 1, AT_VW, transposed, g, j);
  }
  if (j < g->n) {
    at_gemm_columns(4, 1, g->n - j, transposed, g, j);
  }
}

static void at_gemm_run(const at_gemm *g) {
  if (g->transposed) {
    at_gemm_either(1, g);
  } else {
    at_gemm_either(0, g);
  }
}

#endif
