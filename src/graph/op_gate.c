/* SPDX-License-Identifier: BSD-3-Clause */
/* Operations about derivatives: stop-gradient and straight-through.  They share their input's bytes. */
#include "src/graph/graph_internal.h"
#include "src/graph/op_rows.h"
#include "src/graph/ops.h"

const at_op_row at_op_row_stop_gradient = {.name = "stop_gradient",
                                           .n_in = 1,
                                           .n_out = 1,
                                           .kslot = -1,
                                           .infer = at_infer_same,
                                           .exempt = "the value passes, the derivative does not"};

at_val at_stop_gradient(at_graph *g, at_val x) {
  return at_graph_node0(g, AT_OP_stop_gradient, &x, 1);
}

/* --- straight_through: in value, x ------------------------------------------------------------------------------------ */

static at_err infer_straight_through(const at_graph *g, const at_node *n, at_shape *out) {
  *out = at_in_shape(g, n, 0);
  if (!at_shape_equal(*out, at_in_shape(g, n, 1))) {
    char a[96], b[96];
    return AT_FAIL(AT_ERR_INTERNAL, "straight-through: a value %s for %s", at_shape_text(*out, a, sizeof a),
                   at_shape_text(at_in_shape(g, n, 1), b, sizeof b));
  }
  return AT_OK;
}

static void vjp_straight_through(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  (void)g;
  (void)n;
  din[1] = dout[0];
}

const at_op_row at_op_row_straight_through = {.name = "straight_through",
                                              .n_in = 2,
                                              .n_out = 1,
                                              .kslot = -1,
                                              .infer = infer_straight_through,
                                              .vjp = vjp_straight_through,
                                              .exempt = "the first input's value with the second input's derivative"};

at_val at_straight_through(at_graph *g, at_val value, at_val x) {
  return at_graph_node0(g, AT_OP_straight_through, (at_val[]){value, x}, 2);
}

at_val at_clamp_through(at_graph *g, at_val x, double lo, double hi) {
  return at_straight_through(g, at_clamp(g, x, lo, hi), x);
}
