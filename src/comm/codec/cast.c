/* SPDX-License-Identifier: BSD-3-Clause */
/* Floats as they are, as halves, and as bf16.
 *
 * Payload: 4 n or 2 n bytes.  Unit roundoff 2^-11 (fp16, normal from 2^-14 to 65504) and 2^-8 (bf16), so that
 * delta = 1 - 2^-22 and 1 - 2^-16.  Sums are never made in 16 bits: receivers decode first. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "src/comm/codec/codec_internal.h"

static void f32_law(const at_codec_cfg *cfg, int64_t n, at_codec_law *law) {
  (void)cfg;
  (void)n;
  law->unbiased = law->contractive = true;
  law->delta = 1.0;
}

static int64_t f32_bytes(const at_codec_cfg *cfg, int64_t n, bool *exact) {
  (void)cfg;
  (void)exact;
  return 4 * n;
}

static int64_t f32_encode(at_codec *c, const at_code_key *key, int64_t n, const float *x, uint8_t *out) {
  (void)c;
  (void)key;
  memcpy(out, x, (size_t)(4 * n));
  return 4 * n;
}

static int64_t f32_decode(at_codec *c, const at_code_key *key, int64_t n, const uint8_t *in, int64_t room, float *y) {
  (void)c;
  (void)key;
  if (room < 4 * n) {
    return -1;
  }
  memcpy(y, in, (size_t)(4 * n));
  return 4 * n;
}

const at_codec_row at_codec_row_f32 = {
    .name = "f32",
    .wire = 0,
    .fields = "",
    .help = "Floats as they are.",
    .sum = AT_SUM_LINEAR,
    .law = f32_law,
    .bytes = f32_bytes,
    .encode = f32_encode,
    .decode = f32_decode,
};

static int64_t half_bytes(const at_codec_cfg *cfg, int64_t n, bool *exact) {
  (void)cfg;
  (void)exact;
  return 2 * n;
}

static void fp16_law(const at_codec_cfg *cfg, int64_t n, at_codec_law *law) {
  (void)cfg;
  (void)n;
  law->contractive = true;
  law->delta = 1.0 - 0x1p-22;
  law->least = 0x1p-14;
  law->most = 65504.0;
}

static int64_t fp16_encode(at_codec *c, const at_code_key *key, int64_t n, const float *x, uint8_t *out) {
  (void)key;
  c->saturated += c->k.f16_pack(n, x, out);
  return 2 * n;
}

static int64_t fp16_decode(at_codec *c, const at_code_key *key, int64_t n, const uint8_t *in, int64_t room, float *y) {
  (void)key;
  if (room < 2 * n) {
    return -1;
  }
  c->k.f16_unpack(n, in, y);
  return 2 * n;
}

const at_codec_row at_codec_row_fp16 = {
    .name = "fp16",
    .wire = 1,
    .fields = "",
    .help = "IEEE half precision, to nearest even; beyond 65504 clipped and counted.",
    .memory = AT_MEMORY_RESIDUAL,
    .law = fp16_law,
    .bytes = half_bytes,
    .encode = fp16_encode,
    .decode = fp16_decode,
};

static void bf16_law(const at_codec_cfg *cfg, int64_t n, at_codec_law *law) {
  (void)cfg;
  (void)n;
  law->contractive = true;
  law->delta = 1.0 - 0x1p-16;
  law->least = FLT_MIN;
  law->most = 0x1.fep127;
}

static int64_t bf16_encode(at_codec *c, const at_code_key *key, int64_t n, const float *x, uint8_t *out) {
  (void)key;
  c->k.bf16_pack(n, x, out);
  return 2 * n;
}

static int64_t bf16_decode(at_codec *c, const at_code_key *key, int64_t n, const uint8_t *in, int64_t room, float *y) {
  (void)key;
  if (room < 2 * n) {
    return -1;
  }
  c->k.bf16_unpack(n, in, y);
  return 2 * n;
}

const at_codec_row at_codec_row_bf16 = {
    .name = "bf16",
    .wire = 2,
    .fields = "",
    .help = "The upper half of a float, to nearest even.",
    .memory = AT_MEMORY_RESIDUAL,
    .law = bf16_law,
    .bytes = half_bytes,
    .encode = bf16_encode,
    .decode = bf16_decode,
};
