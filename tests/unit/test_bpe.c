/* SPDX-License-Identifier: BSD-3-Clause */
/* Byte-pair encoding: learning and encoding against plain versions of their definitions, and texts that come back. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/lm/bpe.h"
#include "src/lm/words.h"

static void add(at_word_table *t, const char *word, int64_t times) {
  assert_ok(at_word_table_add(t, (const uint8_t *)word, strlen(word), times * AT_BPE_UNIT, NULL));
}

static at_bpe *learn(const at_word_table *t, int32_t n_merges) {
  at_bpe *b;
  assert_ok(at_bpe_train(&b, t, n_merges));
  return b;
}

static const char *token_text(const at_bpe *b, int32_t token) {
  static char text[AT_WORD_MAX + 1];
  size_t n;
  const uint8_t *bytes = at_vocab_bytes(b->vocab, token, &n);
  memcpy(text, bytes, n);
  text[n] = 0;
  return text;
}

/* --- plain versions --------------------------------------------------------------------------------------------- */

typedef struct plain_word {
  int32_t token[AT_WORD_MAX];
  int n;
  int64_t count;
} plain_word;

static void plain_merge(plain_word *w, int32_t left, int32_t right, int32_t fresh) {
  int kept = 0;
  for (int i = 0; i < w->n; kept++) {
    const bool here = i + 1 < w->n && w->token[i] == left && w->token[i + 1] == right;
    w->token[kept] = here ? fresh : w->token[i];
    i += here ? 2 : 1;
  }
  w->n = kept;
}

static plain_word plain_from(const uint8_t *text, size_t n, int64_t count) {
  plain_word w = {.n = (int)n, .count = count};
  for (size_t i = 0; i < n; i++) {
    w.token[i] = text[i];
  }
  return w;
}

/* Bytes of the pair's left token, then the right one's: the order among equally frequent pairs. */
static int plain_compare(const at_bpe *b, const int32_t *p, const int32_t *q) {
  for (int side = 0; side < 2; side++) {
    size_t n, m;
    const uint8_t *x = at_vocab_bytes(b->vocab, p[side], &n), *y = at_vocab_bytes(b->vocab, q[side], &m);
    const int order = memcmp(x, y, n < m ? n : m);
    if (order != 0 || n != m) {
      return order != 0 ? order : n < m ? -1 : 1;
    }
  }
  return p[0] != q[0] ? p[0] - q[0] : p[1] - q[1];
}

/* Count everything again before each merge. */
static at_bpe *plain_learn(plain_word *word, int n_words, int32_t n_merges) {
  static int64_t count[600][600];
  at_bpe *b;
  assert_ok(at_bpe_create_room(&b, n_merges));
  while (b->n_merges < n_merges) {
    memset(count, 0, sizeof count);
    for (int w = 0; w < n_words; w++) {
      for (int i = 0; i + 1 < word[w].n; i++) {
        count[word[w].token[i]][word[w].token[i + 1]] += word[w].count;
      }
    }
    int32_t best[2] = {0, 0};
    for (int32_t l = 1; l < b->vocab->n; l++) {
      for (int32_t r = 1; r < b->vocab->n; r++) {
        const int32_t pair[2] = {l, r};
        const int64_t gain = count[l][r] - count[best[0]][best[1]];
        if (count[l][r] >= 2 * AT_BPE_UNIT && (gain > 0 || (gain == 0 && plain_compare(b, pair, best) < 0))) {
          best[0] = l;
          best[1] = r;
        }
      }
    }
    if (best[0] == 0) {
      break;
    }
    assert_ok(at_bpe_add(b, best[0], best[1]));
    for (int w = 0; w < n_words; w++) {
      plain_merge(&word[w], best[0], best[1], b->vocab->n - 1);
    }
  }
  return b;
}

/* One merge after the other, each everywhere. */
static int64_t plain_encode(const at_bpe *b, const uint8_t *text, size_t n, int32_t *out) {
  int64_t count = 0;
  for (size_t at = 0; at < n;) {
    const size_t length = at_word_length(text + at, n - at);
    plain_word w = plain_from(text + at, length, 1);
    for (int32_t i = 0; i < b->n_merges; i++) {
      plain_merge(&w, b->merge[2 * i], b->merge[2 * i + 1], AT_BPE_BYTES + i);
    }
    memcpy(out + count, w.token, (size_t)w.n * sizeof *out);
    count += w.n;
    at += length;
  }
  return count;
}

/* --- texts --------------------------------------------------------------------------------------------------------- */

