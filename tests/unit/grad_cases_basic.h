/* SPDX-License-Identifier: BSD-3-Clause */
/* Cases of test_gradients.c: element-wise operations, shapes, products, the parts of transformers. */
#ifndef AT_TESTS_GRAD_CASES_BASIC_H
#define AT_TESTS_GRAD_CASES_BASIC_H

#include "tests/unit/grad_case.h"

#define UNARY_CASE(op)                                         \
  static at_val build_##op(at_graph *g) {                      \
    return scalar(g, at_##op(g, par(g, "x", AT_SHAPE(3, 5)))); \
  }
UNARY_CASE(neg)
UNARY_CASE(exp)
UNARY_CASE(ln)
UNARY_CASE(sqrt)
UNARY_CASE(tanh)
UNARY_CASE(sigmoid)
UNARY_CASE(square)
UNARY_CASE(recip)
UNARY_CASE(erf)
UNARY_CASE(gelu)
UNARY_CASE(silu)

#define BINARY_CASE(op)                                                               \
  static at_val build_##op(at_graph *g) {                                             \
    at_val a = par(g, "a", AT_SHAPE(2, 3, 5)), row = par(g, "row", AT_SHAPE(5));      \
    at_val column = par(g, "column", AT_SHAPE(3, 1)), one = par(g, "one", AT_SCALAR); \
    at_val y = at_##op(g, at_##op(g, a, row), at_##op(g, column, one));               \
    return scalar(g, at_##op(g, y, par(g, "b", AT_SHAPE(2, 1, 5))));                  \
  }
BINARY_CASE(add)
BINARY_CASE(sub)
BINARY_CASE(mul)
BINARY_CASE(div)

static at_val build_affine(at_graph *g) {
  return scalar(g, at_affine(g, par(g, "x", AT_SHAPE(7)), -1.5, 0.25));
}

static at_val build_shapes(at_graph *g) {
  at_val x = par(g, "x", AT_SHAPE(2, 3, 4));
  at_val y = at_permute(g, at_square(g, x), (int[]){2, 0, 1}); /* 4 2 3 */
  y = at_slice(g, y, 0, 1, 2);                                 /* 2 2 3 */
  y = at_place(g, y, 2, 1, 5);                                 /* 2 2 5 */
  y = at_broadcast(g, at_reshape(g, y, AT_SHAPE(4, 1, 5)), AT_SHAPE(4, 3, 5));
  return scalar(g, y);
}

static at_val build_sums(at_graph *g) {
  at_val x = at_square(g, par(g, "x", AT_SHAPE(2, 3, 4, 2)));
  at_val middle = at_sum(g, x, 1, 3);             /* 2 2 */
  at_val to = at_sum_to(g, x, AT_SHAPE(3, 1, 2)); /* 3 1 2 */
  return scalar(g, at_add(g, at_sum_to(g, to, AT_SHAPE(2)), at_mul(g, middle, middle)));
}

static at_val build_logsumexp(at_graph *g) {
  return scalar(g, at_logsumexp(g, par(g, "x", AT_SHAPE(3, 4))));
}

static at_val build_matmul(at_graph *g) {
  at_val a = par(g, "a", AT_SHAPE(2, 3, 4)), b = par(g, "b", AT_SHAPE(2, 4, 5)), w = par(g, "w", AT_SHAPE(5, 3));
  at_val c = at_matmul(g, a, b, false, false); /* 2 3 5 */
  return scalar(g, at_matmul(g, c, w, false, false));
}

/* Products of matrices, in one operation, either way round, and what is no product. */
static at_val build_add_scaled(at_graph *g) {
  at_val c = par(g, "c", AT_SHAPE(3, 5)), s = par(g, "s", AT_SCALAR), a = par(g, "a", AT_SHAPE(3, 4));
  at_val b = par(g, "b", AT_SHAPE(4, 5)), t = par(g, "t", AT_SHAPE(4, 3)), u = par(g, "u", AT_SHAPE(5, 4));
  c = at_add_scaled(g, c, at_matmul(g, a, b, false, false), s);
  c = at_add_scaled(g, c, at_matmul(g, t, u, true, true), s);
  return scalar(g, at_add_scaled(g, c, at_tanh(g, c), s));
}

static at_val build_matmul_transposed(at_graph *g) {
  at_val a = par(g, "a", AT_SHAPE(2, 4, 3)), b = par(g, "b", AT_SHAPE(2, 5, 4)), w = par(g, "w", AT_SHAPE(6, 3));
  at_val tt = at_matmul(g, a, b, true, true);                                   /* 2 3 5 */
  at_val nt = at_matmul(g, tt, at_matmul(g, w, tt, false, false), false, true); /* 2 3 6 */
  return scalar(g, at_matmul(g, nt, nt, true, false));
}

