/* SPDX-License-Identifier: BSD-3-Clause */
/* Comparing and choosing, and the element-wise functions with a kink.  At a kink the derivative is that of one side; in the
 * second derivative a kink is not seen. */
#include "src/graph/graph_internal.h"
#include "src/graph/op_rows.h"
#include "src/graph/ops.h"

static at_val zero(at_graph *g) {
  return at_graph_const(g, 0, AT_SCALAR);
}

/* --- comparisons: 1 or 0, and flat on both sides: no derivative --------------------------------------------------------- */

#define COMPARE(op)                                              \
  const at_op_row at_op_row_##op = {.name = #op,                 \
                                    .n_in = 2,                   \
                                    .n_out = 1,                  \
                                    .kslot = AT_K_##op,          \
                                    .infer = at_infer_broadcast, \
                                    .lower = at_lower_broadcast, \
                                    .in_place = true,            \
                                    .flops = at_flops_elements}; \
  at_val at_##op(at_graph *g, at_val a, at_val b) {              \
    return at_graph_node0(g, AT_OP_##op, (at_val[]){a, b}, 2);   \
  }
COMPARE(less)
COMPARE(less_equal)
COMPARE(equal)

/* --- where: in mask, yes, no -------------------------------------------------------------------------------------------- */

static void vjp_where(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  at_val mask = n->in[0], none = zero(g); /* a choice, not a product: what is not chosen may be infinite */
  din[1] = at_sum_to(g, at_where(g, mask, dout[0], none), at_in_shape(g, n, 1));
  din[2] = at_sum_to(g, at_where(g, mask, none, dout[0]), at_in_shape(g, n, 2));
}

const at_op_row at_op_row_where = {.name = "where",
                                   .n_in = 3,
                                   .n_out = 1,
                                   .kslot = AT_K_where,
                                   .infer = at_infer_broadcast,
                                   .lower = at_lower_broadcast,
                                   .vjp = vjp_where};

at_val at_where(at_graph *g, at_val mask, at_val yes, at_val no) {
  return at_graph_node0(g, AT_OP_where, (at_val[]){mask, yes, no}, 3);
}

/* --- maximum, minimum: of equal values the first takes the derivative ------------------------------------------------------ */

static void vjp_choice(at_graph *g, const at_node *n, at_val first, const at_val *dout, at_val *din) {
  at_val none = zero(g);
  din[0] = at_sum_to(g, at_where(g, first, dout[0], none), at_in_shape(g, n, 0));
  din[1] = at_sum_to(g, at_where(g, first, none, dout[0]), at_in_shape(g, n, 1));
}

static void vjp_maximum(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  vjp_choice(g, n, at_less_equal(g, n->in[1], n->in[0]), dout, din);
}

static void vjp_minimum(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  vjp_choice(g, n, at_less_equal(g, n->in[0], n->in[1]), dout, din);
}

#define CHOICE(op)                                               \
  const at_op_row at_op_row_##op = {.name = #op,                 \
                                    .n_in = 2,                   \
                                    .n_out = 1,                  \
                                    .kslot = AT_K_##op,          \
                                    .infer = at_infer_broadcast, \
                                    .lower = at_lower_broadcast, \
                                    .vjp = vjp_##op,             \
                                    .in_place = true,            \
                                    .flops = at_flops_elements}; \
  at_val at_##op(at_graph *g, at_val a, at_val b) {              \
    return at_graph_node0(g, AT_OP_##op, (at_val[]){a, b}, 2);   \
  }
CHOICE(maximum)
CHOICE(minimum)

/* --- relu, clamp, abs, sign, softplus ---------------------------------------------------------------------------------------- */

/* From the output, so that the input may be overwritten by it. */
static void vjp_relu(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_graph_node0(g, AT_OP_relu_bwd, (at_val[]){dout[0], n->out}, 2);
}

static void vjp_relu_bwd(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_graph_node0(g, AT_OP_relu_bwd, (at_val[]){dout[0], n->in[1]}, 2);
}

static void vjp_clamp(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_graph_node(g, AT_OP_clamp_bwd, (at_val[]){dout[0], n->in[0]}, 2, NULL, 0, n->f, 2);
}

static void vjp_clamp_bwd(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_graph_node(g, AT_OP_clamp_bwd, (at_val[]){dout[0], n->in[1]}, 2, NULL, 0, n->f, 2);
}

static void vjp_abs(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_mul(g, dout[0], at_sign(g, n->in[0]));
}

static void vjp_softplus(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_mul(g, dout[0], at_sigmoid(g, n->in[0]));
}

#define ROW(op, inputs, derivative)                          \
  const at_op_row at_op_row_##op = {.name = #op,             \
                                    .n_in = inputs,          \
                                    .n_out = 1,              \
                                    .kslot = AT_K_##op,      \
                                    .infer = at_infer_same,  \
                                    .lower = at_lower_unary, \
                                    .vjp = derivative,       \
                                    .in_place = true,        \
                                    .flops = at_flops_elements}
ROW(relu, 1, vjp_relu);
ROW(relu_bwd, 2, vjp_relu_bwd); /* in dy, y */
ROW(clamp, 1, vjp_clamp);
ROW(clamp_bwd, 2, vjp_clamp_bwd); /* in dy, x */
ROW(abs, 1, vjp_abs);
ROW(sign, 1, NULL);
ROW(softplus, 1, vjp_softplus);

at_val at_relu(at_graph *g, at_val x) {
  return at_graph_node0(g, AT_OP_relu, &x, 1);
}

at_val at_clamp(at_graph *g, at_val x, double lo, double hi) {
  return at_graph_node(g, AT_OP_clamp, &x, 1, NULL, 0, (double[]){lo, hi}, 2);
}

at_val at_abs(at_graph *g, at_val x) {
  return at_graph_node0(g, AT_OP_abs, &x, 1);
}

at_val at_sign(at_graph *g, at_val x) {
  return at_graph_node0(g, AT_OP_sign, &x, 1);
}

at_val at_softplus(at_graph *g, at_val x) {
  return at_graph_node0(g, AT_OP_softplus, &x, 1);
}
