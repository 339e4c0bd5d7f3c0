/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of spoken words, which are classes in their order. */
#ifndef AT_DATA_SPEECH_WORDS_H
#define AT_DATA_SPEECH_WORDS_H

#include <stdbool.h>

#include "src/base/options.h"

enum { AT_WORDS_MAX = 512 };

typedef struct at_words {
  const char *word[AT_WORDS_MAX]; /* borrowed from the list, or static */
  int n;
} at_words;

/* The words of a list, each once; `commands` (35 usual ones), `digits` and `letters` stand for their words.
 * AT_ERR_CONFIG when there are too many. */
at_err at_words_resolve(const at_strlist *list, at_words *out);
/* What is said for a text of *n bytes: 0 to 9 are zero to nine, everything else is itself.  *n follows. */
const char *at_words_spoken(const char *text, size_t *n);
/* The number of the word that the first `n` bytes of `text` are, as spoken, capitals aside; -1: none. */
int at_words_find(const at_words *w, const char *text, size_t n);

#endif
