/* SPDX-License-Identifier: BSD-3-Clause */
/* Building graphs: values, leaves, hash-consed nodes and parameter layouts. */
#include "src/graph/graph.h"

#include <math.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/graph/graph_internal.h"

size_t at_dtype_bytes(at_dtype t) {
  return t == AT_F64 ? 8 : 4;
}

const char *at_dtype_name(at_dtype t) {
  static const char *const name[] = {"f32", "f64", "i32"};
  return name[t];
}

int64_t at_shape_count(at_shape s) {
  int64_t n = 1;
  for (int i = 0; i < s.nd; i++) {
    n *= s.d[i];
  }
  return n;
}

bool at_shape_equal(at_shape a, at_shape b) {
  return a.nd == b.nd && memcmp(a.d, b.d, (size_t)a.nd * sizeof a.d[0]) == 0;
}

const char *at_shape_text(at_shape s, char *buf, size_t bytes) {
  size_t at = (size_t)snprintf(buf, bytes, "[");
  for (int i = 0; i < s.nd && at < bytes; i++) {
    at += (size_t)snprintf(buf + at, bytes - at, "%s%lld", i ? ", " : "", (long long)s.d[i]);
  }
  if (at < bytes) {
    snprintf(buf + at, bytes - at, "]");
  }
  return buf;
}

at_err at_graph_create(at_graph **out, at_dtype real) {
  *out = NULL;
  if (real != AT_F32 && real != AT_F64) {
    return AT_FAIL(AT_ERR_ARG, "a graph is of f32 or f64, not %s", at_dtype_name(real));
  }
  at_graph *g;
  AT_TRY(at_alloc(&g, 1, sizeof *g, "graph"));
  g->real = real;
  *out = g;
  return AT_OK;
}

static void layout_free(at_layout *l) {
  for (int i = 0; i < l->n; i++) {
    at_free((void *)l->tensor[i].name);
  }
  at_free(l->tensor);
}

void at_graph_destroy(at_graph *g) {
  if (g == NULL) {
    return;
  }
  layout_free(&g->param);
  layout_free(&g->state);
  at_free(g->param_value);
  at_free(g->node);
  at_free(g->value);
  at_free(g->table);
  at_free(g);
}

at_err at_graph_status(const at_graph *g) {
  return g->status;
}

at_dtype at_graph_real(const at_graph *g) {
  return g->real;
}

const char *const at_precision_names[] = {"f32", "bf16", NULL};

void at_graph_set_precision(at_graph *g, at_precision p) {
  g->precision = p;
}

at_shape at_graph_shape(const at_graph *g, at_val v) {
  return v < 0 ? AT_SCALAR : g->value[v].shape;
}

int at_graph_node_count(const at_graph *g) {
  return g->n_node;
}

at_val at_graph_fail(at_graph *g, at_err e) {
  if (g->status == AT_OK) {
    g->status = e;
  }
  return AT_NONE;
}

/* --- hash consing ------------------------------------------------------------------------------------------------- */

static uint64_t node_hash(const at_node *n) {
  uint64_t h = 1469598103934665603u; /* FNV-1a over the fields that decide what a node is */
  const struct {
    const void *p;
    size_t bytes;
  } part[] = {{&n->op, sizeof n->op},
              {n->in, sizeof n->in},
              {n->i, sizeof n->i},
              {n->f, sizeof n->f},
              {&n->copy, sizeof n->copy}};
  for (size_t k = 0; k < sizeof part / sizeof part[0]; k++) {
    const unsigned char *p = part[k].p;
    for (size_t j = 0; j < part[k].bytes; j++) {
      h = (h ^ p[j]) * 1099511628211u;
    }
  }
  return h ^ (h >> 29);
}

static bool node_same(const at_node *a, const at_node *b) {
  return a->op == b->op && a->n_in == b->n_in && a->copy == b->copy && memcmp(a->in, b->in, sizeof a->in) == 0 &&
         memcmp(a->i, b->i, sizeof a->i) == 0 && memcmp(a->f, b->f, sizeof a->f) == 0;
}

