/* SPDX-License-Identifier: BSD-3-Clause */
/* The progress line: what it says, how often, on a terminal and in a file. */
#include "src/base/progress.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static double fake_now_s;

static double fake_clock(void) {
  return fake_now_s;
}

static int lines_of(const char *text) {
  int n = 0;
  for (; *text != '\0'; text++) {
    n += *text == '\n';
  }
  return n;
}

static void test_line(void **state) {
  (void)state;
  char text[4096] = "";
  FILE *out = fmemopen(text, sizeof text, "w");
  at_progress *p = NULL;
  const at_progress_spec spec = {.noun = "round", .unit = "tok", .total = 80, .out = out, .now_s = fake_clock};
  fake_now_s = 100;
  assert_ok(at_progress_create(&p, 0, &spec));
  fake_now_s = 110;
  at_progress_update(p, 10, 312000, "loss %.2f", 2.414);
  assert_string_equal(text, "round 10/80  12 %  loss 2.41  31.2 ktok/s  1 min 10 s left\n");
  fake_now_s = 111; /* too early for another line */
  at_progress_update(p, 11, 312000, "%s", "");
  assert_int_equal(lines_of(text), 1);
  fake_now_s = 180;
  at_progress_update(p, 80, 0, "%s", "");
  assert_non_null(strstr(text, "\nround 80/80  100 %\n"));
  at_progress_destroy(p);
  assert_non_null(strstr(text, "round 80/80  100 %  took 1 min 20 s\n"));
  fclose(out);
}

static void test_growing_intervals(void **state) {
  (void)state;
  char text[65536] = "";
  FILE *out = fmemopen(text, sizeof text, "w");
  at_progress *p = NULL;
  const at_progress_spec spec = {.noun = "step", .total = 100000, .out = out, .now_s = fake_clock};
  fake_now_s = 0;
  assert_ok(at_progress_create(&p, 0, &spec));
  for (int second = 0; second < 600; second++) {
    fake_now_s = second;
    at_progress_update(p, second, 0, "%s", "");
  }
  /* At 0, 2, 6, 14, 30, 62 s and then every minute. */
  assert_int_equal(lines_of(text), 6 + 8);
  at_progress_destroy(p);
  fclose(out);
}

static void test_after_a_resume(void **state) {
  (void)state;
  char text[4096] = "";
  FILE *out = fmemopen(text, sizeof text, "w");
  at_progress *p = NULL;
  const at_progress_spec spec = {.noun = "round", .start = 50, .total = 100, .out = out, .now_s = fake_clock};
  fake_now_s = 0;
  assert_ok(at_progress_create(&p, 0, &spec));
  fake_now_s = 10;
  at_progress_update(p, 60, 0, "%s", ""); /* ten rounds in ten seconds: forty more to go */
  assert_non_null(strstr(text, "round 60/100  60 %  40 s left\n"));
  at_progress_destroy(p);
  fclose(out);
}

static void test_terminal_rewrites_one_line(void **state) {
  (void)state;
  int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0) {
    skip();
  }
  FILE *out = fopen(ptsname(terminal), "w");
  assert_non_null(out);
  at_progress *p = NULL;
  const at_progress_spec spec = {.noun = "round", .total = 3, .out = out, .now_s = fake_clock};
  fake_now_s = 0;
  assert_ok(at_progress_create(&p, 0, &spec));
  for (int i = 1; i <= 3; i++) {
    fake_now_s += 1;
    at_progress_update(p, i, 0, "%s", "");
  }
  at_progress_destroy(p);
  char text[1024] = "";
  for (size_t n = 0; strchr(text, '\n') == NULL;) { /* it may come in pieces */
    ssize_t more = read(terminal, text + n, sizeof text - 1 - n);
    assert_true(more > 0);
    n += (size_t)more;
  }
  assert_int_equal(lines_of(text), 1);
  assert_non_null(strstr(text, "\r\033[Kround 2/3"));
  fclose(out);
  close(terminal);
}

static void test_other_ranks_are_silent(void **state) {
  (void)state;
  at_progress *p = (at_progress *)1;
  const at_progress_spec spec = {.noun = "round", .total = 3};
  assert_ok(at_progress_create(&p, 1, &spec));
  assert_null(p);
  at_progress_update(p, 1, 0, "%s", "");
  at_progress_destroy(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_line),
      cmocka_unit_test(test_growing_intervals),
      cmocka_unit_test(test_after_a_resume),
      cmocka_unit_test(test_terminal_rewrites_one_line),
      cmocka_unit_test(test_other_ranks_are_silent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
