/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of operations: one row each. */
#include "src/graph/graph_internal.h"
#include "src/graph/op_rows.h"

/* Leaves have no inputs and no kernel; the graph makes them itself. */
const at_op_row at_op_row_leaf = {.name = "leaf", .n_in = 0, .n_out = 1, .kslot = -1};

const at_op_row *at_op_get(at_op op) {
  static const at_op_row *const table[AT_OP_COUNT] = {
#define X(name) [AT_OP_##name] = &at_op_row_##name,
      AT_OPS(X)
#undef X
  };
  return table[op];
}

at_kslot at_op_slot(const at_graph *g, at_op op) {
  const at_op_row *row = at_op_get(op);
  const bool bf16 = g->precision == AT_PRECISION_BF16 && g->real == AT_F32 && row->kslot_bf16 != 0;
  return (at_kslot)(bf16 ? row->kslot_bf16 : row->kslot);
}
