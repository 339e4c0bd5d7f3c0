/* SPDX-License-Identifier: BSD-3-Clause */
/* Models by name: the presets, and one way to build any of them. */
#ifndef AT_NN_MODELS_H
#define AT_NN_MODELS_H

#include "src/nn/gpt.h"
#include "src/nn/leaf_cnn.h"
#include "src/nn/mlp.h"
#include "src/nn/resnet.h"
#include "src/nn/vit.h"

typedef enum at_model_kind {
  AT_MODEL_CLASSIFIER, /* real examples, one class each */
  AT_MODEL_LM          /* windows of tokens, the next token for each */
} at_model_kind;

typedef enum at_family { AT_FAMILY_MLP, AT_FAMILY_LEAF_CNN, AT_FAMILY_RESNET, AT_FAMILY_VIT, AT_FAMILY_GPT } at_family;

typedef struct at_model {
  const char *name;
  at_family family;
  at_shape input;  /* of one example: [features], [height][width][channels], or [context] */
  int64_t classes; /* logits per example, or per token */
  int precision;   /* at_precision */
  union {
    at_mlp mlp;
    at_leaf_cnn leaf_cnn;
    at_resnet resnet;
    at_vit vit;
    at_gpt gpt; /* its vocab and context are classes and input, which count */
  };
} at_model;

/* *out = the preset called `name`, whose fields the caller may change.  AT_ERR_CONFIG lists the names if there is none. */
at_err at_model_preset(const char *name, at_model *out);
const at_model *at_model_presets(int *n); /* all of them */

at_model_kind at_model_kind_of(const at_model *m);
/* AT_ERR_CONFIG naming what does not fit (heads against width, patches against the image, ...). */
at_err at_model_check(const at_model *m);
/* x: real [batch][input..], or i32 [batch][context] -> logits [batch][classes], or [batch * context][classes]. */
at_val at_model_logits(at_scope *s, const at_model *m, at_val x);
/* The layout of its parameters: *g must live as long as that is used. */
at_err at_model_layout(const at_model *m, at_graph **g, const at_layout **params);

#endif
