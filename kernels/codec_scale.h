/* SPDX-License-Identifier: BSD-3-Clause */
/* What all levels of the codec kernels share: the arithmetic of scales, the half-precision cast, one block of random words. */
#ifndef AT_KERNELS_CODEC_SCALE_H
#define AT_KERNELS_CODEC_SCALE_H

#include <Random123/philox.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "kernels/codec.h"

static inline uint32_t at_bits_of(float x) {
  uint32_t u;
  memcpy(&u, &x, sizeof u);
  return u;
}

static inline float at_float_of(uint32_t u) {
  float x;
  memcpy(&x, &u, sizeof x);
  return x;
}

/* ---- scales of block quantisers ---- */

/* How a magnitude becomes a scale: s = max(magnitude / top, 2^-126), rounded up by adding `up` to its bits and clearing them, at
 * most `most`. */
typedef struct at_scale_rule {
  float top;
  uint32_t up, most;
} at_scale_rule;

/* f32 scales keep 17 significant bits, so that a product with 7 bits is exact; bf16 ones have 8. */
static inline at_scale_rule at_scale_rule_of(int top, int scale_bytes) {
  const uint32_t up = scale_bytes == 2 ? 0xffffu : 0x7fu;
  const float most = fminf(FLT_MAX / (float)top, 0x1p126f); /* so that top * s and 1 / s are normal */
  return (at_scale_rule){.top = (float)top, .up = up, .most = at_bits_of(most) & ~up};
}

static inline float at_scale_of(const at_scale_rule *r, float magnitude) {
  const float s = fmaxf(magnitude / r->top, FLT_MIN);
  const uint32_t bits = (at_bits_of(s) + r->up) & ~r->up;
  return at_float_of(bits < r->most ? bits : r->most);
}

/* Scale i as it is stored. */
static inline float at_scale_load(const uint8_t *scales, int64_t i, int scale_bytes) {
  uint32_t u = 0;
  if (scale_bytes == 2) {
    uint16_t h;
    memcpy(&h, scales + 2 * i, sizeof h);
    u = (uint32_t)h << 16;
  } else {
    memcpy(&u, scales + 4 * i, sizeof u);
  }
  return at_float_of(u);
}

static inline void at_scale_store(uint8_t *scales, int64_t i, int scale_bytes, float s) {
  const uint32_t u = at_bits_of(s);
  if (scale_bytes == 2) {
    const uint16_t h = (uint16_t)(u >> 16);
    memcpy(scales + 2 * i, &h, sizeof h);
  } else {
    memcpy(scales + 4 * i, &u, sizeof u);
  }
}

/* Codes as integral floats.  x - q s is exact: both are multiples of the last place of s (or q is 0 or +-1 and the
 * difference is Sterbenz's), so that one comparison mends what the rounded reciprocal got wrong. */
static inline float at_code_nearest(float x, float s, float inv, float top) {
  float q = rintf(x * inv);
  const float r = x - q * s;
  if (fabsf(r) > 0.5f * s) {
    q += copysignf(1.0f, r);
  }
  return fminf(fmaxf(q, -top), top);
}

static inline float at_code_stochastic(float x, float inv, float top, uint32_t word) {
  const float t = x * inv;
  const float low = floorf(t);
  const float u = (float)(int32_t)(word >> 8) * 0x1p-24f;
  const float q = u < t - low ? low + 1.0f : low;
  return fminf(fmaxf(q, -top), top);
}

/* ---- E3M0 ---- */

/* The scale byte: the power of two nearest to the largest magnitude, held within 2^-119 .. 2^127. */
static inline uint8_t at_e3m0_scale(float absmax) {
  const uint32_t e = (at_bits_of(absmax) + 0x400000u) >> 23;
  return (uint8_t)(e < 8 ? 8 : e > 254 ? 254 : e);
}

static inline uint32_t at_e3m0_code(float x, int32_t scale) {
  const uint32_t bits = at_bits_of(x), size = bits & 0x7fffffffu;
  const uint32_t half_least = (uint32_t)(scale - 7) << 23; /* halfway between zero and the smallest level */
  int32_t k = (int32_t)((size + 0x400000u) >> 23) - scale + 7;
  k = k < 1 ? 1 : k > 7 ? 7 : k;
  return size < half_least ? 0 : (uint32_t)k | (bits >> 31) << 3;
}

static inline float at_e3m0_value(uint32_t code, int32_t scale) {
  const uint32_t k = code & 7;
  return k == 0 ? 0.0f : at_float_of((code >> 3) << 31 | (uint32_t)(scale - 7 + (int32_t)k) << 23);
}

/* ---- casts ---- */

static inline uint16_t at_bf16_of(float x) {
  const uint32_t u = at_bits_of(x), size = u & 0x7fffffffu;
  const uint32_t rounded = (size + 0x7fffu + ((size >> 16) & 1u)) >> 16;
  return (uint16_t)((rounded < 0x7f7fu ? rounded : 0x7f7fu) | (u >> 31) << 15);
}

/* x within +-65504. */
static inline uint16_t at_f16_of(float x) {
  const uint32_t u = at_bits_of(x), sign = (u >> 16) & 0x8000u, size = u & 0x7fffffffu;
  if (size < 0x38800000u) { /* below 2^-14: the result counts units of 2^-24 */
    return (uint16_t)(sign | (uint32_t)rintf(at_float_of(size) * 0x1p24f));
  }
  const uint32_t rounded = size + 0xfffu + ((size >> 13) & 1u);
  return (uint16_t)(sign | ((rounded >> 13) - (112u << 10)));
}

static inline float at_f16_value(uint16_t h) {
  const uint32_t sign = (uint32_t)(h & 0x8000u) << 16, size = h & 0x7fffu;
  if (size < 0x400u) {
    return at_float_of(sign | at_bits_of((float)size * 0x1p-24f));
  }
  return at_float_of(sign | ((size << 13) + (112u << 23)));
}

/* ---- random words ---- */

static inline philox4x32_ctr_t at_dither_block(const at_dither *d, uint64_t counter) {
  const philox4x32_ctr_t c = {{(uint32_t)counter, (uint32_t)(counter >> 32), d->high[0], d->high[1]}};
  const philox4x32_key_t k = {{d->key[0], d->key[1]}};
  return philox4x32_R(10, c, k);
}

/* Words first .. first + n - 1 of one group: n <= 64, first % 64 = 0. */
static inline void at_dither_group(const at_dither *d, int64_t first, int64_t n, uint32_t *out) {
  for (int64_t j = 0; j < 16 && j < n; j++) {
    const philox4x32_ctr_t w = at_dither_block(d, (uint64_t)first / 4 + (uint64_t)j);
    for (int64_t i = j; i < n; i += 16) {
      out[i] = w.v[i / 16];
    }
  }
}

#endif
