/* SPDX-License-Identifier: BSD-3-Clause */
/* Batched matrix products with transposes. */
#include "src/graph/graph_internal.h"
#include "src/graph/op_rows.h"
#include "src/graph/ops.h"

typedef struct mm_dims {
  int64_t m, n, k;
  bool ta, tb;
} mm_dims;

/* operand: which input A is; B comes after it. */
static mm_dims dims_of(const at_graph *g, const at_node *n, int operand) {
  at_shape a = at_in_shape(g, n, operand), b = at_in_shape(g, n, operand + 1);
  bool ta = n->i[0] != 0, tb = n->i[1] != 0;
  return (mm_dims){.m = a.d[ta ? a.nd - 1 : a.nd - 2],
                   .k = a.d[ta ? a.nd - 2 : a.nd - 1],
                   .n = b.d[tb ? b.nd - 2 : b.nd - 1],
                   .ta = ta,
                   .tb = tb};
}

static int64_t batch_of(at_shape s) {
  s.nd -= 2;
  return at_shape_count(s);
}

static at_err infer_matmul(const at_graph *g, const at_node *n, at_shape *out) {
  at_shape a = at_in_shape(g, n, 0), b = at_in_shape(g, n, 1);
  char ta[96], tb[96];
  bool fits = a.nd >= 2 && b.nd >= 2 && (a.nd == b.nd || a.nd == 2 || b.nd == 2);
  if (fits) {
    fits = dims_of(g, n, 0).k == b.d[n->i[1] ? b.nd - 1 : b.nd - 2];
    for (int i = 0; fits && a.nd == b.nd && i < a.nd - 2; i++) {
      fits = a.d[i] == b.d[i];
    }
  }
  if (!fits) {
    return AT_FAIL(AT_ERR_INTERNAL, "matmul: %s%s times %s%s", at_shape_text(a, ta, sizeof ta), n->i[0] ? "^T" : "",
                   at_shape_text(b, tb, sizeof tb), n->i[1] ? "^T" : "");
  }
  *out = a.nd >= b.nd ? a : b;
  out->d[out->nd - 2] = dims_of(g, n, 0).m;
  out->d[out->nd - 1] = dims_of(g, n, 0).n;
  return AT_OK;
}

static void lower_matmul(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  mm_dims d = dims_of(g, n, 0);
  at_shape a = at_in_shape(g, n, 0), b = at_in_shape(g, n, 1);
  int64_t batch = batch_of(at_graph_value(g, n->out)->shape);
  k->dim[0] = batch;
  k->dim[1] = d.m;
  k->dim[2] = d.n;
  k->dim[3] = d.k;
  k->dim[4] = d.ta;
  k->dim[5] = d.tb;
  k->dim[6] = a.nd == 2 ? 0 : d.m * d.k;
  k->dim[7] = b.nd == 2 ? 0 : d.k * d.n;
}

/* An operand without batch axes gathers its cotangent over the batch. */
static at_val fold_batch(at_graph *g, at_val d, at_shape want) {
  at_shape have = at_graph_shape(g, d);
  return want.nd == have.nd ? d : at_sum_to(g, d, want);
}

static void vjp_matmul(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  bool ta = n->i[0] != 0, tb = n->i[1] != 0;
  at_val a = n->in[0], b = n->in[1], dc = dout[0];
  at_val da = ta ? at_matmul(g, b, dc, tb, true) : at_matmul(g, dc, b, false, !tb);
  at_val db = tb ? at_matmul(g, dc, a, true, ta) : at_matmul(g, a, dc, !ta, false);
  din[0] = fold_batch(g, da, at_graph_shape(g, a));
  din[1] = fold_batch(g, db, at_graph_shape(g, b));
}

static double flops_matmul(const at_graph *g, const at_node *n) {
  mm_dims d = dims_of(g, n, 0);
  return 2.0 * (double)d.k * (double)at_shape_count(at_graph_value(g, n->out)->shape);
}

const at_op_row at_op_row_matmul = {.name = "matmul",
                                    .n_in = 2,
                                    .n_out = 1,
                                    .kslot = AT_K_matmul,
                                    .kslot_bf16 = AT_K_matmul_bf16,
                                    .infer = infer_matmul,
                                    .lower = lower_matmul,
                                    .vjp = vjp_matmul,
                                    .flops = flops_matmul};

/* --- C + s op(A) op(B), of matrices: inputs C, A, B, s ----------------------------------------------------------------------- */

static at_err infer_matmul_add(const at_graph *g, const at_node *n, at_shape *out) {
  at_shape c = at_in_shape(g, n, 0), a = at_in_shape(g, n, 1), b = at_in_shape(g, n, 2);
  bool fits = a.nd == 2 && b.nd == 2 && at_shape_count(at_in_shape(g, n, 3)) == 1;
  if (fits) {
    mm_dims d = dims_of(g, n, 1);
    fits = d.k == b.d[n->i[1] ? 1 : 0] && at_shape_equal(c, AT_SHAPE(d.m, d.n));
  }
  if (!fits) {
    char tc[96], ta[96], tb[96];
    return AT_FAIL(AT_ERR_INTERNAL, "matmul_add: %s plus a scalar times %s%s times %s%s",
                   at_shape_text(c, tc, sizeof tc), at_shape_text(a, ta, sizeof ta), n->i[0] ? "^T" : "",
                   at_shape_text(b, tb, sizeof tb), n->i[1] ? "^T" : "");
  }
  *out = c;
  return AT_OK;
}

