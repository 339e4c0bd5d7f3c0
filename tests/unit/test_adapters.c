/* SPDX-License-Identifier: BSD-3-Clause */
/* Adapters: where they go, that they start as nothing, that they train alone, that merging is exact; singular values. */
#include "src/nn/adapter.h"

#include <math.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/nn/classifier.h"
#include "src/nn/svd.h"
#include "tests/unit/unit.h"

enum { BATCH = 12, WIDTH = 8, HIDDEN = 12, LAYERS = 2, CLASSES = 5 };
static const char *const nothing[] = {NULL};
static const char *const head[] = {"head.*", NULL};

typedef struct fixture {
  at_kernels k;
  at_model model;
  at_adapters *adapters;
  at_classifier_task *plain, *adapted;
  const at_layout *base, *params, *states;
  float *base_x, *theta, *state, *images;
  int32_t label[BATCH];
} fixture;

static float *vector(int64_t n) {
  float *x;
  assert_ok(at_alloc(&x, (size_t)n, sizeof *x, "test"));
  return x;
}

static void open_fixture(fixture *f, const at_adapter_spec *spec, int n, const char *const *train) {
  at_kernels_init(&f->k, at_isa_detect());
  assert_ok(at_model_preset("vit_tiny", &f->model));
  f->model.input = AT_SHAPE(8, 8, 3);
  f->model.classes = CLASSES;
  f->model.vit = (at_vit){.patch = 4, .width = WIDTH, .hidden = HIDDEN, .layers = LAYERS, .heads = 2};
  assert_ok(at_adapters_create(&f->adapters, spec, n));
  at_classifier_options o = {.train = train, .hook = at_adapters_hook, .hook_context = f->adapters};
  assert_ok(at_classifier_task_create(&f->plain, &f->model, NULL, &f->k));
  assert_ok(at_classifier_task_create(&f->adapted, &f->model, &o, &f->k));
  assert_ok(at_adapters_check(f->adapters));
  at_task *plain = at_classifier_task_get(f->plain), *adapted = at_classifier_task_get(f->adapted);
  f->base = at_task_params(plain);
  f->params = at_task_params(adapted);
  f->states = at_task_states(adapted);
  f->base_x = vector(f->base->count);
  f->theta = vector(f->params->count);
  f->state = vector(f->states->count);
  f->images = vector(BATCH * 192);
  assert_ok(at_task_init(plain, 9, f->base_x, NULL));
  assert_ok(at_task_init(adapted, 9, f->theta, f->state));
  assert_ok(at_adapters_frames(f->adapters, f->states, f->state));
  at_stream s = {.seed = 5, .purpose = AT_RNG_TEST};
  at_rng_fill_normal(&s, 0, 1, f->images, BATCH * 192);
  for (int i = 0; i < BATCH; i++) {
    f->label[i] = i % CLASSES;
  }
}

static void close_fixture(fixture *f) {
  at_classifier_task_destroy(f->plain);
  at_classifier_task_destroy(f->adapted);
  at_adapters_destroy(f->adapters);
  float *all[] = {f->base_x, f->theta, f->state, f->images};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    at_free(all[i]);
  }
}

static double loss(fixture *f, at_classifier_task *t, const float *theta, const float *state) {
  at_batch b = {.n = BATCH, .x = f->images, .label = f->label};
  at_score s;
  assert_ok(at_classifier_task_eval(t, theta, state, &b, &s));
  return s.loss;
}

static void train(fixture *f, int steps) {
  at_batch b = {.n = BATCH, .x = f->images, .label = f->label};
  at_score s;
  float *grad;
  for (int i = 0; i < steps; i++) {
    assert_ok(at_classifier_task_grad(f->adapted, f->theta, f->state, &b, &s, &grad, NULL, NULL));
    f->k.vec.sgd(0.5, f->params->count, grad, f->theta);
  }
}

