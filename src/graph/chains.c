/* SPDX-License-Identifier: BSD-3-Clause */
/* Finding chains of element-wise steps that can run block by block. */
#include "src/graph/op_rows.h"
#include "src/graph/plan.h"

static int64_t count_of(const at_graph *g, at_val v) {
  return at_shape_count(g->value[v].shape);
}

/* Does every output element depend on the same element of each input, or on a scalar? */
static bool is_elementwise(const at_graph *g, const at_node *n) {
  const at_op_row *row = at_op_get(n->op);
  int64_t count = count_of(g, n->out);
  if (row->lower != at_lower_unary && row->lower != at_lower_broadcast) {
    return false;
  }
  for (int k = 0; k < n->n_in; k++) {
    int64_t c = count_of(g, n->in[k]);
    if (c != count && (c != 1 || row->lower == at_lower_unary)) {
      return false;
    }
  }
  return n->n_out == 1 && count > AT_CHAIN_BLOCK;
}

void at_plan_chains(const at_graph *g, const int *node, int n_step, int *chain) {
  for (int first = 0, last; first < n_step; first = last + 1) {
    const at_node *n = &g->node[node[first]];
    last = first;
    while (is_elementwise(g, n) && last + 1 < n_step && is_elementwise(g, &g->node[node[last + 1]]) &&
           count_of(g, g->node[node[last + 1]].out) == count_of(g, n->out)) {
      last++;
    }
    for (int s = first; s <= last; s++) {
      chain[s] = last;
    }
  }
}
