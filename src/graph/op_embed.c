/* SPDX-License-Identifier: BSD-3-Clause */
/* Table look-up by integer ids, its transpose, and one-hot rows. */
#include "src/graph/graph_internal.h"
#include "src/graph/op_rows.h"
#include "src/graph/ops.h"

/* --- embed: in table [rows][d], ids ----------------------------------------------------------------------------------- */

static at_err infer_embed(const at_graph *g, const at_node *n, at_shape *out) {
  at_shape table = at_in_shape(g, n, 0);
  if (table.nd != 2) {
    return AT_FAIL(AT_ERR_INTERNAL, "embed: the table has %d axes, not 2", table.nd);
  }
  *out = at_in_shape(g, n, 1);
  out->d[out->nd++] = table.d[1];
  return AT_OK;
}

static void lower_embed(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  at_shape table = at_in_shape(g, n, 0);
  k->dim[0] = at_shape_count(at_in_shape(g, n, 1));
  k->dim[1] = table.d[1];
  k->dim[2] = table.d[0];
}

static void vjp_embed(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_embed_sum(g, dout[0], n->in[1], at_in_shape(g, n, 0).d[0]);
}

const at_op_row at_op_row_embed = {.name = "embed",
                                   .n_in = 2,
                                   .n_out = 1,
                                   .kslot = AT_K_embed,
                                   .i32_in = 1u << 1,
                                   .infer = infer_embed,
                                   .lower = lower_embed,
                                   .vjp = vjp_embed};

at_val at_embed(at_graph *g, at_val table, at_val ids) {
  return at_graph_node0(g, AT_OP_embed, (at_val[]){table, ids}, 2);
}

/* --- embed_bwd: in dy [.., d], ids; i = rows -------------------------------------------------------------------------- */

static at_err infer_embed_bwd(const at_graph *g, const at_node *n, at_shape *out) {
  at_shape dy = at_in_shape(g, n, 0);
  *out = AT_SHAPE(n->i[0], dy.d[dy.nd - 1]);
  return AT_OK;
}

static void lower_embed_bwd(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  at_shape dy = at_in_shape(g, n, 0);
  k->dim[0] = at_shape_count(at_in_shape(g, n, 1));
  k->dim[1] = dy.d[dy.nd - 1];
  k->dim[2] = n->i[0];
}

static void vjp_embed_bwd(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_embed(g, dout[0], n->in[1]);
}

static double flops_embed_bwd(const at_graph *g, const at_node *n) {
  return (double)at_shape_count(at_in_shape(g, n, 0));
}

const at_op_row at_op_row_embed_bwd = {.name = "embed_bwd",
                                       .n_in = 2,
                                       .n_out = 1,
                                       .kslot = AT_K_embed_bwd,
                                       .i32_in = 1u << 1,
                                       .infer = infer_embed_bwd,
                                       .lower = lower_embed_bwd,
                                       .vjp = vjp_embed_bwd,
                                       .flops = flops_embed_bwd};

at_val at_embed_sum(at_graph *g, at_val x, at_val ids, int64_t rows) {
  return at_graph_node(g, AT_OP_embed_bwd, (at_val[]){x, ids}, 2, &rows, 1, NULL, 0);
}

/* --- onehot: in ids; i = classes.  Integers in, so there is no derivative. ----------------------------------------------- */

static at_err infer_onehot(const at_graph *g, const at_node *n, at_shape *out) {
  *out = at_in_shape(g, n, 0);
  out->d[out->nd++] = n->i[0];
  return AT_OK;
}

static void lower_onehot(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  k->dim[0] = at_shape_count(at_in_shape(g, n, 0));
  k->dim[1] = n->i[0];
}

const at_op_row at_op_row_onehot = {.name = "onehot",
                                    .n_in = 1,
                                    .n_out = 1,
                                    .kslot = AT_K_onehot,
                                    .i32_in = 1u << 0,
                                    .infer = infer_onehot,
                                    .lower = lower_onehot};

at_val at_onehot(at_graph *g, at_val ids, int64_t classes) {
  return at_graph_node(g, AT_OP_onehot, &ids, 1, &classes, 1, NULL, 0);
}
