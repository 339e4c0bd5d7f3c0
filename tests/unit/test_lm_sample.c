/* SPDX-License-Identifier: BSD-3-Clause */
/* Sampling: shares, the k best, the nucleus, and that no text breaks a character, for bytes and for longer tokens. */
#include <math.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/lm/sample.h"
#include "tests/unit/unit.h"

enum { BYTES = 256 };

static at_vocab *bytes;

static int setup(void **state) {
  (void)state;
  return at_vocab_create_bytes(&bytes) == AT_OK ? 0 : -1;
}

static int teardown(void **state) {
  (void)state;
  at_vocab_destroy(bytes);
  return 0;
}

static int32_t pick(const at_vocab *v, at_sampling set, const float *logits, uint64_t position) {
  at_sampler *s;
  int32_t token = -1;
  at_utf8_guard g = {0};
  assert_ok(at_sampler_create(&s, v, &set));
  assert_ok(at_sampler_pick(s, logits, &g, false, 0, position, &token));
  at_sampler_destroy(s);
  return token;
}

static void random_logits(uint64_t number, float *logits) {
  at_stream s = {.seed = 9, .purpose = AT_RNG_TEST, .step = number};
  at_rng_fill_normal(&s, 0, 2, logits, BYTES);
}

static void test_vocab(void **state) {
  (void)state;
  size_t n;
  at_vocab_bytes(bytes, 0, &n);
  assert_int_equal(n, 0);
  for (int32_t i = 1; i < BYTES; i++) {
    assert_int_equal(*at_vocab_bytes(bytes, i, &n), i);
    assert_int_equal(n, 1);
  }
  assert_int_equal(bytes->n, BYTES);
  assert_int_equal(bytes->separator, 0);
}

static void test_greedy(void **state) {
  (void)state;
  float logits[BYTES] = {0};
  at_sampling set = {.temperature = 0, .top_p = 1};
  logits[0] = 9;    /* the separator */
  logits[0xa9] = 8; /* cannot begin a character */
  logits['q'] = logits['x'] = 3;
  assert_int_equal(pick(bytes, set, logits, 0), 'q');
  logits['x'] = 4;
  assert_int_equal(pick(bytes, set, logits, 0), 'x');
  set.may_end = true;
  assert_int_equal(pick(bytes, set, logits, 0), 0);
  set.temperature = 1e-300; /* next to nothing is the same */
  assert_int_equal(pick(bytes, set, logits, 0), 0);
}

/* Shares of 40 000 picks against the softmax at that temperature; each within five standard deviations. */
static void test_shares(void **state) {
  (void)state;
  enum { N = 40000 };
  float logits[BYTES];
  at_sampler *s;
  at_utf8_guard g = {0};
  at_sampling set = {.temperature = 0.7, .top_p = 1, .seed = 5};
  double p[BYTES] = {0}, sum = 0;
  int count[BYTES] = {0};
  random_logits(0, logits);
  for (int i = 1; i < BYTES; i++) {
    bool fits = i < 0x80 || (i >= 0xc2 && i <= 0xf4);
    p[i] = fits ? exp(logits[i] / 0.7) : 0;
    sum += p[i];
  }
  assert_ok(at_sampler_create(&s, bytes, &set));
  for (uint64_t i = 0; i < N; i++) {
    int32_t token;
    assert_ok(at_sampler_pick(s, logits, &g, false, 0, i, &token));
    count[token]++;
  }
  for (int i = 0; i < BYTES; i++) {
    double want = N * p[i] / sum;
    if (fabs(count[i] - want) > 5 * sqrt(want) + (p[i] > 0 ? 3 : 0)) {
      fail_msg("token %d: %d of %d, expected %g", i, count[i], N, want);
    }
  }
  at_sampler_destroy(s);
}

/* The same choice, the slow way: whichever is likeliest of the rest, again and again. */
static int32_t slow_pick(at_sampling set, const float *logits, uint64_t position) {
  double p[BYTES] = {0}, best[BYTES], total = 0, sum = 0, reached = 0;
  int order[BYTES], n = 0, kept = 0;
  for (int i = 1; i < BYTES; i++) {
    p[i] = i < 0x80 || (i >= 0xc2 && i <= 0xf4) ? exp(logits[i] / set.temperature) : 0;
  }
  while (set.top_k == 0 || n < set.top_k) {
    int top = 0;
    for (int i = 1; i < BYTES; i++) {
      top = p[i] > p[top] ? i : top;
    }
    if (p[top] == 0) {
      break;
    }
    order[n] = top;
    best[n++] = p[top];
    total += p[top];
    p[top] = 0;
  }
  while (kept < n && sum < set.top_p * total) {
    sum += best[kept++];
  }
  at_stream stream = {.seed = set.seed, .purpose = AT_RNG_GENERATE, .step = position};
  double goal = at_rng_uniform(&stream, 0) * sum;
  for (int i = 0; i < kept; i++) {
    reached += best[i];
    if (reached > goal) {
      return order[i];
    }
  }
  return -1;
}

