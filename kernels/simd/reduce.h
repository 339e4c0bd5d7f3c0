/* SPDX-License-Identifier: BSD-3-Clause */
/* Vector kernels: sums over one dimension, log-sum-exp and softmax. */
#include "kernels/approx.h"
#include "kernels/simd/rows.h"
#include "kernels/simd/slots.h"
#include <string.h>

/* Columns summed together, whose partial sums stay in the first cache, and rows summed before they join the result: the
 * error is O(64 + mid/64). */
enum { WIDE = 1024, CHUNK = 64 };

static void add_row(int64_t n, const float *x, float *sum) {
#define BODY(j, lanes) \
  vf_store_lanes(sum + (j), lanes, vf_add(vf_load_lanes(sum + (j), lanes), vf_load_lanes(x + (j), lanes)))
  AT_ROW_EACH(n, BODY);
#undef BODY
}

/* out[n] = sum of `mid` rows, n <= WIDE.  Rows are read in order, which is what the processor's prefetching likes. */
static void sum_columns(int64_t mid, int64_t n, const float *x, int64_t stride, float *out) {
  float part[WIDE];
  memset(out, 0, (size_t)n * sizeof *out);
  for (int64_t m0 = 0; m0 < mid; m0 += CHUNK) {
    memset(part, 0, (size_t)n * sizeof *part);
    for (int64_t m = m0; m < mid && m < m0 + CHUNK; m++) {
      add_row(n, x + m * stride, part);
    }
    add_row(n, part, out);
  }
}

/* A long row by chunks, whose sums are added in double. */
static float sum_long_row(int64_t n, const float *x) {
  enum { LONG = 4096 };
  double sum = 0.0;
  for (int64_t i = 0; i < n; i += LONG) {
    sum += (double)at_row_sum(n - i < LONG ? n - i : LONG, x + i);
  }
  return (float)sum;
}

void AT_SIMD(reduce_sum)(const at_kcall *k) {
  const int64_t outer = k->dim[0], mid = k->dim[1], inner = k->dim[2];
  const float *x = k->in[0];
  float *out = k->out[0];
  for (int64_t o = 0; o < outer; o++, x += mid * inner, out += inner) {
    if (inner == 1) {
      *out = sum_long_row(mid, x);
    } else {
      for (int64_t i = 0; i < inner; i += WIDE) {
        sum_columns(mid, inner - i < WIDE ? inner - i : WIDE, x + i, inner, out + i);
      }
    }
  }
}

void AT_SIMD(logsumexp)(const at_kcall *k) {
  const int64_t rows = k->dim[0], n = k->dim[1];
  const float *x = k->in[0];
  float *out = k->out[0];
  for (int64_t r = 0; r < rows; r++, x += n) {
    out[r] = (float)at_row_lse(n, x);
  }
}

void AT_SIMD(softmax)(const at_kcall *k) {
  const int64_t rows = k->dim[0], n = k->dim[1];
  const float *x = k->in[0];
  float *y = k->out[0];
  for (int64_t r = 0; r < rows; r++, x += n, y += n) {
    const vf shift = vf_set1(at_row_shift(n, x));
#define BODY(j, lanes) vf_store_lanes(y + (j), lanes, vf_exp(vf_sub(vf_load_lanes(x + (j), lanes), shift)))
    AT_ROW_EACH(n, BODY);
#undef BODY
    const vf share = vf_set1(1.0f / at_row_sum(n, y));
#define BODY(j, lanes) vf_store_lanes(y + (j), lanes, vf_mul(vf_load_lanes(y + (j), lanes), share))
    AT_ROW_EACH(n, BODY);
#undef BODY
  }
}
