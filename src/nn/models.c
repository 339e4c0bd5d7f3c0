/* SPDX-License-Identifier: BSD-3-Clause */
/* Models by name. */
#include "src/nn/models.h"

#include <string.h>

/* --- presets ------------------------------------------------------------------------------------------------------------------ */

#define IMAGE(size, channels)              \
  {                                        \
    .nd = 3, .d = { size, size, channels } \
  }
#define RESNET18 .stages = 4, .blocks = {2, 2, 2, 2}, .width = {64, 128, 256, 512}
#define VIT(patch_, width_, heads_) \
  { .patch = patch_, .width = width_, .hidden = 4 * (width_), .layers = 12, .heads = heads_ }
/* GPT-like: LayerNorm, GELU, learned positions, tied. */
#define GPT(name_, vocab_, context_, width_, layers_, heads_, bias_)                                         \
  {                                                                                                          \
    .name = name_, .family = AT_FAMILY_GPT, .input = {.nd = 1, .d = {context_}}, .classes = vocab_, .gpt = { \
      .width = width_,                                                                                       \
      .hidden = 4 * (width_),                                                                                \
      .layers = layers_,                                                                                     \
      .heads = heads_,                                                                                       \
      .kv_heads = heads_,                                                                                    \
      .tied = true,                                                                                          \
      .bias = bias_,                                                                                         \
      .norm_eps = 1e-5                                                                                       \
    }                                                                                                        \
  }
/* Llama-like: RMSNorm, SwiGLU, rotary positions, grouped queries. */
#define LLAMA(name_, vocab_, context_, width_, hidden_, layers_, heads_, kv_, tied_)                         \
  {                                                                                                          \
    .name = name_, .family = AT_FAMILY_GPT, .input = {.nd = 1, .d = {context_}}, .classes = vocab_, .gpt = { \
      .width = width_,                                                                                       \
      .hidden = hidden_,                                                                                     \
      .layers = layers_,                                                                                     \
      .heads = heads_,                                                                                       \
      .kv_heads = kv_,                                                                                       \
      .norm = AT_NORM_RMS,                                                                                   \
      .mlp = AT_MLP_SWIGLU,                                                                                  \
      .pos = AT_POS_ROPE,                                                                                    \
      .tied = tied_,                                                                                         \
      .rope_base = 10000,                                                                                    \
      .norm_eps = 1e-5                                                                                       \
    }                                                                                                        \
  }

static const at_model presets[] = {
    {.name = "logreg", .family = AT_FAMILY_MLP, .input = {.nd = 1, .d = {784}}, .classes = 10},
    {.name = "mlp",
     .family = AT_FAMILY_MLP,
     .input = {.nd = 1, .d = {784}},
     .classes = 10,
     .mlp = {.layers = 2, .width = {200, 200}}},
    {.name = "leaf_cnn",
     .family = AT_FAMILY_LEAF_CNN,
     .input = IMAGE(28, 1),
     .classes = 62,
     .leaf_cnn = {.channels = {32, 64}, .dense = 2048}},
    {.name = "resnet18", /* for CIFAR */
     .family = AT_FAMILY_RESNET,
     .input = IMAGE(32, 3),
     .classes = 10,
     .resnet = {RESNET18, .stem = 3, .stem_stride = 1}},
    {.name = "resnet18_imagenet",
     .family = AT_FAMILY_RESNET,
     .input = IMAGE(224, 3),
     .classes = 1000,
     .resnet = {RESNET18, .stem = 7, .stem_stride = 2, .stem_pool = true}},
    {.name = "vit_tiny", .family = AT_FAMILY_VIT, .input = IMAGE(32, 3), .classes = 10, .vit = VIT(4, 192, 3)},
    {.name = "vit_small", .family = AT_FAMILY_VIT, .input = IMAGE(32, 3), .classes = 10, .vit = VIT(4, 384, 6)},
    {.name = "deit_tiny", .family = AT_FAMILY_VIT, .input = IMAGE(224, 3), .classes = 1000, .vit = VIT(16, 192, 3)},
    {.name = "deit_small", .family = AT_FAMILY_VIT, .input = IMAGE(224, 3), .classes = 1000, .vit = VIT(16, 384, 6)},
    GPT("gpt_d64", 256, 64, 64, 2, 4, false),
    GPT("gpt_d128", 256, 128, 128, 4, 4, false),
    GPT("gpt_d256", 512, 256, 256, 6, 4, false),
    GPT("gpt_d384", 2048, 256, 384, 6, 6, false),
    GPT("photon_125m", 50368, 2048, 768, 12, 12, false),
    GPT("gpt2", 50257, 1024, 768, 12, 12, true),
    LLAMA("llama_d64", 256, 64, 64, 176, 2, 4, 2, true),
    LLAMA("llama_d256", 512, 256, 256, 688, 6, 8, 4, true),
    LLAMA("smollm_135m", 49152, 2048, 576, 1536, 30, 9, 3, true),
    LLAMA("tinyllama_1b", 32000, 2048, 2048, 5632, 22, 32, 4, false),
};
enum { PRESETS = sizeof presets / sizeof *presets };

