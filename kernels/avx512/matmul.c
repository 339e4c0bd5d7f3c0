/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX-512 build of the matrix product. */
#include "kernels/avx512/product.h"
#include "kernels/simd/slots.h"

void at_avx512_matmul(const at_kcall *call) {
  if (call->scratch == NULL) {
    at_blas_matmul(call);
  } else {
    run_batch(call);
  }
}

void at_avx512_matmul_add(const at_kcall *call) {
  run_add(call);
}
