/* SPDX-License-Identifier: BSD-3-Clause */
/* Vector kernels: sums over one dimension, and log-sum-exp. */
#include "kernels/approx.h"
#include "kernels/simd/rows.h"
#include "kernels/simd/slots.h"
#include <string.h>

enum { CHUNK = 64 }; /* rows summed in registers before they join the output: error O(64 + mid/64) */

/* out[0..AT_VW nv) (+)= sum of `mid` rows, in registers. */
AT_INLINE void sum_columns(int nv, int64_t mid, const float *x, int64_t stride, float *out, int first) {
  vf acc[4];
  AT_UNROLL
  for (int v = 0; v < nv; v++) {
    acc[v] = vf_load(x + v * AT_VW);
  }
  for (int64_t m = 1; m < mid; m++) {
    AT_UNROLL
    for (int v = 0; v < nv; v++) {
      acc[v] = vf_add(acc[v], vf_load(x + m * stride + v * AT_VW));
    }
  }
  AT_UNROLL
  for (int v = 0; v < nv; v++) {
    vf_store(out + v * AT_VW, first ? acc[v] : vf_add(vf_load(out + v * AT_VW), acc[v]));
  }
}

/* The last columns, fewer than a vector. */
static void sum_edge(int64_t width, int64_t mid, const float *x, int64_t stride, float *out, int first) {
  vf acc = vf_zero();
  for (int64_t m = 0; m < mid; m++) {
    acc = vf_add(acc, vf_load_first(x + m * stride, width));
  }
  vf_store_first(out, width, first ? acc : vf_add(vf_load_first(out, width), acc));
}

static void sum_rows_chunk(int64_t mid, int64_t n, const float *x, float *out, int first) {
  int64_t i = 0;
  for (; i + 4 * AT_VW <= n; i += 4 * AT_VW) {
    sum_columns(4, mid, x + i, n, out + i, first);
  }
  for (; i + AT_VW <= n; i += AT_VW) {
    sum_columns(1, mid, x + i, n, out + i, first);
  }
  if (i < n) {
    sum_edge(n - i, mid, x + i, n, out + i, first);
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
    } else if (mid == 0) {
      memset(out, 0, (size_t)inner * sizeof *out);
    } else {
      for (int64_t m = 0; m < mid; m += CHUNK) {
        sum_rows_chunk(mid - m < CHUNK ? mid - m : CHUNK, inner, x + m * inner, out, m == 0);
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
