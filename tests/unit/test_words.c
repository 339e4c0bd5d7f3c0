/* SPDX-License-Identifier: BSD-3-Clause */
/* Cutting text into words: the rule by examples, and that any bytes are cut into pieces that are the text again. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/lm/word_table.h"
#include "src/lm/words.h"

/* The words of `text`, with a | between two. */
static const char *cut(const char *text) {
  static char out[1024];
  const size_t n = strlen(text);
  char *to = out;
  for (size_t at = 0; at < n;) {
    const size_t length = at_word_length((const uint8_t *)text + at, n - at);
    assert_in_range(length, 1, n - at);
    to += snprintf(to, (size_t)(out + sizeof out - to), "%s%.*s", at > 0 ? "|" : "", (int)length, text + at);
    at += length;
  }
  return out;
}

static void test_rule(void **state) {
  (void)state;
  static const char *const example[][2] = {
      {"The small fox.", "The| small| fox|."},
      {"don't l'eau", "don|'t| l|'eau"},
      {"x  two   blanks ", "x| | two|  | blanks| "},
      {"line \n\n next\r\n", "line| |\n\n| next|\r\n"},
      {"\tone\t two", "\t|one|\t| two"},
      {"in 1998 or 12345", "in| 199|8| or| 123|45"},
      {"a+=b; f(x, *y)", "a|+=|b|;| f|(x|,| *|y|)"},
      {"--long-option", "--|long|-option"},
      {"Größe übergroß", "Größe| übergroß"},
      {"Маленькая лиса", "Маленькая| лиса"},
      {"«слово» — да", "«слово|»| —| да"},
      {"한국어 텍스트", "한국어| 텍스트"},
      {"漢字とカタカナです。次", "漢字|と|カタカナ|です|。|次"},
      {"一二三四五六七八九十", "一二三四五六七八|九十"},
      {"x 中文 y", "x| 中文| y"},
      {"\xff\xfe latin \xc3", "\xff\xfe| latin| \xc3"},
      {"😀😀 go", "😀😀| go"},
  };
  for (size_t i = 0; i < sizeof example / sizeof example[0]; i++) {
    assert_string_equal(cut(example[i][0]), example[i][1]);
  }
}

static void test_long_words(void **state) {
  (void)state;
  char text[400];
  memset(text, 'w', sizeof text - 1);
  text[sizeof text - 1] = 0;
  assert_int_equal(at_word_length((const uint8_t *)text, sizeof text - 1), AT_WORD_MAX);
  for (size_t i = 0; i + 2 < sizeof text; i += 2) { /* never between the two bytes of a letter */
    memcpy(text + i, "ж", 2);
  }
  text[0] = ' ';
  text[1] = 'a';
  assert_int_equal(at_word_length((const uint8_t *)text, sizeof text - 1), AT_WORD_MAX);
  assert_int_equal(at_word_length((const uint8_t *)text + 1, sizeof text - 2), AT_WORD_MAX - 1);
}

/* A separator is a word, and what stands on one side of it does not change the words on the other. */
static void test_separator(void **state) {
  (void)state;
  static const uint8_t text[] = "one  \0 two 3\0\0\xe6\0";
  static const size_t want[] = {3, 2, 1, 4, 2, 1, 1, 1, 1};
  size_t at = 0;
  for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
    const size_t length = at_word_length(text + at, sizeof text - 1 - at);
    assert_int_equal(length, want[i]);
    at += length;
  }
  assert_int_equal(at, sizeof text - 1);
}

/* Random bytes, few of each kind so that runs occur: words cover them, are short, and hold a 0 only alone. */
static void test_any_bytes(void **state) {
  (void)state;
  static const uint8_t some[] = {0,    ' ',  ' ',  '\n', 'a',  'b',  '7',  '-',  0xC3,
                                 0xA9, 0xE3, 0x81, 0x82, 0xE4, 0xB8, 0xF0, 0x9F, 0xFF};
  uint8_t text[300];
  for (uint64_t trial = 0; trial < 2000; trial++) {
    at_stream s = {.seed = 5, .purpose = AT_RNG_TEST, .step = trial};
    const size_t n = 1 + at_rng_below(&s, 0, sizeof text);
    for (size_t i = 0; i < n; i++) {
      text[i] = trial % 2 == 0 ? (uint8_t)at_rng_u64(&s, i + 1) : some[at_rng_below(&s, 4 * (i + 1), sizeof some)];
    }
    for (size_t at = 0; at < n;) {
      const size_t length = at_word_length(text + at, n - at);
      assert_in_range(length, 1, n - at < AT_WORD_MAX ? n - at : AT_WORD_MAX);
      assert_true(length == 1 || memchr(text + at, 0, length) == NULL);
      at += length;
    }
  }
}

static void test_table(void **state) {
  (void)state;
  enum { N = 5000 };
  const int64_t live = at_alloc_get_stats().live_bytes;
  at_word_table t = {0};
  int64_t index;
  char word[16];
  assert_int_equal(at_word_table_find(&t, (const uint8_t *)"w", 1), -1);
  for (int round = 0; round < 2; round++) {
    for (int i = 0; i < N; i++) {
      const int n = snprintf(word, sizeof word, "w%d", i);
      assert_ok(at_word_table_add(&t, (const uint8_t *)word, (size_t)n, i, &index));
      assert_int_equal(index, i);
    }
  }
  assert_int_equal(t.n, N);
  assert_int_equal(t.word[77].count, 2 * 77);
  assert_int_equal(at_word_table_find(&t, (const uint8_t *)"w4999", 5), 4999);
  assert_int_equal(at_word_table_find(&t, (const uint8_t *)"w499", 3), 49);
  assert_memory_equal(at_word_table_bytes(&t, 4999), "w4999", 5);
  assert_fails(AT_ERR_OVERFLOW, "too often", at_word_table_add(&t, (const uint8_t *)"w1", 2, INT64_MAX, NULL));
  at_word_table_clear(&t);
  assert_int_equal(at_word_table_find(&t, (const uint8_t *)"w1", 2), -1);
  assert_ok(at_word_table_count(&t, (const uint8_t *)"an ant\0an ant", 13, 3));
  assert_int_equal(t.n, 2);
  assert_int_equal(t.word[0].count, 6);
  assert_int_equal(t.word[1].count, 6);
  at_word_table_free(&t);
  assert_int_equal(at_alloc_get_stats().live_bytes, live);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rule),      cmocka_unit_test(test_long_words), cmocka_unit_test(test_separator),
      cmocka_unit_test(test_any_bytes), cmocka_unit_test(test_table),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
