/* SPDX-License-Identifier: BSD-3-Clause */
/* Substitution of values, and unrolled training steps made of it. */
#include "src/graph/unroll.h"

#include <string.h>

#include "src/base/alloc.h"
#include "src/graph/graph_internal.h"
#include "src/graph/ops.h"

/* --- substitution -------------------------------------------------------------------------------------------------------- */

void at_graph_cone(const at_graph *g, const at_val *in, int n_in, bool *cone) {
  for (int k = 0; k < n_in; k++) {
    if (in[k] != AT_NONE) {
      cone[in[k]] = true;
    }
  }
  for (int i = g->n_node - 1; i >= 0; i--) {
    const at_node *n = &g->node[i];
    bool wanted = false;
    for (int j = 0; j < n->n_out; j++) {
      wanted = wanted || cone[n->out + j];
    }
    for (int k = 0; wanted && k < n->n_in; k++) {
      cone[n->in[k]] = true;
    }
  }
}

/* The node again on mapped inputs, if one of them moved. */
static at_err copy_node(at_graph *g, int node, at_val *map, const bool *fixed) {
  at_node n = g->node[node]; /* a copy: new nodes may move the array */
  bool moved = false;
  for (int k = 0; k < n.n_in; k++) {
    moved = moved || map[n.in[k]] != n.in[k];
    n.in[k] = map[n.in[k]];
  }
  if (!moved) {
    return AT_OK;
  }
  at_val first = at_graph_copy(g, &n, n.in, n.copy); /* a recomputation stays one */
  for (int j = 0; j < n.n_out && first != AT_NONE; j++) {
    map[n.out + j] = fixed[n.out + j] ? map[n.out + j] : first + j;
  }
  return g->status;
}

static at_err check_pair(const at_graph *g, at_val from, at_val to) {
  if (!at_shape_equal(at_graph_shape(g, from), at_graph_shape(g, to)) ||
      at_graph_value(g, from)->dtype != at_graph_value(g, to)->dtype) {
    char a[96], b[96];
    return AT_FAIL(AT_ERR_ARG, "substitute: %s %s for %s %s", at_dtype_name(at_graph_value(g, to)->dtype),
                   at_shape_text(at_graph_shape(g, to), a, sizeof a), at_dtype_name(at_graph_value(g, from)->dtype),
                   at_shape_text(at_graph_shape(g, from), b, sizeof b));
  }
  return AT_OK;
}

at_err at_graph_substitute(at_graph *g, const at_val *from, const at_val *to, int n, const at_val *in, int n_in,
                           at_val *out) {
  AT_TRY(g->status);
  at_err e;
  size_t values = (size_t)g->n_value;
  at_val *map = NULL;
  bool *cone = NULL, *fixed = NULL;
  AT_TRY_TO(e, done, at_alloc(&map, values, sizeof *map, "substitution"));
  AT_TRY_TO(e, done, at_alloc(&cone, values, sizeof *cone, "substitution"));
  AT_TRY_TO(e, done, at_alloc(&fixed, values, sizeof *fixed, "substitution"));
  for (size_t v = 0; v < values; v++) {
    map[v] = (at_val)v;
  }
  for (int i = 0; i < n; i++) {
    AT_TRY_TO(e, done, check_pair(g, from[i], to[i]));
    map[from[i]] = to[i];
    fixed[from[i]] = true;
  }
  at_graph_cone(g, in, n_in, cone);
  for (int i = 0, nodes = g->n_node; i < nodes; i++) {
    bool wanted = false;
    for (int j = 0; j < g->node[i].n_out; j++) {
      wanted = wanted || cone[g->node[i].out + j];
    }
    if (wanted && g->node[i].op != AT_OP_leaf) {
      AT_TRY_TO(e, done, copy_node(g, i, map, fixed));
    }
  }
  for (int k = 0; k < n_in; k++) {
    out[k] = in[k] == AT_NONE ? AT_NONE : map[in[k]];
  }
done:
  at_free(map);
  at_free(cone);
  at_free(fixed);
  return e;
}

/* --- unrolled steps -------------------------------------------------------------------------------------------------------- */

/* Lists of one unrolling, each in the order theta, carry, data (from, to) or loss, gradients, next (template, now). */
typedef struct lists {
  at_val *from, *to, *template, *now;
  int n_from, n_out;
} lists;

/* theta - lr grad for what is trained. */
static void descend(at_graph *g, const at_unroll *u, const at_val *grad, at_val *theta) {
  for (int i = 0; i < u->n; i++) {
    if (u->lr[i] != AT_NONE && grad[i] != AT_NONE) {
      at_val d = u->first_order ? at_stop_gradient(g, grad[i]) : grad[i];
      theta[i] = at_sub(g, theta[i], at_mul(g, d, u->lr[i]));
    }
  }
}

static at_err run_steps(at_graph *g, const at_unroll *u, lists *l, at_val *loss) {
  for (int s = 0; s < u->steps; s++) {
    if (u->n_data > 0) {
      memcpy(l->to + u->n + u->n_carry, u->step_data + (ptrdiff_t)s * u->n_data, (size_t)u->n_data * sizeof *l->to);
    }
    AT_TRY(at_graph_substitute(g, l->from, l->to, l->n_from, l->template, l->n_out, l->now));
    if (loss != NULL) {
      loss[s] = l->now[0];
    }
    descend(g, u, l->now + 1, l->to);
    for (int i = 0; i < u->n_carry; i++) {
      l->to[u->n + i] = l->now[1 + u->n + i];
    }
  }
  return g->status;
}

at_err at_graph_unroll(at_graph *g, const at_unroll *u, at_val *theta, at_val *carry, at_val *loss) {
  int n_from = u->n + u->n_carry + u->n_data, n_out = 1 + u->n + u->n_carry;
  at_val *block;
  AT_TRY(at_alloc(&block, (size_t)(2 * n_from + 2 * n_out), sizeof *block, "unrolled steps"));
  lists l = {block, block + n_from, block + 2 * n_from, block + 2 * n_from + n_out, n_from, n_out};
  for (int i = 0; i < n_from; i++) {
    int c = i - u->n, d = c - u->n_carry;
    l.from[i] = l.to[i] = i < u->n ? u->theta[i] : d < 0 ? u->carry[c] : u->data[d];
  }
  l.template[0] = u->loss;
  at_err e = at_graph_vjp(g, &u->loss, NULL, 1, u->theta, u->n, l.template + 1);
  for (int i = 0; i < u->n_carry; i++) {
    l.template[1 + u->n + i] = u->next[i];
  }
  if (e == AT_OK) {
    e = run_steps(g, u, &l, loss);
  }
  for (int i = 0; i < u->n && e == AT_OK; i++) {
    theta[i] = l.to[i];
  }
  for (int i = 0; i < u->n_carry && carry != NULL && e == AT_OK; i++) {
    carry[i] = l.to[u->n + i];
  }
  at_free(block);
  return e;
}
