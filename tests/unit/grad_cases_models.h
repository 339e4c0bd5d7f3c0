/* SPDX-License-Identifier: BSD-3-Clause */
/* Cases of test_gradients.c: whole models. */
#ifndef AT_TESTS_GRAD_CASES_MODELS_H
#define AT_TESTS_GRAD_CASES_MODELS_H

#include "src/nn/adapter.h"
#include "src/nn/models.h"
#include "tests/unit/grad_case.h"

static at_val build_gpt(at_graph *g, at_gpt c) {
  at_val ids = at_graph_input(g, "tokens", AT_I32, AT_SHAPE(2, 5));
  at_val targets = at_graph_input(g, "targets", AT_I32, AT_SHAPE(10));
  return at_cross_entropy(g, at_gpt_logits(g, &c, ids), targets, 0.1);
}

static at_val build_gpt_like(at_graph *g) {
  return build_gpt(g, (at_gpt){.vocab = 7,
                               .context = 6,
                               .width = 8,
                               .hidden = 12,
                               .layers = 2,
                               .heads = 2,
                               .kv_heads = 2,
                               .tied = true,
                               .bias = true,
                               .norm_eps = 1e-5});
}

static at_val build_llama_like(at_graph *g) {
  return build_gpt(g, (at_gpt){.vocab = 7,
                               .context = 5,
                               .width = 8,
                               .hidden = 12,
                               .layers = 2,
                               .heads = 4,
                               .kv_heads = 2,
                               .norm = AT_NORM_RMS,
                               .mlp = AT_MLP_SWIGLU,
                               .pos = AT_POS_ROPE,
                               .rope_base = 10000,
                               .norm_eps = 1e-5});
}

/* --- classifiers: images (also a parameter) of 7 classes ---------------------------------------------------------------------- */

enum { CLASSES = 7 };

static at_val build_classifier(at_graph *g, const at_model *m, int64_t batch, bool training) {
  at_shape shape = {.nd = 1 + m->input.nd, .d = {batch}};
  for (int i = 0; i < m->input.nd; i++) {
    shape.d[1 + i] = m->input.d[i];
  }
  at_scope s;
  at_scope_init(&s, g);
  s.training = training;
  at_val target = at_graph_input(g, "target", AT_I32, AT_SHAPE(batch));
  at_val loss = at_cross_entropy(g, at_model_logits(&s, m, par(g, "x", shape)), target, 0.3);
  loss = at_scope_status(&s) == AT_OK ? loss : AT_NONE;
  at_scope_fini(&s);
  return loss;
}

static at_val build_logreg(at_graph *g) {
  at_model m = {.family = AT_FAMILY_MLP, .input = {.nd = 1, .d = {6}}, .classes = CLASSES};
  return build_classifier(g, &m, 3, true);
}

static at_val build_mlp_model(at_graph *g) {
  at_model m = {
      .family = AT_FAMILY_MLP, .input = {.nd = 1, .d = {6}}, .classes = CLASSES, .mlp = {.layers = 2, .width = {8, 5}}};
  return build_classifier(g, &m, 3, true);
}

static at_val build_leaf_cnn_model(at_graph *g) {
  at_model m = {.family = AT_FAMILY_LEAF_CNN,
                .input = {.nd = 3, .d = {8, 8, 1}},
                .classes = CLASSES,
                .leaf_cnn = {.channels = {2, 3}, .dense = 5}};
  return build_classifier(g, &m, 2, true);
}

static at_val build_resnet_model(at_graph *g, bool training) {
  at_model m = {
      .family = AT_FAMILY_RESNET,
      .input = {.nd = 3, .d = {6, 6, 2}},
      .classes = CLASSES,
      .resnet = {.stages = 2, .blocks = {1, 1}, .width = {4, 5}, .stem = 3, .stem_stride = 1, .stem_pool = !training}};
  return build_classifier(g, &m, 3, training);
}

static at_val build_resnet_train(at_graph *g) {
  return build_resnet_model(g, true);
}

static at_val build_resnet_eval(at_graph *g) {
  return build_resnet_model(g, false);
}

static at_val build_vit_model(at_graph *g) {
  at_model m = {.family = AT_FAMILY_VIT,
                .input = {.nd = 3, .d = {4, 4, 2}},
                .classes = CLASSES,
                .vit = {.patch = 2, .width = 8, .hidden = 12, .layers = 2, .heads = 2}};
  return build_classifier(g, &m, 2, true);
}

/* --- adapters: those alone are parameters ---------------------------------------------------------------------------------------- */

static at_val build_adapted(at_graph *g) {
  static const at_adapter_spec spec[] = {{.pattern = "*.attn.q", .kind = AT_ADAPTER_LORA, .rank = 2, .alpha = 2},
                                         {.pattern = "*.mlp.*", .kind = AT_ADAPTER_LORA_XS, .rank = 2, .alpha = 2},
                                         {.pattern = "*.attn.*", .kind = AT_ADAPTER_BIAS}};
  static const char *const nothing[] = {NULL};
  at_gpt c = {.vocab = 7,
              .context = 5,
              .width = 8,
              .hidden = 12,
              .layers = 1,
              .heads = 2,
              .kv_heads = 2,
              .tied = true,
              .norm_eps = 1e-5};
  at_adapters *a;
  at_scope s;
  if (at_adapters_create(&a, spec, 3) != AT_OK) {
    return AT_NONE;
  }
  at_scope_init(&s, g);
  s.train = nothing;
  s.hook = at_adapters_hook;
  s.hook_context = a;
  at_val ids = at_graph_input(g, "tokens", AT_I32, AT_SHAPE(2, 5));
  at_val targets = at_graph_input(g, "targets", AT_I32, AT_SHAPE(10));
  at_val loss = at_cross_entropy(g, at_gpt_build(&s, &c, ids), targets, 0.1);
  at_scope_fini(&s);
  at_adapters_destroy(a);
  return loss;
}

static const grad_case model_cases[] = {
    {"GPT", build_gpt_like, FILL_NORMAL},
    {"Llama", build_llama_like, FILL_NORMAL},
    {"logistic regression", build_logreg, FILL_MODEL},
    {"MLP", build_mlp_model, FILL_MODEL},
    {"LEAF CNN", build_leaf_cnn_model, FILL_MODEL},
    {"ResNet in training", build_resnet_train, FILL_MODEL},
    {"ResNet in evaluation, ImageNet stem", build_resnet_eval, FILL_MODEL},
    {"ViT", build_vit_model, FILL_MODEL},
    {"GPT with adapters", build_adapted, FILL_MODEL},
};

#endif
