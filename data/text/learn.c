/* SPDX-License-Identifier: BSD-3-Clause */
/* Words of a sample, counted on all ranks, and the merges learned from them. */
#include "data/text/learn.h"

#include <string.h>

#include "src/base/alloc.h"
#include "src/lm/words.h"

enum { PIECE_BITS = 16 }; /* pieces of the sample have 2^16 bytes or a little more */

/* --- dealing text out ----------------------------------------------------------------------------------------------- */

/* The first place from `at` on where a document begins. */
static int64_t next_document(const at_bytes *text, int64_t at) {
  if (at == 0 || text->data[at - 1] == AT_TEXT_SEPARATOR) {
    return at;
  }
  const char *end = memchr(text->data + at, AT_TEXT_SEPARATOR, text->len - (size_t)at);
  return end == NULL ? (int64_t)text->len : end + 1 - text->data;
}

/* bounds[size + 1] of the ranks' parts. */
static void cut(const at_bytes *text, int size, int64_t *bounds) {
  const int64_t n = (int64_t)text->len, share = n / size, rest = n % size;
  for (int r = 0; r <= size; r++) {
    bounds[r] = r < size ? next_document(text, share * r + (r < rest ? r : rest)) : n;
  }
}

/* Rank 0's text to all, by bounds.  counts: [2 * size], zero but for what is written here. */
static at_err scatter(at_comm *world, const char *text, const int64_t *bounds, int64_t *counts, at_bytes *out) {
  const int rank = at_comm_rank(world), size = at_comm_size(world);
  const int64_t mine = bounds[rank + 1] - bounds[rank];
  int64_t *sent = counts, *received = counts + size;
  received[0] = mine;
  for (int r = 0; rank == 0 && r < size; r++) {
    sent[r] = bounds[r + 1] - bounds[r];
  }
  if (at_bytes_reserve(out, (size_t)mine)) {
    out->len = (size_t)mine;
  }
  AT_TRY(at_comm_agree(world, out->err));
  return at_comm_alltoallv(world, text, sent, out->data, received);
}

at_err at_text_deal(at_comm *world, at_text_silo *silo, at_text_share *out) {
  const int rank = at_comm_rank(world), size = at_comm_size(world);
  int64_t *bounds = NULL, *counts = NULL;
  at_err err = at_alloc(&bounds, (size_t)size + 1, sizeof *bounds, "parts of a silo");
  if (err == AT_OK) {
    err = at_alloc(&counts, 2 * (size_t)size, sizeof *counts, "parts of a silo");
  }
  AT_TRY_TO(err, done, at_comm_agree(world, err));
  for (int s = 0; s < AT_TEXT_SPLITS; s++) {
    if (rank == 0) {
      cut(&silo->split[s], size, bounds);
    }
    AT_TRY_TO(err, done, at_comm_bcast(world, 0, bounds, (size + 1) * (int64_t)sizeof *bounds));
    out->before[s] = bounds[rank];
    out->total[s] = bounds[size];
    AT_TRY_TO(err, done,
              scatter(world, rank == 0 && bounds[size] > 0 ? silo->split[s].data : "", bounds, counts, &out->part[s]));
    if (rank == 0) {
      at_bytes_free(&silo->split[s]);
    }
  }
done:
  at_free(bounds);
  at_free(counts);
  return err;
}

void at_text_share_free(at_text_share *share) {
  for (int s = 0; s < AT_TEXT_SPLITS; s++) {
    at_bytes_free(&share->part[s]);
  }
  *share = (at_text_share){0};
}

/* --- counting words --------------------------------------------------------------------------------------------------- */

at_err at_text_count_words(const at_text_share *share, int64_t sample, at_word_table *words) {
  const at_bytes *text = &share->part[AT_TEXT_TRAIN];
  const int64_t total = share->total[AT_TEXT_TRAIN], before = share->before[AT_TEXT_TRAIN];
  const int64_t take = total < sample ? total : sample;
  if (take == 0) {
    return AT_OK;
  }
  const int64_t most = (int64_t)AT_TEXT_WEIGHT_MAX * AT_BPE_UNIT, equal = sample * AT_BPE_UNIT / take;
  const int64_t weight = equal < most ? equal : most;
  const int64_t pieces = take == total || take >> PIECE_BITS == 0 ? 1 : take >> PIECE_BITS;
  for (int64_t i = 0; i < pieces; i++) {
    int64_t start = total / pieces * i - before, end = start + take / pieces;
    start = start > 0 ? start : 0;
    end = end < (int64_t)text->len ? end : (int64_t)text->len;
    if (start < end) {
      AT_TRY(at_word_table_count(words, (const uint8_t *)text->data + start, (size_t)(end - start), weight));
    }
  }
  return AT_OK;
}

/* --- words between ranks: { i64 count, u8 bytes, word } each ------------------------------------------------------------ */

enum { RECORD = sizeof(int64_t) + 1 }; /* bytes before a word */

static int owner(const at_word *w, int size) {
  return (int)(w->hash % (uint64_t)size);
}

static uint8_t *put_word(const at_word_table *t, int64_t i, uint8_t *to) {
  const at_word *w = &t->word[i];
  memcpy(to, &w->count, sizeof w->count);
  to[sizeof w->count] = (uint8_t)w->length;
  memcpy(to + RECORD, at_word_table_bytes(t, i), (size_t)w->length);
  return to + RECORD + w->length;
}

static at_err add_words(at_word_table *t, const uint8_t *packed, int64_t n) {
  for (const uint8_t *at = packed; at < packed + n; at += RECORD + at[RECORD - 1]) {
    int64_t count;
    memcpy(&count, at, sizeof count);
    AT_TRY(at_word_table_add(t, at + RECORD, at[RECORD - 1], count, NULL));
  }
  return AT_OK;
}

