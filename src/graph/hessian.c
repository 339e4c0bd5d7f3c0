/* SPDX-License-Identifier: BSD-3-Clause */
/* Hessian- and Jacobian-vector products, linear systems in the Hessian, implicit hypergradients. */
#include "src/graph/hessian.h"

#include "src/base/alloc.h"
#include "src/graph/graph_internal.h"
#include "src/graph/ops.h"

/* a + b where either may be zeros. */
static at_val plus(at_graph *g, at_val a, at_val b) {
  return a == AT_NONE ? b : b == AT_NONE ? a : at_add(g, a, b);
}

/* a + s b, s a scalar value. */
static at_val plus_scaled(at_graph *g, at_val a, at_val s, at_val b) {
  return b == AT_NONE ? a : plus(g, a, at_mul(g, b, s));
}

at_val at_graph_dot(at_graph *g, const at_val *a, const at_val *b, int n) {
  at_val sum = AT_NONE;
  for (int i = 0; i < n; i++) {
    if (a[i] != AT_NONE && b[i] != AT_NONE) {
      sum = plus(g, sum, at_sum_all(g, at_mul(g, a[i], b[i])));
    }
  }
  return sum;
}

/* Vectors of n values each, in one block. */
static at_err vectors(at_val **block, int n, int count) {
  return at_alloc(block, (size_t)n * (size_t)count, sizeof **block, "derivative lists");
}

/* grad[j] = sum_i cot[i] d out[i] / d wrt[j], over the outs that are not AT_NONE. */
static at_err vjp_present(at_graph *g, const at_val *out, const at_val *cot, int n_out, const at_val *wrt, int n_wrt,
                          at_val *grad) {
  at_val *list;
  int n = 0;
  AT_TRY(vectors(&list, n_out, 2));
  for (int i = 0; i < n_out; i++) {
    if (out[i] != AT_NONE && cot[i] != AT_NONE) {
      list[n] = out[i];
      list[n_out + n++] = cot[i];
    }
  }
  at_err e = at_graph_vjp(g, list, list + n_out, n, wrt, n_wrt, grad);
  at_free(list);
  return e;
}

at_err at_graph_hvp(at_graph *g, at_val loss, const at_val *wrt, const at_val *v, int n, at_val *hv) {
  at_val *grad;
  AT_TRY(vectors(&grad, n, 1));
  at_err e = at_graph_vjp(g, &loss, NULL, 1, wrt, n, grad);
  if (e == AT_OK) {
    e = vjp_present(g, grad, v, n, wrt, n, hv);
  }
  at_free(grad);
  return e;
}

at_err at_graph_jvp(at_graph *g, const at_val *out, int n_out, const at_val *wrt, const at_val *tangent, int n_wrt,
                    at_val *dout) {
  at_val *cot, *grad;
  AT_TRY(vectors(&cot, n_out + n_wrt, 1));
  grad = cot + n_out;
  for (int j = 0; j < n_out; j++) {
    cot[j] = at_graph_fresh(g, at_graph_shape(g, out[j]));
  }
  at_err e = at_graph_vjp(g, out, cot, n_out, wrt, n_wrt, grad);
  if (e == AT_OK) { /* linear in cot, so that its derivative does not read cot */
    e = vjp_present(g, grad, tangent, n_wrt, cot, n_out, dout);
  }
  at_free(cot);
  return e;
}

/* --- systems in the Hessian ------------------------------------------------------------------------------------------ */

at_err at_graph_neumann(at_graph *g, at_val loss, const at_val *wrt, const at_val *q, int n, int terms, double alpha,
                        at_val *p) {
  at_val *v, *hv;
  AT_TRY(vectors(&v, n, 2));
  hv = v + n;
  at_err e = AT_OK;
  for (int i = 0; i < n; i++) {
    p[i] = v[i] = q[i];
  }
  for (int k = 0; k < terms && e == AT_OK; k++) {
    e = at_graph_hvp(g, loss, wrt, v, n, hv);
    for (int i = 0; i < n && e == AT_OK; i++) {
      v[i] = hv[i] == AT_NONE ? v[i] : plus(g, v[i], at_affine(g, hv[i], -alpha, 0));
      p[i] = plus(g, p[i], v[i]);
    }
  }
  at_free(v);
  return e == AT_OK ? at_graph_status(g) : e;
}

