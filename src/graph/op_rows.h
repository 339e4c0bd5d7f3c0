/* SPDX-License-Identifier: BSD-3-Clause */
/* The rows that the op_*.c files define, one per operation, and helpers that lower shapes to kernel dimensions. */
#ifndef AT_GRAPH_OP_ROWS_H
#define AT_GRAPH_OP_ROWS_H

#include "src/graph/graph_internal.h"

#define X(name) extern const at_op_row at_op_row_##name;
AT_OPS(X)
#undef X

/* stride[out.nd]: strides of a contiguous `in` broadcast to `out`, 0 where it is repeated. */
void at_lower_strides(at_shape out, at_shape in, int64_t *stride);

/* Inputs broadcast against one another, element by element: the output's shape, and dimensions for the kernel. */
at_err at_infer_broadcast(const at_graph *g, const at_node *n, at_shape *out);
void at_lower_broadcast(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift);
/* The shape of input 0; its element count and the two attributes for the kernel. */
at_err at_infer_same(const at_graph *g, const at_node *n, at_shape *out);
void at_lower_unary(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift);
/* One floating-point operation per element of the output. */
double at_flops_elements(const at_graph *g, const at_node *n);

#endif
