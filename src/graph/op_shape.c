/* SPDX-License-Identifier: BSD-3-Clause */
/* Operations that move elements without computing: reshape, permute, broadcast, slice, place and join. */
#include "src/graph/graph_internal.h"
#include "src/graph/op_rows.h"
#include "src/graph/ops.h"

/* Dimensions for the copy_strided slot: the output's shape, then the strides of the input. */
static void lower_copy(const at_graph *g, const at_node *n, at_kcall *k, const int64_t *stride) {
  at_shape out = at_graph_value(g, n->out)->shape;
  k->dim[0] = out.nd;
  for (int i = 0; i < out.nd; i++) {
    k->dim[1 + i] = out.d[i];
    k->dim[1 + out.nd + i] = stride[i];
  }
}

static void contiguous_strides(at_shape s, int64_t *stride) {
  int64_t step = 1;
  for (int i = s.nd - 1; i >= 0; i--) {
    stride[i] = step;
    step *= s.d[i];
  }
}

/* The shape an operation was asked for: nd in i[0], dimensions after it. */
static at_shape asked_shape(const at_node *n) {
  at_shape s = {.nd = (int)n->i[0]};
  for (int i = 0; i < s.nd; i++) {
    s.d[i] = n->i[1 + i];
  }
  return s;
}

static at_val with_shape(at_graph *g, at_op op, at_val x, at_shape s) {
  int64_t i[1 + AT_KND] = {s.nd};
  for (int k = 0; k < s.nd; k++) {
    i[1 + k] = s.d[k];
  }
  return at_graph_node(g, op, &x, 1, i, 1 + s.nd, NULL, 0);
}

/* --- reshape ------------------------------------------------------------------------------------------------------ */

static at_err infer_reshape(const at_graph *g, const at_node *n, at_shape *out) {
  *out = asked_shape(n);
  if (at_shape_count(*out) != at_shape_count(at_in_shape(g, n, 0))) {
    char a[96], b[96];
    return AT_FAIL(AT_ERR_INTERNAL, "reshape: %s does not hold as many elements as %s",
                   at_shape_text(*out, a, sizeof a), at_shape_text(at_in_shape(g, n, 0), b, sizeof b));
  }
  return AT_OK;
}

static void vjp_reshape(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_reshape(g, dout[0], at_in_shape(g, n, 0));
}

const at_op_row at_op_row_reshape = {
    .name = "reshape", .n_in = 1, .n_out = 1, .kslot = -1, .moves = true, .infer = infer_reshape, .vjp = vjp_reshape};

at_val at_reshape(at_graph *g, at_val x, at_shape shape) {
  if (x != AT_NONE && at_shape_equal(at_graph_shape(g, x), shape)) {
    return x;
  }
  return with_shape(g, AT_OP_reshape, x, shape);
}

/* --- permute ------------------------------------------------------------------------------------------------------ */

static at_err infer_permute(const at_graph *g, const at_node *n, at_shape *out) {
  at_shape in = at_in_shape(g, n, 0);
  out->nd = in.nd;
  for (int i = 0; i < in.nd; i++) {
    out->d[i] = in.d[n->i[i]];
  }
  return AT_OK;
}

static void lower_permute(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  at_shape in = at_in_shape(g, n, 0);
  int64_t stride[AT_KND], out_stride[AT_KND];
  contiguous_strides(in, stride);
  for (int i = 0; i < in.nd; i++) {
    out_stride[i] = stride[n->i[i]];
  }
  lower_copy(g, n, k, out_stride);
}

static void vjp_permute(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  int inverse[AT_KND];
  for (int i = 0; i < at_in_shape(g, n, 0).nd; i++) {
    inverse[n->i[i]] = i;
  }
  din[0] = at_permute(g, dout[0], inverse);
}

