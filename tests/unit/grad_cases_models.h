/* SPDX-License-Identifier: BSD-3-Clause */
/* Cases of test_gradients.c: whole models. */
#ifndef AT_TESTS_GRAD_CASES_MODELS_H
#define AT_TESTS_GRAD_CASES_MODELS_H

#include "src/nn/gpt.h"
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

static const grad_case model_cases[] = {
    {"GPT", build_gpt_like, false},
    {"Llama", build_llama_like, false},
};

#endif
