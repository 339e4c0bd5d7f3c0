/* SPDX-License-Identifier: BSD-3-Clause */
/* Attention on packed queries, keys and values; rotary positions; the causal mask. */
#include <math.h>

#include "src/graph/graph_internal.h"
#include "src/graph/op_rows.h"
#include "src/graph/ops.h"

/* --- attention: in qkv [b][t][(hq + 2 hkv) hd]; out o [b][t][hq hd], lse [b][hq][t]; i = hq, hkv, causal; f = scale ------------------- */

static int64_t head_dim(const at_graph *g, const at_node *n) {
  return at_in_shape(g, n, 0).d[2] / (n->i[0] + 2 * n->i[1]);
}

static at_err infer_attention(const at_graph *g, const at_node *n, at_shape *out) {
  at_shape s = at_in_shape(g, n, 0);
  int64_t hq = n->i[0], hkv = n->i[1];
  if (s.nd != 3 || hq < 1 || hkv < 1 || hq % hkv != 0 || s.d[2] % (hq + 2 * hkv) != 0) {
    char a[96];
    return AT_FAIL(AT_ERR_ARG, "attention: %lld query and %lld key heads do not divide %s", (long long)hq,
                   (long long)hkv, at_shape_text(s, a, sizeof a));
  }
  out[0] = AT_SHAPE(s.d[0], s.d[1], hq * head_dim(g, n));
  out[1] = AT_SHAPE(s.d[0], hq, s.d[1]);
  return AT_OK;
}

static void lower_attention(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  at_shape s = at_in_shape(g, n, 0);
  k->dim[0] = s.d[0];
  k->dim[1] = s.d[1];
  k->dim[2] = n->i[0];
  k->dim[3] = n->i[1];
  k->dim[4] = head_dim(g, n);
  k->dim[5] = n->i[2];
  k->attr[0] = n->f[0];
}

static void vjp_attention(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  at_val in[4] = {n->in[0], n->out, n->out + 1, dout[0]};
  din[0] = at_graph_node(g, AT_OP_attention_bwd, in, 4, n->i, 3, n->f, 1);
}

/* Heads [first, first + count) of packed [b][t][..], each repeated `group` times -> [b * count * group][t][hd]. */
static at_val heads(at_graph *g, at_val packed, int64_t first, int64_t count, int64_t group, int64_t hd) {
  at_shape s = at_graph_shape(g, packed);
  int64_t b = s.d[0], t = s.d[1];
  at_val x = at_slice(g, packed, 2, first * hd, count * hd);
  x = at_permute(g, at_reshape(g, x, AT_SHAPE(b, t, count, hd)), (int[]){0, 2, 1, 3});
  x = at_reshape(g, x, AT_SHAPE(b, count, 1, t, hd));
  x = at_broadcast(g, x, AT_SHAPE(b, count, group, t, hd));
  return at_reshape(g, x, AT_SHAPE(b * count * group, t, hd));
}

/* Attention with the t x t matrix, from which padded keys can be left out.  length: i32 [b], or AT_NONE. */
static at_val attend(at_graph *g, at_val qkv, at_val length, int64_t hq, int64_t hkv, bool causal, double scale) {
  at_shape s = at_graph_shape(g, qkv);
  int64_t b = s.d[0], t = s.d[1], hd = s.d[2] / (hq + 2 * hkv);
  at_val q = heads(g, qkv, 0, hq, 1, hd);
  at_val k = heads(g, qkv, hq, hkv, hq / hkv, hd);
  at_val v = heads(g, qkv, hq + hkv, hkv, hq / hkv, hd);
  at_val score = at_affine(g, at_matmul(g, q, k, false, true), scale, 0);
  if (causal) {
    score = at_causal_fill(g, score, -1e30); /* exp underflows to an exact 0 */
  }
  if (length != AT_NONE) {
    score = at_length_fill(g, at_reshape(g, score, AT_SHAPE(b, hq, t, t)), length, -1e30);
    score = at_reshape(g, score, AT_SHAPE(b * hq, t, t));
  }
  at_val o = at_matmul(g, at_softmax(g, score), v, false, false);
  o = at_permute(g, at_reshape(g, o, AT_SHAPE(b, hq, t, hd)), (int[]){0, 2, 1, 3});
  return at_reshape(g, o, AT_SHAPE(b, t, hq * hd));
}

static at_val decompose_attention(at_graph *g, const at_node *n) {
  return attend(g, n->in[0], AT_NONE, n->i[0], n->i[1], n->i[2] != 0, n->f[0]);
}

/* Two products of t x t x hd per head, half of it when causal. */
static double flops_attention(const at_graph *g, const at_node *n) {
  at_shape s = at_in_shape(g, n, 0);
  double full = 4.0 * (double)(s.d[0] * n->i[0] * head_dim(g, n)) * (double)s.d[1] * (double)s.d[1];
  return n->i[2] ? full / 2 : full;
}

static double flops_attention_bwd(const at_graph *g, const at_node *n) {
  return 2.5 * flops_attention(g, n);
}

