/* SPDX-License-Identifier: BSD-3-Clause */
/* The vectors that codecs are tested with: all kinds of data at awkward sizes, the same numbers on any machine. */
#ifndef AT_TESTS_CODEC_DATA_H
#define AT_TESTS_CODEC_DATA_H

#include <math.h>

#include "src/base/rng.h"

#define CODEC_DATA(X)                                                             \
  X(GAUSSIAN, "gaussian")                                                         \
  X(HEAVY, "heavy-tailed") /* a normal over the square root of a small uniform */ \
  X(SPIKE, "one spike")                                                           \
  X(ZERO, "all zero")                                                             \
  X(CONSTANT, "constant")                                                         \
  X(DENORMAL, "denormal")                                                         \
  X(SIGNED_ZERO, "+-0")                                                           \
  X(SPREAD, "1e30 spread")                                                        \
  X(LEVELS, "ties and levels") /* multiples of half a step of 7 and 127 levels */

typedef enum codec_data {
#define X(id, name) DATA_##id,
  CODEC_DATA(X)
#undef X
      DATA_KINDS
} codec_data;

static const char *const codec_data_names[] = {
#define X(id, name) name,
    CODEC_DATA(X)
#undef X
};

/* x[n] of the kind. */
static inline void codec_data_fill(codec_data kind, uint64_t seed, int64_t n, float *x) {
  const at_stream s = {.seed = seed, .client = (uint64_t)kind, .purpose = AT_RNG_TEST};
  at_rng_fill_normal(&s, 0.0, 1.0, x, n);
  for (int64_t i = 0; i < n; i++) {
    const double u = at_rng_uniform(&s, (uint64_t)(i + (INT64_C(1) << 40)));
    switch (kind) {
    case DATA_HEAVY:
      x[i] = (float)((double)x[i] * 1e-3 / sqrt(u + 1e-6));
      break;
    case DATA_SPIKE:
      x[i] = i == n / 3 ? -1000.0f : 1e-3f * x[i];
      break;
    case DATA_ZERO:
      x[i] = 0.0f;
      break;
    case DATA_CONSTANT:
      x[i] = -0.3f;
      break;
    case DATA_DENORMAL:
      x[i] = x[i] * 1e-40f;
      break;
    case DATA_SIGNED_ZERO:
      x[i] = u < 0.5 ? -0.0f : 0.0f;
      break;
    case DATA_SPREAD:
      x[i] = (float)((double)x[i] * pow(10.0, 30.0 * u - 15.0));
      break;
    case DATA_LEVELS:
      x[i] = (float)(0.5 * (double)(i % 5 == 0 ? 7 : (int64_t)(u * 29) - 14));
      break;
    default:
      break;
    }
  }
}

#endif
