/* SPDX-License-Identifier: BSD-3-Clause */
/* Vectors of doubles, and of 64-bit integers, for sums that floats cannot hold.  AT_VDW doubles. */
#ifndef AT_SIMD_VECD_H
#define AT_SIMD_VECD_H

#include "kernels/simd/vec.h"

#if defined(__AVX512F__)

enum { AT_VDW = 8 };
typedef __m512d vd;
#define vd_zero  _mm512_setzero_pd
#define vd_set1  _mm512_set1_pd
#define vd_store _mm512_storeu_pd
#define vd_mul   _mm512_mul_pd
#define vd_fma   _mm512_fmadd_pd
#define vd_max   _mm512_max_pd
#define vd_abs   _mm512_abs_pd

AT_INLINE vd vd_from_floats(const float *p) {
  return _mm512_cvtps_pd(_mm256_loadu_ps(p));
}
AT_INLINE vd vd_round(vd a) {
  return _mm512_roundscale_pd(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
AT_INLINE vd vd_from_int64(const int64_t *p) {
  return _mm512_cvtepi64_pd(_mm512_loadu_si512(p));
}
AT_INLINE void vd_to_floats(float *p, vd a) {
  _mm256_storeu_ps(p, _mm512_cvtpd_ps(a));
}
/* acc[i] += v[i], integral and below 2^63 in size (otherwise acc is unspecified). */
AT_INLINE void vd_add_to_int64(int64_t *acc, vd v) {
  _mm512_storeu_si512(acc, _mm512_add_epi64(_mm512_loadu_si512(acc), _mm512_cvtpd_epi64(v)));
}

#else

enum { AT_VDW = 4 };
typedef __m256d vd;
#define vd_zero  _mm256_setzero_pd
#define vd_set1  _mm256_set1_pd
#define vd_store _mm256_storeu_pd
#define vd_mul   _mm256_mul_pd
#define vd_fma   _mm256_fmadd_pd
#define vd_max   _mm256_max_pd

AT_INLINE vd vd_abs(vd a) {
  return _mm256_andnot_pd(_mm256_set1_pd(-0.0), a);
}
AT_INLINE vd vd_from_floats(const float *p) {
  return _mm256_cvtps_pd(_mm_loadu_ps(p));
}
AT_INLINE vd vd_round(vd a) {
  return _mm256_round_pd(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* high 2^32 + low, both exact, added with one rounding; low stands in the low bits of 2^52. */
AT_INLINE vd vd_from_int64(const int64_t *p) {
  const __m256i n = _mm256_loadu_si256((const __m256i *)(const void *)p);
  const __m256i odd = _mm256_permutevar8x32_epi32(n, _mm256_setr_epi32(1, 3, 5, 7, 1, 3, 5, 7));
  const vd high = _mm256_cvtepi32_pd(_mm256_castsi256_si128(odd)), magic = _mm256_set1_pd(0x1p52);
  const __m256i low = _mm256_blend_epi32(n, _mm256_castpd_si256(magic), 0xaa);
  return _mm256_fmadd_pd(high, _mm256_set1_pd(0x1p32), _mm256_sub_pd(_mm256_castsi256_pd(low), magic));
}
AT_INLINE void vd_to_floats(float *p, vd a) {
  _mm_storeu_ps(p, _mm256_cvtpd_ps(a));
}
/* Integral doubles below 2^51 in size: added to 1.5 * 2^52 they stand in the low bits. */
AT_INLINE __m256i vd_small_to_int64(vd v) {
  const vd magic = _mm256_set1_pd(0x1.8p52);
  return _mm256_sub_epi64(_mm256_castpd_si256(_mm256_add_pd(v, magic)), _mm256_castpd_si256(magic));
}
/* acc[i] += v[i], integral and below 2^63 in size (otherwise acc is unspecified): as high 2^32 + low, both small. */
AT_INLINE void vd_add_to_int64(int64_t *acc, vd v) {
  const vd high = vd_round(vd_mul(v, _mm256_set1_pd(0x1p-32)));
  const vd low = _mm256_fnmadd_pd(high, _mm256_set1_pd(0x1p32), v);
  const __m256i n = _mm256_add_epi64(_mm256_slli_epi64(vd_small_to_int64(high), 32), vd_small_to_int64(low));
  __m256i *p = (__m256i *)(void *)acc;
  _mm256_storeu_si256(p, _mm256_add_epi64(_mm256_loadu_si256(p), n));
}

#endif

#endif
