/* SPDX-License-Identifier: BSD-3-Clause */
/* Norms of per-example gradients from what went into each weight and the gradient of what came out. */
#include "src/graph/examples.h"

#include "src/base/alloc.h"
#include "src/graph/graph_internal.h"
#include "src/graph/ops.h"

enum { MAX_USES = 64 };

/* How a parameter enters a node. */
typedef enum use_kind {
  USE_PRODUCT, /* gradient X^T D with X [e][t][k], D [e][t][m] */
  USE_TABLE,   /* the same with one-hot rows X, given as ids [e][t] */
  USE_SUM      /* gradient: the sum over t of D [e][t][m] */
} use_kind;

typedef struct use {
  int node, input;
} use;

/* The two factors of one use.  x is AT_NONE for USE_SUM. */
typedef struct factors {
  use_kind kind;
  at_val x, d;
} factors;

static at_err refuse(const at_node *n, const char *why) {
  return AT_FAIL(AT_ERR_ARG, "per-example norms: a parameter is used by %s %s", at_op_get(n->op)->name, why);
}

/* The graph before any node is added here: which of its values the loss is computed from. */
typedef struct cone {
  const bool *value;
  int nodes;
} cone;

/* The nodes in the cone that read `param`, also through reshapes. */
static at_err find_uses(const at_graph *g, at_val param, const cone *c, use *u, int *n_u) {
  for (int i = 0; i < c->nodes; i++) {
    const at_node *n = &g->node[i];
    for (int k = 0; c->value[n->out] && k < n->n_in; k++) {
      if (n->in[k] != param) {
        continue;
      }
      if (n->op == AT_OP_reshape) {
        AT_TRY(find_uses(g, n->out, c, u, n_u));
      } else if (*n_u == MAX_USES) {
        return AT_FAIL(AT_ERR_ARG, "per-example norms: a parameter is used more than %d times", MAX_USES);
      } else {
        u[(*n_u)++] = (use){i, k};
      }
    }
  }
  return AT_OK;
}

/* v as [e][t][m], given m. */
static at_val by_example(at_graph *g, at_val v, int64_t examples, int64_t m) {
  int64_t count = at_shape_count(at_graph_shape(g, v));
  return at_reshape(g, v, AT_SHAPE(examples, m ? count / (examples * m) : 0, m));
}

/* Does `count` split into examples of rows of m? */
static bool splits(int64_t count, int64_t examples, int64_t m) {
  return examples > 0 && m > 0 && count % (examples * m) == 0;
}

static at_err product_factors(at_graph *g, const at_node *n, int64_t examples, at_val d, factors *f) {
  at_shape w = at_graph_shape(g, n->in[1]);
  f->kind = USE_PRODUCT;
  if (n->op == AT_OP_conv2d) {
    at_window2d v = {.kernel = {w.d[0], w.d[1]}, .stride = {n->i[0], n->i[1]}, .pad = {n->i[2], n->i[3]}};
    if (n->i[4] != 1) {
      return refuse(n, "with groups");
    }
    f->x = at_unfold(g, n->in[0], v);
    f->d = by_example(g, d, examples, w.d[3]);
    return AT_OK;
  }
  bool tb = n->i[1] != 0;
  int64_t k = w.d[tb ? 1 : 0], m = w.d[tb ? 0 : 1];
  if (n->i[0] || w.nd != 2 || !splits(at_shape_count(at_graph_shape(g, n->in[0])), examples, k)) {
    return refuse(n, "other than as [k][m] on rows that split into examples");
  }
  at_val x = by_example(g, n->in[0], examples, k);
  d = by_example(g, d, examples, m);
  f->x = tb ? d : x; /* a transposed weight has the transposed gradient */
  f->d = tb ? x : d;
  return AT_OK;
}

/* The normalised x of a norm over the last axis: what its gain multiplies. */
static at_val normalised(at_graph *g, const at_node *n) {
  at_shape gain = at_graph_shape(g, n->in[1]);
  at_val one = at_graph_const(g, 1, gain);
  return n->op == AT_OP_layernorm ? at_layernorm(g, n->in[0], one, at_graph_const(g, 0, gain), n->f[0])
                                  : at_rmsnorm(g, n->in[0], one, n->f[0]);
}

static at_err sum_factors(at_graph *g, const at_node *n, int input, int64_t examples, at_val d, factors *f) {
  at_shape p = at_graph_shape(g, n->in[input]), y = at_graph_shape(g, n->out);
  bool trailing = p.nd <= y.nd && splits(at_shape_count(y), examples, at_shape_count(p));
  for (int i = 1; trailing && i <= p.nd; i++) {
    trailing = p.d[p.nd - i] == y.d[y.nd - i];
  }
  if (!trailing) {
    return refuse(n, "other than on the trailing axes of values that split into examples");
  }
  if (n->op == AT_OP_mul) {
    d = at_mul(g, d, n->in[1 - input]);
  } else if ((n->op == AT_OP_layernorm || n->op == AT_OP_rmsnorm) && input == 1) {
    d = at_mul(g, d, normalised(g, n));
  }
  *f = (factors){USE_SUM, AT_NONE, by_example(g, d, examples, at_shape_count(p))};
  return AT_OK;
}

