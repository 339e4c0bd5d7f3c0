/* SPDX-License-Identifier: BSD-3-Clause */
/* Cutting text into words: a tokenizer merges bytes inside a word and never across two.
 *
 * Any bytes can be cut; the words, one behind the other, are the text again.  Bytes that are not UTF-8 count as signs of
 * one byte.  A word is, by the first rule that fits:
 *   1. a byte of value 0, the separator of documents;
 *   2. a run of line ends;
 *   3. a run of blanks and tabs, without its last blank if a word of rules 4 to 7 follows at once;
 *   4. one blank or one sign if there is one, then letters: a run of any script that puts blanks between words;
 *   5. one blank if there is one, then one to three ASCII digits;
 *   6. one blank if there is one, then up to eight characters of a script without blanks, all of one kind: Han, or
 *      hiragana, or katakana;
 *   7. one blank if there is one, then signs: all that is left (but the last sign before letters belongs to those if no
 *      other sign and no blank stands before it).
 * Nothing is longer than AT_WORD_MAX bytes: what is, is cut between two characters.
 *
 * The rule is part of a tokenizer: other words, other tokens.  Its number is stored with the merges. */
#ifndef AT_LM_WORDS_H
#define AT_LM_WORDS_H

#include <stddef.h>
#include <stdint.h>

enum { AT_WORD_RULE = 1, AT_WORD_MAX = 64 };

/* Bytes of the first word of text[0..n), n >= 1. */
size_t at_word_length(const uint8_t *text, size_t n);

#endif
