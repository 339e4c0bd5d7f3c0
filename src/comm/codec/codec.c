/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of codecs, their configuration, and the calls that go through it. */
#include "src/comm/codec/codec.h"

#include <math.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/comm/codec/codec_internal.h"

const char *const at_codec_names[] = {
#define X(name, wire) #name,
    AT_CODECS(X)
#undef X
        NULL};
const char *const at_rounding_names[] = {"nearest", "stochastic", NULL};
const char *const at_scale_names[] = {"bf16", "f32", NULL};
const char *const at_norm_names[] = {"l1", "l2", NULL};
const char *const at_index_names[] = {"auto", "u32", "gaps", "bitmap", NULL};
const char *const at_value_names[] = {"f16", "f32", NULL};
const char *const at_bound_names[] = {"absolute", "relative", NULL};
const char *const at_lossless_names[] = {"none", "zstd", NULL};

static const at_codec_row *const rows[AT_CODEC_COUNT] = {
#define X(name, wire) [AT_CODEC_##name] = &at_codec_row_##name,
    AT_CODECS(X)
#undef X
};

const at_codec_row *at_codec_row_of(int kind) {
  return rows[kind];
}

/* ---- configuration ---- */

static at_err check_block(const at_codec_row *row, at_codec_cfg *cfg) {
  if (row->preset_block == 0) {
    return AT_OK;
  }
  if (cfg->block == 0) {
    cfg->block = row->preset_block;
  }
  if (cfg->block < 16 || cfg->block > row->most_block || (cfg->block & (cfg->block - 1)) != 0) {
    return AT_FAIL(AT_ERR_CONFIG, "block = %lld: %s takes a power of two from 16 to %lld", (long long)cfg->block,
                   row->name, (long long)row->most_block);
  }
  return AT_OK;
}

at_err at_codec_resolve(at_codec_cfg *cfg) {
  if (cfg->kind < 0 || cfg->kind >= AT_CODEC_COUNT) {
    return AT_FAIL(AT_ERR_CONFIG, "codec number %d: there are %d", cfg->kind, (int)AT_CODEC_COUNT);
  }
  const at_codec_row *row = rows[cfg->kind];
  AT_TRY(check_block(row, cfg));
  if (cfg->lossless == AT_LOSSLESS_ZSTD && (cfg->zstd_level < 1 || cfg->zstd_level > 19)) {
    return AT_FAIL(AT_ERR_CONFIG, "zstd_level = %lld: want 1 to 19", (long long)cfg->zstd_level);
  }
  return row->check == NULL ? AT_OK : row->check(cfg);
}

at_codec_law at_codec_declare(const at_codec_cfg *cfg, int64_t n) {
  at_codec_law law = {.block = 1, .least = 0, .most = INFINITY};
  rows[cfg->kind]->law(cfg, n, &law);
  return law;
}

at_codec_sum at_codec_summable(const at_codec_cfg *cfg) {
  return rows[cfg->kind]->sum;
}

at_codec_memory at_codec_remembers(const at_codec_cfg *cfg) {
  return rows[cfg->kind]->memory;
}

const char *at_codec_options_used(int kind) {
  return rows[kind]->fields;
}

const char *at_codec_help(int kind) {
  return rows[kind]->help;
}

int64_t at_codec_bytes(const at_codec_cfg *cfg, int64_t n, bool *exact) {
  bool is_exact = true;
  const int64_t bytes = n == 0 ? 0 : rows[cfg->kind]->bytes(cfg, n, &is_exact);
  if (exact != NULL) {
    *exact = is_exact && cfg->lossless == AT_LOSSLESS_NONE;
  }
  return bytes;
}

int64_t at_code_share(double ratio, int64_t n) {
  const int64_t k = (int64_t)floor(ratio * (double)n + 0.5);
  return k < 1 ? (n > 0) : k > n ? n : k;
}

/* ---- the object ---- */

