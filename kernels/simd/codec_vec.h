/* SPDX-License-Identifier: BSD-3-Clause */
/* Integer vectors and narrow stores for the codec kernels, at the width of the level being compiled. */
#ifndef AT_SIMD_CODEC_VEC_H
#define AT_SIMD_CODEC_VEC_H

#include <string.h>

#include "kernels/codec_ref.h"
#include "kernels/codec_scale.h"
#include "kernels/simd/rows.h"
#include "kernels/simd/vec.h"
#include "kernels/simd/vecd.h"
#include "kernels/vec.h"

#if defined(__AVX512F__)

#define vi_load(p)         _mm512_loadu_si512(p)
#define vi_store(p, v)     _mm512_storeu_si512(p, v)
#define vi_srl(v, n)       _mm512_srli_epi32(v, n)
#define vi_or              _mm512_or_si512
#define vi_max             _mm512_max_epi32
#define vi_min             _mm512_min_epi32
#define vi_from_float      _mm512_cvtps_epi32 /* integral floats */
#define vi_pairs_srl(v, n) _mm512_srli_epi64(v, n)
#define vi_pairs_sll(v, n) _mm512_slli_epi64(v, n)
#define vi_pairs_add       _mm512_add_epi64
#define vi_pairs_sub       _mm512_sub_epi64
#define vi_pairs_set1      _mm512_set1_epi64
#define vf_floor(v)        _mm512_roundscale_ps(v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)

AT_INLINE vi vi_lanes(void) { /* 0, 1, 2, ... */
  return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
AT_INLINE vi vi_zero_where_less(vi v, vi a, vi b) { /* v, or 0 where a < b (signed) */
  return _mm512_maskz_mov_epi32(_mm512_cmpge_epi32_mask(a, b), v);
}
AT_INLINE uint32_t vi_mask_at_least(vi a, vi b) { /* bit per lane: a >= b (signed) */
  return _mm512_cmpge_epi32_mask(a, b);
}
/* The low byte, or half, of each lane; the low byte of each pair of lanes. */
AT_INLINE void vi_store_bytes(uint8_t *p, vi v) {
  _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(v));
}
AT_INLINE void vi_store_halves(uint8_t *p, vi v) {
  _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtepi32_epi16(v));
}
AT_INLINE void vi_store_pair_bytes(uint8_t *p, vi v) {
  _mm_storel_epi64((__m128i *)(void *)p, _mm512_cvtepi64_epi8(v));
}
AT_INLINE vi vi_load_signed_bytes(const uint8_t *p) {
  return _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
}
AT_INLINE vi vi_load_halves(const uint8_t *p) { /* zero-extended */
  return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
AT_INLINE vi vi_load_pair_bytes(const uint8_t *p) { /* a byte in each pair of lanes */
  return _mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)(const void *)p));
}
AT_INLINE void vf_store_f16(uint8_t *p, vf v) {
  _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
AT_INLINE vf vf_load_f16(const uint8_t *p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
AT_INLINE uint32_t vm_bits(vm m) {
  return m;
}
AT_INLINE void vm_store_bits(uint8_t *p, uint32_t bits) {
  const uint16_t half = (uint16_t)bits;
  memcpy(p, &half, sizeof half);
}
AT_INLINE vf vf_load_signs(const uint8_t *p, vf plus, vf minus) { /* plus where the lane's bit is set */
  uint16_t bits;
  memcpy(&bits, p, sizeof bits);
  return _mm512_mask_blend_ps(bits, minus, plus);
}
AT_INLINE uint32_t vf_mask_at_least_zero(vf v) {
  return _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_GE_OQ);
}
/* key and position of the lanes in `mask`, packed; returns how many. */
AT_INLINE int64_t vi_compress(uint32_t mask, vi key, vi at, uint32_t *keys, uint32_t *ats) {
  const int64_t n = __builtin_popcount(mask);
  const __mmask16 first = vm_first(n);
  if (keys != NULL) {
    _mm512_mask_storeu_epi32(keys, first, _mm512_maskz_compress_epi32((__mmask16)mask, key));
  }
  _mm512_mask_storeu_epi32(ats, first, _mm512_maskz_compress_epi32((__mmask16)mask, at));
  return n;
}
/* All 64 bits of a * m for 32-bit lanes, as low and high halves. */
AT_INLINE void vi_mul_wide(vi a, vi m, vi *low, vi *high) {
  const vi even = _mm512_mul_epu32(a, m), odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), m);
  *low = _mm512_mask_shuffle_epi32(even, 0xaaaa, odd, 0xa0);
  *high = _mm512_mask_shuffle_epi32(odd, 0x5555, even, 0xf5);
}
AT_INLINE vi vi_xor3(vi a, vi b, vi c) {
  return _mm512_ternarylogic_epi32(a, b, c, 0x96);
}

#else