const at_op_row at_op_row_attention = {.name = "attention",
                                       .n_in = 1,
                                       .n_out = 2,
                                       .kslot = AT_K_attention,
                                       .infer = infer_attention,
                                       .lower = lower_attention,
                                       .vjp = vjp_attention,
                                       .decompose = decompose_attention,
                                       .flops = flops_attention};

at_val at_attention_scaled(at_graph *g, at_val qkv, int hq, int hkv, bool causal, double scale) {
  return at_graph_node(g, AT_OP_attention, &qkv, 1, (int64_t[]){hq, hkv, causal}, 3, &scale, 1);
}

static double default_scale(const at_graph *g, at_val qkv, int hq, int hkv) {
  at_shape s = at_graph_shape(g, qkv);
  return s.nd == 3 && hq > 0 && hkv > 0 ? 1.0 / sqrt((double)(s.d[2] / (hq + 2 * hkv))) : 1.0;
}

at_val at_attention(at_graph *g, at_val qkv, int hq, int hkv, bool causal) {
  return at_attention_scaled(g, qkv, hq, hkv, causal, default_scale(g, qkv, hq, hkv));
}

at_val at_attention_padded(at_graph *g, at_val qkv, at_val length, int hq, int hkv, bool causal) {
  return attend(g, qkv, length, hq, hkv, causal, default_scale(g, qkv, hq, hkv));
}

/* in qkv, o, lse, do; out dqkv */
const at_op_row at_op_row_attention_bwd = {.name = "attention_bwd",
                                           .n_in = 4,
                                           .n_out = 1,
                                           .kslot = AT_K_attention_bwd,
                                           .infer = at_infer_same,
                                           .lower = lower_attention,
                                           .forward = AT_OP_attention,
                                           .fwd_in = {0},
                                           .cot_in = 3,
                                           .grad_of = {0},
                                           .flops = flops_attention_bwd};

/* --- rope: in x [b][t][heads hd]; i = heads, rotated, sign; f = base ------------------------------------------------------ */

static at_err infer_rope(const at_graph *g, const at_node *n, at_shape *out) {
  at_shape s = at_in_shape(g, n, 0);
  if (s.nd != 3 || n->i[0] < 1 || s.d[2] % n->i[0] != 0 || (s.d[2] / n->i[0]) % 2 != 0 || n->i[1] > n->i[0]) {
    char a[96];
    return AT_FAIL(AT_ERR_ARG, "rope: %s does not split into %lld heads of even width", at_shape_text(s, a, sizeof a),
                   (long long)n->i[0]);
  }
  *out = s;
  return AT_OK;
}

static void lower_rope(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  at_shape s = at_in_shape(g, n, 0);
  k->dim[0] = s.d[0];
  k->dim[1] = s.d[1];
  k->dim[2] = n->i[0];
  k->dim[3] = s.d[2] / n->i[0];
  k->dim[4] = n->i[1];
  k->dim[5] = 0;
  k->attr[0] = n->f[0];
  k->attr[1] = (double)n->i[2];
}

/* A rotation: its transpose turns back. */
static void vjp_rope(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_graph_node(g, AT_OP_rope, dout, 1, (int64_t[]){n->i[0], n->i[1], -n->i[2]}, 3, n->f, 1);
}

static double flops_rope(const at_graph *g, const at_node *n) {
  return 3.0 * (double)at_shape_count(at_in_shape(g, n, 0)) * (double)n->i[1] / (double)n->i[0];
}

const at_op_row at_op_row_rope = {.name = "rope",
                                  .n_in = 1,
                                  .n_out = 1,
                                  .kslot = AT_K_rope,
                                  .infer = infer_rope,
                                  .lower = lower_rope,
                                  .vjp = vjp_rope,
                                  .in_place = true,
                                  .flops = flops_rope};

at_val at_rope(at_graph *g, at_val x, int n_heads, int rotated, double base) {
  return at_graph_node(g, AT_OP_rope, &x, 1, (int64_t[]){n_heads, rotated, 1}, 3, &base, 1);
}

/* --- causal_fill: in x [.., t, s]; f = fill ------------------------------------------------------------------------------ */

static at_err infer_causal_fill(const at_graph *g, const at_node *n, at_shape *out) {
  *out = at_in_shape(g, n, 0);
  return out->nd >= 2 ? AT_OK : AT_FAIL(AT_ERR_INTERNAL, "causal_fill: needs two axes");
}

static void lower_causal_fill(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  at_shape s = at_in_shape(g, n, 0);
  k->dim[1] = s.d[s.nd - 2];
  k->dim[2] = s.d[s.nd - 1];
  s.nd -= 2;
  k->dim[0] = at_shape_count(s);
  k->attr[0] = n->f[0];
}

static void vjp_causal_fill(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  (void)n;
  din[0] = at_causal_fill(g, dout[0], 0);
}

const at_op_row at_op_row_causal_fill = {.name = "causal_fill",
                                         .n_in = 1,
                                         .n_out = 1,
                                         .kslot = AT_K_causal_fill,
                                         .infer = infer_causal_fill,
                                         .lower = lower_causal_fill,
                                         .vjp = vjp_causal_fill,
                                         .in_place = true};

at_val at_causal_fill(at_graph *g, at_val x, double fill) {
  return at_graph_node(g, AT_OP_causal_fill, &x, 1, NULL, 0, &fill, 1);
}
