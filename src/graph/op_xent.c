/* SPDX-License-Identifier: BSD-3-Clause */
/* Softmax cross-entropy with integer targets, with a fused derivative. */
#include "src/graph/graph_internal.h"
#include "src/graph/op_rows.h"
#include "src/graph/ops.h"

/* in logits [rows][v], target i32 [rows]; out loss (scalar), lse [rows]; f = scale */
static at_err infer_xent(const at_graph *g, const at_node *n, at_shape *out) {
  at_shape x = at_in_shape(g, n, 0), t = at_in_shape(g, n, 1);
  if (x.nd != 2 || t.nd != 1 || t.d[0] != x.d[0]) {
    char a[96], b[96];
    return AT_FAIL(AT_ERR_INTERNAL, "cross-entropy: logits %s with targets %s", at_shape_text(x, a, sizeof a),
                   at_shape_text(t, b, sizeof b));
  }
  out[0] = AT_SCALAR;
  out[1] = t;
  return AT_OK;
}

static void lower_xent(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  at_shape x = at_in_shape(g, n, 0);
  k->dim[0] = x.d[0];
  k->dim[1] = x.d[1];
  k->attr[0] = n->f[0];
}

static void vjp_xent(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  at_val in[4] = {n->in[0], n->in[1], n->out + 1, dout[0]};
  din[0] = at_graph_node(g, AT_OP_xent_bwd, in, 4, NULL, 0, n->f, 1);
}

static at_val decompose_xent(at_graph *g, const at_node *n) {
  at_val hot = at_onehot(g, n->in[1], at_in_shape(g, n, 0).d[1]);
  at_val counted = at_sum(g, hot, 1, 2); /* 0 for a skipped row */
  at_val norm = at_sum_all(g, at_mul(g, counted, at_logsumexp(g, n->in[0])));
  at_val hit = at_sum_all(g, at_mul(g, hot, n->in[0]));
  return at_affine(g, at_sub(g, norm, hit), n->f[0], 0);
}

static double flops_xent(const at_graph *g, const at_node *n) {
  return 4.0 * (double)at_shape_count(at_in_shape(g, n, 0));
}

const at_op_row at_op_row_xent = {.name = "xent",
                                  .n_in = 2,
                                  .n_out = 2,
                                  .kslot = AT_K_xent,
                                  .i32_in = 1u << 1,
                                  .infer = infer_xent,
                                  .lower = lower_xent,
                                  .vjp = vjp_xent,
                                  .decompose = decompose_xent,
                                  .flops = flops_xent};

at_val at_cross_entropy(at_graph *g, at_val logits, at_val target, double scale) {
  return at_graph_node(g, AT_OP_xent, (at_val[]){logits, target}, 2, NULL, 0, &scale, 1);
}

/* in logits, target, lse, dloss; out dlogits */
static at_err infer_xent_bwd(const at_graph *g, const at_node *n, at_shape *out) {
  *out = at_in_shape(g, n, 0);
  return AT_OK;
}

const at_op_row at_op_row_xent_bwd = {.name = "xent_bwd",
                                      .n_in = 4,
                                      .n_out = 1,
                                      .kslot = AT_K_xent_bwd,
                                      .i32_in = 1u << 1,
                                      .infer = infer_xent_bwd,
                                      .lower = lower_xent,
                                      .forward = AT_OP_xent,
                                      .fwd_in = {0, 1},
                                      .cot_in = 3,
                                      .grad_of = {0},
                                      .in_place = true,
                                      .flops = flops_xent};
