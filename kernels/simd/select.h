/* SPDX-License-Identifier: BSD-3-Clause */
/* Vector kernels: element-wise functions with a kink, and the smooth one that rounds it. */
#include "kernels/simd/rows.h"
#include "kernels/simd/slots.h"

void AT_SIMD(abs)(const at_kcall *k) {
  const float *x = k->in[0];
  float *y = k->out[0];
#define BODY(j, lanes) vf_store_lanes(y + (j), lanes, vf_abs(vf_load_lanes(x + (j), lanes)))
  AT_ROW_EACH(k->dim[0], BODY);
#undef BODY
}

/* Bounds come first in max and min: NaN passes. */
void AT_SIMD(clamp)(const at_kcall *k) {
  const float *x = k->in[0];
  float *y = k->out[0];
  const vf lo = vf_set1((float)k->attr[0]), hi = vf_set1((float)k->attr[1]);
#define BODY(j, lanes) vf_store_lanes(y + (j), lanes, vf_min(hi, vf_max(lo, vf_load_lanes(x + (j), lanes))))
  AT_ROW_EACH(k->dim[0], BODY);
#undef BODY
}

/* dy where lo <= x <= hi, else (and for NaN) 0. */
AT_INLINE vf inside(vf dy, vf x, vf lo, vf hi) {
#if defined(__AVX512F__)
  return vf_select(_mm512_cmp_ps_mask(lo, x, _CMP_LE_OQ) & _mm512_cmp_ps_mask(x, hi, _CMP_LE_OQ), dy, vf_zero());
#else
  return _mm256_and_ps(dy, _mm256_and_ps(_mm256_cmp_ps(lo, x, _CMP_LE_OQ), _mm256_cmp_ps(x, hi, _CMP_LE_OQ)));
#endif
}

void AT_SIMD(clamp_bwd)(const at_kcall *k) {
  const float *dy = k->in[0], *x = k->in[1];
  float *dx = k->out[0];
  const vf lo = vf_set1((float)k->attr[0]), hi = vf_set1((float)k->attr[1]);
#define BODY(j, lanes) \
  vf_store_lanes(dx + (j), lanes, inside(vf_load_lanes(dy + (j), lanes), vf_load_lanes(x + (j), lanes), lo, hi))
  AT_ROW_EACH(k->dim[0], BODY);
#undef BODY
}

/* max(x, 0) + log1p(e), e = exp(-|x|): the logarithm of 1 + e, divided by what the rounding of 1 + e changed. */
AT_INLINE vf softplus_of(vf x) {
  const vf one = vf_set1(1.0f), e = vf_exp_neg(vf_neg(vf_abs(x))), s = vf_add(one, e), d = vf_sub(s, one);
  const vf lost = vf_select(vm_lt(vf_zero(), d), vf_mul(vf_log(s), vf_div(e, d)), e);
  return vf_add(vf_max(vf_zero(), x), lost);
}

void AT_SIMD(softplus)(const at_kcall *k) {
  const float *x = k->in[0];
  float *y = k->out[0];
#define BODY(j, lanes) vf_store_lanes(y + (j), lanes, softplus_of(vf_load_lanes(x + (j), lanes)))
  AT_ROW_EACH(k->dim[0], BODY);
#undef BODY
}
