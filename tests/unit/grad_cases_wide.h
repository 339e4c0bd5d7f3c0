/* SPDX-License-Identifier: BSD-3-Clause */
/* Cases of test_gradients.c: choosing, indexing, convolution, pooling, normalisation over batches, losses, unrolled steps. */
#ifndef AT_TESTS_GRAD_CASES_WIDE_H
#define AT_TESTS_GRAD_CASES_WIDE_H

#include "src/graph/losses.h"
#include "src/graph/norms.h"
#include "src/graph/unroll.h"
#include "tests/unit/grad_case.h"

static at_val ids_input(at_graph *g, at_shape s) {
  return at_graph_input(g, "ids", AT_I32, s);
}

/* --- choosing ---------------------------------------------------------------------------------------------------------- */

static at_val build_maximum(at_graph *g) {
  at_val a = par(g, "a", AT_SHAPE(2, 3, 4)), b = par(g, "b", AT_SHAPE(3, 1));
  return scalar(g, at_maximum(g, a, at_mul(g, b, a)));
}

static at_val build_minimum(at_graph *g) {
  at_val a = par(g, "a", AT_SHAPE(4)), b = par(g, "b", AT_SHAPE(2, 3, 4));
  return scalar(g, at_minimum(g, at_square(g, a), b));
}

static at_val build_where(at_graph *g) {
  at_val a = par(g, "a", AT_SHAPE(3, 4)), b = par(g, "b", AT_SHAPE(4));
  at_val y = at_where(g, at_less(g, a, b), at_square(g, b), at_mul(g, a, b));
  y = at_add(g, y, at_mul(g, at_less_equal(g, b, a), at_exp(g, a)));
  return scalar(g, at_add(g, y, at_mul(g, at_equal(g, a, a), at_mul(g, at_sign(g, b), a))));
}

static at_val build_kinks(at_graph *g) {
  at_val x = par(g, "x", AT_SHAPE(4, 6));
  at_val y = at_add(g, at_relu(g, x), at_abs(g, at_affine(g, x, 1, 0.3)));
  y = at_add(g, at_relu(g, at_mul(g, y, x)), at_square(g, at_clamp(g, x, -0.7, 0.5)));
  return scalar(g, y);
}

static at_val build_softplus(at_graph *g) {
  at_val x = par(g, "x", AT_SHAPE(3, 5));
  return scalar(g, at_mul(g, at_softplus(g, x), at_log_sigmoid(g, x)));
}

static at_val build_pow(at_graph *g) {
  at_val x = par(g, "x", AT_SHAPE(5));
  at_val y = at_add(g, at_pow(g, x, 7), at_add(g, at_pow(g, x, -2), at_pow(g, x, 1.5)));
  return scalar(g, at_add(g, y, at_add(g, at_pow(g, x, -0.5), at_pow(g, x, 0))));
}

static at_val build_softmax(at_graph *g) {
  at_val x = par(g, "x", AT_SHAPE(2, 3, 4));
  return scalar(g, at_add(g, at_softmax(g, x), at_log_softmax(g, at_square(g, x))));
}

static at_val build_dropout(at_graph *g) {
  at_val key = ids_input(g, AT_SHAPE(AT_KEY_WORDS)), x = par(g, "x", AT_SHAPE(5, 7));
  return scalar(g, at_dropout(g, at_square(g, at_dropout(g, x, key, 0.4, 0)), key, 0.2, 1));
}

static at_val build_attention_padded(at_graph *g) {
  at_val length = ids_input(g, AT_SHAPE(2));
  return scalar(g, at_attention_padded(g, par(g, "qkv", AT_SHAPE(2, 5, 16)), length, 2, 1, false));
}

static at_val build_attention_scaled(at_graph *g) {
  return scalar(g, at_attention_scaled(g, par(g, "qkv", AT_SHAPE(2, 3, 12)), 2, 2, false, 0.25));
}

/* --- indices ------------------------------------------------------------------------------------------------------------- */

static at_val build_max(at_graph *g) {
  at_val x = par(g, "x", AT_SHAPE(2, 5, 3));
  return scalar(g, at_mul(g, at_max(g, x, 1), at_max(g, at_square(g, par(g, "y", AT_SHAPE(2, 3, 4))), 2)));
}

