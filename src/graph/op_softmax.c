/* SPDX-License-Identifier: BSD-3-Clause */
/* Softmax over the last axis, and the mask of padded keys. */
#include "src/graph/graph_internal.h"
#include "src/graph/op_rows.h"
#include "src/graph/ops.h"

static at_err infer_softmax(const at_graph *g, const at_node *n, at_shape *out) {
  *out = at_in_shape(g, n, 0);
  return out->nd >= 1 ? AT_OK : AT_FAIL(AT_ERR_INTERNAL, "softmax: a scalar has no axis");
}

static void lower_softmax(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  at_shape s = at_in_shape(g, n, 0);
  k->dim[1] = s.d[s.nd - 1];
  s.nd--;
  k->dim[0] = at_shape_count(s);
}

static void vjp_softmax(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  at_shape kept = at_in_shape(g, n, 0);
  kept.d[kept.nd - 1] = 1;
  at_val dot = at_sum(g, at_mul(g, dout[0], n->out), kept.nd - 1, kept.nd);
  din[0] = at_mul(g, at_sub(g, dout[0], at_reshape(g, dot, kept)), n->out);
}

static double flops_softmax(const at_graph *g, const at_node *n) {
  return 4.0 * (double)at_shape_count(at_in_shape(g, n, 0));
}

const at_op_row at_op_row_softmax = {.name = "softmax",
                                     .n_in = 1,
                                     .n_out = 1,
                                     .kslot = AT_K_softmax,
                                     .infer = infer_softmax,
                                     .lower = lower_softmax,
                                     .vjp = vjp_softmax,
                                     .in_place = true,
                                     .flops = flops_softmax};

at_val at_softmax(at_graph *g, at_val x) {
  return at_graph_node0(g, AT_OP_softmax, &x, 1);
}

at_val at_log_softmax(at_graph *g, at_val x) {
  at_shape kept = at_graph_shape(g, x);
  if (kept.nd > 0) {
    kept.d[kept.nd - 1] = 1;
  }
  return at_sub(g, x, at_reshape(g, at_logsumexp(g, x), kept));
}

/* --- length_fill: in x [batch] .. [s], length [batch]; f = fill ---------------------------------------------------------- */

static at_err infer_length_fill(const at_graph *g, const at_node *n, at_shape *out) {
  *out = at_in_shape(g, n, 0);
  at_shape length = at_in_shape(g, n, 1);
  if (out->nd < 2 || length.nd != 1 || length.d[0] != out->d[0]) {
    char a[96], b[96];
    return AT_FAIL(AT_ERR_INTERNAL, "length_fill: %s with lengths %s", at_shape_text(*out, a, sizeof a),
                   at_shape_text(length, b, sizeof b));
  }
  return AT_OK;
}

static void lower_length_fill(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  at_shape s = at_in_shape(g, n, 0);
  k->dim[0] = s.d[0];
  k->dim[1] = 1;
  for (int i = 1; i < s.nd - 1; i++) {
    k->dim[1] *= s.d[i];
  }
  k->dim[2] = s.d[s.nd - 1];
  k->attr[0] = n->f[0];
}

static void vjp_length_fill(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_length_fill(g, dout[0], n->in[1], 0);
}

const at_op_row at_op_row_length_fill = {.name = "length_fill",
                                         .n_in = 2,
                                         .n_out = 1,
                                         .kslot = AT_K_length_fill,
                                         .i32_in = 1u << 1,
                                         .infer = infer_length_fill,
                                         .lower = lower_length_fill,
                                         .vjp = vjp_length_fill,
                                         .in_place = true};

at_val at_length_fill(at_graph *g, at_val x, at_val length, double fill) {
  return at_graph_node(g, AT_OP_length_fill, (at_val[]){x, length}, 2, NULL, 0, &fill, 1);
}
