/* SPDX-License-Identifier: BSD-3-Clause */
/* Status codes and the chain of causes. */
#include "tests/unit/unit.h"

static at_err inner(int n) {
  if (n > 3) {
    return AT_FAIL(AT_ERR_CONFIG, "expected at most 3, found %d: lower n", n);
  }
  return AT_OK;
}

static at_err outer(int n) {
  AT_TRY(inner(n));
  return AT_OK;
}

static at_err with_label(int n, int *cleaned) {
  at_err err = AT_OK;
  AT_TRY_TO(err, done, outer(n));
done:
  *cleaned = 1;
  return err;
}

static void test_names(void **state) {
  (void)state;
  assert_string_equal(at_err_name(AT_OK), "OK");
  assert_string_equal(at_err_name(AT_ERR_CONFIG), "CONFIG");
  assert_string_equal(at_err_text(AT_ERR_FILE), "file error");
  assert_int_equal(at_err_exit_code(AT_OK), 0);
  assert_int_equal(at_err_exit_code(AT_ERR_INTERRUPTED), 75);
  assert_string_equal(at_err_name((at_err)999), "UNKNOWN");
  assert_int_not_equal(at_err_exit_code((at_err)-1), 0);
}

static void test_chain(void **state) {
  (void)state;
  int cleaned = 0;
  assert_ok(with_label(3, &cleaned));
  assert_int_equal(cleaned, 1);
  cleaned = 0;
  assert_fails(AT_ERR_CONFIG, "expected at most 3, found 4", with_label(4, &cleaned));
  assert_int_equal(cleaned, 1);

  char text[1024] = "";
  FILE *out = fmemopen(text, sizeof text, "w");
  at_err_print_trace(out);
  fclose(out);
  int lines = 0;
  for (const char *c = text; *c != '\0'; c++) {
    lines += *c == '\n';
  }
  assert_int_equal(lines, 3); /* inner, outer, with_label */
  assert_non_null(strstr(text, "raised at"));
  assert_non_null(strstr(text, "test_status.c:"));
}

static void test_message_may_quote_the_last_one(void **state) {
  (void)state;
  (void)inner(7);
  assert_int_equal(AT_FAIL(AT_ERR_FILE, "while reading: %s", at_err_message()), AT_ERR_FILE);
  assert_string_equal(at_err_message(), "while reading: expected at most 3, found 7: lower n");
}

static void test_long_messages_are_cut(void **state) {
  (void)state;
  char big[3 * AT_ERR_MESSAGE_MAX];
  memset(big, 'x', sizeof big - 1);
  big[sizeof big - 1] = '\0';
  (void)AT_FAIL(AT_ERR_FILE, "%s", big);
  assert_int_equal(strlen(at_err_message()), AT_ERR_MESSAGE_MAX - 1);
  at_err_adopt(AT_ERR_FILE, big);
  assert_int_equal(strlen(at_err_message()), AT_ERR_MESSAGE_MAX - 1);
}

static at_err deep(int depth) {
  if (depth == 0) {
    return AT_FAIL(AT_ERR_INTERNAL, "bottom");
  }
  AT_TRY(deep(depth - 1));
  return AT_OK;
}

static void test_deep_traces_end(void **state) {
  (void)state;
  char text[8192] = "";
  assert_fails(AT_ERR_INTERNAL, "bottom", deep(100));
  FILE *out = fmemopen(text, sizeof text, "w");
  at_err_print_trace(out);
  fclose(out);
  assert_non_null(strstr(text, "more"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_chain),
      cmocka_unit_test(test_message_may_quote_the_last_one),
      cmocka_unit_test(test_long_messages_are_cut),
      cmocka_unit_test(test_deep_traces_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
