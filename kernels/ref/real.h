/* SPDX-License-Identifier: BSD-3-Clause */
/* What makes one reference source two kernels: the type `real`, its elementary functions, and AT_REF(slot), the kernel's name.
 *
 * Reference kernels are the definition of their slots: plain loops, sums in double (`at_sum` where a sum may be long),
 * functions from kernels/approx.h rounded once to `real`. */
#ifndef AT_REAL_H
#define AT_REAL_H

#include "kernels/approx.h"
#include "kernels/ref/ref.h"

#if defined(AT_REAL_F32)
typedef float real;
#define AT_REF(slot) at_ref_##slot##_f32
#elif defined(AT_REAL_F64)
typedef double real;
#define AT_REF(slot) at_ref_##slot##_f64
#else
#error "compile reference kernels with -DAT_REAL_F32 or -DAT_REAL_F64"
#endif

/* A double sum in eight interleaved parts: the error grows with an eighth of the count. */
typedef struct at_sum {
  double part[8];
} at_sum;

static inline void at_sum_add(at_sum *s, int64_t i, double x) {
  s->part[i & 7] += x;
}

static inline double at_sum_get(const at_sum *s) {
  const double *p = s->part;
  return ((p[0] + p[4]) + (p[2] + p[6])) + ((p[1] + p[5]) + (p[3] + p[7]));
}

/* What a row's exponents are lowered by: its maximum, or 0 if that is infinite, which would make NaN of inf - inf. */
static inline double at_row_shift(int64_t n, const real *x) {
  double top = -INFINITY;
  for (int64_t i = 0; i < n; i++) {
    top = (double)x[i] > top ? (double)x[i] : top;
  }
  return top > -INFINITY && top < INFINITY ? top : 0.0;
}

/* The sum of exp(x - shift) over a row. */
static inline double at_row_expsum(int64_t n, const real *x, double shift) {
  at_sum sum = {{0}};
  for (int64_t i = 0; i < n; i++) {
    at_sum_add(&sum, i, at_exp_f64((double)x[i] - shift));
  }
  return at_sum_get(&sum);
}

/* log sum exp of a row; -infinity for an empty one. */
static inline double at_row_lse(int64_t n, const real *x) {
  const double shift = at_row_shift(n, x);
  return shift + at_log_f64(at_row_expsum(n, x, shift));
}

#endif
