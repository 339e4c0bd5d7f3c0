/* SPDX-License-Identifier: BSD-3-Clause */
/* Two-dimensional convolution, channels last, and its transposes in the input and in the weights.
 *
 * With y = conv(x, w): dx = conv_dx(dy, w) and dw = conv_dw(x, dy).  Each of the three is linear in both of its inputs, and the
 * derivatives of each are the other two: differentiation is closed. */
#include "src/graph/graph_internal.h"
#include "src/graph/op_rows.h"
#include "src/graph/ops.h"

/* Attributes of all three: strides, padding, groups; then the size that the inputs do not tell: of x for conv2d_dx, of w for
 * conv2d_dw. */
enum { STRIDE, PAD = 2, GROUPS = 4, SIZE = 5, ATTRS = 7 };

static int64_t out_size(int64_t size, int64_t kernel, int64_t stride, int64_t pad) {
  int64_t room = size + 2 * pad - kernel;
  return room < 0 ? 0 : room / stride + 1;
}

/* The shapes of x, w and y, whichever of them are inputs. */
typedef struct shapes {
  at_shape x, w, y;
} shapes;

static shapes shapes_of(const at_graph *g, const at_node *n) {
  at_shape a = at_in_shape(g, n, 0), b = at_in_shape(g, n, 1);
  const int64_t *i = n->i;
  if (n->op == AT_OP_conv2d) {
    at_shape y = AT_SHAPE(a.d[0], out_size(a.d[1], b.d[0], i[STRIDE], i[PAD]),
                          out_size(a.d[2], b.d[1], i[STRIDE + 1], i[PAD + 1]), b.d[3]);
    return (shapes){a, b, y};
  }
  if (n->op == AT_OP_conv2d_dx) {
    return (shapes){AT_SHAPE(a.d[0], i[SIZE], i[SIZE + 1], b.d[2] * i[GROUPS]), b, a};
  }
  return (shapes){a, AT_SHAPE(i[SIZE], i[SIZE + 1], a.d[3] / i[GROUPS], b.d[3]), b};
}

static at_err check(const at_graph *g, const at_node *n) {
  at_shape a = at_in_shape(g, n, 0), b = at_in_shape(g, n, 1);
  char ta[96], tb[96], tc[96];
  bool fits = a.nd == 4 && b.nd == 4 && n->i[STRIDE] >= 1 && n->i[STRIDE + 1] >= 1 && n->i[PAD] >= 0 &&
              n->i[PAD + 1] >= 0 && n->i[GROUPS] >= 1;
  if (!fits) {
    return AT_FAIL(AT_ERR_ARG,
                   "%s: %s and %s with stride %lld x %lld, padding %lld x %lld, %lld groups: wanted four axes each",
                   at_op_get(n->op)->name, at_shape_text(a, ta, sizeof ta), at_shape_text(b, tb, sizeof tb),
                   (long long)n->i[STRIDE], (long long)n->i[STRIDE + 1], (long long)n->i[PAD], (long long)n->i[PAD + 1],
                   (long long)n->i[GROUPS]);
  }
  shapes s = shapes_of(g, n);
  fits = s.x.d[3] == s.w.d[2] * n->i[GROUPS] && s.w.d[3] % n->i[GROUPS] == 0 && s.y.d[3] == s.w.d[3] &&
         s.y.d[0] == s.x.d[0] && s.y.d[1] == out_size(s.x.d[1], s.w.d[0], n->i[STRIDE], n->i[PAD]) &&
         s.y.d[2] == out_size(s.x.d[2], s.w.d[1], n->i[STRIDE + 1], n->i[PAD + 1]) && s.w.d[0] >= 1 && s.w.d[1] >= 1;
  if (!fits) {
    return AT_FAIL(AT_ERR_ARG, "%s: images %s, weights %s [kh][kw][in/groups][out], outputs %s, %lld groups do not fit",
                   at_op_get(n->op)->name, at_shape_text(s.x, ta, sizeof ta), at_shape_text(s.w, tb, sizeof tb),
                   at_shape_text(s.y, tc, sizeof tc), (long long)n->i[GROUPS]);
  }
  return AT_OK;
}