static at_val build_topk(at_graph *g) {
  at_val x = par(g, "x", AT_SHAPE(3, 6));
  return scalar(g, at_square(g, at_take(g, x, at_topk(g, x, 3), 1)));
}

static at_val build_take_put(at_graph *g) {
  at_val index = ids_input(g, AT_SHAPE(2, 3, 2)), x = par(g, "x", AT_SHAPE(2, 6, 2)); /* 6 is outside */
  at_val some = at_square(g, at_take(g, x, index, 1));
  return scalar(g, at_put(g, some, index, 1, 4));
}

static at_val build_gather(at_graph *g) {
  at_val ids = ids_input(g, AT_SHAPE(2, 3)), x = par(g, "x", AT_SHAPE(7, 2, 2));
  at_val rows = at_square(g, at_gather(g, x, ids)); /* 2 3 2 2 */
  at_val sums = at_scatter_add(g, rows, ids, 5);    /* 5 2 2 */
  return scalar(
      g, at_add(g, sums,
                at_reshape(g, at_embed_sum(g, at_reshape(g, rows, AT_SHAPE(2, 3, 4)), ids, 5), AT_SHAPE(5, 2, 2))));
}

static at_val build_concat(at_graph *g) {
  at_val a = par(g, "a", AT_SHAPE(2, 1, 3)), b = par(g, "b", AT_SHAPE(2, 4, 3)), part[3] = {a, b, at_square(g, a)};
  return scalar(g, at_mean(g, at_square(g, at_concat(g, part, 3, 1)), 0, 1));
}

static at_val build_matmul_broadcast(at_graph *g) {
  at_val a = par(g, "a", AT_SHAPE(2, 1, 3, 4)), b = par(g, "b", AT_SHAPE(5, 4, 2));
  return scalar(g, at_matmul(g, a, b, false, false));
}

/* --- convolution and pooling ------------------------------------------------------------------------------------------------ */

static at_val conv(at_graph *g, at_shape x, at_shape w, at_window2d v, int64_t groups) {
  return scalar(g, at_conv2d(g, par(g, "x", x), par(g, "w", w), v, groups));
}

static at_val build_conv(at_graph *g) {
  return conv(g, AT_SHAPE(2, 4, 5, 2), AT_SHAPE(3, 3, 2, 3), (at_window2d){.stride = {1, 1}, .pad = {1, 1}}, 1);
}

static at_val build_conv_stride(at_graph *g) {
  return conv(g, AT_SHAPE(1, 6, 5, 2), AT_SHAPE(3, 2, 2, 2), (at_window2d){.stride = {2, 3}, .pad = {1, 0}}, 1);
}

static at_val build_conv_groups(at_graph *g) {
  return conv(g, AT_SHAPE(2, 4, 4, 4), AT_SHAPE(2, 2, 2, 6), (at_window2d){.stride = {2, 1}, .pad = {0, 1}}, 2);
}

static at_val build_conv_pointwise(at_graph *g) {
  return conv(g, AT_SHAPE(2, 5, 5, 3), AT_SHAPE(1, 1, 3, 2), (at_window2d){.stride = {2, 2}}, 1);
}

static at_val build_conv1d(at_graph *g) {
  at_val x = par(g, "x", AT_SHAPE(2, 7, 4)), w = par(g, "w", AT_SHAPE(3, 1, 4));
  return scalar(g, at_conv1d(g, x, w, 2, 1, 4));
}

static at_val build_unfold(at_graph *g) {
  at_val x = at_square(g, par(g, "x", AT_SHAPE(2, 4, 3, 2)));
  return scalar(g, at_unfold(g, x, (at_window2d){.kernel = {2, 3}, .stride = {1, 2}, .pad = {0, 1}}));
}

static at_val build_avgpool(at_graph *g) {
  at_val x = at_square(g, par(g, "x", AT_SHAPE(2, 5, 6, 2)));
  at_window2d v = {.kernel = {3, 2}, .stride = {2, 2}, .pad = {1, 1}};
  return scalar(g, at_add(g, at_avgpool(g, x, v, true), at_square(g, at_avgpool(g, x, v, false))));
}

