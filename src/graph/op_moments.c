/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of channels [batch][rows][c]: moments, scaling and shifting, and its transpose.  Batch- and group-normalisation are made
 * of these (src/graph/norms.c); differentiation is closed over the three. */
#include "src/graph/graph_internal.h"
#include "src/graph/op_rows.h"
#include "src/graph/ops.h"

static at_shape per_channel(at_shape x) {
  return AT_SHAPE(x.d[0], x.d[2]);
}

static at_err check_rows(const at_graph *g, const at_node *n) {
  at_shape x = at_in_shape(g, n, 0);
  bool fits = x.nd == 3;
  for (int k = 1; fits && k < n->n_in; k++) {
    at_shape want = n->op == AT_OP_rows_dot ? x : per_channel(x);
    fits = at_shape_equal(at_in_shape(g, n, k), want);
  }
  if (!fits) {
    char a[96], b[96];
    return AT_FAIL(AT_ERR_INTERNAL, "%s: rows %s with %s", at_op_get(n->op)->name, at_shape_text(x, a, sizeof a),
                   at_shape_text(at_in_shape(g, n, n->n_in - 1), b, sizeof b));
  }
  return AT_OK;
}

static void lower_rows(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  at_shape x = at_in_shape(g, n, 0);
  for (int i = 0; i < 3; i++) {
    k->dim[i] = x.d[i];
  }
}

static double flops_rows(const at_graph *g, const at_node *n) {
  double count = (double)at_shape_count(at_in_shape(g, n, 0));
  return n->op == AT_OP_rows_affine ? 2 * count : 3 * count;
}

/* --- moments: in x; out mean, variance ---------------------------------------------------------------------------------------- */

static at_err infer_pair(const at_graph *g, const at_node *n, at_shape *out) {
  AT_TRY(check_rows(g, n));
  out[0] = out[1] = per_channel(at_in_shape(g, n, 0));
  return AT_OK;
}

/* dx = dmean / n + 2 dvar (x - mean) / n */
static void vjp_moments(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  at_shape x = at_in_shape(g, n, 0);
  double share = 1.0 / (double)x.d[1];
  at_val dmean = dout[0] == AT_NONE ? AT_NONE : at_affine(g, dout[0], share, 0);
  if (dout[1] == AT_NONE) {
    din[0] = at_broadcast(g, at_reshape(g, dmean, AT_SHAPE(x.d[0], 1, x.d[2])), x);
    return;
  }
  at_val slope = at_affine(g, dout[1], 2 * share, 0);
  at_val shift = at_neg(g, at_mul(g, slope, n->out));
  din[0] = at_rows_affine(g, n->in[0], slope, dmean == AT_NONE ? shift : at_add(g, dmean, shift));
}

const at_op_row at_op_row_moments = {.name = "moments",
                                     .n_in = 1,
                                     .n_out = 2,
                                     .kslot = AT_K_moments,
                                     .infer = infer_pair,
                                     .lower = lower_rows,
                                     .vjp = vjp_moments,
                                     .flops = flops_rows};

at_val at_mean_variance(at_graph *g, at_val x, at_val *variance) {
  at_val mean = at_graph_node0(g, AT_OP_moments, &x, 1);
  *variance = mean == AT_NONE ? AT_NONE : mean + 1;
  return mean;
}

/* --- rows_affine: in x, a, b ------------------------------------------------------------------------------------------------------ */

static at_err infer_rows_affine(const at_graph *g, const at_node *n, at_shape *out) {
  *out = at_in_shape(g, n, 0);
  return check_rows(g, n);
}

static at_val times_channel(at_graph *g, at_val x, at_val a) {
  at_shape s = at_graph_shape(g, x);
  return at_mul(g, x, at_reshape(g, a, AT_SHAPE(s.d[0], 1, s.d[2])));
}

static void vjp_rows_affine(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = times_channel(g, dout[0], n->in[1]);
  din[1] = at_rows_dot(g, dout[0], n->in[0], &din[2]);
}

const at_op_row at_op_row_rows_affine = {.name = "rows_affine",
                                         .n_in = 3,
                                         .n_out = 1,
                                         .kslot = AT_K_rows_affine,
                                         .infer = infer_rows_affine,
                                         .lower = lower_rows,
                                         .vjp = vjp_rows_affine,
                                         .in_place = true,
                                         .flops = flops_rows};

at_val at_rows_affine(at_graph *g, at_val x, at_val a, at_val b) {
  return at_graph_node0(g, AT_OP_rows_affine, (at_val[]){x, a, b}, 3);
}

/* --- rows_dot: in x, y; out sum x y, sum x ------------------------------------------------------------------------------------------ */

static void vjp_rows_dot(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  at_shape x = at_in_shape(g, n, 0);
  at_val none = at_graph_const(g, 0, per_channel(x));
  if (dout[0] == AT_NONE) {
    din[0] = at_broadcast(g, at_reshape(g, dout[1], AT_SHAPE(x.d[0], 1, x.d[2])), x);
    return;
  }
  din[0] = at_rows_affine(g, n->in[1], dout[0], dout[1] == AT_NONE ? none : dout[1]);
  din[1] = times_channel(g, n->in[0], dout[0]);
}

const at_op_row at_op_row_rows_dot = {.name = "rows_dot",
                                      .n_in = 2,
                                      .n_out = 2,
                                      .kslot = AT_K_rows_dot,
                                      .infer = infer_pair,
                                      .lower = lower_rows,
                                      .vjp = vjp_rows_dot,
                                      .flops = flops_rows};

at_val at_rows_dot(at_graph *g, at_val x, at_val y, at_val *sum) {
  at_val dot = at_graph_node0(g, AT_OP_rows_dot, (at_val[]){x, y}, 2);
  *sum = dot == AT_NONE ? AT_NONE : dot + 1;
  return dot;
}
