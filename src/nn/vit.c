/* SPDX-License-Identifier: BSD-3-Clause */
/* Vision transformers. */
#include "src/nn/vit.h"

#include "src/graph/ops.h"
#include "src/nn/gpt.h"

/* [batch][1 + patches][width]: the class token, then the patches row by row; positions added. */
static at_val tokens(at_scope *s, const at_vit *c, at_val x) {
  at_graph *g = s->g;
  int64_t batch = at_graph_shape(g, x).d[0];
  at_val patches = at_unfold(g, x, (at_window2d){.kernel = {c->patch, c->patch}, .stride = {c->patch, c->patch}});
  patches = at_layer_linear(s, "patch", patches, c->width, true, 1.0);
  at_val cls = at_scope_param(s, "cls", AT_SHAPE(c->width), (at_init){.kind = AT_INIT_NORMAL, .sd = 0.02});
  at_val all = at_join(g, at_broadcast(g, cls, AT_SHAPE(batch, 1, c->width)), patches, 1);
  at_shape rows = AT_SHAPE(at_graph_shape(g, all).d[1], c->width);
  return at_add(g, all, at_scope_param(s, "pos", rows, (at_init){.kind = AT_INIT_NORMAL, .sd = 0.02}));
}

at_val at_vit_build(at_scope *s, const at_vit *c, at_val x, int64_t classes) {
  at_gpt block = {.width = c->width,
                  .hidden = c->hidden,
                  .layers = c->layers,
                  .heads = c->heads,
                  .kv_heads = c->heads,
                  .bias = true,
                  .pos = AT_POS_LEARNED,
                  .norm_eps = 1e-6};
  int64_t batch = at_graph_shape(s->g, x).d[0];
  x = tokens(s, c, x);
  for (int i = 0; i < c->layers; i++) {
    size_t mark = at_scope_enter(s, "blocks.%d.", i);
    x = at_gpt_block(s, &block, x, false);
    at_scope_leave(s, mark);
  }
  /* The norm is row by row: only the class token's row is needed. */
  at_val cls = at_reshape(s->g, at_slice(s->g, x, 1, 0, 1), AT_SHAPE(batch, c->width));
  return at_layer_linear(s, "head", at_layer_layernorm(s, "norm", cls, block.norm_eps), classes, true, 1.0);
}
