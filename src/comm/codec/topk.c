/* SPDX-License-Identifier: BSD-3-Clause */
/* The k largest by magnitude, k = max(1, round(ratio n)), and DGC's sampled threshold over the same bytes.
 *
 * Payload of topk: positions and values (sparse.h): 8 k bytes with plain positions and floats, n/8 + 4 k with a bitmap.  Of dgc:
 * the count as 4 bytes before them, for its threshold comes from a sample and sends up to 2 k.
 *     topk  delta >= k/n, ties to the lower position
 *     dgc   delta >= 1/n: the largest is always sent
 * As halves the values lose another 2^-22. */
#include <math.h>
#include <string.h>

#include "src/comm/codec/sparse.h"

enum { SAMPLE_LEAST = 256, SAMPLE_MOST = 1 << 14, SHIFT_DRAW = 4 /* beyond the words of at_code_dither */ };

static void law_of_share(const at_codec_cfg *cfg, double share, at_codec_law *law) {
  law->contractive = true;
  law->delta = share;
  if (cfg->value == AT_VALUE_F16) {
    law->delta *= 1.0 - 0x1p-22;
    law->least = 0x1p-14;
    law->most = 65504.0;
  }
}

static void topk_law(const at_codec_cfg *cfg, int64_t n, at_codec_law *law) {
  law_of_share(cfg, (double)at_code_share(cfg->ratio, n) / (double)n, law);
}

static int64_t topk_bytes(const at_codec_cfg *cfg, int64_t n, bool *exact) {
  const int64_t k = at_code_share(cfg->ratio, n);
  if (exact != NULL) {
    *exact = at_sparse_index(cfg, n, k) != AT_INDEX_GAPS;
  }
  return at_sparse_index_bytes(cfg, n, k) + at_sparse_value_bytes(cfg, k);
}

static int64_t topk_encode(at_codec *c, const at_code_key *key, int64_t n, const float *x, uint8_t *out) {
  (void)key;
  const at_sparse_scratch s = at_sparse_scratch_of(c);
  const int64_t k = at_code_share(c->cfg.ratio, n);
  c->k.select_top(n, x, k, s.keys, s.at);
  return at_sparse_put(c, n, k, s.at, x, out);
}

/* Values of k positions into y, zeros elsewhere. */
static int64_t decode_k(at_codec *c, int64_t n, int64_t k, const uint8_t *in, int64_t room, float *y) {
  const at_sparse_scratch s = at_sparse_scratch_of(c);
  const int64_t bytes = at_sparse_get(c, n, k, in, room, s.at, s.value);
  if (bytes >= 0) {
    memset(y, 0, (size_t)n * sizeof *y);
    for (int64_t i = 0; i < k; i++) {
      y[s.at[i]] = s.value[i];
    }
  }
  return bytes;
}

/* What is not sent would add zero, which changes no sum that began at zero. */
static int64_t add_k(at_codec *c, int64_t n, int64_t k, const uint8_t *in, int64_t room, float weight, float *acc) {
  const at_sparse_scratch s = at_sparse_scratch_of(c);
  const int64_t bytes = at_sparse_get(c, n, k, in, room, s.at, s.value);
  for (int64_t i = 0; bytes >= 0 && i < k; i++) {
    const float term = weight * s.value[i];
    acc[s.at[i]] = acc[s.at[i]] + term;
  }
  return bytes;
}

static int64_t topk_decode(at_codec *c, const at_code_key *key, int64_t n, const uint8_t *in, int64_t room, float *y) {
  (void)key;
  return decode_k(c, n, at_code_share(c->cfg.ratio, n), in, room, y);
}

static int64_t topk_add(at_codec *c, const at_code_key *key, int64_t n, const uint8_t *in, int64_t room, float weight,
                        float *acc) {
  (void)key;
  return add_k(c, n, at_code_share(c->cfg.ratio, n), in, room, weight, acc);
}

const at_codec_row at_codec_row_topk = {
    .name = "topk",
    .wire = 9,
    .fields = "ratio index value",
    .help = "The largest by magnitude.",
    .memory = AT_MEMORY_RESIDUAL,
    .has_indices = true,
    .check = at_sparse_check,
    .law = topk_law,
    .bytes = topk_bytes,
    .scratch = at_sparse_scratch_bytes,
    .encode = topk_encode,
    .decode = topk_decode,
    .add = topk_add,
};

/* ---- DGC ---- */

double at_dgc_ratio(const at_codec_cfg *cfg, uint64_t round) {
  static const double share[] = {0.25, 0.0625, 0.015625, 0.004}; /* Lin et al. 2018, section 3.3 */
  if (round >= (uint64_t)cfg->warmup) {
    return cfg->ratio;
  }
  const double r = share[round * 4 / (uint64_t)cfg->warmup];
  return r > cfg->ratio ? r : cfg->ratio;
}