const at_model *at_model_presets(int *n) {
  *n = PRESETS;
  return presets;
}

at_err at_model_preset(const char *name, at_model *out) {
  char all[AT_ERR_MESSAGE_MAX / 2];
  size_t at = 0;
  for (int i = 0; i < PRESETS; i++) {
    if (strcmp(presets[i].name, name) == 0) {
      *out = presets[i];
      return AT_OK;
    }
    at += (size_t)snprintf(all + at, sizeof all - at, "%s%s", i ? ", " : "", presets[i].name);
    at = at < sizeof all ? at : sizeof all - 1;
  }
  return AT_FAIL(AT_ERR_CONFIG, "no model is called %s: choose one of %s", name, all);
}

/* --- families ----------------------------------------------------------------------------------------------------------------- */

static at_gpt gpt_of(const at_model *m) {
  at_gpt c = m->gpt;
  c.vocab = m->classes;
  c.context = m->input.d[0];
  c.precision = m->precision;
  return c;
}

static at_val build_mlp(at_scope *s, const at_model *m, at_val x) {
  return at_mlp_build(s, &m->mlp, x, m->classes);
}

static at_val build_leaf_cnn(at_scope *s, const at_model *m, at_val x) {
  return at_leaf_cnn_build(s, &m->leaf_cnn, x, m->classes);
}

static at_val build_resnet(at_scope *s, const at_model *m, at_val x) {
  return at_resnet_build(s, &m->resnet, x, m->classes);
}

static at_val build_vit(at_scope *s, const at_model *m, at_val x) {
  return at_vit_build(s, &m->vit, x, m->classes);
}

static at_val build_gpt(at_scope *s, const at_model *m, at_val x) {
  at_gpt c = gpt_of(m);
  return at_gpt_build(s, &c, x);
}

static at_err check_mlp(const at_model *m) {
  if (m->mlp.layers < 0 || m->mlp.layers > AT_MLP_LAYERS) {
    return AT_FAIL(AT_ERR_CONFIG, "model %s has %d hidden layers: wanted 0 to %d", m->name, m->mlp.layers,
                   AT_MLP_LAYERS);
  }
  return AT_OK;
}

static at_err check_leaf_cnn(const at_model *m) {
  if (m->input.d[0] < 4 || m->input.d[1] < 4) {
    return AT_FAIL(AT_ERR_CONFIG, "model %s halves the image twice: wanted at least 4 x 4, not %lld x %lld", m->name,
                   (long long)m->input.d[0], (long long)m->input.d[1]);
  }
  return AT_OK;
}

