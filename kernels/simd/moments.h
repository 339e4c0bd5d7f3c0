/* SPDX-License-Identifier: BSD-3-Clause */
/* Vector kernels: moments of rows of channels, scaling and shifting them, and its transpose. */
#include <string.h>

#include "kernels/simd/rows.h"
#include "kernels/simd/slots.h"

/* Columns taken together, whose partial results stay in the first cache, and rows that are summed before they join the
 * result: the error is O(64 + rows / 64). */
enum { WIDE = 1024, CHUNK = 64 };

/* Sums over `rows` rows of x, or of (x - mean)^2, of n <= WIDE columns. */
static void sum_chunk(int64_t rows, int64_t n, const float *x, int64_t stride, float *sum) {
  memset(sum, 0, (size_t)n * sizeof *sum);
  for (int64_t r = 0; r < rows; r++, x += stride) {
#define BODY(j, lanes) \
  vf_store_lanes(sum + (j), lanes, vf_add(vf_load_lanes(sum + (j), lanes), vf_load_lanes(x + (j), lanes)))
    AT_ROW_EACH(n, BODY);
#undef BODY
  }
}

static void square_chunk(int64_t rows, int64_t n, const float *x, int64_t stride, const float *mean, float *sum) {
  memset(sum, 0, (size_t)n * sizeof *sum);
  for (int64_t r = 0; r < rows; r++, x += stride) {
#define BODY(j, lanes)                                                                  \
  const vf d = vf_sub(vf_load_lanes(x + (j), lanes), vf_load_lanes(mean + (j), lanes)); \
  vf_store_lanes(sum + (j), lanes, vf_fma(d, d, vf_load_lanes(sum + (j), lanes)))
    AT_ROW_EACH(n, BODY);
#undef BODY
  }
}

/* x = x * factor */
static void scale(int64_t n, float *x, float factor) {
  const vf f = vf_set1(factor);
#define BODY(j, lanes) vf_store_lanes(x + (j), lanes, vf_mul(f, vf_load_lanes(x + (j), lanes)))
  AT_ROW_EACH(n, BODY);
#undef BODY
}

/* Mean and sum of squares of n0 rows, joined by those of n1 more (Chan, Golub and LeVeque 1983). */
static void join_chunk(int64_t n, int64_t n0, int64_t n1, const float *mean1, const float *square1, float *mean,
                       float *square) {
  const double all = (double)(n0 + n1);
  const vf share = vf_set1((float)((double)n1 / all)), cross = vf_set1((float)((double)n0 * (double)n1 / all));
#define BODY(j, lanes)                                                                             \
  const vf m = vf_load_lanes(mean + (j), lanes), d = vf_sub(vf_load_lanes(mean1 + (j), lanes), m); \
  const vf s = vf_add(vf_load_lanes(square + (j), lanes), vf_load_lanes(square1 + (j), lanes));    \
  vf_store_lanes(mean + (j), lanes, vf_fma(d, share, m));                                          \
  vf_store_lanes(square + (j), lanes, vf_fma(vf_mul(d, d), cross, s))
  AT_ROW_EACH(n, BODY);
#undef BODY
}

/* Moments of n <= WIDE columns: chunk by chunk, each in two passes while it is near. */
static void columns_moments(int64_t rows, int64_t n, const float *x, int64_t stride, float *mean, float *variance) {
  float mean1[WIDE], square1[WIDE];
  memset(mean, 0, (size_t)n * sizeof *mean);
  memset(variance, 0, (size_t)n * sizeof *variance);
  for (int64_t r = 0; r < rows; r += CHUNK) {
    const int64_t some = rows - r < CHUNK ? rows - r : CHUNK;
    sum_chunk(some, n, x + r * stride, stride, mean1);
    scale(n, mean1, 1.0f / (float)some);
    square_chunk(some, n, x + r * stride, stride, mean1, square1);
    join_chunk(n, r, some, mean1, square1, mean, variance);
  }
  scale(n, variance, 1.0f / (float)rows);
  if (rows == 0) {
    scale(n, mean, NAN);
    scale(n, variance, NAN);
  }
}

