/* SPDX-License-Identifier: BSD-3-Clause */
/* A hash table of byte strings with counts. */
#include "src/lm/word_table.h"

#include <string.h>

#include "src/base/alloc.h"
#include "src/lm/words.h"

enum { FIRST_SLOTS = 1024, FIRST_BYTES = 8192 };
static const int64_t count_max = (int64_t)1 << 62;

uint64_t at_word_hash(const uint8_t *text, size_t n) {
  /* Eight bytes at a time, put together by value so that the byte order of the machine does not matter. */
  uint64_t h = 0x9E3779B97F4A7C15ULL ^ n;
  for (; n >= 8; text += 8, n -= 8) {
    uint64_t w = (uint64_t)text[0] | (uint64_t)text[1] << 8 | (uint64_t)text[2] << 16 | (uint64_t)text[3] << 24 |
                 (uint64_t)text[4] << 32 | (uint64_t)text[5] << 40 | (uint64_t)text[6] << 48 | (uint64_t)text[7] << 56;
    h = (h ^ w) * 0xD6E8FEB86659FD93ULL;
    h ^= h >> 32;
  }
  uint64_t w = 0;
  for (size_t i = 0; i < n; i++) {
    w |= (uint64_t)text[i] << (8 * i);
  }
  h = (h ^ w) * 0xD6E8FEB86659FD93ULL;
  h = (h ^ h >> 32) * 0xBF58476D1CE4E5B9ULL;
  return h ^ h >> 29;
}

const uint8_t *at_word_table_bytes(const at_word_table *t, int64_t index) {
  return t->bytes + t->word[index].start;
}

/* The slot that holds the word, or the empty one where it belongs.  There are slots. */
static int64_t slot_of(const at_word_table *t, uint64_t hash, const uint8_t *text, size_t n) {
  const uint64_t mask = (uint64_t)t->n_slots - 1;
  uint64_t i = hash & mask;
  for (; t->slot[i] != 0; i = (i + 1) & mask) {
    const at_word *w = &t->word[t->slot[i] - 1];
    if (w->hash == hash && w->length == (int32_t)n && memcmp(t->bytes + w->start, text, n) == 0) {
      break;
    }
  }
  return (int64_t)i;
}

static at_err grow_slots(at_word_table *t) {
  const int64_t n_slots = t->n_slots > 0 ? 2 * t->n_slots : FIRST_SLOTS;
  const uint64_t mask = (uint64_t)n_slots - 1;
  int32_t *slot;
  AT_TRY(at_alloc(&slot, (size_t)n_slots, sizeof *slot, "words"));
  for (int64_t w = 0; w < t->n; w++) {
    uint64_t i = t->word[w].hash & mask;
    while (slot[i] != 0) {
      i = (i + 1) & mask;
    }
    slot[i] = (int32_t)w + 1;
  }
  at_free(t->slot);
  t->slot = slot;
  t->n_slots = n_slots;
  return AT_OK;
}

static at_err reserve(at_word_table *t, int64_t bytes) {
  if (t->n >= INT32_MAX - 1) {
    return AT_FAIL(AT_ERR_OVERFLOW, "more than %lld different words: take a smaller sample", (long long)t->n);
  }
  if (2 * (t->n + 1) > t->n_slots) {
    AT_TRY(grow_slots(t));
  }
  if (t->n == t->cap) {
    const int64_t cap = t->cap > 0 ? 2 * t->cap : FIRST_SLOTS / 2;
    AT_TRY(at_realloc(&t->word, (size_t)cap, sizeof *t->word, "words"));
    t->cap = cap;
  }
  if (t->n_bytes + bytes > t->cap_bytes) {
    int64_t cap = t->cap_bytes > 0 ? 2 * t->cap_bytes : FIRST_BYTES;
    cap = cap > t->n_bytes + bytes ? cap : t->n_bytes + bytes;
    AT_TRY(at_realloc(&t->bytes, (size_t)cap, 1, "words"));
    t->cap_bytes = cap;
  }
  return AT_OK;
}

at_err at_word_table_add(at_word_table *t, const uint8_t *text, size_t n, int64_t count, int64_t *index) {
  AT_TRY(reserve(t, (int64_t)n));
  const uint64_t hash = at_word_hash(text, n);
  const int64_t i = slot_of(t, hash, text, n);
  if (t->slot[i] == 0) {
    t->word[t->n] = (at_word){.start = t->n_bytes, .hash = hash, .length = (int32_t)n};
    memcpy(t->bytes + t->n_bytes, text, n);
    t->n_bytes += (int64_t)n;
    t->slot[i] = (int32_t)++t->n;
  }
  at_word *w = &t->word[t->slot[i] - 1];
  if (count > count_max - w->count) {
    return AT_FAIL(AT_ERR_OVERFLOW, "a word occurs too often to be counted: take a smaller sample");
  }
  w->count += count;
  if (index != NULL) {
    *index = t->slot[i] - 1;
  }
  return AT_OK;
}

int64_t at_word_table_find(const at_word_table *t, const uint8_t *text, size_t n) {
  return t->n == 0 ? -1 : (int64_t)t->slot[slot_of(t, at_word_hash(text, n), text, n)] - 1;
}

at_err at_word_table_count(at_word_table *t, const uint8_t *text, size_t n, int64_t weight) {
  for (size_t at = 0; at < n;) {
    const size_t length = at_word_length(text + at, n - at);
    if (text[at] != 0) {
      AT_TRY(at_word_table_add(t, text + at, length, weight, NULL));
    }
    at += length;
  }
  return AT_OK;
}

void at_word_table_clear(at_word_table *t) {
  if (t->n > 0) {
    memset(t->slot, 0, (size_t)t->n_slots * sizeof *t->slot);
  }
  t->n = t->n_bytes = 0;
}

void at_word_table_free(at_word_table *t) {
  at_free(t->word);
  at_free(t->bytes);
  at_free(t->slot);
  *t = (at_word_table){0};
}