/* Where *n stands in the table, or the empty slot where it belongs. */
static int32_t *table_find(at_graph *g, const at_node *n) {
  uint64_t mask = (uint64_t)g->table_size - 1;
  for (uint64_t h = node_hash(n) & mask;; h = (h + 1) & mask) {
    int32_t *slot = &g->table[h];
    if (*slot == 0 || node_same(&g->node[*slot - 1], n)) {
      return slot;
    }
  }
}

static at_err table_grow(at_graph *g) {
  int size = g->table_size ? 2 * g->table_size : 256;
  int32_t *table;
  AT_TRY(at_alloc(&table, (size_t)size, sizeof *table, "graph hash table"));
  at_free(g->table);
  g->table = table;
  g->table_size = size;
  for (int i = 0; i < g->n_node; i++) {
    const at_node *n = &g->node[i];
    if (n->op != AT_OP_leaf || g->value[n->out].leaf == AT_LEAF_CONST) {
      *table_find(g, &g->node[i]) = i + 1;
    }
  }
  return AT_OK;
}

/* table_find with room for one more. */
static at_err table_slot(at_graph *g, const at_node *n, int32_t **slot) {
  if (2 * (g->n_node + 1) > g->table_size) {
    AT_TRY(table_grow(g));
  }
  *slot = table_find(g, n);
  return AT_OK;
}

/* --- nodes -------------------------------------------------------------------------------------------------------- */

static at_err push_node(at_graph *g, const at_node *n) {
  if (g->n_node == g->cap_node) {
    int cap = g->cap_node ? 2 * g->cap_node : 128;
    AT_TRY(at_realloc(&g->node, (size_t)cap, sizeof *g->node, "graph nodes"));
    g->cap_node = cap;
  }
  g->node[g->n_node++] = *n;
  return AT_OK;
}

static at_err push_value(at_graph *g, const at_value *v) {
  if (g->n_value == g->cap_value) {
    int cap = g->cap_value ? 2 * g->cap_value : 256;
    AT_TRY(at_realloc(&g->value, (size_t)cap, sizeof *g->value, "graph values"));
    g->cap_value = cap;
  }
  g->value[g->n_value++] = *v;
  return AT_OK;
}

static at_err append(at_graph *g, at_node *n) {
  const at_op_row *row = at_op_get(n->op);
  at_shape shape[AT_KOUT] = {{0}};
  if (n->n_in != row->n_in) {
    return AT_FAIL(AT_ERR_INTERNAL, "%s takes %d inputs, not %d", row->name, row->n_in, n->n_in);
  }
  for (int k = 0; !row->moves && k < n->n_in; k++) {
    bool want = row->i32_in >> k & 1, is = g->value[n->in[k]].dtype == AT_I32;
    if (want != is) {
      return AT_FAIL(AT_ERR_ARG, "%s: input %d is %s", row->name, k, is ? "i32, not real" : "real, not i32");
    }
  }
  AT_TRY(row->infer(g, n, shape));
  n->n_out = row->n_out;
  n->out = g->n_value;
  AT_TRY(push_node(g, n));
  for (int j = 0; j < n->n_out; j++) {
    at_dtype type = row->moves ? g->value[n->in[0]].dtype : row->i32_out >> j & 1 ? AT_I32 : g->real;
    at_value v = {.node = g->n_node - 1, .dtype = type, .shape = shape[j]};
    AT_TRY(push_value(g, &v));
  }
  return AT_OK;
}

/* Find the node or append it. */
static at_val intern(at_graph *g, at_node *n) {
  int32_t *slot = NULL;
  at_err e = table_slot(g, n, &slot);
  if (e == AT_OK && *slot == 0) {
    e = append(g, n);
    *slot = e == AT_OK ? g->n_node : 0;
  }
  return e == AT_OK ? g->node[*slot - 1].out : at_graph_fail(g, e);
}

