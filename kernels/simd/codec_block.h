/* SPDX-License-Identifier: BSD-3-Clause */
/* Block quantisers and E3M0 by vectors (definitions: kernels/codec_ref_block.c).
 *
 * A vector is worked off in stretches that stay in the first-level cache: magnitudes of all blocks, then all scales at once,
 * then the stretch's random words, then codes.  The last elements of a block go through a buffer padded with zeros, whose code is
 * the one that fills an unused nibble. */
#ifndef AT_SIMD_CODEC_BLOCK_H
#define AT_SIMD_CODEC_BLOCK_H

#include "kernels/simd/codec_words.h"

enum { CODEC_STRETCH = 1024, CODEC_LEAST_BLOCK = 16 };

/* What a stretch of blocks works with. */
typedef struct codec_stretch {
  float scale[CODEC_STRETCH / CODEC_LEAST_BLOCK], inverse[CODEC_STRETCH / CODEC_LEAST_BLOCK];
  uint32_t word[AT_BLOCK_MAX];
} codec_stretch;

static inline int64_t codec_stretch_of(int block) {
  return block > CODEC_STRETCH ? block : CODEC_STRETCH;
}

static inline float codec_absmax(int64_t n, const float *x) {
  vf t0 = vf_zero(), t1 = t0;
  int64_t i = 0;
  for (; i + 2 * AT_VW <= n; i += 2 * AT_VW) {
    t0 = vf_max(vf_abs(vf_load(x + i)), t0);
    t1 = vf_max(vf_abs(vf_load(x + i + AT_VW)), t1);
  }
  for (; i < n; i += AT_VW) {
    t0 = vf_max(vf_abs(vf_load_first(x + i, n - i < AT_VW ? n - i : AT_VW)), t0);
  }
  return vf_top(vf_max(t0, t1));
}

/* Sum of f(x) in the lanes of kernels/vec.h; squares, or magnitudes. */
AT_INLINE double codec_sum(int64_t n, const float *x, bool squares) {
  enum { PARTS = AT_VEC_LANES / AT_VDW };
  vd sum[PARTS];
  AT_UNROLL
  for (int p = 0; p < PARTS; p++) {
    sum[p] = vd_zero();
  }
  int64_t i = 0;
  for (; i + AT_VEC_LANES <= n; i += AT_VEC_LANES) {
    AT_UNROLL
    for (int p = 0; p < PARTS; p++) {
      const vd v = vd_from_floats(x + i + p * AT_VDW);
      sum[p] = squares ? vd_fma(v, v, sum[p]) : vd_fma(vd_abs(v), vd_set1(1.0), sum[p]);
    }
  }
  double lane[AT_VEC_LANES];
  AT_UNROLL
  for (int p = 0; p < PARTS; p++) {
    vd_store(lane + p * AT_VDW, sum[p]);
  }
  for (int64_t j = 0; i + j < n; j++) {
    const double v = (double)x[i + j];
    lane[j] += squares ? v * v : fabs(v);
  }
  return at_vec_fold(lane);
}

/* Scales and their inverses from magnitudes that stand in s->scale. */
static inline void codec_scales(const at_scale_rule *r, int64_t blocks, codec_stretch *s) {
  for (int64_t i = 0; i < blocks; i += AT_VW) {
    const vf m = vf_max(vf_div(vf_load(s->scale + i), vf_set1(r->top)), vf_set1(FLT_MIN));
    const vi up = vi_set1((int32_t)r->up);
    const vi bits = vi_sub(vi_or(vi_add(vi_from_vf(m), up), up), up); /* the rounded-away bits are clear */
    const vf v = vf_from_vi(vi_min(bits, vi_set1((int32_t)r->most)));
    vf_store(s->scale + i, v);
    vf_store(s->inverse + i, vf_div(vf_set1(1.0f), v));
  }
}

/* Codes of one vector, as integers. */
AT_INLINE vi codec_nearest(vf x, vf s, vf inv, vf top) {
  vf q = vf_round(vf_mul(x, inv));
  const vf r = vf_sub(x, vf_mul(q, s));
  const vm wrong = vm_lt(vf_mul(s, vf_set1(0.5f)), vf_abs(r));
  q = vf_select(wrong, vf_add(q, vf_with_sign(vf_set1(1.0f), r)), q);
  return vi_from_float(vf_min(vf_max(q, vf_neg(top)), top));
}

AT_INLINE vi codec_stochastic(vf x, vf inv, vf top, const uint32_t *word) {
  const vf t = vf_mul(x, inv), low = vf_floor(t);
  const vf u = vf_mul(vf_from_int(vi_srl(vi_load(word), 8)), vf_set1(0x1p-24f));
  const vf q = vf_select(vm_lt(u, vf_sub(t, low)), vf_add(low, vf_set1(1.0f)), low);
  return vi_from_float(vf_min(vf_max(q, vf_neg(top)), top));
}

typedef enum codec_form { CODEC_BYTES, CODEC_NIBBLES, CODEC_HALVES } codec_form;

