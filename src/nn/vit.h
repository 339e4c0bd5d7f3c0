/* SPDX-License-Identifier: BSD-3-Clause */
/* Vision transformers (Dosovitskiy et al. 2021; the sizes of DeiT: Touvron et al. 2021): patches, a class token, learned
 * positions, pre-norm blocks with full attention, and a linear head on the class token.
 *
 * Parameters: patch.weight [patch patch c][width], patch.bias; cls [width]; pos [1 + patches][width]; for each block b
 * blocks.b.* as in src/nn/gpt.h with LayerNorm, GELU and biases; norm.{weight,bias}; head.weight [width][classes], head.bias. */
#ifndef AT_NN_VIT_H
#define AT_NN_VIT_H

#include "src/nn/layers.h"

typedef struct at_vit {
  int64_t patch, width, hidden;
  int layers, heads;
} at_vit;

/* x [batch][h][w][c], h and w multiples of the patch -> logits [batch][classes]. */
at_val at_vit_build(at_scope *s, const at_vit *c, at_val x, int64_t classes);

#endif
