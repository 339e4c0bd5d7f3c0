/* SPDX-License-Identifier: BSD-3-Clause */
/* Markov models against numbers worked out by hand, against a slow definition, and as distributions. */
#include "tests/unit/unit.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/rng.h"
#include "src/stats/markov.h"

static const double TINY = 1e-12;

/* "abab" over {a, b, c}: n(a) = n(b) = 2, t() = 2; behind a: b twice; behind b: a once. */
static void matches_a_hand_computed_example(void **state) {
  (void)state;
  const uint8_t train[] = {0, 1, 0, 1};
  at_markov *m;
  assert_ok(at_markov_create(&m, 1, 3));
  assert_ok(at_markov_fit(m, train, 1, 4));
  const double a0 = (2 + 2 / 3.0) / 6, c0 = (2 / 3.0) / 6; /* order 0, and b as a */
  const int32_t after_a = 0, after_b = 1, after_c = 2;
  assert_true(fabs(at_markov_probability(m, NULL, 0, 0) - a0) < TINY);
  assert_true(fabs(at_markov_probability(m, NULL, 0, 2) - c0) < TINY);
  assert_true(fabs(at_markov_probability(m, &after_a, 1, 1) - (2 + a0) / 3) < TINY);
  assert_true(fabs(at_markov_probability(m, &after_a, 1, 2) - c0 / 3) < TINY);
  assert_true(fabs(at_markov_probability(m, &after_b, 1, 0) - (1 + a0) / 2) < TINY);
  assert_true(fabs(at_markov_probability(m, &after_c, 1, 0) - a0) < TINY); /* never seen as a context */
  double nats;
  const uint8_t held_out[] = {1, 0, 2};
  assert_ok(at_markov_evaluate(m, held_out, 1, 3, &nats));
  assert_true(fabs(nats + log(a0) + log((1 + a0) / 2) + log(c0 / 3)) < TINY);
  assert_true(fabs(at_bits_per_byte(nats, 3) - nats / 3 / log(2)) < TINY);
  assert_int_equal(at_markov_nodes(m), 2 + 2);
  at_markov_destroy(m);
}

enum { N = 3000, SHORT = 700 };

/* Tokens 0 .. vocab - 1 that depend on the one before. */
static void make_stream(uint16_t *out, int64_t n, uint32_t vocab, uint64_t seed) {
  at_stream s = {.seed = seed, .purpose = AT_RNG_TEST};
  for (int64_t i = 0; i < n; i++) {
    uint32_t previous = i > 0 ? out[i - 1] : 0;
    out[i] = (uint16_t)((previous * 3 + at_rng_below(&s, (uint64_t)i, 3)) % vocab);
  }
}

static bool same(const uint16_t *a, const uint16_t *b, int n) {
  return memcmp(a, b, (size_t)n * sizeof *a) == 0;
}

/* The definition, by searching through the training stream. */
static double slow(const uint16_t *train, int64_t n, int vocab, const uint16_t *context, int len, uint32_t token) {
  double p = len == 0 ? 1.0 / vocab : slow(train, n, vocab, context + 1, len - 1, token);
  char *met = calloc((size_t)vocab, 1);
  double count = 0, followed = 0, distinct = 0;
  for (int64_t i = len; i < n; i++) {
    if (same(train + i - len, context, len)) {
      followed++;
      count += train[i] == token;
      distinct += met[train[i]] == 0;
      met[train[i]] = 1;
    }
  }
  free(met);
  return followed > 0 ? (count + distinct * p) / (followed + distinct) : p;
}

static void matches_the_definition(void **state) {
  (void)state;
  const struct { int order, vocab; } cases[] = {{0, 2}, {1, 7}, {2, 256}, {3, 11}, {4, 40}, {8, 2}, {2, 65536}};
  for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
    uint16_t train[N], test[60];
    int order = cases[c].order, vocab = cases[c].vocab;
    make_stream(train, SHORT, (uint32_t)vocab, 1);
    make_stream(test, 60, (uint32_t)vocab, 2);
    at_markov *m;
    assert_ok(at_markov_create(&m, order, vocab));
    assert_ok(at_markov_fit(m, train, 2, SHORT));
    double nats, want = 0;
    for (int i = 0; i < 60; i++) {
      int len = i < order ? i : order;
      want -= log(slow(train, SHORT, vocab, test + i - len, len, test[i]));
    }
    assert_ok(at_markov_evaluate(m, test, 2, 60, &nats));
    assert_true(fabs(nats - want) < 1e-9 * fabs(want));
    at_markov_destroy(m);
  }
}

static void probabilities_sum_to_one(void **state) {
  (void)state;
  uint16_t train[N];
  make_stream(train, N, 50, 3);
  at_markov *m;
  assert_ok(at_markov_create(&m, 4, 256));
  assert_ok(at_markov_fit(m, train, 2, N));
  for (int len = 0; len <= 6; len++) {
    for (int start = 0; start < 40; start++) {
      int32_t context[6];
      double sum = 0;
      for (int i = 0; i < len; i++) {
        context[i] = start < 30 ? train[start * 7 + i] : 200 + i; /* seen and unseen */
      }
      for (int token = 0; token < 256; token++) {
        double p = at_markov_probability(m, context, len, token);
        assert_true(p > 0);
        sum += p;
      }
      assert_true(fabs(sum - 1) < 1e-10);
    }
  }
  assert_true(at_markov_probability(m, NULL, 0, 256) == 0);
  assert_true(at_markov_probability(m, NULL, 0, -1) == 0);
  at_markov_destroy(m);
}

