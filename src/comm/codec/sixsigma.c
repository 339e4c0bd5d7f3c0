/* SPDX-License-Identifier: BSD-3-Clause */
/* Eight bits over six standard deviations, with the true mean of each bucket sent (as hivemind and prime-diloco do).
 *
 *     scale = 6 sd / 256;  code = clamp(rint((x - mean) / scale) + 128, 0, 255);  y = mean of the bucket's elements
 * Payload: 256 floats, then n bytes.  Decoding projects x onto the buckets, so that the error never exceeds x: delta = 0; beyond
 * three deviations all fall into the edge bucket, which is biased on heavy tails. */
#include <math.h>
#include <string.h>

#include "src/comm/codec/codec_internal.h"

enum { BUCKETS = 256, TABLE_BYTES = 4 * BUCKETS };

typedef struct tally {
  double sum[BUCKETS];
  int64_t count[BUCKETS];
} tally;

static void law_of(const at_codec_cfg *cfg, int64_t n, at_codec_law *law) {
  (void)cfg;
  (void)n;
  law->contractive = true;
  law->delta = 0.0;
}

static int64_t bytes_of(const at_codec_cfg *cfg, int64_t n, bool *exact) {
  (void)cfg;
  (void)exact;
  return TABLE_BYTES + n;
}

static int64_t scratch_of(const at_codec_cfg *cfg, int64_t n) {
  (void)cfg;
  (void)n;
  return (int64_t)sizeof(tally);
}

/* sum of x[n], in double by fours. */
static double sum_of(int64_t n, const float *x) {
  double part[4] = {0};
  for (int64_t i = 0; i < n; i++) {
    part[i % 4] += (double)x[i];
  }
  return (part[0] + part[1]) + (part[2] + part[3]);
}

static int64_t encode(at_codec *c, const at_code_key *key, int64_t n, const float *x, uint8_t *out) {
  (void)key;
  tally *t = c->scratch;
  memset(t, 0, sizeof *t);
  const double mean = sum_of(n, x) / (double)n;
  const double variance = c->k.sum_squares(n, x) / (double)n - mean * mean;
  const double scale = 6.0 * sqrt(fmax(variance, 0.0)) / BUCKETS;
  const double inv = scale > 0x1p-126 ? 1.0 / scale : 0.0; /* all equal, or nearly: one bucket */
  uint8_t *codes = out + TABLE_BYTES;
  c->k.bucket_pack(n, x, (float)mean, (float)inv, codes);
  for (int64_t i = 0; i < n; i++) {
    t->sum[codes[i]] += (double)x[i];
    t->count[codes[i]]++;
  }
  for (int b = 0; b < BUCKETS; b++) {
    const float value = t->count[b] > 0 ? (float)(t->sum[b] / (double)t->count[b]) : 0.0f;
    memcpy(out + sizeof value * (size_t)b, &value, sizeof value);
  }
  return TABLE_BYTES + n;
}

static int64_t decode(at_codec *c, const at_code_key *key, int64_t n, const uint8_t *in, int64_t room, float *y) {
  (void)c;
  (void)key;
  if (room < TABLE_BYTES + n) {
    return -1;
  }
  float table[BUCKETS];
  memcpy(table, in, sizeof table);
  const uint8_t *codes = in + TABLE_BYTES;
  for (int64_t i = 0; i < n; i++) {
    y[i] = table[codes[i]];
  }
  return TABLE_BYTES + n;
}

const at_codec_row at_codec_row_sixsigma = {
    .name = "sixsigma",
    .wire = 5,
    .fields = "",
    .help = "256 buckets over six standard deviations, bucket means sent.",
    .memory = AT_MEMORY_RESIDUAL,
    .law = law_of,
    .bytes = bytes_of,
    .scratch = scratch_of,
    .encode = encode,
    .decode = decode,
};
