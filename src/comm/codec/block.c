/* SPDX-License-Identifier: BSD-3-Clause */
/* Block-scaled integers: int8, int4 (nearest or stochastic), and QSGD, whose scale is the bucket's norm.
 *
 * Payload: one scale of 2 (bf16) or 4 bytes (f32 of 17 significant bits) for each block, then n codes of 8 or 4 bits.
 * Scales are rounded up, by a factor of at most 1 + up, up = 2^-7 or 2^-16, so that absmax = q' s with q' >= top / (1 + up).
 *     nearest     each error is at most s/2 and at most |x|, so that
 *                 delta = (q'^2 - 1/4) / (q'^2 + (b - 1)/4)
 *     stochastic  each variance is at most s^2/4, so that w = b / (4 q'^2)
 *     qsgd        w = min(b / l^2, sqrt(b) / l) (1 + up)^2 for l levels (Alistarh et al. 2017, lemma 3.1) */
#include <float.h>
#include <math.h>

#include "src/comm/codec/codec_internal.h"

static int top_of(const at_codec_cfg *cfg) {
  return cfg->kind == AT_CODEC_int8 ? 127 : cfg->kind == AT_CODEC_int4 ? 7 : (int)cfg->levels;
}

static at_block block_of(const at_codec_cfg *cfg, const at_dither *dither) {
  const int top = top_of(cfg);
  const bool is_qsgd = cfg->kind == AT_CODEC_qsgd;
  return (at_block){.bits = top <= 7 ? 4 : 8,
                    .top = top,
                    .block = (int)cfg->block,
                    .scale_bytes = cfg->scale == AT_SCALE_BF16 ? 2 : 4,
                    .norm2 = is_qsgd,
                    .dither = is_qsgd || cfg->rounding == AT_ROUND_STOCHASTIC ? dither : NULL};
}

static at_err check_qsgd(const at_codec_cfg *cfg) {
  if (cfg->levels < 1 || cfg->levels > 127) {
    return AT_FAIL(AT_ERR_CONFIG, "levels = %lld: qsgd takes 1 to 127", (long long)cfg->levels);
  }
  return AT_OK;
}

static double inflation(const at_codec_cfg *cfg) {
  return cfg->scale == AT_SCALE_BF16 ? 1.0 + 0x1p-7 : 1.0 + 0x1p-16;
}

static void law_of(const at_codec_cfg *cfg, int64_t n, at_codec_law *law) {
  const double top = top_of(cfg), q = top / inflation(cfg);
  const double b = n < cfg->block ? (double)n : (double)cfg->block;
  law->block = cfg->block;
  law->least = top * FLT_MIN;
  law->most = fmin(0.99 * FLT_MAX, top * 0x1p125);
  if (cfg->kind == AT_CODEC_qsgd) {
    law->unbiased = true;
    law->w = fmin(b / (top * top), sqrt(b) / top) * inflation(cfg) * inflation(cfg);
  } else if (cfg->rounding == AT_ROUND_STOCHASTIC) {
    law->unbiased = true;
    law->w = b / (4.0 * q * q);
  } else {
    law->contractive = true;
    law->delta = (q * q - 0.25) / (q * q + (b - 1.0) / 4.0);
  }
}

static int64_t scale_bytes(const at_block *b, int64_t n) {
  return at_blocks(n, b->block) * b->scale_bytes;
}

static int64_t bytes_of(const at_codec_cfg *cfg, int64_t n, bool *exact) {
  (void)exact;
  const at_block b = block_of(cfg, NULL);
  return scale_bytes(&b, n) + (b.bits == 8 ? n : (n + 1) / 2);
}

static int64_t encode(at_codec *c, const at_code_key *key, int64_t n, const float *x, uint8_t *out) {
  const at_dither dither = at_code_dither(key);
  const at_block b = block_of(&c->cfg, &dither);
  c->k.block_pack(&b, n, x, out, out + scale_bytes(&b, n));
  return bytes_of(&c->cfg, n, NULL);
}

static int64_t decode(at_codec *c, const at_code_key *key, int64_t n, const uint8_t *in, int64_t room, float *y) {
  (void)key;
  const int64_t bytes = bytes_of(&c->cfg, n, NULL);
  if (room < bytes) {
    return -1;
  }
  const at_block b = block_of(&c->cfg, NULL);
  c->k.block_unpack(&b, n, in, in + scale_bytes(&b, n), y);
  return bytes;
}

static int64_t add(at_codec *c, const at_code_key *key, int64_t n, const uint8_t *in, int64_t room, float weight,
                   float *acc) {
  (void)key;
  const int64_t bytes = bytes_of(&c->cfg, n, NULL);
  if (room < bytes) {
    return -1;
  }
  const at_block b = block_of(&c->cfg, NULL);
  c->k.block_add(&b, n, in, in + scale_bytes(&b, n), weight, acc);
  return bytes;
}

const at_codec_row at_codec_row_int8 = {
    .name = "int8",
    .wire = 3,
    .fields = "block rounding scale",
    .help = "Block-scaled integers of 8 bits.",
    .sum = AT_SUM_INTEGER,
    .memory = AT_MEMORY_RESIDUAL,
    .preset_block = 256,
    .most_block = AT_BLOCK_MAX,
    .law = law_of,
    .bytes = bytes_of,
    .encode = encode,
    .decode = decode,
    .add = add,
};

const at_codec_row at_codec_row_int4 = {
    .name = "int4",
    .wire = 4,
    .fields = "block rounding scale",
    .help = "Block-scaled integers of 4 bits.",
    .sum = AT_SUM_INTEGER,
    .memory = AT_MEMORY_RESIDUAL,
    .preset_block = 32,
    .most_block = 64, /* beyond, delta falls below 3/4 */
    .law = law_of,
    .bytes = bytes_of,
    .encode = encode,
    .decode = decode,
    .add = add,
};

const at_codec_row at_codec_row_qsgd = {
    .name = "qsgd",
    .wire = 7,
    .fields = "block scale levels",
    .help = "Stochastic levels of the bucket's L2 norm.",
    .sum = AT_SUM_INTEGER,
    .memory = AT_MEMORY_NONE,
    .preset_block = 512,
    .most_block = AT_BLOCK_MAX,
    .check = check_qsgd,
    .law = law_of,
    .bytes = bytes_of,
    .encode = encode,
    .decode = decode,
    .add = add,
};
