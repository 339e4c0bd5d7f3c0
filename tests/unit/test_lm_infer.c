/* SPDX-License-Identifier: BSD-3-Clause */
/* Inference with a cache against the graph of the same model: every variant, every position, sliding, prompts in pieces. */
#include <math.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/lm/infer.h"
#include "tests/unit/unit.h"

static at_kernels kernels;

/* A model, its parameters, and text for it. */
typedef struct model {
  at_gpt c;
  at_graph *g; /* owns the layout */
  const at_layout *layout;
  float *theta;
} model;

static at_gpt small(void) {
  return (at_gpt){.vocab = 13,
                  .context = 11,
                  .width = 24,
                  .hidden = 20,
                  .layers = 2,
                  .heads = 4,
                  .kv_heads = 4,
                  .norm = AT_NORM_LAYER,
                  .mlp = AT_MLP_GELU,
                  .pos = AT_POS_LEARNED,
                  .tied = true,
                  .rope_base = 100,
                  .norm_eps = 1e-5};
}

static at_graph *graph_of(const at_gpt *c, int64_t t, at_val *logits) {
  at_graph *g;
  assert_ok(at_graph_create(&g, AT_F32));
  *logits = at_gpt_logits(g, c, at_graph_input(g, "tokens", AT_I32, AT_SHAPE(1, t)));
  assert_ok(at_graph_status(g));
  return g;
}

/* All parameters random, so that biases count too. */
static void model_init(model *m, at_gpt c) {
  at_val logits;
  at_stream s = {.seed = 3, .purpose = AT_RNG_TEST};
  m->c = c;
  m->g = graph_of(&c, 1, &logits);
  m->layout = at_graph_params(m->g);
  assert_ok(at_alloc(&m->theta, (size_t)m->layout->count, sizeof *m->theta, "test"));
  at_rng_fill_normal(&s, 0.1, 0.5, m->theta, m->layout->count);
}

static void model_fini(model *m) {
  at_graph_destroy(m->g);
  at_free(m->theta);
}

static void fill_text(int64_t vocab, int64_t n, int32_t *out) {
  at_stream s = {.seed = 4, .purpose = AT_RNG_TEST};
  for (int64_t i = 0; i < n; i++) {
    out[i] = (int32_t)at_rng_below(&s, (uint64_t)(8 * i), (uint64_t)vocab);
  }
}

/* logits[t][vocab] by the compiled graph. */
static void by_graph(const model *m, const int32_t *tokens, int64_t t, float *logits) {
  at_val value;
  at_program *p;
  void *arena;
  at_graph *g = graph_of(&m->c, t, &value);
  assert_ok(at_program_compile(&p, g, &kernels, &(at_output){.value = value, .slot = AT_SLOT_OUT}, 1));
  assert_ok(at_alloc(&arena, at_program_arena_bytes(p), 1, "test"));
  at_program_run(p, &(at_bind){.param = m->theta, .in = {tokens}, .out = {logits}, .arena = arena}, NULL, NULL);
  at_program_destroy(p);
  at_graph_destroy(g);
  at_free(arena);
}

/* Largest difference, relative to the largest logit. */
static double distance(int64_t n, const float *a, const float *b) {
  double most = 0, size = 0;
  for (int64_t i = 0; i < n; i++) {
    assert_true(isfinite(a[i]) && isfinite(b[i]));
    most = fmax(most, fabs((double)a[i] - (double)b[i]));
    size = fmax(size, fabs((double)b[i]));
  }
  assert_true(size > 0);
  return most / size;
}

static void check_positions(const at_gpt *c, const char *name) {
  model m;
  at_infer *f;
  int32_t text[256];
  float *want;
  model_init(&m, *c);
  fill_text(c->vocab, c->context, text);
  assert_ok(at_alloc(&want, (size_t)(c->context * c->vocab), sizeof *want, "test"));
  by_graph(&m, text, c->context, want);
  assert_ok(at_infer_create(&f, c, m.layout, m.theta, &kernels));
  for (int64_t t = 0; t < c->context; t++) {
    double alone = distance(c->vocab, at_infer_feed(f, text + t, 1), want + t * c->vocab);
    assert_int_equal(at_infer_length(f), t + 1);
    if (alone > 1e-4) {
      fail_msg("%s: token %d differs by %g", name, (int)t, alone);
    }
  }
  for (int64_t t = 0; t < c->context; t++) { /* as prompts of every length */
    at_infer_reset(f);
    double prompt = distance(c->vocab, at_infer_feed(f, text, t + 1), want + t * c->vocab);
    if (prompt > 1e-4) {
      fail_msg("%s: a prompt of %d tokens differs by %g", name, (int)t + 1, prompt);
    }
  }
  at_infer_destroy(f);
  at_free(want);
  model_fini(&m);
}

static void test_variants(void **state) {
  (void)state;
  for (int isa = 0; isa <= (int)at_isa_detect(); isa++) {
    at_kernels_init(&kernels, (at_isa)isa);
    for (int v = 0; v < 32 * 3; v++) {
      char name[96];
      at_gpt c = small();
      c.norm = v & 1 ? AT_NORM_RMS : AT_NORM_LAYER;
      c.mlp = v & 2 ? AT_MLP_SWIGLU : AT_MLP_GELU;
      c.pos = v & 4 ? AT_POS_ROPE : AT_POS_LEARNED;
      c.tied = (v & 8) != 0;
      c.bias = (v & 16) != 0;
      c.kv_heads = (int[]){4, 2, 1}[v / 32];
      snprintf(name, sizeof name, "%s norm %d mlp %d positions %d tied %d bias %d kv_heads %d", kernels.isa_name,
               c.norm, c.mlp, c.pos, c.tied, c.bias, c.kv_heads);
      check_positions(&c, name);
    }
  }
}

