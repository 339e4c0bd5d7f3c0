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

#endif