static at_val build_linear(at_graph *g) {
  at_val x = par(g, "x", AT_SHAPE(2, 3, 4));
  return scalar(g, at_linear(g, x, par(g, "w", AT_SHAPE(4, 5)), par(g, "bias", AT_SHAPE(5))));
}

static at_val build_embed(at_graph *g) {
  at_val ids = at_graph_input(g, "ids", AT_I32, AT_SHAPE(2, 3));
  return scalar(g, at_embed(g, par(g, "table", AT_SHAPE(7, 4)), ids));
}

static at_val build_onehot(at_graph *g) {
  at_val ids = at_graph_input(g, "ids", AT_I32, AT_SHAPE(6));
  return scalar(g, at_mul(g, at_onehot(g, ids, 7), par(g, "x", AT_SHAPE(6, 7))));
}

static at_val build_layernorm(at_graph *g) {
  at_val x = par(g, "x", AT_SHAPE(2, 3, 5));
  return scalar(g, at_layernorm(g, x, par(g, "gain", AT_SHAPE(5)), par(g, "bias", AT_SHAPE(5)), 1e-5));
}

static at_val build_rmsnorm(at_graph *g) {
  return scalar(g, at_rmsnorm(g, par(g, "x", AT_SHAPE(4, 5)), par(g, "gain", AT_SHAPE(5)), 1e-5));
}

static at_val build_rope(at_graph *g) {
  return scalar(g, at_rope(g, par(g, "x", AT_SHAPE(2, 3, 12)), 3, 2, 100.0));
}

static at_val build_attention(at_graph *g) {
  return scalar(g, at_attention(g, par(g, "qkv", AT_SHAPE(2, 5, 24)), 2, 2, true));
}

static at_val build_attention_grouped(at_graph *g) {
  return scalar(g, at_attention(g, par(g, "qkv", AT_SHAPE(1, 4, 16)), 4, 2, false));
}

static at_val build_causal_fill(at_graph *g) {
  return scalar(g, at_causal_fill(g, par(g, "x", AT_SHAPE(2, 3, 4)), 0.5));
}

static at_val build_cross_entropy(at_graph *g) {
  at_val ids = at_graph_input(g, "ids", AT_I32, AT_SHAPE(6));
  at_val x = at_mul(g, par(g, "x", AT_SHAPE(6, 7)), par(g, "scale", AT_SHAPE(7)));
  return at_cross_entropy(g, x, ids, 1.0 / 6);
}

static const grad_case basic_cases[] = {
    {"neg", build_neg, FILL_NORMAL},
    {"exp", build_exp, FILL_NORMAL},
    {"log", build_ln, FILL_POSITIVE},
    {"sqrt", build_sqrt, FILL_POSITIVE},
    {"tanh", build_tanh, FILL_NORMAL},
    {"sigmoid", build_sigmoid, FILL_NORMAL},
    {"square", build_square, FILL_NORMAL},
    {"recip", build_recip, FILL_POSITIVE},
    {"erf", build_erf, FILL_NORMAL},
    {"gelu", build_gelu, FILL_NORMAL},
    {"silu", build_silu, FILL_NORMAL},
    {"add", build_add, FILL_NORMAL},
    {"sub", build_sub, FILL_NORMAL},
    {"mul", build_mul, FILL_NORMAL},
    {"div", build_div, FILL_POSITIVE},
    {"affine", build_affine, FILL_NORMAL},
    {"reshape, permute, broadcast, slice, place", build_shapes, FILL_NORMAL},
    {"sum", build_sums, FILL_NORMAL},
    {"logsumexp", build_logsumexp, FILL_NORMAL},
    {"matmul", build_matmul, FILL_NORMAL},
    {"matmul transposed", build_matmul_transposed, FILL_NORMAL},
    {"add scaled", build_add_scaled, FILL_NORMAL},
    {"linear", build_linear, FILL_NORMAL},
    {"embed", build_embed, FILL_NORMAL},
    {"onehot", build_onehot, FILL_NORMAL},
    {"layernorm", build_layernorm, FILL_NORMAL},
    {"rmsnorm", build_rmsnorm, FILL_NORMAL},
    {"rope", build_rope, FILL_NORMAL},
    {"attention", build_attention, FILL_NORMAL},
    {"attention, grouped, full", build_attention_grouped, FILL_NORMAL},
    {"causal_fill", build_causal_fill, FILL_NORMAL},
    {"cross_entropy", build_cross_entropy, FILL_NORMAL},
};

#endif
