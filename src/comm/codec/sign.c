/* SPDX-License-Identifier: BSD-3-Clause */
/* One bit an element and one scale a segment; zero counts as positive.
 *
 * Payload: the scale as a float, then n bits.
 *     l1   s = ||x||_1 / n (Karimireddy et al. 2019): delta = ||x||_1^2 / (n ||x||_2^2) >= 1/n; 2/pi for Gaussian data
 *     l2   s = ||x||_2 / sqrt(n) (1-bit Adam, Tang et al. 2021): not contractive; a spike doubles
 * Under a mask, only elements that are not masked count, and masked ones decode as zero. */
#include <math.h>
#include <string.h>

#include "src/comm/codec/codec_internal.h"

static void law_of(const at_codec_cfg *cfg, int64_t n, at_codec_law *law) {
  if (cfg->norm == AT_NORM_L1) {
    law->contractive = true;
    law->delta = (1.0 - 0x1p-20) / (double)n; /* the scale is a rounded float */
    law->least = 0x1p-126;
  }
}

static int64_t bytes_of(const at_codec_cfg *cfg, int64_t n, bool *exact) {
  (void)cfg;
  (void)exact;
  return 4 + (n + 7) / 8;
}

/* The segment without its masked elements, packed into c->y; returns how many there are. */
static int64_t unmasked(at_codec *c, const at_code_key *key, int64_t n, const float *x) {
  int64_t m = 0;
  for (int64_t i = 0; i < n; i++) {
    c->y[m] = x[i];
    m += c->mask[key->first + i] != 0;
  }
  return m;
}

static int64_t encode(at_codec *c, const at_code_key *key, int64_t n, const float *x, uint8_t *out) {
  const int64_t m = c->mask == NULL ? n : unmasked(c, key, n, x);
  const float *v = c->mask == NULL ? x : c->y;
  double s = 0.0;
  if (m > 0) {
    s = c->cfg.norm == AT_NORM_L1 ? c->k.sum_abs(m, v) / (double)m : sqrt(c->k.sum_squares(m, v) / (double)m);
  }
  const float scale = (float)s;
  memcpy(out, &scale, sizeof scale);
  c->k.sign_pack(n, x, out + sizeof scale);
  return bytes_of(&c->cfg, n, NULL);
}

static int64_t decode(at_codec *c, const at_code_key *key, int64_t n, const uint8_t *in, int64_t room, float *y) {
  const int64_t bytes = bytes_of(&c->cfg, n, NULL);
  float scale;
  if (room < bytes) {
    return -1;
  }
  memcpy(&scale, in, sizeof scale);
  c->k.sign_unpack(n, in + sizeof scale, scale, y);
  for (int64_t i = 0; c->mask != NULL && i < n; i++) {
    y[i] = c->mask[key->first + i] != 0 ? y[i] : 0.0f;
  }
  return bytes;
}

static int64_t add(at_codec *c, const at_code_key *key, int64_t n, const uint8_t *in, int64_t room, float weight,
                   float *acc) {
  const int64_t bytes = bytes_of(&c->cfg, n, NULL);
  float scale;
  if (room < bytes) {
    return -1;
  }
  if (c->mask != NULL) {
    decode(c, key, n, in, room, c->y);
    at_code_axpy(c, n, weight, c->y, acc);
    return bytes;
  }
  memcpy(&scale, in, sizeof scale);
  c->k.sign_add(n, in + sizeof scale, scale, weight, acc);
  return bytes;
}

const at_codec_row at_codec_row_sign = {
    .name = "sign",
    .wire = 8,
    .fields = "norm start",
    .help = "One bit an element and one scale a segment.",
    .memory = AT_MEMORY_RESIDUAL,
    .law = law_of,
    .bytes = bytes_of,
    .encode = encode,
    .decode = decode,
    .add = add,
};
