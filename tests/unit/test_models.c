/* SPDX-License-Identifier: BSD-3-Clause */
/* Model presets: parameter counts against published ones, shapes, names, and what does not fit. */
#include "src/graph/ops.h"
#include "src/nn/models.h"
#include "tests/unit/unit.h"

/* Counts are those of the papers and of reference implementations, or worked out by hand where there are none. */
static void test_counts(void **state) {
  (void)state;
  static const struct {
    const char *name;
    int64_t params;
  } want[] = {
      {"logreg", 784 * 10 + 10},
      {"mlp", 784 * 200 + 200 + 200 * 200 + 200 + 200 * 10 + 10},
      {"leaf_cnn", 6603710},
      {"resnet18", 11173962},
      {"resnet18_imagenet", 11689512},
      {"deit_tiny", 5717416},
      {"deit_small", 22050664},
      {"gpt2", 124439808},
      {"smollm_135m", 134515008},
      {"tinyllama_1b", 1100048384},
      {"gpt_d64", 256 * 64 + 64 * 64 + 2 * (12 * 64 * 64 + 4 * 64) + 2 * 64},
      {"llama_d64", 256 * 64 + 2 * (64 * 128 + 64 * 64 + 3 * 64 * 176 + 2 * 64) + 64},
  };
  for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
    at_model m;
    at_graph *g;
    const at_layout *l;
    assert_ok(at_model_preset(want[i].name, &m));
    assert_ok(at_model_layout(&m, &g, &l));
    if (l->count != want[i].params) {
      fail_msg("%s has %lld parameters, not %lld", m.name, (long long)l->count, (long long)want[i].params);
    }
    at_graph_destroy(g);
  }
}

/* Every preset builds in training and in evaluation, for batches of 1 and 3, with the logits it promises. */
static void test_shapes(void **state) {
  (void)state;
  int n;
  const at_model *all = at_model_presets(&n);
  for (int i = 0; i < 4 * n; i++) {
    const at_model *m = &all[i / 4];
    at_graph *g;
    at_scope s;
    at_shape x = {.nd = 1 + m->input.nd, .d = {i % 2 ? 3 : 1}};
    memcpy(x.d + 1, m->input.d, (size_t)m->input.nd * sizeof *x.d);
    assert_ok(at_model_check(m));
    assert_ok(at_graph_create(&g, AT_F32));
    at_scope_init(&s, g);
    s.training = i / 2 % 2;
    bool lm = at_model_kind_of(m) == AT_MODEL_LM;
    at_val y = at_model_logits(&s, m, at_graph_input(g, "x", lm ? AT_I32 : AT_F32, x));
    assert_ok(at_scope_status(&s));
    int64_t rows = x.d[0] * (lm ? m->input.d[0] : 1);
    assert_true(at_shape_equal(at_graph_shape(g, y), AT_SHAPE(rows, m->classes)));
    assert_int_equal(s.n_update, m->family == AT_FAMILY_RESNET && s.training ? at_graph_states(g)->n : 0);
    at_scope_fini(&s);
    at_graph_destroy(g);
  }
}

/* Names are part of checkpoints. */
static void test_names(void **state) {
  (void)state;
  static const char *const want[][2] = {
      {"logreg", "head.bias"},
      {"mlp", "hidden.1.weight"},
      {"leaf_cnn", "conv2.bias"},
      {"resnet18", "stages.3.0.down.weight"},
      {"resnet18", "stages.0.1.conv2_bn.weight"},
      {"deit_tiny", "cls"},
      {"deit_tiny", "blocks.11.attn.qkv.bias"},
      {"gpt2", "pos.weight"},
      {"llama_d64", "blocks.1.mlp.gate.weight"},
      {"tinyllama_1b", "head.weight"},
  };
  for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
    at_model m;
    at_graph *g;
    const at_layout *l;
    assert_ok(at_model_preset(want[i][0], &m));
    assert_ok(at_model_layout(&m, &g, &l));
    assert_non_null(at_layout_find(l, want[i][1]));
    at_graph_destroy(g);
  }
}

static void test_misfits(void **state) {
  (void)state;
  at_model m;
  assert_fails(AT_ERR_CONFIG, "leaf_cnn", at_model_preset("lenet", &m));
  assert_ok(at_model_preset("deit_tiny", &m));
  m.input.d[0] = 220;
  assert_fails(AT_ERR_CONFIG, "do not tile", at_model_check(&m));
  m.input.d[0] = 224;
  m.vit.heads = 5;
  assert_fails(AT_ERR_CONFIG, "do not divide", at_model_check(&m));
  assert_ok(at_model_preset("resnet18", &m));
  m.input = AT_SHAPE(3072);
  assert_fails(AT_ERR_CONFIG, "3 axes", at_model_check(&m));
  assert_ok(at_model_preset("llama_d64", &m));
  m.gpt.kv_heads = 3;
  assert_fails(AT_ERR_CONFIG, "kv_heads", at_model_check(&m));
  assert_ok(at_model_preset("mlp", &m));
  m.classes = 0;
  assert_fails(AT_ERR_CONFIG, "0 classes", at_model_check(&m));
}

/* Some parameters only: the others are state, and names, shapes and order do not change. */
static void test_trained(void **state) {
  (void)state;
  static const char *const head_and_norms[] = {"head.*", "*norm*", NULL};
  at_model m;
  at_graph *g;
  at_scope s;
  assert_ok(at_model_preset("vit_tiny", &m));
  assert_ok(at_graph_create(&g, AT_F32));
  at_scope_init(&s, g);
  s.train = head_and_norms;
  at_model_logits(&s, &m, at_graph_input(g, "x", AT_F32, AT_SHAPE(2, 32, 32, 3)));
  assert_ok(at_scope_status(&s));
  const at_layout *p = at_graph_params(g), *q = at_graph_states(g);
  assert_int_equal(p->n, 2 * (2 * 12 + 1) + 2);
  assert_int_equal(p->count + q->count, 5362762);
  assert_null(at_layout_find(p, "patch.weight"));
  assert_non_null(at_layout_find(q, "patch.weight"));
  at_scope_fini(&s);
  at_graph_destroy(g);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_counts),  cmocka_unit_test(test_shapes),  cmocka_unit_test(test_names),
      cmocka_unit_test(test_misfits), cmocka_unit_test(test_trained),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