static void windows_add_up_without_touching(void **state) {
  (void)state;
  const uint8_t halves[2][3] = {{1, 2, 3}, {4, 5, 6}};
  const int32_t three = 3;
  at_markov *m, *joined;
  assert_ok(at_markov_create(&m, 2, 256));
  assert_ok(at_markov_create(&joined, 2, 256));
  assert_ok(at_markov_fit(m, halves[0], 1, 3));
  assert_ok(at_markov_fit(m, halves[1], 1, 3));
  assert_ok(at_markov_fit(joined, halves, 1, 6));
  double apart = at_markov_probability(m, &three, 1, 4), whole = at_markov_probability(joined, &three, 1, 4);
  assert_true(fabs(apart - (1 + 6 / 256.0) / 12) < TINY); /* 3 was never followed: order 0 */
  assert_true(fabs(whole - (1 + apart) / 2) < TINY);
  at_markov_destroy(m);
  at_markov_destroy(joined);
}

static void widths_agree(void **state) {
  (void)state;
  uint8_t narrow[N];
  uint16_t mid[N];
  uint32_t wide[N];
  make_stream(mid, N, 97, 5);
  for (int i = 0; i < N; i++) {
    narrow[i] = (uint8_t)mid[i];
    wide[i] = mid[i];
  }
  const void *streams[] = {narrow, mid, wide};
  double nats[3];
  for (int w = 0; w < 3; w++) {
    at_markov *m;
    assert_ok(at_markov_create(&m, 3, 128));
    assert_ok(at_markov_fit(m, streams[w], 1 << w, N / 2));
    assert_ok(at_markov_evaluate(m, streams[2 - w], 1 << (2 - w), N, &nats[w]));
    at_markov_destroy(m);
  }
  assert_true(nats[0] == nats[1] && nats[1] == nats[2] && nats[0] > 0);
}

static void empty_and_unseen(void **state) {
  (void)state;
  at_markov *m;
  double nats;
  const uint8_t stream[] = {9, 9, 200};
  assert_ok(at_markov_create(&m, 4, 256));
  assert_ok(at_markov_fit(m, stream, 1, 0));
  assert_ok(at_markov_evaluate(m, stream, 1, 0, &nats));
  assert_true(nats == 0 && at_bits_per_byte(nats, 0) == 0);
  assert_ok(at_markov_evaluate(m, stream, 1, 3, &nats)); /* nothing learned: 8 bits per byte */
  assert_true(fabs(at_bits_per_byte(nats, 3) - 8) < TINY);
  at_markov_destroy(m);
  at_markov_destroy(NULL);
}

static void refuses_what_it_cannot_do(void **state) {
  (void)state;
  at_markov *m;
  const uint8_t stream[] = {1, 5};
  assert_fails(AT_ERR_ARG, "order 0 to 8", at_markov_create(&m, 9, 2));
  assert_fails(AT_ERR_ARG, "2 to 65536", at_markov_create(&m, 1, 1));
  assert_fails(AT_ERR_ARG, "at most order 6", at_markov_create(&m, 7, 256));
  assert_null(m);
  assert_ok(at_markov_create(&m, 1, 5));
  double nats;
  assert_fails(AT_ERR_ARG, "token 1 is 5", at_markov_fit(m, stream, 1, 2));
  assert_fails(AT_ERR_ARG, "token 1 is 5", at_markov_evaluate(m, stream, 1, 2, &nats));
  assert_fails(AT_ERR_ARG, "1, 2 or 4 bytes", at_markov_fit(m, stream, 3, 1));
  at_markov_destroy(m);
}

/* A higher order can only help on text that repeats itself exactly. */
static void learns_a_period(void **state) {
  (void)state;
  uint8_t text[N];
  for (int i = 0; i < N; i++) {
    text[i] = (uint8_t)("the cat sat on the mat; "[i % 24]);
  }
  double last = 1e9;
  for (int order = 0; order <= 4; order += 2) {
    at_markov *m;
    double nats;
    assert_ok(at_markov_create(&m, order, 256));
    assert_ok(at_markov_fit(m, text, 1, N));
    assert_ok(at_markov_evaluate(m, text, 1, N, &nats));
    assert_true(nats < last);
    last = nats;
    at_markov_destroy(m);
  }
  assert_true(at_bits_per_byte(last, N) < 0.3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(matches_a_hand_computed_example),
      cmocka_unit_test(matches_the_definition),
      cmocka_unit_test(probabilities_sum_to_one),
      cmocka_unit_test(windows_add_up_without_touching),
      cmocka_unit_test(widths_agree),
      cmocka_unit_test(empty_and_unseen),
      cmocka_unit_test(refuses_what_it_cannot_do),
      cmocka_unit_test(learns_a_period),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
