/* SPDX-License-Identifier: BSD-3-Clause */
/* The same computation at other values, and training steps as part of a graph, so that derivatives pass through them. */
#ifndef AT_GRAPH_UNROLL_H
#define AT_GRAPH_UNROLL_H

#include "src/graph/graph.h"

/* out[k] = in[k] computed from to[i] wherever it was computed from from[i] (i < n).  Nodes that do not depend on a from[i] are
 * shared.  to[i] must have from[i]'s shape and type. */
at_err at_graph_substitute(at_graph *g, const at_val *from, const at_val *to, int n, const at_val *in, int n_in,
                           at_val *out);

/* Gradient steps theta <- theta - lr grad, as nodes.  Every list may be NULL where its count is 0. */
typedef struct at_unroll {
  at_val loss;         /* a scalar, built on theta */
  const at_val *theta; /* [n] what is trained: parameters or any values */
  const at_val *lr;    /* [n] its rate, a value that broadcasts to it; AT_NONE: not trained */
  int n, steps;
  bool first_order; /* gradients count as constants: derivatives see only the sums (Finn et al. 2017) */
  /* What differs between steps: data[i] becomes step_data[step * n_data + i] (a batch, a dropout key). */
  const at_val *data, *step_data;
  int n_data;
  /* What a step hands to the next: carry[i] becomes next[i] of the step before (running statistics, momentum). */
  const at_val *carry, *next;
  int n_carry;
} at_unroll;

/* theta[n], carry[n_carry]: the values after the last step; loss[steps]: the loss before each step.  carry and loss may be
 * NULL. */
at_err at_graph_unroll(at_graph *g, const at_unroll *u, at_val *theta, at_val *carry, at_val *loss);

#endif
