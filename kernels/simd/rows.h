/* SPDX-License-Identifier: BSD-3-Clause */
/* Walking a contiguous row by vectors: loads that serve whole vectors and the masked end alike, sums, log-sum-exp. */
#ifndef AT_SIMD_ROWS_H
#define AT_SIMD_ROWS_H

#include "kernels/approx.h"
#include "kernels/simd/math.h"

/* With `lanes` the constant AT_VW these are plain; otherwise they touch only that many floats. */
AT_INLINE vf vf_load_lanes(const float *p, int64_t lanes) {
  return lanes == AT_VW ? vf_load(p) : vf_load_first(p, lanes);
}
AT_INLINE void vf_store_lanes(float *p, int64_t lanes, vf v) {
  if (lanes == AT_VW) {
    vf_store(p, v);
  } else {
    vf_store_first(p, lanes, v);
  }
}

/* body(j, lanes) for every vector of a row of n. */
#define AT_ROW_EACH(n, body)                 \
  do {                                       \
    int64_t j_ = 0;                          \
    for (; j_ + AT_VW <= (n); j_ += AT_VW) { \
      body(j_, AT_VW);                       \
    }                                        \
    if (j_ < (n)) {                          \
      body(j_, (n)-j_);                      \
    }                                        \
  } while (0)

/* Defines a function of (int64_t n, ...) that sums `term`, a vf expression of j and lanes, over a row: four vectors of
 * partial sums, folded in a fixed order, so that the error is O(n / (4 AT_VW)). */
#define AT_ROW_SUM(name, params, term)                              \
  static inline float name params {                                 \
    vf s0 = vf_zero(), s1 = s0, s2 = s0, s3 = s0;                   \
    int64_t j = 0, lanes = AT_VW;                                   \
    while (j + 4 * AT_VW <= n) {                                    \
      s0 = vf_add(s0, term);                                        \
      j += AT_VW;                                                   \
      s1 = vf_add(s1, term);                                        \
      j += AT_VW;                                                   \
      s2 = vf_add(s2, term);                                        \
      j += AT_VW;                                                   \
      s3 = vf_add(s3, term);                                        \
      j += AT_VW;                                                   \
    }                                                               \
    for (; j + AT_VW <= n; j += AT_VW) {                            \
      s0 = vf_add(s0, term);                                        \
    }                                                               \
    if (j < n) {                                                    \
      lanes = n - j;                                                \
      s1 = vf_add(s1, vf_select(vm_first(lanes), term, vf_zero())); \
    }                                                               \
    return vf_sum(vf_add(vf_add(s0, s2), vf_add(s1, s3)));          \
  }

AT_ROW_SUM(at_row_sum, (int64_t n, const float *x), vf_load_lanes(x + j, lanes))
AT_ROW_SUM(at_row_expsum, (int64_t n, const float *x, vf shift), vf_exp(vf_sub(vf_load_lanes(x + j, lanes), shift)))

/* The largest element; NaN elements are passed over.  -infinity for an empty row. */
static inline float at_row_top(int64_t n, const float *x) {
  vf t0 = vf_set1(-INFINITY), t1 = t0;
  int64_t j = 0;
  for (; j + 2 * AT_VW <= n; j += 2 * AT_VW) {
    t0 = vf_max(vf_load(x + j), t0);
    t1 = vf_max(vf_load(x + j + AT_VW), t1);
  }
  for (; j + AT_VW <= n; j += AT_VW) {
    t0 = vf_max(vf_load(x + j), t0);
  }
  if (j < n) {
    t1 = vf_max(vf_select(vm_first(n - j), vf_load_first(x + j, n - j), vf_set1(-INFINITY)), t1);
  }
  return vf_top(vf_max(t0, t1));
}

/* What a row's exponents are lowered by: its maximum, or 0 if that is infinite, which would make NaN of inf - inf. */
static inline float at_row_shift(int64_t n, const float *x) {
  const float top = at_row_top(n, x);
  return top > -INFINITY && top < INFINITY ? top : 0.0f;
}

/* log sum exp, in double from the sum on. */
static inline double at_row_lse(int64_t n, const float *x) {
  const float shift = at_row_shift(n, x);
  return (double)shift + at_log_f64((double)at_row_expsum(n, x, vf_set1(shift)));
}

#endif