AT_INLINE int64_t codec_form_bytes(codec_form f, int64_t n) {
  return f == CODEC_BYTES ? n : f == CODEC_NIBBLES ? (n + 1) / 2 : 2 * n;
}

AT_INLINE void codec_put(codec_form f, uint8_t *p, vi q) {
  if (f == CODEC_BYTES) {
    vi_store_bytes(p, q);
  } else if (f == CODEC_NIBBLES) {
    vi_store_nibbles(p, vi_add(q, vi_set1(8)));
  } else {
    vi_store_halves(p, q);
  }
}

/* Codes of one block of n elements. */
AT_INLINE void codec_block(codec_form f, bool dither, int64_t n, const float *x, float scale, float inverse, float most,
                           const uint32_t *word, uint8_t *codes) {
  const vf s = vf_set1(scale), inv = vf_set1(inverse), top = vf_set1(most);
  int64_t i = 0;
  for (; i + AT_VW <= n; i += AT_VW) {
    const vf v = vf_load(x + i);
    codec_put(f, codes + codec_form_bytes(f, i),
              dither ? codec_stochastic(v, inv, top, word + i) : codec_nearest(v, s, inv, top));
  }
  if (i < n) {
    uint8_t rest[2 * AT_VW];
    const vf v = vf_load_first(x + i, n - i);
    codec_put(f, rest, dither ? codec_stochastic(v, inv, top, word + i) : codec_nearest(v, s, inv, top));
    memcpy(codes + codec_form_bytes(f, i), rest, (size_t)codec_form_bytes(f, n - i));
  }
}

/* Codes of a stretch that starts at element `first` of the vector. */
AT_INLINE void codec_blocks(codec_form f, const at_block *b, int64_t first, int64_t n, const float *x, codec_stretch *s,
                            uint8_t *codes) {
  if (b->dither != NULL) {
    codec_words(b->dither, first, (n + AT_DITHER_GROUP - 1) / AT_DITHER_GROUP * AT_DITHER_GROUP, s->word);
  }
  int64_t block = 0;
  for (int64_t at = 0; at < n; at += b->block, block++) {
    const int64_t m = n - at < b->block ? n - at : b->block;
    uint8_t *out = codes + codec_form_bytes(f, at);
    if (b->dither != NULL) {
      codec_block(f, true, m, x + at, s->scale[block], s->inverse[block], (float)b->top, s->word + at, out);
    } else {
      codec_block(f, false, m, x + at, s->scale[block], s->inverse[block], (float)b->top, NULL, out);
    }
  }
}

static void codec_block_pack(const at_block *b, int64_t n, const float *x, uint8_t *scales, uint8_t *codes) {
  const at_scale_rule rule = at_scale_rule_of(b->top, b->scale_bytes);
  const int64_t stretch = codec_stretch_of(b->block);
  codec_stretch s;
  for (int64_t at = 0; at < n; at += stretch) {
    const int64_t m = n - at < stretch ? n - at : stretch, blocks = at_blocks(m, b->block);
    memset(s.scale, 0, sizeof s.scale);
    for (int64_t k = 0; k < blocks; k++) {
      const int64_t start = k * b->block, size = m - start < b->block ? m - start : b->block;
      s.scale[k] = b->norm2 ? (float)sqrt(codec_sum(size, x + at + start, true)) : codec_absmax(size, x + at + start);
    }
    codec_scales(&rule, blocks, &s);
    for (int64_t k = 0; k < blocks; k++) {
      at_scale_store(scales, at / b->block + k, b->scale_bytes, s.scale[k]);
    }
    if (b->bits == 8) {
      codec_blocks(CODEC_BYTES, b, at, m, x + at, &s, codes + at);
    } else {
      codec_blocks(CODEC_NIBBLES, b, at, m, x + at, &s, codes + at / 2);
    }
  }
}

static void codec_block_tops(int64_t n, int block, const float *x, float *tops) {
  for (int64_t at = 0; at < n; at += block) {
    tops[at / block] = codec_absmax(n - at < block ? n - at : block, x + at);
  }
}

static void codec_block_codes(const at_block *b, int64_t n, const float *x, const float *scales, int16_t *q) {
  const int64_t stretch = codec_stretch_of(b->block);
  codec_stretch s;
  for (int64_t at = 0; at < n; at += stretch) {
    const int64_t m = n - at < stretch ? n - at : stretch, blocks = at_blocks(m, b->block);
    for (int64_t k = 0; k < blocks; k++) {
      s.scale[k] = scales[at / b->block + k];
      s.inverse[k] = 1.0f / s.scale[k];
    }
    codec_blocks(CODEC_HALVES, b, at, m, x + at, &s, (uint8_t *)(q + at));
  }
}

/* ---- decoding ---- */

AT_INLINE vf codec_get(bool bytes, const uint8_t *p) {
  return vf_from_int(bytes ? vi_load_signed_bytes(p) : vi_sub(vi_load_nibbles(p), vi_set1(8)));
}

