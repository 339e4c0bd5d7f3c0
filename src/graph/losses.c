/* SPDX-License-Identifier: BSD-3-Clause */
/* Losses made of other operations. */
#include "src/graph/losses.h"

/* 1 for a row whose target is a class, else 0. */
static at_val counted(at_graph *g, at_val target, int64_t classes) {
  at_val t = at_to_real(g, target);
  at_val low = at_less_equal(g, at_graph_const(g, 0, AT_SCALAR), t);
  return at_mul(g, low, at_less(g, t, at_graph_const(g, (double)classes, AT_SCALAR)));
}

/* [rows] without the rows that are not counted. */
static at_val only_counted(at_graph *g, at_val rows, at_val target, int64_t classes) {
  return at_where(g, counted(g, target, classes), rows, at_graph_const(g, 0, AT_SCALAR));
}

at_val at_cross_entropy_rows(at_graph *g, at_val logits, at_val target) {
  at_shape s = at_graph_shape(g, logits);
  if (logits == AT_NONE || target == AT_NONE || s.nd != 2) {
    return at_cross_entropy(g, logits, target, 1); /* says what is wrong */
  }
  at_val hit = at_take(g, logits, at_reshape(g, target, AT_SHAPE(s.d[0], 1)), 1);
  at_val loss = at_sub(g, at_logsumexp(g, logits), at_reshape(g, hit, AT_SHAPE(s.d[0])));
  return only_counted(g, loss, target, s.d[1]);
}

at_val at_cross_entropy_smooth(at_graph *g, at_val logits, at_val target, double smoothing, double scale) {
  at_val hard = at_cross_entropy(g, logits, target, (1 - smoothing) * scale);
  if (smoothing == 0 || hard == AT_NONE) {
    return hard;
  }
  at_shape s = at_graph_shape(g, logits);
  at_val even = at_sub(g, at_logsumexp(g, logits), at_mean(g, logits, 1, 2));
  at_val sum = at_sum_all(g, only_counted(g, even, target, s.d[1]));
  return at_add(g, hard, at_affine(g, sum, smoothing * scale, 0));
}

at_val at_cross_entropy_soft(at_graph *g, at_val logits, at_val prob, double scale) {
  return at_affine(g, at_sum_all(g, at_mul(g, prob, at_log_softmax(g, logits))), -scale, 0);
}

at_val at_kl(at_graph *g, at_val teacher, at_val student, double temperature, double scale) {
  at_val p = at_log_softmax(g, at_affine(g, teacher, 1 / temperature, 0));
  at_val q = at_log_softmax(g, at_affine(g, student, 1 / temperature, 0));
  at_val sum = at_sum_all(g, at_mul(g, at_exp(g, p), at_sub(g, p, q)));
  return at_affine(g, sum, scale * temperature * temperature, 0);
}

at_val at_mse(at_graph *g, at_val a, at_val b) {
  return at_mean_all(g, at_square(g, at_sub(g, a, b)));
}

at_val at_l1(at_graph *g, at_val a, at_val b) {
  return at_mean_all(g, at_abs(g, at_sub(g, a, b)));
}

at_val at_hits(at_graph *g, at_val logits, at_val target) {
  at_shape s = at_graph_shape(g, logits);
  at_val best = at_to_real(g, at_argmax(g, logits, s.nd - 1));
  return at_sum_all(g, at_equal(g, best, at_to_real(g, target)));
}
