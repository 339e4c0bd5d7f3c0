/* SPDX-License-Identifier: BSD-3-Clause */
/* Byte strings numbered in the order of their arrival, each with a count. */
#ifndef AT_LM_WORD_TABLE_H
#define AT_LM_WORD_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/status.h"

typedef struct at_word {
  int64_t start; /* in bytes */
  uint64_t hash;
  int64_t count;
  int32_t length;
} at_word;

/* Zero-initialise before use. */
typedef struct at_word_table {
  at_word *word; /* [n], owned */
  int64_t n, cap;
  uint8_t *bytes; /* owned: the words, one behind the other */
  int64_t n_bytes, cap_bytes;
  int32_t *slot; /* [n_slots], owned: open addressing; word number + 1, 0 is an empty slot */
  int64_t n_slots;
} at_word_table;

/* 64-bit hash of bytes, the same on every machine; not for adversaries. */
uint64_t at_word_hash(const uint8_t *text, size_t n);

/* Add `count` to the count of text[0..n); *index (may be NULL) is its number.
 * AT_ERR_OVERFLOW beyond 2^31 - 2 different words or a count beyond 2^62. */
at_err at_word_table_add(at_word_table *t, const uint8_t *text, size_t n, int64_t count, int64_t *index);
/* Number of a word, -1 if it is not there. */
int64_t at_word_table_find(const at_word_table *t, const uint8_t *text, size_t n);
/* Cut text[0..n) into words (words.h) and add `weight` for each but separators. */
at_err at_word_table_count(at_word_table *t, const uint8_t *text, size_t n, int64_t weight);
const uint8_t *at_word_table_bytes(const at_word_table *t, int64_t index);
/* Forget all words; the memory stays. */
void at_word_table_clear(at_word_table *t);
void at_word_table_free(at_word_table *t);

#endif
