/* SPDX-License-Identifier: BSD-3-Clause */
/* Layers with named parameters, and the scope that a model is built in.
 *
 * A scope holds what all layers of one graph share: the prefix of their names, whether they train, which of their tensors are
 * parameters, and a hook that sees every linear layer (adapters: src/nn/adapter.h).  The same model builds the same tensors in
 * the same order in every scope. */
#ifndef AT_NN_LAYERS_H
#define AT_NN_LAYERS_H

#include "src/graph/graph.h"

enum { AT_NAME_MAX = 96 }; /* bytes of a tensor's name, with the 0 */

/* A state tensor and the value that it has after a training step. */
typedef struct at_state_update {
  int state; /* index in at_graph_states() */
  at_val next;
} at_state_update;

/* Columns of a linear layer that go by a name of their own, such as the queries of packed attention. */
typedef struct at_linear_part {
  const char *name;
  int64_t width;
} at_linear_part;

/* One linear layer as its hook sees it. */
typedef struct at_linear_site {
  const char *name; /* full, without ".weight" */
  at_val x;         /* [.., in] */
  int64_t in, out;
  const at_linear_part *part; /* side by side they make up `out`; names without prefix */
  int n_part;                 /* 0: the layer has no named parts */
} at_linear_site;

typedef struct at_scope at_scope;
/* Returns the layer's output [.., out], given what it would be. */
typedef at_val (*at_linear_hook)(void *context, at_scope *s, const at_linear_site *site, at_val y);

struct at_scope {
  at_graph *g;              /* borrowed */
  bool training;            /* batch-norm takes the batch's statistics and updates the running ones */
  const char *const *train; /* NULL-terminated patterns (fnmatch) of names that are parameters; the others become
                               state, so that they have no gradient and no place in theta.  NULL: all are parameters */
  at_linear_hook hook;      /* or NULL */
  void *hook_context;
  char prefix[AT_NAME_MAX];
  at_state_update *update; /* n_update of them; owned */
  int n_update;
  at_err status; /* the first failure that is not the graph's */
};
/* A scope on g that trains every parameter: change its fields before building. */
void at_scope_init(at_scope *s, at_graph *g);
void at_scope_fini(at_scope *s);
at_err at_scope_status(const at_scope *s); /* its own, then its graph's */

/* Append to the prefix of names ("blocks.%d."); returns what at_scope_leave needs to take it away again. */
size_t at_scope_enter(at_scope *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void at_scope_leave(at_scope *s, size_t mark);

/* A parameter, or state if `train` says so, called prefix + name. */
at_val at_scope_param(at_scope *s, const char *name, at_shape shape, at_init init);

/* x [.., in] -> [.., out]: name.weight [in][out], normal with deviation gain / sqrt(in), which keeps the size of what passes
 * through where gain is 1 (sqrt(2) before a ReLU: He et al. 2015); name.bias [out] with `bias`. */
at_val at_layer_linear(at_scope *s, const char *name, at_val x, int64_t out, bool bias, double gain);
/* The same for a layer whose columns have names. */
at_val at_layer_linear_parts(at_scope *s, const char *name, at_val x, const at_linear_part *part, int n_part, bool bias,
                             double gain);
/* x [n][h][w][c] -> [n][h'][w'][out]: name.weight [kernel][kernel][c][out]; name.bias [out] with `bias`; zeros stand around. */
at_val at_layer_conv(at_scope *s, const char *name, at_val x, int64_t out, int64_t kernel, int64_t stride, int64_t pad,
                     bool bias);
/* Over the last axis [c]: name.weight [c], and for LayerNorm name.bias [c]. */
at_val at_layer_layernorm(at_scope *s, const char *name, at_val x, double eps);
at_val at_layer_rmsnorm(at_scope *s, const char *name, at_val x, double eps);
/* x [.., c]: name.weight, name.bias [c]; state name.mean, name.var [c].  eps 1e-5, momentum 0.1. */
at_val at_layer_batchnorm(at_scope *s, const char *name, at_val x);

/* Copy every tensor of `from` whose name is in `to`; returns how many there were.  AT_ERR_ARG where shapes differ. */
at_err at_layout_copy(const at_layout *from, const float *x, const at_layout *to, float *y, int *copied);

#endif