const at_op_row at_op_row_permute = {.name = "permute",
                                     .n_in = 1,
                                     .n_out = 1,
                                     .kslot = AT_K_copy_strided,
                                     .moves = true,
                                     .infer = infer_permute,
                                     .lower = lower_permute,
                                     .vjp = vjp_permute};

at_val at_permute(at_graph *g, at_val x, const int *axes) {
  int64_t i[AT_KND] = {0};
  int nd = at_graph_shape(g, x).nd;
  for (int k = 0; k < nd; k++) {
    i[k] = axes[k];
  }
  return at_graph_node(g, AT_OP_permute, &x, 1, i, nd, NULL, 0);
}

/* --- broadcast ---------------------------------------------------------------------------------------------------- */

static at_err infer_broadcast(const at_graph *g, const at_node *n, at_shape *out) {
  *out = asked_shape(n);
  at_shape in = at_in_shape(g, n, 0);
  bool fits = in.nd <= out->nd;
  for (int i = 1; fits && i <= in.nd; i++) {
    int64_t d = in.d[in.nd - i];
    fits = d == 1 || d == out->d[out->nd - i];
  }
  if (!fits) {
    char a[96], b[96];
    return AT_FAIL(AT_ERR_INTERNAL, "broadcast: %s does not fit %s", at_shape_text(in, a, sizeof a),
                   at_shape_text(*out, b, sizeof b));
  }
  return AT_OK;
}

static void lower_broadcast(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  int64_t stride[AT_KND];
  at_lower_strides(at_graph_value(g, n->out)->shape, at_in_shape(g, n, 0), stride);
  lower_copy(g, n, k, stride);
}

static void vjp_broadcast(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_sum_to(g, dout[0], at_in_shape(g, n, 0));
}

const at_op_row at_op_row_broadcast = {.name = "broadcast",
                                       .n_in = 1,
                                       .n_out = 1,
                                       .kslot = AT_K_copy_strided,
                                       .moves = true,
                                       .infer = infer_broadcast,
                                       .lower = lower_broadcast,
                                       .vjp = vjp_broadcast};

at_val at_broadcast(at_graph *g, at_val x, at_shape shape) {
  if (x != AT_NONE && at_shape_equal(at_graph_shape(g, x), shape)) {
    return x;
  }
  return with_shape(g, AT_OP_broadcast, x, shape);
}

/* --- slice and place: i = axis, start, size --------------------------------------------------------------------------- */

static at_err infer_slice(const at_graph *g, const at_node *n, at_shape *out) {
  *out = at_in_shape(g, n, 0);
  int64_t axis = n->i[0], start = n->i[1], count = n->i[2];
  if (axis < 0 || axis >= out->nd || start < 0 || count < 0 || start + count > out->d[axis]) {
    return AT_FAIL(AT_ERR_INTERNAL, "slice: [%lld, +%lld) is outside axis %lld", (long long)start, (long long)count,
                   (long long)axis);
  }
  out->d[axis] = count;
  return AT_OK;
}

static void lower_slice(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  int64_t stride[AT_KND];
  contiguous_strides(at_in_shape(g, n, 0), stride);
  *shift = n->i[1] * stride[n->i[0]];
  lower_copy(g, n, k, stride);
}

static void vjp_slice(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_place(g, dout[0], (int)n->i[0], n->i[1], at_in_shape(g, n, 0).d[n->i[0]]);
}

const at_op_row at_op_row_slice = {.name = "slice",
                                   .n_in = 1,
                                   .n_out = 1,
                                   .kslot = AT_K_copy_strided,
                                   .moves = true,
                                   .infer = infer_slice,
                                   .lower = lower_slice,
                                   .vjp = vjp_slice};

at_val at_slice(at_graph *g, at_val x, int axis, int64_t start, int64_t count) {
  return at_graph_node(g, AT_OP_slice, &x, 1, (int64_t[]){axis, start, count}, 3, NULL, 0);
}