static const at_adapter_spec all_kinds[] = {
    {.pattern = "blocks.*.attn.q", .kind = AT_ADAPTER_LORA, .rank = 2, .alpha = 4},
    {.pattern = "blocks.*.attn.v", .kind = AT_ADAPTER_LORA, .rank = 2, .alpha = 4},
    {.pattern = "*.mlp.*", .kind = AT_ADAPTER_LORA_XS, .rank = 3, .alpha = 6},
    {.pattern = "*.mlp.up", .kind = AT_ADAPTER_LORA, .rank = 1, .alpha = 1},
    {.pattern = "*.attn.qkv", .kind = AT_ADAPTER_BIAS},
    {.pattern = "patch", .kind = AT_ADAPTER_BIAS},
};
enum { KINDS = sizeof all_kinds / sizeof *all_kinds };

static void test_places(void **state) {
  (void)state;
  fixture f;
  open_fixture(&f, all_kinds, KINDS, nothing);
  assert_int_equal(at_adapters_count(f.adapters), 6 * LAYERS + 1);
  int64_t each = 2 * (2 * WIDTH + 2 * WIDTH) + 2 * 9 + (WIDTH + HIDDEN) + 3 * WIDTH;
  assert_int_equal(f.params->count, LAYERS * each + WIDTH);
  const at_adapter_site *s = at_adapters_site(f.adapters, 2); /* after patch, and q of the first block */
  assert_string_equal(s->name, "blocks.0.attn.v");
  assert_string_equal(s->layer, "blocks.0.attn.qkv");
  assert_true(s->column == 2 * WIDTH && s->out == WIDTH && s->in == WIDTH);
  assert_non_null(at_layout_find(f.params, "blocks.1.mlp.down.xs.r"));
  assert_non_null(at_layout_find(f.states, "blocks.1.mlp.down.xs.us"));
  assert_non_null(at_layout_find(f.states, "blocks.1.mlp.down.weight"));
  assert_non_null(at_layout_find(f.params, "patch.offset"));
  close_fixture(&f);
}

/* Adapters start as nothing; training moves them alone, and helps. */
static void test_training(void **state) {
  (void)state;
  fixture f;
  open_fixture(&f, all_kinds, KINDS, nothing);
  double before = loss(&f, f.plain, f.base_x, NULL);
  assert_true(loss(&f, f.adapted, f.theta, f.state) == before);
  float *was = vector(f.states->count);
  memcpy(was, f.state, (size_t)f.states->count * sizeof *was);
  train(&f, 20);
  assert_memory_equal(was, f.state, (size_t)f.states->count * sizeof *was);
  assert_true(loss(&f, f.adapted, f.theta, f.state) < 0.9 * before);
  for (int i = 0; i < f.params->n; i++) { /* every one of them moved */
    const at_tensor *t = &f.params->tensor[i];
    double sum = 0;
    for (int64_t k = 0; k < t->count; k++) {
      sum += fabs((double)f.theta[t->offset + k]);
    }
    assert_true(sum > 0);
  }
  at_free(was);
  close_fixture(&f);
}

/* What is merged into the plain model does what the adapted model does; unmerging gives the bytes back; merging again is the same. */
static void test_merge(void **state) {
  (void)state;
  for (int with_head = 0; with_head < 2; with_head++) {
    fixture f;
    open_fixture(&f, all_kinds, KINDS, with_head ? head : nothing);
    train(&f, 10);
    size_t bytes = (size_t)f.base->count * sizeof(float);
    float *x = vector(f.base->count), *once = vector(f.base->count), *saved = vector(at_adapters_saved(f.adapters));
    int n;
    assert_ok(at_layout_copy(f.states, f.state, f.base, x, &n));
    assert_ok(at_layout_copy(f.params, f.theta, f.base, x, &n));
    assert_int_equal(n, with_head ? 2 : 0);
    memcpy(once, x, bytes);
    double want = loss(&f, f.adapted, f.theta, f.state);
    assert_true(fabs(loss(&f, f.plain, x, NULL) - want) > 1e-2 * want);
    at_adapted v = {f.params, f.states, f.theta, f.state};
    assert_ok(at_adapters_merge(f.adapters, &v, f.base, x, saved));
    assert_true(fabs(loss(&f, f.plain, x, NULL) - want) < 1e-5 * want);
    float *merged = vector(f.base->count);
    memcpy(merged, x, bytes);
    assert_ok(at_adapters_unmerge(f.adapters, f.base, x, saved));
    assert_memory_equal(x, once, bytes);
    assert_ok(at_adapters_merge(f.adapters, &v, f.base, x, saved));
    assert_memory_equal(x, merged, bytes);
    float *all[] = {x, once, saved, merged};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
      at_free(all[i]);
    }
    close_fixture(&f);
  }
}