static at_err infer_conv(const at_graph *g, const at_node *n, at_shape *out) {
  AT_TRY(check(g, n));
  shapes s = shapes_of(g, n);
  *out = n->op == AT_OP_conv2d ? s.y : n->op == AT_OP_conv2d_dx ? s.x : s.w;
  return AT_OK;
}

static void lower_conv(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  shapes s = shapes_of(g, n);
  const int64_t dim[] = {s.x.d[0],     s.x.d[1],         s.x.d[2],  s.x.d[3],      s.y.d[3],     s.w.d[0], s.w.d[1],
                         n->i[STRIDE], n->i[STRIDE + 1], n->i[PAD], n->i[PAD + 1], n->i[GROUPS], s.y.d[1], s.y.d[2]};
  for (size_t i = 0; i < sizeof dim / sizeof dim[0]; i++) {
    k->dim[i] = dim[i];
  }
}

/* Each product of an output with a weight of its group, wherever it falls. */
static double flops_conv(const at_graph *g, const at_node *n) {
  shapes s = shapes_of(g, n);
  return 2.0 * (double)at_shape_count(s.y) * (double)(s.w.d[0] * s.w.d[1] * s.w.d[2]);
}

/* One of the three for the same strides, padding and groups. */
static at_val conv_like(at_graph *g, at_op op, at_val a, at_val b, const at_node *like, const int64_t *size) {
  int64_t i[ATTRS] = {0};
  for (int k = 0; k < SIZE; k++) {
    i[k] = like->i[k];
  }
  i[SIZE] = size ? size[0] : 0;
  i[SIZE + 1] = size ? size[1] : 0;
  return at_graph_node(g, op, (at_val[]){a, b}, 2, i, ATTRS, NULL, 0);
}

static void vjp_conv2d(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  at_shape x = at_in_shape(g, n, 0), w = at_in_shape(g, n, 1);
  din[0] = conv_like(g, AT_OP_conv2d_dx, dout[0], n->in[1], n, x.d + 1);
  din[1] = conv_like(g, AT_OP_conv2d_dw, n->in[0], dout[0], n, w.d);
}

static void vjp_conv2d_dx(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  at_shape w = at_in_shape(g, n, 1);
  din[0] = conv_like(g, AT_OP_conv2d, dout[0], n->in[1], n, NULL);
  din[1] = conv_like(g, AT_OP_conv2d_dw, dout[0], n->in[0], n, w.d);
}

static void vjp_conv2d_dw(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  at_shape x = at_in_shape(g, n, 0);
  din[0] = conv_like(g, AT_OP_conv2d_dx, n->in[1], dout[0], n, x.d + 1);
  din[1] = conv_like(g, AT_OP_conv2d, n->in[0], dout[0], n, NULL);
}

#define CONV(op)                                                    \
  const at_op_row at_op_row_##op = {.name = #op,                    \
                                    .n_in = 2,                      \
                                    .n_out = 1,                     \
                                    .kslot = AT_K_##op,             \
                                    .kslot_bf16 = AT_K_##op##_bf16, \
                                    .infer = infer_conv,            \
                                    .lower = lower_conv,            \
                                    .vjp = vjp_##op,                \
                                    .flops = flops_conv}
CONV(conv2d);    /* in x, w */
CONV(conv2d_dx); /* in dy, w */
CONV(conv2d_dw); /* in x, dy */

at_val at_conv2d(at_graph *g, at_val x, at_val w, at_window2d v, int64_t groups) {
  int64_t i[ATTRS] = {v.stride[0], v.stride[1], v.pad[0], v.pad[1], groups};
  return at_graph_node(g, AT_OP_conv2d, (at_val[]){x, w}, 2, i, ATTRS, NULL, 0);
}

at_val at_conv1d(at_graph *g, at_val x, at_val w, int64_t stride, int64_t pad, int64_t groups) {
  at_shape sx = at_graph_shape(g, x), sw = at_graph_shape(g, w);
  x = at_reshape(g, x, AT_SHAPE(sx.d[0], 1, sx.d[1], sx.d[2]));
  w = at_reshape(g, w, AT_SHAPE(1, sw.d[0], sw.d[1], sw.d[2]));
  at_val y = at_conv2d(g, x, w, (at_window2d){.stride = {1, stride}, .pad = {0, pad}}, groups);
  at_shape sy = at_graph_shape(g, y);
  return y == AT_NONE ? y : at_reshape(g, y, AT_SHAPE(sy.d[0], sy.d[2], sy.d[3]));
}