/* Pack the words in the order of their owners; bytes[size] for each. */
static at_err pack_by_owner(const at_word_table *t, int size, int64_t *bytes, int64_t *place, uint8_t **out) {
  int64_t total = 0;
  memset(bytes, 0, (size_t)size * sizeof *bytes);
  for (int64_t i = 0; i < t->n; i++) {
    bytes[owner(&t->word[i], size)] += RECORD + t->word[i].length;
  }
  for (int r = 0; r < size; r++) {
    place[r] = total;
    total += bytes[r];
  }
  AT_TRY(at_alloc(out, (size_t)total, 1, "words to be sent"));
  for (int64_t i = 0; i < t->n; i++) {
    int64_t *at = &place[owner(&t->word[i], size)];
    *at = put_word(t, i, *out + *at) - *out;
  }
  return AT_OK;
}

/* What each rank has to say to this one, given what this one has to say to each.  place: [size], for a while. */
static at_err swap_sizes(at_comm *world, const int64_t *sent, int64_t *received, int64_t *place) {
  for (int r = 0; r < at_comm_size(world); r++) {
    place[r] = sizeof *sent;
  }
  return at_comm_alltoallv(world, sent, place, received, place);
}

static int64_t sum(const int64_t *x, int n) {
  int64_t total = 0;
  for (int i = 0; i < n; i++) {
    total += x[i];
  }
  return total;
}

/* Replace the words of each rank by those it owns, with the counts of all ranks. */
static at_err exchange(at_comm *world, at_word_table *words, int64_t *sizes) {
  const int size = at_comm_size(world);
  int64_t *sent = sizes, *received = sizes + size, *place = sizes + 2 * size;
  uint8_t *out = NULL, *in = NULL;
  at_err err;
  AT_TRY_TO(err, done, at_comm_agree(world, pack_by_owner(words, size, sent, place, &out)));
  AT_TRY_TO(err, done, swap_sizes(world, sent, received, place));
  const int64_t n = sum(received, size);
  AT_TRY_TO(err, done, at_comm_agree(world, at_alloc(&in, (size_t)n, 1, "words received")));
  AT_TRY_TO(err, done, at_comm_alltoallv(world, out, sent, in, received));
  at_word_table_clear(words);
  AT_TRY_TO(err, done, at_comm_agree(world, add_words(words, in, n)));
done:
  at_free(out);
  at_free(in);
  return err;
}

/* All words to rank 0. */
static at_err gather(at_comm *world, at_word_table *words, int64_t *sizes) {
  const int rank = at_comm_rank(world), size = at_comm_size(world);
  uint8_t *out = NULL, *in = NULL;
  at_err err = at_alloc(&out, (size_t)(words->n_bytes + words->n * RECORD), 1, "words to be sent");
  AT_TRY_TO(err, done, at_comm_agree(world, err));
  uint8_t *at = out;
  for (int64_t i = 0; i < words->n; i++) {
    at = put_word(words, i, at);
  }
  AT_TRY_TO(err, done, at_comm_allgather_i64(world, at - out, sizes));
  const int64_t n = rank == 0 ? sum(sizes, size) : 0;
  AT_TRY_TO(err, done, at_comm_agree(world, at_alloc(&in, (size_t)n, 1, "words received")));
  AT_TRY_TO(err, done, at_comm_gatherv(world, 0, out, in, sizes));
  at_word_table_clear(words);
  AT_TRY_TO(err, done, at_comm_agree(world, add_words(words, in, n)));
done:
  at_free(out);
  at_free(in);
  return err;
}

/* --- learning --------------------------------------------------------------------------------------------------------- */

/* Everybody gets rank 0's merges. */
static at_err share_merges(at_comm *world, at_bpe **bpe) {
  const int rank = at_comm_rank(world);
  int64_t n = rank == 0 ? (*bpe)->n_merges : 0;
  int32_t *merge = NULL;
  AT_TRY(at_comm_bcast(world, 0, &n, sizeof n));
  at_err err = at_comm_agree(world, at_alloc(&merge, 2 * (size_t)n, sizeof *merge, "merges"));
  if (err == AT_OK) {
    if (rank == 0) {
      memcpy(merge, (*bpe)->merge, 2 * (size_t)n * sizeof *merge);
    }
    err = at_comm_bcast(world, 0, merge, 2 * n * (int64_t)sizeof *merge);
  }
  if (err == AT_OK) {
    err = at_comm_agree(world, rank == 0 ? AT_OK : at_bpe_create(bpe, (int32_t)n, merge));
  }
  at_free(merge);
  return err;
}

at_err at_text_learn(at_comm *world, at_word_table *words, int32_t n_merges, at_bpe **out, int64_t *n_words) {
  const int rank = at_comm_rank(world);
  int64_t *sizes = NULL;
  at_err err;
  *out = NULL;
  AT_TRY(at_comm_agree(world, at_alloc(&sizes, 3 * (size_t)at_comm_size(world), sizeof *sizes, "sizes")));
  AT_TRY_TO(err, done, exchange(world, words, sizes));
  AT_TRY_TO(err, done, gather(world, words, sizes));
  *n_words = words->n;
  AT_TRY_TO(err, done, at_comm_bcast(world, 0, n_words, sizeof *n_words));
  AT_TRY_TO(err, done, at_comm_agree(world, rank == 0 ? at_bpe_train(out, words, n_merges) : AT_OK));
  AT_TRY_TO(err, done, share_merges(world, out));
done:
  at_word_table_free(words);
  at_free(sizes);
  return err;
}
