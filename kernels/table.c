/* SPDX-License-Identifier: BSD-3-Clause */
/* Fills kernel tables: reference versions first, then what the level does better. */
#include "kernels/kernels.h"

#include <string.h>

#include "kernels/ref/ref.h"
#include "kernels/simd/slots.h"

static const char *const slot_names[AT_K_COUNT] = {
#define X(slot) [AT_K_##slot] = #slot,
    AT_KERNEL_SLOTS(X)
#undef X
};

static const char *const isa_names[AT_ISA_COUNT] = {
    [AT_ISA_REF] = "ref", [AT_ISA_AVX2] = "avx2", [AT_ISA_AVX512] = "avx512", [AT_ISA_AVX512BF16] = "avx512bf16"};

const char *at_kernel_name(at_kslot slot) {
  return (int)slot >= 0 && slot < AT_K_COUNT ? slot_names[slot] : "?";
}

const char *at_isa_name(at_isa isa) {
  return (int)isa >= 0 && isa < AT_ISA_COUNT ? isa_names[isa] : "?";
}

int at_isa_from_name(const char *name, at_isa *out) {
  for (int i = 0; i < AT_ISA_COUNT; i++) {
    if (strcmp(name, isa_names[i]) == 0) {
      *out = (at_isa)i;
      return 0;
    }
  }
  return -1;
}

at_isa at_isa_detect(void) {
  /* These ask the operating system's saved-state mask too. */
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
    return AT_ISA_REF;
  }
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq")) {
    return __builtin_cpu_supports("avx512bf16") ? AT_ISA_AVX512BF16 : AT_ISA_AVX512;
  }
  return AT_ISA_AVX2;
}

static void use_avx2(at_kernels *k) {
#define X(slot) k->f32[AT_K_##slot] = at_avx2_##slot;
  AT_SIMD_SLOTS(X)
#undef X
  k->vec = at_avx2_vec;
}

static void use_avx512(at_kernels *k) {
#define X(slot) k->f32[AT_K_##slot] = at_avx512_##slot;
  AT_SIMD_SLOTS(X)
#undef X
  k->vec = at_avx512_vec;
}

void at_kernels_init(at_kernels *k, at_isa isa) {
  *k = (at_kernels){.isa_name = at_isa_name(isa), .isa = isa, .threads = 1, .vec = at_ref_vec};
#define X(slot)                              \
  k->f32[AT_K_##slot] = at_ref_##slot##_f32; \
  k->f64[AT_K_##slot] = at_ref_##slot##_f64;
  AT_KERNEL_SLOTS(X)
#undef X
  if (isa == AT_ISA_REF) {
    return;
  }
  at_blas_init();
  k->f32[AT_K_matmul] = isa >= AT_ISA_AVX512 ? at_avx512_matmul : at_blas_matmul;
  k->f32[AT_K_matmul_bf16] = isa >= AT_ISA_AVX512BF16 ? at_avx512bf16_matmul_bf16 : at_blas_matmul_bf16;
  k->f32[AT_K_matmul_add] = isa >= AT_ISA_AVX512 ? at_avx512_matmul_add : at_blas_matmul_add;
  k->f32[AT_K_matmul_add_bf16] = isa >= AT_ISA_AVX512BF16 ? at_avx512bf16_matmul_add_bf16 : at_blas_matmul_add_bf16;
  if (isa == AT_ISA_AVX2) {
    use_avx2(k);
  } else {
    use_avx512(k);
  }
  if (isa >= AT_ISA_AVX512BF16) {
    k->f32[AT_K_conv2d_bf16] = at_avx512bf16_conv2d_bf16;
    k->f32[AT_K_conv2d_dx_bf16] = at_avx512bf16_conv2d_dx_bf16;
    k->f32[AT_K_conv2d_dw_bf16] = at_avx512bf16_conv2d_dw_bf16;
  }
}
