/* SPDX-License-Identifier: BSD-3-Clause */
/* The allocator: alignment, zeroes, growth, counting, refusal. */
#include "src/base/alloc.h"

#include "tests/unit/unit.h"

static int all_zero(const unsigned char *p, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (p[i] != 0) {
      return 0;
    }
  }
  return 1;
}

static void test_aligned_and_zero(void **state) {
  (void)state;
  const size_t sizes[] = {0, 1, 3, 63, 64, 65, 4097, 1 << 22};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    for (int again = 0; again < 2; again++) { /* the second time may meet a dirty block */
      unsigned char *p = NULL;
      assert_ok(at_alloc(&p, sizes[i], 1, "test"));
      assert_non_null(p);
      assert_int_equal((uintptr_t)p % 64, 0);
      assert_true(all_zero(p, sizes[i]));
      memset(p, 0xA5, sizes[i]);
      at_free(p);
    }
  }
}

static void test_realloc_keeps_and_zeroes(void **state) {
  (void)state;
  int32_t *p = NULL;
  assert_ok(at_realloc(&p, 5, sizeof *p, "grown"));
  for (int i = 0; i < 5; i++) {
    p[i] = i + 1;
  }
  assert_ok(at_realloc(&p, 5000, sizeof *p, "grown"));
  assert_int_equal((uintptr_t)p % 64, 0);
  for (int i = 0; i < 5; i++) {
    assert_int_equal(p[i], i + 1);
  }
  assert_true(all_zero((unsigned char *)(p + 5), 4995 * sizeof *p));
  assert_ok(at_realloc(&p, 2, sizeof *p, "shrunk"));
  assert_int_equal(p[1], 2);
  assert_fails(AT_ERR_MEMORY, "shrunk", at_realloc(&p, SIZE_MAX / 8, sizeof *p, "shrunk"));
  assert_int_equal(p[1], 2); /* the old block stays */
  at_free(p);
}

static void test_counters(void **state) {
  (void)state;
  at_alloc_stats before = at_alloc_get_stats();
  char *a = NULL, *b = NULL;
  assert_ok(at_alloc(&a, 1000, 1, "a"));
  assert_ok(at_strdup(&b, "atoll"));
  assert_string_equal(b, "atoll");
  at_alloc_stats during = at_alloc_get_stats();
  assert_int_equal(during.calls - before.calls, 2);
  assert_int_equal(during.live_bytes - before.live_bytes, 1006);
  assert_true(during.peak_bytes >= during.live_bytes);
  at_free(a);
  at_free(b);
  at_free(NULL);
  at_alloc_stats after = at_alloc_get_stats();
  assert_int_equal(after.live_bytes, before.live_bytes);
  assert_int_equal(after.peak_bytes, during.peak_bytes);
}

static void test_refusal_names_what(void **state) {
  (void)state;
  char *p = (char *)1;
  assert_fails(AT_ERR_MEMORY, "clients", at_alloc(&p, SIZE_MAX, 2, "clients"));
  assert_null(p);
  assert_fails(AT_ERR_MEMORY, "optimiser state", at_alloc(&p, PTRDIFF_MAX - 4096, 1, "optimiser state"));
  assert_null(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_aligned_and_zero),
      cmocka_unit_test(test_realloc_keeps_and_zeroes),
      cmocka_unit_test(test_counters),
      cmocka_unit_test(test_refusal_names_what),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
