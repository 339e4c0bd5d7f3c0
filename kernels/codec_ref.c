/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference codec kernels over whole vectors: checks, sums, casts, signs, buckets, random words; and the table's filling. */
#include "kernels/codec_ref.h"
#include "kernels/codec_scale.h"
#include "kernels/vec.h"

static bool all_finite(int64_t n, const float *x, const float *e) {
  bool ok = true;
  for (int64_t i = 0; i < n; i++) {
    ok &= isfinite(e == NULL ? x[i] : x[i] + e[i]) != 0;
  }
  return ok;
}

static double sum_abs(int64_t n, const float *x) {
  double lane[AT_VEC_LANES] = {0};
  for (int64_t i = 0; i < n; i++) {
    lane[i % AT_VEC_LANES] += fabs((double)x[i]);
  }
  return at_vec_fold(lane);
}

static double sum_squares(int64_t n, const float *x) {
  double lane[AT_VEC_LANES] = {0};
  for (int64_t i = 0; i < n; i++) {
    lane[i % AT_VEC_LANES] += (double)x[i] * (double)x[i];
  }
  return at_vec_fold(lane);
}

static int64_t f16_pack(int64_t n, const float *x, uint8_t *out) {
  const float most = 65504.0f;
  int64_t clipped = 0;
  for (int64_t i = 0; i < n; i++) {
    clipped += fabsf(x[i]) > most;
    const uint16_t h = at_f16_of(fminf(fmaxf(x[i], -most), most));
    memcpy(out + 2 * i, &h, sizeof h);
  }
  return clipped;
}

static void f16_unpack(int64_t n, const uint8_t *in, float *y) {
  for (int64_t i = 0; i < n; i++) {
    uint16_t h;
    memcpy(&h, in + 2 * i, sizeof h);
    y[i] = at_f16_value(h);
  }
}

static void bf16_pack(int64_t n, const float *x, uint8_t *out) {
  for (int64_t i = 0; i < n; i++) {
    const uint16_t h = at_bf16_of(x[i]);
    memcpy(out + 2 * i, &h, sizeof h);
  }
}

static void bf16_unpack(int64_t n, const uint8_t *in, float *y) {
  for (int64_t i = 0; i < n; i++) {
    y[i] = at_scale_load(in, i, 2);
  }
}

static void sign_pack(int64_t n, const float *x, uint8_t *bits) {
  memset(bits, 0, (size_t)(n + 7) / 8);
  for (int64_t i = 0; i < n; i++) {
    bits[i / 8] = (uint8_t)(bits[i / 8] | (x[i] >= 0.0f) << i % 8);
  }
}

static float signed_value(const uint8_t *bits, int64_t i, float s) {
  return (bits[i / 8] >> i % 8 & 1) != 0 ? s : -s;
}

static void sign_unpack(int64_t n, const uint8_t *bits, float s, float *y) {
  for (int64_t i = 0; i < n; i++) {
    y[i] = signed_value(bits, i, s);
  }
}

static void sign_add(int64_t n, const uint8_t *bits, float s, float weight, float *acc) {
  const float term = weight * s;
  for (int64_t i = 0; i < n; i++) {
    acc[i] = acc[i] + signed_value(bits, i, term);
  }
}

static void bucket_pack(int64_t n, const float *x, float mean, float inv, uint8_t *codes) {
  for (int64_t i = 0; i < n; i++) {
    const float q = rintf((x[i] - mean) * inv) + 128.0f;
    codes[i] = (uint8_t)fminf(fmaxf(q, 0.0f), 255.0f);
  }
}

static void words(const at_dither *d, int64_t first, int64_t n, uint32_t *out) {
  for (int64_t i = 0; i < n; i += AT_DITHER_GROUP) {
    at_dither_group(d, first + i, n - i < AT_DITHER_GROUP ? n - i : AT_DITHER_GROUP, out + i);
  }
}

static void mask_add(const at_dither *d, bool negative, int64_t n, uint64_t *acc) {
  enum { HALF = AT_DITHER_GROUP / 2 };
  for (int64_t at = 0; at < n; at += HALF) {
    uint32_t w[AT_DITHER_GROUP];
    at_dither_group(d, 2 * at, AT_DITHER_GROUP, w);
    for (int64_t i = 0; i < HALF && at + i < n; i++) {
      const uint64_t mask = w[2 * i] | (uint64_t)w[2 * i + 1] << 32;
      acc[at + i] += negative ? 0 - mask : mask;
    }
  }
}

const at_codec_kernels at_ref_codec = {
    .finite = all_finite,
    .sum_abs = sum_abs,
    .sum_squares = sum_squares,
    .crc32 = at_ref_crc32,
    .f16_pack = f16_pack,
    .f16_unpack = f16_unpack,
    .bf16_pack = bf16_pack,
    .bf16_unpack = bf16_unpack,
    .block_pack = at_ref_block_pack,
    .block_unpack = at_ref_block_unpack,
    .block_add = at_ref_block_add,
    .block_tops = at_ref_block_tops,
    .block_codes = at_ref_block_codes,
    .e3m0_pack = at_ref_e3m0_pack,
    .e3m0_unpack = at_ref_e3m0_unpack,
    .sign_pack = sign_pack,
    .sign_unpack = sign_unpack,
    .sign_add = sign_add,
    .bucket_pack = bucket_pack,
    .select_top = at_ref_select_top,
    .select_least = at_ref_select_least,
    .words = words,
    .mask_add = mask_add,
};

void at_codec_kernels_init(at_codec_kernels *k, at_isa isa) {
  *k = at_ref_codec;
  if (isa >= AT_ISA_AVX2) {
    at_avx2_codec(k);
    k->crc32 = __builtin_cpu_supports("pclmul") ? at_clmul_crc32 : k->crc32;
  }
  if (isa >= AT_ISA_AVX512) {
    at_avx512_codec(k);
  }
}
