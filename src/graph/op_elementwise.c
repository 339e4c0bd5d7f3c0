/* SPDX-License-Identifier: BSD-3-Clause */
/* Element-wise operations: binary ones with broadcasting, unary ones, and the activations with fused derivatives. */
#include <math.h>

#include "src/graph/graph_internal.h"
#include "src/graph/op_rows.h"
#include "src/graph/ops.h"

double at_flops_elements(const at_graph *g, const at_node *n) {
  return (double)at_shape_count(at_graph_value(g, n->out)->shape);
}

/* --- binary ------------------------------------------------------------------------------------------------------- */

/* Joins the shape of one more operand to *out. */
static at_err broadcast_with(const at_node *n, at_shape b, at_shape *out) {
  at_shape a = *out;
  out->nd = a.nd > b.nd ? a.nd : b.nd;
  for (int i = 1; i <= out->nd; i++) {
    int64_t da = i <= a.nd ? a.d[a.nd - i] : 1, db = i <= b.nd ? b.d[b.nd - i] : 1;
    if (da != db && da != 1 && db != 1) {
      char ta[96], tb[96];
      return AT_FAIL(AT_ERR_INTERNAL, "%s: shapes %s and %s do not broadcast", at_op_get(n->op)->name,
                     at_shape_text(a, ta, sizeof ta), at_shape_text(b, tb, sizeof tb));
    }
    out->d[out->nd - i] = da == 1 ? db : da;
  }
  return AT_OK;
}

at_err at_infer_broadcast(const at_graph *g, const at_node *n, at_shape *out) {
  *out = at_in_shape(g, n, 0);
  for (int k = 1; k < n->n_in; k++) {
    AT_TRY(broadcast_with(n, at_in_shape(g, n, k), out));
  }
  return AT_OK;
}

void at_lower_strides(at_shape out, at_shape in, int64_t *stride) {
  int64_t step = 1;
  for (int i = 1; i <= out.nd; i++) {
    int64_t d = i <= in.nd ? in.d[in.nd - i] : 1;
    stride[out.nd - i] = d == 1 ? 0 : step;
    step *= d;
  }
}

void at_lower_broadcast(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  at_shape out = at_graph_value(g, n->out)->shape;
  k->dim[0] = out.nd;
  for (int i = 0; i < out.nd; i++) {
    k->dim[1 + i] = out.d[i];
  }
  for (int j = 0; j < n->n_in; j++) {
    at_lower_strides(out, at_in_shape(g, n, j), &k->dim[1 + (1 + j) * out.nd]);
  }
}

static void vjp_add(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_sum_to(g, dout[0], at_in_shape(g, n, 0));
  din[1] = at_sum_to(g, dout[0], at_in_shape(g, n, 1));
}

static void vjp_sub(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_sum_to(g, dout[0], at_in_shape(g, n, 0));
  din[1] = at_neg(g, at_sum_to(g, dout[0], at_in_shape(g, n, 1)));
}

static void vjp_mul(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_sum_to(g, at_mul(g, dout[0], n->in[1]), at_in_shape(g, n, 0));
  din[1] = at_sum_to(g, at_mul(g, dout[0], n->in[0]), at_in_shape(g, n, 1));
}

static void vjp_div(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  at_val da = at_div(g, dout[0], n->in[1]);
  din[0] = at_sum_to(g, da, at_in_shape(g, n, 0));
  din[1] = at_neg(g, at_sum_to(g, at_mul(g, da, n->out), at_in_shape(g, n, 1)));
}

#define BINARY(op)                                               \
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
BINARY(add)
BINARY(sub)
BINARY(mul)
BINARY(div)

/* --- unary -------------------------------------------------------------------------------------------------------- */

at_err at_infer_same(const at_graph *g, const at_node *n, at_shape *out) {
  *out = at_in_shape(g, n, 0);
  return AT_OK;
}

void at_lower_unary(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  k->dim[0] = at_shape_count(at_in_shape(g, n, 0));
  k->attr[0] = n->f[0];
  k->attr[1] = n->f[1];
}

static void vjp_affine(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_affine(g, dout[0], n->f[0], 0);
}