static void lower_matmul_add(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  mm_dims d = dims_of(g, n, 1);
  const int64_t dim[] = {1, d.m, d.n, d.k, d.ta, d.tb};
  for (size_t i = 0; i < sizeof dim / sizeof *dim; i++) {
    k->dim[i] = dim[i];
  }
}

static void vjp_matmul_add(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  bool ta = n->i[0] != 0, tb = n->i[1] != 0;
  at_val a = n->in[1], b = n->in[2], s = n->in[3], scaled = at_mul(g, dout[0], s);
  din[0] = dout[0];
  din[1] = ta ? at_matmul(g, b, scaled, tb, true) : at_matmul(g, scaled, b, false, !tb);
  din[2] = tb ? at_matmul(g, scaled, a, true, ta) : at_matmul(g, a, scaled, !ta, false);
  din[3] = at_reshape(g, at_sum_all(g, at_mul(g, dout[0], at_matmul(g, a, b, ta, tb))), at_graph_shape(g, s));
}

static double flops_matmul_add(const at_graph *g, const at_node *n) {
  return 2.0 * (double)(dims_of(g, n, 1).k + 1) * (double)at_shape_count(at_graph_value(g, n->out)->shape);
}

const at_op_row at_op_row_matmul_add = {.name = "matmul_add",
                                        .n_in = 4,
                                        .n_out = 1,
                                        .kslot = AT_K_matmul_add,
                                        .kslot_bf16 = AT_K_matmul_add_bf16,
                                        .infer = infer_matmul_add,
                                        .lower = lower_matmul_add,
                                        .vjp = vjp_matmul_add,
                                        .in_place = true,
                                        .flops = flops_matmul_add};

at_val at_add_scaled(at_graph *g, at_val x, at_val y, at_val s) {
  if (x == AT_NONE || y == AT_NONE || s == AT_NONE) {
    return AT_NONE;
  }
  const at_node *n = &g->node[g->value[y].node];
  if (n->op == AT_OP_matmul && at_in_shape(g, n, 0).nd == 2 && at_in_shape(g, n, 1).nd == 2) {
    return at_graph_node(g, AT_OP_matmul_add, (at_val[]){x, n->in[0], n->in[1], s}, 4, (int64_t[]){n->i[0], n->i[1]}, 2,
                         NULL, 0);
  }
  return at_add(g, x, at_mul(g, y, s));
}

/* Leading axes of both operands, broadcast against one another.  (What does not fit is refused by the shape rule.) */
static void broadcast_batch(at_graph *g, at_val *a, at_val *b) {
  at_shape sa = at_graph_shape(g, *a), sb = at_graph_shape(g, *b), wa = sa.nd > sb.nd ? sa : sb, wb = wa;
  for (int i = 3; i <= wa.nd; i++) {
    int64_t da = i <= sa.nd ? sa.d[sa.nd - i] : 1, db = i <= sb.nd ? sb.d[sb.nd - i] : 1;
    wa.d[wa.nd - i] = wb.d[wa.nd - i] = da == 1 ? db : da;
  }
  for (int i = 1; i <= 2; i++) {
    wa.d[wa.nd - i] = sa.d[sa.nd - i];
    wb.d[wa.nd - i] = sb.d[sb.nd - i];
  }
  *a = at_broadcast(g, *a, wa);
  *b = at_broadcast(g, *b, wb);
}

/* A batched [.., m, k] times one [k][n] is one tall product: fold the batch into the rows. */
at_val at_matmul(at_graph *g, at_val a, at_val b, bool ta, bool tb) {
  at_shape sa = at_graph_shape(g, a), sb = at_graph_shape(g, b);
  if (a != AT_NONE && !ta && sa.nd > 2 && sb.nd == 2) {
    int64_t k = sa.d[sa.nd - 1];
    int64_t rows = k ? at_shape_count(sa) / k : 0;
    at_val y = at_matmul(g, at_reshape(g, a, AT_SHAPE(rows, k)), b, false, tb);
    at_shape out = sa;
    out.d[out.nd - 1] = at_graph_shape(g, y).d[1];
    return at_reshape(g, y, out);
  }
  if (sa.nd > 2 && sb.nd > 2) {
    broadcast_batch(g, &a, &b);
  }
  return at_graph_node(g, AT_OP_matmul, (at_val[]){a, b}, 2, (int64_t[]){ta, tb}, 2, NULL, 0);
}

at_val at_linear(at_graph *g, at_val x, at_val w, at_val bias) {
  at_val y = at_matmul(g, x, w, false, false);
  return bias == AT_NONE ? y : at_add(g, y, bias);
}
