/* SPDX-License-Identifier: BSD-3-Clause */
/* Reverse-mode differentiation that adds nodes to the same graph, so that it can be applied to its own result. */
#include <string.h>

#include "src/base/alloc.h"
#include "src/graph/graph_internal.h"
#include "src/graph/ops.h"

/* One backward sweep.  Arrays are indexed by the values that exist when the sweep begins. */
typedef struct sweep {
  at_graph *g;
  int n_value, n_node;
  bool *need;   /* depends on a wrt value */
  bool *stop;   /* is a wrt value whose cotangent is wanted, not passed on */
  at_val *acc;  /* cotangent so far */
  at_val *twin; /* of a value in a marked block: its recomputation, once the block was reached; AT_NONE before */
} sweep;

static void accumulate(sweep *s, at_val v, at_val cot) {
  if (cot == AT_NONE) {
    return;
  }
  s->acc[v] = s->acc[v] == AT_NONE ? cot : at_add(s->g, s->acc[v], cot);
}

static void mark_needed(sweep *s, const at_val *wrt, int n_wrt, bool through) {
  const at_graph *g = s->g;
  for (int i = 0; i < n_wrt; i++) {
    s->need[wrt[i]] = true;
    s->stop[wrt[i]] = !through;
  }
  for (int i = 0; i < g->n_node; i++) {
    const at_node *n = &g->node[i];
    bool need = false;
    for (int k = 0; k < n->n_in; k++) {
      need = need || s->need[n->in[k]];
    }
    for (int j = 0; need && j < n->n_out; j++) {
      s->need[n->out + j] = true;
    }
  }
}

/* Second derivatives of a fused operation: rebuild its first derivative from the decomposition of the forward
 * operation, then differentiate that.  n: the fused derivative node; dout: cotangents of its outputs. */
static at_err through_decomposition(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  const at_op_row *row = at_op_get(n->op), *fwd = at_op_get(row->forward);
  at_node f = {.op = row->forward, .n_in = fwd->n_in};
  memcpy(f.i, n->i, sizeof f.i);
  memcpy(f.f, n->f, sizeof f.f);
  at_val wrt[AT_KIN], first[AT_KIN];
  int in_at[AT_KIN], n_wrt = 0, which[AT_KIN];
  for (int i = 0; i < fwd->n_in; i++) {
    f.in[i] = n->in[row->fwd_in[i]];
    which[i] = -1;
    if (g->value[f.in[i]].dtype != AT_I32) {
      for (int k = 0; k < n_wrt; k++) {
        if (wrt[k] == f.in[i]) {
          return AT_FAIL(AT_ERR_INTERNAL, "second derivative of %s: its inputs must be distinct values", fwd->name);
        }
      }
      which[i] = n_wrt;
      in_at[n_wrt] = row->fwd_in[i];
      wrt[n_wrt++] = f.in[i];
    }
  }
  at_val y = fwd->decompose(g, &f), cot = n->in[row->cot_in];
  AT_TRY(at_graph_vjp(g, &y, &cot, 1, wrt, n_wrt, first));

  at_val out[AT_KOUT], out_cot[AT_KOUT], second[AT_KIN];
  int n_out = 0;
  for (int j = 0; j < row->n_out; j++) {
    at_val d = first[which[row->grad_of[j]]];
    if (dout[j] != AT_NONE && d != AT_NONE) {
      out[n_out] = d;
      out_cot[n_out++] = dout[j];
    }
  }
  bool cot_is_input = false; /* then its share is already in that input's */
  for (int k = 0; k < n_wrt; k++) {
    cot_is_input = cot_is_input || wrt[k] == cot;
  }
  if (!cot_is_input) {
    in_at[n_wrt] = row->cot_in;
    wrt[n_wrt++] = cot;
  }
  AT_TRY(at_graph_vjp(g, out, out_cot, n_out, wrt, n_wrt, second));
  for (int k = 0; k < n_wrt; k++) {
    din[in_at[k]] = second[k];
  }
  return AT_OK;
}

/* Build the marked block that `node` is in again; its twins are what the derivative reads. */
static at_err recompute_block(sweep *s, int node, int last) {
  at_graph *g = s->g;
  int block = g->node[node].block, copy = ++g->n_copies;
  for (int i = 0; i <= last; i++) {
    at_node n = g->node[i]; /* a copy: new nodes may move the array */
    at_val in[AT_KIN];
    if (n.block != block) {
      continue;
    }
    for (int k = 0; k < n.n_in; k++) {
      at_val twin = s->twin[n.in[k]];
      in[k] = twin != AT_NONE && g->node[g->value[n.in[k]].node].block == block ? twin : n.in[k];
    }
    at_val out = at_graph_copy(g, &n, in, copy);
    for (int j = 0; out != AT_NONE && j < n.n_out; j++) {
      s->twin[n.out + j] = out + j;
    }
  }
  return g->status;
}

