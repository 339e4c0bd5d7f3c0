/* SPDX-License-Identifier: BSD-3-Clause */
/* Counter-based random streams over Philox4x64-10: draws, and normals that do not depend on the C library. */
#include "src/base/rng.h"

#include <Random123/philox.h>
#include <gsl/gsl_errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/rng_internal.h"

void at_rng_philox(const uint64_t ctr[4], const uint64_t key[2], uint64_t out[4]) {
  philox4x64_ctr_t c = {{ctr[0], ctr[1], ctr[2], ctr[3]}};
  philox4x64_key_t k = {{key[0], key[1]}};
  c = philox4x64_R(10, c, k);
  memcpy(out, c.v, sizeof c.v);
}

void at_rng_tagged_block(const at_stream *s, uint32_t tag, uint64_t block, uint64_t out[4]) {
  const uint64_t ctr[4] = {block, s->step, s->round, s->client};
  const uint64_t key[2] = {s->seed, (uint64_t)s->purpose | (uint64_t)tag << 32};
  at_rng_philox(ctr, key, out);
}

void at_rng_block(const at_stream *s, uint64_t block, uint64_t out[4]) {
  at_rng_tagged_block(s, 0, block, out);
}

static uint64_t tagged_u64(const at_stream *s, uint32_t tag, uint64_t index) {
  uint64_t w[4];
  at_rng_tagged_block(s, tag, index / 4, w);
  return w[index % 4];
}

uint64_t at_rng_u64(const at_stream *s, uint64_t index) {
  return tagged_u64(s, 0, index);
}

static double unit(uint64_t w) { /* [0,1) */
  return (double)(w >> 11) * 0x1p-53;
}

double at_rng_uniform(const at_stream *s, uint64_t index) {
  return unit(at_rng_u64(s, index));
}

uint64_t at_rng_tagged_below(const at_stream *s, uint32_t tag, uint64_t index, uint64_t n) {
  /* Lemire (2019): the high word of w * n, rejected where the low word shows an over-full bin.  A rejected draw
   * takes its next word under another tag, so that neighbouring indices stay independent. */
  uint64_t least = (0 - n) % n;
  for (;;) {
    unsigned __int128 product = (unsigned __int128)tagged_u64(s, tag, index) * n;
    if ((uint64_t)product >= least) {
      return (uint64_t)(product >> 64);
    }
    tag++;
  }
}

uint64_t at_rng_below(const at_stream *s, uint64_t index, uint64_t n) {
  return at_rng_tagged_below(s, 0, index, n);
}

/* log(u) for u in (0,1], by log m = 2 atanh((m-1)/(m+1)) with m in [sqrt(1/2), sqrt(2)).  The C library's log picks
 * another code path on processors with FMA; this one gives the same bits everywhere. */
static double log_unit(double u) {
  int e = 0;
  double m = frexp(u, &e);
  if (m < 0.70710678118654752) {
    m *= 2;
    e--;
  }
  double t = (m - 1) / (m + 1), t2 = t * t, sum = 0;
  for (int k = 23; k >= 1; k -= 2) {
    sum = sum * t2 + 1.0 / k;
  }
  return 2 * t * sum + e * 0.69314718055994531;
}

/* cos and sin of 2 pi u for u in [0,1), by Taylor series on [-pi/4, pi/4]; for the same reason. */
static void cos_sin_turn(double u, double *c, double *s) {
  static const double inverse_factorial[18] = {1.0,
                                               1.0,
                                               1.0 / 2,
                                               1.0 / 6,
                                               1.0 / 24,
                                               1.0 / 120,
                                               1.0 / 720,
                                               1.0 / 5040,
                                               1.0 / 40320,
                                               1.0 / 362880,
                                               1.0 / 3628800,
                                               1.0 / 39916800,
                                               1.0 / 479001600,
                                               1.0 / 6227020800.0,
                                               1.0 / 87178291200.0,
                                               1.0 / 1307674368000.0,
                                               1.0 / 20922789888000.0,
                                               1.0 / 355687428096000.0};
  int quarter = (int)(4 * u + 0.5);
  double x = 6.2831853071795865 * (u - 0.25 * quarter), x2 = x * x, even = 0, odd = 0;
  for (int k = 8; k >= 0; k--) {
    double sign = k % 2 == 0 ? 1.0 : -1.0;
    even = even * x2 + sign * inverse_factorial[2 * k];
    odd = odd * x2 + sign * inverse_factorial[2 * k + 1];
  }
  odd *= x;
  switch (quarter % 4) {
  case 0:
    *c = even, *s = odd;
    break;
  case 1:
    *c = -odd, *s = even;
    break;
  case 2:
    *c = -even, *s = -odd;
    break;
  default:
    *c = odd, *s = -even;
  }
}

/* Two standard normals from two words (Box and Muller 1958). */
static void normal_pair(uint64_t w0, uint64_t w1, double z[2]) {
  double radius = sqrt(-2 * log_unit((double)((w0 >> 11) + 1) * 0x1p-53));
  double c = 0, s = 0;
  cos_sin_turn(unit(w1), &c, &s);
  z[0] = radius * c;
  z[1] = radius * s;
}

double at_rng_normal(const at_stream *s, uint64_t index) {
  uint64_t w[4];
  double z[2];
  at_rng_block(s, index, w);
  normal_pair(w[0], w[1], z);
  return z[0];
}

void at_rng_fill_normal(const at_stream *s, double mean, double sd, float *out, int64_t n) {
  at_rng_fill_normal_from(s, 0, mean, sd, out, n);
}

void at_rng_fill_normal_from(const at_stream *s, int64_t first, double mean, double sd, float *out, int64_t n) {
  for (int64_t i = first - first % 4; i < first + n; i += 4) {
    uint64_t w[4];
    double z[4];
    at_rng_block(s, (uint64_t)i / 4, w);
    normal_pair(w[0], w[1], z);
    normal_pair(w[2], w[3], z + 2);
    for (int64_t j = i < first ? first - i : 0; j < 4 && i + j < first + n; j++) {
      out[i + j - first] = (float)(mean + sd * z[j]);
    }
  }
}

/* --- gsl_rng ------------------------------------------------------------------------------------------------- */

typedef struct gsl_state {
  at_stream stream;
  uint64_t next; /* index of the next draw */
  uint64_t words[4];
} gsl_state;

static void gsl_seed(void *state, unsigned long seed) {
  gsl_state *g = state;
  g->stream.seed = seed;
  g->next = 0;
}

static unsigned long gsl_get(void *state) {
  gsl_state *g = state;
  if (g->next % 4 == 0) {
    at_rng_block(&g->stream, g->next / 4, g->words);
  }
  return g->words[g->next++ % 4];
}

static double gsl_get_unit(void *state) {
  return unit(gsl_get(state));
}

static const gsl_rng_type philox_type = {
    "philox4x64-10", UINT64_MAX, 0, sizeof(gsl_state), gsl_seed, gsl_get, gsl_get_unit,
};

gsl_rng *at_rng_gsl(const at_stream *s) {
  gsl_error_handler_t *handler = gsl_set_error_handler_off(); /* it would abort on a lack of memory */
  gsl_rng *r = gsl_rng_alloc(&philox_type);
  gsl_set_error_handler(handler);
  if (r != NULL) {
    *(gsl_state *)r->state = (gsl_state){.stream = *s};
  }
  return r;
}