static at_err factors_of(at_graph *g, use u, int64_t examples, at_val d, factors *f) {
  at_node n = g->node[u.node]; /* a copy: new nodes may move the array */
  switch (n.op) {
  case AT_OP_matmul:
  case AT_OP_conv2d:
    return u.input == 1 ? product_factors(g, &n, examples, d, f) : refuse(&n, "as its first operand");
  case AT_OP_embed:
    *f = (factors){USE_TABLE, by_example(g, n.in[1], examples, 1),
                   by_example(g, d, examples, at_graph_shape(g, n.in[0]).d[1])};
    return u.input == 0 ? AT_OK : refuse(&n, "as ids");
  case AT_OP_add:
  case AT_OP_sub:
  case AT_OP_mul:
    return sum_factors(g, &n, u.input, examples, d, f);
  case AT_OP_layernorm:
  case AT_OP_rmsnorm:
    return u.input > 0 ? sum_factors(g, &n, u.input, examples, d, f) : refuse(&n, "as its rows");
  default:
    return refuse(&n, "");
  }
}

/* [e] sums of all else. */
static at_val sum_rest(at_graph *g, at_val v) {
  return at_sum(g, v, 1, at_graph_shape(g, v).nd);
}

/* X X^T [e][t][t]; of one-hot rows: where ids agree. */
static at_val gram(at_graph *g, const factors *f) {
  if (f->kind == USE_PRODUCT) {
    return at_matmul(g, f->x, f->x, false, true);
  }
  at_shape s = at_graph_shape(g, f->x); /* [e][t][1] */
  at_val ids = at_to_real(g, f->x);
  return at_equal(g, ids, at_reshape(g, ids, AT_SHAPE(s.d[0], 1, s.d[1])));
}

static at_val squared_norm(at_graph *g, const factors *f) {
  at_shape d = at_graph_shape(g, f->d);
  int64_t t = d.d[1], m = d.d[2];
  if (f->kind == USE_SUM) {
    return sum_rest(g, at_square(g, at_sum(g, f->d, 1, 2)));
  }
  if (f->kind == USE_PRODUCT) {
    int64_t k = at_graph_shape(g, f->x).d[2];
    if (t == 1) {
      return at_mul(g, sum_rest(g, at_square(g, f->x)), sum_rest(g, at_square(g, f->d)));
    }
    if (2 * t * t > k * m) {
      return sum_rest(g, at_square(g, at_matmul(g, f->x, f->d, true, false)));
    }
  }
  return sum_rest(g, at_mul(g, gram(g, f), at_matmul(g, f->d, f->d, false, true)));
}

/* Uses of one kind are one use on more rows: (X1; X2)^T (D1; D2). */
static at_err join_uses(at_graph *g, const at_node *n, const factors *more, factors *f) {
  bool same = more->kind == f->kind;
  if (same && f->kind != USE_SUM) {
    same = at_graph_shape(g, more->d).d[2] == at_graph_shape(g, f->d).d[2];
  }
  if (!same) {
    return refuse(n, "besides another kind of use");
  }
  f->d = at_join(g, f->d, more->d, 1);
  f->x = f->kind == USE_SUM ? AT_NONE : at_join(g, f->x, more->x, 1);
  return AT_OK;
}

/* The squared norms of one parameter, AT_NONE if the loss does not depend on it. */
static at_err param_norms(at_graph *g, at_val loss, int64_t examples, at_val param, const cone *c, at_val *out) {
  use u[MAX_USES];
  at_val y[MAX_USES], d[MAX_USES];
  int n = 0;
  bool any = false;
  factors f = {0};
  *out = AT_NONE;
  AT_TRY(find_uses(g, param, c, u, &n));
  for (int i = 0; i < n; i++) {
    y[i] = g->node[u[i].node].out;
  }
  AT_TRY(at_graph_sweep(g, &loss, NULL, 1, y, n, true, d));
  for (int i = 0; i < n; i++) {
    if (d[i] == AT_NONE) {
      continue; /* behind a stopped gradient */
    }
    factors more;
    AT_TRY(factors_of(g, u[i], examples, d[i], &more));
    if (any) {
      AT_TRY(join_uses(g, &g->node[u[i].node], &more, &f));
    } else {
      f = more;
    }
    any = true;
  }
  *out = any ? squared_norm(g, &f) : AT_NONE;
  return g->status;
}

at_err at_example_norms(at_graph *g, at_val loss, int64_t examples, const at_val *param, int n, at_val *out) {
  AT_TRY(g->status);
  bool *reaches;
  AT_TRY(at_alloc(&reaches, (size_t)g->n_value, sizeof *reaches, "per-example norms"));
  at_graph_cone(g, &loss, 1, reaches);
  const cone c = {reaches, g->n_node};
  at_err e = AT_OK;
  *out = at_graph_const(g, 0, AT_SHAPE(examples));
  for (int i = 0; i < n && e == AT_OK; i++) {
    at_val one;
    e = param_norms(g, loss, examples, param[i], &c, &one);
    *out = e != AT_OK || one == AT_NONE ? *out : at_add(g, *out, one);
  }
  at_free(reaches);
  return e == AT_OK ? g->status : e;
}
