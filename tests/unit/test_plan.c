/* SPDX-License-Identifier: BSD-3-Clause */
/* The planner's arena beside what is in use at once, which no arena can go below. */
#include "src/nn/classifier.h"
#include "src/nn/lm_task.h"
#include "tests/unit/unit.h"

static void assert_tight(const char *name, at_program_stats s) {
  print_message("%s: arena %.1f MiB, in use at once %.1f MiB\n", name, (double)s.arena_bytes / 1048576,
                (double)s.live_bytes / 1048576);
  assert_true(s.live_bytes > 0 && s.live_bytes <= s.arena_bytes);
  assert_true((double)s.arena_bytes <= 1.15 * (double)s.live_bytes);
}

static void tight_classifier(void **state) {
  (void)state;
  at_kernels k;
  at_model m;
  at_classifier_task *task;
  const at_program *p;
  at_kernels_init(&k, at_isa_detect());
  assert_ok(at_model_preset("resnet18", &m));
  assert_ok(at_classifier_task_create(&task, &m, NULL, &k));
  assert_ok(at_task_program(at_classifier_task_get(task), AT_PASS_TRAIN, 32, &p));
  assert_tight("resnet18, batch 32", at_program_get_stats(p));
  at_classifier_task_destroy(task);
}

static void tight_language_model(void **state) {
  (void)state;
  at_kernels k;
  at_model m;
  at_lm_task *task;
  at_kernels_init(&k, at_isa_detect());
  assert_ok(at_model_preset("gpt_d256", &m));
  m.gpt.vocab = m.classes;
  m.gpt.context = m.input.d[0];
  assert_ok(at_lm_task_create(&task, &m.gpt, 4, 1, &k));
  assert_tight("gpt_d256, batch 4", at_lm_task_stats(task));
  at_lm_task_destroy(task);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(tight_classifier), cmocka_unit_test(tight_language_model)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
