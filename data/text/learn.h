/* SPDX-License-Identifier: BSD-3-Clause */
/* Learning one tokenizer from text that is dealt out to the ranks, the same for any number of them.
 *
 * Each rank counts the words of its part of the sample; words are sent to the rank that their hash names, which adds the
 * counts up; rank 0 gets every word once and learns the merges; all get those. */
#ifndef AT_DATA_TEXT_LEARN_H
#define AT_DATA_TEXT_LEARN_H

#include "data/text/bytes.h"
#include "data/text/merge.h"
#include "src/comm/comm.h"
#include "src/lm/bpe.h"

/* A silo's text, dealt out: each rank has a run of whole documents of each split, with their separators. */
typedef struct at_text_share {
  at_bytes part[AT_TEXT_SPLITS];                         /* owned: of this rank */
  int64_t before[AT_TEXT_SPLITS], total[AT_TEXT_SPLITS]; /* bytes on the ranks before this one; on all */
} at_text_share;

/* Cut the splits of rank 0's silo (NULL elsewhere) into parts of about equal size; its splits are freed.  Collective. */
at_err at_text_deal(at_comm *world, at_text_silo *silo, at_text_share *out);
void at_text_share_free(at_text_share *share);

/* Add the words of this rank's part of the sample to `words`.  The sample of a silo is its training text, or if that is
 * longer than `sample` bytes, evenly spaced pieces of it, about 64 KiB each, that are `sample` bytes together.  A shorter
 * text counts more, so that silos weigh the same, but at most AT_TEXT_WEIGHT_MAX times. */
enum { AT_TEXT_WEIGHT_MAX = 16 };
at_err at_text_count_words(const at_text_share *share, int64_t sample, at_word_table *words);

/* One tokenizer from the words of all ranks; `words` is emptied.  *n_words: different words.  Collective. */
at_err at_text_learn(at_comm *world, at_word_table *words, int32_t n_merges, at_bpe **out, int64_t *n_words);

#endif
