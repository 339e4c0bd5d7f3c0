/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference block quantisers and E3M0; these define the arithmetic, rounding by rounding. */
#include "kernels/codec_ref.h"
#include "kernels/codec_scale.h"
#include "kernels/vec.h"

static float absmax(int64_t n, const float *x) {
  float top = 0.0f;
  for (int64_t i = 0; i < n; i++) {
    top = fmaxf(top, fabsf(x[i]));
  }
  return top;
}

static float norm2(int64_t n, const float *x) {
  double lane[AT_VEC_LANES] = {0};
  for (int64_t i = 0; i < n; i++) {
    lane[i % AT_VEC_LANES] += (double)x[i] * (double)x[i];
  }
  return (float)sqrt(at_vec_fold(lane));
}

static void put_nibble(uint8_t *codes, int64_t i, uint32_t v) {
  codes[i / 2] = (uint8_t)(i % 2 == 0 ? v | 0x80u : (codes[i / 2] & 0x0fu) | v << 4);
}

static uint32_t get_nibble(const uint8_t *codes, int64_t i) {
  return i % 2 == 0 ? codes[i / 2] & 0x0fu : codes[i / 2] >> 4;
}

/* Codes of elements first .. first + n - 1, which share scale s, as integral floats in q[n]. */
static void quantise(const at_block *b, int64_t first, int64_t n, const float *x, float s, float *q) {
  const float inv = 1.0f / s, top = (float)b->top;
  uint32_t word[AT_DITHER_GROUP];
  for (int64_t i = 0; i < n; i++) {
    if (b->dither == NULL) {
      q[i] = at_code_nearest(x[i], s, inv, top);
      continue;
    }
    const int64_t place = (first + i) % AT_DITHER_GROUP;
    if (i == 0 || place == 0) {
      at_dither_group(b->dither, first + i - place, AT_DITHER_GROUP, word);
    }
    q[i] = at_code_stochastic(x[i], inv, top, word[place]);
  }
}

void at_ref_block_pack(const at_block *b, int64_t n, const float *x, uint8_t *scales, uint8_t *codes) {
  const at_scale_rule rule = at_scale_rule_of(b->top, b->scale_bytes);
  float q[AT_BLOCK_MAX];
  for (int64_t at = 0; at < n; at += b->block) {
    const int64_t m = n - at < b->block ? n - at : b->block;
    const float s = at_scale_of(&rule, b->norm2 ? norm2(m, x + at) : absmax(m, x + at));
    at_scale_store(scales, at / b->block, b->scale_bytes, s);
    quantise(b, at, m, x + at, s, q);
    for (int64_t i = 0; i < m; i++) {
      if (b->bits == 8) {
        codes[at + i] = (uint8_t)(int8_t)q[i];
      } else {
        put_nibble(codes, at + i, (uint32_t)((int32_t)q[i] + 8));
      }
    }
  }
}

static float decoded(const at_block *b, const uint8_t *scales, const uint8_t *codes, int64_t i) {
  const float s = at_scale_load(scales, i / b->block, b->scale_bytes);
  const int32_t q = b->bits == 8 ? (int8_t)codes[i] : (int32_t)get_nibble(codes, i) - 8;
  return (float)q * s;
}

void at_ref_block_unpack(const at_block *b, int64_t n, const uint8_t *scales, const uint8_t *codes, float *y) {
  for (int64_t i = 0; i < n; i++) {
    y[i] = decoded(b, scales, codes, i);
  }
}

void at_ref_block_add(const at_block *b, int64_t n, const uint8_t *scales, const uint8_t *codes, float weight,
                      float *acc) {
  for (int64_t i = 0; i < n; i++) {
    acc[i] = acc[i] + weight * decoded(b, scales, codes, i);
  }
}

void at_ref_block_tops(int64_t n, int block, const float *x, float *tops) {
  for (int64_t at = 0; at < n; at += block) {
    tops[at / block] = absmax(n - at < block ? n - at : block, x + at);
  }
}

void at_ref_block_codes(const at_block *b, int64_t n, const float *x, const float *scales, int16_t *q) {
  float code[AT_BLOCK_MAX];
  for (int64_t at = 0; at < n; at += b->block) {
    const int64_t m = n - at < b->block ? n - at : b->block;
    quantise(b, at, m, x + at, scales[at / b->block], code);
    for (int64_t i = 0; i < m; i++) {
      q[at + i] = (int16_t)code[i];
    }
  }
}

void at_ref_e3m0_pack(int block, int64_t n, const float *x, uint8_t *scales, uint8_t *codes) {
  for (int64_t at = 0; at < n; at += block) {
    const int64_t m = n - at < block ? n - at : block;
    const uint8_t s = at_e3m0_scale(absmax(m, x + at));
    scales[at / block] = s;
    for (int64_t i = at; i < at + m; i++) {
      const uint32_t code = at_e3m0_code(x[i], s);
      codes[i / 2] = (uint8_t)(i % 2 == 0 ? code : codes[i / 2] | code << 4);
    }
  }
}

void at_ref_e3m0_unpack(int block, int64_t n, const uint8_t *scales, const uint8_t *codes, float *y) {
  for (int64_t i = 0; i < n; i++) {
    y[i] = at_e3m0_value(get_nibble(codes, i), scales[i / block]);
  }
}
