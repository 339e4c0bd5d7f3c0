/* SPDX-License-Identifier: BSD-3-Clause */
/* AVX-512 BF16 build of the matrix product. */
#include "kernels/avx512/product.h"
#include "kernels/simd/slots.h"

void at_avx512bf16_matmul_bf16(const at_kcall *call) {
  run_batch(call);
}

void at_avx512bf16_matmul_add_bf16(const at_kcall *call) {
  run_add(call);
}
