/* SPDX-License-Identifier: BSD-3-Clause */
/* The convolutional network of LEAF's FEMNIST task (Caldas et al. 2018): two 5 x 5 convolutions with zeros around, each followed
 * by ReLU and 2 x 2 max-pooling, then a dense layer with ReLU.
 *
 * Parameters: conv1.weight [5][5][c][channels[0]], conv1.bias; conv2.weight [5][5][channels[0]][channels[1]], conv2.bias;
 * dense.weight [(h/4)(w/4) channels[1]][dense], dense.bias; head.weight [dense][classes], head.bias. */
#ifndef AT_NN_LEAF_CNN_H
#define AT_NN_LEAF_CNN_H

#include "src/nn/layers.h"

typedef struct at_leaf_cnn {
  int64_t channels[2], dense;
} at_leaf_cnn;

/* x [batch][h][w][c] -> logits [batch][classes]. */
at_val at_leaf_cnn_build(at_scope *s, const at_leaf_cnn *c, at_val x, int64_t classes);

#endif