/* Of few letters, so that much repeats; of several scripts; with separators; every fourth of any bytes at all. */
static size_t random_text(uint64_t number, uint8_t *text, size_t most) {
  static const char *const piece[] = {"a", "b", "aa", "ba", "n", " ", " ", "\n", "7", "é", "ж", "漢", "か", ".", ", "};
  at_stream s = {.seed = 3, .purpose = AT_RNG_TEST, .step = number};
  const size_t goal = at_rng_below(&s, 0, most - 4);
  size_t n = 0;
  for (uint64_t i = 1; n < goal; i++) {
    const uint64_t draw = at_rng_below(&s, 4 * i, number % 4 == 3 ? 256 : 200);
    if (number % 4 == 3 || draw == 0) {
      text[n++] = (uint8_t)draw;
      continue;
    }
    const char *p = piece[draw % (sizeof piece / sizeof piece[0])];
    memcpy(text + n, p, strlen(p));
    n += strlen(p);
  }
  return n;
}

enum { TEXT_MAX = 3000 };

/* A tokenizer learned from some of the random texts. */
static at_bpe *random_bpe(uint64_t number, int32_t n_merges) {
  static uint8_t text[TEXT_MAX];
  at_word_table t = {0};
  for (uint64_t i = 0; i < 6; i++) {
    const size_t n = random_text(16 * number + i, text, sizeof text);
    assert_ok(at_word_table_count(&t, text, n, AT_BPE_UNIT + (int64_t)i));
  }
  at_bpe *b = learn(&t, n_merges);
  at_word_table_free(&t);
  return b;
}

/* --- learning -------------------------------------------------------------------------------------------------------- */

static void test_by_hand(void **state) {
  (void)state;
  at_word_table t = {0};
  add(&t, "low", 5);
  add(&t, "lower", 2);
  add(&t, "newest", 6);
  add(&t, "widest", 3);
  at_bpe *b = learn(&t, 100);
  /* of es and st, 9 times each, es comes first; then est; of lo and ow, 7 times, lo; of what occurs 6 times, ew */
  static const char *const want[] = {"es", "est", "lo", "low", "ew", "ewest", "newest"};
  for (int32_t i = 0; i < 7; i++) {
    assert_string_equal(token_text(b, AT_BPE_BYTES + i), want[i]);
  }
  assert_string_equal(token_text(b, b->vocab->n - 1), "lower");
  at_bpe_destroy(b);
  at_word_table_free(&t);
}

static void test_learning_is_its_definition(void **state) {
  (void)state;
  enum { WORDS = 200 };
  static plain_word word[WORDS];
  int merges = 0;
  for (uint64_t trial = 0; trial < 12; trial++) {
    at_stream s = {.seed = 11, .purpose = AT_RNG_TEST, .step = trial};
    at_word_table t = {0};
    for (uint64_t w = 0; w < WORDS; w++) {
      uint8_t text[AT_WORD_MAX];
      const size_t n = 1 + at_rng_below(&s, 1000 * w, trial < 6 ? 12 : AT_WORD_MAX);
      for (size_t i = 0; i < n; i++) {
        text[i] = (uint8_t)('a' + at_rng_below(&s, 1000 * w + 4 * (i + 1), 1 + trial % 4));
      }
      const int64_t count = (int64_t)at_rng_below(&s, 1000 * w + 500, 6) * AT_BPE_UNIT / 2;
      assert_ok(at_word_table_add(&t, text, n, count, NULL));
    }
    for (int64_t w = 0; w < t.n; w++) {
      word[w] = plain_from(at_word_table_bytes(&t, w), (size_t)t.word[w].length, t.word[w].count);
    }
    at_bpe *b = learn(&t, 120), *plain = plain_learn(word, (int)t.n, 120);
    merges += b->n_merges;
    assert_int_equal(b->n_merges, plain->n_merges);
    assert_true(at_bpe_equal(b, plain));
    at_bpe_destroy(b);
    at_bpe_destroy(plain);
    at_word_table_free(&t);
  }
  assert_true(merges > 500);
}

/* Words in another order, and counted in several goes: the same merges. */
static void test_order_does_not_matter(void **state) {
  (void)state;
  static uint8_t text[TEXT_MAX];
  at_word_table t = {0}, turned = {0};
  for (uint64_t i = 0; i < 20; i++) {
    const size_t n = random_text(i, text, sizeof text);
    assert_ok(at_word_table_count(&t, text, n, AT_BPE_UNIT));
  }
  for (int pass = 0; pass < 2; pass++) {
    for (int64_t w = t.n - 1; w >= 0; w--) {
      const int64_t half = t.word[w].count / 2, part = pass == 0 ? half : t.word[w].count - half;
      assert_ok(at_word_table_add(&turned, at_word_table_bytes(&t, w), (size_t)t.word[w].length, part, NULL));
    }
  }
  at_bpe *a = learn(&t, 500), *b = learn(&turned, 500);
  assert_true(a->n_merges > 100);
  assert_true(at_bpe_equal(a, b));
  at_bpe_destroy(a);
  at_bpe_destroy(b);
  at_word_table_free(&t);
  at_word_table_free(&turned);
}