/* --- unfold and fold: i = kernel, stride, pad; then for fold the image: transposes of one another ---------------------------- */

enum { U_KERNEL = 0, U_STRIDE = 2, U_PAD = 4, U_SIZE = 6, U_ATTRS = 8 };

static at_err infer_unfold(const at_graph *g, const at_node *n, at_shape *out) {
  at_shape x = at_in_shape(g, n, 0);
  const int64_t *i = n->i;
  if (x.nd != 4 || i[U_KERNEL] < 1 || i[U_KERNEL + 1] < 1 || i[U_STRIDE] < 1 || i[U_STRIDE + 1] < 1) {
    char a[96];
    return AT_FAIL(AT_ERR_ARG, "unfold: images %s, kernel %lld x %lld", at_shape_text(x, a, sizeof a),
                   (long long)i[U_KERNEL], (long long)i[U_KERNEL + 1]);
  }
  int64_t oh = out_size(x.d[1], i[U_KERNEL], i[U_STRIDE], i[U_PAD]);
  int64_t ow = out_size(x.d[2], i[U_KERNEL + 1], i[U_STRIDE + 1], i[U_PAD + 1]);
  *out = AT_SHAPE(x.d[0], oh * ow, i[U_KERNEL] * i[U_KERNEL + 1] * x.d[3]);
  return AT_OK;
}

static at_err infer_fold(const at_graph *g, const at_node *n, at_shape *out) {
  at_shape p = at_in_shape(g, n, 0);
  const int64_t *i = n->i;
  *out = AT_SHAPE(p.d[0], i[U_SIZE], i[U_SIZE + 1], p.d[2] / (i[U_KERNEL] * i[U_KERNEL + 1]));
  return AT_OK;
}

static void lower_unfold(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  const int64_t *i = n->i;
  at_shape x = n->op == AT_OP_unfold ? at_in_shape(g, n, 0) : at_graph_value(g, n->out)->shape;
  int64_t oh = out_size(x.d[1], i[U_KERNEL], i[U_STRIDE], i[U_PAD]);
  int64_t ow = out_size(x.d[2], i[U_KERNEL + 1], i[U_STRIDE + 1], i[U_PAD + 1]);
  const int64_t dim[] = {x.d[0],      x.d[1],          x.d[2],   x.d[3],       1, i[U_KERNEL], i[U_KERNEL + 1],
                         i[U_STRIDE], i[U_STRIDE + 1], i[U_PAD], i[U_PAD + 1], 1, oh,          ow};
  for (size_t j = 0; j < sizeof dim / sizeof dim[0]; j++) {
    k->dim[j] = dim[j];
  }
}

static void vjp_unfold(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  at_shape x = at_in_shape(g, n, 0);
  int64_t i[U_ATTRS] = {n->i[0], n->i[1], n->i[2], n->i[3], n->i[4], n->i[5], x.d[1], x.d[2]};
  din[0] = at_graph_node(g, AT_OP_fold, dout, 1, i, U_ATTRS, NULL, 0);
}

static void vjp_fold(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_graph_node(g, AT_OP_unfold, dout, 1, n->i, U_SIZE, NULL, 0);
}

const at_op_row at_op_row_unfold = {.name = "unfold",
                                    .n_in = 1,
                                    .n_out = 1,
                                    .kslot = AT_K_unfold,
                                    .infer = infer_unfold,
                                    .lower = lower_unfold,
                                    .vjp = vjp_unfold};

const at_op_row at_op_row_fold = {.name = "fold",
                                  .n_in = 1,
                                  .n_out = 1,
                                  .kslot = AT_K_fold,
                                  .infer = infer_fold,
                                  .lower = lower_unfold,
                                  .vjp = vjp_fold};

at_val at_unfold(at_graph *g, at_val x, at_window2d v) {
  int64_t i[U_SIZE] = {v.kernel[0], v.kernel[1], v.stride[0], v.stride[1], v.pad[0], v.pad[1]};
  return at_graph_node(g, AT_OP_unfold, &x, 1, i, U_SIZE, NULL, 0);
}