static at_err create_lossless(at_codec *c) {
  if (c->cfg.lossless != AT_LOSSLESS_ZSTD) {
    return AT_OK;
  }
  const int64_t payload = at_codec_bytes(&c->cfg, c->most, NULL), raw = 4 * c->most;
  c->squeezed_room = (int64_t)ZSTD_compressBound((size_t)(payload > raw ? payload : raw));
  AT_TRY(at_alloc(&c->squeezed, (size_t)c->squeezed_room, 1, "lossless stage"));
  c->squeeze = ZSTD_createCCtx();
  c->expand = ZSTD_createDCtx();
  if (c->squeeze == NULL || c->expand == NULL) {
    return AT_FAIL(AT_ERR_MEMORY, "no memory for zstd");
  }
  const size_t set = ZSTD_CCtx_setParameter(c->squeeze, ZSTD_c_compressionLevel, (int)c->cfg.zstd_level);
  return ZSTD_isError(set) ? AT_FAIL(AT_ERR_CONFIG, "zstd: %s", ZSTD_getErrorName(set)) : AT_OK;
}

at_err at_codec_create(at_codec **out, const at_codec_cfg *cfg, const at_kernels *k, int64_t most) {
  *out = NULL;
  const at_codec_row *row = rows[cfg->kind];
  if (row->encode == NULL) {
    return AT_FAIL(AT_ERR_ARG, "%s compresses whole matrices, not segments: use at_powersgd_create", row->name);
  }
  if (most < 0 || most > INT32_MAX) {
    return AT_FAIL(AT_ERR_ARG, "a codec for segments of %lld elements: the most is 2^31 - 1", (long long)most);
  }
  at_codec *c = NULL;
  AT_TRY(at_alloc(&c, 1, sizeof *c, "codec"));
  c->cfg = *cfg;
  c->row = row;
  c->vec = &k->vec;
  c->most = most;
  at_codec_kernels_init(&c->k, k->isa);
  at_err err = AT_OK;
  const int64_t scratch = row->scratch == NULL || most == 0 ? 0 : row->scratch(cfg, most);
  AT_TRY_TO(err, fail, at_alloc(&c->scratch, (size_t)scratch, 1, "codec scratch"));
  AT_TRY_TO(err, fail, at_alloc(&c->y, (size_t)most, sizeof *c->y, "codec values"));
  AT_TRY_TO(err, fail, create_lossless(c));
  *out = c;
  return AT_OK;
fail:
  at_codec_destroy(c);
  return err;
}

void at_codec_destroy(at_codec *c) {
  if (c == NULL) {
    return;
  }
  at_free(c->scratch);
  at_free(c->y);
  at_free(c->squeezed);
  ZSTD_freeCCtx(c->squeeze);
  ZSTD_freeDCtx(c->expand);
  at_free(c);
}

const at_codec_cfg *at_codec_config(const at_codec *c) {
  return &c->cfg;
}

const char *at_codec_name(const at_codec *c) {
  return c->row->name;
}

int64_t at_codec_saturated(const at_codec *c) {
  return c->saturated;
}

void at_codec_set_mask(at_codec *c, const uint8_t *mask) {
  c->mask = mask;
}

/* ---- segments ---- */

at_dither at_code_dither(const at_code_key *key) {
  const at_stream s = {.seed = key->seed,
                       .client = key->client,
                       .round = key->round,
                       .step = (uint64_t)key->stage << 56 | (uint64_t)key->first,
                       .purpose = AT_RNG_QUANTISE};
  uint64_t w[4];
  at_rng_block(&s, 0, w);
  return (at_dither){.key = {(uint32_t)w[0], (uint32_t)(w[0] >> 32)}, .high = {(uint32_t)w[1], (uint32_t)(w[1] >> 32)}};
}

int64_t at_codec_encode(at_codec *c, const at_code_key *key, int64_t n, const float *x, uint8_t *out) {
  return n == 0 ? 0 : c->row->encode(c, key, n, x, out);
}

int64_t at_codec_decode(at_codec *c, const at_code_key *key, int64_t n, const uint8_t *in, int64_t room, float *y) {
  return n == 0 ? 0 : c->row->decode(c, key, n, in, room, y);
}

void at_code_axpy(const at_codec *c, int64_t n, float weight, const float *y, float *acc) {
  c->vec->axpy((double)weight, n, y, acc);
}

int64_t at_codec_add(at_codec *c, const at_code_key *key, int64_t n, const uint8_t *in, int64_t room, float weight,
                     float *acc) {
  if (n == 0) {
    return 0;
  }
  if (c->row->add != NULL) {
    return c->row->add(c, key, n, in, room, weight, acc);
  }
  const int64_t bytes = c->row->decode(c, key, n, in, room, c->y);
  if (bytes >= 0) {
    at_code_axpy(c, n, weight, c->y, acc);
  }
  return bytes;
}
