/* SPDX-License-Identifier: BSD-3-Clause */
/* Residual networks of basic blocks (He et al. 2016) with batch-norm; the CIFAR stem is one 3 x 3 convolution.
 *
 * Parameters: stem.weight [k][k][c][width[0]]; for stage i and block j stages.i.j.{conv1,conv2}.weight [3][3][in][out], and
 * stages.i.j.down.weight [1][1][in][out] where the shape changes; each convolution X is followed by batch-norm X_bn.{weight,
 * bias} [out] with state X_bn.{mean,var}; head.weight [width][classes], head.bias.  In a block the order is conv1, conv1_bn,
 * conv2, conv2_bn, down, down_bn. */
#ifndef AT_NN_RESNET_H
#define AT_NN_RESNET_H

#include "src/nn/layers.h"

enum { AT_RESNET_STAGES = 4 };
typedef struct at_resnet {
  int stages, blocks[AT_RESNET_STAGES]; /* from the second stage on the first block has stride 2 */
  int64_t width[AT_RESNET_STAGES];
  int64_t stem, stem_stride; /* kernel (odd) and stride of the first convolution */
  bool stem_pool;            /* then 3 x 3 max-pooling of stride 2, as for ImageNet */
} at_resnet;

/* x [batch][h][w][c] -> logits [batch][classes]. */
at_val at_resnet_build(at_scope *s, const at_resnet *c, at_val x, int64_t classes);

#endif
