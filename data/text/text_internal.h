/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of the text builder share: the options, and how a finished silo is stored. */
#ifndef AT_DATA_TEXT_TEXT_INTERNAL_H
#define AT_DATA_TEXT_TEXT_INTERNAL_H

#include "data/text/merge.h"
#include "data/text/silos.h"
#include "src/base/options.h"
#include "src/store/h5.h"

typedef enum at_text_tokenizer { AT_TEXT_BYTE, AT_TEXT_BPE } at_text_tokenizer;

typedef struct at_text_cfg {
  char *dir;
  bool system;
  at_strlist silos, silo;
  double validation, test;
  int64_t max_bytes, seed;
  int tokenizer; /* at_text_tokenizer */
  int64_t vocab, sample_bytes;
} at_text_cfg;

typedef struct at_text_counts {
  int64_t files, skipped; /* files read; files among them that could not be used */
} at_text_counts;

/* A silo as tokens, borrowed. */
typedef struct at_text_tokens {
  at_h5_type type; /* U8 or U16 */
  const void *data[AT_TEXT_SPLITS];
  int64_t n[AT_TEXT_SPLITS];
  const int64_t *offset, *length; /* [documents]: in tokens */
} at_text_tokens;

/* Attributes of the file as a whole.  Rank 0. */
at_err at_text_store_root(at_h5 *f, const at_text_cfg *cfg, int64_t vocab);
/* Datasets and attributes of one silo.  Rank 0. */
at_err at_text_store_silo(at_h5 *f, const at_silo *spec, const at_text_silo *silo, const at_text_tokens *tokens,
                          const at_text_counts *counts, const at_text_cfg *cfg);

#endif
