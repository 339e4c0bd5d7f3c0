/* SPDX-License-Identifier: BSD-3-Clause */
/* Elementary functions of vectors of floats.
 *
 * Errors against the exact value, over all floats: exp and log below 1 ulp, tanh, sigmoid and erf below 2.5 ulp, the normal
 * distribution function below 5 ulp (in its lower tail too).  Where exp(-|x|) is subnormal, so is the precision.  NaN, infinities, overflow and gradual underflow as in
 * kernels/approx.h.  The polynomials are minimax (Remez exchange, in 30 digits, for this file); their own errors are named. */
#ifndef AT_SIMD_MATH_H
#define AT_SIMD_MATH_H

#include "kernels/simd/vec.h"

/* exp(r) - 1 for |r| <= ln(2)/2 as r + r^2 P4(r); relative error 1.3e-8. */
AT_INLINE vf vf_expm1_poly(vf r) {
  vf p = vf_set1(0.00139464599118f);
  p = vf_fma(p, r, vf_set1(0.00836658399533f));
  p = vf_fma(p, r, vf_set1(0.0416662818608f));
  p = vf_fma(p, r, vf_set1(0.166665429918f));
  p = vf_fma(p, r, vf_set1(0.500000006199f));
  return vf_fma(vf_mul(r, r), p, r);
}

/* x = n ln 2 + r; returns r. */
AT_INLINE vf vf_reduce_ln2(vf x, vf *n) {
  *n = vf_round(vf_mul(x, vf_set1(0x1.715476p+0f)));
  const vf r = vf_fnma(*n, vf_set1(0x1.62e43p-1f), x);
  return vf_fnma(*n, vf_set1(-0x1.05c61p-29f), r);
}

/* exp(x + low) for x <= 88.8 or NaN and |low| tiny beside 1. */
AT_INLINE vf vf_exp_capped(vf x, vf low) {
  vf n;
  const vf r = vf_add(vf_reduce_ln2(vf_max(vf_set1(-104.5f), x), &n), low);
  return vf_scale2(vf_add(vf_set1(1.0f), vf_expm1_poly(r)), n);
}

/* exp(x) for x <= 88.8 or NaN: one clamp fewer, for arguments known to be at most 0. */
AT_INLINE vf vf_exp_neg(vf x) {
  vf n;
  const vf r = vf_reduce_ln2(vf_max(vf_set1(-104.5f), x), &n);
  return vf_scale2(vf_add(vf_set1(1.0f), vf_expm1_poly(r)), n);
}

AT_INLINE vf vf_exp(vf x) {
  return vf_exp_neg(vf_min(vf_set1(89.0f), x));
}

AT_INLINE vf vf_sigmoid(vf x) {
  const vf e = vf_exp_neg(vf_neg(vf_abs(x))), one = vf_set1(1.0f);
  return vf_div(vf_select(vm_lt(x, vf_zero()), e, one), vf_add(one, e));
}

/* e / (e + 2) with e = exp(2|x|) - 1 = 2^n (exp(r) - 1) + (2^n - 1): exact at 0, no cancellation. */
AT_INLINE vf vf_tanh(vf x) {
  const vf a = vf_min(vf_set1(10.0f), vf_abs(x)), one = vf_set1(1.0f);
  vf n;
  const vf r = vf_reduce_ln2(vf_add(a, a), &n);
  const vf s = vf_scale2(one, n);
  const vf e = vf_fma(s, vf_expm1_poly(r), vf_sub(s, one));
  return vf_with_sign(vf_div(e, vf_add(e, vf_set1(2.0f))), x);
}

