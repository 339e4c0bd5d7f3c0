/* SPDX-License-Identifier: BSD-3-Clause */
/* Layer- and RMS-normalisation over the last axis, with fused derivatives. */
#include "src/graph/graph_internal.h"
#include "src/graph/op_rows.h"
#include "src/graph/ops.h"

static int64_t last(at_shape s) {
  return s.nd ? s.d[s.nd - 1] : 1;
}

static at_err check_gain(const at_graph *g, const at_node *n, int which) {
  at_shape x = at_in_shape(g, n, 0), w = at_in_shape(g, n, which);
  if (x.nd < 1 || w.nd != 1 || w.d[0] != last(x)) {
    char a[96], b[96];
    return AT_FAIL(AT_ERR_INTERNAL, "%s: x %s with gain or bias %s", at_op_get(n->op)->name,
                   at_shape_text(x, a, sizeof a), at_shape_text(w, b, sizeof b));
  }
  return AT_OK;
}

/* Shape of one number per row. */
static at_shape per_row(at_shape x) {
  x.nd--;
  return x;
}

static void lower_norm(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  at_shape x = at_in_shape(g, n, 0);
  k->dim[0] = at_shape_count(per_row(x));
  k->dim[1] = last(x);
  k->attr[0] = n->f[0];
}

static double flops_norm(const at_graph *g, const at_node *n) {
  return 8.0 * (double)at_shape_count(at_in_shape(g, n, 0));
}

/* Mean of x over its last axis, kept as an axis of one. */
static at_val row_mean(at_graph *g, at_val x) {
  at_shape s = at_graph_shape(g, x), kept = s;
  kept.d[kept.nd - 1] = 1;
  return at_affine(g, at_reshape(g, at_sum(g, x, s.nd - 1, s.nd), kept), 1.0 / (double)last(s), 0);
}

static at_val rsqrt(at_graph *g, at_val x) {
  return at_recip(g, at_sqrt(g, x));
}

/* --- layernorm: in x, gain, bias; out y, mean, rstd; f = eps ------------------------------------------------------------ */

static at_err infer_layernorm(const at_graph *g, const at_node *n, at_shape *out) {
  AT_TRY(check_gain(g, n, 1));
  AT_TRY(check_gain(g, n, 2));
  out[0] = at_in_shape(g, n, 0);
  out[1] = out[2] = per_row(out[0]);
  return AT_OK;
}

static void vjp_layernorm(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  at_val in[6] = {n->in[0], n->in[1], n->out + 1, n->out + 2, dout[0], n->in[2]};
  at_val d = at_graph_node(g, AT_OP_layernorm_bwd, in, 6, NULL, 0, n->f, 1);
  for (int i = 0; i < 3; i++) {
    din[i] = d == AT_NONE ? AT_NONE : d + i;
  }
}

static at_val decompose_layernorm(at_graph *g, const at_node *n) {
  at_val centred = at_sub(g, n->in[0], row_mean(g, n->in[0]));
  at_val var = row_mean(g, at_square(g, centred));
  at_val unit = at_mul(g, centred, rsqrt(g, at_affine(g, var, 1, n->f[0])));
  return at_add(g, at_mul(g, unit, n->in[1]), n->in[2]);
}

const at_op_row at_op_row_layernorm = {.name = "layernorm",
                                       .n_in = 3,
                                       .n_out = 3,
                                       .kslot = AT_K_layernorm,
                                       .infer = infer_layernorm,
                                       .lower = lower_norm,
                                       .vjp = vjp_layernorm,
                                       .decompose = decompose_layernorm,
                                       .flops = flops_norm};

at_val at_layernorm(at_graph *g, at_val x, at_val gain, at_val bias, double eps) {
  return at_graph_node(g, AT_OP_layernorm, (at_val[]){x, gain, bias}, 3, NULL, 0, &eps, 1);
}

/* in x, gain, mean, rstd, dy, bias (not read; it names what dbias is the derivative for); out dx, dgain, dbias */
static at_err infer_layernorm_bwd(const at_graph *g, const at_node *n, at_shape *out) {
  out[0] = at_in_shape(g, n, 0);
  out[1] = out[2] = at_in_shape(g, n, 1);
  return AT_OK;
}

const at_op_row at_op_row_layernorm_bwd = {.name = "layernorm_bwd",
                                           .n_in = 6,
                                           .n_out = 3,
                                           .kslot = AT_K_layernorm_bwd,
                                           .infer = infer_layernorm_bwd,
                                           .lower = lower_norm,
                                           .forward = AT_OP_layernorm,
                                           .fwd_in = {0, 1, 5},
                                           .cot_in = 4,
                                           .grad_of = {0, 1, 2},
                                           .flops = flops_norm};

/* --- rmsnorm: in x, gain; out y, rrms; f = eps -------------------------------------------------------------------------- */

static at_err infer_rmsnorm(const at_graph *g, const at_node *n, at_shape *out) {
  AT_TRY(check_gain(g, n, 1));
  out[0] = at_in_shape(g, n, 0);
  out[1] = per_row(out[0]);
  return AT_OK;
}

static void vjp_rmsnorm(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  at_val in[4] = {n->in[0], n->in[1], n->out + 1, dout[0]};
  at_val d = at_graph_node(g, AT_OP_rmsnorm_bwd, in, 4, NULL, 0, n->f, 1);
  din[0] = d;
  din[1] = d == AT_NONE ? AT_NONE : d + 1;
}

static at_val decompose_rmsnorm(at_graph *g, const at_node *n) {
  at_val mean_square = row_mean(g, at_square(g, n->in[0]));
  return at_mul(g, at_mul(g, n->in[0], rsqrt(g, at_affine(g, mean_square, 1, n->f[0]))), n->in[1]);
}

const at_op_row at_op_row_rmsnorm = {.name = "rmsnorm",
                                     .n_in = 2,
                                     .n_out = 2,
                                     .kslot = AT_K_rmsnorm,
                                     .infer = infer_rmsnorm,
                                     .lower = lower_norm,
                                     .vjp = vjp_rmsnorm,
                                     .decompose = decompose_rmsnorm,
                                     .flops = flops_norm};

at_val at_rmsnorm(at_graph *g, at_val x, at_val gain, double eps) {
  return at_graph_node(g, AT_OP_rmsnorm, (at_val[]){x, gain}, 2, NULL, 0, &eps, 1);
}

/* in x, gain, rrms, dy; out dx, dgain */
static at_err infer_rmsnorm_bwd(const at_graph *g, const at_node *n, at_shape *out) {
  out[0] = at_in_shape(g, n, 0);
  out[1] = at_in_shape(g, n, 1);
  return AT_OK;
}

const at_op_row at_op_row_rmsnorm_bwd = {.name = "rmsnorm_bwd",
                                         .n_in = 4,
                                         .n_out = 2,
                                         .kslot = AT_K_rmsnorm_bwd,
                                         .infer = infer_rmsnorm_bwd,
                                         .lower = lower_norm,
                                         .forward = AT_OP_rmsnorm,
                                         .fwd_in = {0, 1},
                                         .cot_in = 3,
                                         .grad_of = {0, 1},
                                         .flops = flops_norm};