static at_err check_resnet(const at_model *m) {
  const at_resnet *c = &m->resnet;
  if (c->stages < 1 || c->stages > AT_RESNET_STAGES || c->stem % 2 != 1 || c->stem_stride < 1) {
    return AT_FAIL(AT_ERR_CONFIG, "model %s: %d stages (wanted 1 to %d), stem %lld (wanted odd) with stride %lld",
                   m->name, c->stages, AT_RESNET_STAGES, (long long)c->stem, (long long)c->stem_stride);
  }
  return AT_OK;
}

static at_err check_vit(const at_model *m) {
  const at_vit *c = &m->vit;
  if (c->heads < 1 || c->width % c->heads != 0) {
    return AT_FAIL(AT_ERR_CONFIG, "model %s: %d heads do not divide the width %lld", m->name, c->heads,
                   (long long)c->width);
  }
  if (c->patch < 1 || m->input.d[0] % c->patch != 0 || m->input.d[1] % c->patch != 0) {
    return AT_FAIL(AT_ERR_CONFIG, "model %s: patches of %lld do not tile an image of %lld x %lld", m->name,
                   (long long)c->patch, (long long)m->input.d[0], (long long)m->input.d[1]);
  }
  return AT_OK;
}

static at_err check_gpt(const at_model *m) {
  at_gpt c = gpt_of(m);
  return at_gpt_check(&c);
}

typedef struct family_row {
  at_model_kind kind;
  int input_nd; /* axes of one example; 0: any */
  at_err (*check)(const at_model *m);
  at_val (*build)(at_scope *s, const at_model *m, at_val x);
} family_row;

static const family_row families[] = {
    [AT_FAMILY_MLP] = {AT_MODEL_CLASSIFIER, 0, check_mlp, build_mlp},
    [AT_FAMILY_LEAF_CNN] = {AT_MODEL_CLASSIFIER, 3, check_leaf_cnn, build_leaf_cnn},
    [AT_FAMILY_RESNET] = {AT_MODEL_CLASSIFIER, 3, check_resnet, build_resnet},
    [AT_FAMILY_VIT] = {AT_MODEL_CLASSIFIER, 3, check_vit, build_vit},
    [AT_FAMILY_GPT] = {AT_MODEL_LM, 1, check_gpt, build_gpt},
};

at_model_kind at_model_kind_of(const at_model *m) {
  return families[m->family].kind;
}

at_err at_model_check(const at_model *m) {
  const family_row *row = &families[m->family];
  if (m->classes < 1 || (row->input_nd != 0 && m->input.nd != row->input_nd)) {
    char a[96];
    return AT_FAIL(AT_ERR_CONFIG, "model %s: %lld classes of examples %s: wanted at least one, and %d axes", m->name,
                   (long long)m->classes, at_shape_text(m->input, a, sizeof a), row->input_nd);
  }
  return row->check(m);
}

at_val at_model_logits(at_scope *s, const at_model *m, at_val x) {
  at_graph_set_precision(s->g, (at_precision)m->precision);
  return families[m->family].build(s, m, x);
}

at_err at_model_layout(const at_model *m, at_graph **g, const at_layout **params) {
  *g = NULL;
  AT_TRY(at_model_check(m));
  AT_TRY(at_graph_create(g, AT_F32));
  at_scope s;
  at_scope_init(&s, *g);
  at_shape shape = {.nd = 1 + m->input.nd, .d = {1}};
  memcpy(shape.d + 1, m->input.d, (size_t)m->input.nd * sizeof *shape.d);
  at_model_logits(&s, m, at_graph_input(*g, "x", at_model_kind_of(m) == AT_MODEL_LM ? AT_I32 : AT_F32, shape));
  at_err err = at_scope_status(&s);
  at_scope_fini(&s);
  if (err != AT_OK) {
    at_graph_destroy(*g);
    *g = NULL;
    return err;
  }
  *params = at_graph_params(*g);
  return AT_OK;
}
