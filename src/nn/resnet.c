/* SPDX-License-Identifier: BSD-3-Clause */
/* Residual networks of basic blocks with batch-norm. */
#include "src/nn/resnet.h"

#include "src/graph/ops.h"

static at_val conv_bn(at_scope *s, const char *name, at_val x, int64_t out, int64_t kernel, int64_t stride) {
  char bn[32];
  snprintf(bn, sizeof bn, "%s_bn", name);
  x = at_layer_conv(s, name, x, out, kernel, stride, kernel / 2, false);
  return at_layer_batchnorm(s, bn, x);
}

static at_val block(at_scope *s, at_val x, int64_t out, int64_t stride) {
  at_shape in = at_graph_shape(s->g, x);
  at_val y = at_relu(s->g, conv_bn(s, "conv1", x, out, 3, stride));
  y = conv_bn(s, "conv2", y, out, 3, 1);
  at_val skip = stride == 1 && in.d[3] == out ? x : conv_bn(s, "down", x, out, 1, stride);
  return at_relu(s->g, at_add(s->g, y, skip));
}

at_val at_resnet_build(at_scope *s, const at_resnet *c, at_val x, int64_t classes) {
  x = at_relu(s->g, conv_bn(s, "stem", x, c->width[0], c->stem, c->stem_stride));
  if (c->stem_pool) {
    x = at_maxpool(s->g, x, (at_window2d){{3, 3}, {2, 2}, {1, 1}});
  }
  for (int i = 0; i < c->stages; i++) {
    for (int j = 0; j < c->blocks[i]; j++) {
      size_t mark = at_scope_enter(s, "stages.%d.%d.", i, j);
      x = block(s, x, c->width[i], i > 0 && j == 0 ? 2 : 1);
      at_scope_leave(s, mark);
    }
  }
  return x == AT_NONE ? x : at_layer_linear(s, "head", at_mean(s->g, x, 1, 3), classes, true, 1.0);
}
