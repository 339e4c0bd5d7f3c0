/* SPDX-License-Identifier: BSD-3-Clause */
/* Silos that wait for their tokenizer: it is learned from all of them, so none can be stored before the last is read. */
#ifndef AT_DATA_TEXT_POOL_H
#define AT_DATA_TEXT_POOL_H

#include "data/text/learn.h"
#include "data/text/text_internal.h"

typedef struct at_text_waiting {
  const at_silo *spec; /* borrowed */
  at_text_silo silo;   /* rank 0: all but the text */
  at_text_counts counts;
  at_text_share share;
  int64_t tokens[AT_TEXT_SPLITS]; /* rank 0, once stored */
} at_text_waiting;

/* Zero-initialise before use. */
typedef struct at_text_pool {
  at_text_waiting *item; /* owned */
  int64_t n, cap;
  at_bpe *bpe; /* owned; once learned */
  /* figures of the learning and encoding */
  int64_t n_words;
  double learn_seconds, encode_rate; /* bytes/s of this rank */
} at_text_pool;

/* Take over rank 0's silo (empty elsewhere, and afterwards) and deal its text out.  Collective. */
at_err at_text_pool_add(at_text_pool *pool, at_comm *world, const at_silo *spec, at_text_silo *silo,
                        const at_text_counts *counts);
/* Learn the tokenizer, encode every silo and store it in rank 0's file.  Collective. */
at_err at_text_pool_finish(at_text_pool *pool, at_comm *world, at_h5 *f, const at_text_cfg *cfg);
void at_text_pool_free(at_text_pool *pool);

#endif
