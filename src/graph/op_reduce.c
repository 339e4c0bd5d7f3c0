/* SPDX-License-Identifier: BSD-3-Clause */
/* Reductions: sums over adjacent axes, the transpose of broadcasting, log-sum-exp. */
#include "src/graph/graph_internal.h"
#include "src/graph/op_rows.h"
#include "src/graph/ops.h"

static double flops_input(const at_graph *g, const at_node *n) {
  return (double)at_shape_count(at_in_shape(g, n, 0));
}

/* --- sum over axes [i0, i1) ------------------------------------------------------------------------------------------- */

static at_err infer_sum(const at_graph *g, const at_node *n, at_shape *out) {
  at_shape in = at_in_shape(g, n, 0);
  if (n->i[0] < 0 || n->i[0] > n->i[1] || n->i[1] > in.nd) {
    return AT_FAIL(AT_ERR_INTERNAL, "sum: axes [%lld, %lld) of %d", (long long)n->i[0], (long long)n->i[1], in.nd);
  }
  out->nd = 0;
  for (int i = 0; i < in.nd; i++) {
    if (i < n->i[0] || i >= n->i[1]) {
      out->d[out->nd++] = in.d[i];
    }
  }
  return AT_OK;
}

static void lower_sum(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  at_shape in = at_in_shape(g, n, 0);
  k->dim[0] = k->dim[1] = k->dim[2] = 1;
  for (int i = 0; i < in.nd; i++) {
    k->dim[i < n->i[0] ? 0 : i < n->i[1] ? 1 : 2] *= in.d[i];
  }
}

static void vjp_sum(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  at_shape in = at_in_shape(g, n, 0), kept = in;
  for (int64_t i = n->i[0]; i < n->i[1]; i++) {
    kept.d[i] = 1;
  }
  din[0] = at_broadcast(g, at_reshape(g, dout[0], kept), in);
}

const at_op_row at_op_row_sum = {.name = "sum",
                                 .n_in = 1,
                                 .n_out = 1,
                                 .kslot = AT_K_reduce_sum,
                                 .infer = infer_sum,
                                 .lower = lower_sum,
                                 .vjp = vjp_sum,
                                 .flops = flops_input};

at_val at_sum(at_graph *g, at_val x, int axis_from, int axis_to) {
  if (axis_from == axis_to) {
    return x;
  }
  return at_graph_node(g, AT_OP_sum, &x, 1, (int64_t[]){axis_from, axis_to}, 2, NULL, 0);
}

at_val at_sum_all(at_graph *g, at_val x) {
  return at_sum(g, x, 0, at_graph_shape(g, x).nd);
}

at_val at_sum_to(at_graph *g, at_val x, at_shape shape) {
  at_shape in = at_graph_shape(g, x);
  if (at_shape_equal(in, shape)) {
    return x;
  }
  int extra = in.nd - shape.nd;
  x = at_sum(g, x, 0, extra);
  for (int i = shape.nd - 1; i >= 0; i--) {
    if (shape.d[i] == 1 && in.d[extra + i] != 1) {
      x = at_sum(g, x, i, i + 1);
      at_shape kept = in;
      kept.nd = shape.nd;
      for (int k = 0; k < shape.nd; k++) {
        kept.d[k] = k >= i ? shape.d[k] : in.d[extra + k];
      }
      x = at_reshape(g, x, kept);
    }
  }
  return x;
}

/* --- logsumexp over the last axis ------------------------------------------------------------------------------------- */

static at_err infer_lse(const at_graph *g, const at_node *n, at_shape *out) {
  *out = at_in_shape(g, n, 0);
  if (out->nd == 0) {
    return AT_FAIL(AT_ERR_INTERNAL, "logsumexp: a scalar has no axis");
  }
  out->nd--;
  return AT_OK;
}

static void lower_lse(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  at_shape in = at_in_shape(g, n, 0);
  k->dim[0] = at_shape_count(at_graph_value(g, n->out)->shape);
  k->dim[1] = in.d[in.nd - 1];
}

static void vjp_lse(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  at_shape kept = at_in_shape(g, n, 0);
  kept.d[kept.nd - 1] = 1;
  at_val p = at_exp(g, at_sub(g, n->in[0], at_reshape(g, n->out, kept)));
  din[0] = at_mul(g, p, at_reshape(g, dout[0], kept));
}

const at_op_row at_op_row_logsumexp = {.name = "logsumexp",
                                       .n_in = 1,
                                       .n_out = 1,
                                       .kslot = AT_K_logsumexp,
                                       .infer = infer_lse,
                                       .lower = lower_lse,
                                       .vjp = vjp_lse,
                                       .flops = flops_input};

at_val at_logsumexp(at_graph *g, at_val x) {
  return at_graph_node0(g, AT_OP_logsumexp, &x, 1);
}
