/* SPDX-License-Identifier: BSD-3-Clause */
/* Multilayer perceptrons and logistic regression. */
#include "src/nn/mlp.h"

#include <math.h>

#include "src/graph/ops.h"

at_val at_mlp_build(at_scope *s, const at_mlp *c, at_val x, int64_t classes) {
  at_shape in = at_graph_shape(s->g, x);
  if (x == AT_NONE) {
    return AT_NONE;
  }
  x = at_reshape(s->g, x, AT_SHAPE(in.d[0], in.d[0] ? at_shape_count(in) / in.d[0] : 0));
  for (int i = 0; i < c->layers; i++) {
    size_t mark = at_scope_enter(s, "hidden.%d", i);
    x = at_relu(s->g, at_layer_linear(s, "", x, c->width[i], true, sqrt(2.0)));
    at_scope_leave(s, mark);
  }
  return at_layer_linear(s, "head", x, classes, true, 1.0);
}
