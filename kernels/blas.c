/* SPDX-License-Identifier: BSD-3-Clause */
/* The matrix product through OpenBLAS, whose kernels follow the processor as ours do; and of inputs rounded to bf16. */
#include <cblas.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/bf16.h"
#include "kernels/product_shape.h"
#include "kernels/ref/ref.h"
#include "kernels/simd/slots.h"

void at_blas_init(void) {
  if (!getenv("OPENBLAS_NUM_THREADS") && !getenv("OMP_NUM_THREADS")) {
    openblas_set_num_threads(1);
  }
}

void at_blas_matmul(const at_kcall *call) {
  const int64_t *d = call->dim, n = d[2], k = d[3], stride_a = d[6], stride_b = d[7], gap = d[8];
  const int ta = d[4] != 0, tb = d[5] != 0;
  int64_t batch = d[0], m = d[1];
  const float *a = call->in[0], *b = call->in[1];
  float *c = call->out[0];
  if (batch == 0 || m == 0 || n == 0) {
    return;
  }
  if (k == 0) { /* which BLAS may take for nothing to do */
    memset(c, 0, (size_t)(batch * m * n) * sizeof *c);
    return;
  }
  if (!ta && stride_b == 0 && stride_a == m * k && gap == 0 &&
      m <= INT_MAX / batch) { /* one B for all: the batches of A are rows of one matrix */
    m *= batch;
    batch = 1;
  }
  if (m > INT_MAX || n > INT_MAX || k > INT_MAX || gap > INT_MAX) { /* this BLAS counts in int */
    at_ref_matmul_f32(call);
    return;
  }
  const int lda = (int)(gap ? gap : ta ? m : k), ldb = (int)(tb ? k : n);
  for (int64_t i = 0; i < batch; i++) {
    cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)k,
                1.0f, a + i * stride_a, lda, b + i * stride_b, ldb, 0.0f, c + i * m * n, (int)n);
  }
}

/* out = C, which products are then added to. */
static void copy_base(const at_kcall *call) {
  if (call->in[0] != call->out[0]) {
    memcpy(call->out[0], call->in[0], (size_t)(call->dim[1] * call->dim[2]) * sizeof(float));
  }
}

void at_blas_matmul_add(const at_kcall *call) {
  const int64_t *d = call->dim, m = d[1], n = d[2], k = d[3];
  const int ta = d[4] != 0, tb = d[5] != 0;
  if (m > INT_MAX || n > INT_MAX || k > INT_MAX || d[8] > INT_MAX) {
    at_ref_matmul_add_f32(call);
    return;
  }
  copy_base(call);
  if (m > 0 && n > 0 && k > 0) {
    cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)k,
                *(const float *)call->in[3], call->in[1],
                (int)(d[8] ? d[8]
                      : ta ? m
                           : k),
                call->in[2], (int)(tb ? k : n), 1.0f, call->out[0], (int)n);
  }
}

/* --- inputs in bf16 -------------------------------------------------------------------------------------------------- */

static void round_rows(int64_t rows, int64_t columns, const float *from, int64_t step, float *to) {
  for (int64_t i = 0; i < rows; i++, from += step, to += columns) {
    for (int64_t j = 0; j < columns; j++) {
      to[j] = at_bf16_round(from[j]);
    }
  }
}

/* A rounded block of op(X): `rows` by `columns` from (i, j), X with `ld` columns.  It lies as X does. */
static void round_block(int transposed, const float *x, int64_t ld, int64_t i, int64_t j, int64_t rows, int64_t columns,
                        float *to) {
  if (transposed) {
    round_rows(columns, rows, x + j * ld + i, ld, to);
  } else {
    round_rows(rows, columns, x + i * ld + j, ld, to);
  }
}

static int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* C = A B, or with `add` C += scale A B, by blocks, of which each is rounded into scratch as it is wanted. */
static void product_bf16(const at_kcall *call, const float *a, const float *b, float *c, float scale, int add) {
  const int64_t m = call->dim[1], n = call->dim[2], k = call->dim[3];
  const int ta = call->dim[4] != 0, tb = call->dim[5] != 0;
  const int64_t lda = call->dim[8] ? call->dim[8] : ta ? m : k;
  float *scratch = call->scratch;
  float *block_b = scratch,
        *block_a = scratch + at_product_block(n, AT_PRODUCT_COLUMNS) * at_product_block(k, AT_PRODUCT_DEPTH);
  for (int64_t j = 0; j < n; j += AT_PRODUCT_COLUMNS) {
    const int64_t nj = least(n - j, AT_PRODUCT_COLUMNS);
    for (int64_t p = 0; p < k; p += AT_PRODUCT_DEPTH) {
      const int64_t kp = least(k - p, AT_PRODUCT_DEPTH);
      round_block(tb, b, tb ? k : n, p, j, kp, nj, block_b);
      for (int64_t i = 0; i < m; i += AT_PRODUCT_ROWS) {
        const int64_t mi = least(m - i, AT_PRODUCT_ROWS);
        round_block(ta, a, lda, i, p, mi, kp, block_a);
        cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, (int)mi, (int)nj,
                    (int)kp, scale, block_a, (int)(ta ? mi : kp), block_b, (int)(tb ? kp : nj),
                    add || p > 0 ? 1.0f : 0.0f, c + i * n + j, (int)n);
      }
    }
  }
}

void at_blas_matmul_bf16(const at_kcall *call) {
  const int64_t *d = call->dim, m = d[1], n = d[2], k = d[3];
  const float *a = call->in[0], *b = call->in[1];
  float *c = call->out[0];
  if (n > INT_MAX) { /* this BLAS counts in int */
    at_ref_matmul_bf16_f32(call);
    return;
  }
  if (k == 0) {
    memset(c, 0, (size_t)(d[0] * m * n) * sizeof *c);
    return;
  }
  for (int64_t i = 0; i < d[0]; i++, a += d[6], b += d[7], c += m * n) {
    product_bf16(call, a, b, c, 1.0f, 0);
  }
}

void at_blas_matmul_add_bf16(const at_kcall *call) {
  if (call->dim[2] > INT_MAX) {
    at_ref_matmul_add_bf16_f32(call);
    return;
  }
  copy_base(call);
  product_bf16(call, call->in[1], call->in[2], call->out[0], *(const float *)call->in[3], 1);
}
