/* SPDX-License-Identifier: BSD-3-Clause */
/* The automaton of well-formed UTF-8. */
#include "src/lm/utf8_guard.h"

/* First bytes of longer characters: how many bytes follow, and the range of the first of these; the others are 80..BF. */
static const struct lead {
  uint8_t first, last, left, low, high;
} leads[] = {
    {0xc2, 0xdf, 1, 0x80, 0xbf},                              /* C0, C1 would be overlong */
    {0xe0, 0xe0, 2, 0xa0, 0xbf},                              /* below A0: overlong */
    {0xe1, 0xec, 2, 0x80, 0xbf}, {0xed, 0xed, 2, 0x80, 0x9f}, /* above 9F: surrogates */
    {0xee, 0xef, 2, 0x80, 0xbf}, {0xf0, 0xf0, 3, 0x90, 0xbf}, /* below 90: overlong */
    {0xf1, 0xf3, 3, 0x80, 0xbf}, {0xf4, 0xf4, 3, 0x80, 0x8f}, /* above 8F: past U+10FFFF */
};
enum { N_LEADS = sizeof leads / sizeof leads[0] };

static bool push_byte(at_utf8_guard *g, uint8_t byte) {
  if (g->left > 0) {
    if (byte < g->low || byte > g->high) {
      return false;
    }
    *g = (at_utf8_guard){.left = (uint8_t)(g->left - 1), .low = 0x80, .high = 0xbf};
    return true;
  }
  if (byte < 0x80) {
    return true;
  }
  for (int i = 0; i < N_LEADS; i++) {
    if (byte >= leads[i].first && byte <= leads[i].last) {
      *g = (at_utf8_guard){.left = leads[i].left, .low = leads[i].low, .high = leads[i].high};
      return true;
    }
  }
  return false;
}

bool at_utf8_push(at_utf8_guard *g, const uint8_t *bytes, size_t n) {
  at_utf8_guard next = *g;
  for (size_t i = 0; i < n; i++) {
    if (!push_byte(&next, bytes[i])) {
      return false;
    }
  }
  *g = next;
  return true;
}

bool at_utf8_accepts(const at_utf8_guard *g, const uint8_t *bytes, size_t n) {
  at_utf8_guard copy = *g;
  return at_utf8_push(&copy, bytes, n);
}

bool at_utf8_may_end(const at_utf8_guard *g) {
  return g->left == 0;
}
