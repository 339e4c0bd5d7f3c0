/* SPDX-License-Identifier: BSD-3-Clause */
/* Average and maximum pooling, fixed or adaptive, channels last. */
#include "src/graph/graph_internal.h"
#include "src/graph/op_rows.h"
#include "src/graph/ops.h"

/* Attributes: kernel (0 when adaptive), stride (the output's size when adaptive), padding; for avgpool_bwd then the image.
 * f[0]: 1 to divide by the whole window. */
enum { KERNEL = 0, STRIDE = 2, PAD = 4, SIZE = 6, ATTRS = 8 };

static int64_t out_size(const at_node *n, int axis, int64_t size) {
  int64_t kernel = n->i[KERNEL + axis], stride = n->i[STRIDE + axis], pad = n->i[PAD + axis];
  if (kernel == 0) {
    return stride;
  }
  int64_t room = size + 2 * pad - kernel;
  return room < 0 ? 0 : room / stride + 1;
}

static at_err check(const at_graph *g, const at_node *n) {
  at_shape x = at_in_shape(g, n, 0);
  bool fits = x.nd == 4 && (n->i[KERNEL] == 0) == (n->i[KERNEL + 1] == 0);
  for (int a = 0; fits && a < 2; a++) {
    int64_t kernel = n->i[KERNEL + a], stride = n->i[STRIDE + a], pad = n->i[PAD + a];
    fits = kernel >= 0 && stride >= 1 && pad >= 0 && 2 * pad <= kernel;
  }
  if (!fits) {
    char a[96];
    return AT_FAIL(AT_ERR_ARG, "%s: images %s, window %lld x %lld, stride %lld x %lld, padding %lld x %lld",
                   at_op_get(n->op)->name, at_shape_text(x, a, sizeof a), (long long)n->i[KERNEL],
                   (long long)n->i[KERNEL + 1], (long long)n->i[STRIDE], (long long)n->i[STRIDE + 1],
                   (long long)n->i[PAD], (long long)n->i[PAD + 1]);
  }
  return AT_OK;
}

static at_err infer_pool(const at_graph *g, const at_node *n, at_shape *out) {
  AT_TRY(check(g, n));
  at_shape x = at_in_shape(g, n, 0);
  out[0] = AT_SHAPE(x.d[0], out_size(n, 0, x.d[1]), out_size(n, 1, x.d[2]), x.d[3]);
  if (n->op == AT_OP_maxpool) {
    out[1] = out[0];
  }
  return AT_OK;
}

static at_err infer_avgpool_bwd(const at_graph *g, const at_node *n, at_shape *out) {
  at_shape dy = at_in_shape(g, n, 0);
  *out = AT_SHAPE(dy.d[0], n->i[SIZE], n->i[SIZE + 1], dy.d[3]);
  return AT_OK;
}

static void lower_pool(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  at_shape x = n->op == AT_OP_avgpool_bwd ? at_graph_value(g, n->out)->shape : at_in_shape(g, n, 0);
  const int64_t dim[] = {x.d[0],
                         x.d[1],
                         x.d[2],
                         x.d[3],
                         out_size(n, 0, x.d[1]),
                         out_size(n, 1, x.d[2]),
                         n->i[KERNEL],
                         n->i[KERNEL + 1],
                         n->i[STRIDE],
                         n->i[STRIDE + 1],
                         n->i[PAD],
                         n->i[PAD + 1]};
  for (size_t j = 0; j < sizeof dim / sizeof dim[0]; j++) {
    k->dim[j] = dim[j];
  }
  k->dim[12] = n->f[0] != 0;
}

static double flops_pool(const at_graph *g, const at_node *n) {
  return (double)at_shape_count(at_in_shape(g, n, 0));
}

/* --- average ---------------------------------------------------------------------------------------------------------------- */

static void vjp_avgpool(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  at_shape x = at_in_shape(g, n, 0);
  int64_t i[ATTRS] = {n->i[0], n->i[1], n->i[2], n->i[3], n->i[4], n->i[5], x.d[1], x.d[2]};
  din[0] = at_graph_node(g, AT_OP_avgpool_bwd, dout, 1, i, ATTRS, n->f, 1);
}

static void vjp_avgpool_bwd(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_graph_node(g, AT_OP_avgpool, dout, 1, n->i, SIZE, n->f, 1);
}

const at_op_row at_op_row_avgpool = {.name = "avgpool",
                                     .n_in = 1,
                                     .n_out = 1,
                                     .kslot = AT_K_avgpool,
                                     .infer = infer_pool,
                                     .lower = lower_pool,
                                     .vjp = vjp_avgpool,
                                     .flops = flops_pool};

const at_op_row at_op_row_avgpool_bwd = {.name = "avgpool_bwd",
                                         .n_in = 1,
                                         .n_out = 1,
                                         .kslot = AT_K_avgpool_bwd,
                                         .infer = infer_avgpool_bwd,
                                         .lower = lower_pool,
                                         .vjp = vjp_avgpool_bwd,
                                         .flops = flops_pool};

at_val at_avgpool(at_graph *g, at_val x, at_window2d v, bool count_padding) {
  int64_t i[SIZE] = {v.kernel[0], v.kernel[1], v.stride[0], v.stride[1], v.pad[0], v.pad[1]};
  return at_graph_node(g, AT_OP_avgpool, &x, 1, i, SIZE, (double[]){count_padding ? 1 : 0}, 1);
}

at_val at_avgpool_to(at_graph *g, at_val x, int64_t height, int64_t width) {
  return at_avgpool(g, x, (at_window2d){.stride = {height, width}}, false);
}

/* --- maximum: out y, index ---------------------------------------------------------------------------------------------------- */

/* The image as [n][h w][c], in which the index counts along axis 1. */
static void vjp_maxpool(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  at_shape x = at_in_shape(g, n, 0), y = at_graph_shape(g, n->out);
  at_shape flat = AT_SHAPE(y.d[0], y.d[1] * y.d[2], y.d[3]);
  at_val dx = at_put(g, at_reshape(g, dout[0], flat), at_reshape(g, n->out + 1, flat), 1, x.d[1] * x.d[2]);
  din[0] = at_reshape(g, dx, x);
}

const at_op_row at_op_row_maxpool = {.name = "maxpool",
                                     .n_in = 1,
                                     .n_out = 2,
                                     .kslot = AT_K_maxpool,
                                     .i32_out = 1u << 1,
                                     .infer = infer_pool,
                                     .lower = lower_pool,
                                     .vjp = vjp_maxpool,
                                     .flops = flops_pool};

at_val at_maxpool(at_graph *g, at_val x, at_window2d v) {
  int64_t i[SIZE] = {v.kernel[0], v.kernel[1], v.stride[0], v.stride[1], v.pad[0], v.pad[1]};
  return at_graph_node(g, AT_OP_maxpool, &x, 1, i, SIZE, NULL, 0);
}

at_val at_maxpool_to(at_graph *g, at_val x, int64_t height, int64_t width) {
  return at_maxpool(g, x, (at_window2d){.stride = {height, width}});
}
