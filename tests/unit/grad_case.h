/* SPDX-License-Identifier: BSD-3-Clause */
/* What a case of test_gradients.c is, and how cases make parameters and scalars. */
#ifndef AT_TESTS_GRAD_CASE_H
#define AT_TESTS_GRAD_CASE_H

#include "src/graph/ops.h"

/* What parameters are, and how large the steps of the differences. */
typedef enum grad_fill {
  FILL_NORMAL,   /* standard normals */
  FILL_POSITIVE, /* 0.5 and more */
  FILL_MODEL     /* about as a model starts, so that no part of it saturates; steps so small that no kink is crossed */
} grad_fill;

/* Builds a scalar over parameters it declares, and state if it wants.  Up to three i32 inputs are bound, to numbers of 0..6. */
typedef struct grad_case {
  const char *name;
  at_val (*build)(at_graph *g);
  grad_fill fill;
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