static at_err infer_place(const at_graph *g, const at_node *n, at_shape *out) {
  *out = at_in_shape(g, n, 0);
  int64_t axis = n->i[0], start = n->i[1], total = n->i[2];
  if (axis < 0 || axis >= out->nd || start < 0 || start + out->d[axis] > total) {
    return AT_FAIL(AT_ERR_INTERNAL, "place: %lld elements at %lld do not fit in %lld", (long long)out->d[axis],
                   (long long)start, (long long)total);
  }
  out->d[axis] = total;
  return AT_OK;
}

static void lower_place(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  at_shape out = at_graph_value(g, n->out)->shape, in = at_in_shape(g, n, 0);
  k->dim[0] = out.nd;
  for (int i = 0; i < out.nd; i++) {
    k->dim[1 + i] = out.d[i];
    k->dim[1 + out.nd + i] = i == n->i[0] ? n->i[1] : 0;
    k->dim[1 + 2 * out.nd + i] = in.d[i];
  }
}

static void vjp_place(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_slice(g, dout[0], (int)n->i[0], n->i[1], at_in_shape(g, n, 0).d[n->i[0]]);
}

const at_op_row at_op_row_place = {.name = "place",
                                   .n_in = 1,
                                   .n_out = 1,
                                   .kslot = AT_K_place,
                                   .moves = true,
                                   .infer = infer_place,
                                   .lower = lower_place,
                                   .vjp = vjp_place};

at_val at_place(at_graph *g, at_val x, int axis, int64_t start, int64_t total) {
  return at_graph_node(g, AT_OP_place, &x, 1, (int64_t[]){axis, start, total}, 3, NULL, 0);
}

/* --- join: in a, b; i = axis ---------------------------------------------------------------------------------------- */

static at_err infer_join(const at_graph *g, const at_node *n, at_shape *out) {
  at_shape a = at_in_shape(g, n, 0), b = at_in_shape(g, n, 1);
  bool fits = a.nd == b.nd && n->i[0] >= 0 && n->i[0] < a.nd &&
              at_graph_value(g, n->in[0])->dtype == at_graph_value(g, n->in[1])->dtype;
  for (int i = 0; fits && i < a.nd; i++) {
    fits = i == n->i[0] || a.d[i] == b.d[i];
  }
  if (!fits) {
    char ta[96], tb[96];
    return AT_FAIL(AT_ERR_INTERNAL, "join: %s and %s along axis %lld", at_shape_text(a, ta, sizeof ta),
                   at_shape_text(b, tb, sizeof tb), (long long)n->i[0]);
  }
  *out = a;
  out->d[n->i[0]] += b.d[n->i[0]];
  return AT_OK;
}

static void lower_join(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  at_shape a = at_in_shape(g, n, 0), b = at_in_shape(g, n, 1);
  k->dim[0] = k->dim[1] = k->dim[2] = 1;
  for (int i = 0; i < a.nd; i++) {
    k->dim[0] *= i < n->i[0] ? a.d[i] : 1;
    k->dim[1] *= i < n->i[0] ? 1 : a.d[i];
    k->dim[2] *= i < n->i[0] ? 1 : b.d[i];
  }
}

static void vjp_join(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  int axis = (int)n->i[0];
  int64_t a = at_in_shape(g, n, 0).d[axis], b = at_in_shape(g, n, 1).d[axis];
  din[0] = at_slice(g, dout[0], axis, 0, a);
  din[1] = at_slice(g, dout[0], axis, a, b);
}

const at_op_row at_op_row_join = {.name = "join",
                                  .n_in = 2,
                                  .n_out = 1,
                                  .kslot = AT_K_join,
                                  .moves = true,
                                  .infer = infer_join,
                                  .lower = lower_join,
                                  .vjp = vjp_join};

at_val at_join(at_graph *g, at_val a, at_val b, int axis) {
  return at_graph_node(g, AT_OP_join, (at_val[]){a, b}, 2, (int64_t[]){axis}, 1, NULL, 0);
}
