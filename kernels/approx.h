/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernels' own elementary functions in double, so that no result depends on the C library's version.
 *
 * Errors, against 113-bit arithmetic: exp, log below 1 ulp; expm1, tanh, sigmoid, erf, sin, cos below 3 ulp; erfc and the
 * normal distribution function below 9 ulp, in their small tails too.  NaN gives NaN; infinities give the limits; results overflow to infinity and underflow gradually.
 * A float version is the double one, rounded once.  The vector versions (f32) are in kernels/simd/math.h.
 *
 * Polynomials are Taylor series, whose coefficients are exact fractions, except the expansion of erfc, a Chebyshev
 * interpolation computed for this file with 40 digits (see at_erfc_tail). */
#ifndef AT_APPROX_H
#define AT_APPROX_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* The nearest integer, ties to even, for |x| < 2^51, without a call. */
static inline double at_round_even(double x) {
  const double magic = 0x1.8p52;
  return (x + magic) - magic;
}

/* 2^k for -1022 <= k <= 1023. */
static inline double at_pow2(int k) {
  uint64_t bits = (uint64_t)(k + 1023) << 52;
  double r;
  memcpy(&r, &bits, sizeof r);
  return r;
}

#define AT_LN2_HI    0x1.62e42feep-1       /* 32 bits of ln 2: times any exponent it is exact */
#define AT_LN2_LO    0x1.a39ef35793c76p-33 /* ln 2 - AT_LN2_HI */
#define AT_LOG2E     0x1.71547652b82fep+0  /* 1 / ln 2 */
#define AT_SQRT1_2   0x1.6a09e667f3bcdp-1  /* 1 / sqrt(2) */
#define AT_2_SQRTPI  0x1.20dd750429b6dp+0  /* 2 / sqrt(pi) */
#define AT_1_SQRT2PI 0x1.9884533d43651p-2  /* 1 / sqrt(2 pi) */

/* exp(r) - 1 for |r| <= 0.35: r + r^2/2! + ... + r^14/14!. */
static inline double at_expm1_poly(double r) {
  double p = 1.0 / 87178291200.0;
  p = p * r + 1.0 / 6227020800.0;
  p = p * r + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  return r + r * r * p;
}

static inline double at_exp_f64(double x) {
  if (x != x) {
    return x;
  }
  if (x > 709.8) {
    return INFINITY;
  }
  if (x < -745.5) {
    return 0.0;
  }
  const double n = at_round_even(x * AT_LOG2E);
  const double r = (x - n * AT_LN2_HI) - n * AT_LN2_LO;
  const int k = (int)n, k1 = k / 2;
  return (1.0 + at_expm1_poly(r)) * at_pow2(k1) * at_pow2(k - k1);
}

/* exp(x) - 1 for |x| < 700, without the cancellation at 0. */
static inline double at_expm1_f64(double x) {
  const double n = at_round_even(x * AT_LOG2E);
  const double r = (x - n * AT_LN2_HI) - n * AT_LN2_LO;
  const double s = at_pow2((int)n);
  return s * at_expm1_poly(r) + (s - 1.0);
}

static inline double at_tanh_f64(double x) {
  if (x != x) {
    return x;
  }
  const double a = fabs(x);
  if (a > 20.0) {
    return copysign(1.0, x);
  }
  const double e = at_expm1_f64(2.0 * a);
  return copysign(e / (e + 2.0), x);
}

static inline double at_sigmoid_f64(double x) {
  const double e = at_exp_f64(-fabs(x));
  return (x < 0 ? e : 1.0) / (1.0 + e);
}

/* With x = 2^k m, m in [sqrt(1/2), sqrt(2)), f = m - 1, s = f / (2 + f): log m = 2 atanh s
 * = f - (f^2/2 - s (f^2/2 + R)), R = 2 s^2/3 + 2 s^4/5 + ...: the leading term is exact. */
