/* SPDX-License-Identifier: BSD-3-Clause */
/* A byte-pair tokenizer from its merges. */
#include "src/lm/bpe.h"

#include <string.h>

#include "src/base/alloc.h"
#include "src/lm/words.h"

/* Bytes of token t, the separator's counted as one. */
static int64_t length_of(const at_vocab *v, int32_t t) {
  return t == v->separator ? 1 : v->start[t + 1] - v->start[t];
}

at_err at_bpe_create_room(at_bpe **out, int32_t room) {
  at_bpe *b = NULL;
  at_err err;
  *out = NULL;
  if (room < 0 || room > AT_BPE_VOCAB_MAX - AT_BPE_BYTES) {
    return AT_FAIL(AT_ERR_FORMAT, "%d merges; 0 to %d were expected", room, AT_BPE_VOCAB_MAX - AT_BPE_BYTES);
  }
  AT_TRY(at_alloc(&b, 1, sizeof *b, "tokenizer"));
  AT_TRY_TO(err, failed, at_alloc(&b->merge, 2 * (size_t)room, sizeof *b->merge, "tokenizer"));
  AT_TRY_TO(err, failed, at_vocab_create_room(&b->vocab, room, AT_WORD_MAX));
  *out = b;
  return AT_OK;
failed:
  at_bpe_destroy(b);
  return err;
}

at_err at_bpe_add(at_bpe *b, int32_t left, int32_t right) {
  at_vocab *v = b->vocab;
  const int32_t i = b->n_merges, part[2] = {left, right};
  if (left <= 0 || right <= 0 || left >= v->n || right >= v->n) {
    return AT_FAIL(AT_ERR_FORMAT, "merge %d is of the tokens %d and %d; tokens 1 to %d were expected", i, left, right,
                   v->n - 1);
  }
  if (length_of(v, left) + length_of(v, right) > AT_WORD_MAX) {
    return AT_FAIL(AT_ERR_FORMAT, "merge %d gives a token of more than %d bytes", i, AT_WORD_MAX);
  }
  int32_t rank;
  AT_TRY(at_pair_map_add(&b->ranks, left, right, i, &rank));
  if (rank != i) {
    return AT_FAIL(AT_ERR_FORMAT, "merge %d is the same as merge %d", i, rank);
  }
  int64_t end = v->start[v->n];
  for (int side = 0; side < 2; side++) {
    size_t n;
    const uint8_t *bytes = at_vocab_bytes(v, part[side], &n);
    memcpy(v->bytes + end, bytes, n);
    end += (int64_t)n;
    b->merge[2 * i + side] = part[side];
  }
  b->n_merges++;
  v->start[++v->n] = end;
  return AT_OK;
}

at_err at_bpe_create(at_bpe **out, int32_t n_merges, const int32_t *merge) {
  AT_TRY(at_bpe_create_room(out, n_merges));
  for (int32_t i = 0; i < n_merges; i++) {
    at_err err = at_bpe_add(*out, merge[2 * i], merge[2 * i + 1]);
    if (err != AT_OK) {
      at_bpe_destroy(*out);
      *out = NULL;
      return at_err_trace(err, __FILE__, __LINE__);
    }
  }
  return AT_OK;
}

void at_bpe_destroy(at_bpe *b) {
  if (b != NULL) {
    at_free(b->merge);
    at_vocab_destroy(b->vocab);
    at_pair_map_free(&b->ranks);
    at_free(b);
  }
}

int64_t at_bpe_memory(const at_bpe *b) {
  const int64_t bytes = b->vocab->start[b->vocab->n], starts = (b->vocab->n + 1) * (int64_t)sizeof *b->vocab->start;
  return b->n_merges * 2 * (int64_t)sizeof *b->merge + bytes + starts +
         b->ranks.n_slots * (int64_t)sizeof *b->ranks.slot;
}

bool at_bpe_equal(const at_bpe *a, const at_bpe *b) {
  return a->n_merges == b->n_merges && memcmp(a->merge, b->merge, 2 * (size_t)a->n_merges * sizeof *a->merge) == 0;
}

int32_t at_bpe_token_bytes(const at_bpe *b, int32_t token) {
  return (int32_t)length_of(b->vocab, token);
}

int64_t at_bpe_decode(const at_bpe *b, const int32_t *tokens, int64_t n, uint8_t *out) {
  uint8_t *to = out;
  for (int64_t i = 0; i < n; i++) {
    size_t length;
    const uint8_t *bytes = at_vocab_bytes(b->vocab, tokens[i], &length);
    if (tokens[i] == b->vocab->separator) {
      *to++ = 0;
    }
    memcpy(to, bytes, length);
    to += length;
  }
  return to - out;
}
