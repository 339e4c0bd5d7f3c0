/* SPDX-License-Identifier: BSD-3-Clause */
/* Indices: where the large elements are, taking and putting along an axis, casts between integers and reals. */
#include "src/graph/graph_internal.h"
#include "src/graph/op_rows.h"
#include "src/graph/ops.h"

/* A shape as [outer][axis][inner]. */
typedef struct split {
  int64_t outer, mid, inner;
} split;

static split split_at(at_shape s, int64_t axis) {
  split r = {1, s.d[axis], 1};
  for (int i = 0; i < s.nd; i++) {
    r.outer *= i < axis ? s.d[i] : 1;
    r.inner *= i > axis ? s.d[i] : 1;
  }
  return r;
}

static at_err check_axis(const at_graph *g, const at_node *n) {
  at_shape s = at_in_shape(g, n, 0);
  if (n->i[0] < 0 || n->i[0] >= s.nd) {
    char a[96];
    return AT_FAIL(AT_ERR_INTERNAL, "%s: no axis %lld in %s", at_op_get(n->op)->name, (long long)n->i[0],
                   at_shape_text(s, a, sizeof a));
  }
  return AT_OK;
}

/* --- argmax: i = axis, which becomes 1 ------------------------------------------------------------------------------------ */

static at_err infer_argmax(const at_graph *g, const at_node *n, at_shape *out) {
  AT_TRY(check_axis(g, n));
  *out = at_in_shape(g, n, 0);
  if (out->d[n->i[0]] < 1) {
    return AT_FAIL(AT_ERR_ARG, "argmax: the axis is empty");
  }
  out->d[n->i[0]] = 1;
  return AT_OK;
}

static void lower_argmax(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  split s = split_at(at_in_shape(g, n, 0), n->i[0]);
  k->dim[0] = s.outer;
  k->dim[1] = s.mid;
  k->dim[2] = s.inner;
}

const at_op_row at_op_row_argmax = {.name = "argmax",
                                    .n_in = 1,
                                    .n_out = 1,
                                    .kslot = AT_K_argmax,
                                    .i32_out = 1u << 0,
                                    .infer = infer_argmax,
                                    .lower = lower_argmax,
                                    .exempt = "an index has no derivative"};

/* x without the axis of size 1. */
static at_val drop_axis(at_graph *g, at_val x, int axis) {
  at_shape s = at_graph_shape(g, x);
  for (int i = axis; i < s.nd - 1; i++) {
    s.d[i] = s.d[i + 1];
  }
  s.nd--;
  return at_reshape(g, x, s);
}

static at_val argmax_kept(at_graph *g, at_val x, int axis) {
  return at_graph_node(g, AT_OP_argmax, &x, 1, (int64_t[]){axis}, 1, NULL, 0);
}

at_val at_argmax(at_graph *g, at_val x, int axis) {
  at_val at = argmax_kept(g, x, axis);
  return at == AT_NONE ? AT_NONE : drop_axis(g, at, axis);
}

at_val at_max(at_graph *g, at_val x, int axis) {
  at_val at = argmax_kept(g, x, axis);
  return at == AT_NONE ? AT_NONE : drop_axis(g, at_take(g, x, at, axis), axis);
}

/* --- topk over the last axis: i = k ---------------------------------------------------------------------------------------- */

static at_err infer_topk(const at_graph *g, const at_node *n, at_shape *out) {
  *out = at_in_shape(g, n, 0);
  if (out->nd < 1 || n->i[0] < 0 || n->i[0] > out->d[out->nd - 1]) {
    char a[96];
    return AT_FAIL(AT_ERR_ARG, "topk: %lld elements of rows of %s", (long long)n->i[0],
                   at_shape_text(*out, a, sizeof a));
  }
  out->d[out->nd - 1] = n->i[0];
  return AT_OK;
}

static void lower_topk(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  at_shape s = at_in_shape(g, n, 0);
  split r = split_at(s, s.nd - 1);
  k->dim[0] = r.outer;
  k->dim[1] = r.mid;
  k->dim[2] = n->i[0];
}

const at_op_row at_op_row_topk = {.name = "topk",
                                  .n_in = 1,
                                  .n_out = 1,
                                  .kslot = AT_K_topk,
                                  .i32_out = 1u << 0,
                                  .infer = infer_topk,
                                  .lower = lower_topk,
                                  .exempt = "an index has no derivative"};

