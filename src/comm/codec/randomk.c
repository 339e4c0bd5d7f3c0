/* SPDX-License-Identifier: BSD-3-Clause */
/* k = max(1, round(ratio n)) positions drawn from a seed that all share: no positions on the wire, and encoded values add.
 *
 * Payload: k values.  As it stands contractive in the mean over draws, delta = k/n; scaled by n/k unbiased, w = n/k - 1.
 * The draw ignores client and stage, so that a collective's second encoding keeps the support, and scales once. */
#include <string.h>

#include "src/comm/codec/sparse.h"

static void law_of(const at_codec_cfg *cfg, int64_t n, at_codec_law *law) {
  const double k = (double)at_code_share(cfg->ratio, n);
  if (cfg->unbiased) {
    law->unbiased = true;
    law->w = (double)n / k - 1.0;
    return;
  }
  law->contractive = law->expected = true;
  law->delta = k / (double)n;
  if (cfg->value == AT_VALUE_F16) {
    law->delta *= 1.0 - 0x1p-22;
    law->least = 0x1p-14;
    law->most = 65504.0;
  }
}

static at_err check(const at_codec_cfg *cfg) {
  AT_TRY(at_sparse_check(cfg));
  if (cfg->unbiased && cfg->value == AT_VALUE_F16) {
    return AT_FAIL(AT_ERR_CONFIG, "value = f16: unbiased randomk sends floats, for rounding would bias it");
  }
  return AT_OK;
}

static int64_t bytes_of(const at_codec_cfg *cfg, int64_t n, bool *exact) {
  (void)exact;
  return at_sparse_value_bytes(cfg, at_code_share(cfg->ratio, n));
}

/* The support: positions [k], ascending.  The k elements with the largest of n random words: every subset is equally likely. */
static const uint32_t *support(at_codec *c, const at_code_key *key, int64_t n, int64_t k) {
  const at_sparse_scratch s = at_sparse_scratch_of(c);
  if (!c->draw.is_set || c->draw.seed != key->seed || c->draw.round != key->round || c->draw.first != key->first ||
      c->draw.n != n) {
    const at_code_key shared = {.seed = key->seed, .client = AT_CODE_SHARED, .round = key->round, .first = key->first};
    const at_dither d = at_code_dither(&shared);
    c->k.words(&d, 0, n, (uint32_t *)(void *)s.value);
    c->k.select_top(n, s.value, k, s.keys, s.at); /* looks at the lower 31 bits of a word */
    c->draw.is_set = true;
    c->draw.seed = key->seed;
    c->draw.round = key->round;
    c->draw.first = key->first;
    c->draw.n = n;
  }
  return s.at;
}

static int64_t encode(at_codec *c, const at_code_key *key, int64_t n, const float *x, uint8_t *out) {
  const int64_t k = at_code_share(c->cfg.ratio, n);
  const uint32_t *at = support(c, key, n, k);
  const float scale = c->cfg.unbiased && key->stage == 0 ? (float)((double)n / (double)k) : 1.0f;
  float *value = at_sparse_scratch_of(c).value;
  for (int64_t i = 0; i < k; i++) {
    value[i] = scale * x[at[i]];
  }
  return at_sparse_put_values(c, k, value, out);
}

static int64_t decode(at_codec *c, const at_code_key *key, int64_t n, const uint8_t *in, int64_t room, float *y) {
  const int64_t k = at_code_share(c->cfg.ratio, n);
  const uint32_t *at = support(c, key, n, k);
  float *value = at_sparse_scratch_of(c).value;
  const int64_t bytes = at_sparse_get_values(c, k, in, room, value);
  if (bytes >= 0) {
    memset(y, 0, (size_t)n * sizeof *y);
    for (int64_t i = 0; i < k; i++) {
      y[at[i]] = value[i];
    }
  }
  return bytes;
}

static int64_t add(at_codec *c, const at_code_key *key, int64_t n, const uint8_t *in, int64_t room, float weight,
                   float *acc) {
  const int64_t k = at_code_share(c->cfg.ratio, n);
  const uint32_t *at = support(c, key, n, k);
  float *value = at_sparse_scratch_of(c).value;
  const int64_t bytes = at_sparse_get_values(c, k, in, room, value);
  for (int64_t i = 0; bytes >= 0 && i < k; i++) {
    const float term = weight * value[i];
    acc[at[i]] = acc[at[i]] + term;
  }
  return bytes;
}

const at_codec_row at_codec_row_randomk = {
    .name = "randomk",
    .wire = 10,
    .fields = "ratio value unbiased",
    .help = "Positions drawn from a seed that all share.",
    .sum = AT_SUM_LINEAR,
    .memory = AT_MEMORY_RESIDUAL,
    .check = check,
    .law = law_of,
    .bytes = bytes_of,
    .scratch = at_sparse_scratch_bytes,
    .encode = encode,
    .decode = decode,
    .add = add,
};