static void test_cuts(void **state) {
  (void)state;
  float logits[BYTES];
  const int64_t ks[] = {0, 1, 2, 7, 200, 1000};
  const double ps[] = {1e-9, 0.3, 0.9, 1};
  for (uint64_t i = 0; i < 400; i++) {
    random_logits(i, logits);
    at_sampling set = {.temperature = 0.5 + 0.01 * (double)i, .top_k = ks[i % 6], .top_p = ps[i / 6 % 4], .seed = 7};
    int32_t got = pick(bytes, set, logits, i), want = slow_pick(set, logits, i);
    if (got != want) {
      fail_msg("case %d, top_k %d, top_p %g: token %d, expected %d", (int)i, (int)set.top_k, set.top_p, got, want);
    }
  }
}

/* A choice depends on (seed, text, position) alone. */
static void test_determinism(void **state) {
  (void)state;
  enum { N = 50 };
  float logits[BYTES] = {0};
  int32_t first[N], again, different[3] = {0};
  at_sampler *s;
  at_utf8_guard g = {0};
  at_sampling set = {.temperature = 1, .top_p = 1, .seed = 1};
  assert_ok(at_sampler_create(&s, bytes, &set));
  for (uint64_t i = 0; i < N; i++) {
    assert_ok(at_sampler_pick(s, logits, &g, false, 2, i, &first[i]));
  }
  for (uint64_t i = N; i-- > 0;) {
    assert_ok(at_sampler_pick(s, logits, &g, false, 2, i, &again));
    assert_int_equal(again, first[i]);
    assert_ok(at_sampler_pick(s, logits, &g, false, 3, i, &again));
    different[0] += again != first[i];
    set.seed = 2;
    assert_ok(at_sampler_pick(s, logits, &g, false, 2, i, &again));
    different[1] += again != first[i];
    set.seed = 1;
    different[2] += first[i] != first[0];
  }
  for (int i = 0; i < 3; i++) {
    assert_true(different[i] > N / 2);
  }
  at_sampler_destroy(s);
}

/* Texts of equally likely tokens: valid at every step, closed within three picks. */
static void check_text(const at_vocab *v, const float *logits, bool may_end, uint64_t text, int *ends) {
  at_sampler *s;
  at_utf8_guard g = {0};
  at_sampling set = {.temperature = 1, .top_p = 1, .seed = 3, .may_end = may_end};
  int32_t token;
  size_t n;
  assert_ok(at_sampler_create(&s, v, &set));
  for (uint64_t i = 0; i < 203; i++) {
    bool closing = i >= 200;
    if (closing && at_utf8_may_end(&g)) {
      break;
    }
    assert_ok(at_sampler_pick(s, logits, &g, closing, text, i, &token));
    if (token == v->separator) {
      assert_true(may_end && !closing && at_utf8_may_end(&g));
      (*ends)++;
      break;
    }
    const uint8_t *b = at_vocab_bytes(v, token, &n);
    assert_true(n > 0 && at_utf8_push(&g, b, n));
  }
  assert_true(at_utf8_may_end(&g));
  at_sampler_destroy(s);
}

static void test_texts(void **state) {
  (void)state;
  float logits[BYTES];
  int ends = 0;
  for (int i = 0; i < BYTES; i++) {
    logits[i] = i >= 0x80 ? 2 : 0; /* mostly long characters */
  }
  for (uint64_t text = 0; text < 200; text++) {
    check_text(bytes, logits, false, text, &ends);
  }
  assert_int_equal(ends, 0);
  for (uint64_t text = 0; text < 200; text++) {
    check_text(bytes, logits, true, text, &ends);
  }
  assert_true(ends > 20);
}

/* Tokens that are strings, some with half a character at either end; number 2 is the separator, number 4 is empty. */
static void test_strings(void **state) {
  (void)state;
  static const char *const piece[] = {"a",    "\xc3",     "",         "\xa9", "",         "\xa9 t", "\xe2\x82\xac \xe2",
                                      "\x82", "\x82\xac", "\xac\xc3", "\xed", "\x9f\x80", "\xa0",   "\xed\xa0"};
  enum { N = sizeof piece / sizeof piece[0] };
  int64_t start[N + 1] = {0};
  uint8_t all[64];
  float logits[N] = {0};
  int ends = 0;
  for (int i = 0; i < N; i++) {
    start[i + 1] = start[i] + (int64_t)strlen(piece[i]);
    memcpy(all + start[i], piece[i], strlen(piece[i]));
  }
  at_vocab v = {.n = N, .separator = 2, .start = start, .bytes = all};
  for (uint64_t text = 0; text < 300; text++) {
    check_text(&v, logits, text % 2 == 1, text, &ends);
  }
  assert_true(ends > 20);
}

