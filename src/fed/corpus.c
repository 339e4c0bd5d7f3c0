/* SPDX-License-Identifier: BSD-3-Clause */
/* The token corpus of a federation in memory. */
#include "src/fed/corpus.h"

#include <string.h>
#include <zlib.h>

#include "data/tokenizer.h"
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
  const int64_t vocab = at_dataset_vocab(d);
  out->width = desc.type == AT_H5_U8 && vocab <= 1 << 8 ? 1 : desc.type == AT_H5_U16 && vocab <= 1 << 16 ? 2 : 4;
  if (out->width == 1) {
    return at_dataset_load_u8(d, split, silo, token_field, &out->n, (uint8_t **)&out->data);
  }
  if (out->width == 2) {
    return at_dataset_load_u16(d, split, silo, token_field, &out->n, (uint16_t **)&out->data);
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

static at_err load_tokenizer(at_corpus *c, const char *path) {
  if (strcmp(c->tokenizer, "bpe") != 0) {
    return AT_OK;
  }
  AT_TRY(at_tokenizer_load(path, &c->bpe));
  if (c->bpe->vocab->n != c->vocab) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: its vocabulary has %lld tokens, its tokenizer %d", path, (long long)c->vocab,
                   c->bpe->vocab->n);
  }
  AT_TRY(at_alloc(&c->token_bytes, (size_t)c->vocab, sizeof *c->token_bytes, "lengths of tokens"));
  for (int32_t t = 0; t < c->vocab; t++) {
    c->token_bytes[t] = at_bpe_token_bytes(c->bpe, t);
  }
  c->data_bytes += c->vocab * (int64_t)sizeof *c->token_bytes + at_bpe_memory(c->bpe);
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
  if (err == AT_OK) {
    err = load_tokenizer(c, path);
  }
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
  at_bpe_destroy(c->bpe);
  at_free(c);
}

void at_tokens_get(const at_tokens *t, int64_t start, int64_t count, int32_t *out) {
  if (t->width == 4) {
    memcpy(out, (const int32_t *)t->data + start, (size_t)count * sizeof *out);
  } else if (t->width == 2) {
    const uint16_t *from = (const uint16_t *)t->data + start;
    for (int64_t i = 0; i < count; i++) {
      out[i] = from[i];
    }
  } else {
    const uint8_t *from = (const uint8_t *)t->data + start;
    for (int64_t i = 0; i < count; i++) {
      out[i] = from[i];
    }
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

/* Tokens are looked at in blocks of this many. */
enum { BLOCK = 512 };

int64_t at_corpus_text(const at_corpus *c, const at_tokens *t, int64_t start, int64_t count, uint8_t *out) {
  int32_t block[BLOCK];
  int64_t bytes = 0;
  for (int64_t at = 0, n; at < count; at += n) {
    n = count - at < BLOCK ? count - at : BLOCK;
    at_tokens_get(t, start + at, n, block);
    if (c->bpe != NULL) {
      bytes += at_bpe_decode(c->bpe, block, n, out + bytes);
      continue;
    }
    for (int64_t i = 0; i < n; i++) {
      out[bytes++] = (uint8_t)block[i];
    }
  }
  return bytes;
}

int64_t at_corpus_text_bytes(const at_corpus *c, const at_tokens *t, int64_t start, int64_t count) {
  int32_t block[BLOCK];
  int64_t bytes = 0;
  for (int64_t at = 0, n; at < count; at += n) {
    n = count - at < BLOCK ? count - at : BLOCK;
    at_tokens_get(t, start + at, n, block);
    bytes += at_corpus_bytes_of(c, block, n);
  }
  return bytes;
}
