/* SPDX-License-Identifier: BSD-3-Clause */
/* Vectors of floats at the width of the level being compiled: the only place that knows 8 lanes from 16.
 *
 * Files in kernels/simd/ are written once in these terms and compiled by kernels/avx2/ and kernels/avx512/, which differ in
 * their compiler flags alone.  vf: AT_VW floats; vi: as many int32; vm: a mask.  Loads and stores take any alignment. */
#ifndef AT_SIMD_VEC_H
#define AT_SIMD_VEC_H

#include <immintrin.h>
#include <math.h>
#include <stdint.h>

#include "kernels/kernels.h"

#if defined(__clang__)
#define AT_UNROLL _Pragma("clang loop unroll(full)")
#else
#define AT_UNROLL _Pragma("GCC unroll 32")
#endif
#define AT_INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)

#define AT_SIMD(slot) at_avx512_##slot
enum { AT_VW = 16 };
typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;

#define vf_set1          _mm512_set1_ps
#define vf_zero          _mm512_setzero_ps
#define vf_load          _mm512_loadu_ps
#define vf_store         _mm512_storeu_ps
#define vf_add           _mm512_add_ps
#define vf_sub           _mm512_sub_ps
#define vf_mul           _mm512_mul_ps
#define vf_div           _mm512_div_ps
#define vf_sqrt          _mm512_sqrt_ps
#define vf_fma           _mm512_fmadd_ps  /* a b + c */
#define vf_fnma          _mm512_fnmadd_ps /* c - a b */
#define vf_max           _mm512_max_ps    /* of (a, b): b if either is NaN */
#define vf_min           _mm512_min_ps
#define vf_and           _mm512_and_ps
#define vf_or            _mm512_or_ps
#define vf_xor           _mm512_xor_ps
#define vf_andnot        _mm512_andnot_ps /* ~a & b */
#define vf_swap_pairs(v) _mm512_permute_ps(v, 0xb1)
#define vi_set1          _mm512_set1_epi32
#define vi_add           _mm512_add_epi32
#define vi_sub           _mm512_sub_epi32
#define vi_and           _mm512_and_si512
#define vi_sra(v, n)     _mm512_srai_epi32(v, n)
#define vi_sll(v, n)     _mm512_slli_epi32(v, n)
#define vi_from_vf       _mm512_castps_si512
#define vf_from_vi       _mm512_castsi512_ps
#define vf_from_int      _mm512_cvtepi32_ps

AT_INLINE vf vf_round(vf a) {
  return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
AT_INLINE vm vm_first(int64_t n) { /* the first n lanes, 0 <= n <= AT_VW */
  return (vm)((1u << n) - 1u);
}
AT_INLINE vf vf_load_first(const float *p, int64_t n) { /* zeros beyond; touches n floats only */
  return _mm512_maskz_loadu_ps(vm_first(n), p);
}
AT_INLINE void vf_store_first(float *p, int64_t n, vf v) {
  _mm512_mask_storeu_ps(p, vm_first(n), v);
}
AT_INLINE vf vf_select(vm m, vf yes, vf no) {
  return _mm512_mask_blend_ps(m, no, yes);
}
AT_INLINE vm vm_lt(vf a, vf b) {
  return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}
/* x * 2^n, n integral: exact but for the final rounding. */
AT_INLINE vf vf_scale2(vf x, vf n) {
  return _mm512_scalef_ps(x, n);
}
AT_INLINE float vf_sum(vf v) {
  __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  b = _mm_add_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}
AT_INLINE float vf_top(vf v) { /* the largest lane; lanes must not be NaN */
  __m256 a = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  b = _mm_max_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_max_ss(b, _mm_movehdup_ps(b)));
}

#else

#define AT_SIMD(slot) at_avx2_##slot
enum { AT_VW = 8 };
typedef __m256 vf;
typedef __m256i vi;
typedef __m256 vm; /* all bits of a lane, or none */

#define vf_set1          _mm256_set1_ps
#define vf_zero          _mm256_setzero_ps
#define vf_load          _mm256_loadu_ps
#define vf_store         _mm256_storeu_ps
#define vf_add           _mm256_add_ps
#define vf_sub           _mm256_sub_ps
#define vf_mul           _mm256_mul_ps
#define vf_div           _mm256_div_ps
#define vf_sqrt          _mm256_sqrt_ps
#define vf_fma           _mm256_fmadd_ps
#define vf_fnma          _mm256_fnmadd_ps
#define vf_max           _mm256_max_ps
#define vf_min           _mm256_min_ps
#define vf_and           _mm256_and_ps
#define vf_or            _mm256_or_ps
#define vf_xor           _mm256_xor_ps
#define vf_andnot        _mm256_andnot_ps
#define vf_swap_pairs(v) _mm256_permute_ps(v, 0xb1)
#define vi_set1          _mm256_set1_epi32
#define vi_add           _mm256_add_epi32
#define vi_sub           _mm256_sub_epi32
#define vi_and           _mm256_and_si256
#define vi_sra(v, n)     _mm256_srai_epi32(v, n)
#define vi_sll(v, n)     _mm256_slli_epi32(v, n)
#define vi_from_vf       _mm256_castps_si256
#define vf_from_vi       _mm256_castsi256_ps
#define vf_from_int      _mm256_cvtepi32_ps

AT_INLINE vf vf_round(vf a) {
  return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
AT_INLINE vi vi_first(int64_t n) {
  static const int32_t edge[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
  return _mm256_loadu_si256((const __m256i *)(const void *)(edge + 8 - n));
}
AT_INLINE vm vm_first(int64_t n) {
  return _mm256_castsi256_ps(vi_first(n));
}
AT_INLINE vf vf_load_first(const float *p, int64_t n) {
  return _mm256_maskload_ps(p, vi_first(n));
}
AT_INLINE void vf_store_first(float *p, int64_t n, vf v) {
  _mm256_maskstore_ps(p, vi_first(n), v);
}
AT_INLINE vf vf_select(vm m, vf yes, vf no) {
  return _mm256_blendv_ps(no, yes, m);
}
AT_INLINE vm vm_lt(vf a, vf b) {
  return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}
/* x * 2^n for -250 <= n <= 250, in two factors so that neither overflows. */
AT_INLINE vf vf_scale2(vf x, vf n) {
  const vi k = _mm256_cvtps_epi32(n), k1 = vi_sra(k, 1), bias = vi_set1(127);
  const vf s1 = vf_from_vi(vi_sll(vi_add(k1, bias), 23));
  const vf s2 = vf_from_vi(vi_sll(vi_add(vi_sub(k, k1), bias), 23));
  return vf_mul(vf_mul(x, s1), s2);
}
AT_INLINE float vf_sum(vf v) {
  __m128 b = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  b = _mm_add_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}
AT_INLINE float vf_top(vf v) {
  __m128 b = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  b = _mm_max_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_max_ss(b, _mm_movehdup_ps(b)));
}

#endif

AT_INLINE vf vf_abs(vf a) {
  return vf_andnot(vf_set1(-0.0f), a);
}
AT_INLINE vf vf_neg(vf a) {
  return vf_xor(vf_set1(-0.0f), a);
}
/* The size of `a` with the sign of `s`. */
AT_INLINE vf vf_with_sign(vf a, vf s) {
  const vf sign = vf_set1(-0.0f);
  return vf_or(vf_andnot(sign, a), vf_and(sign, s));
}

#endif
