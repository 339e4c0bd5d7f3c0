/* SPDX-License-Identifier: BSD-3-Clause */
/* What single codecs promise beyond the suite that all pass. */
#include <math.h>

#include "tests/unit/codec_rig.h"

/* Six sigma: each bucket's average is exact, so the mean of all is. */
static void test_sixsigma_keeps_the_mean(void **state) {
  (void)state;
  const at_codec_cfg cfg = {.kind = AT_CODEC_sixsigma};
  at_codec *c = new_codec(&cfg);
  codec_data_fill(DATA_GAUSSIAN, 1, MOST, x);
  at_codec_decode(c, &key, MOST, out, at_codec_encode(c, &key, MOST, x, out), y);
  double a = 0, b = 0;
  for (int i = 0; i < MOST; i++) {
    a += (double)x[i];
    b += (double)y[i];
  }
  assert_true(fabs(a - b) < 1e-4);
  assert_true(squares(MOST, x, y) < 1e-3 * squares(MOST, x, NULL));
  at_codec_destroy(c);
}

static void test_fp16_counts_what_it_clips(void **state) {
  (void)state;
  const at_codec_cfg cfg = {.kind = AT_CODEC_fp16};
  at_codec *c = new_codec(&cfg);
  const float v[3] = {6e4f, 7e4f, -1e20f};
  at_codec_decode(c, &key, 3, out, at_codec_encode(c, &key, 3, v, out), y);
  assert_true(y[1] == 65504.0f && y[2] == -65504.0f);
  assert_int_equal(at_codec_saturated(c), 2);
  at_codec_destroy(c);
}

static void test_sign_mask(void **state) {
  (void)state;
  const at_codec_cfg cfg = {.kind = AT_CODEC_sign};
  at_codec *c = new_codec(&cfg);
  static uint8_t mask[700];
  codec_data_fill(DATA_CONSTANT, 1, 60, x);
  for (int i = 640; i < 700; i++) {
    mask[i] = i % 3 == 0;
    x[i - 640] = mask[i] != 0 ? x[i - 640] : 1e9f;
  }
  at_codec_set_mask(c, mask);
  const int64_t bytes = at_codec_encode(c, &key, 60, x, out);
  at_codec_decode(c, &key, 60, out, bytes, y);
  memset(again, 0, sizeof again);
  at_codec_add(c, &key, 60, out, bytes, 1.0f, again);
  for (int i = 0; i < 60; i++) {
    assert_true(y[i] == (mask[640 + i] != 0 ? -0.3f : 0.0f) && again[i] == y[i]);
  }
  at_codec_destroy(c);
}

static void test_dgc_warm_up(void **state) {
  (void)state;
  const at_codec_cfg cfg = {.kind = AT_CODEC_dgc, .ratio = 0.001, .warmup = 8, .momentum = 0.9};
  const double want[] = {0.25, 0.25, 0.0625, 0.0625, 0.015625, 0.015625, 0.004, 0.004, 0.001, 0.001};
  for (uint64_t r = 0; r < 10; r++) {
    assert_true(at_dgc_ratio(&cfg, r) == want[r]);
  }
}

/* A sample that misses the spikes asks for too much: the count is capped at twice the target. */
static void test_dgc_caps(void **state) {
  (void)state;
  const at_codec_cfg cfg = {.kind = AT_CODEC_dgc, .ratio = 0.01, .momentum = 0.9, .value = AT_VALUE_F32};
  at_codec *c = new_codec(&cfg);
  for (int kind = 0; kind < DATA_KINDS; kind++) {
    for (uint64_t r = 0; r < 50; r++) {
      const at_code_key draw = {.seed = 1, .round = r};
      codec_data_fill((codec_data)kind, r, MOST, x);
      at_codec_encode(c, &draw, MOST, x, out);
      uint32_t k;
      memcpy(&k, out, sizeof k);
      assert_true(k >= 1 && k <= 2 * 41);
    }
  }
  at_codec_destroy(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sixsigma_keeps_the_mean),
      cmocka_unit_test(test_fp16_counts_what_it_clips),
      cmocka_unit_test(test_sign_mask),
      cmocka_unit_test(test_dgc_warm_up),
      cmocka_unit_test(test_dgc_caps),
  };
  return cmocka_run_group_tests(tests, setup, NULL);
}