at_val at_graph_node(at_graph *g, at_op op, const at_val *in, int n_in, const int64_t *i, int n_i, const double *f,
                     int n_f) {
  if (g->status != AT_OK) {
    return AT_NONE;
  }
  at_node n;
  memset(&n, 0, sizeof n); /* padding too: nodes are compared as bytes */
  n.op = op;
  n.n_in = n_in;
  n.block = g->block;
  for (int k = 0; k < AT_KIN; k++) {
    n.in[k] = k < n_in ? in[k] : AT_NONE;
    if (k < n_in && in[k] == AT_NONE) {
      return at_graph_fail(g, AT_FAIL(AT_ERR_INTERNAL, "input %d of %s is missing", k, at_op_get(op)->name));
    }
  }
  memcpy(n.i, i ? i : (const int64_t[]){0}, (size_t)n_i * sizeof *i);
  memcpy(n.f, f ? f : (const double[]){0}, (size_t)n_f * sizeof *f);
  return intern(g, &n);
}

at_val at_graph_copy(at_graph *g, const at_node *n, const at_val *in, int copy) {
  if (g->status != AT_OK) {
    return AT_NONE;
  }
  at_node twin = *n;
  memcpy(twin.in, in, (size_t)n->n_in * sizeof *in);
  twin.block = 0;
  twin.copy = copy;
  return intern(g, &twin);
}

void at_graph_begin_block(at_graph *g) {
  g->block = ++g->n_blocks;
}

void at_graph_end_block(at_graph *g) {
  g->block = 0;
}

at_val at_graph_node0(at_graph *g, at_op op, const at_val *in, int n_in) {
  return at_graph_node(g, op, in, n_in, NULL, 0, NULL, 0);
}

/* --- leaves ------------------------------------------------------------------------------------------------------- */

/* Shape and fill stand in the attributes: they are what makes two constants the same. */
static at_node leaf_node(at_shape shape, double fill) {
  at_node n;
  memset(&n, 0, sizeof n);
  n.op = AT_OP_leaf;
  n.n_out = 1;
  n.i[0] = shape.nd;
  memcpy(n.i + 1, shape.d, (size_t)shape.nd * sizeof shape.d[0]);
  n.f[0] = fill;
  return n;
}

static at_val push_leaf(at_graph *g, const at_node *n, const at_value *v) {
  at_err e = push_node(g, n);
  if (e == AT_OK) {
    g->node[g->n_node - 1].out = g->n_value;
    e = push_value(g, v);
  }
  return e == AT_OK ? g->n_value - 1 : at_graph_fail(g, e);
}

static at_val leaf(at_graph *g, at_leaf_kind kind, at_dtype type, at_shape shape, int64_t where, double fill) {
  if (g->status != AT_OK) {
    return AT_NONE;
  }
  for (int i = 0; i < shape.nd; i++) {
    if (shape.d[i] < 0) {
      return at_graph_fail(g, AT_FAIL(AT_ERR_ARG, "a leaf has a negative dimension"));
    }
  }
  at_node n = leaf_node(shape, fill);
  at_value v = {.node = g->n_node, .dtype = type, .shape = shape, .leaf = kind, .leaf_at = where, .fill = fill};
  return push_leaf(g, &n, &v);
}

at_val at_graph_input(at_graph *g, const char *name, at_dtype type, at_shape shape) {
  if (g->n_input == AT_BIND_IN) {
    return at_graph_fail(g, AT_FAIL(AT_ERR_ARG, "input %s: a graph has at most %d inputs", name, AT_BIND_IN));
  }
  return leaf(g, AT_LEAF_INPUT, type, shape, g->n_input++, 0);
}

int at_graph_input_count(const at_graph *g) {
  return g->n_input;
}