static at_val build_maxpool(at_graph *g) {
  at_val x = at_square(g, par(g, "x", AT_SHAPE(2, 5, 6, 2)));
  return scalar(g, at_maxpool(g, x, (at_window2d){.kernel = {3, 3}, .stride = {2, 1}, .pad = {1, 1}}));
}

static at_val build_adaptive(at_graph *g) {
  at_val x = at_square(g, par(g, "x", AT_SHAPE(2, 5, 3, 2)));
  return scalar(g, at_mul(g, at_avgpool_to(g, x, 2, 2), at_maxpool_to(g, x, 2, 2)));
}

/* --- normalisation ------------------------------------------------------------------------------------------------------------ */

static at_val build_moments(at_graph *g) {
  at_val variance, x = par(g, "x", AT_SHAPE(2, 4, 3));
  at_val mean = at_mean_variance(g, x, &variance);
  at_val alone, lone = at_mean_variance(g, at_square(g, x), &alone);
  return scalar(g, at_add(g, at_mul(g, mean, variance), at_add(g, lone, alone)));
}

static at_val build_rows(at_graph *g) {
  at_val x = par(g, "x", AT_SHAPE(2, 4, 3)), a = par(g, "a", AT_SHAPE(2, 3)), sum, sum2;
  at_val y = at_rows_affine(g, x, a, at_square(g, a));
  at_val dot = at_rows_dot(g, y, at_square(g, x), &sum);
  at_val self = at_rows_dot(g, x, x, &sum2);
  return scalar(g, at_add(g, at_add(g, dot, sum), at_mul(g, self, sum2)));
}

static at_val build_batchnorm(at_graph *g) {
  at_bn bn = {.gain = par(g, "gain", AT_SHAPE(3)),
              .bias = par(g, "bias", AT_SHAPE(3)),
              .mix = AT_NONE,
              .run_mean = par(g, "run mean", AT_SHAPE(3)),
              .run_var = par(g, "run var", AT_SHAPE(3)),
              .eps = 1e-5,
              .momentum = 0.1};
  at_bn_result r = at_batchnorm(g, par(g, "x", AT_SHAPE(3, 2, 2, 3)), &bn);
  at_val run = at_mul(g, r.run_mean, r.run_var);
  return at_add(g, scalar(g, r.y), at_sum_all(g, at_square(g, run)));
}

/* Mixed statistics: the derivative in the mixing weight, in training and in evaluation. */
static at_val build_batchnorm_mixed(at_graph *g) {
  at_bn bn = {.gain = par(g, "gain", AT_SHAPE(3)),
              .bias = AT_NONE,
              .mix = at_sigmoid(g, par(g, "mix", AT_SCALAR)),
              .fixed_mean = par(g, "fixed mean", AT_SHAPE(3)),
              .fixed_var = par(g, "fixed var", AT_SHAPE(3)),
              .run_mean = par(g, "run mean", AT_SHAPE(3)),
              .run_var = par(g, "run var", AT_SHAPE(3)),
              .eps = 1e-5};
  at_val x = par(g, "x", AT_SHAPE(4, 2, 3));
  at_val train = at_batchnorm(g, x, &bn).y;
  bn.mode = AT_BN_EVAL;
  at_val eval = at_batchnorm(g, train, &bn).y;
  bn.mode = AT_BN_FIXED;
  return scalar(g, at_add(g, eval, at_batchnorm(g, x, &bn).y));
}

static at_val build_groupnorm(at_graph *g) {
  at_val x = par(g, "x", AT_SHAPE(2, 3, 2, 4)), gain = par(g, "gain", AT_SHAPE(4)), bias = par(g, "bias", AT_SHAPE(4));
  return scalar(g, at_add(g, at_groupnorm(g, x, 2, gain, bias, 1e-5), at_groupnorm(g, x, 4, gain, AT_NONE, 1e-5)));
}

/* --- losses ------------------------------------------------------------------------------------------------------------------- */

