/* SPDX-License-Identifier: BSD-3-Clause */
/* Losses made of other operations.  logits [rows][v]; target i32 [rows]; a row whose target lies outside 0..v-1 is skipped (its
 * loss is 0).  The fused at_cross_entropy is in src/graph/ops.h. */
#ifndef AT_GRAPH_LOSSES_H
#define AT_GRAPH_LOSSES_H

#include "src/graph/ops.h"

/* Per row: -log softmax(logits)[target] -> [rows]. */
at_val at_cross_entropy_rows(at_graph *g, at_val logits, at_val target);
/* scale * sum over rows of cross-entropy against (1 - smoothing) onehot + smoothing / v (Szegedy et al. 2016). */
at_val at_cross_entropy_smooth(at_graph *g, at_val logits, at_val target, double smoothing, double scale);
/* scale * sum over rows of -sum_c prob log softmax(logits); prob [rows][v], derivatives reach it. */
at_val at_cross_entropy_soft(at_graph *g, at_val logits, at_val prob, double scale);
/* scale * temperature^2 * sum over rows of KL(softmax(teacher / temperature) || softmax(student / temperature)) (Hinton et al.
 * 2015).  Derivatives reach the teacher: stop them with at_stop_gradient. */
at_val at_kl(at_graph *g, at_val teacher, at_val student, double temperature, double scale);
/* Means over all elements of (a - b)^2 and |a - b|. */
at_val at_mse(at_graph *g, at_val a, at_val b);
at_val at_l1(at_graph *g, at_val a, at_val b);
/* How many rows have their largest logit at the target (a real scalar without derivative). */
at_val at_hits(at_graph *g, at_val logits, at_val target);

#endif