/* log(2^k m) with m in [sqrt(1/2), sqrt(2)): see at_log_f64; the series in s^2 here is minimax of degree 3, error 1e-11. */
AT_INLINE vf vf_log(vf x) {
  const vm tiny = vm_lt(x, vf_set1(0x1p-126f));
  const vf y = vf_select(tiny, vf_mul(x, vf_set1(0x1p25f)), x);
  const vi root = vi_set1(0x3f3504f3), bits = vi_sub(vi_from_vf(y), root);
  const vf k = vf_sub(vf_from_int(vi_sra(bits, 23)), vf_select(tiny, vf_set1(25.0f), vf_zero()));
  const vf m = vf_from_vi(vi_add(vi_and(bits, vi_set1(0x7fffff)), root));
  const vf f = vf_sub(m, vf_set1(1.0f)), s = vf_div(f, vf_add(f, vf_set1(2.0f))), z = vf_mul(s, s);
  vf p = vf_set1(0.23582285471f);
  p = vf_fma(p, z, vf_set1(0.28537301873f));
  p = vf_fma(p, z, vf_set1(0.40000335289f));
  p = vf_fma(p, z, vf_set1(0.66666665645f));
  const vf h = vf_mul(vf_mul(vf_set1(0.5f), f), f);
  vf r = vf_fma(s, vf_fma(z, p, h), vf_mul(k, vf_set1(-0x1.05c61p-29f)));
  r = vf_fma(k, vf_set1(0x1.62e43p-1f), vf_sub(f, vf_sub(h, r)));
  r = vf_select(vm_lt(x, vf_set1(INFINITY)), r, vf_add(x, x)); /* infinity, NaN */
  const vf at_zero = vf_select(vm_lt(x, vf_zero()), vf_set1(NAN), vf_set1(-INFINITY));
  return vf_select(vm_lt(vf_zero(), x), r, vf_select(vm_lt(x, vf_set1(0x1p-149f)), at_zero, r));
}

/* The normal distribution function at -a, a >= 0 (or NaN): exp(-a^2/2) t P8(t), t = 1 / (1 + 0.265 a); error of the
 * polynomial 1.1e-8 for a <= 13.5.  The rounding of a^2 is given to the exponential.  *e = exp(-a^2/2). */
AT_INLINE vf vf_normcdf_tail(vf a, vf *e) {
  const vf half = vf_set1(0.5f), one = vf_set1(1.0f);
  const vf cap = vf_min(vf_set1(15.0f), a);                            /* the square stays finite */
  const vf square = vf_mul(cap, cap), low = vf_fnma(cap, cap, square); /* cap^2 = square - low */
  *e = vf_exp_capped(vf_mul(vf_neg(half), square), vf_mul(half, low));
  const vf t = vf_div(one, vf_fma(vf_set1(0.265f), cap, one));
  vf p = vf_set1(0.030912413693f);
  p = vf_fma(p, t, vf_set1(-0.14466116542f));
  p = vf_fma(p, t, vf_set1(0.21868444033f));
  p = vf_fma(p, t, vf_set1(-0.11733195688f));
  p = vf_fma(p, t, vf_set1(0.13860729031f));
  p = vf_fma(p, t, vf_set1(0.060039980803f));
  p = vf_fma(p, t, vf_set1(0.10276975147f));
  p = vf_fma(p, t, vf_set1(0.10523713078f));
  p = vf_fma(p, t, vf_set1(0.10574212041f));
  return vf_mul(*e, vf_mul(t, p));
}

/* The normal distribution function at x, and *e = exp(-x^2/2). */
AT_INLINE vf vf_normcdf(vf x, vf *e) {
  const vf q = vf_normcdf_tail(vf_abs(x), e);
  return vf_select(vm_lt(x, vf_zero()), q, vf_sub(vf_set1(1.0f), q));
}

/* Up to sqrt(0.8): x P5(x^2), relative error 1.1e-8; beyond: 1 - erfc, by the tail above. */
AT_INLINE vf vf_erf(vf x) {
  const vf a = vf_abs(x), z = vf_mul(x, x);
  vf p = vf_set1(-0.00061156061859f);
  p = vf_fma(p, z, vf_set1(0.0050165841486f));
  p = vf_fma(p, z, vf_set1(-0.026781841251f));
  p = vf_fma(p, z, vf_set1(0.11282215871f));
  p = vf_fma(p, z, vf_set1(-0.37612529905f));
  p = vf_fma(p, z, vf_set1(1.1283791547f));
  vf e;
  const vf q = vf_normcdf_tail(vf_mul(vf_set1(1.41421356237f), a), &e);
  const vf large = vf_with_sign(vf_fnma(vf_set1(2.0f), q, vf_set1(1.0f)), x);
  return vf_select(vm_lt(z, vf_set1(0.8f)), vf_mul(x, p), large);
}

#endif
