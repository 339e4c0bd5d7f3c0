/* SPDX-License-Identifier: BSD-3-Clause */
/* Derivatives beyond the gradient: Hessian- and Jacobian-vector products, linear systems in the Hessian, and hypergradients by
 * the implicit function theorem.  All are nodes of the same graph: equal nodes are built once, so that products with one Hessian
 * share its forward and first backward pass.
 *
 * A list of n values, one per tensor, stands for one vector; AT_NONE in a list stands for zeros. */
#ifndef AT_GRAPH_HESSIAN_H
#define AT_GRAPH_HESSIAN_H

#include "src/graph/graph.h"

/* sum over i of a[i] . b[i] as a scalar; AT_NONE if no term is left. */
at_val at_graph_dot(at_graph *g, const at_val *a, const at_val *b, int n);

/* hv = (d^2 loss / d wrt^2) v.  v[i] has the shape of wrt[i]. */
at_err at_graph_hvp(at_graph *g, at_val loss, const at_val *wrt, const at_val *v, int n, at_val *hv);

/* dout[j] = sum_i (d out[j] / d wrt[i]) tangent[i], by transposing the vector-Jacobian product.  With out[0] a vector of
 * per-example losses this gives the inner products of every example's gradient with one vector, without forming any. */
at_err at_graph_jvp(at_graph *g, const at_val *out, int n_out, const at_val *wrt, const at_val *tangent, int n_wrt,
                    at_val *dout);

/* p = sum over k = 0 .. terms of (I - alpha H)^k q, H the Hessian of `loss`: alpha p approaches H^-1 q when alpha is below 2
 * over the largest eigenvalue (Lorraine et al. 2020). */
at_err at_graph_neumann(at_graph *g, at_val loss, const at_val *wrt, const at_val *q, int n, int terms, double alpha,
                        at_val *p);

/* p near (H + damping I)^-1 q after `steps` steps of conjugate gradients from 0 (Hestenes and Stiefel 1952); H + damping I must
 * be positive definite along the way.  A residual of 0 stays 0. */
at_err at_graph_cg(at_graph *g, at_val loss, const at_val *wrt, const at_val *q, int n, int steps, double damping,
                   at_val *p);

typedef enum at_inverse { AT_INVERSE_NEUMANN, AT_INVERSE_CG } at_inverse;

/* A hypergradient problem: theta minimises train; outer is a loss at theta; hyper are what train (and outer) depend on. */
typedef struct at_implicit {
  at_val train, outer;
  const at_val *theta, *hyper;
  int n_theta, n_hyper;
  at_inverse inverse;
  int steps;      /* Neumann terms beyond the first; steps of conjugate gradients */
  double alpha;   /* Neumann */
  bool unscaled;  /* Neumann: use p itself, not alpha p (FedL2P does, Lee et al. 2023) */
  double damping; /* conjugate gradients */
} at_implicit;

/* grad[j] = d outer / d hyper[j] - (d outer / d theta) H^-1 (d^2 train / d theta d hyper[j]), H = d^2 train / d theta^2.
 * direct[j] is the first term alone; direct may be NULL.  AT_NONE where nothing depends on hyper[j]. */
at_err at_graph_implicit(at_graph *g, const at_implicit *p, at_val *grad, at_val *direct);

#endif
