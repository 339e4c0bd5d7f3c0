/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of spoken words. */
#include "data/speech/words.h"

#include <string.h>
#include <strings.h>

/* Those of the usual sets of spoken commands (Warden 2018). */
static const char *const commands[] = {
    "yes",  "no",    "up",    "down",   "left",   "right", "on",       "off",     "stop",   "go",    "zero",   "one",
    "two",  "three", "four",  "five",   "six",    "seven", "eight",    "nine",    "bed",    "bird",  "cat",    "dog",
    "tree", "happy", "house", "sheila", "marvin", "wow",   "backward", "forward", "follow", "learn", "visual", NULL};
static const char *const digits[] = {"zero", "one",   "two",   "three", "four", "five",
                                     "six",  "seven", "eight", "nine",  NULL};
static const char *const letters[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n",
                                      "o", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z", NULL};

static const struct {
  const char *name;
  const char *const *word;
} named[] = {{"commands", commands}, {"digits", digits}, {"letters", letters}};

const char *at_words_spoken(const char *text, size_t *n) {
  if (*n == 1 && text[0] >= '0' && text[0] <= '9') {
    text = digits[text[0] - '0'];
    *n = strlen(text);
  }
  return text;
}

int at_words_find(const at_words *w, const char *text, size_t n) {
  text = at_words_spoken(text, &n);
  for (int i = 0; i < w->n; i++) {
    if (strlen(w->word[i]) == n && strncasecmp(w->word[i], text, n) == 0) {
      return i;
    }
  }
  return -1;
}

static at_err add(at_words *w, const char *word) {
  if (at_words_find(w, word, strlen(word)) >= 0) {
    return AT_OK;
  }
  if (w->n == AT_WORDS_MAX) {
    return AT_FAIL(AT_ERR_CONFIG, "words: there are more than %d", AT_WORDS_MAX);
  }
  size_t n = strlen(word);
  w->word[w->n++] = at_words_spoken(word, &n);
  return AT_OK;
}

at_err at_words_resolve(const at_strlist *list, at_words *out) {
  out->n = 0;
  for (int64_t i = 0; i < list->count; i++) {
    const char *const *set = NULL;
    for (size_t k = 0; k < sizeof named / sizeof named[0]; k++) {
      set = strcmp(list->item[i], named[k].name) == 0 ? named[k].word : set;
    }
    for (; set != NULL && *set != NULL; set++) {
      AT_TRY(add(out, *set));
    }
    if (set == NULL) {
      AT_TRY(add(out, list->item[i]));
    }
  }
  return AT_OK;
}