/* In place: the state's own weights, with adapters that are then set to nothing. */
static void test_merge_in_state(void **state) {
  (void)state;
  fixture f;
  open_fixture(&f, all_kinds, KINDS, nothing);
  train(&f, 10);
  size_t bytes = (size_t)f.states->count * sizeof(float);
  float *saved = vector(at_adapters_saved(f.adapters)), *was = vector(f.states->count), *none = vector(f.params->count);
  memcpy(was, f.state, bytes);
  double want = loss(&f, f.adapted, f.theta, f.state);
  at_adapted v = {f.params, f.states, f.theta, f.state};
  assert_ok(at_adapters_merge(f.adapters, &v, f.states, f.state, saved));
  assert_true(fabs(loss(&f, f.adapted, none, f.state) - want) < 1e-5 * want);
  assert_ok(at_adapters_unmerge(f.adapters, f.states, f.state, saved));
  assert_memory_equal(f.state, was, bytes);
  at_free(saved);
  at_free(was);
  at_free(none);
  close_fixture(&f);
}

/* Frames of full rank with R = I add the weight to itself. */
static void test_frames(void **state) {
  (void)state;
  fixture f;
  const at_adapter_spec whole = {.pattern = "head", .kind = AT_ADAPTER_LORA_XS, .rank = CLASSES, .alpha = CLASSES};
  open_fixture(&f, &whole, 1, nothing);
  for (int i = 0; i < CLASSES; i++) {
    f.theta[i * CLASSES + i] = 1;
  }
  float *saved = vector(at_adapters_saved(f.adapters)), *x = vector(f.base->count);
  memcpy(x, f.base_x, (size_t)f.base->count * sizeof *x);
  assert_ok(at_adapters_merge(f.adapters, &(at_adapted){f.params, f.states, f.theta, f.state}, f.base, x, saved));
  const at_tensor *w = at_layout_find(f.base, "head.weight");
  for (int64_t i = 0; i < f.base->count; i++) {
    bool changed = i >= w->offset && i < w->offset + w->count;
    assert_float_equal(x[i], (changed ? 2 : 1) * f.base_x[i], changed ? 1e-6 : 0);
  }
  at_free(saved);
  at_free(x);
  close_fixture(&f);
}

/* A product of known factors: the best approximation of rank 2 of a matrix of rank 3 misses the third singular value. */
static void test_svd(void **state) {
  (void)state;
  enum { ROWS = 7, COLS = 11, STRIDE = 13 };
  static const double size[3] = {5, 3, 0.5};
  float w[ROWS * STRIDE] = {0}, us[ROWS * 3], vt[3 * COLS];
  for (int i = 0; i < ROWS; i++) {
    for (int j = 0; j < COLS; j++) {
      for (int k = 0; k < 3; k++) { /* cosines of different frequencies are orthogonal */
        w[i * STRIDE + j] += (float)(size[k] * cos(M_PI * (k + 1) * (i + 0.5) / ROWS) * sqrt(2.0 / ROWS) *
                                     cos(M_PI * (k + 2) * (j + 0.5) / COLS) * sqrt(2.0 / COLS));
      }
    }
  }
  for (int rank = 1; rank <= 3; rank++) {
    assert_ok(at_svd_truncated(ROWS, COLS, w, STRIDE, rank, us, vt));
    double miss = 0;
    for (int i = 0; i < ROWS; i++) {
      for (int j = 0; j < COLS; j++) {
        double x = w[i * STRIDE + j];
        for (int k = 0; k < rank; k++) {
          x -= (double)us[i * rank + k] * (double)vt[k * COLS + j];
        }
        miss += x * x;
      }
    }
    double want = 0;
    for (int k = rank; k < 3; k++) {
      want += size[k] * size[k];
    }
    assert_float_equal(sqrt(miss), sqrt(want), 1e-6);
    for (int a = 0; a < rank; a++) {
      double norm = 0, most = 0;
      for (int j = 0; j < COLS; j++) {
        norm += (double)vt[a * COLS + j] * (double)vt[a * COLS + j];
        most = fabs((double)vt[a * COLS + j]) > fabs(most) ? (double)vt[a * COLS + j] : most;
      }
      assert_float_equal(norm, 1, 1e-6);
      assert_true(most > 0);
    }
  }
  assert_fails(AT_ERR_ARG, "wanted 1 to 7", at_svd_truncated(ROWS, COLS, w, STRIDE, 8, us, vt));
  w[3] = NAN;
  assert_fails(AT_ERR_NONFINITE, "7 x 11", at_svd_truncated(ROWS, COLS, w, STRIDE, 1, us, vt));
}