static at_val build_losses(at_graph *g) {
  at_val ids = ids_input(g, AT_SHAPE(6)), x = par(g, "x", AT_SHAPE(6, 5)), y = par(g, "y", AT_SHAPE(6, 5));
  at_val rows = at_cross_entropy_rows(g, x, ids), weight = at_sigmoid(g, par(g, "w", AT_SHAPE(6)));
  at_val sum = at_sum_all(g, at_mul(g, rows, weight));
  sum = at_add(g, sum, at_cross_entropy_smooth(g, at_mul(g, x, y), ids, 0.1, 0.5));
  sum = at_add(g, sum, at_cross_entropy_soft(g, x, at_softmax(g, y), 0.3));
  sum = at_add(g, sum, at_kl(g, y, x, 2.0, 0.2));
  return at_add(g, sum, at_mul(g, at_mse(g, x, y), at_l1(g, x, y)));
}

/* --- unrolled steps: the loss after three steps, in the start and in the rates -------------------------------------------------- */

static at_val build_unrolled(at_graph *g) {
  at_val w1 = par(g, "w1", AT_SHAPE(2, 4)), w2 = par(g, "w2", AT_SHAPE(4, 1)), x = par(g, "x", AT_SHAPE(3, 5, 2));
  at_val first = at_reshape(g, at_slice(g, x, 0, 0, 1), AT_SHAPE(5, 2));
  at_val y = at_matmul(g, at_tanh(g, at_matmul(g, first, w1, false, false)), w2, false, false);
  at_val loss = at_mse(g, y, at_sum(g, at_sigmoid(g, first), 1, 2)), batches[3];
  for (int s = 0; s < 3; s++) {
    batches[s] = at_reshape(g, at_slice(g, x, 0, s, 1), AT_SHAPE(5, 2));
  }
  at_val theta[2] = {w1, w2}, end[2], after;
  at_val lr[2] = {at_sigmoid(g, par(g, "rate 1", AT_SHAPE(2, 1))), at_sigmoid(g, par(g, "rate 2", AT_SCALAR))};
  at_unroll u = {
      .loss = loss, .theta = theta, .lr = lr, .n = 2, .steps = 3, .data = &first, .step_data = batches, .n_data = 1};
  if (at_graph_unroll(g, &u, end, NULL, NULL) != AT_OK ||
      at_graph_substitute(g, theta, end, 2, &loss, 1, &after) != AT_OK) {
    return AT_NONE;
  }
  return after;
}

static const grad_case wide_cases[] = {
    {"maximum", build_maximum, FILL_NORMAL},
    {"minimum", build_minimum, FILL_NORMAL},
    {"where, comparisons, sign", build_where, FILL_NORMAL},
    {"relu, abs, clamp", build_kinks, FILL_NORMAL},
    {"softplus", build_softplus, FILL_NORMAL},
    {"pow", build_pow, FILL_POSITIVE},
    {"softmax", build_softmax, FILL_NORMAL},
    {"dropout", build_dropout, FILL_NORMAL},
    {"attention, padded", build_attention_padded, FILL_NORMAL},
    {"attention, scaled", build_attention_scaled, FILL_NORMAL},
    {"max", build_max, FILL_NORMAL},
    {"topk", build_topk, FILL_NORMAL},
    {"take, put", build_take_put, FILL_NORMAL},
    {"gather, scatter_add", build_gather, FILL_NORMAL},
    {"concat", build_concat, FILL_NORMAL},
    {"matmul, broadcast", build_matmul_broadcast, FILL_NORMAL},
    {"conv2d", build_conv, FILL_NORMAL},
    {"conv2d, strides", build_conv_stride, FILL_NORMAL},
    {"conv2d, groups", build_conv_groups, FILL_NORMAL},
    {"conv2d, pointwise", build_conv_pointwise, FILL_NORMAL},
    {"conv1d, depthwise", build_conv1d, FILL_NORMAL},
    {"unfold", build_unfold, FILL_NORMAL},
    {"avgpool", build_avgpool, FILL_NORMAL},
    {"maxpool", build_maxpool, FILL_NORMAL},
    {"adaptive pooling", build_adaptive, FILL_NORMAL},
    {"moments", build_moments, FILL_NORMAL},
    {"rows_affine, rows_dot", build_rows, FILL_NORMAL},
    {"batch-norm", build_batchnorm, FILL_POSITIVE},
    {"batch-norm, mixed", build_batchnorm_mixed, FILL_POSITIVE},
    {"group-norm", build_groupnorm, FILL_NORMAL},
    {"losses", build_losses, FILL_NORMAL},
    {"unrolled steps", build_unrolled, FILL_NORMAL},
};

#endif