static void test_nothing_to_learn(void **state) {
  (void)state;
  at_word_table t = {0};
  at_bpe *b = learn(&t, 50);
  assert_int_equal(b->n_merges, 0);
  assert_int_equal(b->vocab->n, AT_BPE_BYTES);
  at_bpe_destroy(b);
  add(&t, "once", 1);
  add(&t, "x", 1000);
  b = learn(&t, 50);
  assert_int_equal(b->n_merges, 0);
  at_bpe_destroy(b);
  assert_fails(AT_ERR_FORMAT, "merges", at_bpe_train(&b, &t, AT_BPE_VOCAB_MAX));
  assert_null(b);
  at_word_table_free(&t);
}

/* --- encoding -------------------------------------------------------------------------------------------------------- */

static void test_encoding_is_its_definition(void **state) {
  (void)state;
  static uint8_t text[TEXT_MAX];
  static int32_t found[TEXT_MAX], want[TEXT_MAX];
  for (uint64_t trial = 0; trial < 8; trial++) {
    at_bpe *b = random_bpe(trial, 60 * (int32_t)trial);
    at_bpe_encoder *e;
    assert_ok(at_bpe_encoder_create(&e, b));
    for (uint64_t i = 0; i < 24; i++) {
      const size_t n = random_text(1000 + i, text, sizeof text);
      int64_t count;
      assert_ok(at_bpe_encode(e, text, n, found, &count));
      assert_int_equal(count, plain_encode(b, text, n, want));
      assert_memory_equal(found, want, (size_t)count * sizeof *found);
    }
    at_bpe_encoder_destroy(e);
    at_bpe_destroy(b);
  }
}

static void test_texts_come_back(void **state) {
  (void)state;
  static uint8_t text[TEXT_MAX], back[TEXT_MAX];
  static int32_t tokens[TEXT_MAX];
  at_bpe *b = random_bpe(1, 300);
  at_bpe_encoder *e;
  int64_t count, bytes = 0;
  size_t shorter = 0;
  assert_ok(at_bpe_encoder_create(&e, b));
  for (uint64_t i = 0; i < 400; i++) {
    const size_t n = random_text(2000 + i, text, sizeof text);
    assert_ok(at_bpe_encode(e, text, n, tokens, &count));
    assert_int_equal(at_bpe_decode(b, tokens, count, back), n);
    assert_memory_equal(back, text, n);
    bytes = 0;
    for (int64_t j = 0; j < count; j++) {
      bytes += at_bpe_token_bytes(b, tokens[j]);
    }
    assert_int_equal(bytes, n);
    shorter += (size_t)count < n / 2;
  }
  assert_true(shorter > 100);
  at_bpe_encoder_destroy(e);
  at_bpe_destroy(b);
}

/* Documents one by one or in a row: a separator cuts. */
static void test_documents_are_independent(void **state) {
  (void)state;
  static uint8_t text[TEXT_MAX];
  static int32_t whole[TEXT_MAX], part[TEXT_MAX];
  at_bpe *b = random_bpe(2, 200);
  at_bpe_encoder *e, *fresh;
  assert_ok(at_bpe_encoder_create(&e, b));
  for (uint64_t i = 0; i < 100; i++) {
    const size_t n = random_text(3000 + i, text, sizeof text);
    int64_t count, at = 0, some;
    assert_ok(at_bpe_encode(e, text, n, whole, &count));
    for (size_t from = 0, to; from < n; from = to) {
      const uint8_t *end = memchr(text + from, 0, n - from);
      to = end == NULL ? n : (size_t)(end - text) + 1;
      assert_ok(at_bpe_encoder_create(&fresh, b));
      assert_ok(at_bpe_encode(fresh, text + from, to - from, part, &some));
      assert_memory_equal(part, whole + at, (size_t)some * sizeof *part);
      at_bpe_encoder_destroy(fresh);
      at += some;
    }
    assert_int_equal(at, count);
  }
  at_bpe_encoder_destroy(e);
  at_bpe_destroy(b);
}