/* Decode n elements of one block into y, or add them to y with a weight. */
AT_INLINE void codec_unblock(bool bytes, bool add, int64_t n, float scale, const uint8_t *codes, float weight,
                             float *y) {
  const vf s = vf_set1(scale), w = vf_set1(weight);
  int64_t i = 0;
  for (; i + AT_VW <= n; i += AT_VW) {
    const vf v = vf_mul(codec_get(bytes, codes + (bytes ? i : i / 2)), s);
    vf_store(y + i, add ? vf_add(vf_load(y + i), vf_mul(w, v)) : v);
  }
  if (i < n) {
    uint8_t rest[AT_VW] = {0};
    memcpy(rest, codes + (bytes ? i : i / 2), (size_t)(bytes ? n - i : (n - i + 1) / 2));
    const vf v = vf_mul(codec_get(bytes, rest), s);
    vf_store_first(y + i, n - i, add ? vf_add(vf_load_first(y + i, n - i), vf_mul(w, v)) : v);
  }
}

AT_INLINE void codec_unblocks(bool bytes, bool add, const at_block *b, int64_t n, const uint8_t *scales,
                              const uint8_t *codes, float weight, float *y) {
  for (int64_t at = 0; at < n; at += b->block) {
    const int64_t m = n - at < b->block ? n - at : b->block;
    const float s = at_scale_load(scales, at / b->block, b->scale_bytes);
    codec_unblock(bytes, add, m, s, codes + (bytes ? at : at / 2), weight, y + at);
  }
}

static void codec_block_unpack(const at_block *b, int64_t n, const uint8_t *scales, const uint8_t *codes, float *y) {
  if (b->bits == 8) {
    codec_unblocks(true, false, b, n, scales, codes, 0.0f, y);
  } else {
    codec_unblocks(false, false, b, n, scales, codes, 0.0f, y);
  }
}

static void codec_block_add(const at_block *b, int64_t n, const uint8_t *scales, const uint8_t *codes, float weight,
                            float *acc) {
  if (b->bits == 8) {
    codec_unblocks(true, true, b, n, scales, codes, weight, acc);
  } else {
    codec_unblocks(false, true, b, n, scales, codes, weight, acc);
  }
}

/* ---- E3M0 ---- */

AT_INLINE vi codec_e3m0_code(vf x, int32_t scale) {
  const vi bits = vi_from_vf(x), size = vi_and(bits, vi_set1(0x7fffffff));
  vi k = vi_sub(vi_srl(vi_add(size, vi_set1(0x400000)), 23), vi_set1(scale - 7));
  k = vi_min(vi_max(k, vi_set1(1)), vi_set1(7));
  k = vi_or(k, vi_and(vi_srl(bits, 28), vi_set1(8)));
  return vi_zero_where_less(k, size, vi_set1((scale - 7) << 23));
}

static void codec_e3m0_pack(int block, int64_t n, const float *x, uint8_t *scales, uint8_t *codes) {
  for (int64_t at = 0; at < n; at += block) {
    const int64_t m = n - at < block ? n - at : block;
    const uint8_t s = at_e3m0_scale(codec_absmax(m, x + at));
    scales[at / block] = s;
    int64_t i = at;
    for (; i + AT_VW <= at + m; i += AT_VW) {
      vi_store_nibbles(codes + i / 2, codec_e3m0_code(vf_load(x + i), s));
    }
    if (i < at + m) {
      uint8_t rest[AT_VW / 2];
      vi_store_nibbles(rest, codec_e3m0_code(vf_load_first(x + i, at + m - i), s));
      memcpy(codes + i / 2, rest, (size_t)(at + m - i + 1) / 2);
    }
  }
}

AT_INLINE vf codec_e3m0_value(vi code, int32_t scale) {
  const vi k = vi_and(code, vi_set1(7)), sign = vi_sll(vi_and(code, vi_set1(8)), 28);
  const vi bits = vi_or(vi_sll(vi_add(k, vi_set1(scale - 7)), 23), sign);
  return vf_from_vi(vi_zero_where_less(bits, k, vi_set1(1)));
}

static void codec_e3m0_unpack(int block, int64_t n, const uint8_t *scales, const uint8_t *codes, float *y) {
  for (int64_t at = 0; at < n; at += block) {
    const int64_t m = n - at < block ? n - at : block;
    const int32_t s = scales[at / block];
    int64_t i = at;
    for (; i + AT_VW <= at + m; i += AT_VW) {
      vf_store(y + i, codec_e3m0_value(vi_load_nibbles(codes + i / 2), s));
    }
    if (i < at + m) {
      uint8_t rest[AT_VW / 2] = {0};
      memcpy(rest, codes + i / 2, (size_t)(at + m - i + 1) / 2);
      vf_store_first(y + i, at + m - i, codec_e3m0_value(vi_load_nibbles(rest), s));
    }
  }
}

#endif
