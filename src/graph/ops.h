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
at_val at_maximum(at_graph *g, at_val a, at_val b); /* of equal values a's derivative counts */
at_val at_minimum(at_graph *g, at_val a, at_val b);
at_val at_less(at_graph *g, at_val a, at_val b); /* 1 or 0, without derivative; so the next two */
at_val at_less_equal(at_graph *g, at_val a, at_val b);
at_val at_equal(at_graph *g, at_val a, at_val b);
at_val at_where(at_graph *g, at_val mask, at_val yes, at_val no); /* mask != 0 ? yes : no; no derivative in mask */

/* Element-wise. */
at_val at_affine(at_graph *g, at_val x, double scale, double shift); /* scale * x + shift */
at_val at_neg(at_graph *g, at_val x);
at_val at_exp(at_graph *g, at_val x);
at_val at_ln(at_graph *g, at_val x);
at_val at_sqrt(at_graph *g, at_val x);
at_val at_tanh(at_graph *g, at_val x);
at_val at_sigmoid(at_graph *g, at_val x);
at_val at_log_sigmoid(at_graph *g, at_val x);
at_val at_square(at_graph *g, at_val x);
at_val at_recip(at_graph *g, at_val x);
at_val at_pow(at_graph *g, at_val x, double p); /* x > 0 unless p is an integer of size up to 64 */
at_val at_erf(at_graph *g, at_val x);
at_val at_gelu(at_graph *g, at_val x);
at_val at_silu(at_graph *g, at_val x);
at_val at_relu(at_graph *g, at_val x);
at_val at_softplus(at_graph *g, at_val x); /* log(1 + exp(x)) */
at_val at_abs(at_graph *g, at_val x);
at_val at_sign(at_graph *g, at_val x);                        /* -1, 0 or 1, without derivative */
at_val at_clamp(at_graph *g, at_val x, double lo, double hi); /* derivative 1 inside and at the bounds, 0 outside */

/* About derivatives.  Each costs nothing. */
at_val at_stop_gradient(at_graph *g, at_val x);                  /* x, whose derivative is 0 */
at_val at_straight_through(at_graph *g, at_val value, at_val x); /* `value`, with the derivative of x (same shape) */
at_val at_clamp_through(at_graph *g, at_val x, double lo, double hi); /* clamped, with the derivative of x */

/* Shapes.  reshape is free; the others copy.  They take i32 too. */
at_val at_reshape(at_graph *g, at_val x, at_shape shape);
at_val at_permute(at_graph *g, at_val x, const int *axes); /* out axis i is in axis axes[i] */
at_val at_broadcast(at_graph *g, at_val x, at_shape shape);
at_val at_slice(at_graph *g, at_val x, int axis, int64_t start, int64_t count);
at_val at_place(at_graph *g, at_val x, int axis, int64_t start, int64_t total); /* zeros around x: slice transposed */
at_val at_join(at_graph *g, at_val a, at_val b, int axis);
at_val at_concat(at_graph *g, const at_val *part, int n, int axis); /* n >= 1 */

/* Reductions. */
at_val at_sum(at_graph *g, at_val x, int axis_from, int axis_to); /* over axes [from, to), which go away */
at_val at_sum_all(at_graph *g, at_val x);
at_val at_sum_to(at_graph *g, at_val x, at_shape shape); /* the transpose of broadcast */
at_val at_mean(at_graph *g, at_val x, int axis_from, int axis_to);
at_val at_mean_all(at_graph *g, at_val x);
at_val at_max(at_graph *g, at_val x, int axis); /* the axis goes away; of equal values the first's derivative counts */
at_val at_logsumexp(at_graph *g, at_val x);     /* over the last axis, which goes away */
at_val at_softmax(at_graph *g, at_val x);       /* over the last axis */
at_val at_log_softmax(at_graph *g, at_val x);   /* over the last axis */

/* Indices are i32 and have no derivative.  NaN counts as the largest. */
at_val at_argmax(at_graph *g, at_val x, int axis); /* the axis goes away; the first of the largest */
at_val at_topk(at_graph *g, at_val x, int64_t k);  /* along the last axis, which becomes k, in descending order of x */
/* out[.., j, ..] = x[.., index[.., j, ..], ..] along `axis`; shapes agree in the other axes.  An index outside gives 0. */
at_val at_take(at_graph *g, at_val x, at_val index, int axis);
/* Its transpose: out[.., index[.., j, ..], ..] += dy[.., j, ..], with `size` places along `axis`. */
at_val at_put(at_graph *g, at_val dy, at_val index, int axis, int64_t size);
at_val at_gather(at_graph *g, at_val x, at_val ids); /* rows x [rows][..] by ids i32 [..] -> [ids.., ..] */
/* Its transpose: x [ids.., ..] added up by id -> [rows][..]. */
at_val at_scatter_add(at_graph *g, at_val x, at_val ids, int64_t rows);
at_val at_embed(at_graph *g, at_val table, at_val ids);               /* table [rows][d], ids i32 [..] -> [.., d] */
at_val at_embed_sum(at_graph *g, at_val x, at_val ids, int64_t rows); /* its transpose */
at_val at_onehot(at_graph *g, at_val ids, int64_t classes);           /* i32 [..] -> [.., classes] */
at_val at_to_real(at_graph *g, at_val x);
at_val at_to_int(at_graph *g, at_val x); /* towards 0 */

