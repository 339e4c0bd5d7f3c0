/* SPDX-License-Identifier: BSD-3-Clause */
/* What a case of test_gradients.c is, and how cases make parameters and scalars. */
#ifndef AT_TESTS_GRAD_CASE_H
#define AT_TESTS_GRAD_CASE_H

#include "src/graph/ops.h"

/* Builds a scalar over parameters it declares.  Up to three i32 inputs are bound, to numbers of 0..6. */
typedef struct grad_case {
  const char *name;
  at_val (*build)(at_graph *g);
  bool positive; /* parameters kept away from 0 */
} grad_case;

static at_val par(at_graph *g, const char *name, at_shape s) {
  return at_graph_param(g, name, s, (at_init){.kind = AT_INIT_NORMAL, .sd = 1});
}

/* A scalar that weighs every element of y differently and is not linear in y, so that second derivatives show. */
static at_val scalar(at_graph *g, at_val y) {
  at_val w = par(g, "weight", at_graph_shape(g, y));
  return at_sum_all(g, at_mul(g, at_tanh(g, at_affine(g, y, 0.3, 0.1)), w));
}

#endif
