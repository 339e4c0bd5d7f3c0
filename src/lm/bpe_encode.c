/* SPDX-License-Identifier: BSD-3-Clause */
/* Encoding text word by word; words met before are looked up. */
#include <string.h>

#include "src/base/alloc.h"
#include "src/lm/bpe.h"
#include "src/lm/words.h"

/* Words remembered before all are forgotten: about 5 MB, which stay in the caches of a core. */
enum { WORDS_MAX = 1 << 16 };

struct at_bpe_encoder {
  const at_bpe *bpe;
  at_word_table met; /* words; the count of each is where its tokens lie: 128 * start + how many - 1 */
  int32_t *tokens;   /* of the words met, one after the other */
  int64_t n, cap;
};

at_err at_bpe_encoder_create(at_bpe_encoder **out, const at_bpe *bpe) {
  AT_TRY(at_alloc(out, 1, sizeof **out, "encoder"));
  (*out)->bpe = bpe;
  return AT_OK;
}

void at_bpe_encoder_destroy(at_bpe_encoder *e) {
  if (e != NULL) {
    at_word_table_free(&e->met);
    at_free(e->tokens);
    at_free(e);
  }
}

/* A word of at most AT_WORD_MAX bytes; returns how many tokens. */
static int merge_word(const at_bpe *b, const uint8_t *word, size_t n, int32_t *token) {
  int32_t rank[AT_WORD_MAX]; /* of the pair (i, i + 1), -1: none */
  int count = (int)n;
  for (int i = 0; i < count; i++) {
    token[i] = word[i];
  }
  for (int i = 0; i < count; i++) {
    rank[i] = i + 1 < count ? at_pair_map_find(&b->ranks, token[i], token[i + 1]) : -1;
  }
  for (;;) {
    int best = -1;
    for (int i = 0; i + 1 < count; i++) {
      if (rank[i] >= 0 && (best < 0 || rank[i] < rank[best])) {
        best = i;
      }
    }
    if (best < 0) {
      return count;
    }
    token[best] = AT_BPE_BYTES + rank[best];
    count--;
    for (int i = best + 1; i < count; i++) {
      token[i] = token[i + 1];
      rank[i] = rank[i + 1];
    }
    if (best > 0) {
      rank[best - 1] = at_pair_map_find(&b->ranks, token[best - 1], token[best]);
    }
    if (best + 1 < count) {
      rank[best] = at_pair_map_find(&b->ranks, token[best], token[best + 1]);
    }
  }
}

/* Encode a new word and remember it. */
static at_err learn(at_bpe_encoder *e, const uint8_t *word, size_t n, int32_t *out, int *count) {
  if (e->met.n >= WORDS_MAX) {
    at_word_table_clear(&e->met);
    e->n = 0;
  }
  if (e->n + AT_WORD_MAX > e->cap) {
    const int64_t cap = e->cap > 0 ? 2 * e->cap : 64 * AT_WORD_MAX;
    AT_TRY(at_realloc(&e->tokens, (size_t)cap, sizeof *e->tokens, "encoder"));
    e->cap = cap;
  }
  *count = merge_word(e->bpe, word, n, out);
  memcpy(e->tokens + e->n, out, (size_t)*count * sizeof *out);
  AT_TRY(at_word_table_add(&e->met, word, n, 128 * e->n + *count - 1, NULL));
  e->n += *count;
  return AT_OK;
}

at_err at_bpe_encode(at_bpe_encoder *e, const uint8_t *text, size_t n, int32_t *out, int64_t *count) {
  int32_t *to = out;
  for (size_t at = 0; at < n;) {
    const size_t length = at_word_length(text + at, n - at);
    const int64_t w = length > 1 ? at_word_table_find(&e->met, text + at, length) : -1;
    int tokens = 1;
    if (length == 1) {
      *to = text[at];
    } else if (w < 0) {
      int32_t word[AT_WORD_MAX];
      AT_TRY(learn(e, text + at, length, word, &tokens));
      memcpy(to, word, (size_t)tokens * sizeof *to);
    } else {
      const int64_t place = e->met.word[w].count;
      tokens = (int)(place % 128) + 1;
      memcpy(to, e->tokens + place / 128, (size_t)tokens * sizeof *to);
    }
    to += tokens;
    at += length;
  }
  *count = to - out;
  return AT_OK;
}
