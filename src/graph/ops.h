/* SPDX-License-Identifier: BSD-3-Clause */
/* The operations of a graph, as builders.
 *
 * An operation is one row of the table in ops.c (name, shape rule, derivative as graph nodes, kernel slot) and its
 * kernel files.  The formula of each slot stands in kernels/kernels.h.  All builders return AT_NONE after a failure. */
#ifndef AT_GRAPH_OPS_H
#define AT_GRAPH_OPS_H

#include "src/graph/graph.h"

/* Element-wise with NumPy's broadcasting. */
at_val at_add(at_graph *g, at_val a, at_val b);
at_val at_sub(at_graph *g, at_val a, at_val b);
at_val at_mul(at_graph *g, at_val a, at_val b);
at_val at_div(at_graph *g, at_val a, at_val b);

/* Element-wise. */
at_val at_affine(at_graph *g, at_val x, double scale, double shift); /* scale * x + shift */
at_val at_neg(at_graph *g, at_val x);
at_val at_exp(at_graph *g, at_val x);
at_val at_log(at_graph *g, at_val x);
at_val at_sqrt(at_graph *g, at_val x);
at_val at_tanh(at_graph *g, at_val x);
at_val at_sigmoid(at_graph *g, at_val x);
at_val at_square(at_graph *g, at_val x);
at_val at_recip(at_graph *g, at_val x);
at_val at_erf(at_graph *g, at_val x);
at_val at_gelu(at_graph *g, at_val x);
at_val at_silu(at_graph *g, at_val x);

/* Shapes.  reshape is free; the others copy. */
at_val at_reshape(at_graph *g, at_val x, at_shape shape);
at_val at_permute(at_graph *g, at_val x, const int *axes); /* out axis i is in axis axes[i] */
at_val at_broadcast(at_graph *g, at_val x, at_shape shape);
at_val at_slice(at_graph *g, at_val x, int axis, int64_t start, int64_t count);
at_val at_place(at_graph *g, at_val x, int axis, int64_t start, int64_t total); /* zeros around x: slice transposed */

/* Reductions. */
at_val at_sum(at_graph *g, at_val x, int axis_from, int axis_to); /* over axes [from, to), which go away */
at_val at_sum_all(at_graph *g, at_val x);
at_val at_sum_to(at_graph *g, at_val x, at_shape shape); /* the transpose of broadcast */
at_val at_logsumexp(at_graph *g, at_val x);              /* over the last axis, which goes away */

/* C = op(A) op(B) over the last two axes; leading axes must be equal, or absent in one operand.  ta, tb: use the
 * transpose of A, of B. */
at_val at_matmul(at_graph *g, at_val a, at_val b, bool ta, bool tb);
/* x [.., in] times w [in][out], plus bias [out] unless AT_NONE. */
at_val at_linear(at_graph *g, at_val x, at_val w, at_val bias);

at_val at_embed(at_graph *g, at_val table, at_val ids);     /* table [rows][d], ids i32 [..] -> [.., d] */
at_val at_onehot(at_graph *g, at_val ids, int64_t classes); /* i32 [n] -> [n][classes] */

/* Normalisation over the last axis. */
at_val at_layernorm(at_graph *g, at_val x, at_val gain, at_val bias, double eps);
at_val at_rmsnorm(at_graph *g, at_val x, at_val gain, double eps);

/* Rotary positions (Su et al. 2021) on packed heads [batch][t][heads * hd]: the first `rotated` heads turn. */
at_val at_rope(at_graph *g, at_val x, int heads, int rotated, double base);
/* Attention on packed queries, keys and values [batch][t][(hq + 2 hkv) * hd] -> [batch][t][hq * hd]; scale
 * 1/sqrt(hd).  No t x t matrix is formed (Dao et al. 2022). */
at_val at_attention(at_graph *g, at_val qkv, int hq, int hkv, bool causal);
/* x [.., t, s] with entries above the diagonal replaced by `fill`. */
at_val at_causal_fill(at_graph *g, at_val x, double fill);

/* scale * sum over rows of -log softmax(logits)[target]; rows with a negative target are skipped.  logits [rows][v],
 * target i32 [rows] -> scalar. */
at_val at_cross_entropy(at_graph *g, at_val logits, at_val target, double scale);

#endif
