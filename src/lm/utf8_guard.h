/* SPDX-License-Identifier: BSD-3-Clause */
/* Which bytes may follow in a UTF-8 text: a finite automaton for well-formed sequences (RFC 3629; The Unicode Standard,
 * table 3-7): no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef AT_LM_UTF8_GUARD_H
#define AT_LM_UTF8_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a text stands.  Zero: at its start, or behind a whole character. */
typedef struct at_utf8_guard {
  uint8_t left;      /* bytes that the open character still needs */
  uint8_t low, high; /* what the next of them may be; only if left > 0 */
} at_utf8_guard;

/* Whether bytes[n] may follow: each of them continues the text so that it can become valid. */
bool at_utf8_accepts(const at_utf8_guard *g, const uint8_t *bytes, size_t n);
/* bytes[n] follow.  False, with the guard unchanged, if they may not. */
bool at_utf8_push(at_utf8_guard *g, const uint8_t *bytes, size_t n);
/* Whether the text may end here: no character is open. */
bool at_utf8_may_end(const at_utf8_guard *g);

#endif
