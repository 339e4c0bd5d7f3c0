/* SPDX-License-Identifier: BSD-3-Clause */
/* Random streams: known answers, distributions, subsets, permutations, the GSL adapter. */
#include "src/base/rng.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_randist.h>
#include <math.h>

#include "src/base/alloc.h"
#include "src/base/rng_internal.h"
#include "tests/unit/unit.h"

static const at_stream plain = {.seed = 42, .client = 3, .round = 2, .step = 1, .purpose = AT_RNG_TEST};

/* The vectors that the Random123 distribution publishes for philox4x64-10: counter, key, result. */
static void test_known_answers(void **state) {
  (void)state;
  static const struct {
    uint64_t ctr[4], key[2], out[4];
  } kat[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x16554d9eca36314c, 0xdb20fe9d672d0fdc, 0xd7e772cee186176b, 0x7e68b68aec7ba23b}},
      {{UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX},
       {UINT64_MAX, UINT64_MAX},
       {0x87b092c3013fe90b, 0x438c3c67be8d0224, 0x9cc7d7c69cd777b6, 0xa09caebf594f0ba0}},
      {{0x243f6a8885a308d3, 0x13198a2e03707344, 0xa4093822299f31d0, 0x082efa98ec4e6c89},
       {0x452821e638d01377, 0xbe5466cf34e90c6c},
       {0xa528f45403e61d95, 0x38c72dbd566e9788, 0xa5a1610e72fd18b5, 0x57bd43b5e52b7fe6}},
  };
  for (size_t i = 0; i < sizeof kat / sizeof *kat; i++) {
    uint64_t out[4];
    at_rng_philox(kat[i].ctr, kat[i].key, out);
    assert_memory_equal(out, kat[i].out, sizeof out);
  }
}

static void test_every_field_matters(void **state) {
  (void)state;
  at_stream variants[6];
  for (int i = 0; i < 6; i++) {
    variants[i] = plain;
  }
  variants[1].seed++;
  variants[2].client++;
  variants[3].round++;
  variants[4].step++;
  variants[5].purpose = AT_RNG_INIT;
  for (int i = 0; i < 6; i++) {
    for (int j = 0; j < i; j++) {
      assert_true(at_rng_u64(&variants[i], 0) != at_rng_u64(&variants[j], 0));
    }
  }
  uint64_t words[4], block[4];
  at_rng_philox((uint64_t[]){5, 1, 2, 3}, (uint64_t[]){42, AT_RNG_TEST}, words);
  at_rng_block(&plain, 5, block);
  assert_memory_equal(block, words, sizeof words); /* the layout of key and counter is part of the results */
  for (uint64_t i = 0; i < 4; i++) {
    assert_true(at_rng_u64(&plain, 20 + i) == block[i]);
  }
}

static void test_uniform_and_below(void **state) {
  (void)state;
  enum { N = 20000, BINS = 10 };
  double sum = 0;
  int counts[BINS] = {0};
  for (int i = 0; i < N; i++) {
    double u = at_rng_uniform(&plain, (uint64_t)i);
    assert_true(u >= 0 && u < 1);
    sum += u;
    counts[at_rng_below(&plain, (uint64_t)(N + i), BINS)]++;
  }
  assert_true(fabs(sum / N - 0.5) < 5 * sqrt(1.0 / 12 / N));
  double chi2 = 0;
  for (int b = 0; b < BINS; b++) {
    chi2 += (counts[b] - (double)N / BINS) * (counts[b] - (double)N / BINS) / ((double)N / BINS);
  }
  assert_true(gsl_cdf_chisq_Q(chi2, BINS - 1) > 1e-4);
  assert_int_equal(at_rng_below(&plain, 0, 1), 0);
  /* 3 * 2^62: a quarter of the words is rejected, and the result still lies below. */
  for (uint64_t i = 0; i < 100; i++) {
    assert_true(at_rng_below(&plain, i, 3ull << 62) < 3ull << 62);
  }
}

static void test_normals(void **state) {
  (void)state;
  enum { N = 40000 };
  float *z = NULL;
  assert_ok(at_alloc(&z, N, sizeof *z, "normals"));
  at_rng_fill_normal(&plain, 1.0, 2.0, z, N);
  double worst = 0;
  /* Kolmogorov-Smirnov on a fixed grid of quantiles, for both ways to draw. */
  for (int q = 1; q < 20; q++) {
    double at = gsl_cdf_ugaussian_Pinv(q / 20.0);
    int filled = 0, single = 0;
    for (int i = 0; i < N; i++) {
      filled += z[i] <= 1.0 + 2.0 * at;
      single += i < N / 4 && at_rng_normal(&plain, (uint64_t)i) <= at;
    }
    worst = fmax(worst, fabs(filled / (double)N - q / 20.0));
    worst = fmax(worst, 0.5 * fabs(single / (N / 4.0) - q / 20.0));
  }
  assert_true(worst < 2.0 / sqrt(N));

  /* Element i depends on i alone: a shorter fill has the same beginning. */
  float few[7];
  at_rng_fill_normal(&plain, 1.0, 2.0, few, 7);
  assert_memory_equal(few, z, sizeof few);
  for (int64_t first = 1; first < 9; first++) { /* and a later part is a part of the whole */
    at_rng_fill_normal_from(&plain, first, 1.0, 2.0, few, 1 + first % 7);
    assert_memory_equal(few, z + first, (size_t)(1 + first % 7) * sizeof *few);
  }
  at_free(z);
}