#define vi_load(p)         _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define vi_store(p, v)     _mm256_storeu_si256((__m256i *)(void *)(p), v)
#define vi_srl(v, n)       _mm256_srli_epi32(v, n)
#define vi_or              _mm256_or_si256
#define vi_max             _mm256_max_epi32
#define vi_min             _mm256_min_epi32
#define vi_from_float      _mm256_cvtps_epi32
#define vi_pairs_srl(v, n) _mm256_srli_epi64(v, n)
#define vi_pairs_sll(v, n) _mm256_slli_epi64(v, n)
#define vi_pairs_add       _mm256_add_epi64
#define vi_pairs_sub       _mm256_sub_epi64
#define vi_pairs_set1      _mm256_set1_epi64x
#define vf_floor(v)        _mm256_round_ps(v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)

/* Half-precision conversion is a feature of its own, which every processor with AVX2 and FMA has. */
#define AT_F16C            static inline __attribute__((target("f16c")))

AT_INLINE vi vi_lanes(void) {
  return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
}
AT_INLINE vi vi_zero_where_less(vi v, vi a, vi b) {
  return _mm256_andnot_si256(_mm256_cmpgt_epi32(b, a), v);
}
AT_INLINE uint32_t vi_mask_at_least(vi a, vi b) {
  return 0xffu & ~(uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(b, a)));
}
AT_INLINE void vi_store_bytes(uint8_t *p, vi v) {
  const vi pick = _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8, 12, -1, -1, -1,
                                   -1, -1, -1, -1, -1, -1, -1, -1, -1);
  const vi b = _mm256_shuffle_epi8(v, pick);
  const __m128i both = _mm_unpacklo_epi32(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1));
  _mm_storel_epi64((__m128i *)(void *)p, both);
}
AT_INLINE void vi_store_halves(uint8_t *p, vi v) {
  const vi low = _mm256_and_si256(v, _mm256_set1_epi32(0xffff));
  const __m128i both = _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
  _mm_storeu_si128((__m128i *)(void *)p, both);
}
AT_INLINE void vi_store_pair_bytes(uint8_t *p, vi v) {
  const __m128i pick = _mm_setr_epi8(0, 8, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
  const __m128i a = _mm_shuffle_epi8(_mm256_castsi256_si128(v), pick);
  const __m128i b = _mm_shuffle_epi8(_mm256_extracti128_si256(v, 1), pick);
  const int32_t four = _mm_cvtsi128_si32(_mm_unpacklo_epi16(a, b));
  memcpy(p, &four, sizeof four);
}
AT_INLINE vi vi_load_signed_bytes(const uint8_t *p) {
  return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
}
AT_INLINE vi vi_load_halves(const uint8_t *p) {
  return _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
}
AT_INLINE vi vi_load_pair_bytes(const uint8_t *p) {
  int32_t four;
  memcpy(&four, p, sizeof four);
  return _mm256_cvtepu8_epi64(_mm_cvtsi32_si128(four));
}
AT_F16C void vf_store_f16(uint8_t *p, vf v) {
  _mm_storeu_si128((__m128i *)(void *)p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
AT_F16C vf vf_load_f16(const uint8_t *p) {
  return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}
AT_INLINE uint32_t vm_bits(vm m) {
  return (uint32_t)_mm256_movemask_ps(m);
}
AT_INLINE void vm_store_bits(uint8_t *p, uint32_t bits) {
  *p = (uint8_t)bits;
}
AT_INLINE vf vf_load_signs(const uint8_t *p, vf plus, vf minus) {
  const vi bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const vi set = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(*p), bit), bit);
  return _mm256_blendv_ps(minus, plus, _mm256_castsi256_ps(set));
}
AT_INLINE uint32_t vf_mask_at_least_zero(vf v) {
  return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_GE_OQ));
}
AT_INLINE int64_t vi_compress(uint32_t mask, vi key, vi at, uint32_t *keys, uint32_t *ats) {
  uint32_t k[8], a[8];
  int64_t n = 0;
  vi_store(k, key);
  vi_store(a, at);
  for (; mask != 0; mask &= mask - 1) {
    const int lane = __builtin_ctz(mask);
    if (keys != NULL) {
      keys[n] = k[lane];
    }
    ats[n++] = a[lane];
  }
  return n;
}
AT_INLINE void vi_mul_wide(vi a, vi m, vi *low, vi *high) {
  const vi even = _mm256_mul_epu32(a, m), odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), m);
  *low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
  *high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
}
AT_INLINE vi vi_xor3(vi a, vi b, vi c) {
  return _mm256_xor_si256(_mm256_xor_si256(a, b), c);
}

#endif

/* Pairs of 4-bit lanes as bytes, low lane in the low nibble: AT_VW / 2 of them. */
AT_INLINE void vi_store_nibbles(uint8_t *p, vi v) {
  vi_store_pair_bytes(p, vi_or(v, vi_pairs_srl(v, 28)));
}
AT_INLINE vi vi_load_nibbles(const uint8_t *p) {
  const vi b = vi_load_pair_bytes(p);
  const vi high = vi_pairs_sll(vi_and(b, vi_pairs_set1(0xf0)), 28);
  return vi_or(vi_and(b, vi_pairs_set1(0x0f)), high);
}

#endif