/* The node as its derivative should see it: in a marked block, the recomputed one. */
static at_err seen_by_derivative(sweep *s, int node, at_node *n) {
  int block = n->block;
  if (block == 0) {
    return AT_OK;
  }
  if (s->twin[n->out] == AT_NONE) {
    AT_TRY(recompute_block(s, node, s->n_node - 1));
  }
  n->out = s->twin[n->out];
  for (int k = 0; k < n->n_in; k++) {
    if (s->g->node[s->g->value[n->in[k]].node].block == block) {
      n->in[k] = s->twin[n->in[k]];
    }
  }
  return AT_OK;
}

static at_err backward(sweep *s, int node) {
  at_node n = s->g->node[node]; /* a copy: new nodes may move the array */
  const at_op_row *row = at_op_get(n.op);
  at_val dout[AT_KOUT], din[AT_KIN];
  bool any = false;
  for (int j = 0; j < n.n_out; j++) {
    at_val v = n.out + j;
    dout[j] = s->need[v] && !s->stop[v] ? s->acc[v] : AT_NONE;
    any = any || dout[j] != AT_NONE;
    if (j > 0 && dout[j] != AT_NONE && row->decompose != NULL) {
      return AT_FAIL(AT_ERR_INTERNAL, "output %d of %s is auxiliary: it has no derivative", j, row->name);
    }
  }
  if (!any) {
    return AT_OK;
  }
  for (int i = 0; i < AT_KIN; i++) {
    din[i] = AT_NONE;
  }
  at_node seen = n;
  AT_TRY(seen_by_derivative(s, node, &seen));
  if (row->vjp != NULL) {
    row->vjp(s->g, &seen, dout, din);
  } else if (row->forward != AT_OP_leaf) {
    AT_TRY(through_decomposition(s->g, &seen, dout, din));
  }
  for (int i = 0; i < n.n_in; i++) {
    if (s->need[n.in[i]]) {
      accumulate(s, n.in[i], din[i]);
    }
  }
  return s->g->status;
}

static at_err seed(sweep *s, const at_val *out, const at_val *cot, int n_out) {
  for (int j = 0; j < n_out; j++) {
    at_shape shape = s->g->value[out[j]].shape;
    if (cot == NULL && at_shape_count(shape) != 1) {
      return AT_FAIL(AT_ERR_INTERNAL, "a gradient without cotangent needs a scalar");
    }
    at_val c = cot ? cot[j] : at_graph_const(s->g, 1.0, shape);
    if (s->need[out[j]]) {
      accumulate(s, out[j], c);
    }
  }
  return s->g->status;
}

at_err at_graph_sweep(at_graph *g, const at_val *out, const at_val *cot, int n_out, const at_val *wrt, int n_wrt,
                      bool through, at_val *grad) {
  AT_TRY(g->status);
  at_err err = AT_OK;
  sweep s = {.g = g, .n_value = g->n_value, .n_node = g->n_node};
  int block = g->block;
  g->block = 0; /* derivatives belong to no block */
  AT_TRY_TO(err, done, at_alloc(&s.need, (size_t)s.n_value, sizeof *s.need, "differentiation marks"));
  AT_TRY_TO(err, done, at_alloc(&s.stop, (size_t)s.n_value, sizeof *s.stop, "differentiation marks"));
  AT_TRY_TO(err, done, at_alloc(&s.acc, (size_t)s.n_value, sizeof *s.acc, "cotangents"));
  AT_TRY_TO(err, done, at_alloc(&s.twin, (size_t)s.n_value, sizeof *s.twin, "recomputed values"));
  for (int v = 0; v < s.n_value; v++) {
    s.acc[v] = s.twin[v] = AT_NONE;
  }
  mark_needed(&s, wrt, n_wrt, through);
  AT_TRY_TO(err, done, seed(&s, out, cot, n_out));
  for (int i = s.n_node - 1; i >= 0; i--) {
    if (g->node[i].op != AT_OP_leaf) {
      AT_TRY_TO(err, done, backward(&s, i));
    }
  }
  for (int i = 0; i < n_wrt; i++) {
    grad[i] = s.acc[wrt[i]];
  }
done:
  at_free(s.need);
  at_free(s.stop);
  at_free(s.acc);
  at_free(s.twin);
  g->block = block;
  return err == AT_OK ? AT_OK : (at_graph_fail(g, err), err);
}

at_err at_graph_vjp(at_graph *g, const at_val *out, const at_val *cot, int n_out, const at_val *wrt, int n_wrt,
                    at_val *grad) {
  return at_graph_sweep(g, out, cot, n_out, wrt, n_wrt, false, grad);
}