/* Tokens agree with the bytes that the text has to go on with, as far as both reach. */
static void test_given_start(void **state) {
  (void)state;
  static const char *const piece[] = {"a", "b", "c", "ab", "abc", "abcd", "ba", "", "abd"};
  enum { N = sizeof piece / sizeof piece[0] };
  int64_t start[N + 1] = {0};
  uint8_t all[64];
  float logits[N] = {0};
  int seen[N] = {0};
  for (int i = 0; i < N; i++) {
    start[i + 1] = start[i] + (int64_t)strlen(piece[i]);
    memcpy(all + start[i], piece[i], strlen(piece[i]));
  }
  at_vocab v = {.n = N, .separator = 7, .start = start, .bytes = all};
  at_sampling set = {.temperature = 1, .top_p = 1, .may_end = true, .start = (const uint8_t *)"abc", .start_bytes = 3};
  for (uint64_t i = 0; i < 300; i++) {
    seen[pick(&v, set, logits, i)]++;
  }
  static const int want[N] = {1, 0, 0, 1, 1, 1, 0, 0, 0};
  for (int i = 0; i < N; i++) {
    assert_int_equal(seen[i] > 0, want[i]);
  }
  set.start_bytes = 0;
  memset(seen, 0, sizeof seen);
  for (uint64_t i = 0; i < 300; i++) {
    seen[pick(&v, set, logits, i)]++;
  }
  for (int i = 0; i < N; i++) {
    assert_true(seen[i] > 0);
  }
}

static void test_refusals(void **state) {
  (void)state;
  float logits[BYTES] = {0};
  int32_t token;
  at_sampler *s;
  at_utf8_guard g = {0};
  at_sampling set = {.temperature = 1, .top_p = 1};
  assert_ok(at_sampler_create(&s, bytes, &set));
  logits['k'] = NAN;
  assert_fails(AT_ERR_NONFINITE, "token 107 is nan", at_sampler_pick(s, logits, &g, false, 0, 0, &token));
  logits['k'] = INFINITY;
  assert_fails(AT_ERR_NONFINITE, "token 107 is inf", at_sampler_pick(s, logits, &g, false, 0, 0, &token));
  for (int i = 0; i < BYTES; i++) {
    logits[i] = -INFINITY;
  }
  assert_fails(AT_ERR_NONFINITE, "all logits", at_sampler_pick(s, logits, &g, false, 0, 0, &token));
  logits['k'] = -3;
  assert_ok(at_sampler_pick(s, logits, &g, false, 0, 0, &token));
  assert_int_equal(token, 'k');
  at_sampler_destroy(s);

  at_vocab poor = {.n = 2, .separator = 0, .start = (int64_t[]){0, 0, 1}, .bytes = (uint8_t[]){0xc3}};
  assert_true(at_utf8_push(&g, poor.bytes, 1));
  assert_ok(at_sampler_create(&s, &poor, &set));
  assert_fails(AT_ERR_STATE, "lacks bytes", at_sampler_pick(s, logits, &g, false, 0, 0, &token));
  at_sampler_destroy(s);
}

static void test_no_allocation(void **state) {
  (void)state;
  float logits[BYTES];
  int32_t token;
  at_sampler *s;
  at_utf8_guard g = {0};
  at_sampling set = {.temperature = 1, .top_p = 0.9, .top_k = 50};
  int64_t live = at_alloc_get_stats().live_bytes;
  random_logits(1, logits);
  assert_ok(at_sampler_create(&s, bytes, &set));
  int64_t calls = at_alloc_get_stats().calls;
  assert_ok(at_sampler_pick(s, logits, &g, false, 0, 0, &token));
  assert_int_equal(at_alloc_get_stats().calls, calls);
  at_sampler_destroy(s);
  assert_int_equal(at_alloc_get_stats().live_bytes, live);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_vocab),         cmocka_unit_test(test_greedy),      cmocka_unit_test(test_shares),
      cmocka_unit_test(test_cuts),          cmocka_unit_test(test_determinism), cmocka_unit_test(test_texts),
      cmocka_unit_test(test_strings),       cmocka_unit_test(test_given_start), cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_no_allocation),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