at_val at_topk(at_graph *g, at_val x, int64_t k) {
  return at_graph_node(g, AT_OP_topk, &x, 1, &k, 1, NULL, 0);
}

/* --- take and put: in x or dy, index; i = axis (and for put its size): transposes of one another ---------------------------------- */

static at_err check_index(const at_graph *g, const at_node *n, bool put) {
  AT_TRY(check_axis(g, n));
  at_shape x = at_in_shape(g, n, 0), at = at_in_shape(g, n, 1);
  bool fits = x.nd == at.nd;
  for (int i = 0; fits && i < x.nd; i++) {
    fits = x.d[i] == at.d[i] || (!put && i == n->i[0]);
  }
  if (!fits) {
    char a[96], b[96];
    return AT_FAIL(AT_ERR_INTERNAL, "%s: %s at indices %s along axis %lld", at_op_get(n->op)->name,
                   at_shape_text(x, a, sizeof a), at_shape_text(at, b, sizeof b), (long long)n->i[0]);
  }
  return AT_OK;
}

static void lower_index(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  bool put = n->op == AT_OP_put;
  split few = split_at(at_in_shape(g, n, 1), n->i[0]);
  k->dim[0] = few.outer;
  k->dim[1] = put ? n->i[1] : at_in_shape(g, n, 0).d[n->i[0]];
  k->dim[2] = few.mid;
  k->dim[3] = few.inner;
}

static at_err infer_take(const at_graph *g, const at_node *n, at_shape *out) {
  *out = at_in_shape(g, n, 1);
  return check_index(g, n, false);
}

static void vjp_take(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_put(g, dout[0], n->in[1], (int)n->i[0], at_in_shape(g, n, 0).d[n->i[0]]);
}

const at_op_row at_op_row_take = {.name = "take",
                                  .n_in = 2,
                                  .n_out = 1,
                                  .kslot = AT_K_take,
                                  .i32_in = 1u << 1,
                                  .infer = infer_take,
                                  .lower = lower_index,
                                  .vjp = vjp_take};

at_val at_take(at_graph *g, at_val x, at_val index, int axis) {
  return at_graph_node(g, AT_OP_take, (at_val[]){x, index}, 2, (int64_t[]){axis}, 1, NULL, 0);
}

static at_err infer_put(const at_graph *g, const at_node *n, at_shape *out) {
  AT_TRY(check_index(g, n, true));
  *out = at_in_shape(g, n, 0);
  out->d[n->i[0]] = n->i[1];
  return AT_OK;
}

static void vjp_put(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_take(g, dout[0], n->in[1], (int)n->i[0]);
}

const at_op_row at_op_row_put = {.name = "put",
                                 .n_in = 2,
                                 .n_out = 1,
                                 .kslot = AT_K_put,
                                 .i32_in = 1u << 1,
                                 .infer = infer_put,
                                 .lower = lower_index,
                                 .vjp = vjp_put};

at_val at_put(at_graph *g, at_val dy, at_val index, int axis, int64_t size) {
  return at_graph_node(g, AT_OP_put, (at_val[]){dy, index}, 2, (int64_t[]){axis, size}, 2, NULL, 0);
}

/* --- casts ------------------------------------------------------------------------------------------------------------------ */

const at_op_row at_op_row_to_real = {.name = "to_real",
                                     .n_in = 1,
                                     .n_out = 1,
                                     .kslot = AT_K_to_real,
                                     .i32_in = 1u << 0,
                                     .infer = at_infer_same,
                                     .lower = at_lower_unary,
                                     .exempt = "an integer has no derivative"};

at_val at_to_real(at_graph *g, at_val x) {
  return at_graph_node0(g, AT_OP_to_real, &x, 1);
}

const at_op_row at_op_row_to_int = {.name = "to_int",
                                    .n_in = 1,
                                    .n_out = 1,
                                    .kslot = AT_K_to_int,
                                    .i32_out = 1u << 0,
                                    .infer = at_infer_same,
                                    .lower = at_lower_unary,
                                    .exempt = "an integer has no derivative"};

at_val at_to_int(at_graph *g, at_val x) {
  return at_graph_node0(g, AT_OP_to_int, &x, 1);
}
