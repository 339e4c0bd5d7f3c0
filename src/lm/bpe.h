/* SPDX-License-Identifier: BSD-3-Clause */
/* Byte-pair encoding over bytes (Gage 1994; Sennrich et al. 2016; over bytes: Radford et al. 2019).
 *
 * Tokens 0 .. 255 are the bytes; token 256 + i is merge i, two earlier tokens put together.  Token 0 is the separator
 * behind every document and is part of no merge.  A word (words.h) is encoded by doing, as long as there is one, the
 * merge of lowest number that its tokens allow, at its leftmost place.  Any bytes can be encoded, and decoding gives them
 * back. */
#ifndef AT_LM_BPE_H
#define AT_LM_BPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/status.h"
#include "src/lm/pair_map.h"
#include "src/lm/vocab.h"
#include "src/lm/word_table.h"

enum { AT_BPE_BYTES = 256, AT_BPE_VOCAB_MAX = 65536 };

typedef struct at_bpe {
  int32_t n_merges;
  int32_t *merge;    /* [n_merges][2]: left and right token */
  at_vocab *vocab;   /* [256 + n_merges]; the separator stands for no text in it */
  at_pair_map ranks; /* of pairs: their merge's number */
} at_bpe;

/* From merge[n_merges][2] (copied).  AT_ERR_FORMAT names the first merge that is not of earlier tokens, holds the
 * separator, occurs twice, or gives a token of more than AT_WORD_MAX bytes. */
at_err at_bpe_create(at_bpe **out, int32_t n_merges, const int32_t *merge);
/* No merges yet, room for that many; merge b->n_merges is added, with failures as above. */
at_err at_bpe_create_room(at_bpe **out, int32_t room);
at_err at_bpe_add(at_bpe *b, int32_t left, int32_t right);
void at_bpe_destroy(at_bpe *b);         /* accepts NULL */
int64_t at_bpe_memory(const at_bpe *b); /* bytes it holds */
/* Whether both cut texts into the same tokens. */
bool at_bpe_equal(const at_bpe *a, const at_bpe *b);

/* Bytes that a token stands for in a file: those of its text, and 1 for the separator. */
int32_t at_bpe_token_bytes(const at_bpe *b, int32_t token);
/* The bytes of tokens[n], a 0 for each separator, to out, which has room for them; returns how many. */
int64_t at_bpe_decode(const at_bpe *b, const int32_t *tokens, int64_t n, uint8_t *out);

enum { AT_BPE_UNIT = 1 << 16 }; /* count of a word that occurs once at weight 1 */

/* Learn at most n_merges merges from words with their counts: again and again the pair of neighbours that occurs most
 * often becomes a token; of equally frequent ones that whose left token's bytes come first in byte order (then the right
 * one's, then the lower number).  It ends early where no pair has a count of two units.  The result depends on the words
 * and counts alone, not on their order.  Memory: about 60 bytes per byte of the words. */
at_err at_bpe_train(at_bpe **out, const at_word_table *words, int32_t n_merges);

/* Encodes texts, and remembers the words it met.  One thread at a time. */
typedef struct at_bpe_encoder at_bpe_encoder;
at_err at_bpe_encoder_create(at_bpe_encoder **out, const at_bpe *bpe); /* bpe is borrowed */
void at_bpe_encoder_destroy(at_bpe_encoder *e);                        /* accepts NULL */
/* The tokens of text[0..n) to out, which has room for n; *count: how many. */
at_err at_bpe_encode(at_bpe_encoder *e, const uint8_t *text, size_t n, int32_t *out, int64_t *count);

#endif
