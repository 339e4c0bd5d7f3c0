/* SPDX-License-Identifier: BSD-3-Clause */
/* Builders that are made of other operations. */
#include <math.h>

#include "src/graph/ops.h"

at_val at_mean(at_graph *g, at_val x, int axis_from, int axis_to) {
  at_shape s = at_graph_shape(g, x);
  int64_t n = 1;
  for (int i = axis_from; i < axis_to && i < s.nd; i++) {
    n *= s.d[i];
  }
  return at_affine(g, at_sum(g, x, axis_from, axis_to), 1.0 / (double)n, 0);
}

at_val at_mean_all(at_graph *g, at_val x) {
  return at_mean(g, x, 0, at_graph_shape(g, x).nd);
}

at_val at_log_sigmoid(at_graph *g, at_val x) {
  return at_neg(g, at_softplus(g, at_neg(g, x)));
}

/* x^p for p >= 1 by repeated squaring. */
static at_val power(at_graph *g, at_val x, int p) {
  at_val result = AT_NONE;
  for (; p > 0; p >>= 1) {
    if (p & 1) {
      result = result == AT_NONE ? x : at_mul(g, result, x);
    }
    x = p > 1 ? at_square(g, x) : x;
  }
  return result;
}

at_val at_pow(at_graph *g, at_val x, double p) {
  enum { MOST = 64 };
  double size = fabs(p);
  if (p == 0) {
    return at_graph_const(g, 1, at_graph_shape(g, x));
  }
  if (size == floor(size) && size <= MOST) {
    at_val y = power(g, x, (int)size);
    return p < 0 ? at_recip(g, y) : y;
  }
  if (size == 0.5) {
    at_val y = at_sqrt(g, x);
    return p < 0 ? at_recip(g, y) : y;
  }
  return at_exp(g, at_affine(g, at_ln(g, x), p, 0));
}

at_val at_concat(at_graph *g, const at_val *part, int n, int axis) {
  if (n == 1) {
    return part[0];
  }
  return at_join(g, at_concat(g, part, n / 2, axis), at_concat(g, part + n / 2, n - n / 2, axis), axis);
}

/* A table [rows][..] as [rows][d]. */
static at_val as_rows(at_graph *g, at_val x, int lead) {
  at_shape s = at_graph_shape(g, x);
  at_shape flat = {.nd = lead + 1};
  flat.d[lead] = 1;
  for (int i = 0; i < s.nd; i++) {
    if (i < lead) {
      flat.d[i] = s.d[i];
    } else {
      flat.d[lead] *= s.d[i];
    }
  }
  return at_reshape(g, x, flat);
}

at_val at_gather(at_graph *g, at_val x, at_val ids) {
  if (x == AT_NONE || ids == AT_NONE) {
    return AT_NONE;
  }
  at_shape s = at_graph_shape(g, x), out = at_graph_shape(g, ids);
  at_val y = at_embed(g, as_rows(g, x, 1), ids);
  for (int i = 1; i < s.nd; i++) {
    out.d[out.nd++] = s.d[i];
  }
  return at_reshape(g, y, out);
}

at_val at_scatter_add(at_graph *g, at_val x, at_val ids, int64_t rows) {
  if (x == AT_NONE || ids == AT_NONE) {
    return AT_NONE;
  }
  at_shape s = at_graph_shape(g, x), out = {.nd = 1, .d = {rows}};
  int lead = at_graph_shape(g, ids).nd;
  at_val y = at_embed_sum(g, as_rows(g, x, lead), ids, rows);
  for (int i = lead; i < s.nd; i++) {
    out.d[out.nd++] = s.d[i];
  }
  return at_reshape(g, y, out);
}
