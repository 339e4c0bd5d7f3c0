/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers as people read them, the edit distance, the clock and the process's memory. */
#include "src/base/fmt.h"

#include <stdlib.h>

#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "tests/unit/unit.h"

static void test_bytes(void **state) {
  (void)state;
  static const struct {
    int64_t bytes;
    const char *text;
  } rows[] = {{0, "0 B"},           {1023, "1023 B"},    {1024, "1.0 KiB"},    {1536, "1.5 KiB"},
              {1 << 20, "1.0 MiB"}, {-2048, "-2.0 KiB"}, {1048575, "1.0 MiB"}, {INT64_MAX, "8.0 EiB"}};
  char buf[AT_FMT_MAX];
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    assert_string_equal(at_fmt_bytes(buf, rows[i].bytes), rows[i].text);
  }
}

static void test_durations(void **state) {
  (void)state;
  static const struct {
    double s;
    const char *text;
  } rows[] = {{0, "0.0 s"},       {0.44, "0.4 s"},      {9.96, "10 s"},        {59.6, "1 min 00 s"},
              {80, "1 min 20 s"}, {3600, "1 h 00 min"}, {11100, "3 h 05 min"}, {187200, "2 d 4 h"},
              {-1, "unknown"},    {1e300, "unknown"}};
  char buf[AT_FMT_MAX];
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    assert_string_equal(at_fmt_duration(buf, rows[i].s), rows[i].text);
  }
}

static void test_si(void **state) {
  (void)state;
  char buf[AT_FMT_MAX];
  assert_string_equal(at_fmt_si(buf, 31234, "tok/s"), "31.2 ktok/s");
  assert_string_equal(at_fmt_si(buf, 999.4, "B"), "999 B");
  assert_string_equal(at_fmt_si(buf, 999.6, "B"), "1.00 kB");
  assert_string_equal(at_fmt_si(buf, 2.5e9, "FLOP/s"), "2.50 GFLOP/s");
  assert_string_equal(at_fmt_si(buf, 0, "x"), "0.00 x");
}

static void test_f64_reads_back(void **state) {
  (void)state;
  static const double values[] = {0.1, 1.0 / 3, 1e300, -2.5e-310, 0.7, 123456789012345680.0, 0.0};
  char buf[AT_FMT_MAX];
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    assert_true(strtod(at_fmt_f64(buf, values[i]), NULL) == values[i]);
  }
  assert_string_equal(at_fmt_f64(buf, 0.7), "0.7");
}

static void test_distance(void **state) {
  (void)state;
  assert_int_equal(at_fmt_distance("", ""), 0);
  assert_int_equal(at_fmt_distance("", "abc"), 3);
  assert_int_equal(at_fmt_distance("kitten", "sitting"), 3);
  assert_int_equal(at_fmt_distance("lr", "rl"), 1);
  assert_int_equal(at_fmt_distance("outer.lr", "outer.rl"), 1);
  char longer[200];
  memset(longer, 'x', sizeof longer - 1);
  longer[sizeof longer - 1] = '\0';
  assert_int_equal(at_fmt_distance(longer, ""), AT_FMT_DISTANCE_MAX);
}

static void test_clock_and_memory(void **state) {
  (void)state;
  double before = at_clock_now_s();
  char *block = NULL;
  enum { BYTES = 32 << 20 };
  int64_t rss = at_process_rss_bytes();
  assert_ok(at_alloc(&block, BYTES, 1, "block"));
  assert_true(at_process_rss_bytes() < rss + BYTES / 2); /* untouched pages cost nothing */
  memset(block, 1, BYTES);
  assert_true(at_process_rss_bytes() >= rss + BYTES / 2);
  at_free(block);
  assert_true(at_process_peak_rss_bytes() >= rss + BYTES / 2);
  assert_true(at_clock_now_s() > before);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_bytes),          cmocka_unit_test(test_durations), cmocka_unit_test(test_si),
      cmocka_unit_test(test_f64_reads_back), cmocka_unit_test(test_distance),  cmocka_unit_test(test_clock_and_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
