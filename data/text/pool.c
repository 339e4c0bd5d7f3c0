/* SPDX-License-Identifier: BSD-3-Clause */
/* Silos that wait for their tokenizer, then become tokens. */
#include "data/text/pool.h"

#include <string.h>

#include "data/tokenizer.h"
#include "src/base/alloc.h"
#include "src/base/clock.h"

at_err at_text_pool_add(at_text_pool *pool, at_comm *world, const at_silo *spec, at_text_silo *silo,
                        const at_text_counts *counts) {
  at_err err = AT_OK;
  if (pool->n == pool->cap) {
    const int64_t cap = pool->cap > 0 ? 2 * pool->cap : 16;
    err = at_realloc(&pool->item, (size_t)cap, sizeof *pool->item, "silos");
    pool->cap = err == AT_OK ? cap : pool->cap;
  }
  AT_TRY(at_comm_agree(world, err));
  at_text_waiting *w = &pool->item[pool->n++];
  *w = (at_text_waiting){.spec = spec, .silo = *silo, .counts = *counts};
  *silo = (at_text_silo){0};
  return at_text_deal(world, at_comm_rank(world) == 0 ? &w->silo : NULL, &w->share);
}

void at_text_pool_free(at_text_pool *pool) {
  for (int64_t i = 0; i < pool->n; i++) {
    at_text_silo_free(&pool->item[i].silo);
    at_text_share_free(&pool->item[i].share);
  }
  at_free(pool->item);
  at_bpe_destroy(pool->bpe);
  *pool = (at_text_pool){0};
}

static at_err learn(at_text_pool *pool, at_comm *world, const at_text_cfg *cfg) {
  at_word_table words = {0};
  const double start = at_clock_now_s();
  at_err err = AT_OK;
  for (int64_t i = 0; err == AT_OK && i < pool->n; i++) {
    err = at_text_count_words(&pool->item[i].share, cfg->sample_bytes, &words);
  }
  err = at_comm_agree(world, err);
  if (err == AT_OK) {
    err = at_text_learn(world, &words, (int32_t)cfg->vocab - AT_BPE_BYTES, &pool->bpe, &pool->n_words);
  }
  at_word_table_free(&words);
  pool->learn_seconds = at_clock_now_s() - start;
  return err;
}

/* --- encoding --------------------------------------------------------------------------------------------------------- */

/* Tokens of this rank's part of a split, document by document.  *out: at_free. */
static at_err encode_part(at_bpe_encoder *encoder, const at_bytes *text, uint16_t **out, int64_t *n) {
  int32_t *document = NULL;
  size_t room = 0;
  at_err err;
  *n = 0;
  AT_TRY_TO(err, done, at_alloc(out, text->len, sizeof **out, "tokens"));
  for (size_t at = 0, end; at < text->len; at = end) {
    const char *separator = memchr(text->data + at, AT_TEXT_SEPARATOR, text->len - at);
    end = separator == NULL ? text->len : (size_t)(separator + 1 - text->data);
    if (end - at > room) {
      room = 2 * (end - at);
      AT_TRY_TO(err, done, at_realloc(&document, room, sizeof *document, "tokens of a document"));
    }
    int64_t count;
    AT_TRY_TO(err, done, at_bpe_encode(encoder, (const uint8_t *)text->data + at, end - at, document, &count));
    for (int64_t i = 0; i < count; i++) {
      (*out)[*n + i] = (uint16_t)document[i];
    }
    *n += count;
  }
done:
  at_free(document);
  return err;
}

/* All tokens of a split to rank 0, whose *out they become; n: how many here, *total: on all.  Collective. */
static at_err gather_tokens(at_comm *world, const uint16_t *tokens, int64_t n, uint16_t **out, int64_t *total) {
  const int size = at_comm_size(world);
  int64_t *bytes = NULL;
  at_err err = at_comm_agree(world, at_alloc(&bytes, (size_t)size, sizeof *bytes, "counts of tokens"));
  AT_TRY_TO(err, done, err);
  AT_TRY_TO(err, done, at_comm_allgather_i64(world, n * (int64_t)sizeof *tokens, bytes));
  *total = 0;
  for (int r = 0; r < size; r++) {
    *total += bytes[r] / (int64_t)sizeof *tokens;
  }
  err = at_comm_rank(world) == 0 ? at_alloc(out, (size_t)*total, sizeof **out, "tokens") : AT_OK;
  AT_TRY_TO(err, done, at_comm_agree(world, err));
  AT_TRY_TO(err, done, at_comm_gatherv(world, 0, tokens, *out, bytes));
done:
  at_free(bytes);
  return err;
}

