/* SPDX-License-Identifier: BSD-3-Clause */
/* A vocabulary: the bytes of text that each token stands for. */
#ifndef AT_LM_VOCAB_H
#define AT_LM_VOCAB_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/status.h"

typedef struct at_vocab {
  int32_t n;         /* tokens */
  int32_t separator; /* the token behind every document; stands for no text */
  int64_t *start;    /* [n + 1]: token i is bytes[start[i]] .. bytes[start[i + 1] - 1] */
  uint8_t *bytes;
} at_vocab;

/* 256 tokens, each the byte of its number, except the separator 0. */
at_err at_vocab_create_bytes(at_vocab **out);
/* As above, with room for `extra` tokens of at most `longest` bytes each.  To add one, write its bytes from
 * bytes[start[n]] on, set start[n + 1] and count n up. */
at_err at_vocab_create_room(at_vocab **out, int32_t extra, int32_t longest);
void at_vocab_destroy(at_vocab *v); /* accepts NULL */

/* The bytes of a token of 0 .. n - 1; *length may be 0. */
const uint8_t *at_vocab_bytes(const at_vocab *v, int32_t token, size_t *length);

#endif