static inline double at_log_f64(double x) {
  if (!(x > 0.0) || x == INFINITY) {
    return x == 0.0 ? -INFINITY : x < 0.0 ? NAN : x;
  }
  int k = 0;
  if (x < 0x1p-1022) {
    x *= 0x1p54;
    k = -54;
  }
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  const uint64_t shifted = bits - 0x3fe6a09e667f3bcdu; /* the bits of sqrt(1/2) */
  k += (int)((int64_t)shifted >> 52);
  bits = (shifted & 0xfffffffffffffu) + 0x3fe6a09e667f3bcdu;
  double m;
  memcpy(&m, &bits, sizeof m);
  const double f = m - 1.0, s = f / (2.0 + f), z = s * s;
  double p = 2.0 / 25.0;
  p = p * z + 2.0 / 23.0;
  p = p * z + 2.0 / 21.0;
  p = p * z + 2.0 / 19.0;
  p = p * z + 2.0 / 17.0;
  p = p * z + 2.0 / 15.0;
  p = p * z + 2.0 / 13.0;
  p = p * z + 2.0 / 11.0;
  p = p * z + 2.0 / 9.0;
  p = p * z + 2.0 / 7.0;
  p = p * z + 2.0 / 5.0;
  p = p * z + 2.0 / 3.0;
  const double h = 0.5 * f * f, d = (double)k;
  return d * AT_LN2_HI - ((h - (s * (h + z * p) + d * AT_LN2_LO)) - f);
}

/* erf x for |x| <= 1: 2/sqrt(pi) * sum of (-1)^n x^(2n+1) / (n! (2n+1)), n <= 18. */
static inline double at_erf_series(double x) {
  const double z = x * x;
  double p = 1.0 / (6402373705728000.0 * 37.0);
  p = p * z - 1.0 / (355687428096000.0 * 35.0);
  p = p * z + 1.0 / (20922789888000.0 * 33.0);
  p = p * z - 1.0 / (1307674368000.0 * 31.0);
  p = p * z + 1.0 / (87178291200.0 * 29.0);
  p = p * z - 1.0 / (6227020800.0 * 27.0);
  p = p * z + 1.0 / (479001600.0 * 25.0);
  p = p * z - 1.0 / (39916800.0 * 23.0);
  p = p * z + 1.0 / (3628800.0 * 21.0);
  p = p * z - 1.0 / (362880.0 * 19.0);
  p = p * z + 1.0 / (40320.0 * 17.0);
  p = p * z - 1.0 / (5040.0 * 15.0);
  p = p * z + 1.0 / (720.0 * 13.0);
  p = p * z - 1.0 / (120.0 * 11.0);
  p = p * z + 1.0 / (24.0 * 9.0);
  p = p * z - 1.0 / (6.0 * 7.0);
  p = p * z + 1.0 / (2.0 * 5.0);
  p = p * z - 1.0 / 3.0;
  return AT_2_SQRTPI * (x + x * (z * p));
}

/* exp(-s x^2) for s = 1 or 1/2 and |x| < 39, in two factors, since the rounding of x^2 alone would cost x^2 ulp. */
static inline double at_exp_minus_square(double x, double s) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  bits &= 0xfffffffff8000000u; /* 26 bits: the square is exact */
  double hi;
  memcpy(&hi, &bits, sizeof hi);
  const double d = -s * (x - hi) * (x + hi); /* below 1e-4: four terms of exp(d) */
  return at_exp_f64(-s * hi * hi) * (1.0 + d * (1.0 + d * (0.5 + d * (1.0 / 6.0))));
}

/* exp(x^2) erfc(x) for x >= 1.  Times x + 2 it is a smooth function of t = (x - 4)/(x + 2), which maps [1, inf) onto [-1, 1)
 * (the map of Shepherd and Laframboise 1981, with another constant); here is its Chebyshev interpolation of degree 22 at the
 * zeros of T36, summed by Clenshaw's recurrence. */
