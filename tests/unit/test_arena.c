/* SPDX-License-Identifier: BSD-3-Clause */
/* The bump arena: alignment, marks, peak, refusal. */
#include "src/base/arena.h"

#include "src/base/alloc.h"
#include "tests/unit/unit.h"

static void test_alignment(void **state) {
  (void)state;
  at_arena *a = NULL;
  assert_ok(at_arena_create(&a, 4096, "test arena"));
  for (size_t align = 1; align <= 64; align *= 2) {
    char *odd = NULL, *p = NULL;
    assert_ok(at_arena_alloc(a, &odd, 1, 1));
    assert_ok(at_arena_alloc(a, &p, 3, align));
    assert_int_equal((uintptr_t)p % align, 0);
    assert_true(p > odd);
  }
  char *p = NULL;
  assert_ok(at_arena_alloc(a, &p, 3, 0));
  assert_int_equal((uintptr_t)p % 64, 0);
  at_arena_destroy(a);
}

static void test_marks_and_peak(void **state) {
  (void)state;
  at_arena *a = NULL;
  assert_ok(at_arena_create(&a, 1024, "test arena"));
  char *first = NULL, *second = NULL, *third = NULL;
  assert_ok(at_arena_alloc(a, &first, 100, 64));
  at_mark mark = at_arena_save(a);
  assert_ok(at_arena_alloc(a, &second, 500, 64));
  assert_true(second >= first + 100);
  assert_int_equal(at_arena_used(a), 628);
  at_arena_restore(a, mark);
  assert_int_equal(at_arena_used(a), 100);
  assert_ok(at_arena_alloc(a, &third, 10, 64));
  assert_ptr_equal(third, second);
  assert_int_equal(at_arena_peak(a), 628);
  assert_int_equal(at_arena_size(a), 1024);
  at_arena_destroy(a);
}

static void test_full(void **state) {
  (void)state;
  at_alloc_stats before = at_alloc_get_stats();
  at_arena *a = NULL;
  assert_ok(at_arena_create(&a, 128, "small arena"));
  char *p = NULL;
  assert_ok(at_arena_alloc(a, &p, 65, 1));
  assert_fails(AT_ERR_MEMORY, "small arena", at_arena_alloc(a, &p, 1, 64)); /* aligned, it starts at 128 */
  assert_null(p);
  assert_fails(AT_ERR_MEMORY, "small arena", at_arena_alloc(a, &p, SIZE_MAX, 1));
  assert_ok(at_arena_alloc(a, &p, 63, 1));
  assert_ok(at_arena_alloc(a, &p, 0, 64));
  at_arena_destroy(a);
  at_arena_destroy(NULL);
  assert_int_equal(at_alloc_get_stats().live_bytes, before.live_bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_alignment),
      cmocka_unit_test(test_marks_and_peak),
      cmocka_unit_test(test_full),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
