/* SPDX-License-Identifier: BSD-3-Clause */
/* Reverse-mode differentiation that adds nodes to the same graph, so that it can be applied to its own result. */
#include <string.h>

#include "src/base/alloc.h"
#include "src/graph/graph_internal.h"
#include "src/graph/ops.h"

/* One backward sweep.  Arrays are indexed by the values that exist when the sweep begins. */
typedef struct sweep {
  at_graph *g;
  int n_value;
  bool *need;  /* depends on a wrt value */
  bool *stop;  /* is a wrt value whose cotangent is wanted, not passed on */
  at_val *acc; /* cotangent so far */
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
  if (row->vjp != NULL) {
    row->vjp(s->g, &n, dout, din);
  } else if (row->forward != AT_OP_leaf) {
    AT_TRY(through_decomposition(s->g, &n, dout, din));
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
  sweep s = {.g = g, .n_value = g->n_value};
  int last = g->n_node - 1;
  AT_TRY_TO(err, done, at_alloc(&s.need, (size_t)s.n_value, sizeof *s.need, "differentiation marks"));
  AT_TRY_TO(err, done, at_alloc(&s.stop, (size_t)s.n_value, sizeof *s.stop, "differentiation marks"));
  AT_TRY_TO(err, done, at_alloc(&s.acc, (size_t)s.n_value, sizeof *s.acc, "cotangents"));
  for (int v = 0; v < s.n_value; v++) {
    s.acc[v] = AT_NONE;
  }
  mark_needed(&s, wrt, n_wrt, through);
  AT_TRY_TO(err, done, seed(&s, out, cot, n_out));
  for (int i = last; i >= 0; i--) {
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
  return err == AT_OK ? AT_OK : (at_graph_fail(g, err), err);
}

at_err at_graph_vjp(at_graph *g, const at_val *out, const at_val *cot, int n_out, const at_val *wrt, int n_wrt,
                    at_val *grad) {
  return at_graph_sweep(g, out, cot, n_out, wrt, n_wrt, false, grad);
}