/* top / bottom, or 0 where top is 0. */
static at_val ratio(at_graph *g, at_val top, at_val bottom) {
  at_val zero = at_graph_const(g, 0, AT_SCALAR), one = at_graph_const(g, 1, AT_SCALAR);
  at_val done = at_equal(g, top, zero);
  return at_where(g, done, zero, at_div(g, top, at_where(g, done, one, bottom)));
}

/* One step: x, r, d and *rr move on. */
static at_err cg_step(at_graph *g, at_val loss, const at_val *wrt, int n, double damping, at_val *x, at_val *r,
                      at_val *d, at_val *hd, at_val *rr) {
  AT_TRY(at_graph_hvp(g, loss, wrt, d, n, hd));
  for (int i = 0; i < n; i++) {
    hd[i] = damping == 0 || d[i] == AT_NONE ? hd[i] : plus(g, hd[i], at_affine(g, d[i], damping, 0));
  }
  at_val curve = at_graph_dot(g, d, hd, n);
  if (curve == AT_NONE) {
    return AT_FAIL(AT_ERR_ARG, "conjugate gradients: the Hessian is zero; give some damping");
  }
  at_val step = ratio(g, *rr, curve), back = at_neg(g, step);
  for (int i = 0; i < n; i++) {
    x[i] = plus_scaled(g, x[i], step, d[i]);
    r[i] = plus_scaled(g, r[i], back, hd[i]);
  }
  at_val next = at_graph_dot(g, r, r, n), turn = ratio(g, next, *rr);
  for (int i = 0; i < n; i++) {
    d[i] = plus_scaled(g, r[i], turn, d[i]);
  }
  *rr = next;
  return at_graph_status(g);
}

at_err at_graph_cg(at_graph *g, at_val loss, const at_val *wrt, const at_val *q, int n, int steps, double damping,
                   at_val *p) {
  at_val *r;
  AT_TRY(vectors(&r, n, 3));
  at_val *d = r + n, *hd = d + n, rr = at_graph_dot(g, q, q, n);
  for (int i = 0; i < n; i++) {
    p[i] = AT_NONE;
    r[i] = d[i] = q[i];
  }
  at_err e = at_graph_status(g);
  for (int k = 0; k < steps && e == AT_OK && rr != AT_NONE; k++) {
    e = cg_step(g, loss, wrt, n, damping, p, r, d, hd, &rr);
  }
  at_free(r);
  return e;
}

/* --- hypergradients ---------------------------------------------------------------------------------------------------- */

/* p near H^-1 d outer / d theta. */
static at_err solve(at_graph *g, const at_implicit *s, const at_val *q, at_val *p) {
  if (s->inverse == AT_INVERSE_CG) {
    return at_graph_cg(g, s->train, s->theta, q, s->n_theta, s->steps, s->damping, p);
  }
  AT_TRY(at_graph_neumann(g, s->train, s->theta, q, s->n_theta, s->steps, s->alpha, p));
  for (int i = 0; i < s->n_theta; i++) {
    p[i] = p[i] == AT_NONE || s->unscaled ? p[i] : at_affine(g, p[i], s->alpha, 0);
  }
  return AT_OK;
}

at_err at_graph_implicit(at_graph *g, const at_implicit *s, at_val *grad, at_val *direct) {
  int n = s->n_theta, m = s->n_hyper;
  at_val *q;
  AT_TRY(vectors(&q, 3 * n + m, 1));
  at_val *p = q + n, *slope = p + n, *indirect = slope + n;
  at_err e;
  AT_TRY_TO(e, done, at_graph_vjp(g, &s->outer, NULL, 1, s->theta, n, q));
  AT_TRY_TO(e, done, at_graph_vjp(g, &s->outer, NULL, 1, s->hyper, m, grad));
  AT_TRY_TO(e, done, solve(g, s, q, p));
  AT_TRY_TO(e, done, at_graph_vjp(g, &s->train, NULL, 1, s->theta, n, slope));
  AT_TRY_TO(e, done, vjp_present(g, slope, p, n, s->hyper, m, indirect)); /* p is a constant here */
  for (int j = 0; j < m; j++) {
    if (direct != NULL) {
      direct[j] = grad[j];
    }
    grad[j] = indirect[j] == AT_NONE ? grad[j] : plus(g, grad[j], at_neg(g, indirect[j]));
  }
  e = at_graph_status(g);
done:
  at_free(q);
  return e;
}