static at_err dgc_check(const at_codec_cfg *cfg) {
  AT_TRY(at_sparse_check(cfg));
  if (!(cfg->momentum >= 0.0) || cfg->momentum >= 1.0) {
    return AT_FAIL(AT_ERR_CONFIG, "momentum = %g: dgc takes [0, 1)", cfg->momentum);
  }
  return AT_OK;
}

static void dgc_law(const at_codec_cfg *cfg, int64_t n, at_codec_law *law) {
  law_of_share(cfg, 1.0 / (double)n, law);
}

static int64_t dgc_most(const at_codec_cfg *cfg, int64_t n, uint64_t round) {
  const int64_t k = 2 * at_code_share(at_dgc_ratio(cfg, round), n);
  return k < n ? k : n;
}

static int64_t dgc_bytes(const at_codec_cfg *cfg, int64_t n, bool *exact) {
  if (exact != NULL) {
    *exact = false;
  }
  const int64_t k = dgc_most(cfg, n, 0); /* the largest share comes first */
  const int64_t u32 = at_sparse_index_bytes(cfg, n, k), few = k < n / 32 ? k : n / 32; /* auto: either form */
  const int64_t positions = cfg->index == AT_INDEX_AUTO && 4 * few > u32 ? 4 * few : u32;
  return 4 + positions + at_sparse_value_bytes(cfg, k);
}

/* A magnitude that about k of the n elements reach, from an evenly spread sample. */
static float dgc_threshold(at_codec *c, const at_code_key *key, int64_t n, const float *x, int64_t k) {
  const at_sparse_scratch s = at_sparse_scratch_of(c);
  int64_t m = n / 100 > SAMPLE_LEAST ? n / 100 : SAMPLE_LEAST;
  m = m < SAMPLE_MOST ? m : SAMPLE_MOST;
  m = m < n ? m : n;
  const int64_t stride = n / m;
  const at_stream stream = {.seed = key->seed,
                            .client = key->client,
                            .round = key->round,
                            .step = (uint64_t)key->first,
                            .purpose = AT_RNG_QUANTISE};
  const int64_t shift = (int64_t)at_rng_below(&stream, SHIFT_DRAW, (uint64_t)stride);
  for (int64_t i = 0; i < m; i++) {
    s.value[i] = x[i * stride + shift];
  }
  const int64_t rank = at_code_share((double)k / (double)n, m);
  c->k.select_top(m, s.value, rank, s.keys, s.at);
  float least = INFINITY;
  for (int64_t i = 0; i < rank; i++) {
    least = fminf(least, fabsf(s.value[s.at[i]]));
  }
  return least;
}

static int64_t dgc_encode(at_codec *c, const at_code_key *key, int64_t n, const float *x, uint8_t *out) {
  const at_sparse_scratch s = at_sparse_scratch_of(c);
  const int64_t target = at_code_share(at_dgc_ratio(&c->cfg, key->round), n);
  const int64_t most = dgc_most(&c->cfg, n, key->round);
  int64_t k = c->k.select_least(n, x, dgc_threshold(c, key, n, x, target), most, s.at);
  if (k > most) { /* the sample misled */
    k = most;
    c->k.select_top(n, x, k, s.keys, s.at);
  }
  const uint32_t count = (uint32_t)k;
  memcpy(out, &count, sizeof count);
  return 4 + at_sparse_put(c, n, k, s.at, x, out + 4);
}

/* The count, or -1. */
static int64_t dgc_count(const at_codec *c, const at_code_key *key, int64_t n, const uint8_t *in, int64_t room) {
  uint32_t k;
  if (room < 4) {
    return -1;
  }
  memcpy(&k, in, sizeof k);
  return k <= dgc_most(&c->cfg, n, key->round) ? (int64_t)k : -1;
}

static int64_t dgc_decode(at_codec *c, const at_code_key *key, int64_t n, const uint8_t *in, int64_t room, float *y) {
  const int64_t k = dgc_count(c, key, n, in, room);
  const int64_t bytes = k < 0 ? -1 : decode_k(c, n, k, in + 4, room - 4, y);
  return bytes < 0 ? -1 : 4 + bytes;
}

static int64_t dgc_add(at_codec *c, const at_code_key *key, int64_t n, const uint8_t *in, int64_t room, float weight,
                       float *acc) {
  const int64_t k = dgc_count(c, key, n, in, room);
  const int64_t bytes = k < 0 ? -1 : add_k(c, n, k, in + 4, room - 4, weight, acc);
  return bytes < 0 ? -1 : 4 + bytes;
}

const at_codec_row at_codec_row_dgc = {
    .name = "dgc",
    .wire = 11,
    .fields = "ratio index value momentum clip warmup",
    .help = "A sampled threshold over momentum-corrected sums.",
    .memory = AT_MEMORY_MOMENTUM,
    .has_indices = true,
    .check = dgc_check,
    .law = dgc_law,
    .bytes = dgc_bytes,
    .scratch = at_sparse_scratch_bytes,
    .encode = dgc_encode,
    .decode = dgc_decode,
    .add = dgc_add,
};