static inline double at_erfcx_tail(double x) {
  static const double c[23] = {
      0.87291570541719731022,     -0.35555113058041885187,    0.050737486582005481938,    -0.0037966249169716694073,
      -0.00018229751029197530142, 0.000068462884026126131599, -7.8068081801926974505e-7,  -1.3104989676498946603e-6,
      4.2983450181656549269e-8,   3.1536606310698371944e-8,   -7.7472476757512612639e-10, -9.1191378339104001057e-10,
      -1.1226406707905600846e-11, 2.8649084355703226062e-11,  2.1394501520106087423e-12,  -8.614015969881047603e-13,
      -1.5027972571909990646e-13, 1.9441944588880065725e-14,  8.0009675194762639422e-15,  7.2282014042883892188e-17,
      -3.3550067626632898614e-16, -4.5688044465269791415e-17, 9.1932960456600451901e-18};
  const double t = (x - 4.0) / (x + 2.0);
  double b1 = 0.0, b2 = 0.0;
  for (int i = 22; i > 0; i--) {
    const double b0 = c[i] + (2.0 * t * b1 - b2);
    b2 = b1;
    b1 = b0;
  }
  return (c[0] + (t * b1 - b2)) / (x + 2.0);
}

/* erfc x for x >= 1. */
static inline double at_erfc_tail(double x) {
  return at_exp_minus_square(x, 1.0) * at_erfcx_tail(x);
}

static inline double at_erf_f64(double x) {
  if (x != x) {
    return x;
  }
  const double a = fabs(x);
  return copysign(a <= 1.0 ? at_erf_series(a) : a > 6.0 ? 1.0 : 1.0 - at_erfc_tail(a), x);
}

static inline double at_erfc_f64(double x) {
  if (x != x) {
    return x;
  }
  if (x > 27.5) {
    return 0.0;
  }
  if (x > 1.0) {
    return at_erfc_tail(x);
  }
  return x < -6.0 ? 2.0 : x < -1.0 ? 2.0 - at_erfc_tail(-x) : 1.0 - at_erf_series(x);
}

/* The normal distribution function, erfc(-x / sqrt(2)) / 2. */
static inline double at_normcdf_f64(double x) {
  const double z = x * AT_SQRT1_2;
  if (z < -1.0 && z > -27.5) {
    return 0.5 * at_exp_minus_square(x, 0.5) * at_erfcx_tail(-z);
  }
  return 0.5 * at_erfc_f64(-z);
}

/* Its density. */
static inline double at_normpdf_f64(double x) {
  return fabs(x) < 39.0 ? AT_1_SQRT2PI * at_exp_minus_square(x, 0.5) : x != x ? x : 0.0;
}

/* sin and cos together, |x| < 1e6: x minus the nearest multiple n of pi/2, which is taken in three parts of 32, 33 and
 * 53 bits so that n times the first two is exact; then Taylor series on [-pi/4, pi/4].  No branches: loops vectorise. */
static inline void at_sincos_f64(double x, double *sine, double *cosine) {
  const double n = at_round_even(x * 0x1.45f306dc9c883p-1);
  double r = x - n * 0x1.921fb544p+0;
  r = r - n * 0x1.0b4611a6p-34;
  r = r - n * 0x1.3198a2e037073p-69;
  const double z = r * r;
  double s = -1.0 / 121645100408832000.0;
  s = s * z + 1.0 / 355687428096000.0;
  s = s * z - 1.0 / 1307674368000.0;
  s = s * z + 1.0 / 6227020800.0;
  s = s * z - 1.0 / 39916800.0;
  s = s * z + 1.0 / 362880.0;
  s = s * z - 1.0 / 5040.0;
  s = s * z + 1.0 / 120.0;
  s = s * z - 1.0 / 6.0;
  s = r + r * (z * s);
  double c = 1.0 / 2432902008176640000.0;
  c = c * z - 1.0 / 6402373705728000.0;
  c = c * z + 1.0 / 20922789888000.0;
  c = c * z - 1.0 / 87178291200.0;
  c = c * z + 1.0 / 479001600.0;
  c = c * z - 1.0 / 3628800.0;
  c = c * z + 1.0 / 40320.0;
  c = c * z - 1.0 / 720.0;
  c = c * z + 1.0 / 24.0;
  c = (1.0 - 0.5 * z) + z * z * c;
  /* n mod 4 from the low bits of n + 1.5 * 2^52. */
  const double shifted = n + 0x1.8p52;
  uint64_t q;
  memcpy(&q, &shifted, sizeof q);
  const double s1 = (q & 1) ? c : s, c1 = (q & 1) ? s : c;
  *sine = (q & 2) ? -s1 : s1;
  *cosine = ((q + 1) & 2) ? -c1 : c1;
}

#endif