static void test_misuse(void **state) {
  (void)state;
  at_adapters *a;
  at_adapter_spec spec = {.pattern = "*", .kind = AT_ADAPTER_LORA};
  assert_fails(AT_ERR_CONFIG, "rank 0", at_adapters_create(&a, &spec, 1));
  at_kernels k;
  at_kernels_init(&k, AT_ISA_REF);
  at_model m;
  at_classifier_task *t;
  assert_ok(at_model_preset("logreg", &m));
  spec = (at_adapter_spec){.pattern = "head", .kind = AT_ADAPTER_LORA_XS, .rank = 11, .alpha = 1};
  assert_ok(at_adapters_create(&a, &spec, 1));
  at_classifier_options o = {.train = nothing, .hook = at_adapters_hook, .hook_context = a};
  assert_fails(AT_ERR_CONFIG, "lower the rank", at_classifier_task_create(&t, &m, &o, &k));
  at_adapters_destroy(a);
  spec.pattern = "attn.*";
  assert_ok(at_adapters_create(&a, &spec, 1));
  o.hook_context = a;
  assert_ok(at_classifier_task_create(&t, &m, &o, &k));
  assert_fails(AT_ERR_CONFIG, "attn.*", at_adapters_check(a));
  at_classifier_task_destroy(t);
  at_adapters_destroy(a);
}

/* A bias cannot be merged into a layer without one; nothing is changed then. */
static void test_no_bias(void **state) {
  (void)state;
  at_model m;
  at_graph *g, *plain;
  at_scope s;
  at_adapters *a;
  const at_layout *base;
  const at_adapter_spec spec = {.pattern = "*.mlp.up", .kind = AT_ADAPTER_BIAS};
  assert_ok(at_model_preset("gpt_d64", &m));
  assert_ok(at_model_layout(&m, &plain, &base));
  assert_ok(at_graph_create(&g, AT_F32));
  assert_ok(at_adapters_create(&a, &spec, 1));
  at_scope_init(&s, g);
  s.train = nothing;
  s.hook = at_adapters_hook;
  s.hook_context = a;
  at_model_logits(&s, &m, at_graph_input(g, "x", AT_I32, AT_SHAPE(1, 64)));
  assert_ok(at_scope_status(&s));
  at_adapted v = {.params = at_graph_params(g), .states = at_graph_states(g)};
  assert_int_equal(v.params->count, 2 * 256);
  assert_fails(AT_ERR_ARG, "blocks.0.mlp.up.bias", at_adapters_merge(a, &v, base, NULL, NULL));
  at_scope_fini(&s);
  at_adapters_destroy(a);
  at_graph_destroy(g);
  at_graph_destroy(plain);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_places),         cmocka_unit_test(test_training), cmocka_unit_test(test_merge),
      cmocka_unit_test(test_merge_in_state), cmocka_unit_test(test_frames),   cmocka_unit_test(test_svd),
      cmocka_unit_test(test_misuse),         cmocka_unit_test(test_no_bias),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
