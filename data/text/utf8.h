/* SPDX-License-Identifier: BSD-3-Clause */
/* UTF-8: validity, decoding, which characters are letters, and the way in from the encodings of older pages. */
#ifndef AT_DATA_TEXT_UTF8_H
#define AT_DATA_TEXT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/text/bytes.h"
#include "src/base/status.h"

/* Decode one character of s[0..n), n >= 1.  Returns its length 1..4 and *code_point, or 0 when s does not begin with
 * well-formed UTF-8 (overlong forms, surrogates and numbers above U+10FFFF are malformed). */
size_t at_utf8_decode(const char *s, size_t n, uint32_t *code_point);
/* Encode; returns the length 1..4.  A number that is no character becomes U+FFFD. */
size_t at_utf8_encode(uint32_t code_point, char out[4]);
bool at_utf8_valid(const char *s, size_t n);

/* Letters of any script, with the vowel signs of Indic ones; no digits, punctuation or symbols. */
bool at_utf8_is_letter(uint32_t code_point);
/* Han, kana, and their punctuation: scripts that put no blank between words (Hangul does). */
bool at_utf8_is_wide(uint32_t code_point);

/* Make *text valid UTF-8.  Text that is valid already is left as it is; otherwise it is taken to be in the legacy
 * encoding of `language` ("ja" EUC-JP, "ru" KOI8-R, "pl" ISO-8859-2, ...; ISO-8859-1 for others).
 * AT_ERR_FORMAT when it holds NUL bytes (a binary file) or does not convert. */
at_err at_utf8_ensure(at_bytes *text, const char *language);

#endif