/* C = op(A) op(B) over the last two axes; leading axes are broadcast.  ta, tb: use the transpose of A, of B. */
at_val at_matmul(at_graph *g, at_val a, at_val b, bool ta, bool tb);
/* x [.., in] times w [in][out], plus bias [out] unless AT_NONE. */
at_val at_linear(at_graph *g, at_val x, at_val w, at_val bias);

/* x + s y of one shape, s a scalar; where y is a product of matrices, it is added up on x without being formed. */
at_val at_add_scaled(at_graph *g, at_val x, at_val y, at_val s);

/* A window that moves over an image: rows first, then columns. */
typedef struct at_window2d {
  int64_t kernel[2], stride[2], pad[2];
} at_window2d;

/* Channels are last.  x [n][h][w][c], w [kh][kw][c / groups][oc] -> [n][oh][ow][oc]; the kernel's size is w's (v.kernel is not
 * read); zeros stand around x; oh = (h + 2 pad - kh) / stride + 1. */
at_val at_conv2d(at_graph *g, at_val x, at_val w, at_window2d v, int64_t groups);
/* x [n][t][c], w [k][c / groups][oc] -> [n][ot][oc]. */
at_val at_conv1d(at_graph *g, at_val x, at_val w, int64_t stride, int64_t pad, int64_t groups);
/* The patches that a convolution multiplies: x [n][h][w][c] -> [n][oh ow][kh kw c]. */
at_val at_unfold(at_graph *g, at_val x, at_window2d v);
/* Pooling of x [n][h][w][c]; padding at most half the kernel.  count_padding: divide by the whole window even at the border.  Of
 * equal values the first's derivative counts. */
at_val at_avgpool(at_graph *g, at_val x, at_window2d v, bool count_padding);
at_val at_maxpool(at_graph *g, at_val x, at_window2d v);
/* Adaptive: to height x width outputs, each over its share of the image (shares overlap where sizes do not divide). */
at_val at_avgpool_to(at_graph *g, at_val x, int64_t height, int64_t width);
at_val at_maxpool_to(at_graph *g, at_val x, int64_t height, int64_t width);

/* Normalisation over the last axis.  Batch- and group-norm: src/graph/norms.h. */
at_val at_layernorm(at_graph *g, at_val x, at_val gain, at_val bias, double eps);
at_val at_rmsnorm(at_graph *g, at_val x, at_val gain, double eps);
/* Rows of channels x [batch][rows][c]: mean and variance (biased) over rows, [batch][c]; x a + b with a, b [batch][c]; sums over
 * rows of x y (returned) and of x. */
at_val at_mean_variance(at_graph *g, at_val x, at_val *variance);
at_val at_rows_affine(at_graph *g, at_val x, at_val a, at_val b);
at_val at_rows_dot(at_graph *g, at_val x, at_val y, at_val *sum);

/* Dropout (Srivastava et al. 2014): 0 with probability p, else x / (1 - p).  The mask is a function of the key, of p, of the
 * element's number and of `site`, which tells the dropouts of a model apart (0 .. AT_DROPOUT_SITES - 1).  The key is an i32
 * input [AT_KEY_WORDS], filled before each run by at_dropout_key: so a program is compiled once.  p = 0 gives x. */
enum { AT_KEY_WORDS = 8, AT_DROPOUT_SITES = 60000 };
at_val at_dropout(at_graph *g, at_val x, at_val key, double p, int site);
void at_dropout_key(uint64_t seed, uint64_t client, uint64_t round, uint64_t step, int32_t key[AT_KEY_WORDS]);

/* Rotary positions (Su et al. 2021) on packed heads [batch][t][heads * hd]: the first `rotated` heads turn. */
at_val at_rope(at_graph *g, at_val x, int heads, int rotated, double base);
/* Attention on packed queries, keys and values [batch][t][(hq + 2 hkv) * hd] -> [batch][t][hq * hd]; scale
 * 1/sqrt(hd).  No t x t matrix is formed (Dao et al. 2022). */
at_val at_attention(at_graph *g, at_val qkv, int hq, int hkv, bool causal);
at_val at_attention_scaled(at_graph *g, at_val qkv, int hq, int hkv, bool causal, double scale);
/* Where only the first length[b] >= 1 positions of sequence b are keys, for bidirectional models on padded batches; length i32
 * [batch], given at run time.  Forms the t x t matrix.  (Under a causal mask padding behind needs no mask.) */
at_val at_attention_padded(at_graph *g, at_val qkv, at_val length, int hq, int hkv, bool causal);
/* x [.., t, s] with entries above the diagonal replaced by `fill`. */
at_val at_causal_fill(at_graph *g, at_val x, double fill);
/* x [batch][..][s] with entries from s = length[batch] on replaced by `fill`. */
at_val at_length_fill(at_graph *g, at_val x, at_val length, double fill);

/* scale * sum over rows of -log softmax(logits)[target]; rows with a negative target are skipped.  logits [rows][v],
 * target i32 [rows] -> scalar.  Other losses: src/graph/losses.h. */
at_val at_cross_entropy(at_graph *g, at_val logits, at_val target, double scale);

#endif
