/* SPDX-License-Identifier: BSD-3-Clause */
/* The matrix product through OpenBLAS, whose kernels follow the processor as ours do. */
#include <cblas.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/ref/ref.h"
#include "kernels/simd/slots.h"

void at_blas_init(void) {
  if (!getenv("OPENBLAS_NUM_THREADS") && !getenv("OMP_NUM_THREADS")) {
    openblas_set_num_threads(1);
  }
}

void at_blas_matmul(const at_kcall *call) {
  const int64_t *d = call->dim, n = d[2], k = d[3], stride_a = d[6], stride_b = d[7];
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
  if (!ta && stride_b == 0 && stride_a == m * k &&
      m <= INT_MAX / batch) { /* one B for all: the batches of A are rows of one matrix */
    m *= batch;
    batch = 1;
  }
  if (m > INT_MAX || n > INT_MAX || k > INT_MAX) { /* this BLAS counts in int */
    at_ref_matmul_f32(call);
    return;
  }
  const int lda = (int)(ta ? m : k), ldb = (int)(tb ? k : n);
  for (int64_t i = 0; i < batch; i++) {
    cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)k,
                1.0f, a + i * stride_a, lda, b + i * stride_b, ldb, 0.0f, c + i * m * n, (int)n);
  }
}