void AT_SIMD(moments)(const at_kcall *k) {
  const int64_t batch = k->dim[0], rows = k->dim[1], c = k->dim[2];
  const float *x = k->in[0];
  float *mean = k->out[0], *variance = k->out[1];
  for (int64_t b = 0; b < batch; b++, x += rows * c, mean += c, variance += c) {
    for (int64_t i = 0; i < c; i += WIDE) {
      columns_moments(rows, c - i < WIDE ? c - i : WIDE, x + i, c, mean + i, variance + i);
    }
  }
}

void AT_SIMD(rows_affine)(const at_kcall *k) {
  const int64_t batch = k->dim[0], rows = k->dim[1], c = k->dim[2];
  const float *x = k->in[0], *a = k->in[1], *b = k->in[2];
  float *out = k->out[0];
  for (int64_t i = 0; i < batch; i++, a += c, b += c) {
    for (int64_t r = 0; r < rows; r++, x += c, out += c) {
#define BODY(j, lanes)             \
  vf_store_lanes(out + (j), lanes, \
                 vf_fma(vf_load_lanes(x + (j), lanes), vf_load_lanes(a + (j), lanes), vf_load_lanes(b + (j), lanes)))
      AT_ROW_EACH(c, BODY);
#undef BODY
    }
  }
}

static void dot_chunk(int64_t rows, int64_t n, const float *x, const float *y, int64_t stride, float *dot, float *sum) {
  memset(dot, 0, (size_t)n * sizeof *dot);
  memset(sum, 0, (size_t)n * sizeof *sum);
  for (int64_t r = 0; r < rows; r++, x += stride, y += stride) {
#define BODY(j, lanes)                                                                                         \
  const vf u = vf_load_lanes(x + (j), lanes);                                                                  \
  vf_store_lanes(dot + (j), lanes, vf_fma(u, vf_load_lanes(y + (j), lanes), vf_load_lanes(dot + (j), lanes))); \
  vf_store_lanes(sum + (j), lanes, vf_add(u, vf_load_lanes(sum + (j), lanes)))
    AT_ROW_EACH(n, BODY);
#undef BODY
  }
}

/* sum = sum + part */
static void add_row(int64_t n, const float *part, float *sum) {
#define BODY(j, lanes) \
  vf_store_lanes(sum + (j), lanes, vf_add(vf_load_lanes(sum + (j), lanes), vf_load_lanes(part + (j), lanes)))
  AT_ROW_EACH(n, BODY);
#undef BODY
}

static void columns_dot(int64_t rows, int64_t n, const float *x, const float *y, int64_t stride, float *dot,
                        float *sum) {
  float dot1[WIDE], sum1[WIDE];
  memset(dot, 0, (size_t)n * sizeof *dot);
  memset(sum, 0, (size_t)n * sizeof *sum);
  for (int64_t r = 0; r < rows; r += CHUNK) {
    dot_chunk(rows - r < CHUNK ? rows - r : CHUNK, n, x + r * stride, y + r * stride, stride, dot1, sum1);
    add_row(n, dot1, dot);
    add_row(n, sum1, sum);
  }
}

void AT_SIMD(rows_dot)(const at_kcall *k) {
  const int64_t batch = k->dim[0], rows = k->dim[1], c = k->dim[2];
  const float *x = k->in[0], *y = k->in[1];
  float *dot = k->out[0], *sum = k->out[1];
  for (int64_t b = 0; b < batch; b++, x += rows * c, y += rows * c, dot += c, sum += c) {
    for (int64_t i = 0; i < c; i += WIDE) {
      columns_dot(rows, c - i < WIDE ? c - i : WIDE, x + i, y + i, c, dot + i, sum + i);
    }
  }
}
