/* SPDX-License-Identifier: BSD-3-Clause */
/* Batch- and group-normalisation, made of moments and rows_affine: what happens per channel are small nodes. */
#include "src/graph/norms.h"

#include "src/graph/graph_internal.h"

static at_val rsqrt(at_graph *g, at_val x) {
  return at_recip(g, at_sqrt(g, x));
}

/* y = gain (x - mean) / sqrt(var + eps) + bias on rows [batch][rows][c]; mean, var [batch][c]; gain, bias [c] or AT_NONE. */
static at_val normalise(at_graph *g, at_val rows, at_val mean, at_val var, at_val gain, at_val bias, double eps) {
  at_val a = rsqrt(g, at_affine(g, var, 1, eps));
  if (gain != AT_NONE) {
    a = at_mul(g, a, gain);
  }
  at_val b = at_neg(g, at_mul(g, mean, a));
  return at_rows_affine(g, rows, a, bias == AT_NONE ? b : at_add(g, b, bias));
}

/* fixed + mix (own - fixed) */
static at_val mixed(at_graph *g, at_val mix, at_val fixed, at_val own) {
  return mix == AT_NONE ? own : at_add(g, fixed, at_mul(g, mix, at_sub(g, own, fixed)));
}

static at_val running(at_graph *g, at_val old, at_val batch, double momentum, double factor) {
  at_val was = at_affine(g, old, 1 - momentum, 0);
  return at_add(g, was, at_affine(g, batch, momentum * factor, 0));
}

at_bn_result at_batchnorm(at_graph *g, at_val x, const at_bn *bn) {
  at_shape s = at_graph_shape(g, x);
  at_bn_result r = {AT_NONE, AT_NONE, AT_NONE, AT_NONE, AT_NONE};
  if (x == AT_NONE || s.nd < 1) {
    return r;
  }
  int64_t c = s.d[s.nd - 1], rows = c ? at_shape_count(s) / c : 0;
  at_val flat = at_reshape(g, x, AT_SHAPE(1, rows, c)), mean, var;
  if (bn->mode == AT_BN_TRAIN) {
    mean = at_mean_variance(g, flat, &var);
    r.mean = mean = at_reshape(g, mean, AT_SHAPE(c));
    r.var = var = at_reshape(g, var, AT_SHAPE(c));
    if (bn->run_mean != AT_NONE) {
      r.run_mean = running(g, bn->run_mean, mean, bn->momentum, 1);
      r.run_var = running(g, bn->run_var, var, bn->momentum, rows > 1 ? (double)rows / (double)(rows - 1) : 1);
    }
  } else {
    bool fixed = bn->mode == AT_BN_FIXED;
    mean = fixed ? bn->fixed_mean : bn->run_mean;
    var = fixed ? bn->fixed_var : bn->run_var;
  }
  if (bn->mode != AT_BN_FIXED) {
    mean = mixed(g, bn->mix, bn->fixed_mean, mean);
    var = mixed(g, bn->mix, bn->fixed_var, var);
  }
  at_shape per = AT_SHAPE(1, c);
  at_val y = normalise(g, flat, at_reshape(g, mean, per), at_reshape(g, var, per), bn->gain, bn->bias, bn->eps);
  r.y = at_reshape(g, y, s);
  return r;
}

at_val at_groupnorm(at_graph *g, at_val x, int64_t groups, at_val gain, at_val bias, double eps) {
  at_shape s = at_graph_shape(g, x);
  int64_t n = s.d[0], c = s.nd > 0 ? s.d[s.nd - 1] : 0;
  if (x != AT_NONE && (s.nd < 2 || groups < 1 || c % groups != 0 || n * c == 0)) {
    char a[96];
    return at_graph_fail(g, AT_FAIL(AT_ERR_ARG, "group-norm: %s does not split into %lld groups of channels",
                                    at_shape_text(s, a, sizeof a), (long long)groups));
  }
  if (x == AT_NONE) {
    return AT_NONE;
  }
  at_val rows = at_reshape(g, x, AT_SHAPE(n, at_shape_count(s) / (n * c), c)), var;
  at_val mean = at_mean_variance(g, rows, &var);
  /* From channels to groups: the mean of means; the mean of variances plus the variance of means. */
  at_shape split = AT_SHAPE(n, groups, c / groups), one = AT_SHAPE(n, groups, 1);
  mean = at_reshape(g, mean, split);
  at_val group_mean = at_reshape(g, at_mean(g, mean, 2, 3), one);
  at_val spread = at_square(g, at_sub(g, mean, group_mean));
  at_val group_var = at_reshape(g, at_mean(g, at_add(g, at_reshape(g, var, split), spread), 2, 3), one);
  at_shape per = AT_SHAPE(n, c);
  group_mean = at_reshape(g, at_broadcast(g, group_mean, split), per);
  group_var = at_reshape(g, at_broadcast(g, group_var, split), per);
  return at_reshape(g, normalise(g, rows, group_mean, group_var, gain, bias, eps), s);
}
