/* SPDX-License-Identifier: BSD-3-Clause */
/* Buffers, kernels and a key for tests of codecs. */
#ifndef AT_TESTS_CODEC_RIG_H
#define AT_TESTS_CODEC_RIG_H

#include "src/base/alloc.h"
#include "src/comm/codec/frame.h"
#include "tests/unit/codec_data.h"
#include "tests/unit/unit.h"

enum { MOST = 4099, ROOM = 64 + 40 * MOST };
static float x[MOST], y[MOST], again[MOST];
static uint8_t out[ROOM];
static at_kernels kernels;

static inline at_codec *new_codec(const at_codec_cfg *raw) {
  at_codec_cfg cfg = *raw;
  at_codec *c = NULL;
  assert_ok(at_codec_resolve(&cfg));
  assert_ok(at_codec_create(&c, &cfg, &kernels, MOST));
  return c;
}

static inline int setup(void **state) {
  (void)state;
  at_kernels_init(&kernels, at_isa_detect());
  return 0;
}

static const at_code_key key = {.seed = 3, .client = 5, .round = 9, .first = 640};

static inline double squares(int64_t n, const float *v, const float *minus) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) {
    const double d = (double)v[i] - (minus != NULL ? (double)minus[i] : 0.0);
    sum += d * d;
  }
  return sum;
}

#endif
