/* SPDX-License-Identifier: BSD-3-Clause */
/* Sign and three bits of exponent under a block scale that is a power of two (Douillard et al. 2025).
 *
 * Payload: one byte for each block, then n codes of 4 bits.  The largest magnitude a lies in [3/4 s, 3/2 s); its error, and that of
 * every value from the smallest level s/64 on, is at most a third of it; below, errors are at most s/128 and at most the
 * value.  Hence delta >= (8/9)(9/16) / (9/16 + (b - 1)/2^14). */
#include "src/comm/codec/codec_internal.h"

static void law_of(const at_codec_cfg *cfg, int64_t n, at_codec_law *law) {
  const double b = n < cfg->block ? (double)n : (double)cfg->block;
  law->contractive = true;
  law->delta = 0.5 / (0.5625 + (b - 1.0) * 0x1p-14);
  law->block = cfg->block;
  law->least = 0.75 * 0x1p-119;
  law->most = 1.5 * 0x1p127;
}

static int64_t bytes_of(const at_codec_cfg *cfg, int64_t n, bool *exact) {
  (void)exact;
  return at_blocks(n, (int)cfg->block) + (n + 1) / 2;
}

static int64_t encode(at_codec *c, const at_code_key *key, int64_t n, const float *x, uint8_t *out) {
  (void)key;
  const int block = (int)c->cfg.block;
  c->k.e3m0_pack(block, n, x, out, out + at_blocks(n, block));
  return bytes_of(&c->cfg, n, NULL);
}

static int64_t decode(at_codec *c, const at_code_key *key, int64_t n, const uint8_t *in, int64_t room, float *y) {
  (void)key;
  const int block = (int)c->cfg.block;
  const int64_t bytes = bytes_of(&c->cfg, n, NULL), scales = at_blocks(n, block);
  if (room < bytes) {
    return -1;
  }
  for (int64_t i = 0; i < scales; i++) {
    if (in[i] < 8 || in[i] > 254) {
      return -1;
    }
  }
  c->k.e3m0_unpack(block, n, in, in + scales, y);
  return bytes;
}

const at_codec_row at_codec_row_e3m0 = {
    .name = "e3m0",
    .wire = 6,
    .fields = "block",
    .help = "Sign and power of two in 4 bits.",
    .memory = AT_MEMORY_RESIDUAL,
    .preset_block = 32,
    .most_block = AT_BLOCK_MAX,
    .law = law_of,
    .bytes = bytes_of,
    .encode = encode,
    .decode = decode,
};