/* Where the documents are among the tokens, from the separators. */
static void find_documents(const at_text_silo *silo, uint16_t *const *tokens, int64_t *offset, int64_t *length) {
  int64_t at[AT_TEXT_SPLITS] = {0};
  for (int64_t d = 0; d < silo->documents; d++) {
    const uint8_t s = silo->which[d];
    offset[d] = at[s];
    while (tokens[s][at[s]] != AT_TEXT_SEPARATOR) {
      at[s]++;
    }
    length[d] = at[s]++ - offset[d];
  }
}

/* Rank 0. */
static at_err store(at_text_waiting *w, at_h5 *f, uint16_t *const *tokens, const at_text_cfg *cfg) {
  int64_t *where = NULL;
  const size_t n = (size_t)w->silo.documents;
  AT_TRY(at_alloc(&where, 2 * n, sizeof *where, "documents"));
  at_text_tokens all = {.type = AT_H5_U16, .offset = where, .length = where + n};
  for (int s = 0; s < AT_TEXT_SPLITS; s++) {
    all.data[s] = tokens[s];
    all.n[s] = w->tokens[s];
  }
  find_documents(&w->silo, tokens, where, where + n);
  at_err err = at_text_store_silo(f, w->spec, &w->silo, &all, &w->counts, cfg);
  at_free(where);
  return err;
}

/* Encode and store one silo; its text is gone afterwards.  *seconds grows by the time of encoding.  Collective. */
static at_err finish_silo(at_text_waiting *w, at_comm *world, at_bpe_encoder *encoder, at_h5 *f, const at_text_cfg *cfg,
                          double *seconds) {
  uint16_t *all[AT_TEXT_SPLITS] = {0};
  at_err err = AT_OK;
  for (int s = 0; err == AT_OK && s < AT_TEXT_SPLITS; s++) {
    uint16_t *part = NULL;
    int64_t n;
    const double start = at_clock_now_s();
    err = encode_part(encoder, &w->share.part[s], &part, &n);
    *seconds += at_clock_now_s() - start;
    at_bytes_free(&w->share.part[s]);
    err = at_comm_agree(world, err);
    if (err == AT_OK) {
      err = gather_tokens(world, part, n, &all[s], &w->tokens[s]);
    }
    at_free(part);
  }
  if (err == AT_OK) {
    err = at_comm_agree(world, at_comm_rank(world) == 0 ? store(w, f, all, cfg) : AT_OK);
  }
  for (int s = 0; s < AT_TEXT_SPLITS; s++) {
    at_free(all[s]);
  }
  return err;
}

at_err at_text_pool_finish(at_text_pool *pool, at_comm *world, at_h5 *f, const at_text_cfg *cfg) {
  at_bpe_encoder *encoder = NULL;
  double seconds = 0, bytes = 0;
  at_err err;
  AT_TRY(learn(pool, world, cfg));
  AT_TRY(at_comm_agree(world, at_bpe_encoder_create(&encoder, pool->bpe)));
  for (int64_t i = 0; i < pool->n; i++) {
    for (int s = 0; s < AT_TEXT_SPLITS; s++) {
      bytes += (double)pool->item[i].share.part[s].len;
    }
    AT_TRY_TO(err, done, finish_silo(&pool->item[i], world, encoder, f, cfg, &seconds));
  }
  pool->encode_rate = seconds > 0 ? bytes / seconds : 0;
  err = at_comm_agree(world, at_comm_rank(world) == 0 ? at_tokenizer_write(f, pool->bpe) : AT_OK);
done:
  at_bpe_encoder_destroy(encoder);
  return err;
}