/* A context of several chunks, none of whose sizes divides another. */
static void test_long_context(void **state) {
  (void)state;
  at_gpt c = small();
  at_kernels_init(&kernels, at_isa_detect());
  c.context = 149;
  c.pos = AT_POS_ROPE;
  c.kv_heads = 2;
  check_positions(&c, "rotary");
  c.pos = AT_POS_LEARNED;
  check_positions(&c, "learned");
}

/* Three contexts of text: at each token the graph sees what should be in the window, counted here by hand. */
static void check_slide(const at_gpt *c, const char *name) {
  enum { MAX = 64 };
  model m;
  at_infer *f;
  int32_t text[MAX], window[MAX];
  float want[MAX * MAX];
  int64_t n = 3 * c->context + 2, size = 0;
  model_init(&m, *c);
  fill_text(c->vocab, n, text);
  assert_ok(at_infer_create(&f, c, m.layout, m.theta, &kernels));
  for (int64_t i = 0; i < n; i++) {
    if (size == c->context) {
      memmove(window, window + size - c->context / 2, (size_t)(c->context / 2) * sizeof *window);
      size = c->context / 2;
    }
    window[size++] = text[i];
    by_graph(&m, window, size, want);
    double off = distance(c->vocab, at_infer_feed(f, text + i, 1), want + (size - 1) * c->vocab);
    assert_int_equal(at_infer_length(f), size);
    if (off > 1e-4) {
      fail_msg("%s: token %d, %d in the window, differs by %g", name, (int)i, (int)size, off);
    }
  }
  at_infer_destroy(f);
  model_fini(&m);
}

static void test_slide(void **state) {
  (void)state;
  at_kernels_init(&kernels, at_isa_detect());
  for (int pos = 0; pos < 2; pos++) {
    for (int64_t context = 1; context <= 8; context++) {
      char name[64];
      at_gpt c = small();
      c.pos = pos;
      c.context = context;
      snprintf(name, sizeof name, "positions %d, context %d", pos, (int)context);
      check_slide(&c, name);
    }
  }
}

/* A text in pieces of any size leaves the same window and logits as token by token. */
static void test_pieces(void **state) {
  (void)state;
  enum { N = 60 };
  model m;
  at_infer *one, *some;
  int32_t text[N];
  at_gpt c = small();
  at_kernels_init(&kernels, at_isa_detect());
  model_init(&m, c);
  fill_text(c.vocab, N, text);
  assert_ok(at_infer_create(&one, &c, m.layout, m.theta, &kernels));
  assert_ok(at_infer_create(&some, &c, m.layout, m.theta, &kernels));
  for (int64_t first = 1; first <= 25; first++) {
    for (int64_t second = 1; first + second <= N; second += 3) {
      const float *want = NULL;
      at_infer_reset(one);
      at_infer_reset(some);
      for (int64_t i = 0; i < first + second; i++) {
        want = at_infer_feed(one, text + i, 1);
      }
      at_infer_feed(some, text, first);
      double off = distance(c.vocab, at_infer_feed(some, text + first, second), want);
      assert_int_equal(at_infer_length(some), at_infer_length(one));
      if (off > 1e-4) {
        fail_msg("%d and %d tokens: differs by %g", (int)first, (int)second, off);
      }
    }
  }
  at_infer_destroy(one);
  at_infer_destroy(some);
  model_fini(&m);
}

static void test_no_allocation(void **state) {
  (void)state;
  model m;
  at_infer *f;
  int32_t text[40];
  int64_t live = at_alloc_get_stats().live_bytes;
  at_gpt c = small();
  at_kernels_init(&kernels, at_isa_detect());
  model_init(&m, c);
  fill_text(c.vocab, 40, text);
  int64_t before = at_alloc_get_stats().live_bytes;
  assert_ok(at_infer_create(&f, &c, m.layout, m.theta, &kernels));
  assert_in_range(at_alloc_get_stats().live_bytes - before, at_infer_bytes(f), at_infer_bytes(f) + 1024);
  int64_t calls = at_alloc_get_stats().calls;
  at_infer_feed(f, text, 9);
  for (int i = 0; i < 40; i++) {
    at_infer_feed(f, text + i, 1);
  }
  at_infer_feed(f, text, 40);
  assert_int_equal(at_alloc_get_stats().calls, calls);
  at_infer_destroy(f);
  model_fini(&m);
  assert_int_equal(at_alloc_get_stats().live_bytes, live);
}

static void test_refusals(void **state) {
  (void)state;
  model m;
  at_infer *f;
  at_gpt c = small();
  at_kernels_init(&kernels, at_isa_detect());
  model_init(&m, c);
  at_gpt other = c;
  other.tied = false;
  assert_fails(AT_ERR_STATE, "lack head.weight [24, 13]", at_infer_create(&f, &other, m.layout, m.theta, &kernels));
  assert_null(f);
  other = c;
  other.layers = 3;
  assert_fails(AT_ERR_STATE, "lack blocks.2.norm1.weight", at_infer_create(&f, &other, m.layout, m.theta, &kernels));
  other = c;
  other.hidden = 19;
  assert_fails(AT_ERR_STATE, "blocks.0.mlp.up.weight is [24, 20] where the model's configuration asks for [24, 19]",
               at_infer_create(&f, &other, m.layout, m.theta, &kernels));
  other = c;
  other.heads = 5;
  assert_fails(AT_ERR_CONFIG, "model.heads = 5", at_infer_create(&f, &other, m.layout, m.theta, &kernels));
  model_fini(&m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_variants), cmocka_unit_test(test_long_context),  cmocka_unit_test(test_slide),
      cmocka_unit_test(test_pieces),   cmocka_unit_test(test_no_allocation), cmocka_unit_test(test_refusals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