/* Our own logarithm and cosine, against the C library's. */
static void test_normal_is_box_muller(void **state) {
  (void)state;
  for (uint64_t i = 0; i < 5000; i++) {
    uint64_t w[4];
    at_rng_block(&plain, i, w);
    double u = (double)((w[0] >> 11) + 1) * 0x1p-53, v = (double)(w[1] >> 11) * 0x1p-53;
    double want = sqrt(-2 * log(u)) * cos(2 * 3.14159265358979323846 * v);
    assert_true(fabs(at_rng_normal(&plain, i) - want) < 4e-15 * (1 + sqrt(-2 * log(u))));
  }
}

static void test_choose(void **state) {
  (void)state;
  const int64_t cases[][2] = {{0, 0}, {1, 0}, {1, 1}, {2, 1}, {10, 3}, {100, 100}, {1000, 999}, {1000000, 5000}};
  int64_t *out = NULL;
  assert_ok(at_alloc(&out, 5000, sizeof *out, "chosen"));
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    int64_t n = cases[c][0], k = cases[c][1];
    at_rng_choose(&plain, n, k, out);
    for (int64_t i = 0; i < k; i++) {
      assert_true(out[i] >= 0 && out[i] < n);
      assert_true(i == 0 || out[i - 1] < out[i]);
    }
  }
  at_free(out);
}

/* Each of the 10 pairs of 5 comes up equally often. */
static void test_choose_is_uniform(void **state) {
  (void)state;
  enum { N = 10000 };
  int counts[25] = {0};
  for (uint64_t round = 0; round < N; round++) {
    at_stream s = plain;
    s.round = round;
    int64_t pair[2];
    at_rng_choose(&s, 5, 2, pair);
    counts[5 * pair[0] + pair[1]]++;
  }
  double chi2 = 0;
  for (int a = 0; a < 5; a++) {
    for (int b = a + 1; b < 5; b++) {
      chi2 += (counts[5 * a + b] - N / 10.0) * (counts[5 * a + b] - N / 10.0) / (N / 10.0);
    }
  }
  assert_true(gsl_cdf_chisq_Q(chi2, 9) > 1e-4);
}

static void test_permute_is_bijective(void **state) {
  (void)state;
  const uint64_t sizes[] = {1, 2, 3, 63, 64, 65, 100, 127, 128, 129, 1000, 4096, 65537};
  uint8_t *seen = NULL;
  assert_ok(at_alloc(&seen, 65537, 1, "seen"));
  for (size_t c = 0; c < sizeof sizes / sizeof *sizes; c++) {
    uint64_t n = sizes[c], fixed = 0;
    memset(seen, 0, n);
    for (uint64_t i = 0; i < n; i++) {
      uint64_t p = at_rng_permute(&plain, n, i);
      assert_true(p < n);
      assert_int_equal(seen[p], 0);
      seen[p] = 1;
      fixed += p == i;
    }
    assert_true(n < 10 || fixed < 10); /* about one fixed point is expected */
  }
  at_free(seen);
}

/* Where element 0, a middle one and the last one land is uniform over rounds, for a shuffled and a Feistel size. */
static void test_permute_is_uniform(void **state) {
  (void)state;
  enum { PER_BIN = 100 };
  const uint64_t sizes[] = {24, 80};
  for (int c = 0; c < 2; c++) {
    uint64_t n = sizes[c];
    const uint64_t elements[] = {0, n / 2, n - 1};
    for (int e = 0; e < 3; e++) {
      int counts[80] = {0};
      for (uint64_t round = 0; round < PER_BIN * n; round++) {
        at_stream s = plain;
        s.round = round;
        counts[at_rng_permute(&s, n, elements[e])]++;
      }
      double chi2 = 0;
      for (uint64_t b = 0; b < n; b++) {
        chi2 += (counts[b] - PER_BIN) * (counts[b] - PER_BIN) / (double)PER_BIN;
      }
      assert_true(gsl_cdf_chisq_Q(chi2, (double)n - 1) > 1e-4);
    }
  }
}

static void test_gsl_adapter(void **state) {
  (void)state;
  gsl_rng *r = at_rng_gsl(&plain);
  assert_non_null(r);
  for (uint64_t i = 0; i < 9; i++) {
    assert_true(gsl_rng_get(r) == at_rng_u64(&plain, i));
  }
  assert_true(gsl_rng_uniform(r) == at_rng_uniform(&plain, 9));
  enum { N = 20000 };
  double sum = 0, squares = 0;
  for (int i = 0; i < N; i++) {
    double g = gsl_ran_gamma(r, 0.3, 1.0); /* what Dirichlet partitions are made of */
    sum += g;
    squares += g * g;
  }
  double mean = sum / N;
  assert_true(fabs(mean - 0.3) < 5 * sqrt(0.3 / N));
  assert_true(fabs(squares / N - mean * mean - 0.3) < 0.05);
  int counts[3] = {0};
  for (int i = 0; i < 3000; i++) {
    counts[gsl_rng_uniform_int(r, 3)]++;
  }
  for (int i = 0; i < 3; i++) {
    assert_in_range(counts[i], 850, 1150);
  }
  gsl_rng_free(r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_known_answers),        cmocka_unit_test(test_every_field_matters),
      cmocka_unit_test(test_uniform_and_below),    cmocka_unit_test(test_normals),
      cmocka_unit_test(test_normal_is_box_muller), cmocka_unit_test(test_choose),
      cmocka_unit_test(test_choose_is_uniform),    cmocka_unit_test(test_permute_is_bijective),
      cmocka_unit_test(test_permute_is_uniform),   cmocka_unit_test(test_gsl_adapter),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
