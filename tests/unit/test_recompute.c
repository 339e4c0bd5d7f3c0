/* SPDX-License-Identifier: BSD-3-Clause */
/* Recomputation of marked blocks: the same numbers to the last bit from a smaller arena. */
#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/nn/lm_task.h"
#include "tests/unit/unit.h"

static at_gpt small(bool recompute) {
  return (at_gpt){.vocab = 50,
                  .context = 24,
                  .width = 32,
                  .hidden = 64,
                  .layers = 6,
                  .heads = 4,
                  .kv_heads = 2,
                  .norm = AT_NORM_RMS,
                  .mlp = AT_MLP_SWIGLU,
                  .pos = AT_POS_ROPE,
                  .rope_base = 1000,
                  .norm_eps = 1e-5,
                  .recompute = recompute};
}

static void same_gradient_less_memory(void **state) {
  (void)state;
  enum { BATCH = 4, TOKENS = BATCH * 24 };
  at_kernels k;
  at_lm_task *task[2];
  float *theta, *grad[2];
  int32_t ids[2 * TOKENS];
  double loss[2];
  at_stream s = {.seed = 5, .purpose = AT_RNG_TEST};
  at_kernels_init(&k, at_isa_detect());
  for (int i = 0; i < 2 * TOKENS; i++) {
    ids[i] = (int32_t)at_rng_below(&s, (uint64_t)i, 50);
  }
  for (int r = 0; r < 2; r++) {
    at_gpt gpt = small(r == 1);
    assert_ok(at_lm_task_create(&task[r], &gpt, BATCH, 1, &k));
  }
  const at_layout *l = at_lm_task_layout(task[0]);
  assert_ok(at_alloc(&theta, (size_t)l->count, sizeof *theta, "test"));
  at_layout_init(l, 3, theta);
  for (int r = 0; r < 2; r++) {
    loss[r] = at_lm_task_grad(task[r], theta, ids, ids + TOKENS, &grad[r], NULL, NULL);
  }
  assert_true(loss[0] == loss[1]);
  assert_memory_equal(grad[0], grad[1], (size_t)l->count * sizeof(float));
  at_program_stats kept = at_lm_task_stats(task[0]), again = at_lm_task_stats(task[1]);
  assert_true(again.arena_bytes < kept.arena_bytes / 2);
  assert_true(again.nodes > kept.nodes && again.flops < 1.5 * kept.flops);
  at_free(theta);
  at_lm_task_destroy(task[0]);
  at_lm_task_destroy(task[1]);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(same_gradient_less_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