static void vjp_neg(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  (void)n;
  din[0] = at_neg(g, dout[0]);
}

static void vjp_exp(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_mul(g, dout[0], n->out);
}

static void vjp_log(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_div(g, dout[0], n->in[0]);
}

static void vjp_sqrt(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_affine(g, at_div(g, dout[0], n->out), 0.5, 0);
}

static void vjp_tanh(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_mul(g, dout[0], at_affine(g, at_square(g, n->out), -1, 1));
}

static void vjp_sigmoid(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_mul(g, dout[0], at_mul(g, n->out, at_affine(g, n->out, -1, 1)));
}

static void vjp_square(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_affine(g, at_mul(g, dout[0], n->in[0]), 2, 0);
}

static void vjp_recip(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_neg(g, at_mul(g, dout[0], at_square(g, n->out)));
}

static void vjp_erf(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  at_val bell = at_exp(g, at_neg(g, at_square(g, n->in[0])));
  din[0] = at_affine(g, at_mul(g, dout[0], bell), M_2_SQRTPI, 0);
}

static void vjp_gelu(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_graph_node0(g, AT_OP_gelu_bwd, (at_val[]){n->in[0], dout[0]}, 2);
}

static void vjp_silu(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_graph_node0(g, AT_OP_silu_bwd, (at_val[]){n->in[0], dout[0]}, 2);
}

static at_val decompose_gelu(at_graph *g, const at_node *n) {
  at_val x = n->in[0];
  at_val phi = at_affine(g, at_erf(g, at_affine(g, x, M_SQRT1_2, 0)), 0.5, 0.5);
  return at_mul(g, x, phi);
}

static at_val decompose_silu(at_graph *g, const at_node *n) {
  return at_mul(g, n->in[0], at_sigmoid(g, n->in[0]));
}

#define UNARY_ROW(op, ...)                                      \
  const at_op_row at_op_row_##op = {.name = #op,                \
                                    .n_in = 1,                  \
                                    .n_out = 1,                 \
                                    .kslot = AT_K_##op,         \
                                    .infer = at_infer_same,     \
                                    .lower = at_lower_unary,    \
                                    .vjp = vjp_##op,            \
                                    .in_place = true,           \
                                    .flops = at_flops_elements, \
                                    __VA_ARGS__}
#define UNARY_AS(builder, op, ...)               \
  UNARY_ROW(op, __VA_ARGS__);                    \
  at_val at_##builder(at_graph *g, at_val x) {   \
    return at_graph_node0(g, AT_OP_##op, &x, 1); \
  }
#define UNARY(op, ...) UNARY_AS(op, op, __VA_ARGS__)
UNARY_ROW(affine, .decompose = NULL);
UNARY(neg, .decompose = NULL)
UNARY(exp, .decompose = NULL)
UNARY_AS(ln, log, .decompose = NULL) /* at_log is the logger */
UNARY(sqrt, .decompose = NULL)
UNARY(tanh, .decompose = NULL)
UNARY(sigmoid, .decompose = NULL)
UNARY(square, .decompose = NULL)
UNARY(recip, .decompose = NULL)
UNARY(erf, .decompose = NULL)
UNARY(gelu, .decompose = decompose_gelu)
UNARY(silu, .decompose = decompose_silu)

at_val at_affine(at_graph *g, at_val x, double scale, double shift) {
  if (scale == 1 && shift == 0) {
    return x;
  }
  return at_graph_node(g, AT_OP_affine, &x, 1, NULL, 0, (double[]){scale, shift}, 2);
}

/* in: x, dy */
#define UNARY_BWD(op)                                               \
  const at_op_row at_op_row_##op##_bwd = {.name = #op "_bwd",       \
                                          .n_in = 2,                \
                                          .n_out = 1,               \
                                          .kslot = AT_K_##op##_bwd, \
                                          .infer = at_infer_same,   \
                                          .lower = at_lower_unary,  \
                                          .forward = AT_OP_##op,    \
                                          .fwd_in = {0},            \
                                          .cot_in = 1,              \
                                          .grad_of = {0},           \
                                          .flops = at_flops_elements}
UNARY_BWD(gelu);
UNARY_BWD(silu);