static at_err layout_add(at_layout *l, int *cap, const char *name, at_shape shape, at_init init) {
  if (at_layout_find(l, name) != NULL) {
    return AT_FAIL(AT_ERR_ARG, "two tensors are called %s", name);
  }
  if (l->n == *cap) {
    int more = *cap ? 2 * *cap : 32;
    AT_TRY(at_realloc(&l->tensor, (size_t)more, sizeof *l->tensor, "tensor layout"));
    *cap = more;
  }
  at_tensor t = {.shape = shape, .offset = l->count, .count = at_shape_count(shape), .init = init};
  char *copy;
  AT_TRY(at_strdup(&copy, name));
  t.name = copy;
  l->tensor[l->n++] = t;
  l->count += t.count;
  return AT_OK;
}

static at_val flat_leaf(at_graph *g, at_leaf_kind kind, at_layout *l, int *cap, const char *name, at_shape shape,
                        at_init init) {
  if (g->status != AT_OK) {
    return AT_NONE;
  }
  int64_t offset = l->count;
  at_err e = layout_add(l, cap, name, shape, init);
  return e == AT_OK ? leaf(g, kind, g->real, shape, offset, 0) : at_graph_fail(g, e);
}

at_val at_graph_param(at_graph *g, const char *name, at_shape shape, at_init init) {
  at_val v = flat_leaf(g, AT_LEAF_PARAM, &g->param, &g->cap_param, name, shape, init);
  if (v != AT_NONE) {
    at_err e = at_realloc(&g->param_value, (size_t)g->param.n, sizeof *g->param_value, "parameter values");
    if (e != AT_OK) {
      return at_graph_fail(g, e);
    }
    g->param_value[g->param.n - 1] = v;
  }
  return v;
}

at_val at_graph_state(at_graph *g, const char *name, at_shape shape, at_init init) {
  return flat_leaf(g, AT_LEAF_STATE, &g->state, &g->cap_state, name, shape, init);
}

at_val at_graph_const(at_graph *g, double value, at_shape shape) {
  if (g->status != AT_OK) {
    return AT_NONE;
  }
  at_node n = leaf_node(shape, value);
  int32_t *slot = NULL;
  at_err e = table_slot(g, &n, &slot);
  if (e != AT_OK) {
    return at_graph_fail(g, e);
  }
  if (*slot == 0 && leaf(g, AT_LEAF_CONST, g->real, shape, 0, value) != AT_NONE) {
    *slot = g->n_node;
  }
  return *slot == 0 ? AT_NONE : g->node[*slot - 1].out;
}

at_val at_graph_fresh(at_graph *g, at_shape shape) {
  if (g->status != AT_OK) {
    return AT_NONE;
  }
  at_node n = leaf_node(shape, NAN);
  n.i[1 + AT_KND] = 1 + g->n_value; /* so that it equals no constant */
  at_value v = {.node = g->n_node, .dtype = g->real, .shape = shape, .leaf = AT_LEAF_CONST, .fill = NAN};
  return push_leaf(g, &n, &v);
}

const at_layout *at_graph_params(const at_graph *g) {
  return &g->param;
}

const at_layout *at_graph_states(const at_graph *g) {
  return &g->state;
}

at_val at_graph_param_value(const at_graph *g, int i) {
  return g->param_value[i];
}

/* --- layouts ------------------------------------------------------------------------------------------------------ */

const at_tensor *at_layout_find(const at_layout *l, const char *name) {
  for (int i = 0; i < l->n; i++) {
    if (strcmp(l->tensor[i].name, name) == 0) {
      return &l->tensor[i];
    }
  }
  return NULL;
}

void at_layout_init(const at_layout *l, uint64_t seed, float *theta) {
  for (int i = 0; i < l->n; i++) {
    const at_tensor *t = &l->tensor[i];
    float *w = theta + t->offset;
    if (t->init.kind == AT_INIT_NORMAL) {
      at_stream s = {.seed = seed, .purpose = AT_RNG_INIT, .client = (uint64_t)i};
      at_rng_fill_normal(&s, 0.0, t->init.sd, w, t->count);
      continue;
    }
    for (int64_t k = 0; k < t->count; k++) {
      w[k] = t->init.kind == AT_INIT_ONE ? 1.0f : 0.0f;
    }
  }
}
