/* SPDX-License-Identifier: BSD-3-Clause */
/* The token corpus of a federation in memory. */
#include "src/fed/corpus.h"

#include <string.h>
#include <zlib.h>

#include "src/base/alloc.h"

static const char token_field[] = "tokens";

static at_err load_split(at_dataset *d, int64_t silo, at_split split, at_tokens *out) {
  int64_t rows;
  AT_TRY(at_dataset_rows(d, split, silo, token_field, &rows));
  if (rows == 0) {
    return AT_OK;
  }
  at_h5_desc desc;
  AT_TRY(at_dataset_describe(d, split, silo, token_field, &desc));
  out->width = desc.type == AT_H5_U8 && at_dataset_vocab(d) <= 256 ? 1 : 4;
  if (out->width == 1) {
    return at_dataset_load_u8(d, split, silo, token_field, &out->n, (uint8_t **)&out->data);
  }
  return at_dataset_load_i32(d, split, silo, token_field, &out->n, (int32_t **)&out->data);
}

static uint32_t checksum(uint32_t sum, const void *data, int64_t bytes) {
  return bytes > 0 ? (uint32_t)crc32_z(sum, data, (size_t)bytes) : sum; /* for no data zlib begins anew */
}

static at_err load_silos(at_corpus *c, at_dataset *d, const char *path) {
  c->n_silos = at_dataset_clients(d);
  c->vocab = at_dataset_vocab(d);
  if (c->vocab < 1) {
    return AT_FAIL(AT_ERR_FORMAT,
                   "%s is not a token data set (it names no vocabulary): build one with `atoll data text`", path);
  }
  AT_TRY(at_strdup(&c->tokenizer, at_dataset_tokenizer(d)));
  AT_TRY(at_alloc(&c->silo, (size_t)c->n_silos, sizeof *c->silo, "silos"));
  for (int64_t s = 0; s < c->n_silos; s++) {
    at_silo *silo = &c->silo[s];
    AT_TRY(at_strdup(&silo->name, at_dataset_client(d, s)));
    for (int split = 0; split < AT_SPLIT_COUNT; split++) {
      AT_TRY(load_split(d, s, (at_split)split, &silo->split[split]));
      const at_tokens *t = &silo->split[split];
      c->data_bytes += t->n * t->width;
      c->checksum = checksum(checksum(c->checksum, &t->n, sizeof t->n), t->data, t->n * t->width);
    }
    c->checksum = checksum(c->checksum, silo->name, (int64_t)strlen(silo->name));
  }
  return AT_OK;
}

at_err at_corpus_load(at_corpus **out, const char *path) {
  *out = NULL;
  at_dataset *d;
  AT_TRY(at_dataset_open(&d, path));
  at_corpus *c = NULL;
  at_err err = at_alloc(&c, 1, sizeof *c, "corpus");
  if (err == AT_OK) {
    err = load_silos(c, d, path);
  }
  at_dataset_close(d);
  if (err != AT_OK) {
    at_corpus_destroy(c);
    return err;
  }
  *out = c;
  return AT_OK;
}

void at_corpus_destroy(at_corpus *c) {
  if (c == NULL) {
    return;
  }
  for (int64_t s = 0; c->silo != NULL && s < c->n_silos; s++) {
    at_free(c->silo[s].name);
    for (int split = 0; split < AT_SPLIT_COUNT; split++) {
      at_free(c->silo[s].split[split].data);
    }
  }
  at_free(c->silo);
  at_free(c->tokenizer);
  at_free(c->token_bytes);
  at_free(c);
}

void at_tokens_get(const at_tokens *t, int64_t start, int64_t count, int32_t *out) {
  if (t->width == 4) {
    memcpy(out, (const int32_t *)t->data + start, (size_t)count * sizeof *out);
    return;
  }
  const uint8_t *from = (const uint8_t *)t->data + start;
  for (int64_t i = 0; i < count; i++) {
    out[i] = from[i];
  }
}

int64_t at_corpus_bytes_of(const at_corpus *c, const int32_t *tokens, int64_t n) {
  int64_t bytes = 0;
  for (int64_t i = 0; i < n; i++) {
    if (tokens[i] >= 0) {
      bytes += c->token_bytes != NULL ? c->token_bytes[tokens[i]] : 1;
    }
  }
  return bytes;
}
