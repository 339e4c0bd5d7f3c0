/* SPDX-License-Identifier: BSD-3-Clause */
/* Choosing the next token of a text from logits: temperature, the k best, the nucleus (Holtzman et al. 2020), never
 * breaking a UTF-8 character. */
#ifndef AT_LM_SAMPLE_H
#define AT_LM_SAMPLE_H

#include "src/lm/utf8_guard.h"
#include "src/lm/vocab.h"

typedef struct at_sampling {
  double temperature; /* >= 0; 0: always the likeliest */
  int64_t top_k;      /* only among the k likeliest; 0: among all */
  double top_p;       /* of those, only the likeliest that together have at least this share; in (0, 1] */
  uint64_t seed;      /* random numbers of (seed, GENERATE, client = text, step = position) */
  bool may_end;       /* the separator may be chosen, where no character is open */
  const uint8_t
      *start;         /* [start_bytes], borrowed: the text goes on with these, so a token must agree with them as far as
                         * both reach */
  size_t start_bytes; /* 0: no such condition */
} at_sampling;

typedef struct at_sampler at_sampler;

/* Both are borrowed for the sampler's life; the settings may change between two picks. */
at_err at_sampler_create(at_sampler **out, const at_vocab *vocab, const at_sampling *settings);
void at_sampler_destroy(at_sampler *s); /* accepts NULL */

/* *token <- the next token of text number `text` at `position`, given logits [vocab].  The guard stands behind the text
 * so far; tokens that it refuses, and tokens without bytes, are left out.  `closing`: only bytes that belong to the
 * character that is open, so that a text can be ended; at most three picks then do.  Equal logits are taken in the order
 * of token numbers.  Does not allocate.
 * AT_ERR_NONFINITE: a logit is NaN or +infinity, or none is finite.  AT_ERR_STATE: the vocabulary has no token that fits. */
at_err at_sampler_pick(at_sampler *s, const float *logits, const at_utf8_guard *guard, bool closing, uint64_t text,
                       uint64_t position, int32_t *token);

#endif
