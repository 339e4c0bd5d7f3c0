/* SPDX-License-Identifier: BSD-3-Clause */
/* The matrix product of floats. */
#include "kernels/avx512/panel.h"
#include "kernels/simd/slots.h"

#define WORDS(depth)        (depth)
#define WIDE                __m512
#define WIDE_LOAD(p)        _mm512_load_ps(p)
#define WIDE_ALL(word)      _mm512_castsi512_ps(_mm512_set1_epi32((int)(word)))
#define WIDE_FMA(sum, a, b) _mm512_fmadd_ps(a, b, sum)

/* 16 columns from `depth` rows of floats, `stride` apart.  to: words `step` apart. */
AT_INLINE void pack_rows(int64_t depth, int64_t width, const float *from, int64_t stride, uint32_t *to, int64_t step) {
  const __mmask16 m = first(width);
  for (int64_t p = 0; p < depth; p++, from += stride, to += step) {
    _mm512_store_ps(to, _mm512_maskz_loadu_ps(m, from));
  }
}

/* 16 columns, of which column j < width is `depth` neighbouring floats at from[j]. */
AT_INLINE void pack_columns(int64_t depth, int64_t width, const float *const *from, uint32_t *to, int64_t step) {
  __m512i r[16];
  for (int64_t p = 0; p < depth; p += LANES, to += LANES * step) {
    const __mmask16 m = first(depth - p);
    for (int j = 0; j < 16; j++) {
      r[j] = j >= width ? _mm512_setzero_si512() : _mm512_castps_si512(_mm512_maskz_loadu_ps(m, from[j] + p));
    }
    store_transposed(r, depth - p, to, step);
  }
}

#include "kernels/avx512/product.h"

void at_avx512_matmul(const at_kcall *call) {
  if (call->scratch == NULL) {
    at_blas_matmul(call);
  } else {
    run_batch(call);
  }
}
