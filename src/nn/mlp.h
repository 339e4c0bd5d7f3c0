/* SPDX-License-Identifier: BSD-3-Clause */
/* Multilayer perceptrons with ReLU, and logistic regression, which is one without hidden layers.
 *
 * Parameters: hidden.i.weight [in][width], hidden.i.bias for each hidden layer i; head.weight [in][classes], head.bias. */
#ifndef AT_NN_MLP_H
#define AT_NN_MLP_H

#include "src/nn/layers.h"

enum { AT_MLP_LAYERS = 6 };
typedef struct at_mlp {
  int layers; /* hidden ones */
  int64_t width[AT_MLP_LAYERS];
} at_mlp;

/* x [batch][..], whose other axes are taken as one -> logits [batch][classes]. */
at_val at_mlp_build(at_scope *s, const at_mlp *c, at_val x, int64_t classes);

#endif
