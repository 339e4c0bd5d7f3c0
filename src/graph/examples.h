/* SPDX-License-Identifier: BSD-3-Clause */
/* Norms of per-example gradients without the per-example gradients.
 *
 * A weight's gradient is a sum over examples e of products of what went in with the gradient of what came out: for a linear
 * layer on t rows per example, G_e = X_e^T D_e.  Its squared norm is the sum over all elements of (X_e X_e^T) o (D_e D_e^T),
 * which for t = 1 is |x_e|^2 |d_e|^2 (Goodfellow 2015; Li et al. 2022).  Where t is so large that G_e is the smaller one, G_e is
 * formed for one layer at a time. */
#ifndef AT_GRAPH_EXAMPLES_H
#define AT_GRAPH_EXAMPLES_H

#include "src/graph/graph.h"

/* out [examples]: the squared norm, over all param[0..n), of the gradient of each example's share of `loss`.
 *
 * loss: a scalar, the sum over examples of something that depends on that example alone (so not through batch statistics).
 * Values that depend on examples have them on their first axis, or on an axis into which the first was folded (example-major).
 * Each parameter must be used as a weight of matmul or conv2d (one group), a table of embed, a gain or bias of a norm over the
 * last axis, or a trailing-axes operand of add, sub or mul; through reshapes; if more than once, then in one kind of product.
 * Anything else is AT_ERR_ARG, naming the operation.  Inner products of every example's gradient with one vector: at_graph_jvp
 * of the vector of losses (src/graph/hessian.h). */
at_err at_example_norms(at_graph *g, at_val loss, int64_t examples, const at_val *param, int n, at_val *out);

#endif
