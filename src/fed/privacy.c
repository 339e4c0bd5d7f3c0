/* SPDX-License-Identifier: BSD-3-Clause */
/* Central differential privacy of clients: clipping and noise. */
#include "src/fed/privacy.h"

#include <math.h>

#include "src/base/rng.h"

double at_privacy_clip(const at_privacy *p, const at_vec *vec, int64_t n, float *update, bool *clipped) {
  double norm = sqrt(vec->sumsq(n, update));
  *clipped = p->clip > 0 && norm > p->clip;
  if (*clipped) {
    float scale = (float)(p->clip / norm * (1 - 0x1p-20)); /* rounding may not lead above the bound */
    for (int64_t i = 0; i < n; i++) {
      update[i] *= scale;
    }
  }
  return norm;
}

void at_privacy_add_noise(const at_privacy *p, int64_t round, double expected, int64_t n, float *mean) {
  enum { PIECE = 4096 };
  float noise[PIECE];
  at_stream stream = {.seed = p->seed, .purpose = AT_RNG_PRIVACY, .round = (uint64_t)round};
  for (int64_t at = 0; at < n; at += PIECE) {
    int64_t some = n - at < PIECE ? n - at : PIECE;
    at_rng_fill_normal_from(&stream, at, 0, p->noise * p->clip / expected, noise, some);
    for (int64_t i = 0; i < some; i++) {
      mean[at + i] += noise[i];
    }
  }
}
