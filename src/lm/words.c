/* SPDX-License-Identifier: BSD-3-Clause */
/* Cutting text into words by kinds of characters. */
#include "src/lm/words.h"

#include <stdbool.h>

typedef enum kind { END, LINE, BLANK, LETTER, DIGIT, SIGN, HAN, HIRAGANA, KATAKANA } kind;

enum { DIGITS_MAX = 3, WIDE_MAX = 8 };

static kind ascii_kind(uint8_t c) {
  const uint8_t lower = c | 0x20;
  if (lower >= 'a' && lower <= 'z') {
    return LETTER;
  }
  return c == 0                   ? END
         : c == '\n' || c == '\r' ? LINE
         : c == ' ' || c == '\t'  ? BLANK
         : c >= '0' && c <= '9'   ? DIGIT
                                  : SIGN;
}

/* Kind of a character of three bytes; its code point is c. */
static kind kind_of_three(uint32_t c) {
  if (c < 0x2000) {
    return LETTER;
  }
  if (c < 0x3040) { /* punctuation, arrows, box drawing, CJK punctuation */
    return SIGN;
  }
  if (c < 0xA000) {
    return c < 0x30A0 ? HIRAGANA : c < 0x3100 ? KATAKANA : c < 0x3400 ? SIGN : HAN;
  }
  return c >= 0xF900 && c < 0xFB00 ? HAN : c >= 0xD800 && (c < 0xFB00 || c >= 0xFE10) ? SIGN : LETTER;
}

/* Kind of the first character of text[0..n), and its bytes. */
static kind next_kind(const uint8_t *text, size_t n, size_t *bytes) {
  const uint8_t c = text[0];
  *bytes = 1;
  if (c < 0x80) {
    return ascii_kind(c);
  }
  const size_t length = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
  if (c < 0xC2 || c > 0xF4 || n < length) {
    return SIGN;
  }
  for (size_t i = 1; i < length; i++) {
    if ((text[i] & 0xC0) != 0x80) {
      return SIGN;
    }
  }
  *bytes = length;
  if (length == 2) {
    return c == 0xC2 && text[1] != 0xAA && text[1] != 0xB5 && text[1] != 0xBA ? SIGN : LETTER;
  }
  if (length == 3) {
    return kind_of_three((uint32_t)(c & 0x0F) << 12 | (uint32_t)(text[1] & 0x3F) << 6 | (text[2] & 0x3F));
  }
  /* planes 2 and 3 are Han; plane 1 has old scripts below U+1D000, symbols above */
  return c == 0xF0 && text[1] >= 0xA0 ? HAN : c == 0xF0 && text[1] < 0x9D ? LETTER : SIGN;
}

/* How far characters of kind k go on from `at`, at most `most` of them, within AT_WORD_MAX bytes of a word. */
static size_t run(const uint8_t *text, size_t n, size_t at, kind k, int most) {
  size_t bytes;
  for (int i = 0; i < most && at < n && next_kind(text + at, n - at, &bytes) == k && at + bytes <= AT_WORD_MAX; i++) {
    at += bytes;
  }
  return at;
}

/* The blanks text[0..) begins with: how many bytes of them are a word, 0 if the only one belongs to the next word. */
static size_t blanks(const uint8_t *text, size_t n) {
  size_t bytes;
  const size_t end = run(text, n, 0, BLANK, AT_WORD_MAX);
  if (end == n || text[end - 1] != ' ') {
    return end;
  }
  const kind next = next_kind(text + end, n - end, &bytes);
  return next == END || next == LINE || next == BLANK ? end : end - 1;
}

size_t at_word_length(const uint8_t *text, size_t n) {
  size_t at = 0, bytes;
  kind k = next_kind(text, n, &bytes);
  if (k == END) {
    return 1;
  }
  if (k == LINE) {
    return run(text, n, 0, LINE, AT_WORD_MAX);
  }
  if (k == BLANK) {
    const size_t own = blanks(text, n);
    if (own > 0) {
      return own;
    }
    at = 1;
    k = next_kind(text + at, n - at, &bytes);
  } else if (k == SIGN && bytes < n) {
    size_t letter;
    if (next_kind(text + bytes, n - bytes, &letter) == LETTER) {
      at = bytes;
      k = LETTER;
    }
  }
  return run(text, n, at, k, k == DIGIT ? DIGITS_MAX : k >= HAN ? WIDE_MAX : AT_WORD_MAX);
}
