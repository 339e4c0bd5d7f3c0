/* SPDX-License-Identifier: BSD-3-Clause */
/* Precision bf16: products really read rounded inputs, everything else stays f32, and training goes as in f32. */
#include <math.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/graph/ops.h"
#include "src/nn/lm_task.h"
#include "tests/unit/unit.h"

/* x w and x + w of one graph at `precision`, x = w = [1 + 2^-9]. */
static void product_and_sum(at_dtype real, at_precision precision, double *product, double *sum) {
  static at_kernels k;
  at_kernels_init(&k, at_isa_detect());
  at_graph *g;
  assert_ok(at_graph_create(&g, real));
  at_graph_set_precision(g, precision);
  at_val x = at_graph_input(g, "x", real, AT_SHAPE(1, 1)), w = at_graph_param(g, "w", AT_SHAPE(1, 1), (at_init){0});
  const at_output outs[] = {{.value = at_matmul(g, x, w, false, false), .slot = AT_SLOT_OUT},
                            {.value = at_add(g, x, w), .slot = AT_SLOT_OUT, .index = 1}};
  at_program *p;
  assert_ok(at_program_compile(&p, g, &k, outs, 2));
  void *arena;
  assert_ok(at_alloc(&arena, at_program_arena_bytes(p) + 1, 1, "test"));
  double wide[4] = {1 + 0x1p-9, 1 + 0x1p-9};
  float narrow[4] = {1 + 0x1p-9f, 1 + 0x1p-9f};
  const bool f32 = real == AT_F32;
  const at_bind b = {
      .param = f32 ? (void *)narrow : (void *)wide,
      .in = {f32 ? (void *)(narrow + 1) : (void *)(wide + 1)},
      .out = {f32 ? (void *)(narrow + 2) : (void *)(wide + 2), f32 ? (void *)(narrow + 3) : (void *)(wide + 3)},
      .arena = arena};
  at_program_run(p, &b, NULL, NULL);
  *product = f32 ? (double)narrow[2] : wide[2];
  *sum = f32 ? (double)narrow[3] : wide[3];
  at_free(arena);
  at_program_destroy(p);
  at_graph_destroy(g);
}

static void test_only_products_round(void **state) {
  (void)state;
  double product, sum;
  product_and_sum(AT_F32, AT_PRECISION_BF16, &product, &sum);
  assert_true(product == 1 && sum == 2 + 0x1p-8);
  product_and_sum(AT_F32, AT_PRECISION_F32, &product, &sum);
  assert_true(product == 1 + 0x1p-8 + 0x1p-18 && sum == 2 + 0x1p-8);
  product_and_sum(AT_F64, AT_PRECISION_BF16, &product, &sum);
  assert_true(product == 1 + 0x1p-8 + 0x1p-18 && sum == 2 + 0x1p-8);
}

enum { STEPS = 120, BATCH = 8, CONTEXT = 32, VOCAB = 64 };

/* Losses of a tiny GPT on a language of words: the next token follows from the last one but for noise. */
static void train(int precision, double *loss) {
  static at_kernels k;
  at_kernels_init(&k, at_isa_detect());
  const at_gpt gpt = {.vocab = VOCAB,
                      .context = CONTEXT,
                      .width = 48,
                      .hidden = 192,
                      .layers = 2,
                      .heads = 4,
                      .kv_heads = 4,
                      .tied = true,
                      .norm_eps = 1e-5,
                      .precision = precision};
  at_lm_task *task;
  assert_ok(at_lm_task_create(&task, &gpt, BATCH, BATCH, &k));
  const int64_t n = at_lm_task_layout(task)->count;
  float *w, *m, *v, *grad;
  assert_ok(at_alloc(&w, (size_t)n, sizeof *w, "test"));
  assert_ok(at_alloc(&m, (size_t)n, sizeof *m, "test"));
  assert_ok(at_alloc(&v, (size_t)n, sizeof *v, "test"));
  at_layout_init(at_lm_task_layout(task), 7, w);
  const at_stream s = {.seed = 3, .purpose = AT_RNG_TEST};
  uint64_t draw = 0;
  for (int step = 0; step < STEPS; step++) {
    int32_t tokens[BATCH][CONTEXT + 1], in[BATCH * CONTEXT], target[BATCH * CONTEXT];
    for (int b = 0; b < BATCH; b++) {
      tokens[b][0] = (int32_t)at_rng_below(&s, draw++, VOCAB);
      for (int t = 0; t < CONTEXT; t++) {
        const bool noise = at_rng_below(&s, draw++, 5) == 0;
        tokens[b][t + 1] = noise ? (int32_t)at_rng_below(&s, draw++, VOCAB) : (tokens[b][t] * 5 + 3) % VOCAB;
        in[b * CONTEXT + t] = tokens[b][t];
        target[b * CONTEXT + t] = tokens[b][t + 1];
      }
    }
    loss[step] = at_lm_task_grad(task, w, in, target, &grad, NULL, NULL);
    const at_adamw adamw = {.lr = 3e-3,
                            .beta1 = 0.9,
                            .beta2 = 0.95,
                            .eps = 1e-8,
                            .bias1 = 1 - pow(0.9, step + 1),
                            .bias2 = 1 - pow(0.95, step + 1),
                            .grad_scale = 1};
    k.vec.adamw(&adamw, n, grad, w, m, v);
  }
  at_free(w);
  at_free(m);
  at_free(v);
  at_lm_task_destroy(task);
}

static void test_loss_curve(void **state) {
  (void)state;
  static double f32[STEPS], bf16[STEPS];
  train(AT_PRECISION_F32, f32);
  train(AT_PRECISION_BF16, bf16);
  assert_true(f32[STEPS - 1] < 0.6 * f32[0]); /* it learns */
  int same = 0;
  for (int i = 0; i < STEPS; i++) {
    if (!(fabs(bf16[i] / f32[i] - 1) < 0.01)) {
      fail_msg("step %d: loss %.4f in bf16, %.4f in f32", i, bf16[i], f32[i]);
    }
    same += bf16[i] == f32[i];
  }
  assert_true(same < STEPS / 4); /* and it is another computation */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_only_products_round),
      cmocka_unit_test(test_loss_curve),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
