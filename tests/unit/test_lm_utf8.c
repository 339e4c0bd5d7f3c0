/* SPDX-License-Identifier: BSD-3-Clause */
/* The UTF-8 automaton against the definition of the encoding, exhaustively. */
#include "src/lm/utf8_guard.h"
#include "tests/unit/unit.h"

/* The bytes of a code point, by RFC 3629's formulas. */
static int encode(uint32_t c, uint8_t *out) {
  if (c < 0x80) {
    out[0] = (uint8_t)c;
    return 1;
  }
  int n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (int i = n - 1; i > 0; i--) {
    out[i] = (uint8_t)(0x80 | (c & 0x3f));
    c >>= 6;
  }
  out[0] = (uint8_t)((0xf00 >> n) | c);
  return n;
}

static void test_all_characters(void **state) {
  (void)state;
  for (uint32_t c = 0; c < 0x110000; c++) {
    uint8_t bytes[4];
    at_utf8_guard g = {0};
    int n = encode(c, bytes);
    bool surrogate = c >= 0xd800 && c < 0xe000;
    if (at_utf8_push(&g, bytes, (size_t)n) == surrogate || !at_utf8_may_end(&g)) {
      fail_msg("U+%04X is %s", c, surrogate ? "accepted" : "refused");
    }
    for (int i = 0; i < n && !surrogate; i++) { /* byte by byte: open until the last */
      assert_true(at_utf8_push(&g, bytes + i, 1));
      assert_int_equal(at_utf8_may_end(&g), i == n - 1);
    }
  }
}

/* Characters of each length that can be spelt behind g; with the test above, their number says that nothing else can. */
static void count(at_utf8_guard g, int length, int64_t *n) {
  for (int byte = 0; byte < 256; byte++) {
    at_utf8_guard next = g;
    uint8_t b = (uint8_t)byte;
    if (!at_utf8_push(&next, &b, 1)) {
      continue;
    }
    if (at_utf8_may_end(&next)) {
      n[length]++;
    } else if (length < 3) {
      count(next, length + 1, n);
    } else {
      fail_msg("a character is open after four bytes");
    }
  }
}

static void test_nothing_else(void **state) {
  (void)state;
  int64_t n[4] = {0};
  count((at_utf8_guard){0}, 0, n);
  assert_int_equal(n[0], 0x80);
  assert_int_equal(n[1], 0x800 - 0x80);
  assert_int_equal(n[2], 0x10000 - 0x800 - 0x800 /* surrogates */);
  assert_int_equal(n[3], 0x110000 - 0x10000);
}

static bool accepts(const at_utf8_guard *g, const char *bytes) {
  return at_utf8_accepts(g, (const uint8_t *)bytes, strlen(bytes));
}

static void test_strings(void **state) {
  (void)state;
  at_utf8_guard g = {0};
  assert_true(at_utf8_push(&g, (const uint8_t *)"na\xc3\xafve \xe2\x82", 9)); /* a euro sign is open */
  assert_false(at_utf8_may_end(&g));
  assert_true(accepts(&g, ""));
  assert_true(accepts(&g, "\xac"));
  assert_true(accepts(&g, "\xac uro \xf0\x9f"));
  assert_false(accepts(&g, "uro"));
  assert_false(accepts(&g, "\xac\xac"));
  assert_false(accepts(&g, "\xac\xc0\x80"));     /* overlong */
  assert_false(accepts(&g, "\xac\xed\xa0\x80")); /* a surrogate */
  at_utf8_guard before = g;
  assert_false(at_utf8_push(&g, (const uint8_t *)"\xac \xff", 3));
  assert_memory_equal(&g, &before, sizeof g);
  assert_true(at_utf8_push(&g, (const uint8_t *)"\xac", 1));
  assert_true(at_utf8_may_end(&g));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_all_characters),
      cmocka_unit_test(test_nothing_else),
      cmocka_unit_test(test_strings),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
