/* SPDX-License-Identifier: BSD-3-Clause */
/* Casts, signs, buckets and the check for finite numbers by vectors (definitions: kernels/codec_ref.c). */
#ifndef AT_SIMD_CODEC_BITS_H
#define AT_SIMD_CODEC_BITS_H

#include "kernels/simd/codec_block.h"

static bool codec_finite(int64_t n, const float *x, const float *e) {
  vf bad = vf_zero(); /* 0, or NaN once something was not finite */
#define BODY(j, lanes)                        \
  const vf v = vf_load_lanes(x + (j), lanes); \
  bad = vf_fma(e == NULL ? v : vf_add(v, vf_load_lanes(e + (j), lanes)), vf_zero(), bad)
  AT_ROW_EACH(n, BODY);
#undef BODY
  return vf_sum(bad) == 0.0f;
}

static double codec_sum_abs(int64_t n, const float *x) {
  return codec_sum(n, x, false);
}

static double codec_sum_squares(int64_t n, const float *x) {
  return codec_sum(n, x, true);
}

#ifndef AT_F16C
#define AT_F16C static inline
#endif

AT_F16C int64_t codec_f16_pack(int64_t n, const float *x, uint8_t *out) {
  const vf most = vf_set1(65504.0f);
  int64_t clipped = 0, i = 0;
  for (; i + AT_VW <= n; i += AT_VW) {
    const vf v = vf_load(x + i);
    clipped += __builtin_popcount(vm_bits(vm_lt(most, vf_abs(v))));
    vf_store_f16(out + 2 * i, vf_min(vf_max(v, vf_neg(most)), most));
  }
  return clipped + at_ref_codec.f16_pack(n - i, x + i, out + 2 * i);
}

AT_F16C void codec_f16_unpack(int64_t n, const uint8_t *in, float *y) {
  int64_t i = 0;
  for (; i + AT_VW <= n; i += AT_VW) {
    vf_store(y + i, vf_load_f16(in + 2 * i));
  }
  at_ref_codec.f16_unpack(n - i, in + 2 * i, y + i);
}

static void codec_bf16_pack(int64_t n, const float *x, uint8_t *out) {
  int64_t i = 0;
  for (; i + AT_VW <= n; i += AT_VW) {
    const vi bits = vi_from_vf(vf_load(x + i)), size = vi_and(bits, vi_set1(0x7fffffff));
    const vi odd = vi_and(vi_srl(size, 16), vi_set1(1));
    const vi rounded = vi_srl(vi_add(vi_add(size, vi_set1(0x7fff)), odd), 16);
    const vi sign = vi_and(vi_srl(bits, 16), vi_set1(0x8000));
    vi_store_halves(out + 2 * i, vi_or(vi_min(rounded, vi_set1(0x7f7f)), sign));
  }
  at_ref_codec.bf16_pack(n - i, x + i, out + 2 * i);
}

static void codec_bf16_unpack(int64_t n, const uint8_t *in, float *y) {
  int64_t i = 0;
  for (; i + AT_VW <= n; i += AT_VW) {
    vf_store(y + i, vf_from_vi(vi_sll(vi_load_halves(in + 2 * i), 16)));
  }
  at_ref_codec.bf16_unpack(n - i, in + 2 * i, y + i);
}

static void codec_sign_pack(int64_t n, const float *x, uint8_t *bits) {
  int64_t i = 0;
  for (; i + AT_VW <= n; i += AT_VW) {
    vm_store_bits(bits + i / 8, vf_mask_at_least_zero(vf_load(x + i)));
  }
  at_ref_codec.sign_pack(n - i, x + i, bits + i / 8);
}

static void codec_sign_unpack(int64_t n, const uint8_t *bits, float s, float *y) {
  const vf plus = vf_set1(s), minus = vf_neg(plus);
  int64_t i = 0;
  for (; i + AT_VW <= n; i += AT_VW) {
    vf_store(y + i, vf_load_signs(bits + i / 8, plus, minus));
  }
  at_ref_codec.sign_unpack(n - i, bits + i / 8, s, y + i);
}

static void codec_sign_add(int64_t n, const uint8_t *bits, float s, float weight, float *acc) {
  const vf plus = vf_set1(weight * s), minus = vf_neg(plus);
  int64_t i = 0;
  for (; i + AT_VW <= n; i += AT_VW) {
    vf_store(acc + i, vf_add(vf_load(acc + i), vf_load_signs(bits + i / 8, plus, minus)));
  }
  at_ref_codec.sign_add(n - i, bits + i / 8, s, weight, acc + i);
}

static void codec_bucket_pack(int64_t n, const float *x, float mean, float inv, uint8_t *codes) {
  const vf m = vf_set1(mean), f = vf_set1(inv);
  int64_t i = 0;
  for (; i + AT_VW <= n; i += AT_VW) {
    const vf q = vf_add(vf_round(vf_mul(vf_sub(vf_load(x + i), m), f)), vf_set1(128.0f));
    vi_store_bytes(codes + i, vi_from_float(vf_min(vf_max(q, vf_zero()), vf_set1(255.0f))));
  }
  at_ref_codec.bucket_pack(n - i, x + i, mean, inv, codes + i);
}

#endif
