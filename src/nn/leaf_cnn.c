/* SPDX-License-Identifier: BSD-3-Clause */
/* The convolutional network of LEAF's FEMNIST task. */
#include "src/nn/leaf_cnn.h"

#include <math.h>

#include "src/graph/ops.h"

/* Max-pooling before ReLU gives the same values and derivatives on a quarter of the elements: ReLU is monotone. */
static at_val stage(at_scope *s, const char *name, at_val x, int64_t channels) {
  at_val y = at_layer_conv(s, name, x, channels, 5, 1, 2, true);
  return at_relu(s->g, at_maxpool(s->g, y, (at_window2d){.kernel = {2, 2}, .stride = {2, 2}}));
}

at_val at_leaf_cnn_build(at_scope *s, const at_leaf_cnn *c, at_val x, int64_t classes) {
  x = stage(s, "conv1", x, c->channels[0]);
  x = stage(s, "conv2", x, c->channels[1]);
  at_shape in = at_graph_shape(s->g, x);
  if (x == AT_NONE) {
    return AT_NONE;
  }
  x = at_reshape(s->g, x, AT_SHAPE(in.d[0], in.d[1] * in.d[2] * in.d[3]));
  x = at_relu(s->g, at_layer_linear(s, "dense", x, c->dense, true, sqrt(2.0)));
  return at_layer_linear(s, "head", x, classes, true, 1.0);
}