/* More words than an encoder remembers. */
static void test_many_words(void **state) {
  (void)state;
  enum { WORDS = 150000, BYTES = 8 * WORDS };
  at_bpe *b = random_bpe(4, 200);
  at_bpe_encoder *e;
  uint8_t *text;
  int32_t *first, *again;
  int64_t n = 0, count, count_again;
  assert_ok(at_alloc(&text, BYTES, 1, "test"));
  assert_ok(at_alloc(&first, BYTES, sizeof *first, "test"));
  assert_ok(at_alloc(&again, BYTES, sizeof *again, "test"));
  for (int w = 0; w < WORDS; w++) {
    text[n++] = ' ';
    for (int rest = w, i = 0; i < 7; i++, rest /= 6) {
      text[n++] = "abnaba"[rest % 6] + (uint8_t)(rest % 6 == 5 ? 7 : 0);
    }
  }
  assert_ok(at_bpe_encoder_create(&e, b));
  assert_ok(at_bpe_encode(e, text, (size_t)n, first, &count));
  assert_ok(at_bpe_encode(e, text, (size_t)n, again, &count_again));
  assert_true(count < n);
  assert_int_equal(count, count_again);
  assert_memory_equal(first, again, (size_t)count * sizeof *first);
  for (int64_t at = 0, i = 0; i < count; i++) { /* token by token */
    uint8_t bytes[AT_WORD_MAX];
    const int64_t length = at_bpe_decode(b, first + i, 1, bytes);
    assert_memory_equal(bytes, text + at, (size_t)length);
    at += length;
  }
  at_bpe_encoder_destroy(e);
  at_bpe_destroy(b);
  at_free(text);
  at_free(first);
  at_free(again);
}

/* --- tokenizers -------------------------------------------------------------------------------------------------------- */

static void test_bad_merges(void **state) {
  (void)state;
  at_bpe *b;
  assert_fails(AT_ERR_FORMAT, "merge 1 is of the tokens 257 and 98",
               at_bpe_create(&b, 2, (const int32_t[]){'a', 'b', 257, 'b'}));
  assert_null(b);
  assert_fails(AT_ERR_FORMAT, "tokens 0 and 98", at_bpe_create(&b, 1, (const int32_t[]){0, 'b'}));
  assert_fails(AT_ERR_FORMAT, "tokens -1 and 98", at_bpe_create(&b, 1, (const int32_t[]){-1, 'b'}));
  assert_fails(AT_ERR_FORMAT, "merge 1 is the same as merge 0",
               at_bpe_create(&b, 2, (const int32_t[]){'a', 'b', 'a', 'b'}));
  assert_fails(
      AT_ERR_FORMAT, "more than 64 bytes",
      at_bpe_create(&b, 7, (const int32_t[]){'a', 'a', 256, 256, 257, 257, 258, 258, 259, 259, 260, 260, 261, 'a'}));
  assert_fails(AT_ERR_FORMAT, "0 to 65280", at_bpe_create(&b, 65281, NULL));
  assert_fails(AT_ERR_FORMAT, "0 to 65280", at_bpe_create(&b, -1, NULL));
}

static void test_bytes_alone(void **state) {
  (void)state;
  at_bpe *b;
  at_bpe_encoder *e;
  int32_t tokens[8];
  int64_t count;
  assert_ok(at_bpe_create(&b, 0, NULL));
  assert_ok(at_bpe_encoder_create(&e, b));
  assert_ok(at_bpe_encode(e, (const uint8_t *)"a \0\xff", 4, tokens, &count));
  assert_int_equal(count, 4);
  assert_int_equal(tokens[1], ' ');
  assert_int_equal(tokens[2], 0);
  assert_int_equal(tokens[3], 255);
  assert_ok(at_bpe_encode(e, NULL, 0, tokens, &count));
  assert_int_equal(count, 0);
  at_bpe_encoder_destroy(e);
  at_bpe_destroy(b);
}

static void test_memory(void **state) {
  (void)state;
  const int64_t live = at_alloc_get_stats().live_bytes;
  at_bpe *b = random_bpe(5, 300);
  at_bpe_encoder *e;
  int32_t tokens[8];
  int64_t count;
  assert_true(at_bpe_memory(b) > 8 * b->n_merges && at_bpe_memory(b) <= at_alloc_get_stats().live_bytes - live);
  assert_ok(at_bpe_encoder_create(&e, b));
  assert_ok(at_bpe_encode(e, (const uint8_t *)"banana", 6, tokens, &count));
  at_bpe_encoder_destroy(e);
  at_bpe_destroy(b);
  at_bpe_encoder_destroy(NULL);
  at_bpe_destroy(NULL);
  assert_int_equal(at_alloc_get_stats().live_bytes, live);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_by_hand),
      cmocka_unit_test(test_learning_is_its_definition),
      cmocka_unit_test(test_order_does_not_matter),
      cmocka_unit_test(test_nothing_to_learn),
      cmocka_unit_test(test_encoding_is_its_definition),
      cmocka_unit_test(test_texts_come_back),
      cmocka_unit_test(test_documents_are_independent),
      cmocka_unit_test(test_many_words),
      cmocka_unit_test(test_bad_merges),
      cmocka_unit_test(test_bytes_alone),
      cmocka_unit_test(test_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
