/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference kernels: indices of large elements, taking and putting along a dimension, casts. */
#include "kernels/ref/real.h"

/* Does u stand before v in descending order, NaN above all? */
static int above(real u, real v) {
  return u > v || (u != u && v == v);
}

void AT_REF(argmax)(const at_kcall *k) {
  const int64_t outer = k->dim[0], mid = k->dim[1], inner = k->dim[2];
  const real *x = k->in[0];
  int32_t *out = k->out[0];
  for (int64_t o = 0; o < outer; o++, x += mid * inner) {
    for (int64_t i = 0; i < inner; i++) {
      int64_t best = 0;
      for (int64_t m = 1; m < mid; m++) {
        best = above(x[m * inner + i], x[best * inner + i]) ? m : best;
      }
      *out++ = (int32_t)best;
    }
  }
}

void AT_REF(topk)(const at_kcall *k) {
  const int64_t rows = k->dim[0], n = k->dim[1], most = k->dim[2];
  const real *x = k->in[0];
  int32_t *out = k->out[0];
  for (int64_t r = 0; r < rows; r++, x += n, out += most) {
    int64_t have = 0;
    for (int64_t i = 0; i < n; i++) {
      int64_t at = have;
      while (at > 0 && above(x[i], x[out[at - 1]])) {
        at--;
      }
      if (at == most) {
        continue;
      }
      have += have < most;
      memmove(out + at + 1, out + at, (size_t)(have - at - 1) * sizeof *out);
      out[at] = (int32_t)i;
    }
  }
}

void AT_REF(take)(const at_kcall *k) {
  const int64_t outer = k->dim[0], mid = k->dim[1], count = k->dim[2], inner = k->dim[3];
  const real *x = k->in[0];
  const int32_t *index = k->in[1];
  real *out = k->out[0];
  for (int64_t o = 0; o < outer; o++, x += mid * inner) {
    for (int64_t i = 0; i < count * inner; i++, index++) {
      *out++ = *index >= 0 && *index < mid ? x[*index * inner + i % inner] : 0;
    }
  }
}

void AT_REF(put)(const at_kcall *k) {
  const int64_t outer = k->dim[0], mid = k->dim[1], count = k->dim[2], inner = k->dim[3];
  const real *dy = k->in[0];
  const int32_t *index = k->in[1];
  real *out = k->out[0];
  memset(out, 0, (size_t)(outer * mid * inner) * sizeof *out);
  for (int64_t o = 0; o < outer; o++, out += mid * inner) {
    for (int64_t i = 0; i < count * inner; i++, index++, dy++) {
      if (*index >= 0 && *index < mid) {
        out[*index * inner + i % inner] += *dy;
      }
    }
  }
}

void AT_REF(to_real)(const at_kcall *k) {
  const int32_t *x = k->in[0];
  real *out = k->out[0];
  for (int64_t i = 0; i < k->dim[0]; i++) {
    out[i] = (real)x[i];
  }
}

void AT_REF(to_int)(const at_kcall *k) {
  const real *x = k->in[0];
  int32_t *out = k->out[0];
  for (int64_t i = 0; i < k->dim[0]; i++) {
    const double v = (double)x[i];
    out[i] = v >= 0x1p31 ? INT32_MAX : v <= -0x1p31 ? INT32_MIN : v == v ? (int32_t)v : 0;
  }
}
